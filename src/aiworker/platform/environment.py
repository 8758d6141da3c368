"""The Worker's `env`: its variables and bindings, read once for each isolate, never at import."""

import functools
import sys
from collections.abc import Mapping
from typing import Any

import pyodide
from workers import import_from_javascript

from aiworker.settings import VARIABLES, Settings


@functools.cache
def env() -> Any:
    """Return JavaScript's own `env`: the SDK's converts every value that passes through it."""
    return import_from_javascript("cloudflare:workers").env


def has(name: str) -> bool:
    """Tell whether wrangler.jsonc gives the Worker this binding or variable."""
    return hasattr(env(), name)


def binding(name: str) -> Any:
    """Return a binding that the Worker has."""
    return getattr(env(), name)


@functools.cache
def settings() -> Settings:
    """Read the variables. Raises ApiError as Settings.read does."""
    return Settings.read({name: getattr(env(), name) for name in VARIABLES if has(name)})


@functools.cache
def versions() -> Mapping[str, str]:
    """Return the versions of Python, of Pyodide and, on Cloudflare, of the deployment."""
    deployment = {"deployment": env().VERSION.id} if has("VERSION") else {}
    return {"python": sys.version.split()[0], "pyodide": pyodide.__version__, **deployment}
