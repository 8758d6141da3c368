"""The API as OpenAPI 3.1, made from the pydantic models and one table of operations."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from aiworker import __version__
from aiworker.auth.access import ADMIN, ANY, OPEN, SCOPES
from aiworker.errors import KINDS, OPENAI_KINDS
from aiworker.http.body import FORM, JSON
from aiworker.operations import BYTES, OPENAI_ERROR, OPERATIONS, Operation
from aiworker.routes.answers import ErrorAnswer
from aiworker.routing import ROUTES

DESCRIPTION = """\
Text, vectors, images, speech, translation and structured output from Workers AI.

Every response carries `x-request-id`. Those of model calls also carry `x-model`, `server-timing` and `x-ai-request-id`,
`x-gateway-log-id` when AI Gateway has logged them, and `x-neurons` where it is known what they have cost.

Unless the Worker is open to all, requests bring an API key or a token, with the scope that the route takes.
"""

SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, or a token that `POST /tokens` has made with one.",
    },
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "The same in a header of its own."},
}

REFERENCE = "#/components/schemas/{model}"
NULL = {"type": "null"}
FILE = {**BYTES, "format": "binary"}
"""With the word of OpenAPI 3.0 too, by which pages know that a file is to be chosen."""


def document() -> dict[str, Any]:
    """The whole description, as `GET /openapi.json` answers it."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path.replace("...}", "}"), {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "aiworker",
            "version": __version__,
            "summary": "An AI backend for web front ends",
            "description": DESCRIPTION,
        },
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in OPERATIONS)],
        "paths": paths,
        "components": {"schemas": _schemas(), "securitySchemes": SECURITY_SCHEMES},
    }


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": f"{operation.description} {_access(operation)}",
        "security": [] if _scope(operation) == OPEN else [{name: _roles(operation)} for name in SECURITY_SCHEMES],
        "responses": {**_answers(operation), **_errors(operation)},
    }
    parameters = [*_path_parameters(operation.path), *_query_parameters(operation)]
    if parameters:
        described["parameters"] = parameters
    if operation.takes:
        described["requestBody"] = {"required": True, "content": dict(_bodies(operation))}
    return described


def _bodies(operation: Operation) -> Iterator[tuple[str, dict[str, Any]]]:
    for media_type, schema in operation.takes.items():
        content: dict[str, Any] = {"schema": _reference(schema)}
        if media_type == JSON and operation.example is not None:
            content["example"] = operation.example
        if media_type == FORM and isinstance(schema, type):
            content["schema"] = _form(schema, operation.files)
        yield media_type, content


def _form(model: type[BaseModel], files: tuple[str, ...]) -> dict[str, Any]:
    """Not the model beside its files: each of the two would forbid the other's fields."""
    definition = model.model_json_schema(ref_template=REFERENCE)
    definition.pop("$defs", None)
    _describe(definition, model)
    definition["properties"] |= dict.fromkeys(files, FILE)
    return definition


def _answers(operation: Operation) -> dict[str, Any]:
    return {
        str(answer.status): {
            "description": answer.description,
            **(
                {"content": {kind: {"schema": _reference(each)} for kind, each in answer.gives.items()}}
                if answer.gives
                else {}
            ),
        }
        for answer in operation.answers
    }


def _scope(operation: Operation) -> str:
    return ROUTES[operation.path][operation.method].scope


def _roles(operation: Operation) -> list[str]:
    return [scope] if (scope := _scope(operation)) in SCOPES else []


def _access(operation: Operation) -> str:
    scope = _scope(operation)
    others = {OPEN: "Needs no key.", ANY: "Takes any key.", ADMIN: f"Needs the scope `{ADMIN}`."}
    return others.get(scope, f"Needs the scope `{scope}` or `{ADMIN}`.")


def _errors(operation: Operation) -> dict[str, Any]:
    """One response a status: several kinds of errors may share one."""
    is_openai = operation.path.startswith("/v1/")
    kinds: Mapping[str, Any] = OPENAI_KINDS if is_openai else KINDS
    of_access = ("rate_limited",) if _scope(operation) == OPEN else ("unauthorized", "forbidden", "rate_limited")
    by_status: dict[int, list[str]] = {}
    for kind in dict.fromkeys((*operation.errors, *of_access)):
        by_status.setdefault(kinds[kind].status, []).append(kind)
    return {
        str(status): {
            "description": ", ".join(f"`{kind}`" for kind in kinds),
            "content": {JSON: {"schema": OPENAI_ERROR if is_openai else _reference(ErrorAnswer)}},
        }
        for status, kinds in sorted(by_status.items())
    }


def _path_parameters(path: str) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"{(\w+)[.]*}", path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query_parameters(operation: Operation) -> Iterator[dict[str, Any]]:
    if operation.query is None:
        return
    schema = operation.query.model_json_schema(ref_template=REFERENCE)
    described = _docstrings(operation.query)
    for name, each in schema["properties"].items():
        parameter = {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": each}
        yield {**parameter, "description": described[name]} if name in described else parameter


def _reference(schema: type[BaseModel] | Mapping[str, Any]) -> Mapping[str, Any]:
    return schema if isinstance(schema, Mapping) else {"$ref": REFERENCE.format(model=schema.__name__)}


def _schemas() -> dict[str, Any]:
    """Every model that a request or an answer has, and those that these have in them."""
    used = [each for operation in OPERATIONS for each in operation.models()]
    models = list(dict.fromkeys([*used, ErrorAnswer]))
    _, found = models_json_schema([(each, "validation") for each in models], ref_template=REFERENCE)
    definitions: dict[str, Any] = found["$defs"]
    known = {model.__name__: model for model in _all_models(BaseModel)}
    for name, definition in definitions.items():
        _describe(definition, known.get(name, BaseModel))
    return definitions


def _describe(definition: dict[str, Any], model: type[BaseModel]) -> None:
    """As people read it, and with the texts of the model."""
    texts = _docstrings(model)
    definition["properties"] = {
        name: {**_plain(each), **({"description": texts[name]} if name in texts else {})}
        for name, each in definition.get("properties", {}).items()
    }


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """A field as people read it: where that can be said, a "number or null" rather than any of two schemas."""
    rest = {name: each for name, each in schema.items() if name not in ("anyOf", "title")}
    branches = schema.get("anyOf", ())
    if rest.get("default", ...) is None:
        del rest["default"]  # as null is: left out
    if not branches:
        return rest
    others = [each for each in branches if each != NULL]
    if len(branches) == 2 and len(others) == 1 and isinstance(others[0].get("type"), str):
        return {**_or_null(others[0]), **rest}
    return {"anyOf": branches, **rest}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    rest = {name: each for name, each in schema.items() if name != "const"}
    return {**rest, "type": [schema["type"], "null"], **({"enum": [*values, None]} if values else {})}


def _all_models(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for model in base.__subclasses__():
        if model.__module__.startswith("aiworker."):
            yield model
        yield from _all_models(model)


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The texts that stand below the fields of a model and of those it inherits from."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if not each.__module__.startswith("aiworker."):
            continue
        [body] = ast.parse(textwrap.dedent(inspect.getsource(each))).body
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                    found[name] = inspect.cleandoc(words)
                case _:
                    pass
    return found
