"""offline-python-workers carries what the platform offers to Python: project/ is a Worker that uses all of it."""

import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

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
    with httpx.Client(base_url=server.url, timeout=60) as client:
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


def test_models_answer_through_the_real_class(client: httpx.Client) -> None:
    def ask(model: str, inputs: dict[str, Any]) -> httpx.Response:
        return client.post("/ai", params={"model": model}, json=inputs)

    embedded = ask("@cf/baai/bge-small-en-v1.5", {"text": ["one", "two"]}).json()
    assert embedded["shape"] == [2, 384]
    picture = ask("@cf/bytedance/stable-diffusion-xl-lightning", {"prompt": "hills", "width": 256, "height": 256})
    assert picture.content.startswith(b"\x89PNG")
    spoken = ask("@cf/deepgram/aura-1", {"text": "Nothing is lost."})
    assert spoken.content.startswith(b"RIFF")
    transcript = client.post(
        "/ai",
        params={"model": "@cf/deepgram/nova-3", "stream": "yes"},
        content=spoken.content,
        headers={"content-type": "audio/wav"},
    ).json()
    assert transcript["results"]["channels"][0]["alternatives"][0]["transcript"] == "Nothing is lost."


@pytest.mark.parametrize(
    ("model", "inputs", "words"),
    [
        ("@cf/no/model", {}, "InferenceUpstreamError: 5007: No such model @cf/no/model or task"),
        ("@cf/baai/bge-small-en-v1.5", {"text": 5}, "InferenceUpstreamError: 5006: Error: "),
        ("@cf/bytedance/stable-diffusion-xl-lightning", {}, "required properties at '/' are 'prompt'"),
    ],
)
def test_models_refuse_through_the_real_class(
    client: httpx.Client, model: str, inputs: dict[str, Any], words: str
) -> None:
    response = client.post("/ai", params={"model": model}, json=inputs)
    assert response.status_code == 502
    assert words in response.text


def test_vectorize_answers_through_the_real_class(client: httpx.Client) -> None:
    def call(method: str, *arguments: Any) -> Any:
        return client.post(f"/vectorize?{method}", json=arguments).json()

    assert call("describe")["vectorCount"] == 0
    assert call("query", [1, 0])["matches"] == []
    near = {"id": "near", "values": [1, 0.1], "namespace": "n", "metadata": {"title": "Near"}}
    mutation = call("upsert", [near, {"id": "far", "values": [0, 1]}])["mutationId"]
    info = until(lambda: call("describe"), lambda info: info["processedUpToMutation"] == mutation)
    assert (info["vectorCount"], info["dimensions"]) == (2, 2)
    assert [match["id"] for match in call("query", [1, 0], {"topK": 2})["matches"]] == ["near", "far"]
    [match] = call("query", [1, 0], {"topK": 2, "namespace": "n", "returnMetadata": "all"})["matches"]
    assert match["metadata"] == {"title": "Near"}
    assert [match["id"] for match in call("queryById", "far", {"topK": 1})["matches"]] == ["far"]
    assert call("getByIds", ["near"])[0]["values"] == pytest.approx([1, 0.1])
    mutation = call("deleteByIds", ["near"])["mutationId"]
    until(lambda: call("describe"), lambda info: info["processedUpToMutation"] == mutation)
    assert call("getByIds", ["near"]) == []


@pytest.mark.parametrize(
    ("method", "arguments", "words"),
    [
        ("query", [[1, 0], {"topK": 101}], "VECTOR_QUERY_ERROR (code = 40025): max top K is 100, but got 101"),
        ("query", [[1, 0, 0]], "VECTOR_QUERY_ERROR (code = 40006): invalid query vector, expected 2 dimensions"),
        ("upsert", [[{"id": "x" * 65, "values": [1, 0]}]], "VECTOR_UPSERT_ERROR (code = 40008): id too long"),
        ("insert", [[{"id": "x", "values": [1]}]], "VECTOR_INSERT_ERROR (code = 40012): invalid vector for id"),
        ("getByIds", [["x"] * 21], "VECTOR_GET_ERROR (code = 40007)"),
    ],
)
def test_vectorize_refuses_through_the_real_class(
    client: httpx.Client, method: str, arguments: list[Any], words: str
) -> None:
    assert words in client.post(f"/vectorize?{method}", json=arguments).json()["error"]


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
        assert 'File "src/greeting.py", line 1' in response.text
        assert words in response.text
        assert "importlib" not in response.text
    with server.reload():
        greeting.write_text('TEXT = "mended"\n')
    response = client.get("/greeting")
    assert (response.status_code, response.text) == (200, "mended")
