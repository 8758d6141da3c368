"""`POST /v1/chat/completions`, and the older `POST /v1/completions`."""

from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.body import parse_json
from aiworker.http.messages import Response
from aiworker.models import catalogue
from aiworker.models.catalogue import Model
from aiworker.models.openai_stream import (
    ChatWriter,
    CompletionWriter,
    Said,
    Translation,
    chat_completion,
    text_completion,
)
from aiworker.routes.openai import text
from aiworker.routes.openai.chat_schema import ChatCompletionRequest, CompletionRequest


async def chat_completions(context: Context) -> Response:
    asked = await parse_json(ChatCompletionRequest, context.request, context.settings.max_body_bytes)
    answer, limits = await text.ask(context, asked, lambda model: _check(asked, model))
    head = text.head(context, answer, "chatcmpl-")
    is_legacy = asked.functions is not None
    if asked.stream:
        if answer.is_stream and answer.model.dialect == "openai" and not is_legacy:
            return await text.untouched(context, answer)
        writer = ChatWriter(head, include_usage=asked.wants_usage, is_legacy=is_legacy)
        return await text.streamed(context, answer, Translation(writer, limits, head.id))
    whole = await text.whole(answer)
    if "choices" in whole and not is_legacy:
        # as it came; some models leave out the envelope
        return text.responded(answer, {**head.to_json("chat.completion"), **whole}, whole)
    said = Said()
    Translation(said, limits, head.id).whole(whole)
    return text.responded(answer, chat_completion(said, head, is_legacy=is_legacy), whole)


def _check(asked: ChatCompletionRequest, model: Model) -> None:
    takes_all = model.sampling is catalogue.COMPLETIONS
    for name in asked.schema_only():
        if not takes_all:
            raise ApiError("invalid_request", f"{model.id} does not take {name}.", param=name)


async def completions(context: Context) -> Response:
    asked = await parse_json(CompletionRequest, context.request, context.settings.max_body_bytes)
    answer, limits = await text.ask(context, asked)
    head = text.head(context, answer, "cmpl-")
    if asked.stream:
        writer = CompletionWriter(head, include_usage=asked.wants_usage)
        return await text.streamed(context, answer, Translation(writer, limits, head.id))
    whole, said = await text.whole(answer), Said()
    Translation(said, limits, head.id).whole(whole)
    return text.responded(answer, text_completion(said, head), whole)
