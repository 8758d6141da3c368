"""The API as OpenAPI 3.1, generated from the routes and their pydantic models when the project is built."""

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, cast

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from aiworker import __version__
from aiworker.anthropic_errors import ANTHROPIC_KINDS
from aiworker.auth.access import ADMIN, SCOPES
from aiworker.errors import KINDS, OPENAI_KINDS, ErrorType
from aiworker.http.body import FORM, JSON
from aiworker.routes import ROUTES
from aiworker.routing import BYTES, Route, Shape

DESCRIPTION = """\
Text, vectors, images, speech, translation and structured output from Workers AI.

Every response carries `x-request-id`. Those of model calls also carry `x-model`, `server-timing` and `x-ai-request-id`,
`x-gateway-log-id` when AI Gateway has logged them, `x-neurons` where their cost is known, and `x-real-model` where a
model of your own machine has answered in place of Workers AI's.

Unless the Worker is public, requests carry an API key or a token with the scope that the route requires.
"""

SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, or a token created with `POST /tokens`.",
    },
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "The same in its own header."},
}

TAGS = ("About", "Text", "Documents", "Images and speech", "AI Gateway", "OpenAI", "Anthropic", "MCP", "Vercel AI SDK")
"""Order of the groups of routes; others come after them."""

REFERENCE = "#/components/schemas/{model}"
NULL = {"type": "null"}
FILE = {**BYTES, "format": "binary"}
"""JSON Schema of a file. `format` is OpenAPI 3.0's, by which API pages offer a file picker."""

OPENAI_ERROR: Shape = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
            "required": ["message", "type", "param", "code"],
        }
    },
    "required": ["error"],
}
ANTHROPIC_ERROR: Shape = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "const": "error"},
        "error": {
            "type": "object",
            "properties": {"type": {"type": "string"}, "message": {"type": "string"}},
            "required": ["type", "message"],
        },
        "request_id": {"type": "string"},
    },
    "required": ["type", "error", "request_id"],
}


RPC_ERROR: Shape = {
    "type": "object",
    "properties": {
        "jsonrpc": {"type": "string", "const": "2.0"},
        "id": {"type": ["string", "integer", "null"]},
        "error": {
            "type": "object",
            "properties": {"code": {"type": "integer"}, "message": {"type": "string"}, "data": {"type": "object"}},
            "required": ["code", "message"],
        },
    },
    "required": ["jsonrpc", "id", "error"],
}

TEXT = "text/plain"
SENTENCE: Shape = {
    "type": "string",
    "description": "A sentence that says what is wrong and, where possible, what to do.",
}


class ErrorDetail(BaseModel):
    code: int | None
    """The number of the error in Workers AI."""
    type: ErrorType
    message: str
    """A sentence that says what is wrong and, where possible, what to do."""
    param: str | None
    """The field at fault, dotted (`messages.0.role`)."""
    upstream_code: int | None
    """Workers AI's own code, if it refused the call."""
    request_id: str
    retry_after: int | None
    """Seconds after which the same request may succeed."""


class ErrorReply(BaseModel):
    error: ErrorDetail


PATH_EXAMPLES: Mapping[str, str] = {
    "/rag/documents/": "penguins",
    "/conversations/": "example",
    "/api/chat/": "chat-1",
    "/v1/models/": "@cf/openai/gpt-oss-20b",
}
"""Beginning of a path → an id behind it that works once the examples of the other routes have been sent.

Other ids are the Worker's own: answers have them.
"""

ERROR_FORMS: tuple[tuple[str, Mapping[ErrorType, Any], Mapping[str, Shape]], ...] = (
    ("/v1/messages", ANTHROPIC_KINDS, {JSON: ANTHROPIC_ERROR}),
    ("/v1/", OPENAI_KINDS, {JSON: OPENAI_ERROR}),
    ("/mcp", KINDS, {JSON: RPC_ERROR}),
    ("/api/chat", KINDS, {TEXT: SENTENCE}),
    ("/", KINDS, {JSON: ErrorReply}),
)
"""Beginning of a path → the kinds of its errors, and the schema of their bodies; the first that fits counts."""


def document() -> dict[str, Any]:
    """Return the description that `GET /openapi.json` serves."""
    documented = documented_routes()
    paths: dict[str, dict[str, Any]] = {}
    for route in documented:
        paths.setdefault(route.path.replace("...}", "}"), {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "aiworker",
            "version": __version__,
            "summary": "An AI backend for web front ends",
            "description": DESCRIPTION,
        },
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in documented)],
        "paths": paths,
        "components": {"schemas": _schemas(documented), "securitySchemes": SECURITY_SCHEMES},
    }


def documented_routes() -> list[Route]:
    """Return the routes of the description, in the order of their groups, then of their files."""
    documented = [route for methods in ROUTES.values() for route in methods.values() if route.is_documented]
    return sorted(documented, key=lambda route: TAGS.index(route.tag) if route.tag in TAGS else len(TAGS))


def _operation(route: Route) -> dict[str, Any]:
    summary, description = route.description
    operation: dict[str, Any] = {
        "operationId": route.operation_id,
        "tags": [route.tag],
        "summary": summary,
        "description": f"{description} {_access(route)}".strip(),
        "security": [] if route.scope == "open" else [{name: _roles(route)} for name in SECURITY_SCHEMES],
        "responses": {**_responses(route), **_errors(route)},
    }
    parameters = [*_path_parameters(route.path), *_query_parameters(route)]
    if parameters:
        operation["parameters"] = parameters
    if route.body:
        operation["requestBody"] = {"required": True, "content": dict(_contents(route))}
    return operation


def _bodies(route: Route) -> Mapping[str, Shape]:
    """Return media type of the body → its schema."""
    body = route.body or {}
    return {JSON: body} if isinstance(body, type) else cast("Mapping[str, Shape]", body)


def _contents(route: Route) -> Iterator[tuple[str, dict[str, Any]]]:
    for media_type, schema in _bodies(route).items():
        content: dict[str, Any] = {"schema": _reference(schema)}
        if route.example is not None and media_type not in (FORM, "audio/*"):
            content["example"] = route.example if media_type == JSON else _lines(route.example)
        if media_type == FORM and isinstance(schema, type):
            content["schema"] = _form(schema, route.files)
        yield media_type, content


def _lines(values: list[Any]) -> str:
    """Return values as JSON lines."""
    return "".join(f"{json.dumps(value)}\n" for value in values)


def _form(model: type[BaseModel], files: tuple[str, ...]) -> dict[str, Any]:
    """Return one schema of fields and files: of two combined schemas, each would forbid the other's fields."""
    definition = model.model_json_schema(ref_template=REFERENCE)
    definition.pop("$defs", None)
    _describe(definition, model)
    definition["properties"] |= dict.fromkeys(files, FILE)
    return definition


def _responses(route: Route) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for each in route.returns:
        content = {media_type: {"schema": _reference(shape)} for media_type, shape in each.by_media_type.items()}
        responses[str(each.status)] = {"description": each.description, **({"content": content} if content else {})}
    return responses


def _roles(route: Route) -> list[str]:
    return [route.scope] if route.scope in SCOPES else []


def _access(route: Route) -> str:
    sentences = {"open": "Requires no key.", "any": "Accepts any key.", ADMIN: f"Requires the scope `{ADMIN}`."}
    return sentences.get(route.scope, f"Requires the scope `{route.scope}` or `{ADMIN}`.")


def _error_types(route: Route) -> Iterator[ErrorType]:
    """Yield the declared errors, and those that the body, the query and the scope imply; some of them twice."""
    yield from ("internal_error", "unavailable", "not_configured", "rate_limited")
    if route.scope != "open":
        yield from ("unauthorized", "forbidden")
    if route.body:
        yield from ("invalid_request", "payload_too_large", "unsupported_media_type")
    if route.query:
        yield "invalid_request"
    yield from route.errors


def _errors(route: Route) -> dict[str, Any]:
    """Return one response per status, which several types of error may share."""
    kinds, forms = next((kinds, forms) for prefix, kinds, forms in ERROR_FORMS if route.path.startswith(prefix))
    content = {media_type: {"schema": _reference(schema)} for media_type, schema in forms.items()}
    types = set(_error_types(route))
    by_status: dict[int, list[ErrorType]] = {}
    for error_type in KINDS:
        if error_type not in types:
            continue
        by_status.setdefault(kinds[error_type].status, []).append(error_type)
    return {
        str(status): {
            "description": ", ".join(f"`{error_type}`" for error_type in names),
            "content": content,
        }
        for status, names in sorted(by_status.items())
    }


def _path_parameters(path: str) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"{(\w+)[.]*}", path):
        start = path.partition("{")[0]
        example = {"example": PATH_EXAMPLES[start]} if start in PATH_EXAMPLES else {}
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, **example}


def _query_parameters(route: Route) -> Iterator[dict[str, Any]]:
    if route.query is None:
        return
    schema = route.query.model_json_schema(ref_template=REFERENCE)
    described = _docstrings(route.query)
    for name, each in schema["properties"].items():
        parameter = {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": each}
        yield {**parameter, "description": described[name]} if name in described else parameter


def _reference(schema: Shape) -> Mapping[str, Any]:
    return {"$ref": REFERENCE.format(model=schema.__name__)} if isinstance(schema, type) else schema


def _schemas(documented: list[Route]) -> dict[str, Any]:
    """Return every model of a request or a response, and the models they contain."""
    models = list(dict.fromkeys([*(model for route in documented for model in _models(route)), ErrorReply]))
    _, generated = models_json_schema([(model, "validation") for model in models], ref_template=REFERENCE)
    definitions: dict[str, Any] = generated["$defs"]
    known = {model.__name__: model for model in _all_models(BaseModel)}
    for name, definition in definitions.items():
        _describe(definition, known.get(name, BaseModel))
    return definitions


def _models(route: Route) -> Iterator[type[BaseModel]]:
    shapes = [*_bodies(route).values()]
    for each in route.returns:
        shapes += [*each.by_media_type.values(), *each.models]
    yield from (shape for shape in shapes if isinstance(shape, type))


def _describe(definition: dict[str, Any], model: type[BaseModel]) -> None:
    """Simplify a schema for readers, and add the docstrings of the model's fields."""
    texts = _docstrings(model)
    definition["properties"] = {
        name: {**_plain(each), **({"description": texts[name]} if name in texts else {})}
        for name, each in definition.get("properties", {}).items()
    }


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Simplify a field's schema for readers: one schema with `null` among its types in place of two alternatives."""
    rest = {name: each for name, each in schema.items() if name not in ("anyOf", "title")}
    branches = schema.get("anyOf", ())
    if rest.get("default", ...) is None:
        del rest["default"]  # null means the same as leaving the field out
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
    """Return the docstrings of a model's fields, inherited ones included."""
    docstrings: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if not each.__module__.startswith("aiworker."):
            continue
        [body] = ast.parse(textwrap.dedent(inspect.getsource(each))).body
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(docstring))):
                    docstrings[name] = inspect.cleandoc(docstring)
                case _:
                    pass
    return docstrings
