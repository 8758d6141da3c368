"""Decision models: typed answers with probabilities, in the shape that Cloudflare documents."""

import base64
import io
import json
from typing import Any

import httpx
import jsonschema
import pytest
from PIL import Image

from workers_ai_simulator.catalogue import MODELS
from workers_ai_simulator.decisions import decide
from workers_ai_simulator.errors import UpstreamError

CLEF, FLASH, OMNI = (MODELS[f"@cf/cloudflare/{name}"] for name in ("clef", "clef-flash", "clef-omni"))
RUN = "/client/v4/accounts/any/ai/run"

PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1}
PROBABILITIES = {"type": "object", "additionalProperties": PROBABILITY}


def answer_schema(kind: str, **properties: Any) -> dict[str, Any]:
    every = {"type": {"const": kind}, **properties}
    return {"type": "object", "properties": every, "required": list(every), "additionalProperties": False}


ANSWER = {
    "type": "object",
    "properties": {
        "model": {"type": "string"},
        "answers": {
            "type": "object",
            "additionalProperties": {
                "oneOf": [
                    answer_schema("noul", noul=PROBABILITY),
                    answer_schema(
                        "choice", choice={"type": "string"}, probabilities=PROBABILITIES, confidence=PROBABILITY
                    ),
                    answer_schema(
                        "score", score={"type": "number"}, legend={"type": "object"}, probabilities=PROBABILITIES,
                        confidence=PROBABILITY,
                    ),
                ]
            },
        },
        "usage": {
            "type": "object",
            "properties": {"input_tokens": {"type": "integer"}, "output_tokens": {"type": "integer"}},
            "required": ["input_tokens", "output_tokens"],
        },
    },
    "required": ["model", "answers", "usage"],
}  # fmt: skip
"""Output schema of Cloudflare's page of the model."""

NOUL = {"type": "noul", "instructions": "Does the customer ask for a refund?"}
TOPIC = {
    "type": "choice",
    "instructions": "What is the message about?",
    "criteria": {"billing": "Invoices, payments and refunds", "shipping": "Parcels and delivery", "other": None},
}
MOOD = {
    "type": "score",
    "instructions": "How satisfied is the customer?",
    "criteria": ["very unhappy", "unhappy", "neutral", "happy", "very happy"],
}
QUESTIONS = {"refund": NOUL, "topic": TOPIC, "mood": MOOD}
STATE = "The delivery of my parcel is late, which is terrible. I want a refund of my payment, and I am unhappy."


def answers(state: Any, questions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return decide(CLEF, {"model": "clef", "state": state, "questions": questions, **more})["answers"]


def refusal(**inputs: Any) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        decide(CLEF, {"model": "clef", "state": STATE, "questions": {"refund": NOUL}, **inputs})
    return caught.value


# ---- answers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [CLEF, FLASH, OMNI], ids=lambda model: model.id)
def test_every_question_has_a_typed_answer_under_its_id(model: Any) -> None:
    selector = model.id.rpartition("/")[2]
    answer = decide(model, {"model": selector, "state": STATE, "questions": QUESTIONS})
    jsonschema.validate(answer, ANSWER)
    assert answer["model"] == selector
    assert {name: each["type"] for name, each in answer["answers"].items()} == {
        "refund": "noul", "topic": "choice", "mood": "score",
    }  # fmt: skip
    assert answer["usage"]["input_tokens"] > 20


@pytest.mark.parametrize(
    "state", [STATE, {"message": STATE, "id": 5}, [{"role": "user", "text": STATE}], "", "数字 七"]
)
def test_probabilities_of_four_decimals_sum_to_one(state: Any) -> None:
    options = {f"option{number}": None for number in range(255)}
    wide = {"type": "choice", "instructions": "Which?", "criteria": options}
    for answer in answers(state, {**QUESTIONS, "wide": wide}).values():
        if answer["type"] == "noul":
            assert 0 <= answer["noul"] == round(answer["noul"], 4) <= 1
            continue
        probabilities = answer["probabilities"].values()
        assert round(sum(probabilities), 9) == 1
        assert all(each == round(each, 4) >= 0 for each in probabilities)
        assert 0 <= answer["confidence"] <= 1


def test_a_choice_is_the_most_probable_option() -> None:
    answer = answers(STATE, {"topic": TOPIC})["topic"]
    assert list(answer["probabilities"]) == ["billing", "shipping", "other"]
    assert answer["choice"] == max(answer["probabilities"], key=answer["probabilities"].__getitem__) != "other"


def test_a_score_is_the_weighted_level_with_its_legend() -> None:
    answer = answers(STATE, {"mood": MOOD})["mood"]
    assert answer["legend"] == {str(level): each for level, each in enumerate(MOOD["criteria"])}
    weighted = sum(int(level) * each for level, each in answer["probabilities"].items())
    assert answer["score"] == pytest.approx(weighted, abs=1e-3)


def test_answers_follow_from_the_words_of_the_state() -> None:
    asks, does_not = answers(STATE, {"refund": NOUL}), answers("Where is the library?", {"refund": NOUL})
    assert asks["refund"]["noul"] > 0.5 > does_not["refund"]["noul"]
    sentiment = {"type": "choice", "instructions": "Sentiment?", "criteria": {"positive": None, "negative": None}}
    good, bad = (
        answers(state, {"mood": MOOD, "sentiment": sentiment})
        for state in ("I love it, excellent and wonderful!", "Awful, broken and useless.")
    )
    assert (good["sentiment"]["choice"], bad["sentiment"]["choice"]) == ("positive", "negative")
    assert good["mood"]["score"] > 2 > bad["mood"]["score"]


def test_the_same_request_has_the_same_answer() -> None:
    assert answers(STATE, QUESTIONS) == answers(STATE, dict(reversed(QUESTIONS.items())))


def test_an_image_is_part_of_the_state() -> None:
    content = io.BytesIO()
    Image.new("RGB", (64, 32), "red").save(content, "PNG")
    encoded = base64.b64encode(content.getvalue()).decode()
    colour = {"type": "choice", "instructions": "Which colour?", "criteria": {"blue": None, "red": None, "green": None}}
    for image in (f"data:image/png;base64,{encoded}", {"content_type": "image/png", "base64": encoded}):
        assert answers("A picture", {"colour": colour}, images=[image])["colour"]["choice"] == "red"


def test_a_long_state_is_truncated() -> None:
    inputs = {"model": "clef", "state": "word " * 200_000, "questions": {"refund": NOUL}}
    assert decide(CLEF, inputs)["usage"]["input_tokens"] == CLEF.context_window


# ---- over HTTP -----------------------------------------------------------------------------------------------------


def test_decisions_are_made_through_the_binding_and_over_rest(http: httpx.Client) -> None:
    inputs = {"model": "clef-flash", "state": STATE, "questions": QUESTIONS}
    headers = {"cf-consn-model-id": FLASH.id}
    bound = http.post("/run?version=3", json={"inputs": inputs, "options": {}}, headers=headers).json()
    jsonschema.validate(bound, ANSWER)
    assert http.post(f"{RUN}/{FLASH.id}", json=inputs).json()["result"] == bound
    assert http.post(RUN, json={"model": FLASH.id, "input": inputs}).json()["result"] == bound


# ---- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("yes?", "'/questions/q', 'string' not in 'object'"),
        ({"instructions": "Yes?"}, "required properties at '/questions/q' are 'type'"),
        ({"type": "noul"}, "required properties at '/questions/q' are 'instructions'"),
        ({"type": "noul", "instructions": ""}, "'/questions/q/instructions' length must be >= 1"),
        ({"type": "noul", "instructions": 5}, "'/questions/q/instructions', 'number' not in"),
        ({"type": "essay", "instructions": "Why?"}, "enum essay not in noul,choice,score at '/questions/q/type'"),
        ({"type": "choice", "instructions": "Which?"}, "required properties at '/questions/q' are 'criteria'"),
        ({**TOPIC, "criteria": ["a", "b"]}, "'/questions/q/criteria', 'array' not in 'object'"),
        ({**TOPIC, "criteria": {"a": None}}, "'/questions/q/criteria' must have at least 2 properties"),
        ({**TOPIC, "criteria": {f"{n}": None for n in range(256)}}, "must have at most 255 properties"),
        ({**TOPIC, "criteria": {"": None, "a": None}}, "an option without a name"),
        ({**MOOD, "criteria": {"a": 1}}, "'/questions/q/criteria', 'object' not in 'array'"),
        ({**MOOD, "criteria": ["a"]}, "must have at least 2 items"),
        ({**MOOD, "criteria": ["a"] * 11}, "must have at most 10 items"),
        ({**NOUL, "criteria": "yes"}, "'/questions/q/criteria', 'string' not in 'object'"),
    ],
)
def test_an_invalid_question_is_named(question: Any, words: str) -> None:
    error = refusal(questions={"good": NOUL, "q": question})
    assert (error.status, error.code) == (400, 5006)
    assert words in error.description


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"model": None}, "are 'model'"),
        ({"model": "gpt-4o"}, "enum gpt-4o not in clef,clef-flash"),
        ({"state": None}, "are 'state'"),
        ({"state": 5}, "'/state', 'number' not in"),
        ({"questions": None}, "are 'questions'"),
        ({"questions": []}, "'/questions', 'array' not in 'object'"),
        ({"questions": {}}, "'/questions' must have at least 1 properties"),
        ({"questions": {f"q{n}": NOUL for n in range(65)}}, "'/questions' must have at most 64 properties"),
        ({"questions": {"no id": NOUL}}, "'/questions/no id' is no id of a question"),
        ({"questions": {"a" * 101: NOUL}}, "is no id of a question"),
        ({"images": ["https://example.org/cat.png"]}, "'/images/0' must be a data URL"),
        ({"images": ["data:image/png;base64,"] * 5}, "'/images' must have at most 4 items"),
        ({"images": [{"base64": "aGVsbG8="}]}, "required properties at '/images/0' are 'content_type'"),
    ],
)
def test_other_invalid_inputs_are_refused(inputs: dict[str, Any], words: str) -> None:
    error = refusal(**inputs)
    assert (error.status, error.code) == (400, 5006)
    assert words in error.description


def test_files_that_cannot_be_decoded_are_refused() -> None:
    assert refusal(images=["data:image/png;base64,*"]).code == 5004
    assert refusal(images=["data:image/png;base64,aGVsbG8="]).code == 3030


def test_an_object_may_hold_the_instructions() -> None:
    question = {"type": "noul", "instructions": {"question": "Is it a refund?", "policy": ["Refunds take ten days"]}}
    assert 0 < answers(json.loads('{"text": "refund"}'), {"q": question})["q"]["noul"] < 1
