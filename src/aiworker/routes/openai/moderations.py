"""`POST /v1/moderations`: the guard's verdict of texts, in OpenAI's form."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import Discriminator, Field, Tag

from aiworker.auth import limits
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.messages import Response, json_response
from aiworker.models import catalogue, decisions, guard, token_counts
from aiworker.models.catalogue import Model
from aiworker.models.guard import Verdict
from aiworker.models.model_call import run_all
from aiworker.routes.openai.fields import JSON_REPLY, OpenAIRequest
from aiworker.routing import MODEL_ERRORS, route

MAX_INPUTS = 100
"""Texts of one request: each is judged by a call of its own."""

CATEGORIES = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm",
    "self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip
"""OpenAI's categories."""
COUNTERPARTS: Mapping[str, tuple[str, ...]] = {
    "S1": ("violence", "illicit/violent"),
    "S2": ("illicit",),
    "S3": ("sexual",),
    "S4": ("sexual", "sexual/minors"),
    "S5": ("harassment",),
    "S8": ("illicit",),
    "S9": ("illicit", "illicit/violent"),
    "S10": ("hate",),
    "S11": ("self-harm",),
    "S12": ("sexual",),
    "S14": ("illicit",),
}
"""Llama Guard's category → OpenAI's; a text of a category that is missing here is flagged without one. The pairs are
this Worker's choice: the two taxonomies are unrelated."""

Text = Annotated[str, Field(min_length=1)]


class ModerationPart(OpenAIRequest):
    type: Literal["text"]
    """Images are refused: the guard sees none."""
    text: Text


def _kind(value: object) -> str:
    if not isinstance(value, list):
        return "str"
    has_parts = any(isinstance(each, dict) for each in cast("list[Any]", value))
    return "list[ModerationPart]" if has_parts else "list[str]"


class ModerationRequest(OpenAIRequest):
    input: Annotated[
        Annotated[Text, Tag("str")]
        | Annotated[list[Text], Field(min_length=1, max_length=MAX_INPUTS, fail_fast=True), Tag("list[str]")]
        | Annotated[
            list[ModerationPart],
            Field(min_length=1, max_length=MAX_INPUTS, fail_fast=True),
            Tag("list[ModerationPart]"),
        ],
        Discriminator(_kind),
    ]
    """A text, a list of texts, or parts with a `text`, which are judged together."""
    model: str | None = None
    """A guard or a decision model of GET /models; GUARD_MODEL if left out, and for any name of OpenAI's."""

    def texts(self) -> list[str]:
        """Return the texts to judge, each by itself."""
        if isinstance(self.input, str):
            return [self.input]
        parts = [each.text for each in self.input if isinstance(each, ModerationPart)]
        return ["\n\n".join(parts)] if parts else [each for each in self.input if isinstance(each, str)]


@route(
    "POST", "/v1/moderations", scope="chat", rate="model", tag="OpenAI",
    body=ModerationRequest, returns=JSON_REPLY, errors=(*MODEL_ERRORS, "not_configured"),
    example={"model": "@cf/meta/llama-guard-3-8b", "input": "How do I bake bread?"},
)  # fmt: skip
async def openai_moderations(context: Context, body: ModerationRequest) -> Response:
    """Judge texts, for OpenAI's clients.

    By `GUARD_MODEL`, whose categories are mapped to OpenAI's. docs/openai.md describes what becomes of each parameter.
    """
    texts = body.texts()
    limits.check_count(context, texts, "input")
    limits.check_prompt(context, texts, "input")
    model = _model(context, body)
    for text in texts:
        _check_length(model, text)
    turns = [[{"role": "user", "content": text}] for text in texts]
    if model.task == "decision":
        results = [_result((await guard.category_scores(context, model, each))[0]) for each in turns]
    else:
        verdicts = await run_all(context, [guard.question(model, each) for each in turns], guard.verdict_of)
        # Llama Guard says yes or no: a score is 1 or 0
        results = [_result(dict.fromkeys(verdict.categories, 1.0), verdict) for verdict, _ in verdicts]
    response = json_response({"id": f"modr-{context.request_id}", "model": model.id, "results": results})
    response.headers["cache-control"] = "no-store"
    return response


def _model(context: Context, body: ModerationRequest) -> Model:
    named = catalogue.MODELS.get(body.model or "")
    if named and named.task in ("guard", "decision"):
        return named
    if context.settings.guard_model is None:
        raise ApiError(
            "not_configured",
            "This Worker has no guard: set its variable GUARD_MODEL, or name a guard of GET /models?task=guard.",
            param="model",
        )
    return guard.find_guard(context, context.settings.guard_model)


def _check_length(model: Model, text: str) -> None:
    """Raise ApiError `context_exceeded` for a text that the guard cannot read whole."""
    tokens = token_counts.estimate_text(text) + guard.VERDICT_TOKENS
    if model.context_window and tokens > model.context_window:
        raise ApiError("context_exceeded", f"input is too long for {model.id}, which judges it.", param="input")


def _result(scores: Mapping[str, float], verdict: Verdict | None = None) -> dict[str, Any]:
    """Return the result of one text.

    scores: category of guard.CATEGORIES → its probability. verdict: the guard's, where it gives one.
    """
    own = {
        name: max((score for code, score in scores.items() if name in COUNTERPARTS.get(code, ())), default=0.0)
        for name in CATEGORIES
    }
    is_unsafe = any(score >= decisions.YES for score in scores.values())
    return {
        "flagged": is_unsafe if verdict is None else not verdict.is_safe,
        "categories": {name: score >= decisions.YES for name, score in own.items()},
        "category_scores": own,
        "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
    }
