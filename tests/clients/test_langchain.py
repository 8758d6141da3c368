"""LangChain, with `langchain-openai`."""

import asyncio
from pathlib import Path
from typing import Any

import openai as sdk
import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool  # pyright: ignore[reportUnknownVariableType]
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, SecretStr

from tests import tiktoken_cache
from tests.clients.conftest import NATIVE
from tests.conftest import NewCalls, Simulator


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"23 degrees in {city}"


@pytest.fixture
def chat(base_url: str, model: str) -> ChatOpenAI:
    return ChatOpenAI(model=model, base_url=f"{base_url}/v1", api_key=SecretStr("unused"), max_retries=0)


def test_invoke_and_stream_say_the_same(chat: ChatOpenAI) -> None:
    whole = chat.invoke("What is a Wörker? 👋🏽")
    chunks = list(chat.stream("What is a Wörker? 👋🏽"))
    assert "".join(chunk.text for chunk in chunks) == whole.text
    assert "Wörker? 👋🏽" in whole.text
    assert whole.usage_metadata
    assert whole.usage_metadata["output_tokens"] > 20
    assert whole.response_metadata["finish_reason"] == "stop"


def test_it_is_asynchronous_too(base_url: str) -> None:
    # once only: LangChain keeps its connections for the next event loop, in which they are of no use
    chat = ChatOpenAI(model=NATIVE, base_url=f"{base_url}/v1", api_key=SecretStr("unused"), max_retries=0)

    async def said() -> str:
        return "".join([chunk.text async for chunk in chat.astream("Hello")])

    assert asyncio.run(said()) == chat.invoke("Hello").text


def test_tools_are_bound_and_called(chat: ChatOpenAI) -> None:
    bound: Any = chat.bind_tools([get_weather])  # pyright: ignore[reportUnknownMemberType]
    question = HumanMessage('What is the weather in "Paris"?')
    answer = bound.invoke([question])
    [call] = answer.tool_calls
    assert call["args"] == {"city": "Paris"}
    result = ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"])
    assert "23 degrees in Paris" in bound.invoke([question, answer, result]).text
    merged: Any = None
    for chunk in bound.stream([question]):
        merged = chunk if merged is None else merged + chunk
    assert merged.tool_calls[0]["args"] == {"city": "Paris"}


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output(chat: ChatOpenAI, method: Any) -> None:
    client: Any = chat
    structured = client.with_structured_output(Person, method=method)
    assert structured.invoke("The person Ann is 30 years of age.") == Person(name="Ann", age=30)


def test_a_stream_that_is_cut_raises(chat: ChatOpenAI, simulator: Simulator) -> None:
    simulator.set_fault(cut_after_frames=5)
    with pytest.raises(sdk.APIError, match="broke off"):
        list(chat.stream("Hello"))


@pytest.fixture
def tokens_made_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in tiktoken_cache.fill(tmp_path).items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("tokens_made_offline")
@pytest.mark.parametrize("model", ["text-embedding-3-small", "@cf/baai/bge-m3"])
def test_embeddings_of_tokens_are_those_of_texts(base_url: str, model: str) -> None:
    texts = ["one river of ice", "Die Straße führt über die Brücke. 👋🏽"]
    options: Any = {"model": model, "base_url": f"{base_url}/v1", "api_key": "unused"}
    of_tokens = OpenAIEmbeddings(**options)
    of_texts = OpenAIEmbeddings(**options, check_embedding_ctx_length=False)
    vectors = of_tokens.embed_documents(texts)
    assert [len(each) for each in vectors] == [1024, 1024]
    assert vectors == of_texts.embed_documents(texts)
    assert of_tokens.embed_query(texts[1]) == vectors[1]


@pytest.mark.usefixtures("tokens_made_offline")
def test_a_long_text_is_embedded_in_parts(base_url: str, simulator: Simulator) -> None:
    calls = NewCalls(simulator)
    embeddings = OpenAIEmbeddings(
        model="text-embedding-3-small", base_url=f"{base_url}/v1", api_key=SecretStr("unused"), embedding_ctx_length=5
    )
    assert len(embeddings.embed_query("one two three four five six seven")) == 1024
    [call] = calls.of(operation="run")
    assert simulator.request(call["id"])["inputs"] == {"text": ["one two three four five", " six seven"]}
