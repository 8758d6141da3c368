"""`POST /v1/messages` and `POST /v1/messages/count_tokens`, for Anthropic's clients."""

from aiworker.context import Context
from aiworker.http.messages import Response, json_response
from aiworker.models import system_prompt
from aiworker.models.anthropic_writer import MessagesWriter, whole_message
from aiworker.models.openai_stream import OpenAITransform
from aiworker.models.openai_writers import CollectingWriter
from aiworker.routes.anthropic.messages_schema import CountRequest, MessagesRequest, TokenCount
from aiworker.routes.attachments import Attachments
from aiworker.routes.openai import text_call, text_response
from aiworker.routes.openai.chat_schema import prompt_tokens
from aiworker.routes.openai.fields import EVENT_STREAM, JSON
from aiworker.routing import EVENTS, MODEL_ERRORS, Returns, Shape, route

DESCRIPTION = "As in Anthropic's reference."
MESSAGE: Shape = {"type": "object", "description": DESCRIPTION}


@route(
    "POST", "/v1/messages", scope="chat", rate="model", tag="Anthropic",
    body=MessagesRequest,
    returns=Returns({JSON: MESSAGE, EVENT_STREAM: EVENTS}, DESCRIPTION), errors=(*MODEL_ERRORS, "unprocessable"),
    example={
        "model": "claude-sonnet-5", "max_tokens": 256, "messages": [{"role": "user", "content": "What is a Worker?"}],
    },
)  # fmt: skip
async def anthropic_messages(context: Context, body: MessagesRequest) -> Response:
    """Create a message, for Anthropic's clients.

    docs/anthropic.md describes what becomes of each parameter.
    """
    model_response, limits = await text_call.call_model(context, body)
    head = text_response.head(context, model_response, "msg_")
    message = {"id": head.id, "model": head.model}
    if body.stream:
        writer = MessagesWriter(message, input_tokens=limits.prompt_tokens, has_thinking=body.has_thinking)
        response = await text_response.stream_response(
            context, model_response, OpenAITransform(writer, limits, head.id)
        )
    else:
        data, _ = await model_response.answer()
        answer = CollectingWriter()
        OpenAITransform(answer, limits, head.id).transform_whole(data)
        whole = whole_message(message, answer, has_thinking=body.has_thinking)
        response = model_response.json_response(whole, data.get("usage"))
    response.headers["request-id"] = context.request_id
    return response


@route(
    "POST", "/v1/messages/count_tokens", scope="chat", rate="read", tag="Anthropic",
    body=CountRequest, returns=TokenCount, errors=("invalid_request", "payload_too_large", "upstream_error"),
    example={"model": "claude-sonnet-5", "messages": [{"role": "user", "content": "What is a Worker?"}]},
)  # fmt: skip
async def anthropic_count_tokens(context: Context, body: CountRequest) -> Response:
    """Estimate the tokens of a prompt, for Anthropic's clients.

    An estimate, rather too high than too low: the models here have different tokenizers. No model is called.
    """
    chat = await Attachments(context).resolve(body.to_chat())
    return json_response({"input_tokens": prompt_tokens(chat) + system_prompt.estimate_tokens(context.settings)})
