"""Messages of `useChat` become those of `POST /chat`."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiworker.errors import ApiError
from aiworker.http.body import parse_json_bytes
from aiworker.routes.ui_chat.chat_schema import AnswerOrder, UiChatRequest

PIXEL = "data:image/png;base64,AAAA"


def request(*messages: Any, **fields: Any) -> UiChatRequest:
    body = {"id": "c", "trigger": "submit-message", "messages": messages, **fields}
    return parse_json_bytes(UiChatRequest, json.dumps(body).encode())


def turn(*messages: Any, **fields: Any) -> list[dict[str, Any]]:
    return request(*messages, **fields).to_chat().turn()


def user(*parts: Any) -> dict[str, Any]:
    return {"id": "1", "role": "user", "metadata": {"mine": 1}, "parts": parts}


def assistant(*parts: Any) -> dict[str, Any]:
    return {"id": "2", "role": "assistant", "parts": parts}


def text(content: str) -> dict[str, Any]:
    return {"type": "text", "text": content, "state": "done", "providerMetadata": {"a": {"b": 1}}}


STEP = {"type": "step-start"}
HELLO = user(text("Hello"))


def test_texts_and_images_of_the_user() -> None:
    system = {"id": "0", "role": "system", "parts": [text("Be brief.")]}
    image = {"type": "file", "mediaType": "image/png", "filename": "a.png", "url": PIXEL}
    assert turn(system, user(text("One"), text("two")), user(image, text("What?"))) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One\ntwo"},
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": PIXEL}}, {"type": "text", "text": "What?"}],
        },
    ]


def test_the_assistant_s_steps_with_the_results_of_their_tools() -> None:
    answer = assistant(
        STEP,
        {"type": "reasoning", "text": "Hm.", "state": "done"},
        {"type": "source-url", "sourceId": "s", "url": "https://a.example", "title": "A"},
        text("Let me see."),
        {"type": "tool-f", "toolCallId": "a", "state": "output-available", "input": {"x": 1}, "output": {"y": 2}},
        {"type": "dynamic-tool", "toolName": "g", "toolCallId": "b", "state": "output-error", "errorText": "No."},
        {"type": "tool-h", "toolCallId": "c", "state": "output-denied", "input": {}, "approval": {"id": "1"}},
        {"type": "tool-i", "toolCallId": "d", "state": "input-available", "input": {}},
        STEP,
        text("It is "),
        text("two."),
        {"type": "data-mine", "data": [1]},
    )
    first, *results, last = turn(HELLO, answer, HELLO)[1:-1]
    assert first["content"] == "Let me see."
    assert [call["function"]["name"] for call in first["tool_calls"]] == ["f", "g", "h"]
    assert first["tool_calls"][0]["function"]["arguments"] == '{"x": 1}'
    assert [each["tool_call_id"] for each in results] == ["a", "b", "c"]
    assert [json.loads(each["content"]) for each in results] == [
        {"y": 2}, {"error": "No."}, {"error": "The user has not allowed this call."},
    ]  # fmt: skip
    assert last == {"role": "assistant", "content": "It is two."}


def test_additions_of_the_user_while_the_model_writes_are_messages() -> None:
    steering = {"type": "steering-message", "id": "s", "parts": [text("Briefly, please.")]}
    roles = [message["role"] for message in turn(HELLO, assistant(text("A long"), steering, text("Brief.")), HELLO)]
    assert roles == ["user", "assistant", "user", "assistant", "user"]


def test_an_answer_goes_on_with_the_message_whose_tools_the_page_has_called() -> None:
    called = assistant({"type": "tool-f", "toolCallId": "a", "state": "output-available", "input": {}, "output": 1})
    assert request(HELLO, called).continued_id == "2"
    assert request(HELLO, called, trigger="regenerate-message").continued_id is None
    assert request(HELLO).continued_id is None


def test_an_order_has_all_of_the_request() -> None:
    body = request(HELLO, model="m", documents={"top_k": 3}, top_k=5, messageId="x", worker_tools=None)
    order = AnswerOrder(
        request=body, request_id="req_1", milliseconds=1.5, origin="https://a.example", caller="public", tenant=None,
        subject="", key=None, has_token=False,
    )  # fmt: skip
    assert AnswerOrder.model_validate_json(order.model_dump_json(by_alias=True, exclude_unset=True)) == order
    assert order.message_id == "msg_1"


REFUSED: list[tuple[dict[str, Any], str | None]] = [
    ({"messages": []}, "messages"),
    ({"message": HELLO}, None),
    ({"messages": None}, None),
    ({"messages": None, "message": assistant(text("Hi"))}, None),
    ({"id": "a/b"}, "id"),
    ({"trigger": "resume-stream"}, "trigger"),
    ({"modell": "x"}, "modell"),
    ({"messages": [user(text("Hello")), {"role": "tool", "parts": []}]}, "messages.1.role"),
    ({"messages": [user({"type": "text"})]}, "messages.0.parts.0.text"),
    ({"messages": [user({"type": 1})]}, "messages.0.parts.0.type"),
    ({"messages": [user("Hello")]}, "messages.0.parts.0"),
    ({"messages": [user({"type": "video"})]}, "messages.0.parts.0.type"),
    (
        {"messages": [user({"type": "file", "mediaType": "text/plain", "url": "a.txt"})]},
        "messages.0.parts.0.url",
    ),
    ({"messages": [user({"type": "tool-", "toolCallId": "a", "state": "x"})]}, "messages.0.parts.0"),
    (
        {"messages": [user({"type": "dynamic-tool", "toolCallId": "a", "state": "x"})]},
        "messages.0.parts.0",
    ),
    ({"messages": [user({"type": "data-mine", "data": 1})]}, "messages"),
    ({"messages": [user()]}, "messages"),
    ({"messages": [HELLO, assistant(text("Hi"))], "documents": True}, "messages"),
    ({"documents": {"top_k": 99}}, "documents.top_k"),
    ({"documents": True, "worker_tools": True}, None),
    ({"tools": [], "worker_tools": True}, "tools"),
    ({"tool_choice": "required"}, None),
]


@pytest.mark.parametrize(("fields", "param"), REFUSED)
def test_requests_that_cannot_be_answered_are_refused(fields: dict[str, Any], param: str | None) -> None:
    with pytest.raises(ApiError) as caught:
        request(**{"messages": [HELLO], **fields}).to_chat()
    assert (caught.value.type, caught.value.param) == ("invalid_request", param)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = (
    "text",
    "url",
    "mediaType",
    "toolCallId",
    "toolName",
    "state",
    "input",
    "output",
    "errorText",
    "parts",
    "data",
)
TYPES = ("text", "file", "step-start", "tool-f", "dynamic-tool", "data-x", "reasoning", "steering-message", "odd")
STATES = ("output-available", "output-error", "output-denied", "input-streaming")
PARTS = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES) | JSON, "state": st.sampled_from(STATES), "toolCallId": st.just("a")},
    optional=dict.fromkeys(set(FIELDS) - {"state", "toolCallId"}, JSON),
)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), st.lists(PARTS, max_size=4)), max_size=4))
def test_random_messages_become_a_request_or_an_error_of_ours(messages: list[tuple[str, list[Any]]]) -> None:
    sent = [{"id": "1", "role": role, "parts": parts} for role, parts in messages]
    try:
        chat = request(*sent).to_chat()
    except ApiError:  # anything else fails
        return
    calls = [call["id"] for message in chat.turn() for call in message.get("tool_calls", ())]
    assert calls == [message["tool_call_id"] for message in chat.turn() if message["role"] == "tool"]
