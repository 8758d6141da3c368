"""The configuration of a Worker: read from wrangler.jsonc, and derived from it for the local run."""

from pathlib import Path
from typing import Any, cast

import pyjson5

from offline_python_workers.stage import RULES

Configuration = dict[str, Any]

OLDEST_COMPATIBILITY_DATE = "2026-09-08"
"""The first date at which Cloudflare runs Python Workers on Pyodide 314 (CPython 3.14), as this package does."""


class ConfigurationError(Exception):
    """The local run does not support something in wrangler.jsonc. The message says what to change."""


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
    """Classes that the main module has to export according to its configuration, name to kind (see stage.KINDS)."""
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
    """Derive the configuration for a folder laid out by `stage.lay_out`, with absolute paths.

    root: folder of wrangler.jsonc.
    """
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
