"""A client that leaves before its answer has begun.

Cloudflare's front then gives up its request to the Worker. `wrangler dev`, and workerd's own HTTP server, do not notice
anyone leaving while nothing is written; so here a front of the test's own, in the same project, gives requests up.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyjson5
import pytest

from tests.conftest import DevServer, Simulator, StartServer, until
from tools import ROOT

FRONT = '''

import asyncio

import js
from pyodide.ffi import JsException
from workers import Response

from aiworker.platform.environment import env


async def abort_after(event, controller):
    await js.fetch(event)
    controller.abort()


class Default(WorkerEntrypoint):
    """Gives a request up as soon as the address of its header has answered."""

    async def fetch(self, request):
        event = request.headers.get("x-give-up-after")
        call = env().API.fetch
        if not event:
            return await call(request.js_object)
        controller = js.AbortController.new()
        options = js.Object.new()
        options.signal = controller.signal
        giving_up = asyncio.ensure_future(abort_after(event, controller))
        try:
            return await call(js.Request.new(request.js_object, options))
        except JsException as error:
            return Response(error.name, status=499)
'''


def with_a_front(project: Path) -> Path:
    """A copy of this Worker behind it, with an Analytics Engine data set."""
    shutil.copytree(ROOT / "src", project / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for folder in ("public", "migrations"):
        (project / folder).symlink_to(ROOT / folder)
    entry = project / "src/entry.py"
    entry.write_text(entry.read_text().replace("class Default(", "class Api(") + FRONT)
    configuration: dict[str, Any] = pyjson5.loads((ROOT / "wrangler.jsonc").read_text())
    configuration["services"] = [{"binding": "API", "service": configuration["name"], "entrypoint": "Api"}]
    configuration["analytics_engine_datasets"] = [{"binding": "ANALYTICS", "dataset": "requests"}]
    (project / "wrangler.jsonc").write_text(json.dumps(configuration))
    return project


@pytest.fixture(scope="module")
def server(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    with start_server("--project", with_a_front(tmp_path_factory.mktemp("project"))) as server:
        yield server


@pytest.fixture(autouse=True)
def only_own_calls(client: httpx.Client, simulator: Simulator) -> None:
    client.get("/health").raise_for_status()
    simulator.ignore_past_requests()


TURN = {"model": "@cf/meta/llama-3.1-8b-instruct-fast", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/chat", {"prompt": "Hello", "stream": False}),
        ("/chat", {"prompt": "Hello"}),
        ("/embed", {"text": "Hello"}),
        ("/image", {"prompt": "a fox", "store": True}),
        ("/speak", {"text": "Hello"}),
        ("/v1/chat/completions", TURN),
    ],
)
def test_a_client_that_leaves_a_silent_model_stops_its_call(
    client: httpx.Client, simulator: Simulator, server: DevServer, path: str, body: dict[str, Any]
) -> None:
    before = len(server.lines)
    simulator.set_fault(hold_response=True, count=None)
    last = max((entry["number"] for entry in simulator.requests(since=0)), default=0)
    called = f"{simulator.url}/simulator/requests?operation=run&since={last}&seconds=60"
    left = client.post(path, json=body, headers={"x-give-up-after": called})
    assert (left.status_code, left.text) == (499, "AbortError")
    [call] = until(
        lambda: simulator.requests(operation="run"), lambda calls: {each["state"] for each in calls} == {"cancelled"}
    )
    assert call["state"] == "cancelled"
    # its line is written all the same
    line = json.loads(server.wait_for(r'^\{"id":"req_.*"client_left":true.*\}$', after=before)[0])
    assert (line["route"], line["status"], line["calls"]) == (path, None, 1)
    simulator.clear_faults()
    assert client.post(path, json=body).is_success
    until(lambda: client.get("/health").json()["isolate"]["open_streams"], lambda count: count == 0)


def test_a_worker_with_a_data_set_serves_as_without(client: httpx.Client, simulator: Simulator) -> None:
    assert client.get("/health").status_code == 200
    assert client.post("/chat", json={"prompt": "Hello"}).text.endswith("[DONE]\n\n")
    assert client.get("/nowhere").status_code == 404
