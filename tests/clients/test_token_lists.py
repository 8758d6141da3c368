"""`POST /v1/embeddings` with tokens in place of texts, as some clients send them."""

from typing import Any

import httpx
import openai as sdk
import pytest
from openai import OpenAI

from tests.conftest import NewCalls, Simulator

BGE = "@cf/baai/bge-base-en-v1.5"
LONG = "@cf/baai/bge-m3"
TEXTS = ["hello world", "氷の川は海へ流れる。", "👋🏽 à bientôt"]
TOKENS = [
    [15339, 1917],
    [30320, 115, 16144, 17597, 251, 15682, 56235, 2243, 116, 89753, 33121, 30369, 1811],
    [9468, 239, 233, 9468, 237, 121, 3869, 293, 1188, 35657],
]
"""The same, in cl100k_base."""
ENDOFTEXT = 100257
SPACES = 58040
"""128 of them."""
WORD = 3492
"""" word"."""


@pytest.mark.parametrize("encoding", ["float", "base64", None])
def test_tokens_have_the_vectors_of_their_texts(openai: OpenAI, encoding: Any) -> None:
    options: Any = {"model": BGE, "encoding_format": encoding} if encoding else {"model": BGE}
    texts = openai.embeddings.create(input=TEXTS, **options)
    tokens = openai.embeddings.create(input=TOKENS, **options)
    assert tokens.data == texts.data
    assert tokens.usage == texts.usage
    assert len({str(each.embedding) for each in tokens.data}) == len(TEXTS)
    one = openai.embeddings.create(input=TOKENS[1], **options)
    assert one.data == openai.embeddings.create(input=TEXTS[1], **options).data


@pytest.mark.parametrize(
    ("tokens", "texts"),
    [
        (TOKENS, TEXTS),
        (TOKENS[0], TEXTS[:1]),
        ([TOKENS[0]], TEXTS[:1]),
        ([[9468, 239], [30320]], ["�", "�"]),
        ([15339, ENDOFTEXT], ["hello<|endoftext|>"]),
    ],
)
def test_the_model_is_sent_texts(openai: OpenAI, simulator: Simulator, tokens: Any, texts: list[str]) -> None:
    answer = openai.embeddings.with_raw_response.create(model=BGE, input=tokens)
    sent = simulator.request(answer.headers["x-ai-request-id"])["inputs"]
    assert sent == {"text": texts}


NO_TOKENS: list[tuple[Any, str]] = [
    ([15339, 1917, 5, 100256], "input.3"),
    ([[15339], [15339, 1917, 5, 100277]], "input.1.3"),
    ([-1], "input.0"),
    ([10**30], "input.0"),
    ([[]], "input.0"),
    ([[15339], []], "input.1"),
    ([15339, "hello"], "input.1"),
    (["hello", 15339], "input.1"),
    (["hello", [15339]], "input.1"),
    ([[15339], "hello"], "input.1"),
    ([[15339], 1917], "input.1"),
    ([15339, [1917]], "input.1"),
    ([[[15339]]], "input.0.0"),
    ([True], "input.0"),
    ([15339, True], "input.1"),
    ([15339, 1.5], "input.1"),
    ([15339.0], "input.0"),
    ([[15339, None]], "input.0.1"),
]


@pytest.mark.parametrize(("value", "param"), NO_TOKENS)
def test_an_invalid_list_of_tokens_is_refused_and_named(
    openai: OpenAI, simulator: Simulator, value: Any, param: str
) -> None:
    calls = NewCalls(simulator)
    with pytest.raises(sdk.BadRequestError) as caught:
        openai.embeddings.create(model=BGE, input=value)
    assert caught.value.param == param
    assert caught.value.message.count(param)
    assert caught.value.type == "invalid_request_error"
    assert not calls.of(operation="run")
    assert openai.embeddings.create(model=BGE, input=TOKENS[0]).data


@pytest.mark.parametrize(("value", "param"), [([WORD] * 8_193, "input"), ([[WORD], [WORD] * 8_193], "input.1")])
def test_more_tokens_than_a_text_may_have(openai: OpenAI, simulator: Simulator, value: Any, param: str) -> None:
    calls = NewCalls(simulator)
    with pytest.raises(sdk.BadRequestError) as caught:
        openai.embeddings.create(model=LONG, input=value)
    assert caught.value.param == param
    assert "at most 8,192 items" in caught.value.message
    assert not calls.of(operation="run")


def test_a_text_of_more_tokens_than_the_model_takes(openai: OpenAI, simulator: Simulator) -> None:
    calls = NewCalls(simulator)
    with pytest.raises(sdk.BadRequestError) as caught:
        openai.embeddings.create(model=LONG, input=["word", "word " * 8_193])
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "input.1")
    assert not calls.of(operation="run")


def test_as_many_tokens_as_the_model_takes(openai: OpenAI) -> None:
    assert len(openai.embeddings.create(model=LONG, input=[[WORD] * 8_192, [WORD]]).data) == 2


def test_a_short_body_cannot_become_a_long_text(openai: OpenAI, client: httpx.Client, simulator: Simulator) -> None:
    calls = NewCalls(simulator)
    response = client.post("/v1/embeddings", json={"model": LONG, "input": [[SPACES] * 100] * 150})
    assert response.status_code == 413
    assert response.json()["error"]["param"] == "input"
    assert not calls.of(operation="run")
    assert openai.embeddings.create(model=BGE, input=TOKENS[0]).data
