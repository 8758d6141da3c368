"""The command `conform`: compares a running simulator with Cloudflare, another service, or a tape.

Exit status: 0 if no answer differs in shape; 1 if some do; 2 if calls could not be compared, or for wrong arguments.
"""

import argparse
import asyncio
import itertools
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from workers_ai_simulator.extras import install_command
from workers_ai_simulator.standard_output import end_with_reader
from workers_ai_simulator.tape.options import URL, Credentials, credentials

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers_ai_simulator.conform.comparison import Comparison
    from workers_ai_simulator.conform.corpus import Case

DIFFERENT, FAILED = 1, 2
"""Exit statuses."""
DETAILS = """, or with those of the service at another address, or on a tape. The account and the token are those of
$CLOUDFLARE_ACCOUNT_ID and $CLOUDFLARE_API_TOKEN, and the calls are billed. Exit status: 0 without differences, 1 with
some, 2 if calls could not be compared."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:  # pyright: ignore[reportPrivateUsage]
    """Add the command."""
    about = "compare the shapes of a running simulator's answers with Cloudflare's"
    command = commands.add_parser("conform", help=about, description=f"{about[0].upper()}{about[1:]}{DETAILS}")
    command.add_argument(
        "--url", default=os.environ.get("WORKERS_AI_SIMULATOR", "http://127.0.0.1:8788"),
        help="the simulator's address (default: $WORKERS_AI_SIMULATOR, else port 8788 of this machine)",
    )  # fmt: skip
    against = command.add_mutually_exclusive_group()
    against.add_argument(
        "--service", metavar="URL", help=f"the service's address, up to /client/v4 (default: ${URL}, else Cloudflare's)"
    )
    against.add_argument(
        "--tape", type=Path, metavar="DIR", help="compare with the answers in this folder, and make its calls"
    )
    command.add_argument(
        "--model", action="append", default=[], metavar="NAME",
        help="only calls of this model; * stands for any characters (may be repeated)",
    )  # fmt: skip
    command.add_argument("--list", action="store_true", help="print the calls, and make none")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Compare, and print the report. Returns the exit status."""
    from workers_ai_simulator.tape.errors import TapeError

    try:
        return _run(options)
    except (ValueError, TapeError, OSError) as error:
        print(error, file=sys.stderr)
    except ModuleNotFoundError as error:
        if error.name != "httpx":
            raise
        print(f"conform needs httpx: {install_command('record')}", file=sys.stderr)
    return FAILED


def _run(options: argparse.Namespace) -> int:
    from workers_ai_simulator.conform.comparison import chosen

    cases = chosen(_cases(options.tape), options.model)
    if options.list:
        end_with_reader()
        for case in cases:
            print(f"{case.call.model}: {case.name}")
        return 0
    if not cases:
        raise ValueError("There are no such calls. --list prints those there are.")
    against = None
    if not options.tape:
        account = credentials("conform")
        against = account._replace(url=options.service or account.url)
    results = asyncio.run(_compared(cases, options.url, against))
    end_with_reader()
    print(_as_json(results) if options.json else _report(results))
    if any(each.failure for each in results):
        return FAILED
    return DIFFERENT if any(each.differences for each in results) else 0


def _cases(tape: Path | None) -> "Sequence[Case]":
    from workers_ai_simulator.conform import corpus
    from workers_ai_simulator.tape.store import TapeFolder

    if tape is None:
        return list(corpus.built_in())
    folder = TapeFolder(tape)
    folder.open(is_new=False)
    return list(corpus.of_tape(folder))


async def _compared(cases: "Sequence[Case]", url: str, against: Credentials | None) -> "list[Comparison]":
    from workers_ai_simulator.conform.comparison import compare_all
    from workers_ai_simulator.tape.service import Service

    simulator = Service(f"{url.rstrip('/')}/client/v4", "simulated", "any")
    service = Service(against.url, against.account, against.token) if against else None
    try:
        return await compare_all(cases, simulator, service)
    finally:
        await simulator.close()
        if service:
            await service.close()


# ---- the report ------------------------------------------------------------------------------------------------------


def _as_json(results: "Sequence[Comparison]") -> str:
    return json.dumps(
        {
            "calls": len(results),
            "differences": sum(len(each.differences) for each in results),
            "failures": sum(bool(each.failure) for each in results),
            "results": [each.to_json() for each in results],
        },
        indent=2,
        ensure_ascii=False,
    )


def _report(results: "Sequence[Comparison]") -> str:
    """The differences by model and field, those that could not be compared, and a count of each."""
    lines: list[str] = []
    interesting = [each for each in results if each.differences or each.failure]
    for model, of_model in itertools.groupby(sorted(interesting, key=lambda each: each.model), lambda each: each.model):
        lines.append(model)
        for each in of_model:
            lines += [f"  {each.call}", *_result_lines(each)]
    count = Counter(
        differences=sum(len(each.differences) for each in results), failures=sum(bool(each.failure) for each in results)
    )
    lines.append(f"{len(results)} calls: {count['differences']} differences, {count['failures']} not compared")
    return "\n".join(lines)


def _result_lines(result: "Comparison") -> list[str]:
    if result.failure:
        return [f"    not compared: {result.failure}"]
    width = max(len(each.field) for each in result.differences)
    return [
        f"    {each.field:<{width}}  simulator: {each.simulator}; service: {each.service}"
        for each in result.differences
    ]
