"""Simulated speech: text spoken, and recordings transcribed."""

import base64
import io
import struct
import wave
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from workers_ai_simulator.catalogue import MODELS, find
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.media import Media
from workers_ai_simulator.speech.simulated import SPEAKERS, TRANSCRIBERS, speak, transcribe

MELO = "@cf/myshell-ai/melotts"
AURA = "@cf/deepgram/aura-1"
AURA_ES = "@cf/deepgram/aura-2-es"
WHISPER = "@cf/openai/whisper"
TURBO = "@cf/openai/whisper-large-v3-turbo"
NOVA = "@cf/deepgram/nova-3"
FLUX = "@cf/deepgram/flux"

TEXT = "The quick brown fox, naïve as ever, jumps. Did it? 東京!"


def sound(model: str, **inputs: Any) -> Media:
    answer = speak(find(model), inputs)
    assert isinstance(answer, Media)
    return answer


def silence(seconds: float, rate: int = 8000) -> bytes:
    """A WAV file, as other programs write it."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(bytes(2 * int(seconds * rate)))
    return file.getvalue()


def base64_of(audio: bytes) -> str:
    return base64.b64encode(audio).decode()


def transcribed(model: str, audio: bytes, **others: Any) -> dict[str, Any]:
    """Answer of a speech-to-text model, with the sound in the input that it takes."""
    inputs: dict[str, Any] = {
        WHISPER: {"audio": list(audio)},
        TURBO: {"audio": base64_of(audio)},
        NOVA: {"audio": {"body": audio, "contentType": "audio/wav"}},
        FLUX: {"audio": audio, "encoding": "linear16", "sample_rate": "8000"},
    }[model]
    return transcribe(find(model), inputs | others)


def refusal(answer: Any, model: str, inputs: dict[str, Any]) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        answer(find(model), inputs)
    return caught.value


# ---- text to speech ----------------------------------------------------------------------------------------------


def test_every_model_for_speech_is_simulated() -> None:
    by_task = {task: {m.id for m in MODELS.values() if m.task == task} for task in ("text-to-speech", "speech-to-text")}
    assert by_task == {"text-to-speech": {*SPEAKERS, MELO}, "speech-to-text": set(TRANSCRIBERS)}


def test_speech_can_be_played_and_is_audible() -> None:
    answer = speak(find(MELO), {"prompt": TEXT, "lang": "en"})
    assert isinstance(answer, dict)
    for content in (base64.b64decode(answer["audio"]), sound(AURA, text=TEXT).content):
        with wave.open(io.BytesIO(content)) as reader:
            assert (reader.getnchannels(), reader.getsampwidth(), reader.getframerate()) == (1, 2, 24_000)
            samples = np.frombuffer(reader.readframes(reader.getnframes()), "<i2").astype(int)
        assert 4000 < np.abs(samples).max() < 32_000
        assert np.abs(np.diff(samples)).max() < 8000  # no clicks
        assert 2 < len(samples) / 24_000 < 8


def test_longer_text_takes_longer() -> None:
    short, long = (len(sound(AURA, text=text).content) for text in ("Hello you", "Hello you " * 20))
    assert 10 < long / short < 20


def test_the_same_voice_and_text_sound_the_same_and_others_do_not() -> None:
    one = sound(AURA, text=TEXT).content
    assert one == sound(AURA, text=TEXT, speaker="angus").content
    assert one != sound(AURA, text=TEXT, speaker="zeus").content
    assert one != sound("@cf/deepgram/aura-2-en", text=TEXT, speaker="zeus").content
    assert one[200:] != sound(AURA, text=TEXT.replace("fox", "cat")).content[200:]


@pytest.mark.parametrize(
    ("encoding", "others", "format_tag", "rate", "bits"),
    [
        ("linear16", {}, 1, 24_000, 16),
        ("linear16", {"container": "wav", "sample_rate": 48_000}, 1, 48_000, 16),
        ("mulaw", {"container": "wav"}, 7, 8_000, 8),
        ("alaw", {"sample_rate": 16_000}, 6, 16_000, 8),
        ("mp3", {"bit_rate": 48_000}, 1, 24_000, 16),
        ("opus", {"container": "ogg"}, 1, 24_000, 16),
    ],
)
def test_an_encoding_is_what_the_file_says(
    encoding: str, others: dict[str, Any], format_tag: int, rate: int, bits: int
) -> None:
    answer = sound(AURA, text=TEXT, encoding=encoding, **others)
    assert answer.content_type == "audio/wav"
    assert answer.content[:4] == b"RIFF"
    assert struct.unpack_from("<I", answer.content, 4)[0] == len(answer.content) - 8
    head = answer.content[answer.content.index(b"fmt ") + 8 :]
    assert struct.unpack_from("<HHIIHH", head) == (format_tag, 1, rate, rate * bits // 8, bits // 8, bits)


def mu_law(coded: bytes) -> list[int]:
    """Decode samples by the table of ITU-T G.711."""
    numbers = [~byte & 0xFF for byte in coded]
    return [(-1 if n & 0x80 else 1) * ((((n & 15) << 3) + 132 << (n >> 4 & 7)) - 132) for n in numbers]


def a_law(coded: bytes) -> list[int]:
    """Decode samples by the table of ITU-T G.711."""
    numbers = [byte ^ 0x55 for byte in coded]
    sizes = [((n & 15) << 4) + 8 if not n & 0x70 else ((n & 15) << 4) + 264 << (n >> 4 & 7) - 1 for n in numbers]
    return [size if n & 0x80 else -size for n, size in zip(numbers, sizes, strict=True)]


def test_bare_samples_of_all_encodings_are_the_same_sound() -> None:
    bare = {name: sound(AURA, text=TEXT, encoding=name, sample_rate=8000, container="none") for name in ENCODED}
    assert [bare[name].content_type for name in ENCODED] == [
        "audio/l16;rate=8000;channels=1",
        "audio/basic;rate=8000",
        "audio/x-alaw-basic;rate=8000",
    ]
    plain = np.frombuffer(bare["linear16"].content, "<i2").astype(int)
    for coded in (mu_law(bare["mulaw"].content), a_law(bare["alaw"].content)):
        assert np.abs(np.array(coded) - plain).max() < 300
        assert np.corrcoef(coded, plain)[0, 1] > 0.999


ENCODED = ("linear16", "mulaw", "alaw")


@pytest.mark.parametrize("text", ["…", " ", "x", "!?!?", "👋🏽 \ud83d", "hmm " * 400, "ч" * 2000])
def test_any_text_can_be_spoken_and_is_transcribed(text: str) -> None:
    audio = sound(AURA, text=text).content
    answer = transcribed(WHISPER, audio)
    if text.strip():
        assert answer["text"] == " ".join(text.encode("utf-8", "replace").decode().split())
    else:
        assert "simulated transcript" in answer["text"]


@pytest.mark.parametrize(
    ("model", "inputs", "words"),
    [
        (MELO, {}, "required properties at '/' are 'prompt'"),
        (MELO, {"prompt": ""}, "'/prompt' length must be >= 1"),
        (MELO, {"prompt": "a" * 5001}, "'/prompt' length must be <= 5000"),
        (MELO, {"prompt": "a", "lang": 5}, "Type mismatch of '/lang', 'number' not in 'string'"),
        (AURA, {"prompt": "a"}, "required properties at '/' are 'text'"),
        (AURA, {"text": ["a"]}, "Type mismatch of '/text', 'array' not in 'string'"),
        (AURA, {"text": "a" * 2001}, "'/text' length must be <= 2000"),
        (AURA, {"text": "a", "speaker": "nobody"}, "enum nobody not in angus,asteria,arcas,orion"),
        (AURA_ES, {"text": "a", "speaker": "angus"}, "enum angus not in "),
        (AURA, {"text": "a", "encoding": "wma"}, "enum wma not in linear16,flac,mulaw,alaw,mp3,opus,aac"),
        (AURA, {"text": "a", "container": "mp4"}, "enum mp4 not in none,wav,ogg"),
        (AURA, {"text": "a", "encoding": "mulaw", "sample_rate": 24_000}, "enum 24000 not in 8000,16000"),
        (AURA, {"text": "a", "encoding": "alaw", "sample_rate": "8000"}, "Type mismatch of '/sample_rate'"),
        (AURA, {"text": "a", "bit_rate": "high"}, "Type mismatch of '/bit_rate', 'string' not in 'number'"),
    ],
)
def test_invalid_inputs_of_text_to_speech_are_5006(model: str, inputs: dict[str, Any], words: str) -> None:
    error = refusal(speak, model, inputs)
    assert (error.status, error.code) == (400, 5006)
    assert words in error.description


# ---- speech to text ----------------------------------------------------------------------------------------------


def test_speech_of_the_simulator_is_transcribed_word_for_word() -> None:
    melo = speak(find(MELO), {"prompt": TEXT})
    assert isinstance(melo, dict)
    for audio in (
        base64.b64decode(melo["audio"]),
        sound(AURA, text=TEXT).content,
        sound(AURA, text=TEXT, encoding="mulaw").content,
    ):
        assert transcribed(WHISPER, audio)["text"] == TEXT
        assert transcribed(TURBO, audio)["text"] == TEXT
        assert transcribed(NOVA, audio)["results"]["channels"][0]["alternatives"][0]["transcript"] == TEXT
        assert transcribed(FLUX, audio)["transcript"] == TEXT


def test_other_recordings_get_no_invented_transcript() -> None:
    assert transcribed(WHISPER, silence(3.2))["text"] == "This is a simulated transcript of 3.2 seconds of audio."
    by_another = silence(1) + b"LIST" + struct.pack("<I", 16) + b"INFOICMT" + struct.pack("<I", 4) + b"hey\0"
    assert "simulated transcript" in transcribed(WHISPER, by_another)["text"]


def test_words_are_in_order_and_fill_the_recording() -> None:
    for seconds in (0.05, 3.2, 61.237):
        answer = transcribed(WHISPER, silence(seconds))
        words = answer["words"]
        assert answer["word_count"] == len(words) == len(answer["text"].split())
        times = [time for word in words for time in (word["start"], word["end"])]
        assert times == sorted(times)
        assert times[0] == 0
        assert seconds - 0.011 <= times[-1] <= seconds
    assert 1 < answer["word_count"] / 61 < 5


def test_a_long_word_takes_longer_than_a_short_one() -> None:
    words = transcribed(WHISPER, sound(AURA, text="a extraordinarily").content)["words"]
    assert words[1]["end"] - words[1]["start"] > 3 * (words[0]["end"] - words[0]["start"])


def test_the_turbo_model_measures_segments() -> None:
    audio = sound(AURA, text="One two. Three four. " + "and so on " * 10).content
    answer = transcribed(TURBO, audio, prefix="Well,", language="de", task="translate", vad_filter=True, beam_size=5)
    assert answer["text"].startswith("Well, One two. Three four.")
    info = answer["transcription_info"]
    assert info["language"] == "de"
    with wave.open(io.BytesIO(audio)) as reader:
        assert info["duration"] == pytest.approx(reader.getnframes() / reader.getframerate(), abs=0.001)
    segments = answer["segments"]
    assert [segment["text"] for segment in segments][:2] == ["Well, One two.", "Three four."]
    assert " ".join(segment["text"] for segment in segments) == answer["text"]
    for segment, following in pairwise(segments):
        assert segment["start"] < segment["end"] <= following["start"]
        assert (segment["words"][0]["start"], segment["words"][-1]["end"]) == (segment["start"], segment["end"])
    assert sum(len(segment["words"]) for segment in segments) == answer["word_count"]


def test_subtitles_are_web_vtt() -> None:
    head, *cues = transcribed(WHISPER, silence(3700, 100))["vtt"].split("\n\n")
    assert head == "WEBVTT"
    assert cues[0].splitlines()[0].startswith("00:00:00.000 --> 00:00:0")
    assert cues[0].splitlines()[1] == "This is a simulated transcript of 3700.0 seconds of audio."
    assert cues[-1].splitlines()[0].endswith(" --> 01:01:40.000")


def test_nova_and_flux_answer_in_their_shapes() -> None:
    alternative = transcribed(NOVA, silence(2), smart_format=True)["results"]["channels"][0]["alternatives"][0]
    assert set(alternative["words"][0]) == {"word", "start", "end", "confidence"}
    assert alternative["words"][-1]["end"] == 2
    event = transcribed(FLUX, bytes(2 * 8000 * 3))  # bare samples, as its socket takes them
    assert (event["event"], event["audio_window_end"]) == ("EndOfTurn", 3)
    assert "3.0 seconds" in event["transcript"]
    assert {"word": "simulated", "confidence": 1.0} in event["words"]


NEMOTRON = "@cf/nvidia/nemotron-speech-streaming-en-0.6b"


def test_nemotron_knows_the_length_of_bare_samples() -> None:
    bare = {"audio": base64_of(bytes(32_000)), "encoding": "linear16"}
    assert transcribe(MODELS[NEMOTRON], bare)["duration"] == 1.0
    assert transcribe(MODELS[NEMOTRON], {**bare, "sample_rate": 8000, "channels": 2})["duration"] == 1.0
    assert transcribe(MODELS[NEMOTRON], {"audio": base64_of(silence(2))})["duration"] == 2.0
    for wrong in ({"encoding": "mp3"}, {"sample_rate": 0}, {"channels": "two"}):
        assert refusal(transcribe, NEMOTRON, {**bare, **wrong}).code == 5006
    assert refusal(transcribe, NEMOTRON, {"audio": "", "encoding": "linear16"}).code == 3030


def ogg(*packets: tuple[int, int, bytes]) -> bytes:
    """An Ogg file of pages (flags, position, content)."""
    pages = [
        b"OggS\0" + struct.pack("<BqIIIBB", flags, position, 7, number, 0, 1, len(content)) + content
        for number, (flags, position, content) in enumerate(packets)
    ]
    return b"".join(pages)


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + name + content


def element(name: str, content: bytes) -> bytes:
    return bytes.fromhex(name) + (0x0100_0000_0000_0000 | len(content)).to_bytes(8) + content


OPEN = bytes.fromhex("01ffffffffffffff")
"""Size of an element that a recorder leaves open."""

EBML = element("1a45dfa3", element("4282", b"webm"))
BLOCKS = [element("a3", b"\x81" + struct.pack(">hB", time, 0x80) + b"opus") for time in (0, 500)]

MVHD = box(b"mvhd", struct.pack(">IIIII", 0, 0, 0, 1000, 4500) + bytes(80))
ADTS = bytes.fromhex("fff15080") + (100 << 13 | 0x1FFC).to_bytes(3) + bytes(93)
"""A frame of AAC: 1,024 samples at 44,100 Hz in 100 bytes."""
FLAC_INFO = struct.pack(">HH", 4096, 4096) + bytes(6) + (8000 << 44 | 15 << 36 | 20_000).to_bytes(8) + bytes(16)

RECORDINGS = {
    "wav": (silence(1.5), 1.5),
    "wav of a stream": (silence(1.5).replace(struct.pack("<4sI", b"data", 24_000), b"data\xff\xff\xff\xff"), 1.5),
    "wav cut off": (silence(1.5)[:-8000], 1.0),
    "mp3": ((b"\xff\xfb\x90\x00" + bytes(413)) * 100, 100 * 417 * 8 / 128_000),
    "ogg opus": (
        ogg(
            (2, 0, b"OpusHead\x01\x01\0\0" + struct.pack("<IhB", 48_000, 0, 0)),
            (0, 0, b"OpusTags" + struct.pack("<I4sI", 4, b"test", 0)),
            (4, 48_000 * 3, b"sound"),
        ),
        3.0,
    ),
    "flac": (b"fLaC\x80\0\0\x22" + FLAC_INFO, 2.5),
    "m4a": (box(b"ftyp", b"M4A \0\0\0\0M4A ") + box(b"moov", MVHD), 4.5),
    "m4a of a recorder": (box(b"ftyp", b"M4A \0\0\0\0M4A ") + box(b"mdat", bytes(16_000 - 28)), 4.0),
    "aac": (ADTS * 100, 100 * 1024 / 44_100),
    "webm": (
        EBML
        + element(
            "18538067", element("1549a966", element("2ad7b1", b"\x0f\x42\x40") + element("4489", b"\x44\xfa\0\0"))
        ),
        2.0,
    ),
    "webm of a browser": (
        EBML
        + bytes.fromhex("18538067")
        + OPEN
        + element("1549a966", element("2ad7b1", b"\x0f\x42\x40"))
        + bytes.fromhex("1f43b675")
        + OPEN
        + element("e7", b"\0")
        + BLOCKS[0]
        + bytes.fromhex("1f43b675")
        + OPEN
        + element("e7", b"\x0b\xb8")
        + BLOCKS[1],
        3.52,
    ),
}


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_length_of_a_recording_is_right(name: str) -> None:
    audio, seconds = RECORDINGS[name]
    assert transcribed(TURBO, audio)["transcription_info"]["duration"] == pytest.approx(seconds, abs=0.01)


@pytest.mark.parametrize(
    ("model", "inputs", "words"),
    [
        (WHISPER, {}, "required properties at '/' are 'audio'"),
        (WHISPER, {"audio": 5}, "Type mismatch of '/audio', 'number' not in 'array'"),
        (WHISPER, {"audio": [0, 256]}, "'/audio/1' must be <= 255"),
        (WHISPER, {"audio": [0, None]}, "Type mismatch of '/audio/1', 'null' not in 'integer'"),
        (TURBO, {"audio": base64_of(silence(1)), "task": "sing"}, "enum sing not in transcribe,translate"),
        (TURBO, {"audio": base64_of(silence(1)), "vad_filter": "yes"}, "'/vad_filter', 'string' not in 'boolean'"),
        (TURBO, {"audio": base64_of(silence(1)), "beam_size": "5"}, "'/beam_size', 'string' not in 'number'"),
        (TURBO, {"audio": base64_of(silence(1)), "language": 5}, "'/language', 'number' not in 'string'"),
        (NOVA, {"audio": {}}, "required properties at '/audio' are 'body,contentType'"),
        (NOVA, {"audio": silence(1), "mode": "loud"}, "enum loud not in general,medical,finance"),
        (NOVA, {"audio": silence(1), "diarize": 1}, "'/diarize', 'number' not in 'boolean'"),
        (NOVA, {"audio": {"body": {}, "contentType": "audio/wav"}}, "Type mismatch of '/audio/body', 'object'"),
        (FLUX, {"audio": silence(1)}, "required properties at '/' are 'encoding,sample_rate'"),
        (FLUX, {"audio": b"..", "encoding": "mp3", "sample_rate": "8000"}, "enum mp3 not in linear16"),
        (FLUX, {"audio": b"..", "encoding": "linear16", "sample_rate": "0"}, "'/sample_rate' does not match"),
    ],
)
def test_invalid_inputs_of_speech_to_text_are_5006(model: str, inputs: dict[str, Any], words: str) -> None:
    error = refusal(transcribe, model, inputs)
    assert (error.status, error.code) == (400, 5006)
    assert words in error.description


@pytest.mark.parametrize("audio", ["%%%", "abc", "é"])
def test_bad_base64_is_5004(audio: str) -> None:
    error = refusal(transcribe, TURBO, {"audio": audio})
    assert (error.status, error.code) == (400, 5004)


@pytest.mark.parametrize(
    "audio",
    [
        b"",
        b"no sound at all" * 20,
        silence(0),
        silence(1)[:20],
        b"RIFF\x10\0\0\0WAVEdata\0\0\0\0",
        EBML[:7],
        b"fLaC\x80\0\0\x22",
        b"OggS" + bytes(60),
        b"ID3\x04\0\0\0\0\0\x00" + bytes(200),
    ],
)
def test_a_sound_that_cannot_be_read_is_3030(audio: bytes) -> None:
    for model in (WHISPER, TURBO, NOVA):
        with pytest.raises(UpstreamError) as caught:
            transcribed(model, audio)
        assert (caught.value.status, caught.value.code) == (400, 3030)
        assert caught.value.description.startswith("Invalid audio: ")


def test_a_file_with_an_absurd_length_gets_no_endless_text() -> None:
    slow = bytearray(silence(1))
    slow[28:32] = struct.pack("<I", 1)  # bytes per second
    slow[40:44] = b"\xff\xff\xff\xff"
    ages = EBML + element("18538067", element("1549a966", element("4489", struct.pack(">d", 1e15))))
    for audio in (bytes(slow), ages):
        assert len(transcribed(WHISPER, audio)["text"]) < 200_000


@pytest.mark.parametrize("name", RECORDINGS)
def test_broken_bytes_are_at_most_refused(name: str) -> None:
    audio = RECORDINGS[name][0][:600]
    random = np.random.default_rng(1)
    for _ in range(150):
        broken = bytearray(audio)
        broken[int(random.integers(len(audio)))] = int(random.integers(256))
        cut = bytes(broken[: int(random.integers(1, len(audio) + 1))])
        try:
            assert transcribed(WHISPER, cut)["words"]
        except UpstreamError as error:
            assert error.code == 3030  # noqa: PT017 - either is right, another error is not
