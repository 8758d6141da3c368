"""`--voice espeak-ng`: texts spoken by that program, by a stand-in for it, and by itself where it is installed."""

import io
import os
import shutil
import stat
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from workers_ai_simulator.catalogue import MODELS
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.media import Media
from workers_ai_simulator.speech.espeak import EspeakVoice
from workers_ai_simulator.speech.simulated import speak, transcribe

AURA = MODELS["@cf/deepgram/aura-1"]
MELO = MODELS["@cf/myshell-ai/melotts"]
STAND_IN = f"""#!{sys.executable}
import struct, sys
text = sys.stdin.buffer.read().decode()
open(__file__ + ".called", "w").write(" ".join(sys.argv[1:]))
if "fail" in text:
    sys.exit("Error: no such voice")
if "junk" in text:
    sys.stdout.buffer.write(b"junk")
    sys.exit()
samples = struct.pack("<22050h", *([1000, -1000] * 11025))
# a pipe cannot be sought in, so that the lengths are those of the largest file
head = b"RIFF" + struct.pack("<I", 0x7FFFF024) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 22050, 44100, 2, 16)
sys.stdout.buffer.write(head + b"data" + struct.pack("<I", 0x7FFFF000) + samples)
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "espeak-ng"
    file.write_text(STAND_IN)
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return file


def spoken(text: str, **inputs: object) -> bytes:
    answer = speak(AURA, {"text": text, **inputs}, EspeakVoice().pronounce)
    assert isinstance(answer, Media)
    return answer.content


def test_the_program_speaks_at_the_rate_that_is_asked_for_and_the_file_has_its_text(program: Path) -> None:
    sound = spoken("Hello there", container="wav", encoding="linear16", sample_rate=8000)
    with wave.open(io.BytesIO(sound)) as file:
        assert (file.getframerate(), file.getnframes()) == (8000, 8000)
    assert transcribe(MODELS["@cf/openai/whisper"], {"audio": list(sound)})["text"] == "Hello there"


def test_languages_and_voices_are_the_program_s(program: Path) -> None:
    called = Path(f"{program}.called")
    voice = EspeakVoice()
    for language, name in (("fr", "fr"), ("ZH", "cmn"), ("jp", "ja")):
        speak(MELO, {"prompt": "Bonjour", "lang": language}, voice.pronounce)
        assert called.read_text().startswith(f"-v {name} -p ")
    pitches: set[str] = set()
    for speaker in ("angus", "luna", "zeus"):
        spoken("Hello", speaker=speaker)
        assert called.read_text().startswith("-v en -p ")
        pitches.add(called.read_text())
    assert len(pitches) > 1
    speak(MODELS["@cf/deepgram/aura-2-es"], {"text": "Hola"}, voice.pronounce)
    assert called.read_text().startswith("-v es ")


@pytest.mark.parametrize(("text", "words"), [("fail", "Error: no such voice"), ("junk", "its output is no WAV file")])
def test_a_program_that_fails_is_an_error_with_its_reason(program: Path, text: str, words: str) -> None:
    with pytest.raises(UpstreamError) as raised:
        spoken(text)
    assert raised.value.code == 8007
    assert words in raised.value.description


def test_without_the_program_the_start_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="--voice espeak-ng needs the program espeak-ng: apt-get install espeak-ng"):
        EspeakVoice()


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng: apt-get install espeak-ng")
def test_espeak_ng_itself_speaks() -> None:
    short, long = (
        np.frombuffer(spoken(text, container="none", encoding="linear16"), "<i2")
        for text in ("Hi", "Hello there, friend")
    )
    assert len(long) > len(short) > 1000
    assert np.abs(long.astype(int)).max() > 1000
