"""Speech by espeak-ng: a program of the user's, under the GPL, which is started and never part of this package."""

import shutil
import subprocess

import numpy as np

from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.speech.simulated import Samples, digest

PROGRAM = "espeak-ng"
HOW_TO_INSTALL = "apt-get install espeak-ng, brew install espeak-ng or winget install eSpeak-NG.eSpeak-NG"
SECONDS = 60
"""Time that the program has for one text."""
LANGUAGES = {"zh": "cmn", "jp": "ja", "kr": "ko", "@cf/deepgram/aura-2-es": "es"}
"""Language of melotts, or model with another language than English → the program's name of it."""
PITCHES = range(20, 80)
"""Pitches of the voices, of the program's 0 to 99."""


class EspeakVoice:
    """Speaks texts by espeak-ng."""

    def __init__(self) -> None:
        """Raises ValueError, with what to install, if there is no such program."""
        program = shutil.which(PROGRAM)
        if program is None:
            raise ValueError(f"--voice {PROGRAM} needs the program {PROGRAM}: {HOW_TO_INSTALL}")
        self._program = program

    def pronounce(self, text: str, voice: str, rate: int) -> Samples:
        """Samples of a text. `voice`: the model and its voice or language. Raises UpstreamError 8007."""
        model, _, name = voice.partition(" ")
        language = LANGUAGES.get(model) or LANGUAGES.get(name.lower(), name.lower() if len(name) == 2 else "en")
        pitch = PITCHES[digest(voice)[0] % len(PITCHES)]
        command = [self._program, "-v", language, "-p", str(pitch), "--stdin", "--stdout"]
        try:
            content = text.encode("utf-8", "replace")
            done = subprocess.run(command, input=content, capture_output=True, timeout=SECONDS, check=True)
            return _resampled(done.stdout, rate)
        except subprocess.CalledProcessError as error:
            reason = error.stderr.decode(errors="replace").strip() or f"status {error.returncode}"
        except (OSError, subprocess.TimeoutExpired, ValueError) as error:
            reason = str(error)
        raise UpstreamError(502, 8007, f"{PROGRAM}: {reason}")


def _resampled(wav: bytes, rate: int) -> Samples:
    """Samples of a WAV file at another rate. Raises ValueError unless it has 16 bits and one channel.

    The file is written to a pipe, so that its header does not know its length.
    """
    start = wav.find(b"data") + 8
    if not wav.startswith(b"RIFF") or start < 44 or wav[22:24] != b"\1\0" or wav[34:36] != b"\x10\0":
        raise ValueError(f"its output is no WAV file: {wav[:40]!r}")
    own_rate = int.from_bytes(wav[24:28], "little")
    content = wav[start : len(wav) - (len(wav) - start) % 2]
    samples = np.frombuffer(content, "<i2")
    if not len(samples):
        raise ValueError("it says nothing")
    places = np.arange(0, len(samples), own_rate / rate)
    return np.interp(places, np.arange(len(samples)), samples).astype(np.int16)
