"""--speech: recordings recognised by faster-whisper, with a stand-in for it."""

import base64
import importlib.util
import struct
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from running_simulator import ENVIRONMENT, SimulatorProcess

ENGINE = """
class Segment:
    def __init__(self, text):
        self.text = text

class WhisperModel:
    def __init__(self, name):
        self.name = name

    def transcribe(self, audio):
        content = audio.read()
        if self.name == "broken":
            raise RuntimeError("no such weights")
        return (Segment(text) for text in (" Heard by " + self.name, f" in {len(content)} bytes. ")), None
"""
FORMAT = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 16_000, 2, 16)
DATA = struct.pack("<4sI", b"data", 8192) + bytes(8192)
RECORDING = b"RIFF" + struct.pack("<I", 4 + len(FORMAT) + len(DATA)) + b"WAVE" + FORMAT + DATA
"""Half a second of silence."""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "faster_whisper.py").write_text(ENGINE)
    monkeypatch.setenv("EXTRA_PYTHONPATH", str(tmp_path))


def start(model: str) -> Generator[httpx.Client]:
    simulator = SimulatorProcess("--speech", model)
    with simulator.client() as client:
        yield client
    simulator.stop()


@pytest.fixture
def simulator(engine: None) -> Generator[httpx.Client]:
    yield from start("base.en")


@pytest.fixture
def broken(engine: None) -> Generator[httpx.Client]:
    yield from start("broken")


def run(client: httpx.Client, model: str, inputs: object) -> httpx.Response:
    return client.post(f"/client/v4/accounts/any/ai/run/{model}", json=inputs)


def test_the_engine_transcribes_a_recording(simulator: httpx.Client) -> None:
    transcript = run(simulator, "@cf/openai/whisper", {"audio": list(RECORDING)}).json()["result"]
    assert transcript["text"] == f"Heard by base.en in {len(RECORDING)} bytes."
    assert transcript["words"][0]["word"] == "Heard"
    audio = base64.b64encode(RECORDING).decode()
    turbo = run(simulator, "@cf/openai/whisper-large-v3-turbo", {"audio": audio}).json()["result"]
    assert turbo["text"] == transcript["text"]
    assert simulator.get("/simulator").json()["local_speech"] == "base.en"


def test_speech_of_the_simulator_needs_no_engine(simulator: httpx.Client) -> None:
    spoken = run(simulator, "@cf/deepgram/aura-1", {"text": "Hello there", "container": "wav"}).content
    answer = simulator.post("/client/v4/accounts/any/ai/run/@cf/openai/whisper", content=spoken)
    assert answer.json()["result"]["text"] == "Hello there"


def test_an_engine_that_fails_is_an_error_with_its_reason(broken: httpx.Client) -> None:
    response = run(broken, "@cf/openai/whisper", {"audio": list(RECORDING)})
    assert response.status_code == 502
    [error] = response.json()["errors"]
    assert error["code"] == 8007
    assert "no such weights" in error["message"]


def test_without_the_extra_the_start_says_what_to_install() -> None:
    if importlib.util.find_spec("faster_whisper"):
        pytest.skip("faster-whisper is installed")
    command = [sys.executable, "-m", "workers_ai_simulator", "--port", "0", "--speech", "base.en"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 1
    assert "-m pip install 'workers-ai-simulator[speech]'" in done.stderr
