"""WAV recordings: their duration, and cuts of a long one that fall into pauses.

Only the headers and the surroundings of the cuts are copied to Python; all other samples stay in JavaScript.
"""

import asyncio
import struct
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from math import gcd

from aiworker.bindings import Part
from aiworker.http.messages import Payload

PIECE_SECONDS = 60
"""Maximum duration of a piece: two of Whisper's windows of 30 seconds, so that seams are few and calls are short. (The
recommended length is not documented; Cloudflare's tutorial cuts by bytes, 1 MiB, which are 33 s of 16 kHz.)"""
SEARCH_SECONDS = 10
"""Seconds at the end of a piece that are searched for a pause, at most a third of it; few sentences last longer."""
PAUSE_WINDOWS = 10
"""Windows of 20 ms in a pause, the quietest 0.2 s. A window is long enough for one period of even a deep voice, and ten
are longer than the silence before a consonant such as t or k."""
WINDOWS_PER_SECOND = 50
ANALYSIS_RATE = 4000
"""Samples per second whose loudness is measured: enough to tell speech from silence."""
RATES = range(8_000, 384_001)
"""Frames per second of recordings that are cut, from the telephone's to the studio's. Recordings with other rates are
not speech, and would be cut into many thousands of pieces."""
MAX_CHANNELS = 8
MAX_CHUNKS = 100
"""Chunks of a file among which the samples must be; real files have them among the first ten."""
UNKNOWN_LENGTHS = (0, 0xFFFFFFFF)
"""Lengths in the header of a file that was written as a stream: the samples go on to the end of the file."""

MAX_BEHIND = 0.1
"""Share of the samples' bytes that other chunks behind them may have, and MAX_BEHIND_BYTES in any case. Some decoders
also play what a second chunk of samples holds, or what a length that is too small leaves out."""
MAX_BEHIND_BYTES = 16_384

PCM, FLOAT, A_LAW, MU_LAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
SAMPLE_BYTES: Mapping[int, Sequence[int]] = {PCM: (1, 2, 3, 4), FLOAT: (4, 8), A_LAW: (1,), MU_LAW: (1,)}
"""Coding → sizes of a sample in bytes. Other codings are compressed: only the header tells the duration of their files.
"""


def _array_reader(code: str) -> Callable[[bytes], "array[int]"]:
    return lambda content: array(code, content)


def _read_24_bits(content: bytes) -> "array[int]":
    """Return the upper 16 of every 24 bits."""
    upper = bytearray(len(content) // 3 * 2)
    upper[0::2], upper[1::2] = content[1::3], content[2::3]
    return array("h", bytes(upper))


SAMPLES: Mapping[tuple[int, int], Callable[[bytes], Sequence[float]]] = {
    (PCM, 1): _array_reader("B"),
    (PCM, 2): _array_reader("h"),
    (PCM, 3): _read_24_bits,
    (PCM, 4): _array_reader("i"),
    (FLOAT, 4): _array_reader("f"),
}
"""Coding and bytes per sample → function that returns the samples. WAV is little-endian, as are all our machines."""


@dataclass(frozen=True)
class Wave:
    """The format of a WAV file's samples, and their place in the file."""

    coding: int
    """PCM: whole numbers; FLOAT; A_LAW, MU_LAW: eight bits, logarithmic; others: compressed."""
    channels: int
    rate: int
    """Frames per second; a frame is a sample of each channel."""
    frame: int
    """Bytes of a frame."""
    bytes_per_second: int
    start: int
    """Position of the first sample's first byte."""
    end: int
    """Position after the last sample's last byte."""
    behind: int = 0
    """Bytes of the file behind the samples."""

    @property
    def seconds(self) -> float | None:
        """Duration in seconds; None if it follows from a header's claim alone, which anybody can forge."""
        samples = self.end - self.start
        is_whole = self.behind <= max(MAX_BEHIND_BYTES, MAX_BEHIND * samples)
        return samples / self.bytes_per_second if self._is_consistent and is_whole else None

    @property
    def _is_consistent(self) -> bool:
        width, rest = divmod(self.frame, self.channels)
        is_known = width in SAMPLE_BYTES.get(self.coding, ()) and not rest
        return is_known and self.rate in RATES and self.channels <= MAX_CHANNELS

    @property
    def frames(self) -> int:
        """Number of frames."""
        return (self.end - self.start) // self.frame

    @property
    def is_splittable(self) -> bool:
        """True if the samples can be read, so that pauses can be found."""
        return self._is_consistent and (self.coding, self.frame // self.channels) in SAMPLES


@dataclass(frozen=True)
class Piece:
    """A part of a recording that is a WAV file of its own."""

    start_seconds: float
    """Seconds from the recording's start."""
    seconds: float
    """Duration."""
    part: Part


def read_header(payload: Payload) -> Wave | None:
    """Read the header of a WAV file; None if the payload is no WAV file, or has no samples that can be found."""
    head = payload.read(0, 12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return None
    position, format_chunk = 12, b""
    for _ in range(MAX_CHUNKS):
        chunk = payload.read(position, position + 8)
        if len(chunk) < 8:
            return None
        name, length = struct.unpack("<4sI", chunk)
        position += 8
        if name == b"data":
            end = payload.size if length in UNKNOWN_LENGTHS else min(position + length, payload.size)
            return _wave(format_chunk, position, end, payload.size)
        if name == b"fmt ":
            format_chunk = payload.read(position, position + min(length, 40))
        position += length + length % 2
    return None


def _wave(format_chunk: bytes, start: int, end: int, size: int) -> Wave | None:
    if len(format_chunk) < 16:
        return None
    coding, channels, rate, bytes_per_second, frame = struct.unpack_from("<HHIIH", format_chunk)
    if coding == EXTENSIBLE and len(format_chunk) >= 26:
        (coding,) = struct.unpack_from("<H", format_chunk, 24)
    if coding in SAMPLE_BYTES:
        bytes_per_second = rate * frame  # the header's own value is sometimes wrong
    if not (channels and frame and bytes_per_second):
        return None
    end = start + (end - start) // frame * frame
    return Wave(coding, channels, rate, frame, bytes_per_second, start, end, max(0, size - end))


async def split(payload: Payload, wave: Wave, max_bytes: int) -> list[Piece]:
    """Cut a recording in pauses into pieces that together are the whole; none if it is short or cannot be cut.

    A piece lasts at most PIECE_SECONDS. max_bytes: maximum size of a piece's samples.
    """
    max_frames = min(PIECE_SECONDS * wave.rate, max_bytes // wave.frame)
    if wave.frames <= max_frames or not wave.is_splittable:
        return []
    cuts = [0]
    while wave.frames - cuts[-1] > max_frames:
        cuts.append(_find_cut(payload, wave, cuts[-1], max_frames))
        await asyncio.sleep(0)  # other requests get their turn
    return [_piece(wave, first, last) for first, last in zip(cuts, [*cuts[1:], wave.frames], strict=True)]


def _piece(wave: Wave, first: int, last: int) -> Piece:
    start, end = wave.start + first * wave.frame, wave.start + last * wave.frame
    bits = 8 * wave.frame // wave.channels
    head = struct.pack("<4sI4s", b"RIFF", 36 + end - start, b"WAVE")
    head += struct.pack("<4sIHH", b"fmt ", 16, wave.coding, wave.channels)
    head += struct.pack("<IIHH", wave.rate, wave.bytes_per_second, wave.frame, bits)
    head += struct.pack("<4sI", b"data", end - start)
    return Piece(first / wave.rate, (last - first) / wave.rate, Part(head, start, end))


def _find_cut(payload: Payload, wave: Wave, first: int, max_frames: int) -> int:
    """Return the frame in a pause at which the piece that begins with `first` ends, at most `max_frames` later."""
    searched = min(SEARCH_SECONDS * wave.rate, max_frames // 3)
    # the last piece must not be a mere snippet: whisper invents words for those
    end = min(first + max_frames, wave.frames - searched)
    start = end - searched
    content = payload.read(wave.start + start * wave.frame, wave.start + end * wave.frame)
    return start + min(_find_pause(wave, content), searched)


def _find_pause(wave: Wave, content: bytes) -> int:
    """Return the frame in the middle of the quietest pause; of several equal ones, the last."""
    samples_per_second = wave.rate * wave.channels
    # samples of the channels alternate: a step that shares no factor with their number takes samples of all
    step = next(n for n in count(max(1, samples_per_second // ANALYSIS_RATE)) if gcd(n, wave.channels) == 1)
    samples = SAMPLES[wave.coding, wave.frame // wave.channels](content)[::step]
    window = max(1, samples_per_second // step // WINDOWS_PER_SECOND)
    windows = [samples[start : start + window] for start in range(0, len(samples) - window + 1, window)]
    swings = [max(each) - min(each) for each in windows]
    starts = range(len(swings) - PAUSE_WINDOWS, -1, -1)
    pause = min(starts, key=lambda start: sum(swings[start : start + PAUSE_WINDOWS]), default=0)
    return (pause + PAUSE_WINDOWS // 2) * window * step // wave.channels
