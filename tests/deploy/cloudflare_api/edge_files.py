"""The files of a version on the edge, made from its upload alone: nothing of the checkout's Worker is in them."""

import json
import os
import shutil
from pathlib import Path

from offline_python_workers import stage
from offline_python_workers.compiled import CACHE_TAG
from tests.deploy.cloudflare_api.envelope import Document
from tools.dev import configuration, derived
from tools.dev.configuration import Configuration
from tools.setup.install import RUNTIME, WORKER_PACKAGES

PACKAGES = "python_modules"
JAVASCRIPT_RULES = [{"type": "ESModule", "globs": ["**/*.mjs", "**/*.js"], "fallthrough": False}]


def lay_out(folder: Path, data: Path, script: Document, version: Document, simulator: str) -> Path:
    """Fill the new folder for a version, and return the configuration file for `wrangler dev`."""
    modules = data / "modules" / version["modules"]
    own = _configuration(script, version)
    if version["assets"]:
        own["assets"] = _assets(folder.with_name(f"{folder.name}-assets"), data, version)
    if version["main"].endswith(".py"):
        source = folder.with_name(f"{folder.name}-source")
        shutil.copytree(modules, source, ignore=shutil.ignore_patterns(PACKAGES))
        packages = _packages(modules / PACKAGES, folder.with_name(f"{folder.name}-packages"))
        classes = configuration.configured_classes(own)
        stage.lay_out(folder, source / version["main"], classes, RUNTIME, packages, derived.compiled_modules())
        own = configuration.on_local_runtime(own, folder)
    else:
        shutil.copytree(modules, folder)
        own |= _javascript(folder, version["main"])
    file = folder / "wrangler.json"
    own = configuration.with_simulators(own, simulator)
    # of a run on somebody's machine; a deployed Worker is not told what its bindings are
    own["vars"].pop("SIMULATED", None)
    file.write_text(json.dumps(own, indent=2))
    return file


def _packages(uploaded: Path, folder: Path) -> Path:
    """Copy the packages of an upload, with the checkout's byte-code of every module whose source is the same.

    An upload has sources only. Compiling them takes time at each start, which the memory snapshot saves in production.
    """
    shutil.copytree(uploaded, folder, copy_function=os.link)
    for module in folder.rglob("*.py"):
        installed = WORKER_PACKAGES / module.relative_to(folder)
        code = installed.parent / "__pycache__" / f"{module.stem}.{CACHE_TAG}.pyc"
        if code.exists() and installed.read_bytes() == module.read_bytes():
            (module.parent / "__pycache__").mkdir(exist_ok=True)
            os.link(code, module.parent / "__pycache__" / code.name)
    return folder


def _javascript(folder: Path, main: str) -> Configuration:
    if "." not in main:  # the empty Worker that `wrangler secret put` makes is named after the script
        (folder / main).rename(folder / f"{main}.mjs")
        main += ".mjs"
    return {"main": main, "no_bundle": True, "base_dir": ".", "rules": JAVASCRIPT_RULES}


def _assets(folder: Path, data: Path, version: Document) -> Configuration:
    """The assets as files in a folder, and what wrangler.jsonc would say of them."""
    for path, hashed in version["assets"]["files"].items():
        file = folder / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        os.link(data / "assets" / hashed, file)
    config: Document = {name: value for name, value in version["assets"]["config"].items() if value is not None}
    for name in ("_headers", "_redirects"):
        if name in config:
            (folder / name).write_text(config.pop(name))
    binding = next((each["name"] for each in version["bindings"] if each["type"] == "assets"), None)
    return {"directory": str(folder)} | ({"binding": binding} if binding else {}) | config


def _configuration(script: Document, version: Document) -> Configuration:
    own: Configuration = {
        "name": script["name"],
        "main": version["main"],
        "compatibility_date": version["compatibility_date"],
        "compatibility_flags": version["compatibility_flags"],
        "vars": {},
    }
    for kind, is_sqlite in (("new_sqlite_classes", True), ("new_classes", False)):
        if names := [name for name, has_sql in script["classes"].items() if has_sql == is_sqlite]:
            own.setdefault("migrations", []).append({"tag": kind, kind: names})
    for binding in version["bindings"]:
        _bind(own, binding, version)
    return own


def _bind(own: Configuration, binding: Document, version: Document) -> None:
    """Add to a configuration what wrangler made this binding of."""
    name = binding["name"]
    match binding["type"]:
        case "plain_text" | "secret_text":
            own["vars"][name] = binding["text"]
        case "json":
            own["vars"][name] = binding["json"]
        case "version_metadata":
            # the local runtime would give a binding of its own making: as a variable it has the upload's id and tag
            tag = version["annotations"].get("workers/tag", "")
            own["vars"][name] = {"id": version["id"], "tag": tag, "timestamp": version["created_on"]}
        case "ai":
            own["ai"] = {"binding": name}
        case "assets":
            pass  # see _assets
        case "durable_object_namespace":
            classes = own.setdefault("durable_objects", {"bindings": []})["bindings"]
            classes.append({"name": name, "class_name": binding["class_name"]})
        case kind:
            section, entry = _listed(kind, name, binding)
            own.setdefault(section, []).append(entry)


def _listed(kind: str, name: str, binding: Document) -> tuple[str, Configuration]:
    """The section of a configuration that lists bindings of this kind, and the entry."""
    match kind:
        case "vectorize":
            return "vectorize", {"binding": name, "index_name": binding["index_name"]}
        case "r2_bucket":
            return "r2_buckets", {"binding": name, "bucket_name": binding["bucket_name"]}
        case "d1":
            return "d1_databases", {"binding": name, "database_name": binding["id"], "database_id": binding["id"]}
        case "workflow":
            entry = {"binding": name, "name": binding["workflow_name"], "class_name": binding["class_name"]}
            return "workflows", entry
        case "ratelimit":
            limit = {"namespace_id": binding["namespace_id"], "simple": binding["simple"]}
            return "ratelimits", {"name": name, **limit}
        case "analytics_engine":
            return "analytics_engine_datasets", {"binding": name, "dataset": binding["dataset"]}
        case "service":
            entry = {"binding": name, "service": binding["service"]}
            return "services", entry | ({"entrypoint": binding["entrypoint"]} if "entrypoint" in binding else {})
        case _:
            raise ValueError(f"The edge cannot bind {name}: bindings of the kind {kind} are not simulated.")
