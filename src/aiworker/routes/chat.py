"""`POST /chat`: text from a prompt or a conversation, streamed unless asked otherwise.

Where it can, the model's body goes to the client unread. It is read where something depends on what it says: a
conversation that keeps it, the Worker's own tools.
"""

import functools
import json
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any

from aiworker import tools
from aiworker.auth import limits
from aiworker.bindings import Conversation, Inputs
from aiworker.context import Context
from aiworker.conversations import recent
from aiworker.errors import ApiError
from aiworker.http.body import parse_json
from aiworker.http.messages import Response, json_response
from aiworker.models import catalogue, guard, model_call, tokens, tool_loop
from aiworker.models.answer import EVENT_STREAM, Answer, as_frames, broken_off, frame
from aiworker.models.catalogue import Model
from aiworker.models.model_call import Candidate
from aiworker.models.stream_end import StreamEnd, relayed
from aiworker.routes.chat_schema import NAME, ChatRequest


async def chat(context: Context) -> Response:
    asked = await parse_json(ChatRequest, context.request, context.settings.max_body_bytes)
    models = models_for(context, asked)
    conversation = _conversation(context, asked)
    history = await conversation.history() if conversation else []
    told = [*history, *asked.turn()]
    await guard.check_input(context, told, asked.gateway, stored=len(history))
    if asked.worker_tools:
        return await _with_tools(context, asked, models, conversation, history)
    candidates = [Candidate(model, Inputs(asked.inputs(model, _said(asked, model, history)))) for model in models]
    answer = await model_call.run(context, candidates, asked.gateway)
    answer = await guard.held(context, told, answer, asked.gateway)
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
    limits.check_prompt(context, asked.texts(), "prompt" if asked.messages is None else "messages")
    return able_models(context, asked.model, functools.partial(_check, asked))


def able_models(context: Context, named: str | None, check: Callable[[Model], None]) -> list[Model]:
    """The model that a request names; if it names none, CHAT_MODEL and those of CHAT_FALLBACKS that can do the same.

    check: raises ApiError for what a model is known not to take.
    """
    first = catalogue.find(named or context.settings.models["CHAT_MODEL"], "text-generation")
    check(first)
    if named:
        return [first]
    others = (catalogue.MODELS[each] for each in context.settings.chat_fallbacks)
    return [first, *(model for model in others if _passes(model, check))]


def _check(asked: ChatRequest, model: Model) -> None:
    """Raises ApiError for what the model is known not to take, before anything is spent on it."""
    catalogue.check_sampling(model, asked.sampling())
    for ability, param in asked.abilities().items():
        catalogue.check_ability(model, ability, param)
    param = "prompt" if asked.messages is None else "messages"
    catalogue.check_window(model, asked.texts(), asked.max_tokens or 0, param)


def _passes(model: Model, check: Callable[[Model], None]) -> bool:
    try:
        check(model)
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
    room = (model.context_window or 1_000_000) - (asked.max_tokens or tokens.ANSWER_TOKENS)
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

    end = StreamEnd(answer, broken_off(context.request_id), keep if conversation else None)
    return answer.response(await relayed(context.streams, end))


async def _with_tools(
    context: Context,
    asked: ChatRequest,
    models: list[Model],
    conversation: Conversation | None,
    history: list[dict[str, Any]],
) -> Response:
    names = None if asked.worker_tools is True else asked.worker_tools
    sent = {model.id: _said(asked, model, history) or asked.turn() for model in models}
    loop = tool_loop.ToolLoop(context, asked, models, tools.chosen(names), sent)
    if asked.stream and "output" in context.settings.guarded:
        return await _looped_at_once(context, loop, asked, conversation, history)
    if asked.stream:
        first = await loop.begin()
        return first.response(context.streams.written(_looped(context, loop, asked, conversation)))
    whole = await loop.run()
    response = priced(loop.answer.response(json.dumps(whole, ensure_ascii=False)), loop.answer, whole)
    await guard.check_output(context, [*history, *asked.turn()], loop.spoken, asked.gateway)
    if conversation:
        await conversation.append([*asked.turn(), *loop.said])
    return response


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


async def _looped_at_once(
    context: Context,
    loop: tool_loop.ToolLoop,
    asked: ChatRequest,
    conversation: Conversation | None,
    history: list[dict[str, Any]],
) -> Response:
    """All that `_looped` would send, once it is whole and judged."""
    await loop.begin()
    parts = [part async for part in loop.stream()]
    await guard.check_output(context, [*history, *asked.turn()], loop.spoken, asked.gateway)
    if conversation:
        await conversation.append([*asked.turn(), *loop.said])
    return loop.answer.response("".join(parts), EVENT_STREAM)


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
