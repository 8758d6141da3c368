"""WAV recordings: how long they are, and where a long one is cut so that no word is.

Only headers and the surroundings of the cuts are read; the samples themselves stay where they are.
"""

import struct
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from math import gcd

from aiworker.bindings import Part
from aiworker.http.messages import Payload

PIECE_SECONDS = 60
"""Whisper listens to 30 seconds at a time: two of those, so that seams are few and a piece is soon transcribed. (The
recommended length is not documented; Cloudflare's tutorial cuts by bytes, 1 MiB, which are 33 s of 16 kHz.)"""
SEARCHED_SECONDS = 10
"""So much of a piece's end is searched for a pause, in a short piece its last third: few sentences have none in it."""
PAUSE_WINDOWS = 10
"""A pause is the quietest 0.2 s, measured in windows of 20 ms, in which even a deep voice swings once. The silence in
front of a consonant such as t or k is shorter than that and is not taken for one."""
WINDOWS_A_SECOND = 50
LISTENED_RATE = 4000
"""Of so many samples a second the loudness is taken: enough to tell speech from silence."""
RATES = range(8_000, 384_001)
"""Frames a second, from the telephone's to the studio's. Others are no speech and are not cut: that would be into many
thousands of pieces."""
MAX_CHANNELS = 8
MAX_CHUNKS = 100
"""So many are looked at for the sound; files of real writers have it among the first ten."""
UNKNOWN_LENGTHS = (0, 0xFFFFFFFF)
"""What a writer leaves in the header that cannot go back and fill in the length: the sound goes on to the end."""

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE


def _wide(code: str) -> Callable[[bytes], "array[int]"]:
    return lambda content: array(code, content)


def _of_24_bits(content: bytes) -> "array[int]":
    """The upper 16 of every 24 bits."""
    upper = bytearray(len(content) // 3 * 2)
    upper[0::2], upper[1::2] = content[1::3], content[2::3]
    return array("h", bytes(upper))


SAMPLES: Mapping[tuple[int, int], Callable[[bytes], Sequence[float]]] = {
    (PCM, 1): _wide("B"),
    (PCM, 2): _wide("h"),
    (PCM, 3): _of_24_bits,
    (PCM, 4): _wide("i"),
    (FLOAT, 4): _wide("f"),
}
"""Coding and bytes a sample → its numbers, as WAV has them: little-endian, as is every machine that this runs on."""


@dataclass(frozen=True)
class Wave:
    """What the header of a WAV file says of its sound, and where that lies in the file."""

    coding: int
    """1 whole numbers, 3 floating point, others compressed."""
    channels: int
    rate: int
    """Frames a second; a frame is a sample of each channel."""
    frame: int
    """Bytes of a frame."""
    bytes_a_second: int
    start: int
    end: int

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / self.bytes_a_second

    @property
    def frames(self) -> int:
        return (self.end - self.start) // self.frame

    @property
    def is_splittable(self) -> bool:
        width, rest = divmod(self.frame, self.channels)
        is_known = (self.coding, width) in SAMPLES and not rest
        return is_known and self.rate in RATES and self.channels <= MAX_CHANNELS


@dataclass(frozen=True)
class Piece:
    """A part of a recording that is a WAV file of its own."""

    start_seconds: float
    """Seconds from the recording's start."""
    part: Part


def read_header(payload: Payload) -> Wave | None:
    """None for what is no WAV file, or one in which no sound can be found."""
    head = payload.read(0, 12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return None
    at, form = 12, b""
    for _ in range(MAX_CHUNKS):
        chunk = payload.read(at, at + 8)
        if len(chunk) < 8:
            return None
        name, length = struct.unpack("<4sI", chunk)
        at += 8
        if name == b"data":
            end = payload.size if length in UNKNOWN_LENGTHS else min(at + length, payload.size)
            return _wave(form, at, end)
        if name == b"fmt ":
            form = payload.read(at, at + min(length, 40))
        at += length + length % 2
    return None


def _wave(form: bytes, start: int, end: int) -> Wave | None:
    if len(form) < 16:
        return None
    coding, channels, rate, bytes_a_second, frame = struct.unpack_from("<HHIIH", form)
    if coding == EXTENSIBLE and len(form) >= 26:
        (coding,) = struct.unpack_from("<H", form, 24)
    if coding in (PCM, FLOAT):
        bytes_a_second = rate * frame  # what is written there is not always true
    if not (channels and frame and bytes_a_second):
        return None
    return Wave(coding, channels, rate, frame, bytes_a_second, start, start + (end - start) // frame * frame)


def split(payload: Payload, wave: Wave, most_bytes: int) -> list[Piece]:
    """A recording in pieces that together are the whole, cut in pauses; none if it is short enough or cannot be cut.

    most_bytes: of the samples of a piece, which lasts PIECE_SECONDS at most too.
    """
    most = min(PIECE_SECONDS * wave.rate, most_bytes // wave.frame)
    if wave.frames <= most or not wave.is_splittable:
        return []
    cuts = [0]
    while wave.frames - cuts[-1] > most:
        cuts.append(_cut(payload, wave, cuts[-1], most))
    return [_piece(wave, first, last) for first, last in zip(cuts, [*cuts[1:], wave.frames], strict=True)]


def _piece(wave: Wave, first: int, last: int) -> Piece:
    start, end = wave.start + first * wave.frame, wave.start + last * wave.frame
    bits = 8 * wave.frame // wave.channels
    head = struct.pack("<4sI4s", b"RIFF", 36 + end - start, b"WAVE")
    head += struct.pack("<4sIHH", b"fmt ", 16, wave.coding, wave.channels)
    head += struct.pack("<IIHH", wave.rate, wave.bytes_a_second, wave.frame, bits)
    head += struct.pack("<4sI", b"data", end - start)
    return Piece(first / wave.rate, Part(head, start, end))


def _cut(payload: Payload, wave: Wave, first: int, most: int) -> int:
    """The frame at which the piece that begins with `first` ends: `most` later or sooner, and in a pause."""
    searched = min(SEARCHED_SECONDS * wave.rate, most // 3)
    # the last piece is not to be a mere snippet, of which whisper would make words that nobody said
    end = min(first + most, wave.frames - searched)
    begin = end - searched
    content = payload.read(wave.start + begin * wave.frame, wave.start + end * wave.frame)
    return begin + min(_quietest(wave, content), searched)


def _quietest(wave: Wave, content: bytes) -> int:
    """The frame in the middle of the quietest pause, of several such the last."""
    samples_a_second = wave.rate * wave.channels
    # channels lie side by side: steps that their number does not divide hear them all
    step = next(n for n in count(max(1, samples_a_second // LISTENED_RATE)) if gcd(n, wave.channels) == 1)
    heard = SAMPLES[wave.coding, wave.frame // wave.channels](content)[::step]
    window = max(1, samples_a_second // step // WINDOWS_A_SECOND)
    swings = [
        max(heard[at : at + window]) - min(heard[at : at + window]) for at in range(0, len(heard) - window + 1, window)
    ]
    places = range(len(swings) - PAUSE_WINDOWS, -1, -1)
    pause = min(places, key=lambda place: sum(swings[place : place + PAUSE_WINDOWS]), default=0)
    return (pause + PAUSE_WINDOWS // 2) * window * step // wave.channels
