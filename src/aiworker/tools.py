"""The Worker's own tools: Python functions that a model may call in `POST /chat` with `worker_tools`.

`@tool` makes a tool of a function with typed parameters. The model is sent its name, its docstring and a schema of its
parameters. The model's arguments are checked against the types, and the model gets the function's result or exception.
"""

import datetime
import functools
import inspect
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from aiworker.error_text import public_message
from aiworker.errors import ApiError


class Tool(Protocol):
    """A function that the Worker calls when a model asks for it."""

    @property
    def name(self) -> str: ...

    def to_json(self) -> dict[str, Any]:
        """Return the tool as an item of a model's input `tools`."""
        ...

    async def call(self, arguments: str) -> str:
        """Run the tool; return its result as JSON, or `{"error": …}`, for the model.

        arguments: a JSON object as text; empty for none.
        """
        ...


class ToolError(Exception):
    """A tool has failed, or its arguments are wrong. The message is for the model."""


@dataclass(frozen=True)
class WorkerTool:
    """A tool: its function, and the schema of its arguments."""

    function: Callable[..., Any | Awaitable[Any]]
    arguments: type[BaseModel]

    @property
    def name(self) -> str:
        return self.function.__name__

    def to_json(self) -> dict[str, Any]:
        function = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {"type": "function", "function": function}

    @property
    def description(self) -> str:
        return inspect.getdoc(self.function) or ""

    @functools.cached_property  # schemas of pydantic take milliseconds
    def parameters(self) -> dict[str, Any]:
        """JSON Schema of the arguments."""
        schema = self.arguments.model_json_schema()
        schema.pop("title", None)
        return schema

    async def call(self, arguments: str) -> str:
        try:
            return await self.result(arguments)
        except ToolError as error:
            return json.dumps({"error": str(error)})

    async def result(self, arguments: str) -> str:
        """Run the tool; return its result as JSON. Raises ToolError. arguments: as for `call`."""
        try:
            values = self.arguments.model_validate_json(arguments or "{}")
            result = self.function(**{name: getattr(values, name) for name in self.arguments.model_fields})
            return json.dumps(await result if inspect.isawaitable(result) else result, ensure_ascii=False)
        except ValidationError as error:
            reasons = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
            raise ToolError(f"Invalid arguments. {'; '.join(reasons)}") from None
        except ApiError as error:
            raise ToolError(error.message) from error
        except Exception as error:  # a tool may raise anything, and the model can react to it
            raise ToolError(f"{type(error).__name__}: {public_message(str(error))}") from error


TOOLS: dict[str, WorkerTool] = {}
"""Name → tool."""


def tool(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a tool of a function. Its parameters must have types that pydantic knows; its result must be JSON."""
    fields: dict[str, Any] = {
        name: (parameter.annotation, ... if parameter.default is inspect.Parameter.empty else parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
    }
    arguments = create_model(function.__name__, __config__=ConfigDict(extra="forbid"), **fields)
    TOOLS[function.__name__] = WorkerTool(function, arguments)
    return function


@tool
def current_time(utc_offset_hours: float = 0) -> str:
    """The current date and time, at an offset from UTC in hours (for example 2 or -5.5)."""
    zone = datetime.timezone(datetime.timedelta(hours=utc_offset_hours))
    return datetime.datetime.now(zone).isoformat(timespec="seconds")
