"""The table of routes."""

import re
from collections.abc import Awaitable, Callable
from difflib import get_close_matches
from functools import cache
from urllib.parse import unquote

from aiworker.api import chat, description, embed, extract, gateway, health, image, language, models, rag, speech
from aiworker.api.openai import audio as openai_audio
from aiworker.api.openai import chat as openai_chat
from aiworker.api.openai import embeddings as openai_embeddings
from aiworker.api.openai import images as openai_images
from aiworker.api.openai import models as openai_models
from aiworker.api.openai import responses as openai_responses
from aiworker.errors import ApiError
from aiworker.http import Response

Handler = Callable[..., Awaitable[Response]]
"""Takes the Context, and by name what its path says in braces."""

ROUTES: dict[str, dict[str, Handler]] = {
    "/health": {"GET": health.health},
    "/openapi.json": {"GET": description.openapi},
    "/models": {"GET": models.models},
    "/image": {"POST": image.create},
    "/images/{key}": {"GET": image.read},
    "/chat": {"POST": chat.chat},
    "/embed": {"POST": embed.embed},
    "/rerank": {"POST": embed.rerank},
    "/transcribe": {"POST": speech.transcribe},
    "/speak": {"POST": speech.speak},
    "/translate": {"POST": language.translate},
    "/classify": {"POST": language.classify},
    "/summarize": {"POST": language.summarize},
    "/extract": {"POST": extract.extract},
    "/feedback": {"POST": gateway.feedback},
    "/logs/{log_id}": {"GET": gateway.log},
    "/rag": {"POST": rag.answer},
    "/rag/search": {"POST": rag.search},
    "/rag/documents": {"GET": rag.listed, "POST": rag.add},
    "/rag/documents/{document_id}": {"GET": rag.state, "DELETE": rag.delete},
    "/conversations/{conversation_id}": {"GET": chat.read, "DELETE": chat.erase},
    "/v1/models": {"GET": openai_models.listed},
    "/v1/models/{model_id...}": {"GET": openai_models.one},
    "/v1/chat/completions": {"POST": openai_chat.chat_completions},
    "/v1/completions": {"POST": openai_chat.completions},
    "/v1/responses": {"POST": openai_responses.responses},
    "/v1/embeddings": {"POST": openai_embeddings.embeddings},
    "/v1/images/generations": {"POST": openai_images.generations},
    "/v1/audio/transcriptions": {"POST": openai_audio.transcriptions},
    "/v1/audio/speech": {"POST": openai_audio.speech},
}
"""Path → method → handler; `{name...}` may have slashes in it.

`GET /` and the other files of public/ are served before the Worker is asked.
"""


def find(method: str, path: str) -> tuple[Handler, dict[str, str]]:
    """The handler of a request and the values of its path; HEAD is answered as GET.

    Raises ApiError `not_found` or, with the header `Allow`, `method_not_allowed`.
    """
    methods, parameters = _match(path)
    handler = methods.get("GET" if method == "HEAD" else method)
    if handler is None:
        allowed = ", ".join([*methods, "HEAD"] if "GET" in methods else methods)
        raise ApiError("method_not_allowed", f"{path} takes {allowed}, not {method}.", headers={"allow": allowed})
    return handler, parameters


def _match(path: str) -> tuple[dict[str, Handler], dict[str, str]]:
    if path in ROUTES:
        return ROUTES[path], {}
    for pattern, methods in ROUTES.items():
        if "{" in pattern and (found := _expression(pattern).fullmatch(path)):
            return methods, {name: unquote(value) for name, value in found.groupdict().items()}
    near = get_close_matches(path, ROUTES, n=1)
    hint = f" Did you mean {near[0]}?" if near else f" The routes are {', '.join(ROUTES)}."
    raise ApiError("not_found", f"There is no route {path}.{hint}")


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    """`/images/{key}` → an expression whose group `key` is one segment of the path."""
    one_segment = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(pattern))
    return re.compile(re.sub(r"\\{(\w+)\\.\\.\\.\\}", r"(?P<\1>.+)", one_segment))
