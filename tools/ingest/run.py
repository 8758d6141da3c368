"""A run of scripts/ingest: find the files, leave out what is unchanged, send the rest in batches, follow their jobs."""

import json
import os
import sys
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import httpx

from tools.ingest import sources
from tools.ingest.server import Refused, Server
from tools.ingest.sources import MAX_FILE_BYTES, Skipped, Source

KEY_VARIABLE = "AIWORKER_KEY"
MAX_FILES = 1_000
"""Files of one batch: the Worker takes no more."""
MAX_BATCH_BYTES = 20_000_000
"""Bytes of the files of one batch; the Worker takes 25 MiB by default."""
POLL_SECONDS = 1.0


@dataclass
class Outcome:
    """The outcome of a run, by file and page."""

    indexed: int = 0
    unchanged: int = 0
    failed: list[Skipped] = field(default_factory=list[Skipped])
    skipped: list[Skipped] = field(default_factory=list[Skipped])

    def as_json(self) -> str:
        return json.dumps(
            {
                "indexed": self.indexed,
                "unchanged": self.unchanged,
                "failed": [vars(each) for each in self.failed],
                "skipped": [vars(each) for each in self.skipped],
            },
            ensure_ascii=False,
        )


def run(options: Namespace) -> int:
    """Return the exit status: 0 if every file that is taken is indexed, 1 if one failed or the Worker refuses."""
    server = Server(options.url, options.key or os.environ.get(KEY_VARIABLE, ""), options.tenant)
    pages = [each for each in options.sources if "://" in each]
    roots = [Path(each) for each in options.sources if "://" not in each]
    missing = [str(root) for root in roots if not root.exists()]
    if missing:
        print(f"There is no {missing[0]}.", file=sys.stderr)
        return 1
    files, skipped = sources.find(roots, options.folder)
    outcome = Outcome(skipped=skipped)
    try:
        _Run(server, dict(options.metadata), outcome, is_dry=options.dry_run).run(files, pages)
    except Refused as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from here.", file=sys.stderr)
        return 130
    print(outcome.as_json() if options.json else _report(outcome, is_dry=options.dry_run))
    return 1 if outcome.failed else 0


class _Run:
    def __init__(self, server: Server, metadata: Mapping[str, Any], outcome: Outcome, *, is_dry: bool) -> None:
        self._server = server
        self._metadata = metadata
        self._outcome = outcome
        self._is_dry = is_dry

    def run(self, files: Sequence[Source], pages: Sequence[str]) -> None:
        known = self._server.fingerprints() if files else {}
        changed = [each for each in files if known.get(each.id) != each.fingerprint(self._metadata)]
        self._outcome.unchanged = len(files) - len(changed)
        if self._is_dry:
            print(*(each.path for each in changed), *pages, sep="\n")
            return
        jobs = [job for batch in sources.batches(changed, MAX_FILES, MAX_BATCH_BYTES) for job in self._send(batch)]
        self._follow(jobs, len(changed))
        for page in pages:
            self._add_page(page)

    def _send(self, batch: Sequence[Source]) -> list[str]:
        """Send a batch, in halves if it is too large; return the ids of the jobs."""
        try:
            return [self._server.send(batch, json.dumps(self._metadata))]
        except Refused as error:
            if error.status != 413:
                raise
            if len(batch) == 1:
                self._outcome.failed.append(Skipped(batch[0].path, str(error)))
                return []
            middle = len(batch) // 2
            return self._send(batch[:middle]) + self._send(batch[middle:])

    def _follow(self, jobs: Sequence[str], total: int) -> None:
        """Show the progress of the jobs until all their documents are indexed or have failed."""
        done = {job: self._server.job(job) for job in jobs}
        while True:
            counts = [each["documents"] for each in done.values()]
            _show_progress(sum(map(_finished, counts)), sum(each["failed"] for each in counts), total)
            waiting = [
                job for job, state in done.items() if _finished(state["documents"]) < state["documents"]["total"]
            ]
            if not waiting:
                break
            time.sleep(POLL_SECONDS)
            done |= {job: self._server.job(job) for job in waiting}
        self._outcome.indexed += sum(_finished(each) - each["failed"] for each in counts)
        for job, state in done.items():
            if state["documents"]["failed"]:
                self._outcome.failed += [Skipped(*each) for each in self._server.failed(job)]

    def _add_page(self, url: str) -> None:
        try:
            content, final_url = _download(url)
            name = PurePosixPath(urlsplit(final_url).path).name or "index.html"
            state = self._server.add_page(content, name, final_url, json.dumps(self._metadata))
            while state["state"] not in ("indexed", "failed"):
                time.sleep(POLL_SECONDS)
                state = self._server.document(state["id"])
        except (Refused, httpx.HTTPError) as error:
            self._outcome.failed.append(Skipped(url, str(error)))
            return
        if state["state"] == "failed":
            self._outcome.failed.append(Skipped(url, state["reason"]))
        else:
            self._outcome.indexed += 1


def _download(url: str) -> tuple[bytes, str]:
    """Return the content at an address, and the address that it was redirected to. Raises httpx.HTTPError."""
    parts: list[bytes] = []
    size = 0
    with httpx.stream("GET", url, follow_redirects=True, timeout=60) as response:
        response.raise_for_status()
        for part in response.iter_bytes():
            size += len(part)
            if size > MAX_FILE_BYTES:
                raise httpx.HTTPError(f"It has more than {MAX_FILE_BYTES:,} bytes.")
            parts.append(part)
        return b"".join(parts), str(response.url)


def _finished(documents: Mapping[str, int]) -> int:
    return documents["total"] - documents["queued"] - documents["running"]


def _show_progress(finished: int, failed: int, total: int) -> None:
    if not total or not sys.stderr.isatty():
        return
    width = 30
    bar = "#" * (width * finished // total)
    note = f", {failed} failed" if failed else ""
    end = "\n" if finished == total else ""
    print(f"\r[{bar:<{width}}] {finished:,} of {total:,}{note}", end=end, file=sys.stderr, flush=True)


def _report(outcome: Outcome, *, is_dry: bool) -> str:
    counts = [
        f"{outcome.unchanged:,} unchanged",
        f"{len(outcome.failed):,} failed",
        f"{len(outcome.skipped):,} skipped",
    ]
    lines = [", ".join(counts[::2] if is_dry else [f"{outcome.indexed:,} indexed", *counts]) + "."]
    lines += [f"failed   {each.path}: {each.reason}" for each in outcome.failed]
    lines += [f"skipped  {each.path}: {each.reason}" for each in outcome.skipped]
    return "\n".join(lines)
