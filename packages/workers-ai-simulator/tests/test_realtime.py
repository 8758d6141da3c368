"""Realtime models by websocket, as the binding and a gateway's address call them."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import urlencode

import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from running_simulator import SimulatorProcess, until

FLUX, NOVA, AURA = "@cf/deepgram/flux", "@cf/deepgram/nova-3", "@cf/deepgram/aura-1"
RATE = 16_000
LINEAR = {"encoding": "linear16", "sample_rate": str(RATE)}


def sound(*parts: tuple[float, bool]) -> bytes:
    """Seconds of sound, each part loud or silent, as 16-bit samples."""
    amplitudes = [np.full(int(seconds * RATE), 5000 if is_loud else 0, dtype="<i2") for seconds, is_loud in parts]
    samples = np.concatenate(amplitudes)
    samples[::2] *= -1
    return samples.tobytes()


class Connection:
    """A websocket whose JSON messages are read as objects."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        assert socket.response
        self.id = socket.response.headers["cf-ai-req-id"]

    def send(self, message: bytes | dict[str, Any] | str) -> None:
        self.socket.send(json.dumps(message) if isinstance(message, dict) else message)

    def receive(self) -> Any:
        message = self.socket.recv(timeout=30)
        return json.loads(message) if isinstance(message, str) else message

    def rest(self) -> list[Any]:
        """All messages until the connection is closed."""
        messages: list[Any] = []
        try:
            while True:
                messages.append(self.receive())
        except ConnectionClosed:
            return messages


@contextmanager
def bound(process: SimulatorProcess, model: str, inputs: dict[str, Any], options: Any = None) -> Generator[Connection]:
    """`env.AI.run(model, inputs, {websocket: true})`, as the class `Ai` sends it."""
    body = json.dumps({"inputs": inputs, "options": {"websocket": True, **(options or {})}})
    url = f"{process.url.replace('http', 'ws')}/run?{urlencode({'version': 3, 'body': body})}"
    headers = {"cf-consn-sdk-version": "2.0.0", "cf-consn-model-id": model}
    with connect(url, additional_headers=headers) as socket:
        yield Connection(socket)


def refusal(process: SimulatorProcess, model: str, inputs: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Status and body of a call that is not upgraded."""
    with pytest.raises(InvalidStatus) as refused, bound(process, model, inputs):
        pass
    response = refused.value.response
    return response.status_code, json.loads(response.body or b"{}")


def listen(process: SimulatorProcess, audio: bytes, **inputs: Any) -> list[dict[str, Any]]:
    """Events of flux on the sound."""
    with bound(process, FLUX, LINEAR | inputs) as flux:
        flux.send(audio)
        flux.send({"type": "CloseStream"})
        return cast("list[dict[str, Any]]", flux.rest())


def events(messages: list[dict[str, Any]]) -> list[str]:
    return [each.get("event", each["type"]) for each in messages if each.get("event") != "Update"]


# ---- flux ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("http")
def test_flux_tells_turns_apart(simulator_process: SimulatorProcess) -> None:
    messages = listen(simulator_process, sound((0.5, False), (1, True), (1, False), (0.5, True), (0.2, False)))
    assert events(messages) == ["Connected", "StartOfTurn", "EndOfTurn", "StartOfTurn", "EndOfTurn"]
    assert [each["sequence_id"] for each in messages] == list(range(len(messages)))
    first, second = (each for each in messages if each.get("event") == "EndOfTurn")
    assert first["transcript"] == "This is a simulated transcript of 1.0 seconds of audio."
    assert [word["word"] for word in first["words"]] == first["transcript"].split()
    assert (first["turn_index"], second["turn_index"]) == (0, 1)
    assert (first["audio_window_start"], first["end_of_turn_confidence"]) == (0.5, 0.7)
    assert first["audio_window_end"] == 2.2
    assert {each["request_id"] for each in messages} == {messages[0]["request_id"]}
    updates = [each["audio_window_end"] for each in messages if each.get("event") == "Update"]
    assert updates[0] == 0.26, "about four times a second, before anybody speaks too"
    assert messages == [
        {**each, "request_id": messages[0]["request_id"]}
        for each in listen(simulator_process, sound((0.5, False), (1, True), (1, False), (0.5, True), (0.2, False)))
    ], "the same sound has the same events"


@pytest.mark.usefixtures("http")
def test_an_eager_end_is_taken_back_when_speech_goes_on(simulator_process: SimulatorProcess) -> None:
    audio = sound((1, True), (0.5, False), (1, True), (1, False))
    messages = listen(simulator_process, audio, eager_eot_threshold="0.4")
    assert events(messages) == [
        "Connected", "StartOfTurn", "EagerEndOfTurn", "TurnResumed", "EagerEndOfTurn", "EndOfTurn",
    ]  # fmt: skip
    eager, end = [each for each in messages if each.get("event") in ("EagerEndOfTurn", "EndOfTurn")][-2:]
    assert eager["transcript"] == end["transcript"] != ""
    timed_out = listen(simulator_process, sound((1, True), (1, False)), eot_threshold="0.9", eot_timeout_ms=500)
    assert [each["audio_window_end"] for each in timed_out if each.get("event") == "EndOfTurn"] == [1.5]


def test_a_turn_says_what_a_script_says(simulator_process: SimulatorProcess, http: httpx.Client) -> None:
    http.post("/simulator/answers", json={"model": FLUX, "text": "Turn on the light"})
    with bound(simulator_process, FLUX, LINEAR) as flux:
        assert flux.receive()["type"] == "Connected"
        flux.send(sound((0.1, True)))
        assert flux.receive()["transcript"] == "Turn"
        flux.send({"type": "ForceEndTurn"})
        assert flux.receive()["transcript"] == "Turn on the light"
        flux.send({"type": "Configure", "thresholds": {"eot_threshold": 0.8}})
        assert flux.receive()["thresholds"]["eot_threshold"] == 0.8
        flux.send({"type": "Configure", "thresholds": {"eot_threshold": 8}})
        assert flux.receive()["type"] == "ConfigureFailure"
        flux.send("{")
        assert [each["type"] for each in flux.rest()] == ["Error"]
    entry = http.get(f"/simulator/requests/{flux.id}").json()
    assert (entry["state"], entry["model"], entry["options"]["websocket"], entry["frames"]) == (
        "finished",
        FLUX,
        True,
        6,
    )


# ---- nova-3 --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("http")
def test_nova_has_interim_and_final_results(simulator_process: SimulatorProcess) -> None:
    inputs = LINEAR | {"interim_results": "true", "vad_events": True, "utterance_end_ms": "1000"}
    with bound(simulator_process, NOVA, inputs) as nova:
        nova.send({"type": "KeepAlive"})
        nova.send(sound((2.5, True), (2, False), (0.2, True)))
        nova.send({"type": "Finalize"})
        nova.send({"type": "CloseStream"})
        messages = nova.rest()
    kinds = [each["type"] for each in messages]
    assert kinds == [
        "SpeechStarted", "Results", "Results", "Results", "UtteranceEnd", "SpeechStarted", "Results", "Metadata",
    ]  # fmt: skip
    results = [each for each in messages if each["type"] == "Results"]
    assert [(each["is_final"], each["speech_final"], each["from_finalize"]) for each in results] == [
        (False, False, False), (False, False, False), (True, True, False), (True, False, True),
    ]  # fmt: skip
    final = results[2]
    assert (final["start"], final["duration"], final["channel_index"]) == (0, 2.9, [0, 1])
    words = final["channel"]["alternatives"][0]["words"]
    assert final["channel"]["alternatives"][0]["transcript"].startswith("This is a simulated transcript of 2.5")
    assert (words[0]["word"], words[0]["punctuated_word"], words[-1]["end"]) == ("this", "This", 2.5)
    assert messages[4]["last_word_end"] == 2.5
    assert (messages[-1]["duration"], messages[-1]["request_id"]) == (4.7, final["metadata"]["request_id"])


@pytest.mark.usefixtures("http")
def test_nova_reads_the_simulator_s_own_speech_exactly(simulator_process: SimulatorProcess, http: httpx.Client) -> None:
    spoken = http.post(
        "/run", json={"inputs": {"text": "Good morning"}, "options": {}}, headers={"cf-consn-model-id": AURA}
    )
    with bound(simulator_process, NOVA, {}) as nova:
        half = len(spoken.content) // 2
        nova.send(spoken.content[:half])
        nova.send(spoken.content[half:])
        nova.send(b"")
        results, metadata = nova.rest()
    assert results["channel"]["alternatives"][0]["transcript"] == "Good morning"
    assert metadata["type"] == "Metadata"


@pytest.mark.usefixtures("http")
def test_nova_says_what_it_does_not_understand(simulator_process: SimulatorProcess) -> None:
    with bound(simulator_process, NOVA, {}) as nova:
        for message in ("{", "[]", '{"type": "Sing"}', "[" * 5000):
            nova.send(message)
            answer = nova.receive()
            assert (answer["type"], answer["variant"]) == ("Error", "SchemaError")
        nova.send(b"no sound of any format")
        nova.send({"type": "Finalize"})
        assert nova.receive()["variant"] == "UnreadableAudio"


# ---- aura ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("http")
def test_aura_speaks_what_was_sent_at_each_flush(simulator_process: SimulatorProcess) -> None:
    with bound(simulator_process, AURA, {"encoding": "linear16", "sample_rate": 24_000, "speaker": "luna"}) as aura:
        assert aura.receive()["model_name"] == "aura-1-luna"
        aura.send({"type": "Speak", "text": "Never said."})
        aura.send({"type": "Clear"})
        assert aura.receive() == {"type": "Cleared", "sequence_id": 0}
        aura.send({"type": "Speak", "text": "Hello "})
        aura.send({"type": "Speak", "text": "world."})
        aura.send({"type": "Flush"})
        spoken: list[bytes] = []
        while isinstance(message := aura.receive(), bytes):
            spoken.append(message)
        assert message == {"type": "Flushed", "sequence_id": 1}
        aura.send({"type": "Speak", "text": "Bye."})
        aura.send({"type": "Close"})
        *last, flushed = aura.rest()
    assert {len(each) for each in spoken[:-1]} == {12_000}
    samples = np.frombuffer(b"".join(spoken), dtype="<i2")
    assert 0.5 < len(samples) / 24_000 < 1.5
    assert np.abs(samples).max() > 5000
    assert all(isinstance(each, bytes) for each in last)
    assert flushed["type"] == "Flushed"


@pytest.mark.usefixtures("http")
def test_aura_warns_and_goes_on(simulator_process: SimulatorProcess) -> None:
    with bound(simulator_process, AURA, {}) as aura:
        aura.receive()
        wrong: list[Any] = ["{", b"sound", {"type": "Speak"}, {"type": "Speak", "text": "a" * 2001}, {"type": "Sing"}]
        for message in wrong:
            aura.send(message)
            assert aura.receive()["type"] == "Warning"
        aura.send({"type": "Flush"})
        assert aura.receive() == {"type": "Flushed", "sequence_id": 0}


def test_flux_hears_what_aura_says(simulator_process: SimulatorProcess, http: httpx.Client) -> None:
    """The sound of one model is what the other takes: speech, and at its end silence."""
    with bound(simulator_process, AURA, {"encoding": "linear16", "sample_rate": RATE}) as aura:
        aura.send({"type": "Speak", "text": "How are you today?"})
        aura.send({"type": "Close"})
        spoken = b"".join(each for each in aura.rest() if isinstance(each, bytes))
    http.post("/simulator/answers", json={"model": FLUX, "text": "How are you today?"})
    messages = listen(simulator_process, spoken + sound((1, False)))
    assert events(messages) == ["Connected", "StartOfTurn", "EndOfTurn"]
    assert messages[-1]["transcript"] == "How are you today?" or messages[-1]["event"] == "Update"


# ---- connections ---------------------------------------------------------------------------------------------------


def test_a_gateway_s_address_connects_and_logs(simulator_process: SimulatorProcess, http: httpx.Client) -> None:
    query = urlencode({"model": FLUX, **LINEAR})
    url = f"{simulator_process.url.replace('http', 'ws')}/v1/any/voices/workers-ai?{query}"
    with connect(url, additional_headers={"cf-aig-metadata": '{"user": "anna"}'}) as socket:
        assert json.loads(socket.recv())["type"] == "Connected"
        socket.send(json.dumps({"type": "CloseStream"}))

    def logged() -> list[Any]:
        return [log for log in http.get("/simulator/gateway-logs").json() if log["gateway"] == "voices"]

    logs = until(logged, bool)
    assert [(log["model"], log["status_code"], log["metadata"]) for log in logs] == [(FLUX, 101, {"user": "anna"})]


def test_a_gateway_with_authentication_wants_a_token_or_a_subprotocol(
    simulator_process: SimulatorProcess, http: httpx.Client
) -> None:
    gateways = "/client/v4/accounts/any/ai-gateway/gateways"
    settings = {"cache_invalidate_on_update": False, "cache_ttl": 0, "collect_logs": True}
    limits = {"rate_limiting_interval": 0, "rate_limiting_limit": 0}
    http.post(gateways, json={"id": "closed", "authentication": True, **settings, **limits})
    url = f"{simulator_process.url.replace('http', 'ws')}/v1/any/closed/workers-ai?{urlencode({'model': AURA})}"
    with pytest.raises(InvalidStatus) as refused, connect(url):
        pass
    assert refused.value.response.status_code == 401
    with connect(url, subprotocols=cast("Any", ["cf-aig-authorization.any"])) as socket:
        assert socket.subprotocol == "cf-aig-authorization.any"


@pytest.mark.parametrize(
    ("model", "inputs", "status", "code"),
    [
        ("@cf/no/such", {}, 400, 5007),
        ("@cf/meta/llama-3.2-3b-instruct", {"prompt": "Hello"}, 400, 5006),
        (FLUX, {}, 400, 5006),
        (FLUX, LINEAR | {"encoding": "opus"}, 400, 5006),
        (FLUX, LINEAR | {"sample_rate": "x"}, 400, 5006),
        (FLUX, LINEAR | {"sample_rate": 0}, 400, 5006),
        (FLUX, LINEAR | {"eot_threshold": "2"}, 400, 5006),
        (NOVA, {"encoding": "linear16"}, 400, 5006),
        (NOVA, LINEAR | {"endpointing": True}, 400, 5006),
        (AURA, {"encoding": "mp3"}, 400, 5006),
        (AURA, {"speaker": "nobody"}, 400, 5006),
        (AURA, {"sample_rate": 11_025}, 400, 5006),
    ],
)
@pytest.mark.usefixtures("http")
def test_wrong_inputs_are_refused_before_the_upgrade(
    simulator_process: SimulatorProcess, model: str, inputs: dict[str, Any], status: int, code: int
) -> None:
    refused, body = refusal(simulator_process, model, inputs)
    assert (refused, body["internalCode"]) == (status, code)


def test_faults_and_scripts_refuse_and_cut_connections(simulator_process: SimulatorProcess, http: httpx.Client) -> None:
    http.post("/simulator/faults", json={"model": FLUX, "status": 429, "code": 3040})
    assert refusal(simulator_process, FLUX, LINEAR)[0] == 429
    http.post("/simulator/answers", json={"model": FLUX, "error": {"status": 500, "code": 8007}})
    assert refusal(simulator_process, FLUX, LINEAR)[1]["internalCode"] == 8007
    http.post("/simulator/faults", json={"model": FLUX, "cut_after_frames": 1})
    with bound(simulator_process, FLUX, LINEAR) as flux:
        flux.send(sound((1, True)))
        assert len(flux.rest()) == 1
        assert flux.socket.close_code == 1011
    with bound(simulator_process, FLUX, LINEAR) as left:
        left.receive()
    entry = http.get(f"/simulator/requests/{left.id}", params={"seconds": 10}).json()
    assert entry["state"] == "cancelled"


@pytest.mark.usefixtures("http")
def test_web_pages_of_others_may_not_connect(simulator_process: SimulatorProcess) -> None:
    url = f"{simulator_process.url.replace('http', 'ws')}/v1/any/mine/workers-ai?{urlencode({'model': AURA})}"
    with pytest.raises(InvalidStatus) as refused, connect(url, origin=cast("Any", "https://example.com")):
        pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("query", ["", "body={", "body=[]", "body={}", "body=" + "[" * 3000])
@pytest.mark.usefixtures("http")
def test_a_body_unlike_the_class_s_is_refused(simulator_process: SimulatorProcess, query: str) -> None:
    with pytest.raises(InvalidStatus) as refused, connect(f"{simulator_process.url.replace('http', 'ws')}/run?{query}"):
        pass
    assert refused.value.response.status_code == 400
