"""Where WAV recordings are cut: in pauses, and without losing a sample."""

import asyncio
import random
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from aiworker.models import wav
from aiworker.models.wav import PIECE_SECONDS, Piece, Wave

MIB = 1 << 20
PCM, FLOAT, EXTENSIBLE, MU_LAW = 1, 3, 0xFFFE, 7


class FakePayload:
    """A Payload over bytes in place of an ArrayBuffer. Counts the bytes that were read."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.size = len(content)
        self.bytes_read = 0

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        part = self.content[start:end]
        self.bytes_read += len(part)
        return part


def chunk(name: bytes, content: bytes, length: int | None = None) -> bytes:
    stated = len(content) if length is None else length
    return name + struct.pack("<I", stated) + content + b"\0" * (len(content) % 2)


def form(coding: int, channels: int, rate: int, width: int) -> bytes:
    frame = channels * width
    fields = struct.pack("<HHIIHH", coding, channels, rate, rate * frame, frame, 8 * width)
    return chunk(b"fmt ", fields)


def extensible_form(coding: int, channels: int, rate: int, width: int) -> bytes:
    frame = channels * width
    fields = struct.pack("<HHIIHH", EXTENSIBLE, channels, rate, rate * frame, frame, 8 * width)
    guid = struct.pack("<H", coding) + bytes.fromhex("000000001000800000aa00389b71")
    return chunk(b"fmt ", fields + struct.pack("<HHI", 22, 8 * width, 0) + guid)


def file(*chunks: bytes) -> Any:
    return FakePayload(chunk(b"RIFF", b"WAVE" + b"".join(chunks)))


def plain(samples: bytes, coding: int = PCM, channels: int = 1, rate: int = 8000, width: int = 2) -> Any:
    return file(form(coding, channels, rate, width), chunk(b"data", samples))


def found(payload: Any) -> Wave:
    wave = wav.read_header(payload)
    assert wave
    return wave


def cut(payload: Any, most_bytes: int = 4 * MIB) -> list[Piece]:
    return asyncio.run(wav.split(payload, found(payload), most_bytes))


def samples_of(payload: Any, piece: Piece) -> bytes:
    return payload.content[piece.part.start : piece.part.end]


def noise(seconds: float, coding: int = PCM, channels: int = 1, rate: int = 8000, width: int = 2) -> bytes:
    """Loud throughout."""
    count = round(seconds * rate) * channels
    chance = random.Random(5)
    if coding == FLOAT:
        block = struct.pack("<997f", *(chance.uniform(-1, 1) for _ in range(997)))
        return (block * (count // 997 + 1))[: 4 * count]
    return chance.randbytes(count * width)


def silence(seconds: float, channels: int = 1, rate: int = 8000, width: int = 2) -> bytes:
    return (b"\x80" if width == 1 else b"\0" * width) * round(seconds * rate) * channels


# ---- headers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [form, extensible_form])
@pytest.mark.parametrize(
    ("coding", "channels", "rate", "width"),
    [(PCM, 1, 8000, 1), (PCM, 2, 44_100, 2), (PCM, 1, 48_000, 3), (PCM, 2, 16_000, 4), (FLOAT, 1, 16_000, 4)],
)
def test_the_length_is_told_by_the_header(
    header: Callable[..., bytes], coding: int, channels: int, rate: int, width: int
) -> None:
    content = bytes(3 * rate * channels * width // 2)
    wave = found(file(header(coding, channels, rate, width), chunk(b"data", content)))
    assert (wave.coding, wave.channels, wave.rate, wave.frame) == (coding, channels, rate, channels * width)
    assert wave.seconds == pytest.approx(1.5, abs=1e-4)
    assert wave.is_splittable


def test_other_chunks_are_stepped_over_odd_ones_with_their_padding() -> None:
    samples = bytes(range(200))
    payload = file(
        chunk(b"JUNK", b"abc"), form(PCM, 1, 8000, 2), chunk(b"LIST", b"INFO!"), chunk(b"data", samples),
        chunk(b"id3 ", b"behind"),
    )  # fmt: skip
    wave = found(payload)
    assert payload.content[wave.start : wave.end] == samples


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF, 0x7FFFFFFF, 1000])
def test_a_length_that_lies_is_that_of_the_file(length: int) -> None:
    payload = FakePayload(
        b"RIFF\xff\xff\xff\xffWAVE" + form(PCM, 1, 8000, 2) + b"data" + struct.pack("<I", length) + b"ab" * 100
    )
    wave = found(payload)
    assert wave.frames == 100


def test_half_a_frame_at_the_end_does_not_count() -> None:
    assert found(plain(bytes(4 * 10 + 3), channels=2)).frames == 10


@pytest.mark.parametrize(
    ("coding", "channels", "rate", "width"),
    [(0x55, 1, 8000, 0xFFFF), (0x11, 1, 8000, 1), (PCM, 3, 8000, 5), (PCM, 1, 4_000_000, 2), (FLOAT, 1, 8000, 2)],
)
def test_a_length_that_the_header_alone_claims_is_unknown(coding: int, channels: int, rate: int, width: int) -> None:
    format_chunk = struct.pack("<HHIIHH", coding, channels, rate, 0xFFFF_FFF0, channels * width & 0xFFFF, 8)
    wave = found(file(chunk(b"fmt ", format_chunk), chunk(b"data", bytes(400_000))))
    assert wave.seconds is None
    assert not wave.is_splittable


def test_a_length_is_unknown_if_much_is_behind_the_samples() -> None:
    """Decoders may play a second chunk of samples, too, or samples behind the length that the header states."""
    minute = bytes(960_000)
    start = form(PCM, 1, 8000, 2)
    assert found(file(start, chunk(b"data", minute), chunk(b"LIST", bytes(90_000)))).seconds == 60
    assert found(file(start, chunk(b"data", bytes(16_000)), chunk(b"LIST", bytes(16_000)))).seconds == 1
    assert found(file(start, chunk(b"data", bytes(16_000)), chunk(b"data", minute))).seconds is None
    assert found(file(start, chunk(b"data", minute, length=2))).seconds is None


def test_sound_of_eight_logarithmic_bits_has_a_length_and_is_not_cut() -> None:
    payload = plain(bytes(8000 * 100), MU_LAW, width=1)
    assert found(payload).seconds == 100
    assert cut(payload) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"RIFF",
        b"RIFF\0\0\0\0WAVE",
        b"RIFF\0\0\0\0AVI LIST",
        b"ID3\4" + bytes(100),
        b"RIFF\0\0\0\0WAVE" + form(PCM, 1, 8000, 2),
        b"RIFF\0\0\0\0WAVE" + chunk(b"data", b"abcd"),
        b"RIFF\0\0\0\0WAVE" + chunk(b"fmt ", b"short") + chunk(b"data", b"abcd"),
        b"RIFF\0\0\0\0WAVE" + form(PCM, 0, 8000, 2) + chunk(b"data", b"abcd"),
        b"RIFF\0\0\0\0WAVE" + form(PCM, 1, 0, 2) + chunk(b"data", b"abcd"),
        b"RIFF\0\0\0\0WAVE" + chunk(b"JUNK", b"") * 500_000 + form(PCM, 1, 8000, 2) + chunk(b"data", b"abcd"),
    ],
)
def test_an_unreadable_file_is_passed_to_the_model_whole(content: bytes) -> None:
    payload: Any = FakePayload(content)
    assert wav.read_header(payload) is None
    assert payload.bytes_read < 2000


# ---- cuts ----------------------------------------------------------------------------------------------------------


def test_a_minute_is_one_piece_and_a_frame_more_is_two() -> None:
    assert cut(plain(noise(PIECE_SECONDS))) == []
    assert len(cut(plain(noise(PIECE_SECONDS) + b"ab"))) == 2


@pytest.mark.parametrize("seed", range(12))
def test_the_pieces_are_the_whole_whatever_it_is(seed: int) -> None:
    """Speech without a pause too: no sample is lost, none comes twice, and every piece is a file of its own."""
    chance = random.Random(seed)
    coding, width = chance.choice([(PCM, 1), (PCM, 2), (PCM, 3), (PCM, 4), (FLOAT, 4)])
    channels, rate = chance.choice([1, 2, 3, 6]), chance.choice([8000, 11_025, 16_000, 44_100])
    frame = channels * width
    samples = chance.randbytes(round(chance.uniform(50, 250) * rate) * frame)
    payload = plain(samples, coding, channels, rate, width)
    most = chance.choice([MIB // 4, MIB, 4 * MIB])
    pieces = cut(payload, most)
    assert b"".join(samples_of(payload, piece) for piece in pieces) == (samples if pieces else b"")
    for piece in pieces:
        size = piece.part.end - piece.part.start
        assert size <= min(most, PIECE_SECONDS * rate * frame)
        assert size >= min(most, PIECE_SECONDS * rate * frame) / 6 - frame
        assert piece.start_seconds == (piece.part.start - found(payload).start) / frame / rate
        own = found(FakePayload(piece.part.head + samples_of(payload, piece)))
        assert (own.coding, own.channels, own.rate, own.frame) == (coding, channels, rate, frame)
        assert own.end - own.start == size


@pytest.mark.parametrize(
    ("coding", "channels", "rate", "width"),
    [(PCM, 1, 8000, 1), (PCM, 2, 16_000, 2), (PCM, 1, 16_000, 3), (PCM, 2, 8000, 4), (FLOAT, 2, 16_000, 4)],
)
def test_it_is_cut_in_the_pause(coding: int, channels: int, rate: int, width: int) -> None:
    loud, pause = noise(52, coding, channels, rate, width), silence(0.4, channels, rate, width)
    payload = plain(loud + pause + loud, coding, channels, rate, width)
    first, second = cut(payload, 100 * MIB)
    assert first.start_seconds == 0
    assert 52.09 <= second.start_seconds <= 52.31


def test_the_quieter_of_two_pauses_is_cut() -> None:
    quiet = b"\x7f\x80\x81" * 1333
    loud = noise(53, width=1)
    payload = plain(loud + silence(0.5, width=1) + noise(3, width=1) + quiet + loud, width=1)
    assert 53 <= cut(payload)[1].start_seconds <= 53.5


def test_the_closure_of_a_consonant_is_not_a_pause() -> None:
    """0.1 s of silence, between the hiss of 0.4 s in which nobody speaks and more speech."""
    hiss = struct.pack("<4h", -300, 200, 300, -100) * 800
    payload = plain(noise(52) + silence(0.1) + noise(3) + hiss + noise(50))
    assert 55.1 <= cut(payload)[1].start_seconds <= 55.5


def test_a_voice_in_the_second_channel_is_heard() -> None:
    """The first channel is silent throughout; in the second is a pause."""
    second = [*noise(55, width=1), *silence(0.4, width=1), *noise(20, width=1)]
    samples = bytes(sample for pair in ((128, other) for other in second) for sample in pair)
    assert 55.09 <= cut(plain(samples, channels=2, width=1))[1].start_seconds <= 55.31


def test_the_last_piece_is_no_snippet() -> None:
    *_, last = cut(plain(noise(60.2)))
    assert last.start_seconds <= 50.2


def test_only_the_surroundings_of_the_cuts_are_read() -> None:
    payload = plain(noise(600))
    pieces = cut(payload)
    assert payload.bytes_read <= 8000 * 2 * 10 * len(pieces)


@pytest.mark.parametrize(
    ("channels", "rate", "frame"),
    [(1, 1, 2), (1, 7999, 2), (1, 4_000_000_000, 2), (1000, 48_000, 2000), (2, 8000, 5), (3, 8000, 4)],
)
def test_invalid_headers_are_left_to_the_model(channels: int, rate: int, frame: int) -> None:
    fields = struct.pack("<HHIIHH", PCM, channels, rate, 0, frame, 16)
    assert cut(file(chunk(b"fmt ", fields), chunk(b"data", bytes(6 * MIB))), MIB) == []


@pytest.mark.parametrize("sample", [b"\0\0\xc0\x7f", b"\0\0\x80\x7f"], ids=["NaN", "infinity"])
def test_floating_point_that_is_no_number_is_cut_all_the_same(sample: bytes) -> None:
    payload = plain(sample * 8000 * 70, FLOAT, width=4)
    assert sum(piece.part.end - piece.part.start for piece in cut(payload)) == 4 * 8000 * 70


def test_an_upload_of_25_mb_is_cut_in_an_instant() -> None:
    """Under 1 s in Pyodide, where it takes three times as long; here, with a machine that is busy."""
    assert sys.byteorder == "little"
    payload = plain(noise(3270, width=1), width=1)
    began = time.process_time()
    pieces = cut(payload)
    assert len(pieces) > 50
    assert time.process_time() - began < 1
