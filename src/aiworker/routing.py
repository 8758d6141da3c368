"""Routes: declared with `@route` beside their handlers, found by method and path."""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, cast
from urllib.parse import unquote

from pydantic import BaseModel

from aiworker.auth.access import RouteScope
from aiworker.auth.limits import Rate
from aiworker.context import Context
from aiworker.errors import ApiError, ErrorType
from aiworker.http.body import JSON, Schema, parse_json, parse_query
from aiworker.http.messages import Response

if TYPE_CHECKING:
    from types import FunctionType

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Shape = type[BaseModel] | Mapping[str, Any]
"""A pydantic model, or a JSON Schema."""
Handler = Callable[..., Awaitable[Response]]
"""Called with the Context, the path's parameters by name, and the parsed `body` and `query` where it has them."""
HandlerType = TypeVar("HandlerType", bound=Handler)

EVENTS: Mapping[str, Any] = {"description": "Server-sent events."}
"""JSON Schema of an event stream. It has no type: some tools apply a type to the whole stream, others to each event."""
BYTES: Mapping[str, Any] = {"type": "string", "contentMediaType": "application/octet-stream"}
"""JSON Schema of a binary body."""

MODEL_ERRORS: tuple[ErrorType, ...] = (
    "model_not_found",
    "forbidden",
    "timeout",
    "context_exceeded",
    "rate_limited",
    "budget_exceeded",
    "upstream_error",
)
"""Errors of every route that calls a model."""


@dataclass(frozen=True)
class Returns:
    """One successful response of a route, as /openapi.json describes it."""

    content: type[BaseModel] | Mapping[str, Shape] = field(default_factory=dict[str, Shape])
    """Media type → schema of the body. A model stands for JSON; empty for a response without a body."""
    description: str = "OK"
    status: int = 200
    models: tuple[type[BaseModel], ...] = ()
    """Models that a JSON Schema in `content` refers to."""

    @property
    def by_media_type(self) -> Mapping[str, Shape]:
        return {JSON: self.content} if isinstance(self.content, type) else self.content


@dataclass(frozen=True, kw_only=True)
class Route:
    """A route with its declaration; `route` describes the fields."""

    method: Method
    path: str
    handler: Handler
    handler_parameters: tuple[str, ...]
    """Names of the handler's parameters."""
    scope: RouteScope
    rate: Rate
    tag: str
    operation_id: str
    body: type[Schema] | Mapping[str, Shape] | None
    files: tuple[str, ...]
    query: type[Schema] | None
    returns: tuple[Returns, ...]
    errors: tuple[ErrorType, ...]
    example: Any
    is_documented: bool

    @property
    def description(self) -> tuple[str, str]:
        """Summary and description: the first sentence of the handler's docstring, and the rest of it."""
        summary, _, rest = (self.handler.__doc__ or "").strip().partition("\n\n")
        return " ".join(summary.split()).removesuffix("."), " ".join(rest.split())

    def start_reading(self, context: Context) -> None:
        """Let a JSON body arrive while something else is awaited. It is parsed by `respond`."""
        if "body" in self.handler_parameters:
            context.request.start_reading(context.settings.max_body_bytes)

    async def respond(self, context: Context, parameters: Mapping[str, str]) -> Response:
        """Call the handler with the parameters that it has. Raises ApiError for a body or a query that is invalid."""
        arguments: dict[str, Any] = dict(parameters)
        if "body" in self.handler_parameters:
            schema = cast("type[Schema]", self.body)
            arguments["body"] = await parse_json(schema, context.request, context.settings.max_body_bytes)
            context.log.ignored += arguments["body"].ignored_parameters()
        if "query" in self.handler_parameters and self.query:
            arguments["query"] = parse_query(self.query, context.request)
        return await self.handler(context, **arguments)


ROUTES: dict[str, dict[str, Route]] = {}
"""Path → method → route, filled by `@route` while aiworker.routes is imported.

`GET /` and the other files of public/ are served before the Worker runs.
"""
EXPRESSIONS: dict[str, re.Pattern[str]] = {}
"""Path with parameters → its expression. They are compiled at import, so that the memory snapshot has them."""


def route(
    method: Method,
    path: str,
    *,
    scope: RouteScope,
    rate: Rate,
    returns: type[BaseModel] | Returns | tuple[Returns, ...],
    tag: str = "More",
    body: type[Schema] | Mapping[str, Shape] | None = None,
    files: tuple[str, ...] = (),
    query: type[Schema] | None = None,
    errors: tuple[ErrorType, ...] = (),
    example: Any = None,
    operation_id: str = "",
    is_documented: bool = True,
) -> Callable[[HandlerType], HandlerType]:
    """Serve a handler under a method and a path. Its docstring is the route's description.

    path: `{name}` is one segment, `{name...}` any number of them; the handler takes it as the parameter `name`.
    scope: the scope a caller needs, of access.SCOPES; `any` for any key or token, `open` for everybody.
    rate: the rate limit that counts the requests.
    body: the JSON body's schema, parsed for a handler with the parameter `body`; or media type → schema for a handler
        that reads the request itself.
    files: names of the form's fields that are files.
    query: the schema of the query string, parsed for a handler with the parameter `query`.
    returns: the successful responses.
    errors: the types of errors, without those that the body, the query and the scope imply.
    example: a JSON body that works as it is; of JSON lines, the list of their values.
    operation_id: the operation's name in generated clients; by default the handler's.
    """
    responses = (Returns(returns),) if isinstance(returns, type) else returns
    responses = (responses,) if isinstance(responses, Returns) else responses

    def register(handler: HandlerType) -> HandlerType:
        function = cast("FunctionType", handler)
        code = function.__code__
        parameters = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        new_route = Route(
            method=method, path=path, handler=handler, handler_parameters=parameters, scope=scope, rate=rate, tag=tag,
            files=files, query=query, operation_id=operation_id or function.__name__, body=body, returns=responses,
            errors=errors, example=example, is_documented=is_documented,
        )  # fmt: skip
        _check(new_route)
        ROUTES.setdefault(path, {})[method] = new_route
        if "{" in path and path not in EXPRESSIONS:
            EXPRESSIONS[path] = _expression(path)
        return handler

    return register


def _check(new_route: Route) -> None:
    """Raises TypeError for a second handler of the same route, or a handler whose parameters differ from the
    declaration."""
    where = f"{new_route.method} {new_route.path}"
    if new_route.method in ROUTES.get(new_route.path, {}):
        raise TypeError(f"{where} has two handlers.")
    context, *names = new_route.handler_parameters
    in_path = frozenset(re.findall(r"{(\w+)", new_route.path))
    body = {"body"} if isinstance(new_route.body, type) else set[str]()
    query = {"query"} if new_route.query else set[str]()
    known = in_path | body | query
    if context != "context" or in_path - {*names} or {*names} - known:
        raise TypeError(f"The handler of {where} must take context, then some of {', '.join(sorted(known)) or 'none'}.")


class Match(NamedTuple):
    route: Route
    parameters: Mapping[str, str]
    """The values of the path's parameters."""


def find(method: str, path: str) -> Match:
    """Return the route of a request; HEAD has the route of GET.

    Raises ApiError `not_found` or, with the header `Allow`, `method_not_allowed`.
    """
    pattern, parameters = _match(path)
    methods = ROUTES[pattern]
    matched = methods.get("GET" if method == "HEAD" else method)
    if matched is None:
        allowed = ", ".join([*methods, "HEAD"] if "GET" in methods else methods)
        raise ApiError("method_not_allowed", f"{path} takes {allowed}, not {method}.", headers={"allow": allowed})
    return Match(matched, parameters)


def _match(path: str) -> tuple[str, dict[str, str]]:
    match = _pattern(path)
    if match:
        return match
    meant = next((each for each in _corrections(path) if each != path and _pattern(each)), None)
    if meant:
        raise ApiError("not_found", f"There is no route {path[:200]}. Did you mean {meant}?")
    # only paths with the same first letter are compared: with all of them, an unknown path would cost the most CPU
    start = path[:100].lower()
    similar = [known for known in ROUTES if known[:2] == start[:2]]
    nearest = get_close_matches(start, similar, n=1)
    hint = f" Did you mean {nearest[0]}?" if nearest else f" The routes are {', '.join(ROUTES)}."
    raise ApiError("not_found", f"There is no route {path[:200]}.{hint}")


def _pattern(path: str) -> tuple[str, dict[str, str]] | None:
    """Return the pattern of ROUTES that fits, and the values of its parameters."""
    if path in ROUTES and "{" not in path:
        return path, {}
    for pattern, expression in EXPRESSIONS.items():
        if match := expression.fullmatch(path):
            return pattern, {name: unquote(value) for name, value in match.groupdict().items()}
    return None


def _corrections(path: str) -> Iterator[str]:
    """Yield paths that may be meant: the path without extra slashes, without a second `/v1` or capitals in it, or
    without what precedes it."""
    segments = [segment for segment in path[:200].split("/") if segment]
    lower = [segment.lower() for segment in segments]
    yield "/" + "/".join(segments)
    if "v1" in lower:
        last = len(lower) - 1 - lower[::-1].index("v1")
        yield "/v1/" + "/".join(segments[last + 1 :])
    yield "/v1/" + "/".join(segments)


def _expression(pattern: str) -> re.Pattern[str]:
    """`/images/{key}` → an expression with the group `key` for one segment of the path."""
    one_segment = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(pattern))
    return re.compile(re.sub(r"\\{(\w+)\\.\\.\\.\\}", r"(?P<\1>.+)", one_segment))
