"""POST /transcribe and POST /speak, as their clients see them."""

import base64
import io
import random
import struct
import wave
from itertools import pairwise
from typing import Any

import httpx
import pytest

from tests.conftest import ErrorOf, Simulator

WHISPER = "@cf/openai/whisper"
TINY = "@cf/openai/whisper-tiny-en"
TURBO = "@cf/openai/whisper-large-v3-turbo"
NOVA = "@cf/deepgram/nova-3"
LISTENERS = (WHISPER, TINY, TURBO, NOVA)
MELO = "@cf/myshell-ai/melotts"
AURA = "@cf/deepgram/aura-1"
AURA_EN = "@cf/deepgram/aura-2-en"
AURA_ES = "@cf/deepgram/aura-2-es"

TEXT = "Good morning. The train to Bern leaves at nine, from platform three."
MP3 = bytes.fromhex("fff318c4") + bytes(32)
"""A frame of MPEG-2, layer III: 36 ms of 16 kHz at 8 kbit/s, with nothing said in them."""


def speak(client: httpx.Client, text: str = TEXT, **body: Any) -> httpx.Response:
    return client.post("/speak", json={"text": text, **body})


def transcribe(
    client: httpx.Client, audio: bytes, content_type: str = "audio/wav", **parameters: str
) -> httpx.Response:
    return client.post("/transcribe", params=parameters, content=audio, headers={"content-type": content_type})


@pytest.fixture(scope="module")
def spoken(base_url: str) -> bytes:
    """The text, read aloud."""
    with httpx.Client(base_url=base_url, timeout=60) as client:
        return speak(client).content


def recording(seconds: float, rate: int = 16_000, channels: int = 1, pause_at: float | None = None) -> bytes:
    """Noise as WAV, 16 bits a sample, with half a second of silence."""
    frames = random.Random(3).randbytes(round(seconds * rate) * 2 * channels)
    if pause_at is not None:
        start, length = round(pause_at * rate) * 2 * channels, rate * channels
        frames = frames[:start] + bytes(length) + frames[start + length :]
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(frames)
    return file.getvalue()


def inputs_of(simulator: Simulator, response: httpx.Response) -> list[dict[str, Any]]:
    """Inputs of the model, in each call."""
    return [simulator.request(each)["inputs"] for each in response.headers["x-ai-request-id"].split(", ")]


# ---- /transcribe: answers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", LISTENERS)
def test_every_model_answers_in_the_same_shape(client: httpx.Client, spoken: bytes, model: str) -> None:
    response = transcribe(client, spoken, model=model)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert set(answer) == {"text", "segments", "words", "language", "duration"}
    assert answer["text"] == TEXT
    assert [segment["text"] for segment in answer["segments"]] == [TEXT[:13], TEXT[14:]]
    assert " ".join(word["word"] for word in answer["words"]) == TEXT
    for timed in (answer["segments"], answer["words"]):
        assert timed[0]["start"] == 0
        assert timed[-1]["end"] == pytest.approx(answer["duration"], abs=0.02)
        assert all(one["end"] == other["start"] for one, other in pairwise(timed))
    with wave.open(io.BytesIO(spoken)) as reader:
        assert answer["duration"] == pytest.approx(reader.getnframes() / reader.getframerate(), abs=0.001)


@pytest.mark.parametrize(("model", "language"), [(WHISPER, None), (TINY, "en"), (TURBO, "en"), (NOVA, None)])
def test_the_language_is_the_models_word_or_nobodys(
    client: httpx.Client, spoken: bytes, model: str, language: str | None
) -> None:
    assert transcribe(client, spoken, model=model).json()["language"] == language


def test_a_form_does_as_well(client: httpx.Client, spoken: bytes, simulator: Simulator) -> None:
    for name in ("file", "audio"):
        response = client.post(
            "/transcribe",
            data={"model": NOVA, "diarize": "true", "language": "en-GB"},
            files={name: ("train.wav", spoken, "application/pdf")},
        )
        assert response.status_code == 200, response.text
        assert response.json()["text"] == TEXT
        assert inputs_of(simulator, response)[0].items() >= {"diarize": True, "language": "en-GB"}.items()


def test_subtitles_come_when_they_are_asked_for(client: httpx.Client) -> None:
    audio = speak(client, "Tea & <biscuits>. Good night.").content
    vtt = transcribe(client, audio, model=WHISPER, vtt="true").json()["vtt"]
    head, first, second = vtt.strip().split("\n\n")
    assert head == "WEBVTT"
    assert first.startswith("00:00:00.000 --> 00:00:0")
    assert first.endswith("\nTea &amp; &lt;biscuits&gt;.")
    assert second.endswith("\nGood night.")


def test_the_default_model_is_the_worker_s(client: httpx.Client, spoken: bytes) -> None:
    assert transcribe(client, spoken).headers["x-model"] == TURBO


def test_a_response_says_what_it_has_cost(client: httpx.Client) -> None:
    for model, price in ((WHISPER, 41.14), (TURBO, 46.63), (NOVA, 472.73)):
        response = transcribe(client, recording(15), model=model)
        assert float(response.headers["x-neurons"]) == pytest.approx(price / 4, rel=1e-3)
        assert response.headers["x-ai-request-id"]
        assert response.headers["server-timing"].startswith("model;dur=")
        assert response.headers["cache-control"] == "no-store"


def test_other_formats_are_sent_as_they_are(client: httpx.Client, simulator: Simulator) -> None:
    for model in LISTENERS:
        response = transcribe(client, MP3 * 200, "application/octet-stream", model=model)
        assert response.status_code == 200, response.text
        assert response.json()["text"]
        assert len(inputs_of(simulator, response)) == 1
    # of their length nobody has told
    assert "x-neurons" not in transcribe(client, MP3 * 200, model=WHISPER).headers


# ---- /transcribe: what the model is sent ---------------------------------------------------------------------------


def test_each_model_gets_the_sound_as_it_takes_it(client: httpx.Client, simulator: Simulator) -> None:
    audio = recording(1)
    sent = {model: inputs_of(simulator, transcribe(client, audio, model=model))[0] for model in LISTENERS}
    assert base64.b64decode(sent[TURBO].pop("audio")) == audio
    assert sent == {
        WHISPER: {"audio": f"<{len(audio)} numbers>"},
        TINY: {"audio": f"<{len(audio)} numbers>"},
        TURBO: {},
        NOVA: {"audio": f"<{len(audio)} bytes>"},
    }


@pytest.mark.parametrize(
    ("model", "parameters", "inputs"),
    [
        (TURBO, {"language": "de"}, {"language": "de"}),
        (TURBO, {"task": "translate"}, {"task": "translate"}),
        (TURBO, {"prompt": "Bern, Thun"}, {"initial_prompt": "Bern, Thun"}),
        (TURBO, {"prefix": "Hello"}, {"prefix": "Hello"}),
        (TURBO, {"vad_filter": "true", "beam_size": "3"}, {"vad_filter": True, "beam_size": 3}),
        (TURBO, {"condition_on_previous_text": "false"}, {"condition_on_previous_text": False}),
        (TURBO, {"no_speech_threshold": "0.5"}, {"no_speech_threshold": 0.5}),
        (TURBO, {"compression_ratio_threshold": "2.4"}, {"compression_ratio_threshold": 2.4}),
        (TURBO, {"log_prob_threshold": "-1"}, {"log_prob_threshold": -1}),
        (TURBO, {"hallucination_silence_threshold": "2"}, {"hallucination_silence_threshold": 2}),
        (NOVA, {"language": "en-US", "smart_format": "1"}, {"language": "en-US", "smart_format": True}),
        (NOVA, {"detect_language": "true", "punctuate": "true"}, {"detect_language": True, "punctuate": True}),
        (NOVA, {"numerals": "true", "measurements": "true"}, {"numerals": True, "measurements": True}),
        (NOVA, {"dictation": "true", "filler_words": "true"}, {"dictation": True, "filler_words": True}),
        (NOVA, {"keyterm": "Bern", "redact": "pci"}, {"keyterm": "Bern", "redact": "pci"}),
        (NOVA, {"replace": "a:b", "profanity_filter": "true"}, {"replace": "a:b", "profanity_filter": True}),
        (NOVA, {"mode": "medical"}, {"mode": "medical"}),
    ],
)
def test_parameters_reach_the_model(
    client: httpx.Client, simulator: Simulator, model: str, parameters: dict[str, str], inputs: dict[str, Any]
) -> None:
    response = transcribe(client, recording(1), model=model, **parameters)
    assert response.status_code == 200, response.text
    sent = inputs_of(simulator, response)[0]
    del sent["audio"]
    assert sent == inputs


# ---- /transcribe: long recordings ----------------------------------------------------------------------------------


def test_a_long_recording_is_cut_in_a_pause_and_put_together(client: httpx.Client, simulator: Simulator) -> None:
    audio = recording(150, pause_at=55)
    response = transcribe(client, audio, model=TURBO, prefix="Hello", prompt="Bern", vtt="true")
    assert response.status_code == 200, response.text
    sent = inputs_of(simulator, response)
    assert [("prefix" in each, each["initial_prompt"]) for each in sent] == [(True, "Bern"), *[(False, "Bern")] * 2]
    # the simulator's log keeps how an input begins: a header, and the first samples
    heads = [base64.b64decode(each["audio"][:100]) for each in sent]
    sizes = [int.from_bytes(head[40:44], "little") for head in heads]
    samples = audio[44:]
    assert sum(sizes) == len(samples)
    for number, head in enumerate(heads):
        assert head[:4] + head[8:40] == audio[:4] + audio[8:40]
        start = sum(sizes[:number])
        assert head[44:] == samples[start : start + len(head) - 44]
    lengths = [size / 32_000 for size in sizes]
    assert 55.09 < lengths[0] < 55.41
    answer = response.json()
    assert answer["duration"] == 150
    assert answer["text"].startswith(f"Hello This is a simulated transcript of {lengths[0]:.1f} seconds of audio. This")
    assert f" audio. This is a simulated transcript of {lengths[1]:.1f} seconds of" in answer["text"]
    assert answer["text"].count("Hello") == 1
    assert " ".join(segment["text"] for segment in answer["segments"]) == answer["text"]
    for timed in (answer["segments"], answer["words"]):
        starts = [each["start"] for each in timed]
        assert starts == sorted(starts)
        assert any(start == pytest.approx(lengths[0], abs=0.001) for start in starts)
        assert timed[-1]["end"] == pytest.approx(150, abs=0.02)
    assert answer["vtt"].rstrip().split("\n")[-2].split(" --> ")[1] in ("00:02:29.990", "00:02:30.000")
    assert float(response.headers["x-neurons"]) == pytest.approx(46.63 * 2.5, rel=1e-3)
    assert response.headers["x-model"] == TURBO
    assert response.headers["server-timing"].count("model;dur=") == len(sizes)


def test_pieces_are_small_enough_for_numbers(client: httpx.Client, simulator: Simulator) -> None:
    response = transcribe(client, recording(60, rate=48_000), model=WHISPER)
    assert response.status_code == 200, response.text
    sizes = [int(each["audio"].strip("<").split()[0]) for each in inputs_of(simulator, response)]
    assert sum(sizes) == 60 * 96_000 + 44 * len(sizes)
    assert max(sizes) <= 1_048_576 + 44


def test_a_stream_is_not_cut(client: httpx.Client, simulator: Simulator) -> None:
    audio = recording(130)
    response = transcribe(client, audio, model=NOVA)
    assert inputs_of(simulator, response) == [{"audio": f"<{len(audio)} bytes>"}]
    assert response.json()["duration"] == 130


def test_a_recording_whose_length_was_never_filled_in(client: httpx.Client) -> None:
    audio = bytearray(recording(70))
    audio[4:8] = audio[40:44] = b"\xff\xff\xff\xff"
    response = transcribe(client, bytes(audio))
    assert response.json()["duration"] == 70
    assert response.headers["x-ai-request-id"].count(",") == 1


def test_25_mb_are_transcribed(client: httpx.Client) -> None:
    response = transcribe(client, recording(815), model=TURBO)
    assert response.status_code == 200, response.text
    assert response.json()["duration"] == 815
    assert response.headers["x-ai-request-id"].count(",") >= 13


def test_if_a_piece_fails_the_whole_does(client: httpx.Client, simulator: Simulator, error_of: ErrorOf) -> None:
    simulator.set_fault(model=TURBO, status=429, code=3036, description="used up")
    response = transcribe(client, recording(130), model=TURBO)
    assert response.status_code == 429
    assert error_of(response)["upstream_code"] == 3036
    assert transcribe(client, recording(130), model=TURBO).status_code == 200


def test_a_sound_too_long_for_an_array_is_refused_or_streamed(
    client: httpx.Client, simulator: Simulator, error_of: ErrorOf
) -> None:
    audio = MP3 * 240_000  # 8.6 MB
    response = transcribe(client, audio, "audio/mpeg", model=WHISPER)
    assert response.status_code == 413
    error = error_of(response)
    assert (error["type"], error["param"]) == ("payload_too_large", "audio")
    assert TURBO in error["message"]
    response = transcribe(client, audio, "audio/mpeg", model=TURBO)
    assert response.status_code == 200, response.text
    assert inputs_of(simulator, response) == [{"audio": f"<{len(audio)} bytes>"}]


# ---- /transcribe: refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "param", "words"),
    [
        ({"task": "summarize"}, "task", "'transcribe' or 'translate'"),
        ({"language": "English!"}, "language", "pattern"),
        ({"model": WHISPER, "language": "en"}, "language", "does not take language"),
        ({"model": NOVA, "task": "translate"}, "task", "does not take task"),
        ({"model": TURBO, "diarize": "true"}, "diarize", "does not take diarize"),
        ({"vad_filter": "perhaps"}, "vad_filter", "valid boolean"),
        ({"beam_size": "0"}, "beam_size", "between 1 and 10"),
        ({"beam_size": "many"}, "beam_size", "valid integer"),
        ({"no_speech_threshold": "2"}, "no_speech_threshold", "between 0 and 1"),
        ({"log_prob_threshold": "1"}, "log_prob_threshold", "between -100 and 0"),
        ({"prompt": "a" * 2001}, "prompt", "at most 2000 characters"),
        ({"mode": "legal"}, "mode", "'general', 'medical' or 'finance'"),
        ({"temperature": "0"}, "temperature", "is not known here"),
        ({"model": "@cf/meta/llama-3.2-1b-instruct"}, "model", "not for speech-to-text"),
        ({"model": "@cf/deepgram/flux"}, "model", "WebSocket"),
    ],
)
def test_invalid_parameters_are_refused(
    client: httpx.Client, error_of: ErrorOf, parameters: dict[str, str], param: str, words: str
) -> None:
    response = transcribe(client, recording(0.1), **parameters)
    assert response.status_code == 400
    error = error_of(response)
    assert (error["code"], error["type"], error["param"]) == (7504, "invalid_request", param)
    assert words in error["message"]


def test_an_unknown_model(client: httpx.Client, error_of: ErrorOf) -> None:
    response = transcribe(client, recording(0.1), model="@cf/openai/whisper-large")
    assert response.status_code == 404
    error = error_of(response)
    assert (error["code"], error["param"]) == (7502, "model")
    assert TURBO in error["message"].partition("Did you mean ")[2]


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n" + bytes(100), b"hello", b"RIFF\0\0\0\0AVI LIST"])
def test_files_that_are_not_sounds_are_refused(client: httpx.Client, error_of: ErrorOf, content: bytes) -> None:
    in_form = {"file": ("sound.wav", content, "audio/wav")}
    for param, response in {
        "audio": transcribe(client, content),
        "file": client.post("/transcribe", files=in_form),
    }.items():
        assert response.status_code == 400
        error = error_of(response)
        assert (error["code"], error["param"]) == (7504, param)
        assert ("is empty" if not content else "not in an audio format") in error["message"]


@pytest.mark.parametrize("content_type", ["application/json", "image/png", "text/plain", ""])
def test_other_media_types(client: httpx.Client, error_of: ErrorOf, content_type: str) -> None:
    response = transcribe(client, recording(0.1), content_type)
    assert response.status_code == 415
    assert error_of(response)["type"] == "unsupported_media_type"


def test_an_upload_that_is_too_large(client: httpx.Client, error_of: ErrorOf) -> None:
    audio = MP3 + bytes(26_214_400)
    for response in (
        transcribe(client, audio, "audio/mpeg"),
        client.post("/transcribe", files={"file": ("long.mp3", audio, "audio/mpeg")}),
    ):
        assert response.status_code == 413
        assert error_of(response)["type"] == "payload_too_large"
    assert transcribe(client, recording(0.5)).status_code == 200


def test_invalid_forms_are_refused(client: httpx.Client, error_of: ErrorOf, spoken: bytes) -> None:
    file = ("a.wav", spoken, "audio/wav")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"files": {"model": (None, TURBO)}}, "file"),
        ({"files": {"file": file, "audio": file}}, "file"),
        ({"files": {"sound": file}}, "sound"),
        ({"files": {"file": file}, "params": {"language": "en"}}, "language"),
        ({"files": {"file": file}, "data": {"beam_size": "x"}}, "beam_size"),
        ({"files": {"file": file}, "data": {"voice": "x"}}, "voice"),
        ({"files": {"file": file, "language": ("l", b"en")}}, "language"),
    ]
    for request, param in cases:
        response = client.post("/transcribe", **request)
        assert response.status_code == 400, request
        assert error_of(response)["param"] == param
    broken = client.post("/transcribe", content=b"--x", headers={"content-type": "multipart/form-data; boundary=y"})
    assert broken.status_code == 400


def test_a_sound_that_the_model_cannot_read(client: httpx.Client, error_of: ErrorOf) -> None:
    empty = b"RIFF" + struct.pack("<I", 4) + b"WAVE"
    for model in LISTENERS:
        response = transcribe(client, empty, model=model)
        assert response.status_code == 400
        error = error_of(response)
        assert (error["type"], error["upstream_code"]) == ("invalid_request", 3030)
        assert response.headers["x-model"] == model


@pytest.mark.parametrize(
    ("status", "code", "answered", "kind"),
    [
        (429, 3036, 429, "rate_limited"),
        (400, 5004, 400, "invalid_request"),
        (413, 3006, 413, "payload_too_large"),
        (403, 3041, 403, "forbidden"),
        (500, 8007, 502, "upstream_error"),
    ],
)
def test_errors_of_the_models(
    client: httpx.Client, simulator: Simulator, error_of: ErrorOf,
    status: int, code: int, answered: int, kind: str,
) -> None:  # fmt: skip
    audio = recording(0.5)
    for response in (
        faulty(simulator, status, code) or transcribe(client, audio),
        faulty(simulator, status, code) or transcribe(client, audio, model=NOVA),
        faulty(simulator, status, code) or speak(client),
        faulty(simulator, status, code) or speak(client, model=AURA),
    ):
        assert response.status_code == answered
        error = error_of(response)
        assert (error["type"], error["upstream_code"]) == (kind, code)
        assert "the model's own words" in error["message"]
    simulator.clear_faults()
    assert transcribe(client, audio).status_code == 200


def faulty(simulator: Simulator, status: int, code: int) -> None:
    """All calls fail from now on, further attempts too."""
    simulator.clear_faults()
    simulator.set_fault(status=status, code=code, description="the model's own words", count=None)


def test_an_answer_without_a_transcript_is_an_error(
    client: httpx.Client, simulator: Simulator, error_of: ErrorOf
) -> None:
    for ask in (lambda: transcribe(client, recording(0.5)), lambda: transcribe(client, recording(0.5), model=NOVA)):
        simulator.set_fault(empty_body=True)
        response = ask()
        assert response.status_code == 502
        assert error_of(response)["type"] == "upstream_error"


# ---- /speak --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [MELO, AURA, AURA_EN, AURA_ES])
def test_a_text_is_read_aloud_by_every_model(client: httpx.Client, model: str) -> None:
    response = speak(client, model=model)
    assert response.status_code == 200
    assert response.headers["content-type"] == "audio/wav"
    assert response.headers["x-model"] == model
    assert response.headers["x-ai-request-id"]
    assert response.headers["cache-control"] == "no-store"
    with wave.open(io.BytesIO(response.content)) as reader:
        assert 2 < reader.getnframes() / reader.getframerate() < 20
    assert transcribe(client, response.content).json()["text"] == TEXT


def test_the_default_voice_is_the_worker_s(client: httpx.Client, simulator: Simulator) -> None:
    response = speak(client)
    assert response.headers["x-model"] == MELO
    assert inputs_of(simulator, response) == [{"prompt": TEXT}]


@pytest.mark.parametrize(
    ("body", "inputs"),
    [
        ({"model": MELO, "lang": "fr"}, {"prompt": TEXT, "lang": "fr"}),
        ({"model": AURA, "voice": "zeus"}, {"text": TEXT, "speaker": "zeus"}),
        ({"model": AURA_ES, "speaker": "sirio"}, {"text": TEXT, "speaker": "sirio"}),
        (
            {"model": AURA_EN, "encoding": "mp3", "bit_rate": 32_000},
            {"text": TEXT, "encoding": "mp3", "bit_rate": 32_000},
        ),
        (
            {"model": AURA, "encoding": "opus", "container": "ogg"},
            {"text": TEXT, "encoding": "opus", "container": "ogg"},
        ),
        (
            {"model": AURA, "encoding": "linear16", "sample_rate": 48_000},
            {"text": TEXT, "encoding": "linear16", "sample_rate": 48_000},
        ),
    ],
)
def test_the_voice_is_sent_what_was_given(
    client: httpx.Client, simulator: Simulator, body: dict[str, Any], inputs: dict[str, Any]
) -> None:
    response = speak(client, **body)
    assert response.status_code == 200, response.text
    assert inputs_of(simulator, response) == [inputs]


def test_bare_samples_keep_the_type_that_says_so(client: httpx.Client) -> None:
    response = speak(client, model=AURA, encoding="mulaw", container="none", sample_rate=8000)
    assert response.headers["content-type"] == "audio/basic;rate=8000"
    assert not response.content.startswith(b"RIFF")
    assert len(response.content) > 8000


def test_the_cost_of_a_voice(client: httpx.Client) -> None:
    assert float(speak(client, "a " * 50, model=AURA).headers["x-neurons"]) == pytest.approx(136.4)
    response = speak(client)
    with wave.open(io.BytesIO(response.content)) as reader:
        minutes = reader.getnframes() / reader.getframerate() / 60
    assert float(response.headers["x-neurons"]) == pytest.approx(18.63 * minutes, rel=1e-3)


@pytest.mark.parametrize("text", ["Grüezi 東京 👋🏽", "x", "…", "a" * 5000])
def test_any_text_can_be_spoken(client: httpx.Client, text: str) -> None:
    response = speak(client, text)
    assert response.status_code == 200
    assert response.headers["content-type"] == "audio/wav"


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({}, "text", "is required"),
        ({"text": ""}, "text", "at least 1 character"),
        ({"text": " \n"}, "text", "must contain a word"),
        ({"text": 5}, "text", "valid string"),
        ({"text": "a" * 5001}, "text", "at most 5000 characters"),
        ({"text": "a" * 2001, "model": AURA}, "text", "at most 2,000 characters"),
        ({"text": "a", "prompt": "a"}, "prompt", "is not known here"),
        ({"text": "a", "voice": "zeus"}, "voice", "does not take voice: it takes lang"),
        ({"text": "a", "speaker": "zeus"}, "speaker", "does not take speaker: it takes lang"),
        ({"text": "a", "model": AURA, "lang": "en"}, "lang", "does not take lang"),
        ({"text": "a", "lang": "en_US"}, "lang", "pattern"),
        ({"text": "a", "model": AURA, "voice": "thalia"}, "voice", "must be one of angus, asteria"),
        ({"text": "a", "model": AURA_ES, "speaker": "zeus"}, "speaker", "must be one of sirio"),
        ({"text": "a", "model": AURA, "speaker": "zeus", "voice": "zeus"}, None, "only one of voice and speaker"),
        ({"text": "a", "model": AURA, "encoding": "wma"}, "encoding", "'linear16'"),
        ({"text": "a", "model": AURA, "container": "wav"}, "encoding", "required with container"),
        ({"text": "a", "model": AURA, "encoding": "mp3", "container": "wav"}, "container", "cannot be chosen for mp3"),
        ({"text": "a", "model": AURA, "encoding": "opus", "container": "wav"}, "container", "must be ogg for opus"),
        ({"text": "a", "model": AURA, "encoding": "opus", "sample_rate": 8000}, "sample_rate", "cannot be chosen"),
        ({"text": "a", "model": AURA, "encoding": "mulaw", "sample_rate": 24_000}, "sample_rate", "8000 or 16000"),
        ({"text": "a", "model": AURA, "encoding": "linear16", "sample_rate": 1}, "sample_rate", "between 8000 and"),
        ({"text": "a", "model": AURA, "encoding": "linear16", "sample_rate": "8000"}, "sample_rate", "valid integer"),
        ({"text": "a", "model": AURA, "encoding": "linear16", "bit_rate": 48_000}, "bit_rate", "cannot be chosen"),
        ({"text": "a", "model": AURA, "encoding": "mp3", "bit_rate": 64_000}, "bit_rate", "32000 or 48000"),
        ({"text": "a", "model": AURA, "encoding": "aac", "bit_rate": 200_000}, "bit_rate", "between 4000 and 192000"),
        ({"text": "a", "model": TURBO}, "model", "not for text-to-speech"),
    ],
)
def test_parameters_that_no_voice_accepts_are_refused(
    client: httpx.Client, error_of: ErrorOf, body: dict[str, Any], param: str | None, words: str
) -> None:
    response = client.post("/speak", json=body)
    assert response.status_code == 400
    error = error_of(response)
    assert (error["code"], error["type"], error["param"]) == (7504, "invalid_request", param)
    assert words in error["message"]


def test_an_unknown_voice_model_is_not_found(client: httpx.Client, error_of: ErrorOf) -> None:
    response = speak(client, model="@cf/deepgram/aura-3")
    assert response.status_code == 404
    assert error_of(response)["code"] == 7502


def test_text_that_is_not_json(client: httpx.Client, error_of: ErrorOf) -> None:
    assert client.post("/speak", content="hello", headers={"content-type": "text/plain"}).status_code == 415
    response = client.post("/speak", content="hello", headers={"content-type": "application/json"})
    assert response.status_code == 400
    response = client.post("/speak", json={"text": "a" * 1_100_000})
    assert response.status_code == 413
    assert error_of(response)["type"] == "payload_too_large"


def test_a_voice_that_answers_nothing(client: httpx.Client, simulator: Simulator, error_of: ErrorOf) -> None:
    simulator.set_fault(model=MELO, empty_body=True)
    response = speak(client)
    assert response.status_code == 502
    assert error_of(response)["type"] == "upstream_error"
