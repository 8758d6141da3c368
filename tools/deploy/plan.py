"""The plan of a deployment: what it will do, shown before it starts."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools.deploy import bundle, resources
from tools.deploy.account import Account, placeholder
from tools.deploy.errors import DeployError
from tools.deploy.resources import Index
from tools.deploy.target import Target
from tools.keys.keys import API_KEYS, TOKEN_SECRET


@dataclass(frozen=True)
class Options:
    """Options of the command line."""

    root: Path
    environment: str = ""
    dry_run: bool = False
    yes: bool = False
    as_json: bool = False
    keep: bool = False
    """Leave a version that fails the smoke test."""
    plan: bundle.Plan = "paid"
    """The account's plan of Cloudflare."""
    subdomain: str = ""
    """A name under workers.dev for an account that has none."""
    address: str = ""
    """Address of the Worker; empty for its custom domain or workers.dev."""


def confirm(question: str, accepts: Callable[[str], bool], options: Options) -> None:
    """Ask, unless --yes was given. Raises DeployError for any other answer, or if nobody is at a terminal."""
    if options.yes:
        return
    if not sys.stdin.isatty():
        raise DeployError("Nobody is there to say yes: add --yes.")
    sys.stderr.write(f"\n{question} ")
    sys.stderr.flush()
    if not accepts(sys.stdin.readline().strip()):
        raise DeployError("Nothing was changed.")


def rows_of(account: Account | None, target: Target, options: Options) -> list[tuple[str, str, str]]:
    """Return what a deployment handles, its state in the account, and the action. Without an account nothing is read.

    Raises DeployError for an index of vectors that does not fit EMBED_MODEL: nothing has been changed by then.
    """
    states = {None: "not known", True: "there", False: "missing"}
    rows: list[tuple[str, str, str]] = []
    for resource in resources.all_of(account or placeholder(), target):
        is_there = resource.is_there() if account else None
        action = {None: "create it if it is missing", True: "leave it", False: "create it"}[is_there]
        if isinstance(resource, Index):
            action += _index_action(resource, is_there=bool(is_there))
        rows.append((resource.title, states[is_there], action))
    rows += [
        (f"AI Search namespace {name}", "not known", "wrangler creates it if it is missing; the Worker its instances")
        for name in target.named("ai_search_namespaces")
    ]
    rows += [(f"migrations of {name}", "", "apply those that are missing") for name in target.named("d1_databases")]
    rows.append(("secrets", "", f"set {API_KEYS} and {TOKEN_SECRET} if they are missing; what is there stays"))
    # also if somebody else made it: the name may be that of another Worker, which would be replaced
    has_worker = bundle.is_there(account, target) if account else None
    uploaded = "build with pywrangler, upload unless it is unchanged"
    uploaded += "; the code that is there is replaced" if has_worker else ""
    rows.append((f"Worker {target.worker}", states[has_worker], uploaded))
    after = "leave it if a check fails" if options.keep else "go back to the version before if a check fails"
    rows.append(("smoke test", "", f"health, chat, embed, a document, an image; {after}"))
    return rows


def _index_action(index: Index, *, is_there: bool) -> str:
    if is_there:
        index.check()
    names = [name for name, _ in (index.missing_properties() if is_there else index.properties)]
    width = "" if is_there else f", for vectors of {index.width} numbers"
    return width + (f"; add metadata indexes of {', '.join(names)}" if names else "")
