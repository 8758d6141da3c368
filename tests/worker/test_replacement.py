"""A document is replaced while others search it: each search reads it in one version, whole."""

import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.conftest import TLS, Simulator
from tests.worker.conftest import Documents

EMBEDDING = "@cf/baai/bge-base-en-v1.5"
PARTS = 6
READERS = 3
SEARCHES = int(os.environ.get("SEARCHES", "90"))
"""scripts/nightly: 10,000."""


def text_of(edition: int) -> str:
    """A document of as many passages as it has parts."""
    filler = "The keeper feeds it at noon. " * 25
    return "".join(f"# Part {part}\n\nThe penguin of edition {edition}. {filler}\n\n" for part in range(PARTS))


def editions(passages: list[dict[str, Any]]) -> list[str]:
    return re.findall(r"of edition (\d+)", "\n".join(passage["text"] for passage in passages))


def test_a_version_that_becomes_live_during_a_search_is_read_alone(documents: Documents, simulator: Simulator) -> None:
    documents.add("zoo", text_of(1))
    assert editions(documents.search("penguin", top_k=50)) == ["1"] * PARTS
    # the search has read the words of the old version, and waits for the question's vector
    simulator.set_fault(model=EMBEDDING, hold_response=True)
    with ThreadPoolExecutor(1) as pool:
        simulator.ignore_past_requests()
        search = pool.submit(documents.search, "penguin", top_k=50)
        simulator.wait_for_request(model=EMBEDDING)
        documents.add("zoo", text_of(2))
        simulator.clear_faults()
        assert editions(search.result()) == ["2"] * PARTS


@pytest.mark.timeout(7200)
def test_readers_of_a_document_that_is_replaced_over_and_over_see_one_version(
    documents: Documents, base_url: str
) -> None:
    documents.add("zoo", text_of(0))
    remaining = threading.Semaphore(SEARCHES)
    has_ended = threading.Event()

    def read() -> list[list[str]]:
        matches: list[list[str]] = []
        with httpx.Client(base_url=base_url, timeout=60, verify=TLS) as client:
            reader = Documents(client)
            while remaining.acquire(blocking=False):
                passages = reader.search("penguin", top_k=50, stages={"rerank": False})
                matches.append(editions(passages))
        return matches

    def replace() -> int:
        edition = 0
        while not has_ended.is_set():
            edition += 1
            documents.add("zoo", text_of(edition))
        return edition

    with ThreadPoolExecutor(READERS + 1) as pool:
        replacing = pool.submit(replace)
        try:
            searches = [each for reader in [pool.submit(read) for _ in range(READERS)] for each in reader.result()]
        finally:
            has_ended.set()
        assert replacing.result() > 1
    assert len(searches) == SEARCHES
    assert [each for each in searches if each != each[:1] * PARTS] == []
