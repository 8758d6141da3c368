"""`POST /decide`: typed questions about a text, a conversation or images."""

import json
from typing import Any

from aiworker.auth import limits
from aiworker.context import Context
from aiworker.http.messages import Response
from aiworker.models import decisions
from aiworker.models.decisions import Decisions
from aiworker.models.model_response import joined_response
from aiworker.models.selection import find_model
from aiworker.routes.decide_schema import DecideReply, DecideRequest
from aiworker.routing import MODEL_ERRORS, Returns, route

MAKER = "@cf/cloudflare/"
"""Beginning of the models' ids, which requests in the platform's form leave out."""


@route(
    "POST", "/decide", scope="text", rate="model", tag="Text",
    body=DecideRequest, returns=Returns(DecideReply, "The answers."), errors=MODEL_ERRORS,
    example={
        "state": "My parcel is late. I want a refund.",
        "questions": {"refund": {"type": "noul", "instructions": "Does the customer ask for a refund?"}},
    },
)  # fmt: skip
async def decide(context: Context, body: DecideRequest) -> Response:
    """Answer typed questions with probabilities.

    In the form of the platform's decision models: `noul` for yes or no, `choice` for one of several options, `score`
    for a level. All are about the same state, and each has its answer or a refusal.
    """
    requested = body.model or context.settings.models["DECIDE_MODEL"]
    model = find_model(context, requested if "/" in requested else MAKER + requested, "decision")
    fields = body.model_dump(mode="json", exclude_none=True, include={"state", "questions", "images"})
    questions = {name: each.model_dump(exclude_none=True) for name, each in body.questions.items()}
    limits.check_prompt(context, [text_of(body.state), text_of(questions)], "state")
    made = await decisions.decide(context, model, fields["state"], questions, fields.get("images", ()), body.gateway)
    usage = {"input_tokens": made.input_tokens, "output_tokens": made.output_tokens}
    return response_of(made, {"model": decisions.selector(model), "answers": made.answers, "usage": usage})


def text_of(value: Any) -> str:
    """Return JSON as the text whose length counts."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def response_of(made: Decisions, content: dict[str, Any]) -> Response:
    """Return the response with these answers, and the headers of the model's calls."""
    return joined_response(made.responses, json.dumps(content, ensure_ascii=False), made.neurons)
