"""Real speech recognition, by faster-whisper on this machine with Whisper's weights."""

import importlib
import io
import sys
import threading
from collections.abc import Iterable
from typing import Any, BinaryIO, Protocol

from workers_ai_simulator.errors import UpstreamError


class Segment(Protocol):
    """The part of faster-whisper's class of that name that is used here."""

    text: str


class WhisperModel(Protocol):
    """The part of faster-whisper's class of that name that is used here."""

    def transcribe(self, audio: BinaryIO) -> tuple[Iterable[Segment], Any]: ...


class LocalSpeech:
    """Recognises speech. The weights are downloaded, if need be, and loaded at first use."""

    def __init__(self, name: str) -> None:
        """`name`: a model of faster-whisper (`base.en`, `large-v3-turbo`), or the folder of one.

        Raises ModuleNotFoundError without faster-whisper.
        """
        self.name = name
        self._module = importlib.import_module("faster_whisper")
        self._model: WhisperModel | None = None
        self._lock = threading.Lock()

    def recognise(self, audio: bytes) -> str:
        """Transcript of the recording. Raises UpstreamError 8007 if faster-whisper fails."""
        with self._lock:
            try:
                segments, _ = self._load().transcribe(io.BytesIO(audio))
                return " ".join(segment.text.strip() for segment in segments)
            except Exception as error:  # any kind: no weights, no network, an unreadable recording
                raise UpstreamError(502, 8007, f"faster-whisper: {error}") from error

    def _load(self) -> WhisperModel:
        if self._model:
            return self._model
        print(f"Loading {self.name} …", file=sys.stderr, flush=True)
        model: WhisperModel = self._module.WhisperModel(self.name)
        self._model = model
        return model
