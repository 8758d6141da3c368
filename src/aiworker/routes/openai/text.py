"""What the routes for text have in common: who answers, what it is sent, and its answer as a stream or as a whole."""

import json
import time
from collections.abc import Callable
from typing import Any, Protocol, cast

from aiworker.bindings import Inputs
from aiworker.context import Context
from aiworker.http.body import JSON
from aiworker.http.messages import Response
from aiworker.models import guard
from aiworker.models.catalogue import Model
from aiworker.models.completion import EVENT_STREAM, as_frames
from aiworker.models.model_call import Candidate, ModelCall
from aiworker.models.model_response import ModelResponse
from aiworker.models.openai_stream import Head, Json, Limits, OpenAITransform, broken_stream_error, error_frame
from aiworker.models.stream_epilogue import AnswerEpilogue, pipe_answer
from aiworker.routes.chat import models_for, priced
from aiworker.routes.chat_schema import ChatRequest
from aiworker.routes.openai.chat_schema import answer_tokens, prompt_tokens


class TextRequest(Protocol):
    @property
    def model(self) -> str: ...

    @property
    def stops(self) -> list[str]: ...

    def to_chat(self) -> ChatRequest: ...

    def extra_inputs(self, model: Model) -> Json: ...


async def ask(
    context: Context, body: TextRequest, check: Callable[[Model], None] | None = None
) -> tuple[ModelResponse, Limits]:
    """Call the requested model; return its answer and the limits that it does not keep by itself.

    check: raises ApiError for what that model does not take.
    """
    chat = _named(context, body)
    models = models_for(context, chat)
    if check:
        check(models[0])
    sent = {model.id: chat.model_copy(update={"max_tokens": answer_tokens(chat, model)}) for model in models}
    candidates = [
        Candidate(model, Inputs({**sent[model.id].inputs(model), **body.extra_inputs(model)})) for model in models
    ]
    await guard.check_input(context, chat.turn(), chat.gateway)
    answer = await ModelCall(context, candidates, chat.gateway).run()
    answer = await guard.screen_response(context, chat.turn(), answer, chat.gateway)
    is_native = answer.model.dialect == "native"
    return answer, Limits(
        stop=body.stops if is_native else (),
        max_tokens=sent[answer.model.id].max_tokens,
        is_single_call=is_native and getattr(body, "parallel_tool_calls", None) is False,
        prompt_tokens=prompt_tokens(chat),
    )


def _named(context: Context, body: TextRequest) -> ChatRequest:
    """With the model's id; without one for CHAT_MODEL by an alias, for which CHAT_FALLBACKS may answer."""
    model_id = context.settings.model_aliases.get(body.model, body.model)
    is_default = model_id != body.model and model_id == context.settings.models["CHAT_MODEL"]
    return body.to_chat().model_copy(update={"model": None if is_default else model_id})


def head(context: Context, answer: ModelResponse, prefix: str) -> Head:
    return Head(f"{prefix}{context.request_id.removeprefix('req_')}", int(time.time()), answer.model.id)


async def streamed(context: Context, answer: ModelResponse, translation: OpenAITransform) -> Response:
    if answer.is_stream:
        translation.on_usage = answer.record_usage
        if answer.buffered is not None:
            return answer.response((translation.transform(answer.buffered.encode()) + translation.finish()).decode())
        return answer.response(context.streams.transform(answer.raw.body, translation))
    # a model that ignores `stream`, or JSON mode of a native one
    said = await whole(answer)
    content = translation.transform("".join(as_frames(said)).encode())
    return priced(answer.response(content.decode(), EVENT_STREAM), answer, said)


async def untouched(context: Context, answer: ModelResponse) -> Response:
    """The stream of a model that speaks OpenAI's dialect."""

    def failed(reason: str) -> str:
        # what came before may end in the middle of a frame
        return "\n\n" + error_frame(broken_stream_error(reason)).decode()

    return answer.response(await pipe_answer(context.streams, AnswerEpilogue(answer, failed)))


async def whole(answer: ModelResponse) -> Json:
    """Raises ApiError `upstream_error` for an answer that is no JSON object."""
    found: Any = await answer.json()
    if not isinstance(found, dict):
        raise broken_stream_error("it is no object")
    return cast("Json", found)


def responded(answer: ModelResponse, body: Json, whole: Json) -> Response:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return priced(answer.response(text, JSON), answer, whole)
