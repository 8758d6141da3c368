"""Web Search API by REST and as the binding's Worker calls it: results, logs, refusals."""

from typing import Any

import httpx
import pytest

REST = "/client/v4/accounts/any/ai/websearch/"


def rest(http: httpx.Client, **body: Any) -> httpx.Response:
    headers = {"authorization": "Bearer any"}
    options = {"options": {"gateway": {"id": "searches"}}}
    return http.post(REST, json={"query": "rain in Paris", **options, **body}, headers=headers)


def test_results_say_that_they_are_simulated(http: httpx.Client) -> None:
    answer = rest(http, limit=3).json()
    assert len(answer["items"]) == 3
    for item in answer["items"]:
        assert set(item) == {"url", "title", "description"}
        assert item["url"].startswith("https://web-search.example/")
        assert "simulated" in item["description"]
    assert set(answer["metadata"]) == {"query", "requestId", "latencyMs"}
    assert rest(http, limit=3).json()["items"] == answer["items"]
    assert len(rest(http).json()["items"]) == 10


def test_a_search_is_in_the_gateway_s_log_with_its_price(http: httpx.Client) -> None:
    log_id = rest(http, provider="exa").headers["cf-aig-log-id"]
    path = f"/client/v4/accounts/any/ai-gateway/gateways/searches/logs/{log_id}"
    log = http.get(path, headers={"authorization": "Bearer any"}).json()["result"]
    assert (log["provider"], log["path"], log["cost"], log["success"]) == ("exa", "websearch", 0.007, True)


def test_the_binding_names_its_gateway_otherwise(http: httpx.Client) -> None:
    body = {"gatewayId": "default", "query": "rain", "limit": 1}
    assert http.post("/websearch", json=body).json()["metadata"]["query"] == "rain"
    assert http.post("/websearch", json={"query": "rain", "options": {"gateway": {"id": "a"}}}).status_code == 400


@pytest.mark.parametrize(
    "body",
    [{"query": ""}, {"query": 5}, {"query": "a" * 1_025}, {"limit": 0}, {"limit": 11}, {"limit": "5"}, {"limit": True},
     {"limit": 1.5}, {"provider": "google"}, {"provider": 1}, {"byokAlias": "mine"}, {"byokAlias": "a b"},
     {"options": None}, {"options": {"gateway": {"id": "a b"}}}],
)  # fmt: skip
def test_wrong_searches_are_refused(http: httpx.Client, body: dict[str, Any]) -> None:
    response = rest(http, **body)
    assert response.status_code == 400
    assert response.json()["errors"][0]["code"] == 7001


def test_faults_apply(http: httpx.Client) -> None:
    http.post("/simulator/faults", json={"status": 503, "operation": "websearch", "count": 1}).raise_for_status()
    assert rest(http).status_code == 503
    assert rest(http).status_code == 200
