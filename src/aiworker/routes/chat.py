"""`POST /chat`: a completion of a prompt or a conversation, streamed by default.

Where possible the model's stream goes to the client unread. Python reads it only where something depends on its
content: a conversation that stores it, the Worker's own tools, a guard.
"""

import functools
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from aiworker import tools
from aiworker.auth import limits
from aiworker.bindings import Conversation, Inputs
from aiworker.context import Context
from aiworker.conversations import select_recent
from aiworker.errors import ApiError
from aiworker.http.body import JSON
from aiworker.http.messages import Response
from aiworker.models import catalogue, guard, token_counts, tool_loop
from aiworker.models.catalogue import Model
from aiworker.models.completion import EVENT_STREAM, Completion, as_frames, failure_formatter, frame
from aiworker.models.model_call import Candidate, ModelCall
from aiworker.models.model_response import ModelResponse
from aiworker.models.selection import text_models
from aiworker.models.stream_epilogue import AnswerEpilogue, pipe_answer
from aiworker.routes import conversations
from aiworker.routes.chat_schema import ChatReply, ChatRequest
from aiworker.routing import EVENTS, MODEL_ERRORS, Returns, route


@route(
    "POST", "/chat", scope="chat", rate="model", tag="Text",
    body=ChatRequest, returns=Returns({EVENT_STREAM: EVENTS, JSON: ChatReply}, "The completion."),
    errors=(*MODEL_ERRORS, "content_blocked"), example={"messages": [{"role": "user", "content": "What is a Worker?"}]},
)  # fmt: skip
async def chat(context: Context, body: ChatRequest) -> Response:
    """Complete a prompt or a conversation.

    A stream unless `stream` is false, in the model's own dialect: frames with `response`, or with OpenAI's `choices`.
    `event: tool` reports each call of one of the Worker's own tools, `event: error` a completion that broke off.
    """
    models = models_for(context, body)
    conversation = conversations.find(context, body.conversation) if body.conversation else None
    history = await conversation.history() if conversation else []
    messages = [*history, *body.turn()]
    await guard.check_input(context, messages, body.gateway, stored=len(history))
    if body.worker_tools:
        return await _with_tools(context, body, models, conversation, history)
    candidates = [Candidate(model, Inputs(body.inputs(model, _prompt(body, model, history)))) for model in models]
    answer = await ModelCall(context, candidates, body.gateway).run()
    answer = await guard.screen_response(context, messages, answer, body.gateway)
    if body.stream:
        return await _streamed(context, body, answer, conversation)
    whole = await answer.object()
    if conversation:
        await conversation.append([*body.turn(), _message(whole)])
    response = answer.response(json.dumps(whole, ensure_ascii=False, separators=(",", ":")))
    return priced(response, answer, whole)


# ---- models and prompt -------------------------------------------------------------------------------------------


def models_for(context: Context, body: ChatRequest) -> list[Model]:
    """Return the models that may answer, in order. Raises ApiError for a request that is too long, or that the first
    model does not take."""
    limits.check_prompt(context, body.texts(), "prompt" if body.messages is None else "messages")
    return text_models(context, body.model, functools.partial(_check, body))


def _check(body: ChatRequest, model: Model) -> None:
    """Raises ApiError for what the model does not take, before it is called."""
    catalogue.check_sampling(model, body.sampling())
    for ability, param in body.abilities().items():
        catalogue.check_ability(model, ability, param)
    param = "prompt" if body.messages is None else "messages"
    catalogue.check_window(model, body.texts(), body.max_tokens or 0, param)


def _prompt(body: ChatRequest, model: Model, history: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """Return the request's messages after as much history as the model's context holds; None without a history."""
    if not history:
        return None
    turn = body.turn()
    budget = (model.context_window or 1_000_000) - (body.max_tokens or token_counts.ANSWER_TOKENS)
    kept = select_recent(history, budget - sum(token_counts.estimate_message(message) for message in turn))
    # the client's system messages apply to the whole conversation
    system = [message for message in turn if message["role"] == "system"]
    return [*system, *kept, *(message for message in turn if message["role"] != "system")]


# ---- completion --------------------------------------------------------------------------------------------------


async def _streamed(
    context: Context, body: ChatRequest, answer: ModelResponse, conversation: Conversation | None
) -> Response:
    if not answer.is_stream:  # the model ignores `stream`, or is in JSON mode
        whole = await answer.object()
        if conversation:
            await conversation.append([*body.turn(), _message(whole)])
        return priced(answer.response("".join(as_frames(whole)), EVENT_STREAM), answer, whole)

    async def store(completion: Completion) -> None:
        if conversation:
            await conversation.append([*body.turn(), completion.message()])

    end = AnswerEpilogue(answer, failure_formatter(context.request_id), store if conversation else None)
    return answer.response(await pipe_answer(context.streams, end))


async def _with_tools(
    context: Context,
    body: ChatRequest,
    models: list[Model],
    conversation: Conversation | None,
    history: list[dict[str, Any]],
) -> Response:
    names = None if body.worker_tools is True else body.worker_tools
    prompts = {model.id: _prompt(body, model, history) or body.turn() for model in models}
    loop = tool_loop.ToolLoop(context, models, tools.select(names), prompts, body.inputs, body.gateway)
    if body.stream and "output" in context.settings.guarded:
        return await _loop_buffered(context, loop, body, conversation, history)
    if body.stream:
        first = await loop.start_round()
        return first.response(context.streams.generate(_loop_stream(context, loop, body, conversation)))
    whole = await loop.run()
    response = priced(loop.answer.response(json.dumps(whole, ensure_ascii=False)), loop.answer, whole)
    await guard.check_output(context, [*history, *body.turn()], loop.outputs, body.gateway)
    if conversation:
        await conversation.append([*body.turn(), *loop.messages])
    return response


async def _loop_stream(
    context: Context, loop: tool_loop.ToolLoop, body: ChatRequest, conversation: Conversation | None
) -> AsyncGenerator[str | bytes]:
    try:
        async with aclosing(loop.stream()) as parts:
            async for part in parts:
                yield part
        if conversation:
            await conversation.append([*body.turn(), *loop.messages])
    except ApiError as error:
        yield frame(error.to_json(context.request_id), "error")


async def _loop_buffered(
    context: Context,
    loop: tool_loop.ToolLoop,
    body: ChatRequest,
    conversation: Conversation | None,
    history: list[dict[str, Any]],
) -> Response:
    """Return everything `_loop_stream` would send, once it is complete and the guard has passed it."""
    await loop.start_round()
    parts = [part async for part in loop.stream()]
    await guard.check_output(context, [*history, *body.turn()], loop.outputs, body.gateway)
    if conversation:
        await conversation.append([*body.turn(), *loop.messages])
    return loop.answer.response("".join(parts), EVENT_STREAM)


def _message(whole: Mapping[str, Any]) -> dict[str, Any]:
    completion = Completion()
    completion.add(dict(whole))
    return completion.message()


def priced(response: Response, answer: ModelResponse, whole: Mapping[str, Any]) -> Response:
    """Add `x-neurons`, the cost of the completion, where usage and prices are known."""
    neurons = answer.record_usage(whole.get("usage") or {})
    if neurons is not None:
        response.headers["x-neurons"] = f"{neurons:.4g}"
    return response
