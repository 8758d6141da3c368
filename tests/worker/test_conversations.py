"""Conversations: what the Worker remembers under an id."""

from typing import Any

import httpx
import pytest

from tests.conftest import ErrorOf, Simulator, until

MODEL = "@cf/meta/llama-3.1-8b-instruct-fast"


@pytest.fixture
def conversation(client: httpx.Client, request: pytest.FixtureRequest) -> Any:
    name = f"test-{abs(hash(request.node.name))}"
    client.delete(f"/conversations/{name}")
    yield name
    client.delete(f"/conversations/{name}")


def say(client: httpx.Client, conversation: str, text: str, **body: Any) -> httpx.Response:
    return client.post("/chat", json={"prompt": text, "conversation": conversation, "stream": False, **body})


def history(client: httpx.Client, conversation: str) -> list[dict[str, Any]]:
    return client.get(f"/conversations/{conversation}").json()["messages"]


@pytest.mark.parametrize("stream", [False, True])
def test_earlier_messages_come_before_the_new_one(
    client: httpx.Client, simulator: Simulator, conversation: str, stream: bool
) -> None:
    first = say(client, conversation, "My name is Ada.", stream=stream)
    assert first.status_code == 200
    second = say(client, conversation, "What is my name?", stream=stream)
    assert second.status_code == 200
    messages = simulator.request(second.headers["x-ai-request-id"])["inputs"]["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert messages[0]["content"] == "My name is Ada."
    kept = until(lambda: history(client, conversation), lambda messages: len(messages) == 4)
    assert kept[:3] == messages
    assert "Ada" in kept[3]["content"]


def test_conversations_do_not_mix(client: httpx.Client, simulator: Simulator, conversation: str) -> None:
    say(client, conversation, "My name is Ada.")
    other = say(client, f"{conversation}-other", "What is my name?")
    client.delete(f"/conversations/{conversation}-other")
    inputs = simulator.request(other.headers["x-ai-request-id"])["inputs"]
    assert "Ada" not in str(inputs)


def test_a_system_message_comes_first(client: httpx.Client, simulator: Simulator, conversation: str) -> None:
    say(client, conversation, "Hello")
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Again"}]
    body = {"messages": messages, "conversation": conversation, "stream": False}
    response = client.post("/chat", json=body)
    sent = simulator.request(response.headers["x-ai-request-id"])["inputs"]["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "user"]


def test_it_is_cut_to_the_model_s_context(client: httpx.Client, simulator: Simulator, conversation: str) -> None:
    model = "@cf/qwen/qwq-32b"  # 24,000 tokens
    for number in range(4):
        assert say(client, conversation, f"{number} " + "word " * 6_000, model=model, max_tokens=5).status_code == 200
    response = say(client, conversation, "And now?", model=model, max_tokens=5)
    assert response.status_code == 200
    sent = simulator.request(response.headers["x-ai-request-id"])["inputs"]["messages"]
    assert 2 < len(sent) < 9
    assert sent[0]["role"] == "user"
    assert sent[-1]["content"] == "And now?"
    assert sent[-3]["content"].startswith("3 ")
    assert len(history(client, conversation)) == 10


def test_calls_of_the_worker_s_tools_are_part_of_it(client: httpx.Client, conversation: str) -> None:
    body = {"worker_tools": True, "model": "@cf/meta/llama-3.3-70b-instruct-fp8-fast"}
    say(client, conversation, "What is the current time?", **body)
    roles = [message["role"] for message in history(client, conversation)]
    assert roles == ["user", "assistant", "tool", "assistant"]


def test_a_failed_answer_is_not_stored(client: httpx.Client, simulator: Simulator, conversation: str) -> None:
    simulator.set_fault(status=400, code=5006)
    assert say(client, conversation, "Hello").status_code == 400
    simulator.set_fault(cut_after_frames=5)
    broken = say(client, conversation, "Hello", stream=True)
    assert "event: error" in broken.text
    assert history(client, conversation) == []


def test_an_answer_is_not_stored_when_its_client_disconnects(
    client: httpx.Client, simulator: Simulator, conversation: str
) -> None:
    simulator.set_fault(tokens_per_second=4)
    body = {"prompt": "Hello", "conversation": conversation}
    with client.stream("POST", "/chat", json=body) as response:
        next(response.iter_lines())
        request_id = response.headers["x-ai-request-id"]
    assert simulator.request(request_id)["state"] == "cancelled"
    assert history(client, conversation) == []


def test_it_can_be_erased(client: httpx.Client, conversation: str) -> None:
    say(client, conversation, "Hello")
    assert len(history(client, conversation)) == 2
    response = client.delete(f"/conversations/{conversation}")
    assert (response.status_code, response.content) == (204, b"")
    assert history(client, conversation) == []
    say(client, conversation, "Hello again")
    assert len(history(client, conversation)) == 2


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ä", "x" * 65])
def test_an_id_of_other_letters_is_refused(client: httpx.Client, error_of: ErrorOf, name: str) -> None:
    response = say(client, name, "Hello")
    assert response.status_code == 400
    assert error_of(response)["param"] == "conversation"


@pytest.mark.parametrize("path", ["/conversations/a%20b", "/conversations/" + "x" * 65, "/conversations/%E4"])
def test_an_id_of_other_letters_is_not_found(client: httpx.Client, error_of: ErrorOf, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 404
    assert error_of(response)["type"] == "not_found"


def test_a_raw_prompt_has_no_conversation(client: httpx.Client, error_of: ErrorOf) -> None:
    response = say(client, "any", "Hello", raw=True)
    assert response.status_code == 400
    assert "raw" in error_of(response)["message"]


@pytest.mark.parametrize(
    "messages", [[], [{"content": "Hello"}], [{"role": "robot", "content": "Hello"}], ["Hello"], None]
)
def test_messages_that_are_none_are_not_added(
    client: httpx.Client, conversation: str, messages: Any, error_of: ErrorOf
) -> None:
    refused = client.post(f"/conversations/{conversation}/messages", json={"messages": messages})
    assert refused.status_code == 400
    assert error_of(refused)["param"].startswith("messages")
    assert history(client, conversation) == []


def test_a_job_that_is_unknown_is_not_found(client: httpx.Client, error_of: ErrorOf) -> None:
    refused = client.get("/rag/jobs/job_0")
    assert refused.status_code == 404
    assert error_of(refused)["type"] == "not_found"
