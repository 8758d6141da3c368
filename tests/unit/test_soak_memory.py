"""The memory part of scripts/soak: its files, the stretches of a profile, and the bounds of its table."""

import dataclasses
import io
import wave
from typing import Any

import docx
import httpx
import openpyxl
import pypdf
import pytest
from PIL import Image

from tools.soak import attacks, worst_files
from tools.soak.inspector import INTERVAL, longest_stretch
from tools.soak.memory import Row, table

SIZE = 20_000


def profile(*samples: tuple[str, int]) -> dict[str, Any]:
    """Samples: a function, and the microseconds since the sample before."""
    names = list(dict.fromkeys(name for name, _ in samples))
    return {
        "nodes": [{"id": number, "callFrame": {"functionName": name}} for number, name in enumerate(names)],
        "samples": [names.index(name) for name, _ in samples],
        "timeDeltas": [delta for _, delta in samples],
    }


def test_a_stretch_ends_where_the_isolate_waits() -> None:
    samples = [("(program)", 0), ("cut", 90_000), *[("cut", 500)] * 9, ("(program)", 500), *[("send", 500)] * 30]
    milliseconds, functions = longest_stretch(profile(*samples), cpu_seconds=1)
    assert milliseconds == pytest.approx(15)
    assert functions == ["send"]


def test_the_time_before_the_first_sample_is_none_of_the_stretch() -> None:
    milliseconds, _ = longest_stretch(profile(("cut", 90_000), ("cut", 500)), cpu_seconds=1)
    assert milliseconds == (INTERVAL + 500) / 1e3


def test_the_time_of_a_busy_machine_counts_as_the_processor_s() -> None:
    milliseconds, _ = longest_stretch(profile(*[("cut", 500)] * 100), cpu_seconds=0.01)
    assert milliseconds == pytest.approx(10)


def test_an_isolate_that_did_nothing_has_no_stretch() -> None:
    assert longest_stretch(profile(("(idle)", 500)), cpu_seconds=0) == (0, [])


def test_files_hold_the_text_that_they_are_asked_for() -> None:
    word = docx.Document(io.BytesIO(worst_files.docx(SIZE)))
    assert sum(len(each.text) for each in word.paragraphs) > 0.9 * SIZE
    pages = pypdf.PdfReader(io.BytesIO(worst_files.pdf(SIZE))).pages
    assert sum(len(page.extract_text()) for page in pages) > 0.9 * SIZE
    sheet = openpyxl.load_workbook(io.BytesIO(worst_files.xlsx(SIZE, columns=7))).active
    assert sheet is not None
    assert sheet.max_column == 7
    assert len(worst_files.prose(SIZE)) == SIZE
    assert len(worst_files.html(SIZE)) > SIZE


def test_a_bomb_is_small_and_unfolds() -> None:
    bomb = worst_files.docx(1_000_000, repeated=True)
    assert len(bomb) < 10_000
    assert sum(len(each.text) for each in docx.Document(io.BytesIO(bomb)).paragraphs) > 900_000


def test_sounds_and_pictures_are_valid() -> None:
    with wave.open(io.BytesIO(worst_files.wav(SIZE))) as sound:
        assert sound.getnframes() == (SIZE - 44) // 2
    picture = Image.open(io.BytesIO(worst_files.png(50)))
    picture.load()
    assert picture.size == (50, 50)


async def test_an_attack_waits_for_the_end_of_its_document() -> None:
    states = iter(["converting", "failed"])

    def answer(request: httpx.Request) -> httpx.Response:
        document = {"id": "a", "state": "queued", "chunks": 0, "reason": None}
        if request.method == "GET":
            return httpx.Response(200, json={**document, "state": next(states), "reason": "budget_exceeded: …"})
        return httpx.Response(202 if request.method == "POST" else 204, json=document)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://worker") as client:
        outcome = await attacks.upload(client, "a.txt", lambda: b"rain")
    assert outcome == attacks.Outcome(4, "202, failed: budget_exceeded: …")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"memory_after": 65_000_000}, "WebAssembly has 65.0 MB"),
        ({"memory_after": 63_000_000, "used_heap": 50_000_000}, "have 113.0 MB together"),
        ({"stretch": 101.0}, "busy for 101 ms"),
        ({"answer": "500 internal_error"}, "answered 500"),
    ],
)
def test_a_bound_that_does_not_hold_is_named(changed: dict[str, Any], message: str) -> None:
    good = Row("DOCX", 1, "202", memory_before=45_000_000, memory_after=46_000_000, used_heap=20_000_000, stretch=20)
    assert good.broken_bounds() == []
    broken = dataclasses.replace(good, **changed).broken_bounds()
    assert len(broken) == 1
    assert message in broken[0]


def test_the_table_has_a_line_for_each_request() -> None:
    lines = table([Row("DOCX", 1_000, "202", 45_000_000, 46_000_000, 20_000_000, 20.4)]).splitlines()
    assert lines[-1] == "| DOCX | 1,000 | 202 | 45.0 → 46.0 | 20.0 | 20 |"
