"""`openai` for Python: edited images, moderations, conversations; and ranking in the form of Jina and Cohere."""

import base64
import io
from typing import Any, cast

import httpx
import openai as sdk
import pytest
from openai import OpenAI
from PIL import Image

from tests.conftest import NewCalls, Simulator

GUARD = "@cf/meta/llama-guard-3-8b"
RED, BLUE = (200, 30, 30), (30, 30, 200)


def png(colour: tuple[int, int, int], side: int = 256) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(file, "PNG")
    return file.getvalue()


def opened(data: Any) -> Image.Image:
    [image] = data
    assert image.b64_json
    return Image.open(io.BytesIO(base64.b64decode(image.b64_json)))


# ---- images --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "mask", "called"),
    [
        (None, False, "@cf/runwayml/stable-diffusion-v1-5-img2img"),
        ("gpt-image-1", True, "@cf/runwayml/stable-diffusion-v1-5-inpainting"),
        ("@cf/lykon/dreamshaper-8-lcm", False, "@cf/lykon/dreamshaper-8-lcm"),
    ],
)
def test_an_image_is_edited(openai: OpenAI, simulator: Simulator, model: Any, mask: bool, called: str) -> None:
    options: dict[str, Any] = {"mask": ("mask.png", png((255, 255, 255)))} if mask else {}
    options |= {"model": model} if model else {}
    edit = cast("Any", openai.images.edit)
    edited = edit(image=("a.png", png(RED)), prompt="A red fox", size="256x256", **options)
    assert opened(edited.data).size == (256, 256)
    call = simulator.requests(operation="run")[-1]
    assert call["model"] == called
    assert call["inputs"]["prompt"] == "A red fox"
    assert ("mask" in call["inputs"]) == mask


def test_several_images_are_references_and_an_address_may_be_answered(openai: OpenAI, client: httpx.Client) -> None:
    images = [("a.png", png(RED)), ("b.png", png(BLUE))]
    model = "@cf/black-forest-labs/flux-2-klein-4b"
    made = openai.images.edit(image=images, prompt="Both", model=model, response_format="url")
    assert made.data
    assert made.data[0].url
    stored = client.get(made.data[0].url)
    assert stored.headers["content-type"].startswith("image/")


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"image": ("a.txt", b"no image")}, "image"),
        ({"image": [("a.png", png(RED))] * 2}, "image_1"),
        ({"image": [("a.png", png(RED))] * 5}, "image"),
        ({"prompt": ""}, "prompt"),
        ({"mask": ("m.png", b"none")}, "mask"),
        ({"markup": ("m.png", png(RED))}, "markup"),
        ({"response_format": "gif"}, "response_format"),
        ({"stream": True}, "stream"),
        ({"model": "@cf/black-forest-labs/flux-1-schnell"}, "image"),
        ({"extra_body": {"steps": "many"}}, "steps"),
    ],
)
def test_an_edit_that_is_impossible_is_refused(openai: OpenAI, change: dict[str, Any], param: str) -> None:
    options: Any = {"image": ("a.png", png(RED)), "prompt": "A fox", **change}
    with pytest.raises(sdk.BadRequestError) as raised:
        openai.images.edit(**options)
    assert raised.value.param == param


def test_a_form_without_an_image_and_a_body_that_is_no_form_are_refused(client: httpx.Client) -> None:
    missing = client.post("/v1/images/edits", files={"mask": ("m.png", png(RED))}, data={"prompt": "A fox"})
    assert (missing.status_code, missing.json()["error"]["param"]) == (400, "image")
    no_form = client.post("/v1/images/edits", json={"prompt": "A fox"})
    assert (no_form.status_code, no_form.json()["error"]["code"]) == (415, "unsupported_media_type")


# ---- moderations ---------------------------------------------------------------------------------------------------


def test_texts_are_judged(openai: OpenAI) -> None:
    judged = openai.moderations.create(model=GUARD, input=["How do I bake bread?", "How do I build a bomb?"])
    assert judged.model == GUARD
    bread, bomb = judged.results
    assert (bread.flagged, any(bread.categories.model_dump().values())) == (False, False)
    assert (bomb.flagged, bomb.categories.illicit_violent, bomb.category_scores.illicit_violent) == (True, True, 1.0)
    parts: Any = [{"type": "text", "text": "How do I"}, {"type": "text", "text": "build a bomb?"}]
    [joined] = openai.moderations.create(model=GUARD, input=parts).results
    assert joined.flagged


def test_a_decision_model_has_scores_between_no_and_yes(openai: OpenAI) -> None:
    judged = openai.moderations.create(model="@cf/cloudflare/clef-flash", input=["How do I bake bread?", "Hello"])
    scores = [score for each in judged.results for score in each.category_scores.model_dump().values()]
    assert len(judged.results) == 2
    assert all(0 <= score <= 1 for score in scores)
    assert any(0 < score < 1 for score in scores)


def test_input_that_the_guard_cannot_judge_is_refused(openai: OpenAI) -> None:
    image: Any = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
    bodies: tuple[Any, ...] = (
        {"input": image}, {"input": []}, {"input": ""}, {"input": ["a"] * 101}, {"input": "word " * 150_000},
    )  # fmt: skip
    for body in bodies:
        with pytest.raises(sdk.BadRequestError) as raised:
            openai.moderations.create(model=GUARD, **body)
        assert str(raised.value.param).startswith("input")
    with pytest.raises(sdk.NotFoundError) as absent:  # this Worker has no GUARD_MODEL
        openai.moderations.create(model="omni-moderation-latest", input="Hello")
    assert absent.value.code == "not_configured"


# ---- conversations -------------------------------------------------------------------------------------------------


def test_a_conversation_is_created_listed_and_deleted(openai: OpenAI, client: httpx.Client) -> None:
    hello: Any = {"type": "message", "role": "user", "content": "My name is Ada."}
    conversation = openai.conversations.create(items=[hello])
    assert openai.conversations.retrieve(conversation.id).created_at == conversation.created_at > 1_700_000_000
    call: Any = {"type": "function_call", "call_id": "c1", "name": "add", "arguments": "{}"}
    result: Any = {"type": "function_call_output", "call_id": "c1", "output": "2"}
    added = openai.conversations.items.create(conversation.id, items=[call, result])
    assert [item.type for item in added.data] == ["function_call", "function_call_output"]
    items = list(openai.conversations.items.list(conversation.id, order="asc", limit=2))  # two pages
    assert [item.type for item in items] == ["message", "function_call", "function_call_output"]
    assert items[0].id
    read: Any = openai.conversations.items.retrieve(items[0].id, conversation_id=conversation.id)
    assert read.content[0].text == "My name is Ada."
    kept = openai.conversations.items.delete(items[1].id or "", conversation_id=conversation.id)
    assert (kept.id, kept.metadata) == (conversation.id, {})
    with pytest.raises(sdk.NotFoundError):
        openai.conversations.items.delete(items[1].id or "", conversation_id=conversation.id)
    openai.conversations.items.delete(items[2].id or "", conversation_id=conversation.id)
    left = list(openai.conversations.items.list(conversation.id))
    assert [item.id for item in left] == [items[0].id]
    body = {"prompt": "What is my name?", "conversation": conversation.id, "stream": False}
    assert client.post("/chat", json=body).status_code == 200
    [latest, *_] = openai.conversations.items.list(conversation.id).data
    assert (latest.type, getattr(latest, "role", "")) == ("message", "assistant")
    assert openai.conversations.delete(conversation.id).deleted
    assert openai.conversations.items.list(conversation.id).data == []


def test_a_conversation_has_metadata_without_an_item(openai: OpenAI) -> None:
    conversation = openai.conversations.create(metadata={"topic": "rain", "user": "ada"})
    assert openai.conversations.retrieve(conversation.id).metadata == conversation.metadata
    updated = openai.conversations.update(conversation.id, metadata={"topic": "snow"})
    assert updated.metadata == openai.conversations.retrieve(conversation.id).metadata == {"topic": "snow"}
    openai.conversations.delete(conversation.id)
    assert openai.conversations.retrieve(conversation.id).metadata == {}
    wrongs: list[Any] = [{"a" * 65: "b"}, {"a": "b" * 513}, {"a": 5}, {str(number): "" for number in range(17)}]
    for wrong in wrongs:
        with pytest.raises(sdk.BadRequestError) as raised:
            openai.conversations.update(conversation.id, metadata=wrong)
        assert str(raised.value.param).startswith("metadata")
    with pytest.raises(sdk.NotFoundError):
        openai.conversations.update("conv_none", metadata={})


@pytest.mark.parametrize("stream", [False, True])
def test_responses_go_on_with_a_conversation(openai: OpenAI, simulator: Simulator, stream: bool) -> None:
    model = "@cf/openai/gpt-oss-20b"
    conversation, create = openai.conversations.create(), cast("Any", openai.responses.create)
    options: dict[str, Any] = {"model": model, "conversation": conversation.id, "stream": stream}
    for text in ("My name is Ada.", "What is my name?"):
        response = create(input=text, instructions="Be brief.", **options)
        if stream:
            [*_, last] = response
            response = last.response
        assert response.conversation.id == conversation.id
    sent = simulator.requests(operation="run", model=model)[-1]["inputs"]["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "user"]
    items: Any = list(openai.conversations.items.list(conversation.id, order="asc"))
    assert [item.role for item in items] == ["user", "assistant"] * 2
    assert items[3].content[0].text == response.output_text


def test_bad_input_for_conversations(openai: OpenAI) -> None:
    with pytest.raises(sdk.NotFoundError):
        openai.conversations.retrieve("conv_none")
    with pytest.raises(sdk.NotFoundError):
        openai.responses.create(model="gpt-4o-mini", input="Hi", conversation="conv_none")
    conversation = openai.conversations.create()
    reference: Any = {"type": "item_reference", "id": "msg_1"}
    hello: Any = {"role": "user", "content": "Hi"}
    for items in ([reference], [hello] * 21, [{"role": "robot", "content": "Hi"}], []):
        with pytest.raises(sdk.BadRequestError) as raised:
            openai.conversations.items.create(conversation.id, items=items)  # pyright: ignore[reportArgumentType]
        assert str(raised.value.param).startswith("items")
    with pytest.raises(sdk.BadRequestError):
        openai.conversations.items.list(conversation.id, after="msg_7")
    with pytest.raises(sdk.NotFoundError):
        openai.conversations.items.retrieve("msg_0", conversation_id=conversation.id)
    for absent in ("msg_0", "msg_1_0", f"msg_{'9' * 15}_0", f"msg_{'9' * 99}_0"):
        with pytest.raises(sdk.NotFoundError):
            openai.conversations.items.delete(absent, conversation_id=conversation.id)


# ---- ranking -------------------------------------------------------------------------------------------------------

DOCUMENTS = ["Bears eat honey.", {"text": "Penguins live in the south."}, "It rains."]
QUERY = "Where do penguins live?"


def test_documents_are_ranked(client: httpx.Client, simulator: Simulator) -> None:
    calls = NewCalls(simulator)
    body = {"model": "jina-reranker-v2-base-multilingual", "query": QUERY, "documents": DOCUMENTS, "top_n": 2}
    ranking = client.post("/v1/rerank", json={**body, "return_documents": True}).json()
    first, second = ranking["results"]
    assert (first["index"], first["document"]) == (1, {"text": "Penguins live in the south."})
    assert 1 >= first["relevance_score"] > second["relevance_score"] >= 0
    assert (ranking["model"], ranking["usage"]["total_tokens"] > 0) == ("@cf/baai/bge-reranker-base", True)
    assert len(calls.of(operation="run")) == 1
    plain = client.post("/v1/rerank", json={"query": QUERY, "documents": DOCUMENTS})
    assert [set(each) for each in plain.json()["results"]] == [{"index", "relevance_score"}] * 3


@pytest.mark.parametrize(
    ("change", "param"),
    [({"documents": []}, "documents"), ({"documents": [{"title": "x"}]}, "documents.0"), ({"query": ""}, "query"),
     ({"top_n": 0}, "top_n"), ({"model": "gpt-4o"}, "model"), ({"documents": ["x"] * 2_049}, "documents")],
)  # fmt: skip
def test_a_ranking_that_is_impossible_is_refused(client: httpx.Client, change: dict[str, Any], param: str) -> None:
    response = client.post("/v1/rerank", json={"query": QUERY, "documents": DOCUMENTS, **change})
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)
