"""A route is added with one file: served, checked and described without another change."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.checkout import copy_checkout
from tests.conftest import DevServer, ErrorOf

ROUTE = '''
"""`POST /haiku`."""

from typing import Annotated

from pydantic import Field

from aiworker.bindings import Inputs
from aiworker.context import Context
from aiworker.http.body import Reply, Schema
from aiworker.http.messages import Response, json_response
from aiworker.models.completion import Completion
from aiworker.models.model_call import Candidate, ModelCall
from aiworker.models.selection import find_model
from aiworker.routing import MODEL_ERRORS, Returns, route


class HaikuRequest(Schema):
    topic: Annotated[str, Field(min_length=1, max_length=100)]
    """Subject of the poem."""


class Haiku(Reply):
    haiku: str


@route(
    "POST", "/haiku", scope="text", rate="model", tag="Text",
    body=HaikuRequest, returns=Returns(Haiku, "The poem."), errors=MODEL_ERRORS, example={"topic": "rain"},
)
async def haiku(context: Context, body: HaikuRequest) -> Response:
    """Write a haiku.

    Three lines about the topic.
    """
    model = find_model(context, context.settings.models["CHAT_MODEL"], "text-generation")
    prompt = f"Write a haiku about {body.topic}."
    inputs = Inputs({"messages": [{"role": "user", "content": prompt}]})
    answer = await ModelCall(context, [Candidate(model, inputs)]).run()
    completion = Completion()
    completion.add(await answer.object())
    return json_response({"haiku": completion.text})
'''

SILENT = '''
"""`GET /silent`."""

from pydantic import BaseModel

from aiworker.context import Context
from aiworker.http.messages import Response, json_response
from aiworker.routing import route


@route("GET", "/silent", scope="open", rate="read", returns=BaseModel, is_documented=False)
async def silent(context: Context) -> Response:
    """Await a result that comes in time, and one that comes too late."""
    import js  # here, because /openapi.json is made on CPython
    from aiworker.platform.javascript import binding_result

    await binding_result("It could answer", js.scheduler.wait(30), seconds=30)
    await binding_result("It could not answer", js.scheduler.wait(1000), seconds=0.05)
    return json_response({})
'''


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout with one more file, and what scripts/check generates from it."""
    folder = tmp_path_factory.mktemp("checkout")
    copy_checkout(folder)
    (folder / "src/aiworker/routes/haiku.py").write_text(ROUTE.lstrip())
    (folder / "src/aiworker/routes/silent.py").write_text(SILENT.lstrip())
    for generator in ("tools.docs.openapi", "tools.docs.tables"):
        subprocess.run([sys.executable, "-m", generator], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def server(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    state = tmp_path_factory.mktemp("state")
    server = DevServer.start("--persist-to", state, program=(project / "scripts/dev",))
    yield server
    server.stop()


def test_it_is_served(server: DevServer) -> None:
    response = httpx.post(f"{server.url}/haiku", json={"topic": "rain"}, timeout=60)
    assert response.status_code == 200
    assert response.json()["haiku"]


@pytest.mark.parametrize(
    ("content", "media_type", "status", "error_type", "param"),
    [
        ("{}", "application/json", 400, "invalid_request", "topic"),
        ('{"topic": ""}', "application/json", 400, "invalid_request", "topic"),
        ('{"topic": "rain", "colour": "red"}', "application/json", 400, "invalid_request", "colour"),
        ("{", "application/json", 400, "invalid_request", None),
        ("rain", "text/plain", 415, "unsupported_media_type", None),
    ],
)
def test_a_wrong_request_is_refused(
    server: DevServer, error_of: ErrorOf, content: str, media_type: str, status: int, error_type: str, param: str | None
) -> None:
    response = httpx.post(f"{server.url}/haiku", content=content, headers={"content-type": media_type}, timeout=60)
    assert response.status_code == status
    error = error_of(response)
    assert (error["type"], error["param"]) == (error_type, param)


def test_a_binding_that_does_not_answer_in_time_is_an_error(server: DevServer, error_of: ErrorOf) -> None:
    response = httpx.get(f"{server.url}/silent", timeout=60)
    assert response.status_code == 502
    assert error_of(response)["message"] == "It could not answer: no result after 0.05 seconds"
    assert httpx.get(f"{server.url}/health", timeout=60).status_code == 200


def test_another_method_is_refused(server: DevServer) -> None:
    response = httpx.get(f"{server.url}/haiku", timeout=60)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


def test_it_is_described(project: Path) -> None:
    document: dict[str, Any] = json.loads((project / "public/openapi.json").read_text())
    operation = document["paths"]["/haiku"]["post"]
    assert operation["summary"] == "Write a haiku"
    assert operation["description"] == "Three lines about the topic. Requires the scope `text` or `admin`."
    assert operation["requestBody"]["content"]["application/json"]["example"] == {"topic": "rain"}
    assert {"200", "400", "401", "403", "408", "413", "415", "429", "500", "502", "503"} <= {*operation["responses"]}
    assert document["components"]["schemas"]["HaikuRequest"]["properties"]["topic"]["maxLength"] == 100


def test_it_is_in_the_tables_of_the_docs(project: Path) -> None:
    row = r"^\| \[`POST /haiku`\]\(parameters\.md#post-haiku\) +\| `text` +\| Write a haiku +\|$"
    assert re.search(row, (project / "docs/api.md").read_text(), re.MULTILINE)
    assert "Subject of the poem." in (project / "docs/parameters.md").read_text()
