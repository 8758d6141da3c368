"""`POST /chat`: text from a prompt or a conversation, streamed unless asked otherwise.

Where it can, the model's body goes to the client unread. It is read where something depends on what it says: a
conversation that keeps it, the Worker's own tools.
"""

import json
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from aiworker import tools
from aiworker.ai import catalogue, model_call, tokens, tool_loop
from aiworker.ai.answer import Answer, as_frames, broken_off, frame
from aiworker.ai.catalogue import Model
from aiworker.ai.model_call import Candidate
from aiworker.ai.stream_end import StreamEnd
from aiworker.bindings import Conversation, Inputs
from aiworker.context import Context
from aiworker.conversations import recent
from aiworker.errors import ApiError
from aiworker.http import Response, json_response
from aiworker.schemas import parse_json
from aiworker.schemas.chat import NAME, ChatRequest

ANSWER_TOKENS = 1024
"""Left free for the answer when a conversation is cut to the context and the request does not say `max_tokens`."""
EVENT_STREAM = "text/event-stream"


async def chat(context: Context) -> Response:
    asked = await parse_json(ChatRequest, context.request, context.settings.max_body_bytes)
    models = models_for(context, asked)
    conversation = _conversation(context, asked)
    history = await conversation.history() if conversation else []
    if asked.worker_tools:
        return await _with_tools(context, asked, models, conversation, history)
    candidates = [Candidate(model, Inputs(asked.inputs(model, _said(asked, model, history)))) for model in models]
    answer = await model_call.run(context, candidates, asked.gateway)
    if asked.stream:
        return await _streamed(context, asked, answer, conversation)
    whole = await answer.object()
    if conversation:
        await conversation.append([*asked.turn(), _message(whole)])
    response = answer.response(json.dumps(whole, ensure_ascii=False, separators=(",", ":")))
    return priced(response, answer, whole)


async def read(context: Context, conversation_id: str) -> Response:
    """`GET /conversations/{id}`: empty for one that there never was."""
    messages = await _named(context, conversation_id).history()
    return json_response({"conversation": conversation_id, "messages": messages})


async def erase(context: Context, conversation_id: str) -> Response:
    """`DELETE /conversations/{id}`; the same for one that there never was."""
    await _named(context, conversation_id).erase()
    return Response(status=204)


def _named(context: Context, conversation_id: str) -> Conversation:
    if not re.fullmatch(NAME, conversation_id):
        raise ApiError("not_found", "A conversation's id has up to 64 letters, digits, - and _.")
    return context.the_conversations().find(context.caller.conversation(conversation_id))


# ---- who answers, and what it is sent ----------------------------------------------------------------------------


def models_for(context: Context, asked: ChatRequest) -> list[Model]:
    """The model asked for; if none was, CHAT_MODEL and those of CHAT_FALLBACKS that can do the same."""
    first = catalogue.find(asked.model or context.settings.models["CHAT_MODEL"], "text-generation")
    _check(asked, first)
    if asked.model:
        return [first]
    others = (catalogue.MODELS[each] for each in context.settings.chat_fallbacks)
    return [first, *(model for model in others if _can(asked, model))]


def _check(asked: ChatRequest, model: Model) -> None:
    """Raises ApiError for what the model is known not to take, before anything is spent on it."""
    catalogue.check_sampling(model, asked.sampling())
    for ability, param in asked.abilities().items():
        catalogue.check_ability(model, ability, param)
    param = "prompt" if asked.messages is None else "messages"
    catalogue.check_window(model, asked.texts(), asked.max_tokens or 0, param)


def _can(asked: ChatRequest, model: Model) -> bool:
    try:
        _check(asked, model)
    except ApiError:
        return False
    return True


def _conversation(context: Context, asked: ChatRequest) -> Conversation | None:
    return _named(context, asked.conversation) if asked.conversation else None


def _said(asked: ChatRequest, model: Model, history: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """The request's messages behind as much of the history as the model's context holds; None without a history."""
    if not history:
        return None
    turn = asked.turn()
    room = (model.context_window or 1_000_000) - (asked.max_tokens or ANSWER_TOKENS)
    kept = recent(history, room - sum(tokens.estimate(message) for message in turn))
    # what the client says of the system holds for the whole conversation
    system = [message for message in turn if message["role"] == "system"]
    return [*system, *kept, *(message for message in turn if message["role"] != "system")]


# ---- the answer --------------------------------------------------------------------------------------------------


async def _streamed(
    context: Context, asked: ChatRequest, answer: model_call.Answer, conversation: Conversation | None
) -> Response:
    if not answer.is_stream:  # a model that ignores `stream`, or JSON mode
        whole = await answer.object()
        if conversation:
            await conversation.append([*asked.turn(), _message(whole)])
        return priced(answer.response("".join(as_frames(whole)), EVENT_STREAM), answer, whole)

    async def keep(said: Answer) -> None:
        if conversation:
            await conversation.append([*asked.turn(), said.message()])

    # the answer's body goes from one JavaScript stream to the other; should the client leave, the model is cancelled
    end = StreamEnd(answer, broken_off(context.request_id), keep if conversation else None)
    return answer.response(context.streams.relay(answer.raw.body, end))


async def _with_tools(
    context: Context,
    asked: ChatRequest,
    models: list[Model],
    conversation: Conversation | None,
    history: list[dict[str, Any]],
) -> Response:
    names = None if asked.worker_tools is True else asked.worker_tools
    loop = tool_loop.ToolLoop(context, asked, models[0], tools.chosen(names), _said(asked, models[0], history))
    if asked.stream:
        first = await loop.begin()
        return first.response(context.streams.written(_looped(context, loop, asked, conversation)))
    whole = await loop.run()
    if conversation:
        await conversation.append([*asked.turn(), *loop.said])
    return priced(loop.answer.response(json.dumps(whole, ensure_ascii=False)), loop.answer, whole)


async def _looped(
    context: Context, loop: tool_loop.ToolLoop, asked: ChatRequest, conversation: Conversation | None
) -> AsyncGenerator[str | bytes]:
    try:
        async with aclosing(loop.stream()) as parts:
            async for part in parts:
                yield part
        if conversation:
            await conversation.append([*asked.turn(), *loop.said])
    except ApiError as error:
        yield frame(error.to_json(context.request_id), "error")


def _message(whole: Mapping[str, Any]) -> dict[str, Any]:
    said = Answer()
    said.add(dict(whole))
    return said.message()


def priced(response: Response, answer: model_call.Answer, whole: Mapping[str, Any]) -> Response:
    """The response with `x-neurons`, what the answer has cost, where usage and prices are known."""
    neurons = answer.used(whole.get("usage") or {})
    if neurons is not None:
        response.headers["x-neurons"] = f"{neurons:.4g}"
    return response
