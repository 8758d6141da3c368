"""The client of Cloudflare's API: attempts, pages and errors."""

import httpx
import pytest

from tools.deploy import api
from tools.deploy.account import reaching
from tools.deploy.api import ApiError, CloudflareApi, NotFoundError
from tools.deploy.errors import DeployError

LOST = httpx.ConnectError("lost")
ERROR = {"success": False, "errors": [{"code": 7404, "message": "no such database"}]}


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses between attempts, which are not waited for."""
    seconds: list[float] = []
    monkeypatch.setattr(api.time, "sleep", seconds.append)
    return seconds


class Cloudflare:
    """Answers requests one after the other, and keeps them."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self._answers = list(answers)
        self.requests: list[str] = []
        client = httpx.Client(base_url="https://api.example/client/v4", transport=httpx.MockTransport(self._answer))
        self.api = CloudflareApi(client).of_account("own")

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(f"{request.method} {request.url.raw_path.decode()}")
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def result(value: object, **info: object) -> httpx.Response:
    return httpx.Response(200, json={"success": True, "result": value, "result_info": info})


def test_a_name_is_one_part_of_a_path() -> None:
    cloudflare = Cloudflare(result({}))
    cloudflare.api.delete("r2/buckets", "files", "objects", "a b/../c?")
    assert cloudflare.requests == ["DELETE /client/v4/accounts/own/r2/buckets/files/objects/a%20b%2F..%2Fc%3F"]


def test_a_passing_failure_is_tried_three_times(pauses: list[float]) -> None:
    busy = httpx.Response(429, headers={"retry-after": "7"}, json=ERROR)
    assert Cloudflare(busy, LOST, result(1)).api.get("d1/database") == 1
    assert pauses == [7.0, 1.0]
    with pytest.raises(ApiError) as refused:
        Cloudflare(*[httpx.Response(502, text="<html>")] * 3).api.get("d1/database")
    assert (refused.value.status, str(refused.value)) == (502, "")
    with pytest.raises(httpx.ConnectError):
        Cloudflare(LOST, LOST, LOST).api.get("d1/database")


def test_a_refusal_is_not_tried_again() -> None:
    with pytest.raises(NotFoundError, match=r"no such database \(code 7404\)"):
        Cloudflare(httpx.Response(404, json=ERROR)).api.get("d1/database", "x")


def test_all_pages_are_read() -> None:
    pages = [result([{"name": "a"}, {"name": "b"}], per_page=2, total_count=3), result([{"name": "c"}], per_page=2)]
    cloudflare = Cloudflare(*pages)
    assert [each["name"] for each in cloudflare.api.pages("d1/database", name="x")] == ["a", "b", "c"]
    assert cloudflare.requests[1] == "GET /client/v4/accounts/own/d1/database?name=x&page=2"
    cloudflare = Cloudflare(result([{"key": "a"}], cursor="more"), result([{"key": "b"}]))
    assert [each["key"] for each in cloudflare.api.cursor_pages("r2/buckets", "files", "objects")] == ["a", "b"]
    assert cloudflare.requests[1].endswith("/objects?cursor=more")


@pytest.mark.parametrize("body", ["<html>", "[1]", "null", "{}", '{"result": null}', '{"result": [1]}'])
def test_an_answer_of_somebody_else_is_said_to_be_one(body: str) -> None:
    """A proxy or the page of a hotel's network may answer with status 200."""
    with pytest.raises(DeployError, match="without what is needed to list"), reaching("list", "D1: Edit"):
        _ = [each["name"] for each in Cloudflare(httpx.Response(200, text=body)).api.pages("d1/database")]
