"""Refuse identifiers and docstrings that only their author understands.

python -m tools.check.words           fail if a word is refused and not allowed
python -m tools.check.words --count   print the number of refused words in each folder

Checked are the names of modules, functions, classes, arguments, variables and assigned attributes, and the first
words of docstrings, in every file of Python, JavaScript and TypeScript in FOLDERS. Each refusal is a line
"file:line: name -> what to write instead". allowed_words.json maps "file: name" to the reason why that name stays;
an entry that no longer applies is refused, too.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tools import ROOT
from tools.check.names import Kind, Name, javascript_names, python_names

FOLDERS = ("src", "packages", "public", "examples", "tools", "tests", "scripts")
JAVASCRIPT = {".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".tsx"}
SKIPPED = {"node_modules", "vendor", "dist", "__pycache__"}
"""Folders of files that others wrote. Folders whose name begins with a dot are skipped, too."""
ALLOWED = Path(__file__).with_name("allowed_words.json")
MAX_ALLOWED = 25


@dataclass(frozen=True)
class Rule:
    """Words that are refused in names of some kinds, and the advice that is printed for each."""

    kinds: Kind
    instead: Mapping[str, str]


WHOLE_NAMES = (
    Rule(
        Kind.VALUE,
        {
            "asked": "body, query, request",
            "told": "messages",
            "said": "completion, message, text",
            "heard": "transcript",
            "given": "options, arguments, values",
            "found": "matches, match, rows",
            "when_over": "on_complete",
            "when_left": "on_disconnect",
            "work_on": "wait_until",
            "has_left": "client_disconnected",
        },
    ),
    Rule(
        Kind.FUNCTION,
        {
            "give_up": "fail",
            "begin": "start",
            "mark": "fingerprint",
            "admits": "allow",
            "held": "buffered",
            "relay": "pipe",
            "relayed": "pipe",
            "translated": "transform",
            "written": "generate",
            "when_over": "on_complete",
            "when_left": "on_disconnect",
            "work_on": "wait_until",
        },
    ),
    Rule(Kind.CLASS, {"client_left": "ClientDisconnected", "charge": "BudgetReservation"}),
    Rule(
        Kind.MODULE,
        dict.fromkeys(
            ("util", "utils", "helper", "helpers", "common", "manager", "misc"), "the name of the one thing it holds"
        ),
    ),
)
"""Names in snake_case, without leading and trailing underscores."""

FIRST_WORDS = (
    Rule(Kind.CONSTANT, dict.fromkeys(("most", "longest", "largest", "deepest"), "MAX_…")),
    Rule(Kind.FUNCTION, {"the": "a binding that raises by itself when it is unbound"}),
    Rule(Kind.NAME, {"by_meaning": "vector_search", "by_words": "fulltext_search"}),
    Rule(Kind.CLASS, {"kept": "…Store"}),
    Rule(
        Kind.FUNCTION,
        dict.fromkeys(
            ("test_what", "test_of", "test_so", "test_who", "test_whoever", "test_nobody"),
            "test_<subject>_<what it does>: a sentence that begins with its subject",
        ),
    ),
)
"""Beginnings of names in snake_case, up to the end of a word."""

WORDS = (
    Rule(Kind.FUNCTION | Kind.CLASS, {"forget": "delete", "story": "handler"}),
    Rule(Kind.VARIABLE, {"story": "handler"}),
    Rule(
        Kind.NAME,
        {
            "opaque": "JsHandle",
            "hopeless": "NonRetryableError",
            "spending": "BudgetReservation",
        },
    ),
)
"""Words refused wherever they stand in a name."""

DOCSTRING_STARTS = Rule(
    Kind.DOCSTRING,
    dict.fromkeys(
        ("Of", "So", "That", "What", "Who", "As", "Likewise", "Whether it"),
        "begin with a verb or with a noun phrase that stands by itself",
    ),
)


@dataclass(frozen=True)
class Refusal:
    file: str
    """Path from the root of the checkout."""
    line: int
    name: str
    instead: str

    @property
    def key(self) -> str:
        """Key of the entry in allowed_words.json that allows it."""
        return f"{self.file}: {self.name}"

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.name} -> {self.instead}"


def main(arguments: list[str]) -> int:
    refused = refusals(ROOT)
    if arguments == ["--count"]:
        for folder, count in sorted(Counter(str(Path(each.file).parent) for each in refused).items()):
            print(f"{count:5} {folder}")
        return 0
    complaints = without_allowed(refused, json.loads(ALLOWED.read_text()))
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


def refusals(root: Path) -> list[Refusal]:
    """Every refused name below the checked folders of a checkout, in the order of its files and lines."""
    return [
        refusal
        for file in files_of_code(root)
        for refusal in sorted(refusals_in(file, str(file.relative_to(root))), key=lambda each: each.line)
    ]


def files_of_code(root: Path) -> Iterator[Path]:
    """Files of Python, JavaScript and TypeScript, and the Python programs in scripts/."""
    for folder in FOLDERS:
        for file in sorted((root / folder).rglob("*")):
            parts = file.relative_to(root).parts
            if any(part in SKIPPED or part.startswith(".") for part in parts) or not file.is_file():
                continue
            if file.suffix in {".py", *JAVASCRIPT} or (
                folder == "scripts" and file.read_bytes().startswith(b"#!/usr/bin/env python3\n")
            ):
                yield file


def refusals_in(file: Path, path: str) -> Iterator[Refusal]:
    """Refused names of one file, each once a line; Python that cannot be parsed is a single refusal."""
    try:
        defined = javascript_names(file.read_text()) if file.suffix in JAVASCRIPT else python_names(file.read_bytes())
        names = dict.fromkeys((Name(file.stem, Kind.MODULE, 1), *defined))
    except SyntaxError as error:
        yield Refusal(path, error.lineno or 1, error.msg, "Python that can be parsed")
        return
    for name in names:
        instead = advice(name)
        if instead is not None:
            yield Refusal(path, name.line, name.text, instead)


def advice(name: Name) -> str | None:
    """Advice on what to write instead of a name; None if nothing is wrong with it."""
    if name.kind is Kind.DOCSTRING:
        return next((say for start, say in DOCSTRING_STARTS.instead.items() if _starts(name.text, start, " ")), None)
    text = snake_case(name.text)
    return next(
        (
            say
            for rules, matches in ((WHOLE_NAMES, str.__eq__), (FIRST_WORDS, _starts), (WORDS, _has_word))
            for rule in rules
            if name.kind in rule.kinds
            for word, say in rule.instead.items()
            if matches(text, word)
        ),
        None,
    )


def snake_case(name: str) -> str:
    """The words of a name, in lower case and joined by underscores: `KeptImage` and `kept_image` are the same."""
    if not name.isupper():
        name = "".join(f"_{letter}" if letter.isupper() else letter for letter in name)
    return name.strip("_").lower()


def _starts(text: str, start: str, separator: str = "_") -> bool:
    return f"{text}{separator}".startswith(f"{start}{separator}")


def _has_word(text: str, word: str) -> bool:
    return word in text.split("_")


def without_allowed(refused: list[Refusal], allowed: Mapping[str, str]) -> list[str]:
    """Refusals that no entry allows, and refusals of entries: without a reason, unused, too many."""
    keys = {refusal.key for refusal in refused}
    complaints = [str(refusal) for refusal in refused if refusal.key not in allowed]
    for key, reason in allowed.items():
        if key not in keys:
            complaints.append(f"{ALLOWED.name}: {key} -> remove the entry: nothing of that name is refused")
        elif not reason.strip():
            complaints.append(f"{ALLOWED.name}: {key} -> give the reason")
    if len(allowed) > MAX_ALLOWED:
        complaints.append(
            f"{ALLOWED.name}: {len(allowed)} entries -> rename instead: at most {MAX_ALLOWED} are allowed"
        )
    return complaints


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
