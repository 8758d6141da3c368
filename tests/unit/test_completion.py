"""Completions read from a model's answer, in frames or whole, whatever its shape."""

import pytest

from aiworker.models import catalogue
from aiworker.models.completion import Completion, as_frames, frame_data, read_completion
from aiworker.models.openai_stream import Limits, OpenAITransform
from aiworker.models.openai_writers import ChatWriter, Head


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\u0085", "\u001c", "\v", "\f"])
def test_a_frame_ends_at_a_line_feed_and_at_no_other_mark(mark: str) -> None:
    assert frame_data(f'{{"response":"a{mark}b"}}'.encode()) == ({"response": f"a{mark}b"} if mark > "\x1f" else None)
    stream = f'data: {{"response":"one {mark}"}}\n\ndata: {{"response":"two"}}\n\ndata: [DONE]\n\n'
    assert read_completion(stream.encode()).text == (f"one {mark}two" if mark > "\x1f" else "two")


@pytest.mark.parametrize("name", ["content", "response", "text"])
def test_a_text_is_found_where_each_dialect_has_it(name: str) -> None:
    completion = Completion()
    completion.add({"choices": [{name: "Hello"}]})
    assert completion.text == "Hello"
    translation = OpenAITransform(ChatWriter(Head("id", 0, "model")))
    assert b'"content":"Hello"' in translation.transform_whole({"choices": [{name: "Hello"}]})


def test_a_completion_of_a_raw_prompt_is_streamed_as_it_is() -> None:
    frames = list(as_frames({"choices": [{"index": 0, "text": "Hello", "finish_reason": "stop"}]}))
    assert read_completion("".join(frames).encode()).text == "Hello"


@pytest.mark.parametrize("usage", [{"prompt_tokens": 5}, {"prompt_tokens": 5, "completion_tokens": None}])
def test_a_missing_count_is_none(usage: dict[str, int | None]) -> None:
    priced = catalogue.MODELS["@cf/meta/llama-3.1-8b-instruct-fast"]
    assert catalogue.neurons(priced, usage) == pytest.approx(5 * priced.neurons["million_input_tokens"] / 1e6)
    translation = OpenAITransform(ChatWriter(Head("id", 0, "model")), Limits(max_tokens=10))
    written = translation.transform(b'data: {"response":"Hi"}\n\n')
    written += translation.transform_whole({"response": "", "usage": usage})
    assert b'"finish_reason":"stop"' in written
