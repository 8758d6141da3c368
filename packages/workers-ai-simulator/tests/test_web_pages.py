"""Web pages that are open beside the simulator."""

import httpx
import pytest

from workers_ai_simulator.web_pages import BINDING_HOSTS

FAULT = {"status": 500, "model": "@cf/no/one"}


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8788", "localhost.evil.example", "127.0.0.1.evil.example", ""]
)
@pytest.mark.parametrize(
    "path", ["/", "/simulator/requests", "/simulator/gateway-logs", "/client/v4/accounts/any/ai/models/search"]
)
def test_another_name_for_this_machine_is_refused(http: httpx.Client, host: str, path: str) -> None:
    response = http.get(path, headers={"host": host})
    assert response.status_code == 403
    assert "--allowed-host" in response.json()["error"]


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "app.localhost", "127.0.0.1", "[::1]:8788", "192.168.0.7:1", *BINDING_HOSTS]
)
def test_this_machine_and_the_bindings_are_served(http: httpx.Client, host: str) -> None:
    assert http.get("/simulator", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost"])
def test_a_page_of_another_origin_changes_nothing_and_reads_nothing(http: httpx.Client, origin: str) -> None:
    headers = {"origin": origin}
    assert http.post("/simulator/faults", json=FAULT, headers=headers).status_code == 403
    assert http.delete("/simulator/faults", headers=headers).status_code == 403
    response = http.get("/simulator/requests", headers=headers)
    assert response.status_code == 403
    assert not any(name.startswith("access-control-") for name in response.headers)
    assert http.get("/simulator/faults").json() == []


def test_the_simulators_own_page_may_call(http: httpx.Client) -> None:
    own = str(http.base_url).rstrip("/")
    assert http.post("/simulator/faults", json=FAULT, headers={"origin": own}).status_code == 201
    assert http.get("/simulator/faults", headers={"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}).json()


def test_an_image_of_another_page_loads_nothing_but_a_link_leads_here(http: httpx.Client) -> None:
    for site in ("cross-site", "same-site"):
        headers = {"sec-fetch-site": site, "sec-fetch-mode": "no-cors"}
        assert http.get("/simulator/requests", headers=headers).status_code == 403
        assert http.get("/", headers={**headers, "sec-fetch-mode": "navigate"}).status_code == 200


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_fault_in_a_body_that_any_page_can_send_is_refused(http: httpx.Client, content_type: str) -> None:
    response = http.post("/simulator/faults", content=b'{"status": 500}', headers={"content-type": content_type})
    assert response.status_code == 415
    assert "application/json" in response.json()["error"]
    assert http.get("/simulator/faults").json() == []
