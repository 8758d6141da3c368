"""`POST /v1/chat/completions`, and the older `POST /v1/completions`."""

from aiworker.context import Context
from aiworker.http.messages import Response
from aiworker.models import cl100k
from aiworker.models.openai_stream import OpenAITransform
from aiworker.models.openai_writers import (
    ChatWriter,
    CollectingWriter,
    CompletionWriter,
    chat_completion,
    text_completion,
)
from aiworker.routes.openai import text_call, text_response
from aiworker.routes.openai.chat_schema import ChatCompletionRequest, CompletionRequest
from aiworker.routes.openai.fields import STREAM_OR_JSON
from aiworker.routing import MODEL_ERRORS, route


@route(
    "POST", "/v1/chat/completions", scope="chat", rate="model", tag="OpenAI",
    body=ChatCompletionRequest,
    returns=STREAM_OR_JSON, errors=(*MODEL_ERRORS, "unprocessable"),
    example={"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "What is a Worker?"}]},
)  # fmt: skip
async def openai_chat(context: Context, body: ChatCompletionRequest) -> Response:
    """Complete a chat, for OpenAI's clients.

    docs/openai.md describes what becomes of each parameter.
    """
    model_response, limits = await text_call.call_model(context, body)
    head = text_response.head(context, model_response, "chatcmpl-")
    is_legacy = body.functions is not None
    if body.stream:
        writer = ChatWriter(head, include_usage=body.wants_usage, is_legacy=is_legacy)
        return await text_response.stream_response(context, model_response, OpenAITransform(writer, limits, head.id))
    data, _ = await model_response.answer()
    completion = CollectingWriter()
    OpenAITransform(completion, limits, head.id).transform_whole(data)
    whole = chat_completion(completion, head, data, is_legacy=is_legacy)
    return model_response.json_response(whole, data.get("usage"))


@route(
    "POST", "/v1/completions", scope="chat", rate="model", tag="OpenAI",
    body=CompletionRequest,
    returns=STREAM_OR_JSON, errors=(*MODEL_ERRORS, "unprocessable"),
    example={"model": "gpt-3.5-turbo-instruct", "prompt": "A Worker is"},
)  # fmt: skip
async def openai_completions(context: Context, body: CompletionRequest) -> Response:
    """Complete a prompt, for OpenAI's older clients.

    docs/openai.md describes what becomes of each parameter.
    """
    if not isinstance(body.prompt, str):
        body = body.with_text(await cl100k.load(context.assets))
    model_response, limits = await text_call.call_model(context, body)
    head = text_response.head(context, model_response, "cmpl-")
    if body.stream:
        writer = CompletionWriter(head, include_usage=body.wants_usage)
        return await text_response.stream_response(context, model_response, OpenAITransform(writer, limits, head.id))
    data, _ = await model_response.answer()
    completion = CollectingWriter()
    OpenAITransform(completion, limits, head.id).transform_whole(data)
    return model_response.json_response(text_completion(completion, head), data.get("usage"))
