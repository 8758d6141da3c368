"""A tool of `POST /mcp`: one of the Worker's routes, or one of its own tools, as agents see and call it."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from aiworker.auth.access import Scope
from aiworker.auth.limits import Rate
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.body import Reply, Schema, parse_object
from aiworker.http.messages import Payload
from aiworker.routing import Route
from aiworker.tools import ToolError, WorkerTool

Json = dict[str, Any]


@dataclass(frozen=True)
class ToolResult:
    """The result of a tool."""

    text: str
    """For a model to read; empty for none."""
    content: Sequence[Json] = ()
    """Further blocks of MCP's content: images."""
    structured: Mapping[str, Any] | None = None
    """The same for a program."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Headers of the model calls' response."""
    error: Mapping[str, Any] | None = None
    """The API's error, if the tool has failed."""
    is_error: bool = False

    def to_json(self) -> Json:
        """Return the result of `tools/call`, in which values may be JsonValue."""
        text = [{"type": "text", "text": self.text}] if self.text else []
        result: Json = {"content": [*text, *self.content], "isError": self.is_error}
        if self.structured is not None:
            result["structuredContent"] = self.structured
        # not structuredContent: clients check that against the schema of a success
        return result if self.error is None else {**result, "_meta": {"error": self.error}}


class McpTool(Protocol):
    """A tool, and what a caller needs to use it."""

    @property
    def name(self) -> str: ...

    @property
    def scope(self) -> str: ...

    @property
    def rate(self) -> Rate: ...

    @property
    def listing(self) -> Json:
        """The tool as an item of `tools/list`."""
        ...

    async def run(self, context: Context, arguments: Json, files: Mapping[str, Payload]) -> ToolResult:
        """Run the tool. Raises ApiError. files: arguments that are files, by name."""
        ...


RunRoute = Callable[[Context, Any, Mapping[str, Payload]], Awaitable[ToolResult]]
"""Serves a request of a route's schema, with the files of the call."""


@dataclass(frozen=True)
class RouteTool:
    """A route as a tool, with the route's scope, rate, fields and answer."""

    title: str
    route: Route
    schema: type[Schema]
    arguments: Mapping[str, str]
    """Fields of the schema that are arguments → what they mean, for models."""
    required: Sequence[str]
    function: RunRoute
    reply: type[Reply] | None
    """Schema of `structured`."""
    files: Mapping[str, str]
    """Arguments that are files in base64, all of them required → what they are."""
    is_reading: bool
    """True if the tool changes nothing."""

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def scope(self) -> str:
        return self.route.scope

    @property
    def rate(self) -> Rate:
        return self.route.rate

    @property
    def listing(self) -> Json:
        return self._listing

    @cached_property  # schemas of pydantic take milliseconds
    def _listing(self) -> Json:
        tool = {
            "name": self.name,
            "title": self.title,
            "description": " ".join((self.function.__doc__ or "").split()),
            "inputSchema": self._input_schema(),
            "annotations": {"title": self.title, "readOnlyHint": self.is_reading, "openWorldHint": False},
        }
        return {**tool, "outputSchema": self.reply.model_json_schema()} if self.reply else tool

    def _input_schema(self) -> Json:
        fields = self.schema.model_json_schema()["properties"]
        properties = {name: {**_value(fields[name]), "description": text} for name, text in self.arguments.items()}
        for name, text in self.files.items():
            properties[name] = {"type": "string", "contentEncoding": "base64", "description": text}
        required = [*self.required, *self.files]
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}

    async def run(self, context: Context, arguments: Json, files: Mapping[str, Payload]) -> ToolResult:
        values = {name: value for name, value in arguments.items() if name not in self.files}
        for name in (*self.required, *self.files):
            if name not in arguments:
                raise ApiError("invalid_request", f"{name} is required.", param=name)
        known = [*self.arguments, *self.files]
        unknown = next((name for name in arguments if name not in known), None)
        if unknown is not None:
            message = f"{unknown[:100]} is not known here: the arguments are {', '.join(known)}."
            raise ApiError("invalid_request", message, param=unknown[:100])
        missing = next((name for name in self.files if name not in files), None)
        if missing:
            raise ApiError("invalid_request", f"{missing} must be a text in base64.", param=missing)
        return await self.function(context, parse_object(self.schema, values), files)


@dataclass(frozen=True)
class OwnTool:
    """A tool of aiworker.tools, which models call with the scope `chat`."""

    tool: WorkerTool
    scope: Scope = "chat"
    rate: Rate = "model"

    @property
    def name(self) -> str:
        return self.tool.name

    @property
    def listing(self) -> Json:
        return {"name": self.name, "description": self.tool.description, "inputSchema": self.tool.parameters}

    async def run(self, context: Context, arguments: Json, files: Mapping[str, Payload]) -> ToolResult:  # noqa: ARG002
        try:
            return ToolResult(await self.tool.result(json.dumps(arguments)))
        except ToolError as error:
            return ToolResult(str(error), is_error=True)


def _value(schema: Json) -> Json:
    """Return a field's schema without its name, and without null: an argument that is not given is left out."""
    rest = {name: each for name, each in schema.items() if name not in ("title", "anyOf")}
    if rest.get("default", ...) is None:
        del rest["default"]
    branches = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(branches) == 1:
        return {**branches[0], **rest}
    return {**rest, "anyOf": branches} if branches else rest
