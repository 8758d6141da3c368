"""Spans of model calls: their names, attributes and ends."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from aiworker.bindings import Inputs, StreamOutcome
from aiworker.errors import ApiError
from aiworker.models import catalogue
from aiworker.models.model_call import Candidate, ModelCall
from aiworker.models.selection import find_model
from aiworker.settings import Settings
from aiworker.tracing import Attributes, Span
from tests.unit.stand_ins import VARIABLES, FakeAi, FakeRequest, a_context, answered, refused

MODEL = catalogue.MODELS["@cf/openai/gpt-oss-20b"]
MESSAGES = [{"role": "user", "content": "Hi"}]
ANSWER = {"choices": [{"message": {"content": "Hello"}}], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}


@dataclass
class FakeSpan:
    name: str
    attributes: dict[str, Any]
    ends: int = 0
    error: str = ""

    def set(self, attributes: Attributes) -> None:
        self.attributes |= attributes

    def fail(self, reason: str) -> None:
        self.error = reason
        self.end()

    def end(self) -> None:
        self.ends += 1


@dataclass
class FakeTracer:
    spans: list[FakeSpan] = field(default_factory=list[FakeSpan])

    def start(self, name: str, attributes: Attributes) -> Span:
        self.spans.append(FakeSpan(name, dict(attributes)))
        return self.spans[-1]


def traced(ai: FakeAi, **variables: Any) -> tuple[Any, FakeTracer]:
    context, tracer = (
        a_context(FakeRequest("POST", "/chat"), Settings.read({**VARIABLES, **variables}), ai),
        FakeTracer(),
    )
    object.__setattr__(context, "tracer", tracer)
    return context, tracer


async def test_a_span_has_what_was_asked_and_ends_with_the_usage() -> None:
    context, tracer = traced(FakeAi(answered(ANSWER)))
    inputs = Inputs({"messages": MESSAGES, "temperature": 0.5, "max_tokens": 9, "stop": ["x"], "seed": None})
    response = await ModelCall(context, [Candidate(MODEL, inputs)]).run()
    [span] = tracer.spans
    assert (span.name, span.ends) == ("chat @cf/openai/gpt-oss-20b", 0)
    response.record_usage(ANSWER["usage"])
    assert span.ends == 1
    assert span.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "cloudflare.workers_ai",
        "gen_ai.request.model": MODEL.id,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.response.model": MODEL.id,
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 2,
        "aiworker.usage.neurons": catalogue.neurons(MODEL, {"prompt_tokens": 3, "completion_tokens": 2}),
    }


async def test_each_attempt_is_a_span_and_a_failed_one_has_its_error() -> None:
    context, tracer = traced(FakeAi(refused(429, 3021), answered(ANSWER)))
    other = catalogue.MODELS["@cf/openai/gpt-oss-120b"]
    candidates = [Candidate(model, Inputs({"messages": MESSAGES})) for model in (MODEL, other)]
    await ModelCall(context, candidates).run()
    assert [(each.error, each.attributes["gen_ai.request.model"]) for each in tracer.spans] == [
        ("rate_limited", MODEL.id), ("", other.id),
    ]  # fmt: skip
    refusing, tracer = traced(FakeAi(refused(400, 5006)))
    with pytest.raises(ApiError):
        await ModelCall(refusing, candidates[:1]).run()
    assert [(each.error, each.ends) for each in tracer.spans] == [("invalid_request", 1)]


async def test_a_client_that_disconnects_ends_the_span() -> None:
    context, tracer = traced(FakeAi(answered(ANSWER)))
    await ModelCall(context, [Candidate(MODEL, Inputs({"messages": MESSAGES}))]).run()
    context.log.write = str
    context.log.finish(StreamOutcome(client_disconnected=True))
    assert tracer.spans[0].ends == 1


async def test_another_vendor_s_span_has_the_parameters_by_openai_s_names() -> None:
    context, tracer = traced(FakeAi(answered(ANSWER)), GATEWAY_ID="g")
    model = find_model(context, "google/gemini-3.1-pro", "text-generation")
    await ModelCall(context, [Candidate(model, Inputs({"messages": MESSAGES, "max_tokens": 5}))]).run()
    [span] = tracer.spans
    assert span.attributes["gen_ai.provider.name"] == "gcp.gemini"
    assert span.attributes["gen_ai.request.max_tokens"] == 5
