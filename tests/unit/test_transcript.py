"""Answers of the models for speech to text, brought into one shape."""

from collections.abc import Callable
from typing import Any

import pytest

from aiworker.models import transcript
from aiworker.models.transcript import Transcript


def word(text: str, start: float, end: float, **more: Any) -> dict[str, Any]:
    return {"word": text, "start": start, "end": end, **more}


def texts(spoken: Transcript) -> list[str]:
    return [segment["text"] for segment in spoken.segments]


def nova(*words: dict[str, Any], **channel: Any) -> Transcript:
    alternative = {"transcript": "text", "confidence": 1, "words": list(words)}
    return transcript.read_nova({"results": {"channels": [{"alternatives": [alternative], **channel}]}})


def test_words_become_segments_by_sentences_and_pauses() -> None:
    words = [word("Yes.", 0, 1), word("I", 1, 2), word("do", 2, 3), word("and", 4.5, 5), word("so", 5.5, 6)]
    spoken = transcript.read_whisper({"text": " Yes. I do and so", "words": words})
    assert spoken.text == "Yes. I do and so"
    assert spoken.segments == [
        {"start": 0, "end": 1, "text": "Yes."},
        {"start": 1, "end": 3, "text": "I do"},
        {"start": 4.5, "end": 6, "text": "and so"},
    ]


def test_speech_without_ends_of_sentences_is_split() -> None:
    spoken = transcript.read_whisper({"text": "", "words": [word("na", n, n + 1) for n in range(50)]})
    assert [len(text.split()) for text in texts(spoken)] == [20, 20, 10]


def test_speakers_are_told_apart_and_words_written_as_in_a_text() -> None:
    spoken = nova(
        word("hello", 0, 1, punctuated_word="Hello,", confidence=0.9, speaker=0),
        word("bern", 1, 2, punctuated_word="Bern", confidence=0.9, speaker=0),
        word("hello", 2, 3, punctuated_word="Hello!", confidence=0.9, speaker=1),
        detected_language="de",
    )
    assert spoken.words[0] == {"word": "Hello,", "start": 0, "end": 1, "speaker": 0}
    assert texts(spoken) == ["Hello, Bern", "Hello!"]
    assert spoken.language == "de"


def test_whisper_turbo_tells_segments_language_and_duration() -> None:
    spoken = transcript.read_whisper_turbo(
        {
            "transcription_info": {"language": "fr", "duration": 2.5},
            "text": " Bonjour.",
            "segments": [{"start": 0, "end": 2.4, "text": " Bonjour.", "words": [word(" Bonjour.", 0, 2.4)]}],
        }
    )
    assert spoken == Transcript(
        "Bonjour.", [{"start": 0, "end": 2.4, "text": "Bonjour."}], [word("Bonjour.", 0, 2.4)], "fr", 2.5
    )


INCOMPLETE: list[tuple[Callable[[dict[str, Any]], Transcript], dict[str, Any]]] = [
    (transcript.read_whisper, {}),
    (transcript.read_whisper, {"text": None, "words": None}),
    (transcript.read_whisper, {"text": "", "words": [{"word": "a"}, {"start": None, "end": 1}]}),
    (transcript.read_whisper_turbo, {"segments": [{"text": "a"}], "transcription_info": None}),
    (transcript.read_nova, {"results": {}}),
    (transcript.read_nova, {"results": {"channels": []}}),
    (transcript.read_nova, {"results": {"channels": [{"alternatives": []}]}}),
]


@pytest.mark.parametrize(("read", "answer"), INCOMPLETE)
def test_fields_that_a_model_leaves_out_are_left_out(
    read: Callable[[dict[str, Any]], Transcript], answer: dict[str, Any]
) -> None:
    assert read(answer) == Transcript("")


def test_pieces_are_put_together_in_their_order() -> None:
    first = Transcript("One.", [{"start": 0, "end": 1, "text": "One."}], [word("One.", 0, 1)], None, 9)
    silent = Transcript("", [], [], "en", 9)
    last = Transcript("Zwei.", [{"start": 0.5, "end": 1, "text": "Zwei."}], [word("Zwei.", 0.5, 1)], "de", 9)
    whole = transcript.join([first, silent.shift(60), last.shift(119.87654)])
    assert whole.text == "One. Zwei."
    assert whole.words == [word("One.", 0, 1), word("Zwei.", 120.377, 120.877)]
    assert whole.segments[1] == {"start": 120.377, "end": 120.877, "text": "Zwei."}
    assert (whole.language, whole.end) == ("de", 120.877)


def test_subtitles_go_on_past_an_hour() -> None:
    cue = {"start": 3599.9996, "end": 3661.5, "text": "a --> b"}
    assert transcript.to_vtt([cue]) == "WEBVTT\n\n01:00:00.000 --> 01:01:01.500\na --&gt; b\n"
    assert transcript.to_vtt([]) == "WEBVTT\n"
