"""The answers of one chat: the one that is being written, its readers, and the last one as it is stored.

Frames are kept as they are written, so that every reader gets all of them, whenever it comes. Nothing here awaits
between two frames.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from aiworker.errors import ApiError
from aiworker.generation.answer_store import AnswerStore
from aiworker.models.ui_message_writer import UiMessageWriter, interruption, join_deltas
from aiworker.object_storage import Deadlines

ANSWER = "answer"
"""Name of the deadline at which the last answer is deleted."""
ORPHAN_SECONDS = 86_400
"""Seconds for which an unfinished answer is kept: its client may come back after a crash."""
STORE_SECONDS = 0.25
"""Maximum seconds for which frames are in memory only. A row for each frame would take seven times the processor
time."""


class Timers(Protocol):
    def call_later(self, seconds: float, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back once, after so many seconds; return a function that cancels that."""
        ...


class LiveAnswer:
    """An answer while it is written."""

    def __init__(
        self,
        message_id: str,
        writer: UiMessageWriter,
        store: AnswerStore,
        timers: Timers,
        *,
        seconds: float,
        cancel: Callable[[], None],
    ) -> None:
        """
        seconds: time without a listener after which the answer is stopped.
        cancel: cancels the model call that is running.
        """
        self.message_id = message_id
        self.writer = writer
        self.begun: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()
        """The headers of the response, as soon as the answer begins; raises ApiError for one that does not begin."""
        self.is_over = False
        self.is_stopped = False
        """True if somebody has stopped the answer before it was complete."""
        self.is_abandoned = False
        """True if there was no reader when the answer ended."""
        self._store = store
        self._timers = timers
        self._seconds = seconds
        self._cancel = cancel
        self._frames: list[bytes] = []
        self._stored = 0
        """Number of frames that are stored."""
        self._wake: set[Callable[[], None]] = set()
        """Functions of readers that wait for more."""
        self._listeners = 0
        self._cancel_store: Callable[[], None] | None = None
        self._cancel_stop: Callable[[], None] | None = None
        self._expect_listener()

    # ---- for its writer ------------------------------------------------------------------------------------------

    def start(self, headers: Mapping[str, str]) -> None:
        """Let the response begin. headers: the headers of the model's response."""
        if not self.begun.done():
            self.begun.set_result(headers)

    def write(self, frames: bytes) -> None:
        """Add frames, which readers get at once. Nothing is added to an answer that is over."""
        if not frames or self.is_over:
            return
        self._frames.append(frames)
        if self._cancel_store is None:
            self._cancel_store = self._timers.call_later(STORE_SECONDS, self._store_frames)
        self._wake_readers()

    def complete(self, frames: bytes = b"") -> None:
        """Add the last frames, and store all of them."""
        if self.is_over:
            return
        self._frames.append(frames)
        self.is_over = True
        self.is_abandoned = self._listeners == 0
        for cancel in (self._cancel_store, self._cancel_stop):
            if cancel:
                cancel()
        self._cancel_stop = None
        self._store_frames()
        self._store.complete()
        self._wake_readers()

    def fail(self, error: ApiError) -> None:
        """End the answer with an error; one that has not begun is not stored."""
        is_begun = self.begun.done()
        if not is_begun:
            self.begun.set_exception(error)
            self.begun.exception()  # perhaps no reader waits for it any more
        self.complete(self.writer.fail(error))
        if not is_begun:
            self._store.delete()

    def stop(self, reason: str) -> None:
        """End the answer at once, and cancel the model."""
        if self.is_over:
            return
        self.is_stopped = True
        self.start({})
        self.complete(self.writer.abort(reason))
        self._cancel()

    # ---- for its readers -----------------------------------------------------------------------------------------

    def read(self, position: int) -> tuple[bytes, int]:
        """Return the frames from a position on, and the position behind them. The first position is 0."""
        frames = self._frames[position:]
        joined = b"".join(frames)
        return (join_deltas(joined) if len(frames) > 1 else joined), len(self._frames)

    def add_listener(self) -> None:
        self._listeners += 1
        if self._cancel_stop:
            self._cancel_stop()
            self._cancel_stop = None

    def remove_listener(self) -> None:
        self._listeners -= 1
        if not self._listeners and not self.is_over:
            self._expect_listener()

    def wait(self, wake: Callable[[], None]) -> None:
        """Call `wake` once, when there is more to read, or the answer is over."""
        self._wake.add(wake)

    def cancel_wait(self, wake: Callable[[], None]) -> None:
        self._wake.discard(wake)

    # ---- within --------------------------------------------------------------------------------------------------

    def _wake_readers(self) -> None:
        waiting, self._wake = self._wake, set()
        for wake in waiting:
            wake()

    def _store_frames(self) -> None:
        self._cancel_store = None
        frames, self._stored = self.read(self._stored)
        if frames:
            self._store.add(frames.decode())

    def _expect_listener(self) -> None:
        self._cancel_stop = self._timers.call_later(self._seconds, self._abandon)

    def _abandon(self) -> None:
        self._cancel_stop = None
        self.stop("nobody listens")


class Answers:
    """The answers of one chat, of which at most one is being written."""

    def __init__(self, store: AnswerStore, deadlines: Deadlines, timers: Timers, seconds: float) -> None:
        """seconds: time for which an answer is written without a listener, and for which it is kept after its end."""
        self._store = store
        self._deadlines = deadlines
        self._timers = timers
        self._seconds = seconds
        self._live: LiveAnswer | None = None

    async def start(self, message_id: str, writer: UiMessageWriter, cancel: Callable[[], None]) -> LiveAnswer:
        """Begin an answer; one that is being written still is stopped. cancel: as for LiveAnswer."""
        self.stop(None, "another answer has begun")
        self._store.start(message_id)
        self._live = LiveAnswer(
            message_id, writer, self._store, self._timers, seconds=self._seconds, cancel=cancel
        )  # fmt: skip
        await self._deadlines.set(ANSWER, ORPHAN_SECONDS)
        return self._live

    async def end(self, answer: LiveAnswer) -> None:
        """Keep an answer that is over for a while."""
        if self._live is answer:
            self._live = None
            await self._deadlines.set(ANSWER, self._seconds)

    @property
    def live(self) -> LiveAnswer | None:
        """The answer that is being written."""
        return self._live if self._live and not self._live.is_over else None

    async def stored(self) -> str | None:
        """Return the frames of the last answer; None if there is none. One that was interrupted is ended."""
        answer = self._store.read()
        if answer is None:
            return None
        if answer.is_complete:
            return answer.frames
        end = interruption(answer.frames)
        self._store.add(end)
        self._store.complete()
        await self._deadlines.set(ANSWER, self._seconds)
        return answer.frames + end

    def stop(self, message_id: str | None, reason: str) -> bool:
        """Stop the answer that is being written, if it is of this id, or whichever it is for None.

        Return False if there is no answer of that id, not even one that is complete.
        """
        if self.live and message_id in (None, self.live.message_id):
            self.live.stop(reason)
            return True
        last = self._store.read()
        return last is not None and message_id in (None, last.message_id)

    def delete(self) -> None:
        """Stop and delete the answer."""
        self.stop(None, "the chat was deleted")
        self._live = None
        if self._store.read():
            self._store.delete()
