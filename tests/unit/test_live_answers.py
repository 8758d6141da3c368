"""Answers that are written for readers who come and go, and kept: nothing is lost, and nothing doubled."""

import random
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from aiworker.conversations import CONVERSATION, ConversationStore, OwnConversation
from aiworker.errors import ApiError
from aiworker.generation.answer_store import MAX_ROW, AnswerStore
from aiworker.generation.answers import ANSWER, ORPHAN_SECONDS, Answers, LiveAnswer
from aiworker.models.ui_message_writer import INTERRUPTED, UiMessageWriter, join_deltas
from aiworker.object_storage import Deadlines

SECONDS = 60


class FakeStorage:
    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        self.alarm: float | None = None

    def execute(self, query: str, *values: str | float) -> list[list[Any]]:
        return [list(row) for row in self._connection.execute(query, values)]

    async def wake_in(self, seconds: float) -> None:
        self.alarm = seconds

    async def erase(self) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        self.alarm = None


class FakeTimers:
    def __init__(self) -> None:
        self.waiting: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Callable[[], None]:
        entry = (seconds, callback)
        self.waiting.append(entry)
        return lambda: self.waiting.remove(entry)

    def fire(self, seconds: float) -> None:
        [entry] = [each for each in self.waiting if each[0] == seconds]
        self.waiting.remove(entry)
        entry[1]()


class Chat:
    """The object of a chat; `restart` is what a crash leaves of it."""

    def __init__(self) -> None:
        self.storage = FakeStorage()
        self.now = 0.0
        self.cancelled = 0
        self.restart()

    def restart(self) -> None:
        self.timers = FakeTimers()
        self.deadlines = Deadlines(self.storage, lambda: self.now)
        self.answers = Answers(AnswerStore(self.storage), self.deadlines, self.timers, SECONDS)

    async def start(self, message_id: str = "m") -> LiveAnswer:
        def cancel() -> None:
            self.cancelled += 1

        return await self.answers.start(message_id, UiMessageWriter(runs_tools=False), cancel)


class Reader:
    """Reads on each time it is woken, as often as it wants."""

    def __init__(self, answer: LiveAnswer) -> None:
        self.answer = answer
        self.position = 0
        self.text = b""
        answer.add_listener()
        self.read()

    def read(self) -> None:
        frames, self.position = self.answer.read(self.position)
        self.text += frames
        if not self.answer.is_over:
            self.answer.wait(self.read)


def piece(answer: LiveAnswer, text: str) -> None:
    answer.write(answer.writer.text(f'"{text}"'.encode()))


async def test_readers_get_all_of_it_whenever_they_come_and_so_does_the_store() -> None:
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    chat = Chat()
    answer = await chat.start()
    readers: list[Reader] = []
    for number in range(200):
        piece(answer, f"{number} ")
        if chance.random() < 0.1:
            readers.append(Reader(answer))
        if chance.random() < 0.1:
            chat.timers.fire(0.25)
    answer.complete(answer.writer.finish({}))
    readers.append(Reader(answer))
    whole = {join_deltas(reader.text) for reader in readers}
    stored = await chat.answers.stored()
    assert stored is not None
    assert whole == {join_deltas(stored.encode())}, seed
    assert whole.pop().count(b"text-delta") == 1


async def test_frames_stored_before_a_crash_are_there_once_and_end_as_interrupted() -> None:
    chat = Chat()
    answer = await chat.start()
    piece(answer, "kept")
    chat.timers.fire(0.25)
    piece(answer, "lost")
    chat.restart()
    frames = await chat.answers.stored()
    assert frames is not None
    assert (frames.count("kept"), frames.count("lost"), frames.count("text-end")) == (1, 0, 1)
    assert INTERRUPTED in frames
    assert frames == await chat.answers.stored()
    assert chat.storage.alarm == SECONDS


async def test_an_answer_without_listeners_is_stopped_after_a_while() -> None:
    chat = Chat()
    answer = await chat.start()
    reader = Reader(answer)
    assert [seconds for seconds, _ in chat.timers.waiting] == []
    answer.remove_listener()
    Reader(answer)
    assert chat.timers.waiting == []
    answer.remove_listener()
    chat.timers.fire(SECONDS)
    assert (answer.is_over, answer.is_stopped, answer.is_abandoned, chat.cancelled) == (True, True, True, 1)
    assert b'"abort"' in reader.text
    assert chat.timers.waiting == []


async def test_nothing_is_added_to_an_answer_that_is_over() -> None:
    chat = Chat()
    answer = await chat.start()
    assert chat.answers.stop("another", "stopped") is False
    assert chat.answers.stop("m", "stopped") is True
    before = await chat.answers.stored()
    piece(answer, "late")
    answer.complete(b"late")
    answer.fail(ApiError("upstream_error", "late"))
    assert await chat.answers.stored() == before
    assert chat.answers.stop(None, "stopped") is True
    assert chat.answers.stop("another", "stopped") is False
    assert chat.cancelled == 1


async def test_a_further_answer_takes_the_place_of_the_one_before() -> None:
    chat = Chat()
    first = await chat.start("first")
    piece(first, "first")
    second = await chat.start("second")
    assert (first.is_stopped, chat.cancelled) == (True, 1)
    piece(second, "second")
    await chat.answers.end(first)
    assert chat.answers.live is second
    second.complete()
    await chat.answers.end(second)
    assert chat.answers.live is None
    frames = await chat.answers.stored()
    assert frames is not None
    assert "first" not in frames


async def test_an_answer_that_does_not_begin_is_not_kept() -> None:
    chat = Chat()
    answer = await chat.start()
    reader = Reader(answer)
    answer.fail(ApiError("upstream_error", "No model."))
    with pytest.raises(ApiError, match=r"No model\."):
        await answer.begun
    assert b"No model." in reader.text
    assert await chat.answers.stored() is None


async def test_reading_and_deleting_create_nothing() -> None:
    chat = Chat()
    assert await chat.answers.stored() is None
    assert chat.answers.stop(None, "stopped") is False
    chat.answers.delete()
    assert await chat.deadlines.take() == (set(), False)
    assert chat.storage.execute("SELECT * FROM sqlite_master") == []


async def test_long_answers_are_stored_in_rows_that_fit() -> None:
    storage = FakeStorage()
    store = AnswerStore(storage)
    store.start("m")
    store.add("x" * (2 * MAX_ROW + 1))
    assert storage.execute("SELECT length(frames) FROM answer_frames") == [[MAX_ROW], [MAX_ROW], [1]]
    answer = store.read()
    assert answer is not None
    assert len(answer.frames) == 2 * MAX_ROW + 1


# ---- deadlines ---------------------------------------------------------------------------------------------------


async def test_the_alarm_is_set_for_what_comes_first() -> None:
    chat = Chat()
    store = ConversationStore(chat.storage, chat.deadlines, 2 * ORPHAN_SECONDS)
    answer = await chat.start()
    assert chat.storage.alarm == ORPHAN_SECONDS
    await store.append('[{"role":"user","content":"Hello"}]')
    assert chat.storage.alarm == ORPHAN_SECONDS
    answer.complete()
    await chat.answers.end(answer)
    assert chat.storage.alarm == SECONDS
    chat.now = SECONDS
    assert await chat.deadlines.take() == ({ANSWER}, True)
    assert chat.storage.alarm == 2 * ORPHAN_SECONDS - SECONDS
    chat.now = 2 * ORPHAN_SECONDS
    assert await chat.deadlines.take() == ({CONVERSATION}, False)


async def test_a_turn_that_is_written_again_takes_the_place_of_the_last() -> None:
    chat = Chat()
    store = ConversationStore(chat.storage, chat.deadlines, 1)
    again = OwnConversation(store, replaces_last=True)
    assert await again.history() == []
    await again.append([{"role": "user", "content": "first"}])
    own = OwnConversation(store, replaces_last=False)
    await own.append([{"role": "user", "content": "second"}])
    assert [message["content"] for message in await again.history()] == ["first"]
    await again.append([{"role": "user", "content": "third"}])
    assert [message["content"] for message in await own.history()] == ["first", "third"]
