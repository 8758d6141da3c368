"""Items of stored turns: numbers that stay, deletions, metadata; over a real SQLite."""

import json
from typing import Any

from aiworker.conversations import CONVERSATION, ConversationStore, OwnConversation, item_numbers, without_item
from tests.unit.test_live_answers import Chat

CALLS = [{"id": name, "function": {"name": name, "arguments": "{}"}} for name in ("one", "two")]
TURN: list[dict[str, Any]] = [
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Let me see.", "tool_calls": CALLS},
    {"role": "tool", "tool_call_id": "one", "content": ""},
    {"role": "assistant", "content": "Good day"},
]


def test_a_text_and_each_call_are_items() -> None:
    assert item_numbers(TURN) == [[0], [1, 2, 3], [4], [5]]


def test_numbers_stay_when_items_are_deleted() -> None:
    turn = TURN
    for number, left in [(0, [[1, 2, 3], [4], [5]]), (1, [[2, 3], [4], [5]]), (3, [[2], [4], [5]]),
                         (4, [[2], [5]]), (2, [[5]]), (5, [])]:  # fmt: skip
        turn = without_item(turn, number)
        assert item_numbers(turn) == left
    assert without_item(TURN, 6) is TURN


def test_a_deleted_item_is_gone_and_the_rest_as_it_was() -> None:
    turn = without_item(without_item(TURN, 1), 3)
    assert turn[1] == {"role": "assistant", "content": "", "tool_calls": [CALLS[0]], "items": [2]}
    assert "Let me see" not in json.dumps(turn)
    assert without_item(without_item(turn, 2), 0)[0]["role"] == "tool"


async def test_a_store_deletes_an_item_and_models_see_no_numbers() -> None:
    chat = Chat()
    store = ConversationStore(chat.storage, chat.deadlines, 1)
    assert (store.turns(), store.delete_item(1, 0), store.metadata()) == ("[]", False, "{}")
    await store.append(json.dumps(TURN))
    await store.append(json.dumps(TURN[:1]))
    assert [turn for turn, _ in json.loads(store.turns())] == [1, 2]
    assert store.delete_item(1, 1)
    assert not store.delete_item(1, 1)
    assert not store.delete_item(3, 0)
    assert "items" not in store.history()
    assert json.loads(store.history())[1] == {**TURN[1], "content": ""}
    assert store.delete_item(2, 0)  # the last item takes its turn with it
    assert [turn for turn, _ in json.loads(store.turns())] == [1]


async def test_metadata_is_kept_as_long_as_a_turn() -> None:
    chat = Chat()
    conversation = OwnConversation(ConversationStore(chat.storage, chat.deadlines, 60), replaces_last=False)
    await conversation.set_metadata({"topic": "rain"})
    await conversation.set_metadata({"topic": "snow"})
    assert await conversation.metadata() == {"topic": "snow"}
    assert await conversation.turns() == []
    chat.now = 60
    assert (await chat.deadlines.take()).names == {CONVERSATION}
    await conversation.erase()
    assert await conversation.metadata() == {}
