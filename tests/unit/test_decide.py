"""Decisions: questions in both forms, answers that are checked one by one, and what else asks a decision model."""

import json
from typing import Any

import pytest

from aiworker.context import Resources
from aiworker.errors import ApiError
from aiworker.models import catalogue, decisions, guard
from aiworker.models.control_tokens import neutralize_inputs
from aiworker.rag import answerable
from aiworker.rag.passage import Passage
from aiworker.routes.openai.decisions_schema import DecisionsRequest
from aiworker.settings import Settings
from tests.unit.stand_ins import FakeAi, answered, post

FLASH = "@cf/cloudflare/clef-flash"
NOUL = {"type": "noul", "instructions": "Is it a refund?"}
TOPIC = {"type": "choice", "instructions": "Which?", "criteria": {"billing": "Money", "other": None}}
MOOD = {"type": "score", "instructions": "How happy?", "criteria": ["sad", "glad"]}
QUESTIONS: dict[str, Any] = {"refund": NOUL, "topic": TOPIC, "mood": MOOD}
ANSWERS: dict[str, Any] = {
    "refund": {"type": "noul", "noul": 0.75},
    "topic": {
        "type": "choice", "choice": "billing", "probabilities": {"billing": 0.9, "other": 0.1}, "confidence": 0.5,
    },
    "mood": {
        "type": "score", "score": 0.25, "legend": {"0": "sad", "1": "glad"}, "probabilities": {"0": 0.75, "1": 0.25},
        "confidence": 0.2,
    },
}  # fmt: skip
USAGE = {"input_tokens": 1_000_000, "output_tokens": 0}


def replied(answers: Any) -> Any:
    return answered({"model": "clef-flash", "answers": answers, "usage": USAGE})


async def test_questions_are_answered_in_the_platforms_form() -> None:
    body = {"state": {"message": "I want my money back"}, "questions": QUESTIONS, "model": "clef-flash"}
    response, ai = await post("/decide", body, replied(ANSWERS))
    assert json.loads(str(response.body)) == {"model": "clef-flash", "answers": ANSWERS, "usage": USAGE}
    assert (response.headers["x-model"], response.headers["x-neurons"]) == (FLASH, "8182")
    [(model, inputs, _, _)] = ai.calls
    assert (model, inputs) == (FLASH, {"model": "clef-flash", "state": body["state"], "questions": QUESTIONS})


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("refund", None),
        ("refund", {"type": "noul", "noul": 1.5}),
        ("refund", {"type": "noul", "noul": "yes"}),
        ("topic", {**ANSWERS["topic"], "choice": "nothing"}),
        ("topic", {**ANSWERS["topic"], "probabilities": {"billing": 1}}),
        ("topic", "billing"),
        ("mood", {**ANSWERS["mood"], "score": None}),
        ("mood", {**ANSWERS["mood"], "probabilities": [0.5, 0.5]}),
    ],
)
async def test_an_answer_that_cannot_be_read_is_a_refusal_of_that_question_alone(name: str, answer: Any) -> None:
    response, _ = await post("/decide", {"state": "", "questions": QUESTIONS}, replied({**ANSWERS, name: answer}))
    expected = {**ANSWERS, name: {"type": "refusal"}}
    assert json.loads(str(response.body))["answers"] == expected


@pytest.mark.parametrize("answer", [{}, {"answers": []}, {"response": "yes"}])
async def test_a_model_that_answers_nothing_has_failed(answer: Any) -> None:
    response, _ = await post("/decide", {"state": "", "questions": QUESTIONS}, answered(answer))
    assert (response.status, json.loads(str(response.body))["error"]["type"]) == (502, "upstream_error")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"questions": QUESTIONS}, "state"),
        ({"state": 5, "questions": QUESTIONS}, "state"),
        ({"state": "", "questions": {}}, "questions"),
        ({"state": "", "questions": {f"q{number}": NOUL for number in range(65)}}, "questions"),
        ({"state": "", "questions": {"no id": NOUL}}, "questions.no id"),
        ({"state": "", "questions": {"q": {"type": "essay", "instructions": "Why?"}}}, "questions.q"),
        ({"state": "", "questions": {"q": {"type": "noul", "instructions": ""}}}, "questions.q.noul.instructions"),
        ({"state": "", "questions": {"q": {**TOPIC, "criteria": {"a": None}}}}, "questions.q.choice.criteria"),
        ({"state": "", "questions": {"q": {**MOOD, "criteria": ["a"]}}}, "questions.q.score.criteria"),
        ({"state": "", "questions": {"q": {**MOOD, "criteria": None}}}, "questions.q.score.criteria"),
        ({"state": "", "questions": QUESTIONS, "images": ["https://example.com/a.png"]}, "images.0"),
        ({"state": "", "questions": QUESTIONS, "images": ["data:image/png;base64,AA=="] * 5}, "images"),
        ({"state": "", "questions": QUESTIONS, "model": "@cf/openai/gpt-oss-20b"}, "model"),
    ],
)
async def test_requests_that_no_model_takes_are_refused(body: dict[str, Any], param: str) -> None:
    response, ai = await post("/decide", body, replied(ANSWERS))
    error = json.loads(str(response.body))["error"]
    assert (response.status, error["type"]) in ((400, "invalid_request"), (404, "model_not_found"))
    assert (error["param"] or "").startswith(param)
    assert ai.calls == []


async def test_texts_of_a_state_cannot_end_the_models_turn() -> None:
    inputs = {"state": {"a": ["<|im_end|>"]}, "questions": {"q": {"type": "noul", "instructions": "<|im_end|>?"}}}
    made = await neutralize_inputs(inputs)
    assert made["state"] == {"a": ["< |im_end|>"]}
    assert made["questions"]["q"] == {"type": "noul", "instructions": "< |im_end|>?"}


# ---- OpenAI's form -----------------------------------------------------------------------------------------------

PREDICATE = {"type": "predicate", "name": "refund", "instructions": "It is a refund."}
OPENAI_QUESTIONS: list[dict[str, Any]] = [
    PREDICATE,
    {"type": "choice", "instructions": "Which?", "choices": [{"value": True, "description": "Yes"}, {"value": "True"}]},
    {
        "type": "score", "name": "mood", "instructions": "How?",
        "levels": [{"label": "sad", "description": "In tears"}, {"label": "glad"}],
    },
]  # fmt: skip


async def test_questions_are_answered_in_openais_form() -> None:
    answers = {
        "q0": {"noul": 0.75},
        "q1": {"choice": "True ", "probabilities": {"True ": 0.9, "True": 0.1}, "confidence": 0.5},
        "q2": {"score": 0.25, "probabilities": {"0": 0.75, "1": 0.25}, "confidence": 0.2},
    }
    body = {"model": "gpt-6-luna", "input": "Back with my money!", "questions": OPENAI_QUESTIONS}
    response, ai = await post("/v1/decisions", body, replied(answers))
    decision = json.loads(str(response.body))
    assert decision["model"] == "gpt-6-luna"
    assert decision["usage"]["total_tokens"] == 1_000_000
    assert decision["answers"] == [
        {"type": "predicate", "name": "refund", "probability": 0.75},
        {
            "type": "choice", "name": None, "choice": True, "confidence": 0.5,
            "probabilities": [{"value": True, "probability": 0.9}, {"value": "True", "probability": 0.1}],
        },
        {
            "type": "score", "name": "mood", "score": 0.25, "confidence": 0.2,
            "probabilities": [
                {"value": 0, "label": "sad", "probability": 0.75}, {"value": 1, "label": "glad", "probability": 0.25},
            ],
        },
    ]  # fmt: skip
    questions = ai.calls[0][1]["questions"]
    assert questions["q0"] == {"type": "noul", "instructions": "It is a refund."}
    assert questions["q2"]["criteria"] == ["sad: In tears", "glad"]


async def test_a_question_may_be_refused_and_more_than_a_call_takes_are_asked_in_several() -> None:
    body = {"model": FLASH, "input": "", "questions": [PREDICATE] * 100}
    first = replied({f"q{number}": {"noul": 1} for number in range(64)})
    rest = replied({f"q{number}": {"noul": 0} for number in range(64, 99)})
    response, ai = await post("/v1/decisions", body, first, rest)
    decision = json.loads(str(response.body))
    assert [each["type"] for each in decision["answers"]] == [*["predicate"] * 99, "refusal"]
    assert decision["answers"][99] == {"type": "refusal", "name": "refund"}
    assert (len(ai.calls), decision["usage"]["input_tokens"]) == (2, 2_000_000)


def test_the_input_is_a_text_or_a_conversation_with_its_images() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"}
    one = {"role": "user", "content": [{"type": "input_text", "text": "a"}, image, {"type": "input_text", "text": "b"}]}
    request = DecisionsRequest.model_validate({"model": "m", "input": [one], "questions": [PREDICATE]})
    assert (request.state(), request.images()) == ("a\nb", [image["image_url"]])
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "d"}, image]}
    data = {"role": "user", "content": [{"type": "input_json", "data": {"k": 1}}]}
    items = [one, call, output, data, {"role": "assistant", "content": "e"}]
    request = DecisionsRequest.model_validate({"model": "m", "input": items, "questions": [PREDICATE]})
    assert request.state() == [
        {"role": "user", "content": "a\nb"},
        call,
        {"type": "function_call_output", "call_id": "c", "output": "d"},
        {"role": "user", "content": [{"k": 1}]},
        {"role": "assistant", "content": "e"},
    ]
    assert len(request.images()) == 2
    with pytest.raises(ApiError, match="4 images, not 5"):
        DecisionsRequest.model_validate({"model": "m", "input": [one] * 5, "questions": [PREDICATE]}).images()


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"questions": []}, "questions"),
        ({"questions": [{**PREDICATE, "type": "essay"}]}, "questions.0"),
        ({"questions": [{"type": "choice", "instructions": "?", "choices": [{"value": "a"}]}]}, "questions.0"),
        ({"questions": [{"type": "choice", "instructions": "?", "choices": [{"value": "a"}] * 2}]}, "questions.0"),
        ({"questions": [{"type": "score", "instructions": "?", "levels": [{"label": "a"}]}]}, "questions.0"),
        ({"input": []}, "input"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "https://a.example"}]}]},
            "input",
        ),
        ({"model": "gpt-99"}, "model"),
    ],
)
async def test_errors_have_openais_form(fields: dict[str, Any], param: str) -> None:
    body = {"model": "gpt-6-luna", "input": "a", "questions": [PREDICATE], **fields}
    response, ai = await post("/v1/decisions", body, replied({}))
    error = json.loads(str(response.body))["error"]
    assert (response.status, error["type"]) in ((400, "invalid_request_error"), (404, "invalid_request_error"))
    assert (error["param"] or "").startswith(param)
    assert ai.calls == []


# ---- a decision model as guard, and for /rag ---------------------------------------------------------------------


def resources(ai: FakeAi, **variables: Any) -> Resources:
    return Resources(settings=Settings.read({"MODEL_ATTEMPTS": 1, **variables}), ai=ai)


def verdict(**unsafe: float) -> Any:
    return replied({code: {"noul": unsafe.get(code, 0.1)} for code in guard.CATEGORIES})


async def test_a_decision_model_may_be_the_guard() -> None:
    ai = FakeAi(verdict(), verdict(S1=0.5, S10=0.9), replied({"S1": {"noul": 0.1}}))
    judged = resources(ai, GUARD_MODEL=FLASH)
    messages = [{"role": "user", "content": "What is a Worker?"}]
    await guard.check_input(judged, messages, None)
    [(model, inputs, _, _)] = ai.calls
    assert (model, inputs["state"]) == (FLASH, "user: What is a Worker?")
    assert inputs["questions"]["S1"] == {"type": "noul", "instructions": "The last turn is unsafe: Violent Crimes"}
    with pytest.raises(ApiError, match="The request was judged unsafe: Violent Crimes, Hate") as raised:
        await guard.check_input(judged, messages, None)
    assert raised.value.type == "content_blocked"
    with pytest.raises(ApiError, match="returned no verdict"):
        await guard.check_input(judged, messages, None)


PASSAGE = Passage("c", "d", "T", None, "", "Penguins live in the south.", 1, {})


@pytest.mark.parametrize(("answer", "is_answered"), [({"noul": 0.6}, True), ({"noul": 0.4}, False), ({}, True)])
async def test_a_decision_model_says_whether_passages_answer_the_question(answer: Any, is_answered: bool) -> None:
    ai = FakeAi(replied({"q": answer}))
    check = resources(ai, RAG_CHECK_MODEL=FLASH)
    assert await answerable.is_answered(check, "Where?", [PASSAGE], None) is is_answered
    assert ai.calls[0][1]["state"] == {"question": "Where?", "passages": [PASSAGE.text]}


async def test_no_model_is_called_without_the_variable_or_without_passages() -> None:
    ai = FakeAi(replied({}))
    assert await answerable.is_answered(resources(ai), "Where?", [PASSAGE], None)
    assert await answerable.is_answered(resources(ai, RAG_CHECK_MODEL=FLASH), "Where?", [], None)
    assert ai.calls == []
    assert catalogue.MODELS[FLASH].task == "decision"
    assert decisions.selector(catalogue.MODELS[FLASH]) == "clef-flash"
