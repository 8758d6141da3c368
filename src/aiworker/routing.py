"""The table of routes."""

import re
from collections.abc import Awaitable, Callable
from difflib import get_close_matches
from functools import cache
from typing import NamedTuple
from urllib.parse import unquote

from aiworker.auth.access import ADMIN, ANY, OPEN
from aiworker.errors import ApiError
from aiworker.http.messages import Response
from aiworker.routes import (
    chat,
    description,
    embed,
    extract,
    gateway,
    health,
    image,
    language,
    models,
    rag,
    speech,
    tokens,
    usage,
)
from aiworker.routes.openai import audio as openai_audio
from aiworker.routes.openai import chat as openai_chat
from aiworker.routes.openai import embeddings as openai_embeddings
from aiworker.routes.openai import images as openai_images
from aiworker.routes.openai import models as openai_models
from aiworker.routes.openai import responses as openai_responses

Handler = Callable[..., Awaitable[Response]]
"""Takes the Context, and by name what its path says in braces."""


class Route(NamedTuple):
    handler: Handler
    scope: str
    """What callers must have: one of access.SCOPES, ANY or OPEN."""
    rate: str
    """What a request costs, as limits.RATES has it: `read`, `model` or `heavy`."""


ROUTES: dict[str, dict[str, Route]] = {
    "/health": {"GET": Route(health.health, OPEN, "read")},
    "/openapi.json": {"GET": Route(description.openapi, OPEN, "read")},
    "/models": {"GET": Route(models.models, ANY, "read")},
    "/image": {"POST": Route(image.create, "image", "heavy")},
    "/images/{key}": {"GET": Route(image.read, OPEN, "read")},
    "/chat": {"POST": Route(chat.chat, "chat", "model")},
    "/embed": {"POST": Route(embed.embed, "embed", "model")},
    "/rerank": {"POST": Route(embed.rerank, "embed", "model")},
    "/transcribe": {"POST": Route(speech.transcribe, "audio", "heavy")},
    "/speak": {"POST": Route(speech.speak, "audio", "heavy")},
    "/translate": {"POST": Route(language.translate, "text", "model")},
    "/classify": {"POST": Route(language.classify, "text", "model")},
    "/summarize": {"POST": Route(language.summarize, "text", "model")},
    "/extract": {"POST": Route(extract.extract, "text", "model")},
    "/usage": {"GET": Route(usage.usage, ANY, "read")},
    "/tokens": {"POST": Route(tokens.create, ANY, "model")},
    "/feedback": {"POST": Route(gateway.feedback, "feedback", "read")},
    "/logs/{log_id}": {"GET": Route(gateway.log, ADMIN, "read")},
    "/rag": {"POST": Route(rag.answer, "rag:read", "model")},
    "/rag/search": {"POST": Route(rag.search, "rag:read", "model")},
    "/rag/documents": {"GET": Route(rag.listed, "rag:read", "read"), "POST": Route(rag.add, "rag:write", "heavy")},
    "/rag/documents/{document_id}": {
        "GET": Route(rag.state, "rag:read", "read"),
        "DELETE": Route(rag.delete, "rag:write", "read"),
    },
    "/conversations/{conversation_id}": {
        "GET": Route(chat.read, "chat", "read"),
        "DELETE": Route(chat.erase, "chat", "read"),
    },
    "/v1/models": {"GET": Route(openai_models.listed, ANY, "read")},
    "/v1/models/{model_id...}": {"GET": Route(openai_models.one, ANY, "read")},
    "/v1/chat/completions": {"POST": Route(openai_chat.chat_completions, "chat", "model")},
    "/v1/completions": {"POST": Route(openai_chat.completions, "chat", "model")},
    "/v1/responses": {"POST": Route(openai_responses.responses, "chat", "model")},
    "/v1/embeddings": {"POST": Route(openai_embeddings.embeddings, "embed", "model")},
    "/v1/images/generations": {"POST": Route(openai_images.generations, "image", "heavy")},
    "/v1/audio/transcriptions": {"POST": Route(openai_audio.transcriptions, "audio", "heavy")},
    "/v1/audio/speech": {"POST": Route(openai_audio.speech, "audio", "heavy")},
}
"""Path → method → route; `{name...}` may have slashes in it.

`GET /` and the other files of public/ are served before the Worker is asked.
"""


def find(method: str, path: str) -> tuple[Route, str, dict[str, str]]:
    """The route of a request, its pattern, and the values of its path; HEAD is answered as GET.

    Raises ApiError `not_found` or, with the header `Allow`, `method_not_allowed`.
    """
    pattern, parameters = _match(path)
    methods = ROUTES[pattern]
    route = methods.get("GET" if method == "HEAD" else method)
    if route is None:
        allowed = ", ".join([*methods, "HEAD"] if "GET" in methods else methods)
        raise ApiError("method_not_allowed", f"{path} takes {allowed}, not {method}.", headers={"allow": allowed})
    return route, pattern, parameters


def _match(path: str) -> tuple[str, dict[str, str]]:
    if path in ROUTES and "{" not in path:
        return path, {}
    for pattern in ROUTES:
        if "{" in pattern and (found := _expression(pattern).fullmatch(path)):
            return pattern, {name: unquote(value) for name, value in found.groupdict().items()}
    # only with those that begin with the same letter: with all, an unknown path would be the dearest request
    wanted = path[:100].lower()
    alike = [route for route in ROUTES if route[:2] == wanted[:2]]
    near = get_close_matches(wanted, alike, n=1)
    hint = f" Did you mean {near[0]}?" if near else f" The routes are {', '.join(ROUTES)}."
    raise ApiError("not_found", f"There is no route {path}.{hint}")


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    """`/images/{key}` → an expression whose group `key` is one segment of the path."""
    one_segment = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(pattern))
    return re.compile(re.sub(r"\\{(\w+)\\.\\.\\.\\}", r"(?P<\1>.+)", one_segment))
