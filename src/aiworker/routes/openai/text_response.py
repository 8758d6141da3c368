"""The response to a request for text in OpenAI's or Anthropic's dialect: a stream, or JSON."""

import json
import time

from aiworker.bindings import StreamTransform
from aiworker.context import Context
from aiworker.http.body import EVENT_STREAM, JSON
from aiworker.http.messages import Response
from aiworker.models.completion import as_frames
from aiworker.models.model_response import ModelResponse, add_cost
from aiworker.models.openai_stream import OpenAITransform
from aiworker.models.openai_writers import Head
from aiworker.models.tool_calls import Json


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
