"""The UI message stream: whatever a model sends, the client gets whole parts, in order, and the same text."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from aiworker.errors import ApiError
from aiworker.models.openai_stream import OpenAITransform
from aiworker.models.ui_message_writer import UiMessageWriter, interruption, join_deltas, message_usage

USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
SOURCE: dict[str, Any] = {
    "number": 1, "id": "c1", "document": "d1", "title": "Ice", "url": None, "heading": "", "page": None, "range": None,
    "original": "https://worker.example/rag/documents/d1/original", "snippet": "…", "score": 0.5, "scores": {},
}  # fmt: skip


def chunks(encoded: bytes) -> list[dict[str, Any]]:
    """The chunks of a stream, as a client checks them: each delta has a part that is open."""
    read: list[dict[str, Any]] = []
    is_open: dict[str, str] = {}
    blocks = encoded.decode().split("\n\n")
    assert blocks.pop() == ""
    for block in blocks:
        assert block.startswith("data: ")
        if block == "data: [DONE]":
            continue
        chunk = json.loads(block.removeprefix("data: "))
        kind, _, phase = chunk["type"].rpartition("-")
        if kind in ("text", "reasoning"):
            if phase == "start":
                assert not is_open
                is_open[chunk["id"]] = kind
            else:
                assert is_open[chunk["id"]] == kind
            if phase == "end":
                del is_open[chunk["id"]]
        read.append(chunk)
    return read


def parts(encoded: bytes) -> list[tuple[str, str]]:
    """Kind and text of each part."""
    texts: dict[str, tuple[str, str]] = {}
    for chunk in chunks(encoded):
        kind, _, phase = chunk["type"].rpartition("-")
        if phase == "delta":
            texts[chunk["id"]] = (kind, texts.get(chunk["id"], (kind, ""))[1] + chunk["delta"])
    return list(texts.values())


def kinds(encoded: bytes) -> list[str]:
    return [chunk["type"] for chunk in chunks(encoded)]


def frame(data: Any) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()


def transform_all(*data: Any, runs_tools: bool = True) -> tuple[bytes, UiMessageWriter]:
    writer = UiMessageWriter(runs_tools=runs_tools)
    transform = OpenAITransform(writer)
    encoded = b"".join([transform.transform(frame(each)) for each in data]) + transform.transform(b"data: [DONE]\n\n")
    return encoded + transform.finish(), writer


TEXTS = st.text(max_size=8) | st.sampled_from(
    ['","id":"p0"}', "\n\n", 'data: {"id":"p0","type":"text-start"}', "\\", '"', "👋🏽", "\ud83d"]
)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["response", "content", "reasoning_content"]), TEXTS), max_size=30))
def test_any_pieces_become_whole_parts_that_joining_does_not_change(pieces: list[tuple[str, str]]) -> None:
    data = [
        {"response": text} if kind == "response" else {"choices": [{"index": 0, "delta": {kind: text}}]}
        for kind, text in pieces
    ]
    encoded, writer = transform_all(*data, {"response": "", "usage": USAGE}, {"response": "."})
    joined = join_deltas(encoded)
    assert parts(joined) == parts(encoded)
    texts = "".join(text for kind, text in parts(encoded) if kind == "text")
    assert texts == "".join(text for kind, text in pieces if kind != "reasoning_content") + "."
    assert writer.take_completion().text == texts
    # one delta a part
    assert sum(kind.endswith("-delta") for kind in kinds(joined)) == len(parts(encoded))
    # cut between any two frames, the rest is an error, and every part has its end
    blocks = encoded.decode().split("\n\n")[:-1]
    for count in range(len(blocks) + 1):
        stored = "".join(f"{block}\n\n" for block in blocks[:count])
        cut = join_deltas((stored + interruption(stored)).encode())
        assert kinds(cut)[-1] == "error"
        assert sum(kind.endswith("t-start") for kind in kinds(cut)) == sum(
            kind.endswith("t-end") for kind in kinds(cut)
        )


def test_a_message_begins_and_ends_with_its_metadata() -> None:
    writer = UiMessageWriter(runs_tools=False)
    transform = OpenAITransform(writer)
    encoded = writer.start_message("msg_1", {"model": "m"}) + writer.start_step() + writer.sources([SOURCE])
    encoded += transform.transform(frame({"response": "Hi", "usage": USAGE}) + b"data: [DONE]\n\n")
    encoded += writer.end_step() + writer.finish({"usage": message_usage(USAGE), "neurons": 1.5})
    assert kinds(encoded) == [
        "start", "start-step", "source-document", "text-start", "text-delta", "text-end", "finish-step", "finish",
    ]  # fmt: skip
    first, *_, last = chunks(encoded)
    assert first == {"type": "start", "messageId": "msg_1", "messageMetadata": {"model": "m"}}
    assert last["finishReason"] == "stop"
    assert last["messageMetadata"]["usage"] == {"inputTokens": 9, "outputTokens": 4, "totalTokens": 13}
    assert encoded.endswith(b"data: [DONE]\n\n")


def test_sources_with_an_address_are_web_pages() -> None:
    page, document = chunks(
        UiMessageWriter(runs_tools=False).sources([{**SOURCE, "url": "https://ice.example"}, SOURCE])
    )
    assert (page["type"], page["url"], page["sourceId"]) == ("source-url", "https://ice.example", "c1")
    assert (document["type"], document["mediaType"], document["title"]) == ("source-document", "text/plain", "Ice")
    assert document["providerMetadata"]["aiworker"]["number"] == 1


CALL = {"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}]}}]}
REST = {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": '"a":1}'}}]}}]}


def test_calls_of_tools_end_with_their_input_and_results_follow() -> None:
    encoded, writer = transform_all({"response": "Let me see."}, CALL, REST)
    assert kinds(encoded)[2:] == ["text-end", "tool-input-start", "tool-input-available"]
    assert chunks(encoded)[-1]["input"] == {"a": 1}
    assert all(chunk["providerExecuted"] for chunk in chunks(encoded)[-2:])
    assert writer.take_completion().message()["tool_calls"][0]["function"]["arguments"] == '{"a":1}'
    results = ['{"b":2}', '{"error":"No."}', "NaN", "[" * 9_000]
    outputs = chunks(writer.results({"id": "c", "result": each} for each in results))
    assert outputs[0]["output"] == {"b": 2}
    assert [each["type"] for each in outputs[1:]] == ["tool-output-error"] * 3


def test_a_result_that_is_a_file_is_a_part_of_the_message_too() -> None:
    writer = UiMessageWriter(runs_tools=True)
    picture = {"url": "https://worker.example/images/a.png", "media_type": "image/png", "width": 64}
    written = chunks(writer.results([{"id": "c", "result": json.dumps(picture)}]))
    assert written == [
        {"type": "tool-output-available", "toolCallId": "c", "output": picture, "providerExecuted": True},
        {"type": "file", "url": picture["url"], "mediaType": "image/png"},
    ]
    for other in ({"url": "https://a.example"}, {"url": 1, "media_type": "image/png"}, [picture], {"error": "No."}):
        assert len(chunks(writer.results([{"id": "c", "result": json.dumps(other)}]))) == 1


def test_arguments_that_are_no_json_are_an_error_of_the_call() -> None:
    encoded, _ = transform_all(CALL, runs_tools=False)
    assert kinds(encoded)[-1] == "tool-input-error"
    assert chunks(encoded)[-1]["input"] == "{"
    assert "providerExecuted" not in chunks(encoded)[-1]


def test_a_failure_ends_the_open_part_before_the_error() -> None:
    writer = UiMessageWriter(runs_tools=False)
    transform = OpenAITransform(writer)
    encoded = transform.transform(frame({"response": "Hi"})) + transform.transform(frame({"error": {"message": "no"}}))
    assert isinstance(writer.failure, ApiError)
    assert kinds(encoded + writer.fail(writer.failure)) == ["text-start", "text-delta", "text-end", "error"]
    writer = UiMessageWriter(runs_tools=False)
    assert kinds(writer.text(b'"Hi"') + writer.abort("stopped")) == ["text-start", "text-delta", "text-end", "abort"]


def test_unknown_reasons_for_the_end_are_other() -> None:
    writer = UiMessageWriter(runs_tools=False)
    assert chunks(writer.finish({}))[0]["finishReason"] == "other"
    for reason, expected in (("length", "length"), ("tool_calls", "tool-calls"), ("odd", "other")):
        writer.end(reason, {})
        assert chunks(writer.finish({}))[0]["finishReason"] == expected
