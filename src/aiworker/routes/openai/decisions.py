"""`POST /v1/decisions`, for OpenAI's clients."""

from typing import Any

from aiworker.auth import limits
from aiworker.context import Context
from aiworker.http.messages import Response
from aiworker.models import decisions
from aiworker.routes.decide import response_of, text_of
from aiworker.routes.openai import models
from aiworker.routes.openai.decisions_schema import DecisionsRequest, Question
from aiworker.routes.openai.fields import JSON_REPLY
from aiworker.routing import MODEL_ERRORS, route


@route(
    "POST", "/v1/decisions", scope="text", rate="model", tag="OpenAI",
    body=DecisionsRequest, returns=JSON_REPLY, errors=MODEL_ERRORS,
    example={
        "model": "gpt-6-luna",
        "input": "My parcel is late. I want a refund.",
        "questions": [{"type": "predicate", "name": "refund", "instructions": "The customer asks for a refund."}],
    },
)  # fmt: skip
async def openai_decisions(context: Context, body: DecisionsRequest) -> Response:
    """Answer typed questions with probabilities, for OpenAI's clients.

    docs/openai.md describes what becomes of each parameter.
    """
    model = models.find(context, body.model, "decision")
    state, questions, images = body.state(), body.to_questions(), body.images()
    limits.check_prompt(context, [text_of(state), text_of(questions)], "input")
    made = await decisions.decide(context, model, state, questions, images, body.gateway)
    answers = [_answer(each, made.answers[f"q{number}"]) for number, each in enumerate(body.questions)]
    usage = {
        "input_tokens": made.input_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": made.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": made.input_tokens + made.output_tokens,
    }
    return response_of(made, {"model": body.model, "answers": answers, "usage": usage})


def _answer(question: Question, answer: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to a question in OpenAI's form, or a refusal."""
    content = answer if answer["type"] == decisions.REFUSAL["type"] else question.to_answer(answer)
    return {**content, "name": question.name}
