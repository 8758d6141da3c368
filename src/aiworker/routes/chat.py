"""`POST /chat`: a completion of a prompt or a conversation, streamed by default.

Where possible the model's stream goes to the client unread. Python reads it only where something depends on its
content: a conversation that stores it, the Worker's own tools, a guard.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from aiworker.auth import limits
from aiworker.bindings import Conversation, Inputs
from aiworker.context import Context
from aiworker.conversations import select_recent
from aiworker.errors import ApiError
from aiworker.http.body import EVENT_STREAM, JSON
from aiworker.http.messages import Response
from aiworker.models import guard, system_prompt, token_counts, tool_loop, tool_selection
from aiworker.models.catalogue import Model
from aiworker.models.completion import (
    Completion,
    as_frames,
    failure_formatter,
    frame,
    is_done,
    read_completion,
    with_calls,
)
from aiworker.models.model_call import Candidate, ModelCall
from aiworker.models.model_response import ModelResponse, ResponseEpilogue, pipe_response
from aiworker.models.selection import text_models
from aiworker.routes.attachments import Attachments
from aiworker.routes.chat_schema import ChatReply, ChatRequest
from aiworker.routing import EVENTS, MODEL_ERRORS, Returns, route
from aiworker.settings import Settings


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
    limits.check_prompt(context, body.texts(), body.input_field)
    models = text_models(context, body.model, body.check)  # refuses the request before its attachments are fetched
    if body.has_attachments:
        body = await Attachments(context).resolve(body)
        models = text_models(context, body.model, body.check)
    conversation = context.conversation(body.conversation) if body.conversation else None
    history = await conversation.history() if conversation else []
    messages = [*history, *body.turn()] if context.settings.guarded else []  # only the guard reads them
    candidates = [
        Candidate(model, Inputs(body.inputs(model, prompt_messages(context.settings, body, model, history))))
        for model in models
    ]
    inputs = candidates[0].inputs.fields
    await guard.check_input(context, messages, body.gateway, stored=len(history), inputs=inputs)
    if body.worker_tools:
        return await _with_tools(context, body, models, conversation, history)
    model_response = await ModelCall(context, candidates, body.gateway).run()
    model_response = await guard.screen_response(context, messages, model_response, body.gateway)
    if body.stream:
        return await _streamed(context, body, model_response, conversation)
    data = await _whole(context, body, model_response, conversation)
    return model_response.json_response(data, data.get("usage"))


# ---- prompt ------------------------------------------------------------------------------------------------------


def prompt_messages(
    settings: Settings, body: ChatRequest, model: Model, history: list[dict[str, Any]]
) -> list[dict[str, Any]] | None:
    """Return the request's messages after as much history as the model's context holds; None without a history."""
    if not history:
        return None
    turn = body.turn()
    budget = (model.context_window or 1_000_000) - (body.max_tokens or token_counts.ANSWER_TOKENS)
    budget -= system_prompt.estimate_tokens(settings)
    past = select_recent(history, budget - sum(token_counts.estimate_message(message) for message in turn))
    # the client's system messages apply to the whole conversation
    system = [message for message in turn if message["role"] == "system"]
    return [*system, *past, *(message for message in turn if message["role"] != "system")]


# ---- completion --------------------------------------------------------------------------------------------------


async def _streamed(
    context: Context, body: ChatRequest, model_response: ModelResponse, conversation: Conversation | None
) -> Response:
    if not model_response.is_stream:  # the model ignores `stream`, or is in JSON mode
        data = await _whole(context, body, model_response, conversation)
        return model_response.whole_response("".join(as_frames(data)), EVENT_STREAM, data.get("usage"))

    if body.required_tools() and model_response.buffered is None:
        # the answer is a call: the client cannot use a part of it, and it may have to be read from the text
        model_response = replace(model_response, buffered=await model_response.text())
    if model_response.buffered and (frames := _written_calls(body, model_response.buffered, context.request_id)):
        model_response = replace(model_response, buffered=frames)

    async def store(completion: Completion) -> None:
        await _store(conversation, body, [completion.message()])

    end = ResponseEpilogue(model_response, failure_formatter(context.request_id), store if conversation else None)
    return model_response.response(await pipe_response(context.streams, end))


async def _whole(
    context: Context, body: ChatRequest, model_response: ModelResponse, conversation: Conversation | None
) -> dict[str, Any]:
    """Return an answer that is not a stream, with its tool calls in order; store it in the conversation."""
    data, completion = await model_response.answer(context.request_id, body.call_ids())
    completion.take_written_calls(body.required_tools())
    await _store(conversation, body, [completion.message()])
    return with_calls(data, completion)


def _written_calls(body: ChatRequest, stream: str, answer_id: str) -> str:
    """Return the frames of a stream whose text is a required tool call, with the call in place of the text; else ""."""
    try:
        completion = read_completion(stream.encode(), answer_id=answer_id)
    except ApiError:  # the end of the stream tells so
        return ""
    if completion.tool_calls or not is_done(stream.encode()):
        return ""
    completion.take_written_calls(body.required_tools())
    is_openai = '"choices"' in stream
    whole: dict[str, Any] = {"choices": [{"index": 0, "message": {"role": "assistant"}}]} if is_openai else {}
    frames = as_frames({**with_calls(whole, completion), "usage": completion.usage})
    return "".join(frames) if completion.tool_calls else ""


async def _store(conversation: Conversation | None, body: ChatRequest, messages: list[dict[str, Any]]) -> None:
    """Store the turn in the conversation, if there is one; an answer without a text and calls is not stored."""
    if conversation and (messages[-1]["content"] or messages[-1].get("tool_calls")):
        await conversation.append([*body.turn(), *messages])


async def _with_tools(
    context: Context,
    body: ChatRequest,
    models: list[Model],
    conversation: Conversation | None,
    history: list[dict[str, Any]],
) -> Response:
    names = None if body.worker_tools is True else body.worker_tools
    prompts = {model.id: prompt_messages(context.settings, body, model, history) or body.turn() for model in models}
    tools = await tool_selection.select(context, names)
    loop = tool_loop.ToolLoop(context, models, tools, prompts, body.inputs, body.gateway)
    if body.stream and "output" in context.settings.guarded:
        return await _loop_buffered(context, loop, body, conversation, history)
    if body.stream:
        first = await loop.start_round()
        parts = _loop_stream(context, loop, body, conversation)
        return first.response(context.streams.generate(parts), EVENT_STREAM)
    data = await loop.run()
    response = loop.answer.json_response(data, data.get("usage"))
    await guard.check_output(context, [*history, *body.turn()], loop.outputs, body.gateway)
    await _store(conversation, body, loop.messages)
    return response


async def _loop_stream(
    context: Context, loop: tool_loop.ToolLoop, body: ChatRequest, conversation: Conversation | None
) -> AsyncGenerator[str | bytes]:
    try:
        async with aclosing(loop.stream()) as parts:
            async for part in parts:
                yield part
        await _store(conversation, body, loop.messages)
    except ApiError as error:
        yield frame(error.to_json(context.request_id), "error")


async def _loop_buffered(
    context: Context,
    loop: tool_loop.ToolLoop,
    body: ChatRequest,
    conversation: Conversation | None,
    history: list[dict[str, Any]],
) -> Response:
    """Return everything that `_loop_stream` would send, after the guard has judged it."""
    await loop.start_round()
    parts = [part async for part in loop.stream()]
    await guard.check_output(context, [*history, *body.turn()], loop.outputs, body.gateway)
    await _store(conversation, body, loop.messages)
    return loop.answer.response("".join(parts), EVENT_STREAM)
