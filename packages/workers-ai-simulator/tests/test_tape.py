"""The tape: a second simulator with answers of its own is the service that is recorded."""

import asyncio
import base64
import contextlib
import json
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from running_simulator import SimulatorProcess
from workers_ai_simulator.__main__ import main
from workers_ai_simulator.ai_search.service import AiSearch
from workers_ai_simulator.gateway.service import Gateways
from workers_ai_simulator.inference.answers import ANSWERS
from workers_ai_simulator.inference.models import ModelCall
from workers_ai_simulator.server import application
from workers_ai_simulator.tape.errors import TapeError
from workers_ai_simulator.tape.models import Question, RecordedAnswer
from workers_ai_simulator.tape.options import Mode
from workers_ai_simulator.tape.secrets import Secrets
from workers_ai_simulator.tape.service import Service
from workers_ai_simulator.tape.store import TapeFolder
from workers_ai_simulator.tape.tape import Tape
from workers_ai_simulator.vectorize.store import VectorStore

NATIVE = "@cf/meta/llama-3.1-8b-instruct-fast"
GPT_OSS = "@cf/openai/gpt-oss-20b"
ACCOUNT = "0123456789abcdef0123456789abcdef"
TOKEN = "v1_secret-token-of-the-account-0123456789"
REST = "/client/v4/accounts/any/ai"
HELLO = [{"role": "user", "content": "Hello"}]


@asynccontextmanager
async def simulator(
    mode: Mode, folder: Path, service: str | httpx.AsyncClient | None = None, pace: float | None = 0
) -> AsyncGenerator[httpx.AsyncClient]:
    """A simulator with a tape, and a client of it. It calls the service at that address, or of that client."""
    url = str(service.base_url).rstrip("/") if isinstance(service, httpx.AsyncClient) else service
    recorded = Service(f"{url}/client/v4", ACCOUNT, TOKEN) if url else None
    tape_folder = TapeFolder(folder)
    tape_folder.open(is_new=service is not None)
    tape = Tape(mode, tape_folder, recorded, Secrets([ACCOUNT, TOKEN]), pace)
    stores = VectorStore(None, 0), Gateways(), AiSearch(ANSWERS, None, 0)
    app = application(*stores, tape=tape)
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            client.headers["authorization"] = "Bearer any"
            yield client
    finally:
        await tape.close()


async def run(client: httpx.AsyncClient, model: str, inputs: Mapping[str, Any], **options: Any) -> httpx.Response:
    """Call a model as the `Ai` class does."""
    body = {"inputs": inputs, "options": options}
    return await client.post("/run?version=3", json=body, headers={"cf-consn-model-id": model})


@pytest.fixture
async def service(simulator_process: SimulatorProcess) -> AsyncIterator[httpx.AsyncClient]:
    """Client of the simulator that is the service, whose answers tests set."""
    async with httpx.AsyncClient(base_url=simulator_process.url, timeout=60) as client:
        yield client
        await client.delete("/simulator/faults")
        await client.delete("/simulator/answers")


def names(folder: Path, pattern: str = "*") -> list[str]:
    return sorted(file.name for file in folder.glob(pattern))


def texts(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in sorted(folder.glob("*.json"))}


def text_of(stream: httpx.Response) -> str:
    """Text of a stream in the native dialect."""
    frames = [line.removeprefix("data: ") for line in stream.text.splitlines() if line.startswith("data: {")]
    return "".join(json.loads(frame)["response"] for frame in frames)


async def journal(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    return (await client.get("/simulator/requests")).json()


# ---- a service that is stopped -------------------------------------------------------------------------------------

TONE = base64.b64decode("UklGRiYAAABXQVZFZm10IBAAAAABAAEAgD4AAAB9AAACABAAZGF0YQIAAAAAAA==")
"""A WAV file of one sample."""
JSON_CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "a text": (f"{REST}/run/{NATIVE}", {"prompt": "Hello"}),
    "a stream": (f"{REST}/run/{NATIVE}", {"prompt": "Hello", "stream": True}),
    "the model in the body": (f"{REST}/run", {"model": NATIVE, "input": {"prompt": "Ahoy"}}),
    "chat completions": (f"{REST}/v1/chat/completions", {"model": GPT_OSS, "messages": HELLO}),
    "their stream": (f"{REST}/v1/chat/completions", {"model": GPT_OSS, "messages": HELLO, "stream": True}),
    "responses": (f"{REST}/v1/responses", {"model": GPT_OSS, "input": "Hello"}),
    "their events": (f"{REST}/v1/responses", {"model": GPT_OSS, "input": "Hello", "stream": True}),
    "Anthropic's messages": (f"{REST}/v1/messages", {"model": GPT_OSS, "max_tokens": 50, "messages": HELLO}),
    "vectors": (f"{REST}/run/@cf/baai/bge-m3", {"text": ["Hello", "Good day"]}),
    "OpenAI's embeddings": (f"{REST}/v1/embeddings", {"model": "@cf/baai/bge-small-en-v1.5", "input": "Hello"}),
    "a picture": (f"{REST}/run/@cf/lykon/dreamshaper-8-lcm", {"prompt": "a hill", "width": 256, "height": 256}),
    "a voice": (f"{REST}/run/@cf/deepgram/aura-1", {"text": "Hello"}),
    "a batch": (f"{REST}/run/@cf/baai/bge-m3?queueRequest=true", {"requests": [{"text": "Hello"}]}),
    "a wrong input": (f"{REST}/run/{NATIVE}", {"prompt": 5}),
    "an unknown model": (f"{REST}/run/@cf/no/model", {"prompt": "Hello"}),
    "a gateway": (f"/v1/any/mine/workers-ai/{NATIVE}", {"prompt": "By a gateway"}),
}
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (path, {"json": body}) for name, (path, body) in JSON_CALLS.items()},
    "a sound": (f"{REST}/run/@cf/openai/whisper", {"content": TONE, "headers": {"content-type": "audio/wav"}}),
    "a form": (
        f"{REST}/run/@cf/black-forest-labs/flux-2-klein-4b",
        {"files": {"prompt": (None, "a hill"), "width": (None, "256"), "height": (None, "256")}},
    ),
    "a binding": (
        "/run?version=3",
        {"json": {"inputs": {"prompt": "Good day"}, "options": {}}, "headers": {"cf-consn-model-id": NATIVE}},
    ),
    "a binding's picture": (
        "/run?version=3",
        {
            "json": {"inputs": {"prompt": "a hill", "width": 256, "height": 256, "seed": 1}, "options": {}},
            "headers": {"cf-consn-model-id": "@cf/lykon/dreamshaper-8-lcm"},
        },
    ),
}


SAME_AS_DIRECT = ("a text", "a stream", "vectors", "a picture", "a voice")
"""Calls whose answers have no id or time that is new each time."""


def same(response: httpx.Response) -> tuple[int, str, bytes]:
    """Status, content type and body."""
    return response.status_code, response.headers["content-type"], response.content


SCRIPT = {"count": None, "model": "@cf/*", "prompt": "Hello", "text": "Another naïve 東京 text"}


async def test_recorded_answers_are_replayed_byte_for_byte(tmp_path: Path, service: httpx.AsyncClient) -> None:
    await service.post("/simulator/answers", json=SCRIPT)
    async with simulator("record", tmp_path, service) as client:
        recorded = {name: same(await client.post(path, **parts)) for name, (path, parts) in CALLS.items()}
    service.headers["authorization"] = "Bearer any"
    direct = {name: (await service.post(CALLS[name][0], **CALLS[name][1])).content for name in SAME_AS_DIRECT}
    async with simulator("replay", tmp_path) as client:  # which knows no service
        replayed = {name: same(await client.post(path, **parts)) for name, (path, parts) in CALLS.items()}
    assert replayed == recorded
    assert {name: replayed[name][2] for name in direct} == direct
    assert "Another naïve 東京 text" in replayed["chat completions"][2].decode()
    assert {name for name, (status, _, _) in replayed.items() if status != 200} == {"a wrong input", "an unknown model"}
    assert len(texts(tmp_path)) == len(CALLS)


@pytest.mark.nightly  # starts three processes
def test_the_command_replays_with_the_service_stopped_what_it_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "answers.json").write_text(json.dumps(SCRIPT))
    service = SimulatorProcess("--answers", tmp_path / "answers.json")
    monkeypatch.setenv("CLOUDFLARE_API_BASE_URL", f"{service.url}/client/v4")
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", ACCOUNT)
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", TOKEN)
    recorder = SimulatorProcess("--record", tmp_path / "tape")
    with recorder.client() as client:
        recorded = {name: same(client.post(path, **parts)) for name, (path, parts) in CALLS.items()}
    recorder.stop()
    service.stop()
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN")
    replayer = SimulatorProcess("--replay", tmp_path / "tape")
    with replayer.client() as client:
        assert {name: same(client.post(path, **parts)) for name, (path, parts) in CALLS.items()} == recorded
    replayer.stop()


# ---- a service that answers exact bytes ----------------------------------------------------------------------------


@asynccontextmanager
async def stub(*responses: bytes) -> AsyncGenerator[tuple[str, list[bytes]]]:
    """Address of a server that answers these bytes in turn, and the requests that it has got."""
    waiting, requests = iter(responses), list[bytes]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
        requests.append(head + await reader.readexactly(length))
        writer.write(next(waiting))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}", requests


def response(body: bytes, content_type: str = "application/json", status: str = "200 OK", *more: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"content-type: {content_type}", f"content-length: {len(body)}", *more, "", ""]
    return "\r\n".join(head).encode() + body


ODD = [
    b'{"result":{"response":"caf\xc3\xa9","score":1e21,"small":-0.0,"n":1.50},"success":true,"errors":[],"messages":[]}',
    b'{ "result": {"response": "caf\\u00e9 \\ud83d"}, "success": true }\n',
    b'{"result":{"a":1,"a":2},"success":true}',
    b'{"result":[[0.1,2E5,-3],[]],"success":true}',
]


async def test_a_body_has_the_same_bytes_however_it_is_written(tmp_path: Path) -> None:
    questions = [{"prompt": str(number)} for number in range(len(ODD))]
    async with stub(*map(response, ODD)) as (url, _), simulator("record", tmp_path, url) as client:
        recorded = [await client.post(f"{REST}/run/{NATIVE}", json=each) for each in questions]
    files = texts(tmp_path).values()
    async with simulator("replay", tmp_path) as client:
        replayed = [await client.post(f"{REST}/run/{NATIVE}", json=each) for each in questions]
        bound = [(await run(client, NATIVE, each)).json() for each in questions]
    assert [each.content for each in recorded] == [each.content for each in replayed] == ODD
    assert bound == [json.loads(each)["result"] for each in ODD]
    # as JSON with its own numbers where that has the same bytes, else as text
    kinds = {json.loads(text)["question"]["inputs"]["prompt"]: [*json.loads(text)["answer"]][-1] for text in files}
    assert kinds == {"0": "json", "1": "text", "2": "text", "3": "json"}
    assert any('"score": 1e21, "small": -0.0, "n": 1.50' in text for text in files)


STREAM = 'data: {"response":"It ","p":"x"}\n\ndata: {"response": "rains"}\r\n\r\n: a comment\n\ndata: [DONE]\n\n'


async def test_a_stream_s_file_has_a_line_for_each_frame_and_gives_the_same_bytes(tmp_path: Path) -> None:
    inputs = {"prompt": "Oslo", "stream": True}
    stream = response(STREAM.encode(), "text/event-stream")
    async with stub(stream) as (url, _), simulator("record", tmp_path, url) as client:
        recorded = await run(client, NATIVE, inputs)
        [entry] = await journal(client)
    [(name, text)] = texts(tmp_path).items()
    assert entry["tape"] == name
    assert name.startswith("llama-3.1-8b-instruct-fast-")
    assert name.endswith("-1.json")
    lines = [line.strip() for line in text.splitlines()]
    assert sum(line.startswith('{"at": ') for line in lines) == 4
    assert any(line.endswith('"data": {"response": "It ", "p": "x"}},') for line in lines)
    async with simulator("replay", tmp_path) as client:
        assert (await run(client, NATIVE, inputs)).content == recorded.content == STREAM.encode()


async def test_frames_come_at_their_recorded_times_unless_a_pace_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = response(STREAM.encode(), "text/event-stream")
    async with stub(stream) as (url, _), simulator("record", tmp_path, url) as client:
        await run(client, NATIVE, {"prompt": "Oslo", "stream": True})
    [(name, text)] = texts(tmp_path).items()
    call = json.loads(text)
    for number, frame in enumerate(call["answer"]["frames"]):
        frame["at"] = 100 * (number + 1)
    (tmp_path / name).write_text(json.dumps(call))
    waits: list[float] = []

    async def no_sleep(seconds: float) -> None:
        waits.append(round(seconds))

    monkeypatch.setattr(asyncio, "sleep", no_sleep)
    for pace, expected in ((None, [100, 200, 300, 400]), (0, []), (0.5, [2, 2, 2, 2])):
        waits.clear()
        async with simulator("replay", tmp_path, pace=pace) as client:
            assert (await run(client, NATIVE, {"prompt": "Oslo", "stream": True})).text == STREAM
        assert waits == expected


async def test_secrets_are_not_on_the_tape(tmp_path: Path) -> None:
    key = "sk-proj-abcdefghijklmnopqrstuvwxyz"
    inputs = {
        "prompt": f"My token is {TOKEN}",
        "tools": [{"type": "mcp", "headers": {"Authorization": "Bearer short"}, "api_key": "hunter2"}],
        "audio": [{"note": f"Bearer {key}"}],
    }
    body = json.dumps({"result": {"response": f"{ACCOUNT} {TOKEN}"}, "success": True}).encode()
    frames = f'data: {{"response":"{TOKEN}"}}\n\ndata: [DONE]\n\n'.encode()
    async with (
        stub(
            response(body, "application/json", "200 OK", f"set-cookie: session={TOKEN}"),
            response(frames, "text/event-stream"),
        ) as (url, requests),
        simulator("record", tmp_path, url) as client,
    ):
        whole = await client.post(f"{REST}/run/{NATIVE}", json=inputs, headers={"authorization": f"Bearer {key}"})
        stream = await run(client, NATIVE, {**inputs, "stream": True})
    assert f"/accounts/{ACCOUNT}/ai/run/{NATIVE}".encode() in requests[0]
    assert f"authorization: bearer {TOKEN}".encode() in requests[0].lower()
    assert b"hunter2" in requests[0]
    on_tape = b"".join(name.encode() + (tmp_path / name).read_bytes() for name in names(tmp_path))
    for secret in (ACCOUNT, TOKEN, key, "hunter2", "Bearer short", "set-cookie", "session="):
        assert secret.encode() not in on_tape
    assert on_tape.count(b"[left out]") >= 8
    async with simulator("replay", tmp_path) as client:
        assert (await client.post(f"{REST}/run/{NATIVE}", json=inputs)).content == whole.content
        assert (await run(client, NATIVE, {**inputs, "stream": True})).content == stream.content


CUT = {
    "a stream": (f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9999\r\n\r\n{STREAM[:40]}"),
    "a text": 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n{"result":',
    "a picture": "HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 9999\r\n\r\n\x89PNG",
    "nothing": "",
}


@pytest.mark.parametrize("answer", CUT)
async def test_an_answer_that_is_cut_leaves_no_file(tmp_path: Path, answer: str) -> None:
    inputs = {"prompt": "Oslo", "stream": answer == "a stream"}
    async with stub(CUT[answer].encode("latin-1")) as (url, _), simulator("record", tmp_path, url) as client:
        if answer == "a stream":
            with pytest.raises(ConnectionAbortedError, match="broke off"):
                await run(client, NATIVE, inputs)
        else:
            refusal = await run(client, NATIVE, inputs)
            assert (refusal.status_code, refusal.json()["internalCode"]) == (502, 8007)
        [entry] = await journal(client)
    assert (entry["state"], entry["tape"]) == ("failed", "")
    assert names(tmp_path) == []


REFUSALS = [
    ("401 Unauthorized", b'{"success":false,"errors":[{"code":10000,"message":"Authentication error"}]}'),
    ("404 Not Found", b'{"success":false,"errors":[{"code":7003,"message":"Could not route to /accounts/x"}]}'),
    ("429 Too Many Requests", b'{"success":false,"errors":[{"code":3040,"message":"AiError: AiError: Busy"}]}'),
    ("500 Internal Server Error", b"oops"),
    ("200 OK", b'{"success":true,"result":null}'),
]


@pytest.mark.parametrize(("status", "body"), REFUSALS)
async def test_a_refusal_that_is_no_answer_to_the_question_is_passed_on_and_not_recorded(
    tmp_path: Path, status: str, body: bytes
) -> None:
    refusal = response(body, "application/json", status)
    async with stub(refusal) as (url, _), simulator("record", tmp_path, url) as client:
        answer = await run(client, NATIVE, {"prompt": "Oslo"})
    expected = 502 if status == "200 OK" else int(status[:3])
    assert answer.status_code == expected
    assert texts(tmp_path) == {}


async def test_an_error_of_the_model_is_worded_for_the_binding_as_the_binding_has_it(
    tmp_path: Path, service: httpx.AsyncClient
) -> None:
    async with simulator("record", tmp_path, service) as client:
        bound = await run(client, NATIVE, {"prompt": 5})
        by_rest = await client.post(f"{REST}/run/{NATIVE}", json={"prompt": 6})
    direct = await service.post(
        "/run", json={"inputs": {"prompt": 5}, "options": {}}, headers={"cf-consn-model-id": NATIVE}
    )
    assert (bound.status_code, bound.json()) == (direct.status_code, direct.json())
    async with simulator("replay", tmp_path) as client:
        assert (await run(client, NATIVE, {"prompt": 5})).json() == direct.json()
        assert (await client.post(f"{REST}/run/{NATIVE}", json={"prompt": 6})).content == by_rest.content


# ---- what is on a tape ---------------------------------------------------------------------------------------------


async def test_a_call_by_the_binding_is_replayed_by_rest_and_the_other_way_round(
    tmp_path: Path, service: httpx.AsyncClient
) -> None:
    async with simulator("record", tmp_path, service) as client:
        bound = await run(client, NATIVE, {"prompt": "Oslo"})
        by_rest = await client.post(f"{REST}/run/@cf/lykon/dreamshaper-8-lcm", json={"prompt": "a hill"})
    assert sorted(name.rpartition(".")[2] for name in names(tmp_path)) == ["json", "json", "png"]
    [picture] = names(tmp_path, "*.answer.png")
    assert (tmp_path / picture).read_bytes() == by_rest.content
    async with simulator("replay", tmp_path) as client:
        assert (await client.post(f"{REST}/run/{NATIVE}", json={"prompt": "Oslo"})).json()["result"] == bound.json()
        assert (await run(client, "@cf/lykon/dreamshaper-8-lcm", {"prompt": "a hill"})).content == by_rest.content


async def test_equal_calls_get_their_answers_in_order_and_then_the_last_one(
    tmp_path: Path, service: httpx.AsyncClient
) -> None:
    await service.post("/simulator/answers", json=[{"text": "first"}, {"text": "second"}, {"text": "third"}])
    async with simulator("record", tmp_path, service) as client:
        for _ in range(3):
            await run(client, NATIVE, {"prompt": "Oslo"})
    async with simulator("replay", tmp_path) as client:
        replayed = [(await run(client, NATIVE, {"prompt": "Oslo"})).json()["response"] for _ in range(4)]
    assert replayed == ["first", "second", "third", "third"]
    await service.post("/simulator/answers", json={"text": "anew"})
    async with simulator("record", tmp_path, service) as client:
        await run(client, NATIVE, {"prompt": "Oslo"})
    assert len(texts(tmp_path)) == 1
    async with simulator("replay", tmp_path) as client:
        assert (await run(client, NATIVE, {"prompt": "Oslo"})).json()["response"] == "anew"


async def test_missing_calls_are_recorded_and_the_rest_is_replayed(tmp_path: Path, service: httpx.AsyncClient) -> None:
    await service.post("/simulator/answers", json=[{"text": "recorded"}])
    async with simulator("record", tmp_path, service) as client:
        await run(client, NATIVE, {"prompt": "Oslo"})
    before = texts(tmp_path)
    await service.post("/simulator/answers", json=[{"text": "again"}, {"text": "another"}])
    prompts = ["Oslo", "Oslo", "Bergen"]
    async with simulator("record-missing", tmp_path, service) as client:
        replies = [(await run(client, NATIVE, {"prompt": each})).json()["response"] for each in prompts]
    assert replies == ["recorded", "again", "another"]
    assert before.items() <= texts(tmp_path).items()
    async with simulator("replay", tmp_path) as client:
        assert [(await run(client, NATIVE, {"prompt": each})).json()["response"] for each in prompts] == replies


async def test_a_call_that_is_not_on_the_tape_names_the_nearest_and_the_first_field_that_differs(
    tmp_path: Path, service: httpx.AsyncClient
) -> None:
    def chat(text: str, **more: Any) -> dict[str, Any]:
        system = {"role": "system", "content": "You are a weather service of few words, and you never apologise."}
        return {"messages": [system, {"role": "user", "content": text}], **more}

    async with simulator("record", tmp_path, service) as client:
        await run(client, GPT_OSS, chat("How is Bergen today?"))
        near = await run(client, NATIVE, chat("How is Oslo today?", max_tokens=50))
        await run(client, NATIVE, {"prompt": "Hello"})
        nearest = next(each["tape"] for each in await journal(client) if each["id"] == near.headers["cf-ai-req-id"])
    async with simulator("replay", tmp_path) as client:
        other = await run(client, NATIVE, chat("How is Paris today?", max_tokens=50))
        more = await client.post(f"{REST}/run/{NATIVE}", json=chat("How is Oslo today?", max_tokens=60, seed=1))
        model = await run(client, "@cf/meta/llama-3.2-1b-instruct", {"prompt": "Hello"})
        entry = (await journal(client))[0]
    assert (other.status_code, other.json()["internalCode"]) == (400, 601)
    assert other.json()["description"] == (
        f"No answer to this call of {NATIVE} is on the tape {tmp_path}. The nearest recorded call is {nearest}, and "
        "the first field that differs is inputs/messages/1/content: recorded “How is Oslo today?”, called “How is "
        f"Paris today?”. Record it: --record-missing {tmp_path}"
    )
    assert entry["error"].startswith("601: No answer to this call")
    [error] = more.json()["errors"]
    assert error["code"] == 601
    assert (
        f"{nearest}, and the first field that differs is inputs/max_tokens: recorded 50, called 60." in error["message"]
    )
    assert f"is model: recorded “{NATIVE}”, called “@cf/meta/llama-3.2-1b-instruct”" in model.json()["description"]


async def test_an_empty_tape_says_so(tmp_path: Path) -> None:
    async with simulator("replay", tmp_path) as client:
        refusal = await run(client, NATIVE, {"prompt": "Oslo"})
        about = (await client.get("/simulator")).json()["tape"]
    assert "it has no calls. Record it: --record-missing" in refusal.json()["description"]
    assert about == {"mode": "replay", "folder": str(tmp_path), "calls": 0, "service": None}


async def test_faults_and_scripted_answers_come_before_the_tape(tmp_path: Path, service: httpx.AsyncClient) -> None:
    async with simulator("record", tmp_path, service) as client:
        await run(client, NATIVE, {"prompt": "Oslo", "stream": True})
    async with simulator("replay", tmp_path) as client:
        await client.post("/simulator/answers", json={"text": "scripted", "prompt": "Oslo"})
        await client.post("/simulator/faults", json={"status": 429, "code": 3040})
        faulty = await run(client, NATIVE, {"prompt": "Oslo", "stream": True})
        scripted = await run(client, NATIVE, {"prompt": "Oslo", "stream": True})
        taped = await run(client, NATIVE, {"prompt": "Oslo", "stream": True})
        await client.post("/simulator/answers", json={"model": "@cf/baai/*", "simulated": True, "count": None})
        simulated = await run(client, "@cf/baai/bge-m3", {"text": "Oslo"})
        await client.post("/simulator/faults", json={"end_after_frames": 1})
        cut = await run(client, NATIVE, {"prompt": "Oslo", "stream": True})
        entries = await journal(client)
    assert faulty.status_code == 429
    assert text_of(scripted) == "scripted"
    assert text_of(taped).startswith("This is a simulated answer in place of")
    assert simulated.json()["shape"] == [1, 1024]
    assert cut.text == taped.text.partition("\n\n")[0] + "\n\n"
    assert [bool(each["tape"]) for each in entries] == [False, False, True, False, True]


async def test_a_gateway_in_front_of_the_tape_caches_and_logs(tmp_path: Path, service: httpx.AsyncClient) -> None:
    gateway = {"id": "mine", "cacheTtl": 60}
    async with simulator("record", tmp_path, service) as client:
        first = await run(client, NATIVE, {"prompt": "Oslo"}, gateway=gateway)
        second = await run(client, NATIVE, {"prompt": "Oslo"}, gateway=gateway)
    assert [each.headers["cf-aig-cache-status"] for each in (first, second)] == ["MISS", "HIT"]
    assert len(texts(tmp_path)) == 1
    async with simulator("replay", tmp_path) as client:
        replayed = await run(client, NATIVE, {"prompt": "Oslo"}, gateway=gateway)
        [log] = (await client.get("/simulator/gateway-logs")).json()
    assert replayed.content == first.content
    assert log["tokens_out"] == first.json()["usage"]["completion_tokens"]


async def test_a_caller_that_leaves_a_stream_leaves_no_file(tmp_path: Path, service: httpx.AsyncClient) -> None:
    await service.post("/simulator/faults", json={"hold_after_frames": 2})
    async with simulator("record", tmp_path, service) as client:
        calling = asyncio.create_task(run(client, NATIVE, {"prompt": "Oslo", "stream": True}))
        while not [each for each in await journal(client) if each["frames"] == 2]:
            await client.get("/simulator/requests", params={"since": 0, "seconds": 1})
        calling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await calling
    await service.delete("/simulator/faults")
    assert names(tmp_path) == []


async def test_a_stream_is_on_the_tape_before_its_caller_has_the_last_frame(tmp_path: Path) -> None:
    async with stub(response(STREAM.encode(), "text/event-stream")) as (url, _):
        tape = Tape("record", TapeFolder(tmp_path), Service(f"{url}/client/v4", ACCOUNT, TOKEN))
        taped = await tape.answer(ModelCall(NATIVE, {"prompt": "Oslo", "stream": True}), lambda _: None)
        assert isinstance(taped.answer, AsyncGenerator)
        files = {frame: names(tmp_path, "*.json") async for frame in taped.answer}
        await tape.close()
    assert [bool(each) for each in files.values()] == [False, False, False, True]


async def test_the_rest_of_a_sound_s_options_go_to_the_service_beside_it(tmp_path: Path) -> None:
    body = b'{"result":{"text":"Hello"},"success":true}'
    async with stub(response(body), response(body)) as (url, requests), simulator("record", tmp_path, url) as client:
        headers = {"cf-consn-model-id": "@cf/deepgram/nova-3", "content-type": "audio/wav"}
        query = {"version": "3", "userInputs": json.dumps({"language": "en", "tokens": "no"})}
        spoken = await client.post("/run", params=query, content=TONE, headers=headers)
        form = {"prompt": (None, "a hill"), "input_image_0": ("a.png", b"\x89PNG bytes", "image/png")}
        await client.post("/run", headers={"cf-consn-model-id": "@cf/black-forest-labs/flux-2-dev"}, files=form)
    assert spoken.json() == {"text": "Hello"}
    assert requests[0].startswith(
        f"POST /client/v4/accounts/{ACCOUNT}/ai/run/@cf/deepgram/nova-3?language=en&".encode()
    )
    assert b"content-type: audio/wav" in requests[0].lower()
    assert requests[0].endswith(TONE)
    assert b'name="input_image_0"' in requests[1]
    assert b'name="prompt"\r\n\r\na hill' in requests[1]
    assert sorted(name.rpartition(".")[2] for name in names(tmp_path)) == ["json", "json", "png", "wav"]


async def test_another_vendor_s_model_is_asked_through_its_gateway(tmp_path: Path) -> None:
    body = b'{"result":{"choices":[]},"success":true}'
    async with stub(response(body)) as (url, requests), simulator("record", tmp_path, url) as client:
        await run(client, "openai/gpt-5-mini", {"messages": HELLO}, gateway={"id": "mine"})
    assert requests[0].startswith(f"POST /client/v4/accounts/{ACCOUNT}/ai/run HTTP".encode())
    assert b"cf-aig-gateway-id: mine" in requests[0].lower()
    assert json.loads(requests[0].partition(b"\r\n\r\n")[2]) == {
        "model": "openai/gpt-5-mini",
        "input": {"messages": HELLO},
    }


# ---- files that cannot be read -------------------------------------------------------------------------------------

GOOD: dict[str, Any] = {
    "tape": 1,
    "question": {"model": NATIVE, "inputs": {"prompt": "Oslo"}},
    "answer": {
        "status": 200,
        "content_type": "application/json",
        "seconds": 1,
        "json": {"result": {}, "success": True},
    },
}
UNREADABLE = {
    "not JSON": ("{", "cannot be read: Expecting"),
    "another file": ("[]", 'cannot be read: it has no "tape": 1'),
    "another version": (json.dumps({**GOOD, "tape": 2}), 'it has no "tape": 1'),
    "no question": (json.dumps({"tape": 1, "answer": {}}), "lacks 'question'"),
    "no model": (json.dumps({**GOOD, "question": {"inputs": {}}}), "lacks 'model'"),
    "inputs": (json.dumps({**GOOD, "question": {"model": "a", "inputs": 5}}), "its inputs are no object"),
    "no answer": (json.dumps({**GOOD, "answer": {"status": 200, "content_type": ""}}), "none of json, text, frames"),
    "a frame": (
        json.dumps({**GOOD, "answer": {"status": 200, "content_type": "", "frames": [{"at": 1}]}}),
        "lacks 'text'",
    ),
    "a file": (
        json.dumps({**GOOD, "answer": {"status": 200, "content_type": "", "file": "../a.png"}}),
        "there is no file ../a.png beside it",
    ),
    "not UTF-8": (b"\xff\xfe", "cannot be read"),
}


@pytest.mark.parametrize("fault", UNREADABLE)
def test_a_file_that_cannot_be_read_is_named_at_the_start(tmp_path: Path, fault: str) -> None:
    content, reason = UNREADABLE[fault]
    (tmp_path / "good-1.json").write_text(json.dumps(GOOD))
    (tmp_path / "bad-1.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    (tmp_path / ".left.partial").write_text("behind")
    with pytest.raises(TapeError, match=r"bad-1\.json") as error:
        TapeFolder(tmp_path).open(is_new=False)
    assert reason in str(error.value)
    assert "good-1" not in str(error.value)
    assert not (tmp_path / ".left.partial").exists()


async def test_a_tape_that_has_changed_meanwhile_says_so(tmp_path: Path) -> None:
    (tmp_path / "a-1.json").write_text(json.dumps(GOOD))
    async with simulator("replay", tmp_path) as client:
        assert (await run(client, NATIVE, {"prompt": "Oslo"})).json() == {}
        (tmp_path / "a-1.json").write_text("{")
        changed = await run(client, NATIVE, {"prompt": "Oslo"})
        unknown = await run(client, NATIVE, {"prompt": "Bergen"})
    assert changed.status_code == 500
    assert "a-1.json cannot be read" in changed.json()["description"]
    assert "a-1.json cannot be read" in unknown.json()["description"]


@pytest.mark.parametrize(
    ("content_type", "end"),
    [
        ("audio/wav", ".wav"), ("audio/ogg", ".ogg"), ("audio/flac", ".flac"), ("audio/mp4", ".m4a"),
        ("audio/mpeg", ".mp3"), ("image/webp", ".webp"), ("Image/JPEG; q=1", ".jpg"), ("audio/odd", ".bin"),
    ],
)  # fmt: skip
def test_an_answer_s_file_ends_as_its_media_type_says_on_every_machine(
    tmp_path: Path, content_type: str, end: str
) -> None:
    folder = TapeFolder(tmp_path)
    (media := folder.partial_file("new")).write_bytes(b"any")
    folder.add(Question("@cf/a/b", {}, {}, None, {}, ""), RecordedAnswer(200, content_type, 0), 1, media)
    assert [file.suffix for file in tmp_path.glob("*.answer*")] == [end]


# ---- the command ---------------------------------------------------------------------------------------------------

BOTH = {"CLOUDFLARE_ACCOUNT_ID": "a", "CLOUDFLARE_API_TOKEN": "b"}
WRONG: list[tuple[list[str], dict[str, str], int, str]] = [
    (["--record", "DIR"], {}, 2, "--record calls Cloudflare: set CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_API_TOKEN."),
    (
        ["--record-missing", "DIR"],
        {"CLOUDFLARE_ACCOUNT_ID": "a"},
        2,
        "--record-missing calls Cloudflare: set CLOUDFLARE_API",
    ),
    (["--record", "DIR"], BOTH | {"CLOUDFLARE_API_BASE_URL": "ftp://a"}, 2, "ftp://a is no URL of the form https://"),
    (["--record", "DIR", "--replay", "DIR"], BOTH, 2, "argument --replay: not allowed with argument --record"),
    (["--replay", "DIR", "--speech", "base.en"], {}, 2, "--replay and --speech cannot be used together"),
    (["--replay", "DIR/none"], {}, 1, "--replay: there is no folder"),
    (["--replay", "DIR/my tape"], {}, 1, "/my tape'"),
    (["--record", "DIR/file"], BOTH, 1, "File exists"),
]


@pytest.mark.parametrize(("arguments", "environment", "status", "sentence"), WRONG)
def test_wrong_options_are_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: list[str], environment: dict[str, str], status: int, sentence: str,
) -> None:  # fmt: skip
    (tmp_path / "file").write_text("")
    for name in (*BOTH, "CLOUDFLARE_API_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    command = ["workers-ai-simulator", *(each.replace("DIR", str(tmp_path)) for each in arguments)]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as exit_:
        main()
    message = capsys.readouterr().err or str(exit_.value.code)
    assert sentence in message
    assert exit_.value.code == status or (status == 1 and exit_.value.code == message)
