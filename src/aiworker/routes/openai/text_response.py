"""The stream that answers a request for text in OpenAI's or Anthropic's dialect."""

import time

from aiworker.bindings import StreamTransform
from aiworker.context import Context
from aiworker.http.body import EVENT_STREAM
from aiworker.http.messages import Response
from aiworker.models.completion import as_frames
from aiworker.models.model_response import ModelResponse
from aiworker.models.openai_stream import OpenAITransform
from aiworker.models.openai_writers import Head


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
        data, _ = await response.answer()
        content = await _transform_all(outer, "".join(as_frames(data)))
        return response.whole_response(content, EVENT_STREAM, data.get("usage"))
    transform.on_usage = response.record_usage
    if response.buffered is None:
        return response.response(context.streams.transform(response.raw.body, outer), EVENT_STREAM)
    return response.response(await _transform_all(outer, response.buffered), EVENT_STREAM)


async def _transform_all(transform: StreamTransform, body: str) -> str:
    content, rest = transform.transform(body.encode()), transform.finish()
    return (content + (rest if isinstance(rest, bytes) else await rest)).decode()
