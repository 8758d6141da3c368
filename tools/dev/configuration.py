"""The configuration of a local run, derived from wrangler.jsonc: never a second copy kept by hand."""

from pathlib import Path
from typing import Any, cast

import pyjson5

from tools import ROOT
from tools.dev import variables
from tools.runtime.stage import RULES

Configuration = dict[str, Any]

OLDEST_COMPATIBILITY_DATE = "2026-09-08"
"""The first date at which Cloudflare runs Python Workers on Pyodide 314 (CPython 3.14), which tools/runtime is."""

PLUGIN = ROOT / "packages/workers-ai-simulator/src/workers_ai_simulator/miniflare_plugin.cjs"


class ConfigurationError(Exception):
    """wrangler.jsonc asks for something a local run cannot give; the message says what to change."""


def read(path: Path) -> Configuration:
    """Read a configuration with comments and trailing commas.

    Raises ConfigurationError if it is not valid.
    """
    try:
        parsed = pyjson5.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8: {error}.") from error
    except pyjson5.Json5Exception as error:
        raise ConfigurationError(f"{path} is not valid JSON with comments: {error}") from error
    if not isinstance(parsed, dict):
        raise ConfigurationError(f"{path} must hold an object.")
    configuration = cast("Configuration", parsed)
    date = configuration.get("compatibility_date")
    if not isinstance(date, str) or date < OLDEST_COMPATIBILITY_DATE:
        raise ConfigurationError(
            f"{path}: compatibility_date must be {OLDEST_COMPATIBILITY_DATE} or later, not {date or 'missing'}: "
            "the local runtime is the Python of that date."
        )
    if not str(configuration.get("main", "")).endswith(".py"):
        raise ConfigurationError(f'{path}: main must be the Worker\'s Python module, such as "src/entry.py".')
    return configuration


def configured_classes(project: Configuration) -> dict[str, str]:
    """The classes that this configuration says the main module exports, name to kind (see stage.KINDS)."""
    objects = [each["class_name"] for each in project.get("durable_objects", {}).get("bindings", []) if _is_own(each)]
    workflows = [each["class_name"] for each in project.get("workflows", []) if _is_own(each)]
    entrypoints = [
        each["entrypoint"]
        for each in project.get("services", [])
        if each.get("service") == project.get("name") and "entrypoint" in each
    ]
    return (
        dict.fromkeys(entrypoints, "entrypoint")
        | dict.fromkeys(objects, "durableObject")
        | dict.fromkeys(workflows, "workflow")
    )


def _is_own(binding: Configuration) -> bool:
    return "script_name" not in binding


def on_local_runtime(project: Configuration, root: Path) -> Configuration:
    """The main module swapped for tools/runtime's, with paths that hold from any folder."""
    flags: list[str] = project.get("compatibility_flags", [])
    local: Configuration = {
        **project,
        "main": "main.mjs",
        "base_dir": ".",
        "no_bundle": True,
        "find_additional_modules": True,
        "rules": RULES,
        "compatibility_flags": [flag for flag in flags if not flag.startswith("python_workers")],
    }
    local.pop("$schema", None)
    if "directory" in local.get("assets", {}):
        local["assets"] = {**local["assets"], "directory": str(root / local["assets"]["directory"])}
    if "d1_databases" in local:
        local["d1_databases"] = [_with_absolute_migrations(each, root) for each in local["d1_databases"]]
    return local


def _with_absolute_migrations(database: Configuration, root: Path) -> Configuration:
    folder = database.get("migrations_dir")
    return {**database, "migrations_dir": str(root / folder)} if folder else database


def with_simulators(configuration: Configuration, address: str) -> Configuration:
    """Workers AI and Vectorize answered by the simulator at `address` (host:port), behind the real binding classes."""
    simulated = dict(configuration)
    bindings: list[Configuration] = []
    if ai := simulated.pop("ai", None):
        bindings.append(_simulated(ai["binding"], {"kind": "ai", "address": address}))
    for index in simulated.pop("vectorize", []):
        options = {"kind": "vectorize", "address": address, "index": index["index_name"]}
        bindings.append(_simulated(index["binding"], options))
    unsafe = simulated.get("unsafe", {})
    simulated["unsafe"] = {**unsafe, "bindings": [*unsafe.get("bindings", []), *bindings]}
    names = " ".join(binding["name"] for binding in bindings)
    return with_variables(simulated, SIMULATED=names)


def with_remote(configuration: Configuration) -> Configuration:
    """The real Workers AI and Vectorize of the account that wrangler is logged in to."""
    remote = dict(configuration)
    if "ai" in remote:
        remote["ai"] = {**remote["ai"], "remote": True}
    if "vectorize" in remote:
        remote["vectorize"] = [{**index, "remote": True} for index in remote["vectorize"]]
    return remote


def open_on_localhost(configuration: Configuration) -> Configuration:
    """Without keys, for pages of this machine too, and with what defects say in the log: for a run on localhost."""
    origins = configuration.get("vars", {}).get("ALLOWED_ORIGINS", "")
    local_origins = f"{origins} {variables.LOCAL_ORIGINS}".strip()
    return with_variables(configuration, **variables.OPEN, ALLOWED_ORIGINS=local_origins, LOG_PROMPTS="errors")


def with_variables(configuration: Configuration, **given: str) -> Configuration:
    return {**configuration, "vars": {**configuration.get("vars", {}), **given}}


def _simulated(name: str, options: Configuration) -> Configuration:
    plugin = {"package": str(PLUGIN), "name": "workers-ai-simulator"}
    return {"name": name, "type": "simulated", "dev": {"plugin": plugin, "options": options}}
