"""The command `conform`: a second simulator is the service, and its scripted answers are the planted differences."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from running_simulator import SimulatorProcess
from workers_ai_simulator.__main__ import main
from workers_ai_simulator.conform.comparison import differences
from workers_ai_simulator.conform.corpus import built_in
from workers_ai_simulator.conform.shapes import of_frames, of_json, of_media

NATIVE = "@cf/meta/llama-3.1-8b-instruct-fast"


@pytest.fixture(scope="module")
def service_process() -> Iterator[SimulatorProcess]:
    process = SimulatorProcess()
    yield process
    process.stop()


@pytest.fixture
def service(service_process: SimulatorProcess) -> Iterator[httpx.Client]:
    """Client of the simulator that is the service."""
    with service_process.client() as client:
        yield client
        client.delete("/simulator/answers")


class Command:
    """`workers-ai-simulator conform` in this process, with the simulator and the service of the tests."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], simulator: str, service: str
    ) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self._url = simulator
        monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", "any")
        monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "any")
        monkeypatch.setenv("CLOUDFLARE_API_BASE_URL", f"{service}/client/v4")

    def __call__(self, *arguments: str) -> tuple[int, str]:
        """Exit status and output."""
        self._monkeypatch.setattr("sys.argv", ["workers-ai-simulator", "conform", "--url", self._url, *arguments])
        with pytest.raises(SystemExit) as exit_:
            main()
        output = self._capsys.readouterr()
        return int(exit_.value.code or 0), output.out + output.err

    def differences(self, *arguments: str) -> dict[str, list[dict[str, str]]]:
        """Name of a call → its differences."""
        status, output = self("--json", *arguments)
        assert status < 2, output
        results = json.loads(output)["results"]
        assert (status == 1) == any(each["differences"] for each in results)
        return {each["call"]: each["differences"] for each in results if each["differences"]}


@pytest.fixture
def conform(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    simulator_process: SimulatorProcess, service_process: SimulatorProcess,
) -> Command:  # fmt: skip
    return Command(monkeypatch, capsys, simulator_process.url, service_process.url)


def test_two_simulators_do_not_differ_whatever_they_say(conform: Command, service: httpx.Client) -> None:
    service.post("/simulator/answers", json={"model": "@cf/meta/*", "prompt": "hello", "text": "Hi!", "count": None})
    status, output = conform()
    assert (status, output) == (0, f"{len(list(built_in()))} calls: 0 differences, 0 not compared\n")


def body(**fields: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return {"response": "Hi", "usage": usage, **fields}


def frame(**fields: Any) -> dict[str, Any]:
    return {"response": "Hi", "p": "abc", **fields}


PLANTED: dict[str, tuple[str, dict[str, Any], list[tuple[str, str, str]]]] = {
    # name: the call, the service's answer, the field with the simulator's kind and the service's
    "a field more": ("text", {"answer": body(score=1)}, [("result/score", "missing", "number")]),
    "a field less": (
        "text", {"answer": {"response": "Hi", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}},
        [("result/usage/total_tokens", "number", "missing")],
    ),
    "an object less": ("text", {"answer": {"response": "Hi"}}, [("result/usage", "object", "missing")]),
    "another type": ("text", {"answer": body(response=["Hi"])}, [("result/response", "text", "list")]),
    "null": ("text", {"answer": body(response=None)}, [("result/response", "text", "null")]),
    "another status": (
        "text", {"error": {"status": 429, "code": 3040}},
        [
            ("HTTP status", "200", "429"), ("success", "true", "false"), ("result", "object", "empty object"),
            ("errors", "empty list", "list"),
        ],
    ),
    "a picture for a text": (
        "text", {"media": {"base64": "iVBORw0KGgo=", "content_type": "image/png"}},
        [
            ("content type", "application/json", "image/png"), ("media format", "missing", "PNG"),
            ("body", "object", "missing"),
        ],
    ),
    "a frame's field": (
        "messages, streamed", {"frames": [frame(), frame(model="a"), "data: [DONE]\n\n"]},
        [("frames[]/model", "missing", "missing or text"), ("frames[]/usage", "missing or object", "missing")],
    ),
    "no end": (
        "messages, streamed", {"frames": [frame(), {**frame(), "usage": body()["usage"]}]},
        [("stream end", "[DONE]", "without [DONE]")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_difference_is_found(conform: Command, service: httpx.Client, planted: str) -> None:
    call, answer, expected = PLANTED[planted]
    service.post("/simulator/answers", json={"model": NATIVE, "prompt": "hello", "count": None, **answer})
    every = conform.differences("--model", NATIVE)
    reported = {(each["field"], each["simulator"], each["service"]) for each in every[call]}
    assert set(expected) <= reported
    assert len(reported) <= len(expected) + 2
    assert "JSON mode" not in every


def test_other_vectors_pictures_and_errors_are_found(conform: Command, service: httpx.Client) -> None:
    vectors = {"shape": [2, 3], "data": [[0.1, 0.2, 0.3]] * 2, "pooling": "mean"}
    png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
    script = [
        {"model": "@cf/baai/bge-m3", "answer": vectors},
        {"model": "@cf/black-forest-labs/flux-1-schnell", "answer": {"image": png}},
        {"model": "@cf/deepgram/aura-1", "media": {"base64": "SUQzBAAA", "content_type": "audio/mpeg"}},
        {"model": "@cf/openai/whisper", "error": {"status": 400, "code": 3030}},
    ]
    service.post("/simulator/answers", json=script)
    models = [part for each in script for part in ("--model", str(each["model"]))]
    status, output = conform(*models)
    assert status == 1
    assert "    result/data[]  simulator: 1024 numbers; service: 3 numbers\n" in output
    assert "    result/image  simulator: base64 of JPEG; service: base64 of PNG\n" in output
    assert "    media format  simulator: WAV; service: MP3\n" in output
    assert "    content type  simulator: audio/wav; service: audio/mpeg\n" in output
    assert "simulator: 200; service: 400\n" in output
    heads = [line for line in output.splitlines() if not line.startswith(" ")]
    assert heads[:-1] == sorted(str(each["model"]) for each in script)
    assert heads[-1].startswith("4 calls: ")


def test_a_tape_stands_for_the_service(
    conform: Command, service: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = {
        "tape": 1,
        "question": {"model": NATIVE, "inputs": {"prompt": "Hello"}},
        "answer": {"status": 200, "content_type": "application/json", "json": {"result": {"response": "Hi"}}},
    }
    (tmp_path / "hello-1.json").write_text(json.dumps(call))
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN")
    missing = {
        (each["field"], each["service"]) for each in conform.differences("--tape", str(tmp_path))["hello-1.json"]
    }
    assert missing == {
        ("result/usage", "missing"),
        ("success", "missing"),
        ("errors", "missing"),
        ("messages", "missing"),
    }
    assert service.get("/simulator/requests").json()[-1]["inputs"] != {"prompt": "Hello"}


def test_a_comparison_that_cannot_be_made_is_explained(
    conform: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert conform("--list", "--model", "@cf/baai/bge-m3") == (0, "@cf/baai/bge-m3: two texts\n")
    status, output = conform("--service", "http://127.0.0.1:9/client/v4", "--model", "@cf/baai/bge-m3")
    assert status == 2
    assert "not compared: 8007: The service http://127.0.0.1:9/client/v4 does not answer" in output
    assert output.endswith("1 calls: 0 differences, 1 not compared\n")
    assert conform("--model", "none") == (2, "There are no such calls. --list prints those there are.\n")
    (tmp_path / "a-1.json").write_text("{")
    status, output = conform("--tape", str(tmp_path))
    assert (status, "a-1.json cannot be read" in output) == (2, True)
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN")
    status, output = conform()
    assert (status, output) == (
        2, "conform calls Cloudflare: set CLOUDFLARE_API_TOKEN. The token needs the permission Workers AI.\n"
    )  # fmt: skip


def test_shapes_hold_the_types_and_constants_of_a_body() -> None:
    text = json.dumps({"object": "list", "items": [{"a": 1, "type": "x"}, {"a": "b"}], "v": [1, 2], "e": {}, "t": True})
    shape = {name: " or ".join(sorted(kinds)) for name, kinds in of_json(text).items()}
    assert shape == {
        "body": "object", "object": '"list"', "items": "list", "items[]": "object", "items[]/a": "number or text",
        "items[]/type": '"x" or missing', "v": "2 numbers", "e": "empty object", "t": "true or false",
    }  # fmt: skip
    assert of_json("no") == {"body text": frozenset({"no JSON"})}
    assert of_media(b"")["media format"] == frozenset({"empty"})
    assert differences(of_json("[]"), of_json("[]")) == []
    events = of_frames(['event: a\ndata: {"type":"a"}\n\n', ": comment\n\n", "data: no JSON\n\n"])
    assert events["frames[a]/type"] == frozenset({'"a"'})
    assert events["stream end"] == frozenset({"without [DONE]"})
