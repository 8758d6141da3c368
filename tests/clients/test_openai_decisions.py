"""`client.decisions` of `openai` for Python."""

from typing import Any

import openai as sdk
import pytest
from openai import OpenAI

from tests.clients.test_openai import RED

STATE = "The delivery of my parcel is late, which is terrible. I want a refund of my payment."
QUESTIONS: list[Any] = [
    {"type": "predicate", "name": "refund", "instructions": "The customer wants a refund."},
    {
        "type": "choice", "name": "topic", "instructions": "What is it about?",
        "choices": [
            {"value": "shipping", "description": "Parcels and delivery"}, {"value": "weather"}, {"value": True},
        ],
    },
    {"type": "score", "instructions": "How satisfied?", "levels": [{"label": "unhappy"}, {"label": "happy"}]},
]  # fmt: skip


@pytest.mark.parametrize("model", ["gpt-6-luna", "@cf/cloudflare/clef", "@cf/cloudflare/clef-omni"])
def test_questions_have_typed_answers_in_their_order(openai: OpenAI, model: str) -> None:
    decision = openai.decisions.create(model=model, input=STATE, questions=QUESTIONS)
    refund, topic, mood = decision.answers
    assert refund.type == "predicate"
    assert (refund.name, refund.probability > 0.5) == ("refund", True)
    assert topic.type == "choice"
    assert topic.choice == "shipping"
    assert [each.value for each in topic.probabilities] == ["shipping", "weather", True]
    assert sum(each.probability for each in topic.probabilities) == pytest.approx(1)
    assert mood.type == "score"
    assert (mood.name, [each.label for each in mood.probabilities]) == (None, ["unhappy", "happy"])
    assert 0 <= mood.score <= 1
    assert decision.usage.total_tokens == decision.usage.input_tokens > 20


def test_images_and_conversations_are_taken(openai: OpenAI) -> None:
    image: Any = {"type": "input_image", "image_url": f"data:image/png;base64,{RED}"}
    items: list[Any] = [
        {"role": "user", "content": [{"type": "input_text", "text": "Look at this"}, image]},
        {"role": "assistant", "content": "I see."},
    ]
    question: Any = {"type": "choice", "instructions": "Which?", "choices": [{"value": "blue"}, {"value": "red"}]}
    [answer] = openai.decisions.create(model="gpt-6-luna", input=items, questions=[question]).answers
    assert answer.type == "choice"
    assert answer.choice == "red"


def test_errors_are_of_the_clients_own_classes(openai: OpenAI) -> None:
    with pytest.raises(sdk.BadRequestError):
        openai.decisions.create(model="gpt-6-luna", input=STATE, questions=[])
    with pytest.raises(sdk.NotFoundError):
        openai.decisions.create(model="gpt-99", input=STATE, questions=QUESTIONS)
    with pytest.raises(sdk.BadRequestError):
        openai.decisions.create(model="gpt-4o-mini", input=STATE, questions=QUESTIONS)
