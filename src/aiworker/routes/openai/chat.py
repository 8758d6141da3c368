"""`POST /v1/chat/completions`, and the older `POST /v1/completions`."""

from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.messages import Response
from aiworker.models import catalogue, cl100k
from aiworker.models.catalogue import Model
from aiworker.models.openai_stream import (
    ChatWriter,
    CollectingWriter,
    CompletionWriter,
    OpenAITransform,
    chat_completion,
    text_completion,
)
from aiworker.routes.openai import text
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
    answer, limits = await text.ask(context, body, lambda model: _check(body, model))
    head = text.head(context, answer, "chatcmpl-")
    is_legacy = body.functions is not None
    if body.stream:
        if answer.is_stream and answer.model.dialect == "openai" and not is_legacy:
            return await text.untouched(context, answer)
        writer = ChatWriter(head, include_usage=body.wants_usage, is_legacy=is_legacy)
        return await text.streamed(context, answer, OpenAITransform(writer, limits, head.id))
    whole = await text.whole(answer)
    if "choices" in whole and not is_legacy:
        # as it came; some models leave out the envelope
        return text.responded(answer, {**head.to_json("chat.completion"), **whole}, whole)
    said = CollectingWriter()
    OpenAITransform(said, limits, head.id).transform_whole(whole)
    return text.responded(answer, chat_completion(said, head, is_legacy=is_legacy), whole)


def _check(body: ChatCompletionRequest, model: Model) -> None:
    takes_all = model.sampling is catalogue.COMPLETIONS
    for name in body.schema_only():
        if not takes_all:
            raise ApiError("invalid_request", f"{model.id} does not take {name}.", param=name)


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
    answer, limits = await text.ask(context, body)
    head = text.head(context, answer, "cmpl-")
    if body.stream:
        writer = CompletionWriter(head, include_usage=body.wants_usage)
        return await text.streamed(context, answer, OpenAITransform(writer, limits, head.id))
    whole, said = await text.whole(answer), CollectingWriter()
    OpenAITransform(said, limits, head.id).transform_whole(whole)
    return text.responded(answer, text_completion(said, head), whole)
