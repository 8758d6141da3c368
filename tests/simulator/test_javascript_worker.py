"""The real `Ai` and `VectorizeIndexImpl` in a plain JavaScript Worker, run by wrangler as the README says."""

import base64
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pyjson5
import pytest
from websockets.sync.client import ClientConnection, connect

from running_simulator import SimulatorProcess
from tests.conftest import until
from tools.dev.configuration import PLUGIN
from tools.dev.plan import ENVIRONMENT
from tools.dev.processes import end_with_parent
from tools.setup.install import WRANGLER

PROJECT = Path(__file__).parent / "worker"
LLAMA = "@cf/meta/llama-3.2-3b-instruct"
GPT = "@cf/openai/gpt-oss-20b"
EMBEDDING = "@cf/baai/bge-base-en-v1.5"
NOVA, FLUX, AURA = "@cf/deepgram/nova-3", "@cf/deepgram/flux", "@cf/deepgram/aura-1"
SEARCH = "/client/v4/accounts/any/ai-search"
FLUX_2 = "@cf/black-forest-labs/flux-2-klein-4b"


# ---- the Worker ----------------------------------------------------------------------------------------------------


def lay_out(project: Path, simulator: str) -> None:
    """Copy the project, with the placeholders of its wrangler.jsonc filled in."""
    shutil.copy(PROJECT / "index.js", project)
    configuration = pyjson5.loads((PROJECT / "wrangler.jsonc").read_text())
    for binding in configuration["unsafe"]["bindings"]:
        binding["dev"]["plugin"]["package"] = str(PLUGIN)
        binding["dev"]["options"]["address"] = simulator.removeprefix("http://")
    (project / "wrangler.jsonc").write_text(pyjson5.dumps(configuration))


class Wrangler:
    """`wrangler dev` on a free port, in a process group of its own."""

    def __init__(self, project: Path) -> None:
        command = ["node", "--no-warnings", WRANGLER, "dev", "--ip", "127.0.0.1", "--port", "0"]
        self._process = subprocess.Popen(
            [*command, "--inspector-port=0", "--show-interactive-dev-session=false"],
            cwd=project, env={**os.environ, **ENVIRONMENT, "HOME": str(project)}, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=end_with_parent,
        )  # fmt: skip
        self.printed: list[str] = []
        self.url = self._wait_until_ready()
        threading.Thread(target=self._read, daemon=True).start()

    def _wait_until_ready(self) -> str:
        assert self._process.stdout
        for line in self._process.stdout:
            self.printed.append(line)
            if ready := re.search(r"Ready on (http://\S+)", line):
                return ready[1]
        raise AssertionError("".join(self.printed))

    def _read(self) -> None:
        assert self._process.stdout
        self.printed.extend(self._process.stdout)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(60)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # with all processes that it has started


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory, simulator_process: SimulatorProcess) -> Iterator[httpx.Client]:
    project = tmp_path_factory.mktemp("javascript-worker")
    lay_out(project, simulator_process.url)
    wrangler = Wrangler(project)
    with httpx.Client(base_url=wrangler.url, timeout=60) as client:
        yield client
    wrangler.stop()


Outcome = dict[str, Any]
"""`{result: {kind, value, …}, ai}` or `{error: {name, message, cause}, ai}`."""

Call = Callable[..., Outcome]


@pytest.fixture
def call(worker: httpx.Client, http: httpx.Client) -> Call:  # http clears the faults after a test
    """Call a method in the Worker: `call("VECTORIZE.query", [1, 0])`, `call("AI.gateway", "id", then=…)`."""

    def called(path: str, *arguments: Any, then: tuple[Any, ...] = ()) -> Outcome:
        body = step(path, *arguments) | ({"then": step(*then)} if then else {})
        response = worker.post("/", json=body)
        assert response.status_code == 200, response.text
        return response.json()

    return called


def step(path: str, *arguments: Any) -> dict[str, Any]:
    return {"path": path.split("."), "arguments": arguments}


def value(outcome: Outcome) -> Any:
    assert "result" in outcome, outcome
    return outcome["result"].get("value")


def test_the_bindings_are_the_production_classes(worker: httpx.Client) -> None:
    names = worker.get("/").json()
    assert (names["AI"], names["VECTORIZE"]) == ("Ai", "VectorizeIndexImpl")
    # AI Search has no class in workerd: on Cloudflare too, the binding is a stub of another service
    assert (names["AI_SEARCH"], names["HANDBOOK"]) == ("Fetcher", "Fetcher")


def test_autorag_is_the_class_of_workerd(call: Call, http: httpx.Client) -> None:
    http.post(f"{SEARCH}/instances", json={"id": "old"}).raise_for_status()
    assert [each["id"] for each in value(call("AI.autorag", "old", then=("list",)))] == ["old"]
    answer = value(call("AI.autorag", "old", then=("aiSearch", {"query": "penguins"})))
    assert (answer["object"], answer["data"]) == ("vector_store.search_results.page", [])
    assert "simulated" in answer["response"]
    streamed = call("AI.autorag", "old", then=("aiSearch", {"query": "penguins", "stream": True}))["result"]
    assert streamed["kind"] == "Response"
    refused = call("AI.autorag", "none", then=("search", {"query": "penguins"}))["error"]
    assert (refused["name"], refused["message"]) == ("AutoRAGNotFoundError", "ai_search_not_found")
    http.delete(f"{SEARCH}/instances/old").raise_for_status()


def test_methods_that_are_called_by_rpc_and_not_simulated_say_what_to_do(call: Call) -> None:
    assert "Bind ai_search_namespaces or ai_search" in call("AI.aiSearch")["error"]["message"]
    by_rpc = call("AI.gateway", "id", {"beta": True}, then=("getUrl",))
    assert "Leave out {beta: true}" in by_rpc["error"]["message"]


# ---- env.AI.run ----------------------------------------------------------------------------------------------------


def test_an_answer_is_an_object(call: Call, http: httpx.Client) -> None:
    outcome = call("AI.run", LLAMA, {"prompt": "Hello"})
    assert outcome["result"]["kind"] == "Object"
    assert "simulated" in value(outcome)["response"]
    journal = http.get(f"/simulator/requests/{outcome['ai']['lastRequestId']}").json()
    assert (journal["model"], journal["inputs"], journal["state"]) == (LLAMA, {"prompt": "Hello"}, "finished")


def test_a_streamed_answer_is_a_stream_of_the_same_text(call: Call) -> None:
    whole = value(call("AI.run", LLAMA, {"prompt": "Hello"}))["response"]
    outcome = call("AI.run", LLAMA, {"prompt": "Hello", "stream": True})
    assert outcome["result"]["kind"] == "ReadableStream"
    *frames, done = re.findall(r"data: (.+)\n\n", value(outcome))
    assert done == "[DONE]"
    assert "".join(json.loads(frame)["response"] for frame in frames) == whole


def test_an_image_is_a_stream_of_bytes(call: Call) -> None:
    inputs = {"prompt": "a hill", "width": 256, "height": 256}
    outcome = call("AI.run", "@cf/lykon/dreamshaper-8-lcm", inputs)
    assert outcome["result"]["kind"] == "ReadableStream"
    assert "PNG" in value(outcome)[:8]


def test_an_input_may_be_a_stream(call: Call) -> None:
    spoken = value(call("AI.run", "@cf/myshell-ai/melotts", {"prompt": "The cat sleeps."}))["audio"]
    audio = {"body": {"$bytes": spoken}, "contentType": "audio/wav"}
    answer = value(call("AI.run", NOVA, {"audio": audio, "detect_language": True}))
    assert answer["results"]["channels"][0]["alternatives"][0]["transcript"] == "The cat sleeps."


def test_an_input_may_be_a_form(call: Call) -> None:
    fields = {"prompt": "a hill", "width": "256", "height": "320"}
    form = {"body": {"$form": fields}, "contentType": {"$formType": fields}}
    image = base64.b64decode(value(call("AI.run", FLUX_2, {"multipart": form}))["image"])
    assert image.startswith(b"\xff\xd8\xff")
    wrong = call("AI.run", FLUX_2, {"multipart": {**form, "body": {"$form": {"prompt": "a", "width": "wide"}}}})
    assert wrong["error"]["message"] == "5006: Error: Type mismatch of '/width', 'string' not in 'number'"


@contextlib.contextmanager
def realtime(worker: httpx.Client, model: str, inputs: dict[str, Any]) -> Generator[ClientConnection]:
    """A websocket through the Worker, which answers with what `env.AI.run` returns."""
    query = urlencode({"call": json.dumps({"model": model, "inputs": inputs})})
    with connect(f"{str(worker.base_url).replace('http', 'ws')}?{query}") as socket:
        yield socket


def test_speech_goes_both_ways_through_the_class_by_websocket(worker: httpx.Client, http: httpx.Client) -> None:
    with realtime(worker, AURA, {"encoding": "linear16", "sample_rate": 16_000}) as aura:
        assert json.loads(aura.recv())["type"] == "Metadata"
        aura.send(json.dumps({"type": "Speak", "text": "Turn on the light."}))
        aura.send(json.dumps({"type": "Close"}))
        *spoken, flushed = list(aura)
    assert json.loads(flushed) == {"type": "Flushed", "sequence_id": 0}
    http.post("/simulator/answers", json={"model": FLUX, "text": "Turn on the light."})
    with realtime(worker, FLUX, {"encoding": "linear16", "sample_rate": "16000"}) as flux:
        for sound in (*spoken, bytes(32_000)):
            flux.send(sound)
        flux.send(json.dumps({"type": "CloseStream"}))
        messages = [json.loads(message) for message in flux]
    events = [each.get("event", each["type"]) for each in messages if each.get("event") != "Update"]
    assert events == ["Connected", "StartOfTurn", "EndOfTurn"]
    assert next(each for each in messages if each.get("event") == "EndOfTurn")["transcript"] == "Turn on the light."


def test_a_web_search_is_a_response_by_rpc(call: Call, http: httpx.Client) -> None:
    request = {"gatewayId": "default", "query": "rain", "limit": 2}
    outcome = call("AI.websearch", request, {"extraHeaders": {"x-mine": "1"}})
    assert (outcome["result"]["kind"], outcome["result"]["status"]) == ("Response", 200)
    assert len(json.loads(value(outcome))["items"]) == 2
    refused = call("AI.websearch", {"query": "rain"})["result"]
    assert (refused["status"], json.loads(refused["value"])["errors"][0]["code"]) == (400, 7001)


def test_errors_that_the_class_itself_raises(call: Call) -> None:
    stream = {"body": {"$stream": "a"}, "contentType": "audio/wav"}
    for inputs, options, message in (
        ({"audio": {"body": {"$stream": "a"}}}, {}, "Content-Type is required with ReadableStream inputs"),
        ({"audio": stream}, {"gateway": {"id": "mine"}}, "AI Gateway does not support ReadableStreams yet."),
        ({"audio": stream, "more": stream}, {}, "Multiple ReadableStreams are not supported."),
    ):
        error = call("AI.run", NOVA, inputs, options)["error"]
        assert error["name"] == "AiInternalError"
        assert error["message"].startswith(message)


@pytest.mark.parametrize(
    ("model", "inputs", "code", "words"),
    [
        ("@cf/no/such-model", {"prompt": "a"}, 5007, "No such model @cf/no/such-model or task"),
        (LLAMA, {}, 5006, "Error: oneOf at '/' not met"),
        (LLAMA, {"prompt": "a", "temperature": 9}, 5006, "Error: '/temperature' must be <= 5"),
        ("@cf/meta/llama-3-8b-instruct", {"prompt": "a"}, 5028, "This model was deprecated on 2026-05-30."),
        ("@cf/openai/whisper", {"audio": [1, 2]}, 3030, "Invalid audio"),
    ],
)
def test_an_error_is_an_inference_upstream_error(
    call: Call, model: str, inputs: dict[str, Any], code: int, words: str
) -> None:
    outcome = call("AI.run", model, inputs)
    assert outcome["error"]["name"] == "InferenceUpstreamError"
    assert outcome["error"]["message"].startswith(f"{code}: {words}")
    assert outcome["ai"]["lastRequestHttpStatusCode"] == 400
    assert outcome["ai"]["lastRequestInternalStatusCode"] == code
    assert outcome["ai"]["lastRequestId"]


def test_a_fault_is_thrown(call: Call, http: httpx.Client) -> None:
    fault = {"status": 429, "code": 3040, "description": "Capacity temporarily exceeded, please try again."}
    http.post("/simulator/faults", json=fault).raise_for_status()
    outcome = call("AI.run", LLAMA, {"prompt": "Hello"})
    assert outcome["error"]["message"] == "3040: Capacity temporarily exceeded, please try again."
    assert outcome["ai"]["lastRequestHttpStatusCode"] == 429
    assert "result" in call("AI.run", LLAMA, {"prompt": "Hello"})


def test_a_raw_response_is_handed_on_whatever_its_status(call: Call) -> None:
    fine = call("AI.run", LLAMA, {"prompt": "Hello"}, {"returnRawResponse": True})
    assert (fine["result"]["kind"], fine["result"]["status"]) == ("Response", 200)
    assert fine["result"]["headers"]["cf-ai-req-id"] == fine["ai"]["lastRequestId"]
    assert "simulated" in json.loads(value(fine))["response"]
    refused = call("AI.run", "@cf/no/such-model", {"prompt": "Hello"}, {"returnRawResponse": True})
    assert (refused["result"]["status"], json.loads(value(refused))["internalCode"]) == (400, 5007)


def test_an_aborted_call_ends_at_once_and_is_cancelled(call: Call, http: httpx.Client) -> None:
    inputs = {"prompt": "never mind"}
    assert call("AI.run", GPT, inputs, {"signal": {"$aborted": True}})["error"]["name"] == "AbortError"
    http.post("/simulator/faults", json={"hold_response": True, "model": GPT}).raise_for_status()
    assert call("AI.run", GPT, inputs, {"signal": {"$timeout": 1_000}})["error"]["name"] == "TimeoutError"
    latest = until(lambda: http.get("/simulator/requests", params={"model": GPT}).json()[-1], is_over)
    assert (latest["inputs"], latest["state"]) == (inputs, "cancelled")


def is_over(entry: dict[str, Any]) -> bool:
    return entry["state"] != "received"


def test_a_websocket_is_refused_with_a_sentence(call: Call) -> None:
    result = call("AI.run", LLAMA, {"prompt": "Hello"}, {"websocket": True})["result"]
    assert (result["kind"], result["status"]) == ("Response", 400)
    refusal = json.loads(result["value"])
    assert refusal["internalCode"] == 5006
    assert refusal["description"] == f"Error: {LLAMA} does not support websocket connections"


def test_a_batch_is_queued_and_answered_later(call: Call) -> None:
    requests: list[dict[str, Any]] = [{"text": "one", "external_reference": "first"}, {"text": []}]
    queued = value(call("AI.run", EMBEDDING, {"requests": requests}, {"queueRequest": True}))
    assert (queued["status"], queued["model"]) == ("queued", EMBEDDING)
    poll = {"request_id": queued["request_id"]}
    assert value(call("AI.run", EMBEDDING, poll))["status"] == "running"
    done = value(call("AI.run", EMBEDDING, poll))
    assert [(each["id"], each["success"]) for each in done["responses"]] == [(0, True), (1, False)]
    assert done["responses"][0]["external_reference"] == "first"
    assert done["responses"][0]["result"]["shape"] == [1, 768]
    refused = call("AI.run", LLAMA, {"requests": [{"prompt": "a"}]}, {"queueRequest": True})
    assert refused["error"]["message"] == "8007: This model does not support request queuing"


# ---- env.AI.models, toMarkdown -------------------------------------------------------------------------------------


def test_models_are_searched(call: Call) -> None:
    models = value(call("AI.models", {"search": "bge", "task": "Text Embeddings", "per_page": 2}))
    assert len(models) == 2
    assert all("bge" in each["name"] for each in models)
    assert value(call("AI.models", {"search": "no such model"})) == []


def test_files_become_markdown_or_an_error_each(call: Call) -> None:
    page = {"name": "a.html", "blob": {"$blob": {"text": "<h1>Title</h1><p>Text", "type": "text/html"}}}
    unknown = {"name": "a.bin", "blob": {"$blob": {"text": "x", "type": "application/x-none"}}}
    one = value(call("AI.toMarkdown", page))
    assert (one["format"], one["name"], one["data"].split()) == ("markdown", "a.html", ["#", "Title", "Text"])
    converted, failed = value(call("AI.toMarkdown", [page, unknown]))
    assert converted["data"] == one["data"]
    assert (failed["format"], "data" in failed, "application/x-none" in failed["error"]) == ("error", False, True)
    formats = value(call("AI.toMarkdown", then=("supported",)))
    assert {"extension": ".pdf", "mimeType": "application/pdf"} in formats


def test_a_conversion_that_fails_as_a_whole_is_thrown(call: Call, http: httpx.Client) -> None:
    http.post("/simulator/faults", json={"operation": "toMarkdown", "status": 500, "description": "all is lost"})
    page = {"name": "a.html", "blob": {"$blob": {"text": "<p>Text", "type": "text/html"}}}
    error = call("AI.toMarkdown", [page])["error"]
    assert (error["name"], error["message"]) == ("AiInternalError", "all is lost")


# ---- env.AI.gateway ------------------------------------------------------------------------------------------------


def test_a_call_through_a_gateway_is_logged_and_rated(call: Call) -> None:
    options = {"gateway": {"id": "javascript", "metadata": {"user": "ada"}}}
    log_id = call("AI.run", LLAMA, {"prompt": "Hello"}, options)["ai"]["aiGatewayLogId"]
    gateway = ("AI.gateway", "javascript")
    log = value(call(*gateway, then=("getLog", log_id)))
    assert (log["id"], log["model"], log["success"], log["cached"]) == (log_id, LLAMA, True, False)
    assert log["metadata"] == {"user": "ada"}
    patched = call(*gateway, then=("patchLog", log_id, {"feedback": 1, "score": 80}))
    assert patched["result"]["kind"] == "undefined"
    log = value(call(*gateway, then=("getLog", log_id)))
    assert (log["feedback"], log["score"]) == (1, 80)


def test_a_log_that_is_not_there_is_not_found(call: Call) -> None:
    for then in (("getLog", "none"), ("patchLog", "none", {"feedback": 1})):
        assert call("AI.gateway", "javascript", then=then)["error"]["name"] == "AiGatewayLogNotFound"
    log_id = call("AI.run", LLAMA, {"prompt": "a"}, {"gateway": {"id": "javascript"}})["ai"]["aiGatewayLogId"]
    wrong = call("AI.gateway", "javascript", then=("patchLog", log_id, {"feedback": "good"}))
    assert wrong["error"]["name"] == "AiGatewayInternalError"


def test_the_same_call_is_answered_from_the_cache(call: Call) -> None:
    def run(**gateway: Any) -> dict[str, Any]:
        options = {"gateway": {"id": "javascript", "cacheTtl": 60, **gateway}, "returnRawResponse": True}
        return call("AI.run", LLAMA, {"prompt": "What is cached?"}, options)["result"]

    first, second, third = run(), run(), run(skipCache=True)
    assert [each["headers"]["cf-aig-cache-status"] for each in (first, second)] == ["MISS", "HIT"]
    assert first["value"] == second["value"]
    assert third["headers"].get("cf-aig-cache-status") != "HIT"


def test_a_universal_request_tries_the_next_step(call: Call) -> None:
    wrong = {"provider": "workers-ai", "endpoint": "@cf/no/such-model", "headers": {}, "query": {"prompt": "a"}}
    right = {**wrong, "endpoint": LLAMA, "headers": {"cf-aig-cache-ttl": 60}}
    result = call("AI.gateway", "javascript", then=("run", [wrong, right]))["result"]
    assert (result["kind"], result["status"], result["headers"]["cf-aig-step"]) == ("Response", 200, "1")
    assert "simulated" in json.loads(result["value"])["result"]["response"]


def test_the_address_of_a_gateway_is_one_that_answers(call: Call) -> None:
    url = value(call("AI.gateway", "javascript", then=("getUrl", "workers-ai")))
    headers = {"authorization": "Bearer any"}
    answer = httpx.post(f"{url}/{LLAMA}", json={"prompt": "Hello"}, headers=headers, timeout=60).json()
    assert "simulated" in answer["result"]["response"]


# ---- env.VECTORIZE -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vectors(worker: httpx.Client) -> None:
    """Three vectors in the index."""
    inserted = [
        {"id": "east", "values": [1, 0], "metadata": {"page": 1}},
        {"id": "north", "values": {"$float32": [0, 1]}, "namespace": "poles", "metadata": {"page": 2}},
        {"id": "both", "values": [1, 1]},
    ]
    response = worker.post("/", json=step("VECTORIZE.insert", inserted))
    assert response.json()["result"]["value"]["mutationId"]


@pytest.mark.usefixtures("vectors")
class TestVectorize:
    def test_an_index_describes_itself(self, call: Call) -> None:
        info = value(call("VECTORIZE.describe"))
        assert (info["vectorCount"], info["dimensions"]) == (3, 2)

    def test_a_query_finds_the_nearest(self, call: Call) -> None:
        answer = value(call("VECTORIZE.query", {"$float32": [1, 0.1]}, {"topK": 2, "returnMetadata": "all"}))
        assert [match["id"] for match in answer["matches"]] == ["east", "both"]
        assert answer["matches"][0]["metadata"] == {"page": 1}
        assert answer["count"] == 2

    def test_a_query_by_id_stays_in_its_namespace(self, call: Call) -> None:
        answer = value(call("VECTORIZE.queryById", "east", {"topK": 3, "namespace": "poles", "returnValues": True}))
        [match] = answer["matches"]
        assert (match["id"], match["values"], match["namespace"]) == ("north", [0, 1], "poles")

    def test_vectors_are_got_replaced_and_deleted(self, call: Call) -> None:
        assert value(call("VECTORIZE.upsert", [{"id": "gone", "values": [1, 2]}]))["mutationId"]
        assert value(call("VECTORIZE.insert", [{"id": "gone", "values": [3, 4]}]))["mutationId"]
        [vector] = value(call("VECTORIZE.getByIds", ["gone", "none"]))
        assert vector["values"] == [1, 2]  # insert keeps vectors that exist
        value(call("VECTORIZE.upsert", [{"id": "gone", "values": [3, 4]}]))
        assert value(call("VECTORIZE.getByIds", ["gone"]))[0]["values"] == [3, 4]
        assert value(call("VECTORIZE.deleteByIds", ["gone"]))["mutationId"]
        assert value(call("VECTORIZE.getByIds", ["gone"])) == []

    @pytest.mark.parametrize(
        ("method", "arguments", "operation"),
        [
            ("query", ([1, 2, 3],), "VECTOR_QUERY"),
            ("query", ([1, 2], {"topK": 101}), "VECTOR_QUERY"),
            ("queryById", ("no such id",), "VECTOR_QUERY"),
            ("insert", ([{"id": "a", "values": [1]}],), "VECTOR_INSERT"),
            ("upsert", ([{"id": "a" * 65, "values": [1, 2]}],), "VECTOR_UPSERT"),
            ("getByIds", (["a"] * 21,), "VECTOR_GET"),
            ("deleteByIds", (["a"] * 1001,), "VECTOR_DELETE"),
        ],
    )
    def test_an_error_names_the_operation_and_its_code(
        self, call: Call, method: str, arguments: tuple[Any, ...], operation: str
    ) -> None:
        error = call(f"VECTORIZE.{method}", *arguments)["error"]
        assert re.match(rf"{operation}_ERROR \(code = 4\d{{4}}\): ", error["message"])
        assert error["message"].endswith(error["cause"])


# ---- env.AI_SEARCH -------------------------------------------------------------------------------------------------

UPLOAD = {"pollIntervalMs": 50, "timeoutMs": 20_000}
ANY_SCORE = {"retrieval": {"match_threshold": 0}}


@pytest.fixture
def handbook(call: Call) -> Iterator[tuple[str, str]]:
    """Path and name of an instance, which is bound by itself, too."""
    value(call("AI_SEARCH.create", {"id": "handbook"}, then=("info",)))
    yield ("AI_SEARCH.get", "handbook")
    call("AI_SEARCH.delete", "handbook")


@pytest.mark.parametrize(
    "content",
    [
        "The canteen opens at noon.",
        {"$stream": "The canteen opens at noon."},
        {"$blob": {"text": "The canteen opens at noon.", "type": "text/plain"}},
        {"$buffer": "The canteen opens at noon."},
    ],
)
def test_a_document_is_uploaded_in_any_form_and_found(call: Call, handbook: tuple[str, str], content: Any) -> None:
    item = value(call(*handbook, then=("items.uploadAndPoll", "canteen.txt", content, UPLOAD)))
    assert (item["key"], item["status"], item["chunks_count"]) == ("canteen.txt", "completed", 1)
    request = {"query": "When does the canteen open?", "ai_search_options": ANY_SCORE}
    answer = value(call(*handbook, then=("search", request)))
    assert (answer["search_query"], [each["text"] for each in answer["chunks"]]) == (
        request["query"], ["The canteen opens at noon."],
    )  # fmt: skip
    assert value(call("HANDBOOK.search", request)) == answer


def test_items_and_jobs_are_listed_read_and_deleted(call: Call, handbook: tuple[str, str]) -> None:
    item = value(call("HANDBOOK.items.uploadAndPoll", "a/b ü.md", "# Rules\n\nBe kind.", UPLOAD))
    listed = value(call("HANDBOOK.items.list", {"key": "a/b ü.md"}))
    assert ([each["id"] for each in listed["result"]], listed["result_info"]["total_count"]) == ([item["id"]], 1)
    at = ("HANDBOOK.items.get", item["id"])
    assert value(call(*at, then=("info",)))["metadata"]["folder"] == "a/"
    assert value(call(*at, then=("chunks",)))["result"][0]["text"] == "# Rules\n\nBe kind."
    assert [each["action"] for each in value(call(*at, then=("logs",)))["result"]] == ["upload", "index"]
    file = value(call(*at, then=("download",)))
    assert (file["filename"], file["contentType"], file["size"]) == ("b ü.md", "text/markdown", 17)
    assert value(call(*at, then=("sync",)))["key"] == "a/b ü.md"
    job = value(call("HANDBOOK.jobs.create", {}))
    assert value(call("HANDBOOK.jobs.get", job["id"], then=("info",))) == job
    assert value(call("HANDBOOK.stats"))["engine"]["r2"]["objectCount"] == 1
    call("HANDBOOK.items.delete", item["id"])
    assert value(call(*handbook, then=("items.list",)))["result"] == []


def test_answers_from_documents_may_stream(call: Call, handbook: tuple[str, str]) -> None:
    value(call("HANDBOOK.items.uploadAndPoll", "canteen.txt", "The canteen opens at noon.", UPLOAD))
    body = {"messages": [{"role": "user", "content": "When does the canteen open?"}], "ai_search_options": ANY_SCORE}
    whole = value(call(*handbook, then=("chatCompletions", body)))
    assert "noon" in whole["choices"][0]["message"]["content"]
    streamed = call(*handbook, then=("chatCompletions", {**body, "stream": True}))["result"]
    assert streamed["kind"] == "ReadableStream"
    assert streamed["value"].startswith("event: chunks\ndata: [")
    assert streamed["value"].endswith("data: [DONE]\n\n")
    options = {**ANY_SCORE, "instance_ids": ["handbook"]}
    many = value(call("AI_SEARCH.search", {"query": "canteen", "ai_search_options": options}))
    assert [each["instance_id"] for each in many["chunks"]] == ["handbook"]


def test_instances_are_listed_and_changed(call: Call, handbook: tuple[str, str]) -> None:
    assert value(call(*handbook, then=("update", {"reranking": True})))["reranking"] is True
    assert value(call("HANDBOOK.info"))["reranking"] is True
    assert [each["id"] for each in value(call("AI_SEARCH.list", {"search": "hand"}))["result"]] == ["handbook"]


def test_errors_have_the_names_and_messages_of_ai_search(call: Call, http: httpx.Client) -> None:
    missing = call("AI_SEARCH.get", "nothing", then=("search", {"query": "a"}))["error"]
    assert (missing["name"], missing["message"]) == ("AiSearchNotFoundError", "ai_search_not_found")
    wrong = call("AI_SEARCH.create", {"id": "No"})["error"]
    assert wrong["name"] == "AiSearchError"
    fault = {"binding": "AI_SEARCH", "status": 503, "code": 7017, "description": "unable_to_connect_to_ai_search"}
    http.post("/simulator/faults", json=fault).raise_for_status()
    broken = call("AI_SEARCH.list")["error"]
    assert (broken["name"], broken["message"]) == ("AiSearchInternalError", "unable_to_connect_to_ai_search")
