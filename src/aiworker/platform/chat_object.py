"""The inside of a conversation's Durable Object: what it stores, the answers that it writes, and their readers."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import js
from pyodide.ffi import JsException, create_once_callable, create_proxy
from workers import Request as WorkersRequest

from aiworker.auth.budget import RequestBudget, budgets_of
from aiworker.bindings import Conversation, Unbound
from aiworker.context import ClientResources
from aiworker.conversation_index import IndexedConversation
from aiworker.conversations import CONVERSATION, ConversationStore, OwnConversation
from aiworker.errors import KINDS, ApiError
from aiworker.generation.answer_store import AnswerStore
from aiworker.generation.answers import Answers, LiveAnswer
from aiworker.http.messages import JsHandle
from aiworker.log import RequestLog
from aiworker.models.answer_reader import broken_stream_error
from aiworker.models.ui_message_writer import UiMessageWriter
from aiworker.object_storage import Deadlines
from aiworker.platform.durable_objects import ObjectStorage
from aiworker.platform.environment import settings
from aiworker.platform.javascript import error_message, js_object
from aiworker.platform.resources import analytics, request_adapters
from aiworker.platform.streams import DEFECT
from aiworker.platform.time_limits import time_limits
from aiworker.platform.worker import write_line
from aiworker.routes.ui_chat.answer import ChatAnswer
from aiworker.routes.ui_chat.chat_schema import AnswerOrder

DAY = 86_400
"""Seconds."""


class ConversationObject:
    """The object of one conversation, or chat."""

    def __init__(self, execution: Any) -> None:
        """execution: the object's context from the platform."""
        self._execution = execution
        self._storage = ObjectStorage(execution.storage)
        self._deadlines = Deadlines(self._storage, time.time)
        self.store = ConversationStore(self._storage, self._deadlines, settings().conversation_days * DAY)
        self._answers = Answers(
            AnswerStore(self._storage), self._deadlines, JsTimers(), settings().chat_resume_seconds
        )  # fmt: skip

    async def fetch(self, request: WorkersRequest) -> js.Response:
        """Begin an answer for a POST, whose body is an AnswerOrder; else send the last one, or status 204."""
        js_request: Any = request.js_object
        if js_request.method == "POST":
            return await self._start(AnswerOrder.model_validate_json(await js_request.text()))
        if self._answers.live:
            return js.Response.new(_stream_of(self._answers.live))
        frames = await self._answers.stored()
        return js.Response.new(frames, js_object({"status": 204 if frames is None else 200}))

    def stop(self, message_id: str) -> bool:
        """Stop the answer of this id, or whichever is being written for an empty one; False if there is none."""
        return self._answers.stop(message_id or None, "stopped")

    async def erase(self) -> None:
        self._answers.delete()
        await self.store.erase()

    async def wake(self) -> None:
        """Do what is due: the object's alarm."""
        due = await self._deadlines.take()
        # an object whose alarm was set before there were deadlines has a conversation only
        if CONVERSATION in due.names or not due.has_more:
            await self.erase()
        else:
            self._answers.delete()

    async def _start(self, order: AnswerOrder) -> js.Response:
        abort = js.AbortController.new()
        log = RequestLog(
            "POST", analytics(), write_line, request_id=order.request_id, route="/api/chat", caller=order.caller
        )
        log.started -= order.milliseconds / 1000
        log.log_prompts = settings().log_prompts
        resources = _resources(order, log, abort)
        writer = UiMessageWriter(runs_tools=bool(order.request.worker_tools))
        answer = await self._answers.start(order.message_id, writer, lambda: abort.abort("stopped"))
        task = self._write(ChatAnswer(resources, order, answer, self._conversation(order, resources), _consume), answer)
        # while it runs, the object is not evicted, whether anybody listens or not
        self._execution.waitUntil(asyncio.ensure_future(task))
        try:
            headers = await answer.begun
        except ApiError as error:
            body = {**error.to_json(order.request_id)["error"], "headers": error.headers}
            return js.Response.new(json.dumps(body), js_object({"status": KINDS[error.type].status}))
        return js.Response.new(_stream_of(answer), js_object({"headers": dict(headers)}))

    async def _write(self, work: ChatAnswer, answer: LiveAnswer) -> None:
        limits = time_limits()
        try:
            await work.run()
            await self._answers.end(answer)
        finally:
            limits.end()

    def _conversation(self, order: AnswerOrder, resources: ClientResources) -> Conversation:
        conversation = OwnConversation(self.store, replaces_last=order.request.is_repeated)
        if isinstance(resources.database, Unbound):
            return conversation
        owner = resources.caller.conversation_owner
        return IndexedConversation(conversation, resources.database, owner, order.request.id)


def _resources(order: AnswerOrder, log: RequestLog, abort: Any) -> ClientResources:
    """Return resources whose model calls end with the AbortController, and whose costs are the caller's."""
    known = settings()
    caller = order.known_caller(known.policy.keys)
    budget = RequestBudget()
    resources = ClientResources(
        settings=known, caller=caller, log=log, request_budget=budget, **request_adapters(abort)
    )  # fmt: skip
    for each in budgets_of(resources.budgets, caller.key, known.daily_neurons):
        budget.charge_to(each, order.request_id)
    return resources


# ---- streams -----------------------------------------------------------------------------------------------------


async def _consume(body: JsHandle, write: Callable[[bytes], None]) -> None:
    """Hand each chunk of a body to a function, as it arrives. Raises ApiError `upstream_error` if it breaks off."""
    defects: list[Exception] = []

    def pass_on(chunk: Any, controller: Any) -> None:
        try:
            write(chunk.to_bytes())
        except Exception as error:
            defects.append(error)
            controller.error(js.Error.new(DEFECT))

    # a callback for each chunk costs a fraction of awaiting each chunk
    sink = js.Object.new()
    sink.write = create_proxy(pass_on)
    stream: Any = body
    try:
        await stream.pipeTo(js.WritableStream.new(sink))
    except JsException as error:
        raise defects[0] if defects else broken_stream_error(error_message(error)) from error
    finally:
        sink.write.destroy()


def _stream_of(answer: LiveAnswer) -> Any:
    """Return a ReadableStream of an answer from its beginning."""
    return _Reader(answer).stream()


class _Reader:
    """The source of one ReadableStream. It listens from the first time that somebody reads."""

    def __init__(self, answer: LiveAnswer) -> None:
        self._answer = answer
        self._position = 0
        self._is_listening = False
        self._is_over = False
        self._waiting: Any = None
        """Promise of the read that waits for more, with its functions; None if none does."""
        self._controller: Any = None
        self._proxies = (create_proxy(self._pull), create_proxy(self._cancel))

    def stream(self) -> Any:
        source = js.Object.new()
        source.pull, source.cancel = self._proxies
        return js.ReadableStream.new(source, js_object({"highWaterMark": 0}))

    def _pull(self, controller: Any) -> Any:
        if self._is_over:
            return None
        if not self._is_listening:
            self._is_listening = True
            self._answer.add_listener()
            self._controller = controller
        if self._send():
            return None
        self._waiting = js.Promise.withResolvers()
        self._answer.wait(self._wake)
        return self._waiting.promise

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        self._send()
        waiting.resolve()

    def _send(self) -> bool:
        """Send what there is, or close; return False if there is nothing."""
        frames, self._position = self._answer.read(self._position)
        if frames:
            chunk = js.Uint8Array.new(len(frames))
            chunk.assign(frames)
            self._controller.enqueue(chunk)
            return True
        if self._answer.is_over:
            controller = self._controller
            self._end()  # marked first: closing may call pull again
            controller.close()
            return True
        return False

    def _cancel(self, _reason: Any = None) -> None:
        self._answer.cancel_wait(self._wake)
        self._end()

    def _end(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._controller = None
        if self._is_listening:
            self._answer.remove_listener()
        # deferred, because one of them is being called
        js.setTimeout(create_once_callable(self._destroy), 0)

    def _destroy(self) -> None:
        for proxy in self._proxies:
            proxy.destroy()


class JsTimers:
    """aiworker.generation.answers.Timers by setTimeout."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Callable[[], None]:
        function = create_once_callable(callback)
        timer = js.setTimeout(function, round(seconds * 1000))

        def cancel() -> None:
            js.clearTimeout(timer)
            function.destroy()

        return cancel
