"""HTTP routes of the simulator's own API for scripted answers."""

import json
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from workers_ai_simulator.http import media_type
from workers_ai_simulator.scripted.errors import AnswersError
from workers_ai_simulator.scripted.models import Script, ScriptedAnswer, read
from workers_ai_simulator.scripted.store import ScriptedAnswers

PATH = "/simulator/answers"


def routes(answers: ScriptedAnswers) -> list[BaseRoute]:
    handlers = Handlers(answers)
    return [
        Route(PATH, handlers.list, methods=["GET"]),
        Route(PATH, handlers.add, methods=["POST"]),
        Route(PATH, handlers.replace, methods=["PUT"]),
        Route(PATH, handlers.clear, methods=["DELETE"]),
    ]


class Handlers:
    """HTTP handlers, one for each method."""

    def __init__(self, answers: ScriptedAnswers) -> None:
        self._answers = answers

    async def list(self, _: Request) -> Response:
        """`{strict, answers}`: the answers set since they were last cleared, with `id`, `applied`, `remaining`."""
        return JSONResponse({"strict": self._answers.strict, "answers": _to_json([*self._answers])})

    async def add(self, request: Request) -> Response:
        """Add an answer, a list of answers, or those of `{strict, answers}`."""
        script = await _script(request)
        return script if isinstance(script, Response) else self._add(script)

    async def replace(self, request: Request) -> Response:
        """Replace all answers that are set by those of the request."""
        script = await _script(request)
        if isinstance(script, Response):
            return script
        self._answers.clear()
        return self._add(script)

    async def clear(self, _: Request) -> Response:
        """Delete all answers, and end strict mode."""
        self._answers.clear()
        return Response(status_code=204)

    def _add(self, script: Script) -> Response:
        added = self._answers.add(script)
        return JSONResponse({"strict": self._answers.strict, "answers": _to_json(added)}, 201)


def _to_json(answers: Sequence[ScriptedAnswer]) -> list[dict[str, Any]]:
    return [each.to_json() for each in answers]


async def _script(request: Request) -> Script | Response:
    """The script in the request's body, or the refusal of the request."""
    if media_type(request) != "application/json":  # the only body that a web page may not send unasked
        return JSONResponse({"error": "send answers as JSON, with content-type: application/json"}, 415)
    try:
        return read(json.loads(await request.body()))
    except AnswersError as error:
        return JSONResponse({"error": str(error), "part": error.part}, 400)
    except ValueError:
        return JSONResponse({"error": "the body must be scripted answers as JSON", "part": ""}, 400)
