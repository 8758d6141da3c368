"""Write the tables of docs/ that repeat what the code says: variables, scopes, models, errors, events, routes,
parameters, licences, figures of the bench; and the table of features in the simulator's README.

python -m tools.docs.tables            write those that are not what the code says
python -m tools.docs.tables --check    fail, with the names of the files, if there are any

A table stands in a Markdown file between `<!-- table: NAME -->` and `<!-- end of table -->`. Its name is a key of
TABLES. Routes and parameters are those of public/openapi.json: run tools.docs.openapi first.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import distribution
from pathlib import Path

from tools import ROOT

sys.path.insert(0, str(ROOT / "src"))

from aiworker.anthropic_errors import ANTHROPIC_KINDS, AnthropicKind
from aiworker.auth.access import SCOPES
from aiworker.errors import KINDS, OPENAI_KINDS, UPSTREAM_CODES
from aiworker.models.catalogue import MODELS, RETIRED, Model
from aiworker.models.completion import EVENTS
from aiworker.settings import DEFAULTS, FIELDS, accepted_values
from tools.bench import published
from tools.check import licences
from tools.docs import parameters
from tools.docs.markdown import Row, number, table

DOCS = ROOT / "docs"
SIMULATOR = ROOT / "packages/workers-ai-simulator"
FEATURES = SIMULATOR / "src/workers_ai_simulator/page/fidelity.json"
LEVELS = {"simulated": "simulated", "approximated": "approximated", "absent": "not simulated"}
"""Level of a feature in FEATURES → its words."""
REGION = re.compile(r"(?<=<!-- table: )([a-z-]+)( -->\n).*?(?=<!-- end of table -->)", re.DOTALL)

UNITS: Mapping[str, str] = {
    "million_input_tokens": "per million tokens in",
    "million_output_tokens": "per million tokens out",
    "million_cached_input_tokens": "per million cached tokens in",
    "million_images": "per million images",
    "audio_minute": "per minute of sound",
    "websocket_audio_minute": "per minute of sound by WebSocket",
    "thousand_characters": "per thousand characters",
    "tile": "per tile",
    "step": "per step",
    "input_tile": "per tile in",
    "output_tile": "per tile out",
    "input_tile_and_step": "per tile in and step",
    "output_tile_and_step": "per tile out and step",
    "input_megapixel": "per megapixel in",
    "first_megapixel": "for the first megapixel out",
    "further_megapixel": "for each further one",
}
"""Unit of `Model.neurons` → words behind its price."""

EXCEPTIONS: Mapping[int, str] = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
}
"""Status → exception of OpenAI's client for Python; `APIStatusError` for others, `InternalServerError` from 500."""


def variables() -> str:
    rows = (
        (f"`{name}`", accepted_values(name), _default(DEFAULTS[name]), field.description or "")
        for name, field in FIELDS.items()
    )
    return table(("Variable", "Takes", "Default", "Meaning"), rows)


def scopes() -> str:
    rows = ((f"`{scope}`", words, ", ".join(parameters.routes_of(scope))) for scope, words in SCOPES.items())
    return table(("Scope", "Allows", "Routes"), rows)


def models() -> str:
    """A heading and a table for each task."""
    tasks = dict.fromkeys(model.task for model in MODELS.values())
    return "\n".join(
        f"## {task}\n\n{_models_table([model for model in MODELS.values() if model.task == task])}" for task in tasks
    )


def retired_models() -> str:
    return table(("Retired", "Successor"), ((f"`{old}`", f"`{new}`") for old, new in RETIRED.items()))


def errors() -> str:
    rows = sorted((kind.status, f"`{name}`", kind.code or "", kind.meaning) for name, kind in KINDS.items())
    return table(("Status", "`type`", "`code`", "Meaning"), rows)


def upstream_codes() -> str:
    rows = ((code, f"`{name}`", KINDS[name].status) for code, name in sorted(UPSTREAM_CODES.items()))
    return table(("`upstream_code`", "`type`", "Status"), rows)


def events() -> str:
    return table(("`event`", "Routes", "`data`", "Meaning"), ((f"`{name}`", *row) for name, row in EVENTS.items()))


def openai_errors() -> str:
    rows = [
        (
            kind.status,
            f"`{kind.type}`",
            f"`{kind.code}`" if kind.code else "",
            KINDS[name].meaning,
            _exception(kind.status),
        )
        for name, kind in OPENAI_KINDS.items()
    ]
    return table(("Status", "`type`", "`code`", "Meaning", "Exception in Python"), sorted(rows))


def anthropic_errors() -> str:
    """A row for each status and type: which errors of this API have them."""
    types: dict[AnthropicKind, list[str]] = {}
    for name, kind in ANTHROPIC_KINDS.items():
        types.setdefault(kind, []).append(f"`{name}`")
    rows = ((kind.status, f"`{kind.type}`", ", ".join(names)) for kind, names in sorted(types.items()))
    return table(("Status", "`error.type`", "For the errors"), rows)


def worker_licences() -> str:
    return table(("Distribution", "Licence"), _licences(licences.worker_distributions()))


def package_licences() -> str:
    rows = (
        (f"`{package.rpartition('/')[2]}`", *row)
        for package in licences.PACKAGES
        for row in _licences(licences.package_dependencies(package))
    )
    return table(("Package", "Needs", "Licence"), rows)


def copied_licences() -> str:
    rows = (
        (f"`{each.path}`", each.name, each.origin, each.licence, ", ".join(f"`{path}`" for path in each.licence_files))
        for each in licences.COPIED
    )
    return table(("File", "What", "From", "Licence", "Its text"), rows)


def simulator_features() -> str:
    """Every feature of the simulator, and those of Cloudflare that it lacks. The simulator's page shows the same."""
    rows = (
        (each["part"], LEVELS[each["level"]], each["answer"], each["faithful"], each["approximated"])
        for each in json.loads(FEATURES.read_text())
    )
    return table(("Feature", "Level", "Answer", "True to upstream", "Approximated"), rows)


def _licences(names: Iterable[str]) -> Iterable[Row]:
    return ((f"`{name}`", licences.licence(distribution(name))) for name in names)


TABLES: Mapping[str, Callable[[], str]] = {
    "variables": variables,
    "scopes": scopes,
    "models": models,
    "retired-models": retired_models,
    "errors": errors,
    "upstream-codes": upstream_codes,
    "events": events,
    "openai-errors": openai_errors,
    "routes": parameters.routes,
    "parameters": parameters.parameters,
    "shapes": parameters.shapes,
    "anthropic-errors": anthropic_errors,
    "simulator-features": simulator_features,
    "licences-worker": worker_licences,
    "licences-packages": package_licences,
    "licences-copied": copied_licences,
    "performance": published.table,
    "performance-machine": published.machine,
    "performance-memory": published.memory,
    "performance-summary": published.summary,
}


def updated(text: str) -> str:
    """The text of a Markdown file with its tables as the code has them now. Raises KeyError for an unknown table."""
    return REGION.sub(lambda region: f"{region[1]}{region[2]}\n{TABLES[region[1]]()}\n", text)


def stale() -> dict[Path, str]:
    """Files with tables that are not what the code says → their text as it should be."""
    files = [*sorted(DOCS.glob("*.md")), SIMULATOR / "README.md"]
    texts = {file: (file.read_text(), updated(file.read_text())) for file in files}
    return {file: current for file, (text, current) in texts.items() if text != current}


def main(arguments: list[str]) -> int:
    files = stale()
    names = ", ".join(str(file.relative_to(ROOT)) for file in files)
    if not files:
        return 0
    if "--check" in arguments:
        print(f"Tables are not what the code says in {names}: run scripts/check.")
        return 1
    for file, text in files.items():
        file.write_text(text)
    print(f"Tables are written in {names}.")
    return 0


def _default(value: str | int) -> str:
    if isinstance(value, int):
        return number(value)
    return f"`{value}`" if value else "none"


def _models_table(models: Iterable[Model]) -> str:
    return table(
        ("Model", "Abilities", "Tokens of context", "Dimensions", "Neurons", "Requests a minute"), map(_row, models)
    )


def _row(model: Model) -> Row:
    price = ", ".join(f"{number(neurons)} {UNITS[unit]}" for unit, neurons in model.neurons.items())
    return (
        f"`{model.id}`{' (deprecated)' if model.deprecated else ''}",
        model.abilities.replace(" ", ", "),
        number(model.context_window),
        number(model.dimensions),
        price,
        number(model.requests_per_minute),
    )


def _exception(status: int) -> str:
    return f"`{EXCEPTIONS.get(status, 'InternalServerError' if status >= 500 else 'APIStatusError')}`"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
