"""GET /health and GET /models."""

import httpx

from tests.conftest import ErrorOf, Simulator


def test_health_says_what_runs_and_what_it_is_bound_to(client: httpx.Client) -> None:
    health = client.get("/health").json()
    assert health["status"] == "ok"
    assert health["version"]
    assert health["platform"]["python"].startswith("3.14.")
    assert len(health["platform"]["deployment"]) > 8
    names = (
        "AI", "VECTORIZE", "BUCKET", "DB", "INGESTIONS", "CONVERSATIONS", "BUDGETS", "ASSETS", "RATE_LIMIT_READ",
        "RATE_LIMIT_MODEL", "RATE_LIMIT_HEAVY",
    )  # fmt: skip
    assert health["bindings"] == dict.fromkeys(names, True)
    assert health["access"] == "public"


def test_health_does_not_hide_the_simulator(client: httpx.Client, simulator: Simulator) -> None:
    assert client.get("/health").json()["simulated"] == ["AI", "VECTORIZE"]


def test_models_lists_the_catalogue(client: httpx.Client) -> None:
    catalogue = client.get("/models").json()
    models = {model["id"]: model for model in catalogue["models"]}
    assert catalogue["default"] in models
    llama = models["@cf/meta/llama-3.1-8b-instruct-fast"]
    assert llama["task"] == "text-generation"
    assert llama["context_window"] == 60_000
    assert llama["price"]["neurons_per"] == {"million_input_tokens": 4119, "million_output_tokens": 34868}
    assert llama["sampling"]["temperature"] == [0, 5]
    assert models["@cf/baai/bge-base-en-v1.5"]["dimensions"] == 768


def test_models_can_be_narrowed_to_a_task(client: httpx.Client) -> None:
    tasks = {model["task"] for model in client.get("/models", params={"task": "embeddings"}).json()["models"]}
    assert tasks == {"embeddings"}


def test_a_task_that_no_model_has_is_refused_with_those_there_are(client: httpx.Client, error_of: ErrorOf) -> None:
    response = client.get("/models", params={"task": "mind-reading"})
    assert response.status_code == 400
    error = error_of(response)
    assert error["param"] == "task"
    assert "text-generation" in error["message"]
