"""Real speech recognition: Whisper's weights, run on this machine by faster-whisper."""

import importlib
import io
import sys
import threading
from collections.abc import Iterable
from typing import Any, BinaryIO, Protocol

from workers_ai_simulator.errors import UpstreamError


class Segment(Protocol):
    text: str


class WhisperModel(Protocol):
    """What is needed of faster-whisper's class."""

    def transcribe(self, audio: BinaryIO) -> tuple[Iterable[Segment], Any]: ...


class LocalSpeech:
    def __init__(self, name: str) -> None:
        """name: of a model that faster-whisper knows (`base.en`, `large-v3-turbo`), or the folder of one.

        Raises ModuleNotFoundError without faster-whisper. The weights are loaded at the first use.
        """
        self.name = name
        self._module = importlib.import_module("faster_whisper")
        self._model: WhisperModel | None = None
        self._one_at_a_time = threading.Lock()

    def heard(self, audio: bytes) -> str:
        """What is said in the recording. Raises UpstreamError 8007 if the engine fails."""
        with self._one_at_a_time:
            try:
                segments, _ = self._engine().transcribe(io.BytesIO(audio))
                return " ".join(segment.text.strip() for segment in segments)
            except Exception as error:  # of many kinds: no weights, no network, no such sound
                raise UpstreamError(502, 8007, f"faster-whisper: {error}") from error

    def _engine(self) -> WhisperModel:
        if self._model:
            return self._model
        print(f"Loading {self.name} …", file=sys.stderr, flush=True)
        model: WhisperModel = self._module.WhisperModel(self.name)
        self._model = model
        return model
