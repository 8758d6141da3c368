"""Answers of models as real upstreams send them: whole and streamed, in every dialect, also where they are odd."""

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiworker.errors import ApiError
from aiworker.models.completion import Completion, as_frames, is_done, read_completion
from aiworker.models.openai_stream import TEXT_FRAME, Limits, OpenAITransform
from aiworker.models.openai_writers import ChatWriter, CollectingWriter, CompletionWriter, Head, chat_completion
from aiworker.models.responses_stream import ResponsesWriter

HEAD = Head("chatcmpl-abc", 1_700_000_000, "@cf/some/model")
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
TEXT = {"response": "Hello"}
UNLIMITED = Limits()
Json = dict[str, Any]


def frames(*data: Any, end: str = "data: [DONE]\n\n") -> bytes:
    return ("".join(f"data: {json.dumps(each)}\n\n" for each in data) + end).encode()


def native(*calls: Json) -> Json:
    return {"response": None, "tool_calls": list(calls)}


def openai(*calls: Json, reason: str | None = None) -> Json:
    return {"choices": [{"index": 0, "delta": {"tool_calls": list(calls)}, "finish_reason": reason}]}


def call(name: str | None = None, arguments: Any = ..., **fields: Any) -> Json:
    """Return a tool call in OpenAI's form. Ellipsis: without arguments."""
    function = {"name": name} if arguments is ... else {"name": name, "arguments": arguments}
    return {**fields, "function": function}


def bare(name: str, arguments: Any = ..., **fields: Any) -> Json:
    return {**fields, "name": name} if arguments is ... else {**fields, "name": name, "arguments": arguments}


# ---- the four readers of an answer: each returns (name, arguments, id) of the calls, and the reason for the end ------

Read = Callable[..., tuple[list[tuple[str, str, str]], str | None]]


def as_chat_stream(*data: Json, limits: Limits = UNLIMITED) -> tuple[list[tuple[str, str, str]], str | None]:
    transform = OpenAITransform(ChatWriter(HEAD), limits, HEAD.id)
    output = (transform.transform(frames(*data)) + transform.finish()).decode()
    chunks = [json.loads(each[6:]) for each in output.split("\n\n") if each.startswith("data: {")]
    calls: dict[int, list[str]] = {}
    for chunk in chunks:
        for each in chunk["choices"][0]["delta"].get("tool_calls", []):
            if "id" in each:
                assert each["index"] not in calls
                calls[each["index"]] = [each["function"]["name"], "", each["id"]]
            calls[each["index"]][1] += each["function"]["arguments"]
    return [(name, text, call_id) for name, text, call_id in calls.values()], chunks[-1]["choices"][0]["finish_reason"]


def as_whole(*data: Json, limits: Limits = UNLIMITED) -> tuple[list[tuple[str, str, str]], str | None]:
    writer = CollectingWriter()
    transform = OpenAITransform(writer, limits, HEAD.id)
    transform.transform(frames(*data))
    transform.finish()
    calls = [(each["function"]["name"], each["function"]["arguments"], each["id"]) for each in writer.calls.values()]
    return calls, writer.finish_reason


def as_response(*data: Json, limits: Limits = UNLIMITED) -> tuple[list[tuple[str, str, str]], str | None]:
    writer = ResponsesWriter({"id": "resp_abc", "model": "m"})
    transform = OpenAITransform(writer, limits, "resp_abc")
    output = (transform.transform(frames(*data)) + transform.finish()).decode()
    items = [each for each in writer.response["output"] if each["type"] == "function_call"]
    events = [json.loads(each.split("\ndata: ")[1]) for each in output.split("\n\n") if each]
    for item in items:
        pieces = [each["delta"] for each in events if each.get("item_id") == item["id"] and "delta" in each]
        assert "".join(pieces) == item["arguments"]
    return [(each["name"], each["arguments"], each["call_id"]) for each in items], None


def as_completion(*data: Json, limits: Limits = UNLIMITED) -> tuple[list[tuple[str, str, str]], str | None]:
    completion = Completion("abc", limits.known_call_ids)
    for each in data:
        completion.add(each)
    return [(each.name, each.arguments, each.id) for each in completion.tool_calls.values()], None


READERS = [as_chat_stream, as_whole, as_response, as_completion]
every_reader = pytest.mark.parametrize("read", READERS, ids=[each.__name__ for each in READERS])

VIGO, BERGEN = '{"at": "Vigo"}', '{"at": "Bergen"}'
TWO = [("tide", VIGO), ("tide", BERGEN)]

NO_ARGUMENTS: list[Any] = ["", None, ..., {}, "{}", "null", " "]
CALLS: dict[str, tuple[list[Json], list[tuple[str, str]]]] = {
    "two native frames without an index": (
        [native(bare("tide", {"at": "Vigo"})), native(bare("tide", {"at": "Bergen"}))], TWO,
    ),
    "two native frames that say the same": (
        [native(bare("tide", {"at": "Vigo"})), native(bare("tide", {"at": "Vigo"}))], [("tide", VIGO)] * 2,
    ),
    "two in one native frame": ([native(bare("tide", VIGO), bare("tide", BERGEN))], TWO),
    "two ids that both have index 0": (
        [openai(call("tide", VIGO, index=0, id="a")), openai(call("tide", BERGEN, index=0, id="b"))], TWO,
    ),
    "two in one frame that both have index 0": (
        [openai(call("tide", VIGO, index=0, id="a"), call("tide", BERGEN, index=0, id="b"))], TWO,
    ),
    "two that both have index 0 and no id": (
        [openai(call("tide", VIGO, index=0)), openai(call("tide", BERGEN, index=0))], TWO,
    ),
    "two that have the same id and other indexes": (
        [openai(call("tide", VIGO, index=0, id="a")), openai(call("tide", BERGEN, index=1, id="a"))], TWO,
    ),
    "two that have the same id and no index": (
        [openai(call("tide", VIGO, id="a")), openai(call("tide", BERGEN, id="a"))], TWO,
    ),
    "pieces": (
        [openai(call("tide", "", index=0, id="a")), openai(call(None, '{"at": ', index=0)),
         openai(call(None, '"Vigo"}', index=0)), openai(call(None, None, index=0, id=None, type=None))],
        TWO[:1],
    ),
    "pieces with the name in each": (
        [openai(call("tide", '{"at": ', index=0, id="a")), openai(call("tide", '"Vigo"}', index=0, id="a"))], TWO[:1],
    ),
    "pieces with the name in each and no id": (
        [openai(call("tide", '{"at": ', index=0)), openai(call("tide", '"Vigo"}', index=0))], TWO[:1],
    ),
    "pieces with neither index nor id": (
        [native(bare("tide", '{"at": ')), native({"arguments": '"Vigo"}'}), native(bare("tide", BERGEN))], TWO,
    ),
    "pieces of two calls mixed": (
        [openai(call("tide", '{"at": ', index=0, id="a")), openai(call("tide", '{"at": ', index=1, id="b")),
         openai(call(None, '"Bergen"}', index=1)), openai(call(None, '"Vigo"}', index=0))],
        TWO,
    ),
    "pieces of two calls mixed, of which only the id tells": (
        [openai(call("tide", '{"at": ', id="a"), call("tide", '{"at": ', id="b")),
         openai(call(None, '"Bergen"}', id="b")), openai(call(None, '"Vigo"}', id="a"))],
        TWO,
    ),
    "pieces of the second call that has index 0 too": (
        [openai(call("tide", VIGO, index=0, id="a")), openai(call("tide", "", index=0, id="b")),
         openai(call(None, BERGEN, index=0))],
        TWO,
    ),
    "arguments twice, the second time whole": (
        [openai(call("tide", '{"at": ', index=0, id="a")), openai(call(None, '"Vigo"}', index=0)),
         openai(call(None, VIGO, index=0)), openai(call("tide", {"at": "Vigo"}, index=0, id="a"))],
        TWO[:1],
    ),
    "arguments in both places": ([native({**bare("tide", BERGEN), **call("tide", VIGO)})], TWO[:1]),
    "an empty object before the arguments": (
        [openai(call("tide", "{}", index=0, id="a")), openai(call(None, VIGO, index=0))], TWO[:1],
    ),
    "parameters": ([native({"name": "tide", "parameters": {"at": "Vigo"}})], TWO[:1]),
    "an object in OpenAI's form": ([openai(call("tide", {"at": "Vigo"}, index=0, id="a"))], TWO[:1]),
    "text beyond ASCII": ([native(bare("tide", {"at": "Tromsø"}))], [("tide", '{"at": "Tromsø"}')]),
    "braces in texts": (
        [openai(call("tide", '{"at": "}\\', index=0)), openai(call(None, '"{"', index=0)),
         openai(call(None, "}", index=0))],
        [("tide", '{"at": "}\\"{"}')],
    ),
    "the older function_call": (
        [{"choices": [{"delta": {"function_call": {"name": "tide", "arguments": VIGO}}}]}], TWO[:1],
    ),
    "calls that are one object": ([{"response": "", "tool_calls": bare("tide", VIGO)}], TWO[:1]),
    "items that are none": (
        [native(bare("tide", VIGO)), {"response": "", "tool_calls": [None, 5, "tide", {}, {"name": 5}, {"name": ""}]}],
        TWO[:1],
    ),
    "an index that is none": ([openai(call("tide", VIGO, index="0"), call("tide", BERGEN, index=None))], TWO),
    "both dialects at once": ([{**native(bare("tide", VIGO)), **openai(call("tide", VIGO, index=0, id="a"))}], TWO[:1]),
    **{
        f"arguments {each!r}": ([native(bare("now", each)), openai(call("now", each))], [("now", "{}")] * 2)
        for each in NO_ARGUMENTS
    },
}  # fmt: skip


@every_reader
@pytest.mark.parametrize("name", CALLS)
def test_tool_calls_are_told_apart_however_they_come(read: Read, name: str) -> None:
    data, expected = CALLS[name]
    calls, _ = read(*data)
    assert [(name, text.strip()) for name, text, _ in calls] == expected
    ids = [call_id for *_, call_id in calls]
    assert all(ids)
    assert len(set(ids)) == len(ids)


@every_reader
@pytest.mark.parametrize("call_id", [None, "", "call_0", "call_abc0", 7])
def test_an_id_is_unique_in_the_conversation(read: Read, call_id: Any) -> None:
    known = frozenset({"call_0", "call_abc0", "call_abc1", "7"})
    calls, _ = read(openai(call("tide", VIGO, id=call_id), call("tide", BERGEN, id=call_id)),
                    limits=Limits(known_call_ids=known))  # fmt: skip
    ids = {each[2] for each in calls}
    assert len(ids) == 2
    assert not ids & known


@every_reader
def test_an_id_that_no_other_call_has_is_kept(read: Read) -> None:
    assert read(openai(call("tide", VIGO, id="call_Kx")))[0][0][2] == "call_Kx"


@pytest.mark.parametrize("read", [as_chat_stream, as_whole])
@pytest.mark.parametrize(
    ("reason", "with_calls", "without"),
    [
        (None, "tool_calls", "stop"),
        ("stop", "tool_calls", "stop"),
        ("eos", "tool_calls", "stop"),
        ("end_turn", "tool_calls", "stop"),
        ("STOP", "tool_calls", "stop"),
        ("tool_calls", "tool_calls", "stop"),
        ("tool_use", "tool_calls", "stop"),
        ("length", "length", "length"),
        ("max_tokens", "length", "length"),
        ("content_filter", "content_filter", "content_filter"),
        (5, "tool_calls", "stop"),
        ("", "tool_calls", "stop"),
    ],
)
def test_the_reason_for_the_end_is_one_that_clients_know(
    read: Read, reason: Any, with_calls: str, without: str
) -> None:
    assert read(openai(call("tide", VIGO)), openai(reason=reason))[1] == with_calls
    assert read({**native(bare("tide", VIGO)), "finish_reason": reason})[1] == with_calls
    assert read({"choices": [{"delta": {"content": "a"}, "finish_reason": reason}]})[1] == without


@pytest.mark.parametrize("read", [as_chat_stream, as_whole, as_response])
def test_only_the_first_call_is_left_of_several(read: Read) -> None:
    data, _ = CALLS["pieces of two calls mixed"]
    assert [each[:2] for each in read(*data, limits=Limits(is_single_call=True))[0]] == TWO[:1]


# ---- how a stream ends -------------------------------------------------------------------------------------------

WRITERS: dict[str, Callable[[], Any]] = {
    "chat": lambda: ChatWriter(HEAD, include_usage=True),
    "completion": lambda: CompletionWriter(HEAD),
    "responses": lambda: ResponsesWriter({"id": "resp_1", "model": HEAD.model}),
}


def transformed(stream: bytes, writer: str = "chat", limits: Limits = UNLIMITED) -> bytes:
    transform = OpenAITransform(WRITERS[writer](), limits, HEAD.id)
    return transform.transform(stream) + transform.finish()


def chunks(stream: bytes, limits: Limits = UNLIMITED) -> list[Json]:
    blocks = transformed(stream, limits=limits).decode().split("\n\n")
    return [json.loads(each[6:]) for each in blocks if each.startswith("data: {")]


def text_of(stream: bytes, limits: Limits = UNLIMITED) -> str:
    return "".join(
        choice["delta"].get("content") or "" for each in chunks(stream, limits) for choice in each.get("choices", [])
    )


STOP: Json = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
WHOLE_ENDS = {
    "a blank line": frames(TEXT),
    "a line feed": frames(TEXT, end="data: [DONE]\n"),
    "nothing": frames(TEXT, end="data: [DONE]"),
    "no space": frames(TEXT, end="data:[DONE]"),
    "CRLF": frames(TEXT, end="data: [DONE]\n\n").replace(b"\n", b"\r\n"),
    "CRLF and no blank line": frames(TEXT, end="data: [DONE]\n").replace(b"\n", b"\r\n"),
    "CR": frames(TEXT, end="data: [DONE]\n\n").replace(b"\n", b"\r"),
    "CR and no blank line": frames(TEXT, end="data: [DONE]").replace(b"\n", b"\r"),
    "a comment behind it": frames(TEXT, end="data: [DONE]\n\n: bye\n\n"),
    "on the next line": frames(end=f"data: {json.dumps(TEXT)}\ndata: [DONE]\n\n"),
    "a reason and no [DONE]": frames(TEXT, STOP, end=""),
    "a reason, usage and no [DONE]": frames(TEXT, STOP, {"choices": [], "usage": USAGE}, end=""),
    "a reason, no blank line and no [DONE]": frames(TEXT, STOP, end="").rstrip(),
    "no choices": frames(TEXT, {"choices": None}, {"choices": []}, {"choices": None, "usage": None}),
    "frames of metadata": frames({"id": "x", "object": "y"}, TEXT, {"choices": "none"}, {"choices": [None]}, {}),
    "comments and events": b": hi\n\nevent: x\nid: 7\n" + frames(TEXT).replace(b"data: [", b": y\nid: 5\ndata: ["),
    "blank lines": b"\n\n\n" + frames(TEXT).replace(b"\n\n", b"\n\n\n\n\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE_ENDS)
def test_a_whole_answer_is_no_error_however_it_ends(name: str) -> None:
    stream = WHOLE_ENDS[name]
    assert text_of(stream) == "Hello"
    assert transformed(stream).endswith(b"data: [DONE]\n\n")
    assert b"error" not in transformed(stream)
    assert read_completion(stream).text == "Hello"
    pieces = OpenAITransform(ChatWriter(HEAD, include_usage=True), answer_id=HEAD.id)
    in_pieces = b"".join(pieces.transform(bytes([byte])) for byte in stream)
    assert in_pieces + pieces.finish() == transformed(stream)


NO_ANSWERS: dict[str, Any] = {
    "a description": {"description": "junk"},
    "an empty object": {},
    "no response": {"response": None},
    "an empty response": {"response": ""},
    "no choices": {"choices": None},
    "empty choices": {"choices": []},
    "a choice without a message": {"choices": [{}]},
    "a choice that is none": {"choices": [None, "Hello", 5]},
    "choices that are no list": {"choices": {"message": {"content": "Hello"}}},
    "a message that is none": {"choices": [{"message": "Hello"}]},
    "calls without a name": {"tool_calls": [{"arguments": "{}"}, {}, None]},
    "no calls": {"response": None, "tool_calls": []},
    "only a prompt's usage": {"response": "", "usage": {"prompt_tokens": 5, "completion_tokens": 0}},
    "an error": {"error": {"message": "overloaded", "code": 3040}},
    "an error as text": {"error": "overloaded"},
    "an error without a message": {"error": {"code": 3040}},
    "errors": {"errors": [{"code": 3040, "message": "overloaded"}], "success": False},
    "an internal code": {"internalCode": 3040, "description": "overloaded"},
    "no success": {"success": False, "result": None},
    "an object that is an error": {"object": "error", "message": "overloaded", "code": 400},
    "an error beside a text": {"response": "Hel", "error": {"message": "overloaded"}},
}


@pytest.mark.parametrize("name", NO_ANSWERS)
def test_an_object_that_is_no_answer_is_an_error(name: str) -> None:
    data = NO_ANSWERS[name]
    with pytest.raises(ApiError) as raised:
        OpenAITransform(CollectingWriter()).transform_whole(data)
    assert raised.value.type == "upstream_error"
    assert "overloaded" in raised.value.message or "overloaded" not in json.dumps(data)
    for writer in WRITERS:
        stream = transformed(frames(data), writer)
        assert b"upstream_error" in stream or b"server_error" in stream
        assert b"[DONE]" not in stream
    completion = Completion()
    with pytest.raises(ApiError):  # noqa: PT012 - either may raise
        completion.add(data)
        completion.check()


@pytest.mark.parametrize("usage", [{"completion_tokens": 4}, USAGE])
def test_an_empty_text_that_the_model_has_written_is_an_answer(usage: Json) -> None:
    assert text_of(frames({"response": "", "usage": usage})) == ""
    assert text_of(frames(STOP)) == ""


# ---- usage -------------------------------------------------------------------------------------------------------


NO_USAGES: list[Any] = [
    None, [], "many", 7, {}, {"prompt_tokens": -1, "completion_tokens": 1e400},
    {"prompt_tokens": True, "completion_tokens": 10**400},
]  # fmt: skip
USAGES: list[tuple[Any, Json]] = [
    (USAGE, USAGE),
    ({"prompt_tokens": "3", "completion_tokens": 2.0}, USAGE),
    ({"prompt_tokens": 3.7, "completion_tokens": "2"}, USAGE),
    ({**USAGE, "total_tokens": None}, USAGE),
    ({**USAGE, "prompt_tokens_details": {"cached_tokens": 1, "audio": None}, "completion_tokens_details": []},
     {**USAGE, "prompt_tokens_details": {"cached_tokens": 1}}),
    ({**USAGE, "cost": -1, "time": "soon", "is_estimate": True, "neurons": 0.25}, {**USAGE, "neurons": 0.25}),
    *((each, {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}) for each in NO_USAGES),
]  # fmt: skip


@pytest.mark.parametrize(("usage", "expected"), USAGES)
def test_only_valid_counts_are_repeated(usage: Any, expected: Json) -> None:
    limits = Limits(prompt_tokens=9)
    assert chunks(frames({**TEXT, "usage": usage}), limits)[-1]["usage"] == expected
    writer = CollectingWriter()
    OpenAITransform(writer, limits).transform_whole({**TEXT, "usage": usage})
    assert writer.usage == expected
    completion = Completion()
    completion.add({**TEXT, "usage": usage})
    assert completion.usage.items() <= expected.items()


def test_the_usage_of_the_whole_counts_and_not_that_of_single_frames() -> None:
    """Workers AI counts each frame of some models by itself, and all together in a last one of the native dialect."""
    each = {"prompt_tokens": 0, "completion_tokens": 1, "total_tokens": 1}
    first = {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3}
    data = [
        {"choices": [{"delta": {"role": "assistant", "content": ""}}], "usage": first},
        *({"choices": [{"delta": {"content": text}}], "usage": each} for text in ("Hel", "lo")),
        {**STOP, "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}},
        {"choices": list[Any](), "usage": each},
        {"response": "", "usage": USAGE},
    ]
    received = chunks(frames(*data))
    assert all("choices" in chunk for chunk in received)
    assert received[-1]["usage"] == USAGE
    assert text_of(frames(*data)) == "Hello"
    assert read_completion(frames(*data)).usage == USAGE


# ---- both dialects in one frame ----------------------------------------------------------------------------------


def both(text: str, **fields: Any) -> Json:
    chunk = {"id": "id-1", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": "@cf/some/model"}
    return {"response": text, **chunk, "choices": [{"index": 0, "delta": {"content": text}, **fields}], "p": "abc"}


def test_a_text_in_both_dialects_is_one_text() -> None:
    stream = frames(both("Hel"), both("lo"), both("", finish_reason="length"), {"response": "", "usage": USAGE})
    assert text_of(stream) == read_completion(stream).text == "Hello"
    assert chunks(stream)[-2]["choices"][0]["finish_reason"] == "length"


def test_a_stop_sequence_ends_a_text_in_both_dialects() -> None:
    assert text_of(frames(both("one t"), both("wo"), both(" three")), Limits(stop=["two"])) == "one "


@pytest.mark.parametrize(
    "data",
    [
        {"response": "Hi", "p": "abc"},
        {"response": "Hi", "tool_calls": list[Any](), "p": "abc"},
        {"response": "Hi", "usage": {**USAGE, "prompt_tokens_details": {"cached_tokens": 0}, "neurons": 0.5}},
        both("Hi"),
        both("Hi", finish_reason=None, logprobs=None),
        {"choices": [{"delta": {"content": "Hi", "reasoning_content": None}, "finish_reason": None, "index": 0,
                      "logprobs": None, "matched_stop": None}],
         "created": 1_791_402_526, "id": "f96", "model": "@cf/x", "object": "chat.completion.chunk", "p": "pf8",
         "usage": {"prompt_tokens": 0, "completion_tokens": 1, "total_tokens": 1, "neurons": 0.02}},
        {"id": "id-1", "created": 1, "model": "@cf/x", "choices": [{"index": 0, "delta": {"content": "Hi"}}]},
    ],
)  # fmt: skip
def test_a_frame_of_text_is_sent_unparsed(data: Json) -> None:
    for separators in ((",", ":"), (", ", ": ")):
        match = TEXT_FRAME.fullmatch(f"data: {json.dumps(data, separators=separators)}".encode())
        assert match
        assert (match["content"] or match["response"]) == b'"Hi"'
    assert text_of(frames(TEXT, data, data)) == "HelloHiHi"


@pytest.mark.parametrize(
    "data",
    [
        {"response": "Hi", "tool_calls": [bare("tide", VIGO)]},
        {"response": "Hi", "error": "overloaded"},
        {"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]},
        {"choices": [{"delta": {"content": "Hi", "reasoning_content": "Hm"}}]},
        {"choices": [{"delta": {"content": "Hi"}, "logprobs": {"content": list[Any]()}}]},
        {"choices": [{"delta": {"content": "Hi", "tool_calls": [call("tide", VIGO)]}}]},
    ],
)
def test_a_frame_with_more_than_text_is_parsed(data: Json) -> None:
    assert TEXT_FRAME.fullmatch(f"data: {json.dumps(data)}".encode()) is None


def test_log_probabilities_stay_with_their_text() -> None:
    logprobs = {"content": [{"token": "Hi", "logprob": -0.1, "bytes": None, "top_logprobs": list[Any]()}]}
    data = {"choices": [{"index": 0, "delta": {"content": "Hi"}, "logprobs": logprobs}]}
    assert [each["choices"][0]["logprobs"] for each in chunks(frames(data, STOP)) if each["choices"]] == [
        None, logprobs, None,
    ]  # fmt: skip
    message = {"role": "assistant", "content": "Hi", "annotations": list[Any]()}
    whole = {"id": "up", "choices": [{"message": message, "logprobs": logprobs, "finish_reason": "stop"}], "extra": 1}
    writer = CollectingWriter()
    OpenAITransform(writer).transform_whole(whole)
    answer = chat_completion(writer, HEAD, whole)
    assert answer["choices"][0]["logprobs"] == logprobs
    assert answer["choices"][0]["message"] == {**message, "refusal": None}
    assert (answer["id"], answer["extra"]) == (HEAD.id, 1)


# ---- calls that are written as text --------------------------------------------------------------------------------

FORCED = Limits(required_tools=["tide"])
WRITTEN = {
    "the arguments beside the name": '{"name": "tide", "at": "Vigo"}',
    "arguments": '{"name": "tide", "arguments": {"at": "Vigo"}}',
    "arguments as text": json.dumps({"name": "tide", "arguments": VIGO}),
    "parameters": '{"type": "function", "name": "tide", "parameters": {"at": "Vigo"}}',
    "a function": '{"type": "function", "function": {"name": "tide", "arguments": {"at": "Vigo"}}}',
    "a list": '[{"name": "tide", "at": "Vigo"}]',
    "a fence": '```json\n{"name": "tide", "at": "Vigo"}\n```',
    "space": '\n  {"name": "tide", "at": "Vigo"}\n',
}


@pytest.mark.parametrize("read", [as_chat_stream, as_whole, as_response])
@pytest.mark.parametrize("name", WRITTEN)
def test_a_required_call_that_is_written_as_text_is_a_call(read: Read, name: str) -> None:
    text = WRITTEN[name]
    for data in (
        [{"choices": [{"delta": {"content": text}, "finish_reason": "stop"}]}],
        [{"response": character} for character in text],
    ):
        calls, reason = read(*data, limits=FORCED)
        assert [each[:2] for each in calls] == TWO[:1]
        assert reason in ("tool_calls", None)


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        (WRITTEN["arguments"], Limits()),
        (WRITTEN["arguments"], Limits(required_tools=["other"])),
        ("The tide is high.", FORCED),
        ('{"name": "tide"} is a call.', FORCED),
        ('{"tide": "high"}', FORCED),
        ('[{"name": "tide"}, {"name": "other"}]', FORCED),
        ("[]", FORCED),
        ('{"name": 5}', FORCED),
    ],
)
def test_other_text_stays_text(text: str, limits: Limits) -> None:
    for stream in (frames({"response": text}), frames(*({"response": character} for character in text))):
        assert text_of(stream, limits) == text
        assert chunks(stream, limits)[-2]["choices"][0]["finish_reason"] == "stop"


# ---- whole answers as frames, and random frames -------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        {"response": "Hello"}, {"response": {"a": 1}}, {"choices": None, "response": "Hello"},
        {"choices": [{"message": {"content": "Hello"}}]}, {"choices": [{"text": "Hello"}]},
        both("Hello"), native(bare("tide", VIGO)),
        {"choices": [{"message": {"tool_calls": [call("tide", VIGO, id="a"), call("tide", BERGEN, id="b")]}}]},
    ],
)  # fmt: skip
def test_a_whole_answer_says_the_same_as_frames(data: Json) -> None:
    stream = "".join(as_frames(data)).encode()
    assert is_done(stream)
    completion = Completion()
    completion.add(data)
    assert read_completion(stream).message() == completion.message()


def _dictionaries(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    names = [
        "response", "choices", "delta", "message", "content", "tool_calls", "function", "name", "arguments", "id",
        "index", "usage", "finish_reason", "reasoning_content", "completion_tokens", "prompt_tokens_details", "error",
    ]  # fmt: skip
    return st.dictionaries(st.sampled_from(names), inner, max_size=4)


scalars = st.one_of(st.none(), st.booleans(), st.integers(-2, 3), st.sampled_from(["", "a", "tide", VIGO, "{", "}"]))
values = st.recursive(scalars, lambda inner: st.one_of(st.lists(inner, max_size=2), _dictionaries(inner)), max_leaves=8)


@given(
    data=st.lists(_dictionaries(values), max_size=6),
    cuts=st.lists(st.integers(0, 600), max_size=8),
    writer=st.sampled_from(sorted(WRITERS)),
    limits=st.sampled_from([Limits(), FORCED, Limits(stop=["a"], is_single_call=True)]),
)
def test_a_stream_of_any_objects_ends_as_an_answer_or_with_an_error(
    data: list[Json], cuts: list[int], writer: str, limits: Limits
) -> None:
    stream = frames(*data)
    transform = OpenAITransform(WRITERS[writer](), limits, HEAD.id)
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    output = b"".join(transform.transform(stream[start:end]) for start, end in pairwise(places)) + transform.finish()
    assert output == transformed(stream, writer, limits)
    blocks = output.decode().split("\n\n")
    assert blocks.pop() == ""
    for block in blocks:
        payload = block.split("data: ", 1)[1]
        assert payload == "[DONE]" or isinstance(json.loads(payload), dict)
    ends = ("[DONE]", "response.completed", "response.incomplete", "error")
    assert any(end in blocks[-1] for end in ends)
    try:
        read_completion(stream)
    except ApiError as error:
        assert error.type == "upstream_error"  # noqa: PT017 - most streams raise nothing
