"""local/runtime carries what Cloudflare's platform offers to Python: tests/runtime/project is a Worker that uses it."""

import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import DevServer, until

PROJECT = Path(__file__).parent / "project"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy that a test may edit."""
    return Path(shutil.copytree(PROJECT, tmp_path_factory.mktemp("runtime") / "project"))


@pytest.fixture(scope="module")
def server(project: Path) -> Iterator[DevServer]:
    server = DevServer.start("--project", project)
    yield server
    server.stop()


@pytest.fixture
def client(server: DevServer) -> Generator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


def test_modules_and_packages_are_imported(client: httpx.Client) -> None:
    assert client.get("/greeting").text == "hello"
    assert client.post("/pydantic", content='{"x": 1, "y": 2}').json() == {"x": 1, "y": 2}


def test_variables_are_read_and_patched(client: httpx.Client) -> None:
    assert client.get("/variable").json() == {"plain": "hello", "patched": "patched"}


def test_random_numbers_differ_from_those_at_import(client: httpx.Client) -> None:
    first, second = client.get("/random").json(), client.get("/random").json()
    assert first["import"] == second["import"]
    assert len({first["import"], first["now"], second["now"]}) == 3
    assert first["secret"] != second["secret"]


def test_an_entrypoint_is_called_over_rpc(client: httpx.Client) -> None:
    assert client.get("/rpc").json() == {"sum": 6}


def test_a_durable_object_keeps_its_state(client: httpx.Client) -> None:
    before = client.get("/counter").json()
    after = client.get("/counter").json()
    assert after["value"] == before["value"] + 2
    assert after["fetch"] == "the object was sent PUT"


def test_kv_r2_and_d1_keep_what_they_are_given(client: httpx.Client) -> None:
    assert client.get("/storage").json() == {"kv": "value", "r2": "object", "d1": 7}


def test_work_goes_on_after_the_response(client: httpx.Client) -> None:
    assert client.post("/after").text == "accepted"
    assert until(lambda: client.get("/after").text, lambda text: text == "done")


def test_a_workflow_retries_its_steps(client: httpx.Client) -> None:
    instance = client.post("/workflow").json()["id"]
    state = until(
        lambda: client.get(f"/workflow?{instance}").json(), lambda state: state["status"] not in ("queued", "running")
    )
    assert state == {"status": "complete", "output": {"doubled": 42, "attempts": 2}}


def test_what_is_not_simulated_says_so_through_the_real_class(client: httpx.Client) -> None:
    error = client.get("/vectorize").text
    assert "VECTOR_QUERY_ERROR (code = 501)" in error
    assert "is not simulated yet" in error


def test_an_exception_of_a_handler_is_answered_and_shown(client: httpx.Client, server: DevServer) -> None:
    assert client.get("/crash").status_code == 500
    assert server.wait_for("RuntimeError: the handler's own words")
    assert client.get("/greeting").status_code == 200


def test_python_that_does_not_import_is_answered_with_its_traceback_until_it_is_mended(
    client: httpx.Client, server: DevServer, project: Path
) -> None:
    greeting = project / "src/greeting.py"
    for broken, words in (("TEXT = undefined_name\n", "NameError"), ("TEXT = (\n", "SyntaxError")):
        with server.reload():
            greeting.write_text(broken)
        response = client.get("/greeting")
        assert response.status_code == 500
        assert response.text.startswith("Traceback (most recent call last):")
        assert 'File "/session/metadata/greeting.py", line 1' in response.text
        assert words in response.text
        assert "importlib" not in response.text
    with server.reload():
        greeting.write_text('TEXT = "mended"\n')
    response = client.get("/greeting")
    assert (response.status_code, response.text) == (200, "mended")
