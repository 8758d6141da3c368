"""The memory part of scripts/soak: its files, the shares of a profile, and the bounds of its table."""

import asyncio
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

from tools.soak import attacks, memory, worst_files
from tools.soak.inspector import Heap, Profile, Share
from tools.soak.memory import Row, table

SIZE = 20_000


def profile(*samples: tuple[str, int]) -> dict[str, Any]:
    """Samples: a function, and the microseconds since the sample before."""
    names = list(dict.fromkeys(name for name, _ in samples))
    return {
        "nodes": [{"id": number, "callFrame": {"functionName": name}} for number, name in enumerate(names)],
        "startTime": 1_000_000,
        "samples": [names.index(name) for name, _ in samples],
        "timeDeltas": [delta for _, delta in samples],
    }


def share(*samples: tuple[str, int], start: float = 0, end: float = 10) -> Share:
    recorded = Profile()
    recorded.add(profile(*samples))
    return recorded.share(start, end)


def test_a_share_is_what_the_isolate_does_while_it_does_not_wait() -> None:
    samples = [("cut", 90_000), *[("cut", 500)] * 9, ("(program)", 90_000), ("send", 9_000), *[("send", 500)] * 29]
    assert share(*samples, ("read", 500)) == Share(20.5, ["send", "cut", "read"])


def test_only_what_the_isolate_does_in_a_wait_is_its_share_of_it() -> None:
    samples = [("before", 500), *[("cut", 500)] * 8, ("(program)", 1_000), *[("send", 500)] * 4, ("behind", 500)]
    assert share(*samples, start=1.0010, end=1.0076) == Share(6.0, ["cut", "send"])


def test_the_time_of_another_isolate_is_not_in_a_share() -> None:
    assert share(("cut", 500), ("cut", 90_000), ("cut", 500)) == Share(3.0, ["cut"])


def test_an_isolate_that_did_nothing_has_no_share() -> None:
    assert share(("(idle)", 500)) == Share(0, [])


async def test_another_client_waits_as_long_as_the_processor_works(monkeypatch: pytest.MonkeyPatch) -> None:
    used = iter([1.0, 1.02, 5.0, 5.25, 6.0])  # seconds before and after each request

    def cpu_seconds(_: int) -> float:
        return next(used, 6.0)

    monkeypatch.setattr(memory, "cpu_seconds", cpu_seconds)
    answered = asyncio.Event()

    def answer(request: httpx.Request) -> httpx.Response:
        assert (request.method, request.headers["origin"]) == ("OPTIONS", memory.ORIGIN)
        requests.append(request)
        if len(requests) == 3:
            answered.set()
        return httpx.Response(204)

    requests: list[httpx.Request] = []
    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://worker") as client,
        memory.waiting_client(client, process=1) as waited,
    ):
        await answered.wait()
    assert waited.longest == pytest.approx(250)
    assert len(waited.spans) >= 2
    assert all(start <= end for start, end in waited.spans)


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
        ({"buffers": 63_000_000}, "buffers have 129.0 MB together"),
        ({"in_use": Heap(10_000_000, 73_000_000)}, "buffers have 129.0 MB together"),
        ({"waited": 101.0}, "others waited for 101 ms"),
        ({"waited": 300.0, "own": Share(150, ["cut"])}, "others waited for 150 ms (cut)"),
        ({"answer": "500 internal_error"}, "answered 500"),
    ],
)
def test_a_bound_that_does_not_hold_is_named(changed: dict[str, Any], message: str) -> None:
    good = Row(
        "DOCX", 1, "202", memory_before=45_000_000, memory_after=46_000_000, used_heap=20_000_000, buffers=0, waited=20
    )
    assert good.broken_bounds() == []
    broken = dataclasses.replace(good, **changed).broken_bounds()
    assert len(broken) == 1
    assert message in broken[0]


def test_garbage_is_not_counted_where_it_is_known() -> None:
    row = Row("WAV", 1, "200", 45_000_000, 46_000_000, 66_000_000, 97_000_000, 20, in_use=Heap(22_000_000, 26_000_000))
    assert row.broken_bounds() == []
    assert row.cells()[-2] == "97.0 (in use 22.0 and 26.0)"


def test_the_table_has_a_line_for_each_request() -> None:
    lines = table([Row("DOCX", 1_000, "202", 45_000_000, 46_000_000, 20_000_000, 5_000_000, 20.4)]).splitlines()
    assert lines[-1] == "| DOCX | 1,000 | 202 | 45.0 → 46.0 | 20.0 | 5.0 | 20 |"


def test_others_of_workerd_s_isolates_are_not_the_worker() -> None:
    row = Row("DOCX", 1, "202", 45_000_000, 46_000_000, 20_000_000, 0, waited=300, own=Share(40, ["cut"]))
    assert row.broken_bounds() == []
    assert row.cells()[-1] == "300 (of which the Worker 40)"
