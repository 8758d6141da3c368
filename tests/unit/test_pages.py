"""Requests that a browser sends for web pages: names of this machine that a page made up, and foreign origins."""

import pytest

from aiworker.errors import ApiError
from aiworker.http.pages import check_host, check_page
from tests.unit.stand_ins import FakeRequest

LOCAL = ("localhost", "devbox")
ALLOWED = ("https://app.example", "http://localhost:*")


def request(method: str = "GET", origin: str = "http://localhost:8787", **headers: str) -> FakeRequest:
    """origin: scheme, host and port that the request was sent to. headers: `sender` is the header `origin`."""
    if "sender" in headers:
        headers["origin"] = headers.pop("sender")
    made = FakeRequest(method, "/rag/documents", b"", **headers)
    made.origin = origin
    return made


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:8787", "http://localhost.:8787", "http://app.localhost", "http://127.0.0.1:8787",
        "http://[::1]:8787", "http://192.168.0.7", "http://devbox:8787",
    ],
)  # fmt: skip
def test_a_local_run_answers_for_this_machine(origin: str) -> None:
    check_host(request(origin=origin), LOCAL)


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example:8787", "http://localhost.evil.example", "http://127.0.0.1.evil.example",
        "http://xlocalhost", "http://devbox.evil.example", "http://1.2.3", "http://[", "",
    ],
)  # fmt: skip
def test_it_does_not_answer_for_the_name_of_a_page(origin: str) -> None:
    with pytest.raises(ApiError, match="ALLOWED_HOSTS") as caught:
        check_host(request(origin=origin), LOCAL)
    assert caught.value.type == "forbidden"
    check_host(request(origin=origin), ())


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "headers",
    [
        {"sender": "https://evil.example"},
        {"sender": "null"},
        {"sender": ""},
        {"sender": "https://localhost:8787"},
        {"sender": "http://app.example"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
)
def test_a_foreign_page_changes_nothing(method: str, headers: dict[str, str]) -> None:
    with pytest.raises(ApiError, match="ALLOWED_ORIGINS") as caught:
        check_page(request(method, **headers), ALLOWED)
    assert caught.value.type == "forbidden"
    check_page(request("GET", **headers), ALLOWED)
    check_page(request(method, **headers), ("*",))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sender": "http://localhost:8787"},
        {"sender": "https://app.example"},
        {"sender": "http://localhost:5173"},
        {"sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "none"},
    ],
)
def test_programs_and_known_pages_may_call(headers: dict[str, str]) -> None:
    check_page(request("POST", **headers), ALLOWED)
    check_page(request("POST", "https://worker.example", sender="https://worker.example"), ())
