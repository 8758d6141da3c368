"""Shared by the routes for text: the model call, and its response as a stream or as JSON in OpenAI's form."""

import json
import time
from typing import Protocol

from aiworker.auth import limits
from aiworker.bindings import Inputs, StreamTransform
from aiworker.context import Context
from aiworker.http.body import EVENT_STREAM, JSON
from aiworker.http.messages import Response
from aiworker.models import guard, system_prompt
from aiworker.models.catalogue import Model
from aiworker.models.completion import as_frames, call_ids
from aiworker.models.model_call import Candidate, ModelCall
from aiworker.models.model_response import ModelResponse, add_cost
from aiworker.models.openai_stream import Limits, OpenAITransform
from aiworker.models.openai_writers import Head
from aiworker.models.selection import text_models
from aiworker.models.tool_calls import Json
from aiworker.routes.chat_schema import ChatRequest
from aiworker.routes.openai.chat_schema import max_tokens, prompt_tokens


class TextRequest(Protocol):
    """A request of one of these routes."""

    @property
    def model(self) -> str: ...

    @property
    def stops(self) -> list[str]: ...

    def to_chat(self) -> ChatRequest: ...

    def extra_inputs(self, model: Model) -> Json: ...

    def ignored_by(self, model: Model) -> list[str]: ...


async def call_model(context: Context, body: TextRequest) -> tuple[ModelResponse, Limits]:
    """Call the requested model; return its response, and the limits that the model does not observe by itself.

    Parameters that the model does not take are left out, and the response names them.
    """
    chat = _chat_request(context, body)
    limits.check_prompt(context, chat.texts(), chat.input_field)
    models = text_models(context, chat.model, lambda model: chat.fit(model)[0].check(model))
    fitted = {model.id: chat.fit(model) for model in models}
    tokens = prompt_tokens(chat) + system_prompt.estimate_tokens(context.settings)
    requests = {
        model.id: fitted[model.id][0].model_copy(update={"max_tokens": max_tokens(chat, model, tokens)})
        for model in models
    }
    candidates = [
        Candidate(model, Inputs({**requests[model.id].inputs(model), **body.extra_inputs(model)})) for model in models
    ]
    await guard.check_input(context, chat.turn(), chat.gateway, inputs=candidates[0].inputs.fields)
    response = await ModelCall(context, candidates, chat.gateway).run()
    context.log.ignored += [*fitted[response.model.id][1], *body.ignored_by(response.model)]
    response = await guard.screen_response(context, chat.turn(), response, chat.gateway)
    looks_for_stops = "stop" in body.extra_inputs(response.model)
    return response, Limits(
        stop=() if looks_for_stops else body.stops,
        max_tokens=requests[response.model.id].max_tokens,
        # the older `function_call` holds a single one
        is_single_call=getattr(body, "parallel_tool_calls", None) is False or chat.functions is not None,
        required_tools=chat.required_tools(),
        known_call_ids=call_ids(chat.turn()),
        prompt_tokens=tokens,
    )


def _chat_request(context: Context, body: TextRequest) -> ChatRequest:
    """Return the equivalent request to `POST /chat`, with the model's id in place of an alias.

    An alias of CHAT_MODEL becomes no model, so that CHAT_FALLBACKS may answer.
    """
    model_id = context.settings.resolve_alias(body.model)
    is_default = model_id != body.model and model_id == context.settings.models["CHAT_MODEL"]
    return body.to_chat().model_copy(update={"model": None if is_default else model_id})


def head(context: Context, response: ModelResponse, prefix: str) -> Head:
    return Head(f"{prefix}{context.request_id.removeprefix('req_')}", int(time.time()), response.model.id)


async def stream_response(
    context: Context, response: ModelResponse, transform: OpenAITransform, wrapper: StreamTransform | None = None
) -> Response:
    """Return the model's response as a stream in OpenAI's form.

    wrapper: a transform around `transform`, used in its place.
    """
    outer = wrapper or transform
    if not response.is_stream:  # a model that ignores `stream`, or JSON mode of a native one
        data = await read_object(response)
        content = await _transform_all(outer, "".join(as_frames(data)))
        return _with_cost(response.response(content, EVENT_STREAM), response, data)
    transform.on_usage = response.record_usage
    if response.buffered is None:
        return response.response(context.streams.transform(response.raw.body, outer), EVENT_STREAM)
    return response.response(await _transform_all(outer, response.buffered), EVENT_STREAM)


async def _transform_all(transform: StreamTransform, body: str) -> str:
    content, rest = transform.transform(body.encode()), transform.finish()
    return (content + (rest if isinstance(rest, bytes) else await rest)).decode()


async def read_object(response: ModelResponse) -> Json:
    """Return the model's whole answer. Raises ApiError `upstream_error` if it is none."""
    data, _ = await response.answer()
    return data


def json_response(response: ModelResponse, body: Json, data: Json) -> Response:
    """Return a body in OpenAI's form, with the cost of the model's whole completion `data`."""
    return _with_cost(as_json(response, body), response, data)


def as_json(response: ModelResponse, body: Json) -> Response:
    """Return a body with the headers of the model's response."""
    return response.response(json.dumps(body, ensure_ascii=False, separators=(",", ":")), JSON)


def _with_cost(response: Response, model_response: ModelResponse, data: Json) -> Response:
    return add_cost(response, model_response.record_usage(data.get("usage")))
