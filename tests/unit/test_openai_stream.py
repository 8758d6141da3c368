"""A model's stream becomes OpenAI's chunks, wherever the network has cut it."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiworker.errors import ApiError
from aiworker.models.openai_stream import Limits, OpenAITransform
from aiworker.models.openai_writers import ChatWriter, CollectingWriter, CompletionWriter, Head, chat_completion
from aiworker.models.responses_stream import ResponsesWriter

HEAD = Head("chatcmpl-1", 1_700_000_000, "@cf/some/model")
UNLIMITED = Limits()
DONE = "data: [DONE]\n\n"
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
WRITERS = {
    "chat": lambda: ChatWriter(HEAD, include_usage=True),
    "completion": lambda: CompletionWriter(HEAD),
    "responses": lambda: ResponsesWriter({"id": "resp_1", "model": HEAD.model}),
}


def native(data: Any) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n"


def said(*texts: str) -> str:
    frames = [native({"response": text, "p": "abc"}) for text in texts]
    return "".join(frames) + native({"response": "", "usage": USAGE}) + DONE


def translate(stream: str | bytes, limits: Limits = UNLIMITED, **options: Any) -> bytes:
    translation = OpenAITransform(ChatWriter(HEAD, **options), limits, HEAD.id)
    return translation.transform(stream.encode() if isinstance(stream, str) else stream) + translation.finish()


def chunks(written: bytes) -> list[dict[str, Any]]:
    """Chunks as a client reads them, with `[DONE]` as {}."""
    blocks = written.decode().split("\n\n")
    assert blocks.pop() == ""
    lines = [block.removeprefix("data: ") for block in blocks]
    return [{} if line == "[DONE]" else json.loads(line) for line in lines]


def deltas(written: bytes) -> list[dict[str, Any]]:
    return [chunk["choices"][0]["delta"] for chunk in chunks(written) if chunk.get("choices")]


def text_of(written: bytes) -> str:
    return "".join(delta.get("content") or "" for delta in deltas(written))


# ---- wherever it is cut ------------------------------------------------------------------------------------------

pieces = st.text(alphabet=st.one_of(st.characters(), st.sampled_from('"\\\n👋🏽é東{}[]:,')), max_size=8)
native_frames = st.one_of(
    pieces.map(lambda text: {"response": text, "p": "x" * len(text)}),
    pieces.map(lambda text: {"response": text}),
    st.integers(0, 99).map(lambda number: {"response": number}),
    st.just({"tool_calls": [{"id": "c1", "type": "function", "index": 0, "function": {"name": "f", "arguments": ""}}]}),
    pieces.map(lambda text: {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}),
    st.just({"tool_calls": [{"id": None, "type": None, "index": 0, "function": {"name": None, "arguments": None}}]}),
)
openai_frames = st.one_of(
    pieces.map(lambda text: {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}),
    pieces.map(lambda text: {"choices": [{"index": 0, "delta": {"reasoning_content": text}}]}),
    st.just({"choices": list[Any](), "usage": USAGE}),
)


@st.composite
def streams(draw: st.DrawFn) -> str:
    end = draw(st.sampled_from(["\n\n", "\r\n\r\n"]))
    is_ascii = draw(st.booleans())
    frames: list[Any] = draw(st.lists(st.one_of(native_frames, openai_frames), max_size=12))
    return "".join(f"data: {json.dumps(each, ensure_ascii=is_ascii)}{end}" for each in frames) + f"data: [DONE]{end}"


@given(
    stream=streams(),
    cuts=st.lists(st.integers(0, 2000), max_size=30),
    stop=st.lists(st.text("ab\n👋", min_size=1, max_size=3), max_size=2),
    writer=st.sampled_from(sorted(WRITERS)),
    is_whole=st.booleans(),
)
def test_frames_split_or_merged_anywhere_give_the_same_chunks(
    stream: str, cuts: list[int], stop: list[str], writer: str, is_whole: bool
) -> None:
    data = stream.encode(errors="surrogatepass")
    data = data if is_whole else data[:-9]
    at_once = OpenAITransform(WRITERS[writer](), Limits(stop=stop), HEAD.id)
    expected = at_once.transform(data) + at_once.finish()
    in_pieces = OpenAITransform(WRITERS[writer](), Limits(stop=stop), HEAD.id)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    output = b"".join(in_pieces.transform(data[start:end]) for start, end in pairwise(places))
    assert output + in_pieces.finish() == expected


def test_byte_by_byte_it_is_the_same() -> None:
    stream = said("Grüße 👋🏽", '"\\\n')
    translation = OpenAITransform(ChatWriter(HEAD), answer_id=HEAD.id)
    output = b"".join(translation.transform(bytes([byte])) for byte in stream.encode()) + translation.finish()
    assert output == translate(stream)
    assert text_of(output) == 'Grüße 👋🏽"\\\n'


def test_lines_may_end_in_either_way() -> None:
    assert translate(said("Hel", "lo").replace("\n", "\r\n")) == translate(said("Hel", "lo"))


# ---- what OpenAI's clients expect --------------------------------------------------------------------------------


def test_the_role_comes_first_and_the_finish_reason_last() -> None:
    written = chunks(translate(said("Hel", "lo"), include_usage=True))
    assert written[0]["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert [each["choices"][0]["delta"].get("content") for each in written[1:3]] == ["Hel", "lo"]
    assert [each["choices"][0]["finish_reason"] for each in written[:4]] == [None, None, None, "stop"]
    assert written[4] | {"choices": [], "usage": USAGE} == written[4]
    assert written[5] == {}
    assert {(each["id"], each["created"], each["model"]) for each in written[:5]} == {
        (HEAD.id, HEAD.created, HEAD.model)
    }


def test_without_include_usage_no_chunk_has_any() -> None:
    assert all("usage" not in each for each in chunks(translate(said("Hello"))))


def test_the_text_of_a_plain_frame_is_taken_over_as_it_is_written() -> None:
    literal = rb'"\u00e9\ud83d\ude00 \/ \t"'
    written = translate(b'data: {"response":"a"}\n\ndata: {"response":' + literal + b"}\n\n" + DONE.encode())
    assert b'{"content":' + literal + b"}" in written


def test_tool_calls_get_their_index_and_nothing_of_the_frame_that_closes_them() -> None:
    def call(**part: Any) -> str:
        return native({"tool_calls": [part]})

    stream = (
        call(id="a", type="function", index=0, function={"name": "f", "arguments": ""})
        + call(index=0, function={"arguments": '{"x":'})
        + call(index=0, function={"arguments": "1}"})
        + call(id=None, type=None, index=0, function={"name": None, "arguments": None})
        + call(id="b", type="function", index=1, function={"name": "g", "arguments": ""})
        + call(index=1, function={"arguments": "{}"})
        + DONE
    )
    _, *calls, last = deltas(translate(stream))
    assert [each["tool_calls"][0] for each in calls] == [
        {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"x":'}},
        {"index": 0, "function": {"arguments": "1}"}},
        {"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": ""}},
        {"index": 1, "function": {"arguments": "{}"}},
    ]
    assert last == {}
    assert chunks(translate(stream))[-2]["choices"][0]["finish_reason"] == "tool_calls"
    only_one = deltas(translate(stream, Limits(is_single_call=True)))
    assert {each["index"] for delta in only_one for each in delta.get("tool_calls", [])} == {0}


def test_a_call_as_the_older_functions_have_it() -> None:
    stream = native({"tool_calls": [{"name": "f", "arguments": {"x": 1}}]}) + DONE
    _, name, arguments, _ = deltas(translate(stream, is_legacy=True))
    assert name == {"function_call": {"name": "f", "arguments": ""}}
    assert arguments == {"function_call": {"arguments": '{"x": 1}'}}
    assert chunks(translate(stream, is_legacy=True))[-2]["choices"][0]["finish_reason"] == "function_call"


def test_an_answer_as_long_as_it_was_allowed_to_be_has_been_cut() -> None:
    reasons = [
        chunks(translate(said("a", "b"), Limits(max_tokens=most)))[-2]["choices"][0]["finish_reason"] for most in (2, 3)
    ]
    assert reasons == ["length", "stop"]


def test_tokens_that_the_model_does_not_count_are_estimated() -> None:
    stream = native({"response": "a"}) + native({"response": "b"}) + DONE
    counted = chunks(translate(stream, Limits(prompt_tokens=7), include_usage=True))[-2]["usage"]
    assert counted == {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}


def test_a_token_that_is_written_as_a_number_is_text() -> None:
    assert text_of(translate(native({"response": 4}) + native({"response": 0}) + DONE)) == "40"


# ---- stop --------------------------------------------------------------------------------------------------------


@given(
    text=st.text("abc\n", max_size=20),
    sizes=st.lists(st.integers(1, 4), min_size=20, max_size=20),
    stop=st.lists(st.text("abc\n", min_size=1, max_size=3), min_size=1, max_size=3),
)
def test_an_answer_ends_before_the_first_stop_sequence_and_no_part_of_one_slips_through(
    text: str, sizes: list[int], stop: list[str]
) -> None:
    cut: list[str] = []
    at = 0
    for size in sizes:
        cut.append(text[at : at + size])
        at += size
    places = [text.find(each) for each in stop if each in text]
    met = [
        min(at + len(each) for each in stop if text.startswith(each, at))
        for at in range(len(text))
        if any(text.startswith(each, at) for each in stop)
    ]
    output = text_of(translate(said(*filter(None, cut)), Limits(stop=stop)))
    if not places:
        assert output == text
    else:
        # a sequence that is met earlier wins over one that begins earlier and is not whole yet
        assert text.startswith(output)
        assert not any(each in output for each in stop)
        assert len(output) <= min(met)


def test_after_a_stop_sequence_the_usage_is_still_told() -> None:
    written = chunks(translate(said("one", " two", " three"), Limits(stop=["two"]), include_usage=True))
    assert written[-3]["choices"][0]["finish_reason"] == "stop"
    assert written[-2]["usage"] == USAGE
    assert "".join(each["choices"][0]["delta"].get("content", "") for each in written[:-2]) == "one "


# ---- what is no whole answer -------------------------------------------------------------------------------------

CUT = [
    ("nothing", ""),
    ("no end", native({"response": "a"})),
    ("half a frame", native({"response": "a"}) + 'data: {"respo'),
    ("usage but no end", native({"response": "", "usage": USAGE})),
    ("a frame that is broken", native({"response": "a"}) + 'data: {"respo\n\n' + said("b")),
    ("a frame that is no object", "data: 5\n\n" + DONE),
    ("an error", native({"error": {"message": "overloaded", "code": 1}}) + said("b")),
    ("errors", native({"errors": [{"message": "overloaded", "code": 1}]}) + said("b")),
]


@pytest.mark.parametrize("stream", [stream for _, stream in CUT], ids=[name for name, _ in CUT])
def test_an_answer_that_is_not_whole_ends_with_an_error_and_nothing_else(stream: str) -> None:
    *before, last = chunks(translate(stream))
    assert last["error"]["type"] == "server_error"
    assert last["error"]["message"].startswith("The model's answer broke off")
    assert not [each for each in before if each == {} or each["choices"][0]["finish_reason"]]


def test_the_model_s_error_message_is_returned() -> None:
    assert "overloaded" in chunks(translate(CUT[-1][1]))[-1]["error"]["message"]


def test_a_connection_that_breaks_after_the_end_harms_nothing() -> None:
    translation = OpenAITransform(ChatWriter(HEAD))
    assert translation.transform(said("a").encode()).endswith(DONE.encode())
    assert translation.fail("reset") == ""
    assert translation.finish() == b""


def test_a_connection_that_breaks_before_is_an_error() -> None:
    translation = OpenAITransform(ChatWriter(HEAD))
    translation.transform(native({"response": "a"}).encode())
    assert json.loads(translation.fail("reset").removeprefix("data: "))["error"]["message"].endswith("reset")
    assert translation.finish() == b""


def test_comments_and_empty_frames_are_passed_over() -> None:
    assert text_of(translate(": beat\n\n\n\n" + said("a"))) == "a"


# ---- whole answers -----------------------------------------------------------------------------------------------


def whole(answer: dict[str, Any], limits: Limits = UNLIMITED) -> dict[str, Any]:
    collected = CollectingWriter()
    OpenAITransform(collected, limits, HEAD.id).transform_whole(answer)
    return chat_completion(collected, HEAD, answer)


def test_a_native_answer_becomes_a_completion() -> None:
    blocks = whole({"response": "Hello", "usage": USAGE})
    [choice] = blocks["choices"]
    assert choice["message"] == {"role": "assistant", "content": "Hello", "refusal": None}
    assert (choice["finish_reason"], blocks["usage"], blocks["object"]) == ("stop", USAGE, "chat.completion")


def test_json_mode_s_object_becomes_text() -> None:
    assert json.loads(whole({"response": {"a": "é"}})["choices"][0]["message"]["content"]) == {"a": "é"}


def test_native_tool_calls_get_ids_of_their_own_and_their_arguments_as_text() -> None:
    [choice] = whole(
        {"response": None, "tool_calls": [{"name": "f", "arguments": {"a": 1}}, {"name": "g", "arguments": {}}]}
    )["choices"]
    assert choice["message"]["content"] is None
    first, second = choice["message"]["tool_calls"]
    assert first["function"] == {"name": "f", "arguments": '{"a": 1}'}
    assert second["function"] == {"name": "g", "arguments": "{}"}
    assert first["id"] != second["id"]
    assert choice["finish_reason"] == "tool_calls"


def test_a_stop_sequence_cuts_a_whole_answer_too() -> None:
    assert whole({"response": "one two"}, Limits(stop=[" t"]))["choices"][0]["message"]["content"] == "one"


# ---- responses ---------------------------------------------------------------------------------------------------


def events(written: bytes) -> list[dict[str, Any]]:
    blocks = written.decode().split("\n\n")
    assert blocks.pop() == ""
    events = [json.loads(block.split("\ndata: ")[1]) for block in blocks]
    assert [f"event: {each['type']}" for each in events] == [block.split("\n")[0] for block in blocks]
    assert [each["sequence_number"] for each in events] == list(range(len(events)))
    return events


def responded(stream: str, limits: Limits = UNLIMITED) -> list[dict[str, Any]]:
    translation = OpenAITransform(ResponsesWriter({"id": "resp_1", "model": "m"}), limits, "resp_1")
    return events(translation.transform(stream.encode()) + translation.finish())


def test_the_events_of_a_text() -> None:
    events = responded(said("Hel", "lo"))
    assert [each["type"].removeprefix("response.") for each in events] == [
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    response = events[-1]["response"]
    assert response["output"][0]["content"][0]["text"] == events[6]["text"] == "Hello"
    assert response["usage"]["output_tokens"] == 2
    assert events[0]["response"]["status"] == "in_progress"
    assert events[0]["response"]["output"] == []


def test_an_answer_that_was_cut_at_its_limit_is_incomplete() -> None:
    last = responded(said("a", "b"), Limits(max_tokens=2))[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


def test_a_response_that_breaks_off_ends_with_an_error_that_clients_raise() -> None:
    last = responded(native({"response": "a"}))[-1]
    assert last["type"] == "error"
    assert last["error"]["message"] == last["message"]


def test_a_whole_answer_that_breaks_off_raises() -> None:
    with pytest.raises(ApiError):
        OpenAITransform(CollectingWriter()).finish()


def test_a_frame_without_end_is_not_kept() -> None:
    """Python's memory never shrinks: a model that writes no line's end may not fill it."""
    transform = OpenAITransform(ChatWriter(HEAD), answer_id=HEAD.id)
    chunk = b"data: " + b"x" * 65_530
    answers = [transform.transform(chunk) for _ in range(40)]
    assert b"a frame of it has more than" in b"".join(answers)
    assert b"".join(answers).count(b'"error"') == 1
