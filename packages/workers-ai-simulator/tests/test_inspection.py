"""The API behind the simulator's page: calls as they were sent, replays, sums of gateways, indexes, instances."""

import base64
import json
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.types import Message

from workers_ai_simulator.traffic import exchanges
from workers_ai_simulator.traffic.credentials import REMOVED, without_credentials
from workers_ai_simulator.traffic.exchanges import KEY, Exchanges, Recording, new_exchange
from workers_ai_simulator.traffic.journal import Entry
from workers_ai_simulator.traffic.media_parts import media_parts

MODEL = "@cf/meta/llama-3.1-8b-instruct-fast"
OTHER = "@cf/meta/llama-3.2-3b-instruct"
PAINTER = "@cf/black-forest-labs/flux-1-schnell"
EMBEDDER = "@cf/baai/bge-base-en-v1.5"
ACCOUNT = "/client/v4/accounts/any"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)


def run(http: httpx.Client, inputs: dict[str, Any], model: str = MODEL, **options: Any) -> str:
    """Call a model as the `Ai` class does. Returns the id of the call."""
    headers = {"cf-consn-model-id": model}
    response = http.post("/run?version=3", json={"inputs": inputs, "options": options}, headers=headers)
    return response.headers.get("cf-ai-req-id", "")  # none if a gateway's cache has answered


def exchange(http: httpx.Client, call: str) -> dict[str, Any]:
    response = http.get(f"/simulator/requests/{call}/exchange")
    assert response.status_code == 200, response.text
    return response.json()


def replay(http: httpx.Client, call: str, **changes: str) -> dict[str, Any]:
    """The exchange of a call's replay, once it has ended."""
    response = http.post(f"/simulator/requests/{call}/replay", json=changes)
    assert response.status_code == 201, response.text
    [new] = response.json()["requests"]
    assert http.get(f"/simulator/requests/{new}?seconds=60").json()["state"] == "finished"
    return exchange(http, new)


# ---- calls -----------------------------------------------------------------------------------------------------------


def test_a_call_has_its_request_and_its_answer_as_they_were_sent(http: httpx.Client) -> None:
    shown = exchange(http, run(http, {"prompt": "Hello there"}))
    assert shown["call"]["prompt"] == "Hello there"
    assert (shown["request"]["method"], shown["request"]["path"]) == ("POST", "/run?version=3")
    assert shown["request"]["headers"]["cf-consn-model-id"] == MODEL
    assert json.loads(shown["request"]["body"])["inputs"] == {"prompt": "Hello there"}
    assert shown["answer"]["status"] == 200
    assert "simulated" in json.loads(shown["answer"]["body"])["response"]
    assert (shown["answer"]["frames"], shown["answer"]["has_ended"], shown["replay"]) == (None, True, None)


def test_a_stream_has_its_frames_with_their_times(http: httpx.Client) -> None:
    http.post("/simulator/answers", json={"stream": ["One ", "two."], "tokens_per_second": 20}).raise_for_status()
    answer = exchange(http, run(http, {"prompt": "Count", "stream": True}))["answer"]
    texts = [each["text"] for each in answer["frames"]]
    assert [json.loads(each.removeprefix("data: "))["response"] for each in texts[:2]] == ["One ", "two."]
    assert texts[-1] == "data: [DONE]\n\n"
    times = [each["seconds"] for each in answer["frames"]]
    assert times == sorted(times)
    assert times[1] - times[0] >= 0.04  # the script's pace
    assert answer["body"] is None


def test_frames_that_are_sent_at_once_are_told_apart(http: httpx.Client) -> None:
    shown = exchange(http, run(http, {"prompt": "Without a pace", "stream": True}))
    texts = [each["text"] for each in shown["answer"]["frames"]]
    assert len(texts) == shown["call"]["frames"] > 10
    assert all(each.startswith("data: ") and each.endswith("\n\n") for each in texts)


def test_a_refused_call_shows_the_error_that_was_answered(http: httpx.Client) -> None:
    shown = exchange(http, run(http, {}, model="@cf/no/such-model"))
    assert shown["answer"]["status"] == 400
    assert json.loads(shown["answer"]["body"])["internalCode"] == 5007


@pytest.mark.parametrize("path", ["exchange", "media/answer/0", "replay"])
def test_a_call_that_never_was_is_not_found(http: httpx.Client, path: str) -> None:
    method = "POST" if path == "replay" else "GET"
    response = http.request(method, f"/simulator/requests/no-such-call/{path}", json={})
    assert response.status_code == 404
    assert response.json()["error"]


def test_pictures_of_an_answer_are_served_as_nothing_but_pictures(http: httpx.Client) -> None:
    call = run(http, {"prompt": "A hill"}, model=PAINTER)
    [media] = exchange(http, call)["media"]
    assert (media["side"], media["place"], media["content_type"]) == ("answer", "/image", "image/jpeg")
    response = http.get(f"/{media['url']}")
    assert response.content.startswith(b"\xff\xd8\xff")
    assert response.headers["content-type"] == "image/jpeg"
    assert "sandbox" in response.headers["content-security-policy"]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert http.get(f"/simulator/requests/{call}/media/answer/1").status_code == 404
    assert http.get(f"/simulator/requests/{call}/media/other/0").status_code == 404


@pytest.mark.parametrize(
    ("body", "places"),
    [
        (PNG, [""]),
        ({"image": base64.b64encode(PNG).decode()}, ["/image"]),
        ({"messages": [{"content": [{"url": f"data:image/png;base64,{base64.b64encode(PNG).decode()}"}]}]},
         ["/messages/0/content/0/url"]),
        ({"image": [*PNG]}, ["/image"]),
        ({"image": [*PNG[:40], 300]}, []),
        ({"text": "iVBORw0KGgo and nothing else that would be a file"}, []),
        ({"svg": base64.b64encode(b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>").decode()}, []),
        (b"{ no JSON", []),
    ],
)  # fmt: skip
def test_pictures_are_found_wherever_a_body_has_them(body: Any, places: list[str]) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    parts = media_parts(content)
    assert [part.place for part in parts] == places
    assert all(part.media.content == PNG for part in parts)


# ---- credentials -----------------------------------------------------------------------------------------------------


def test_credentials_are_shown_nowhere(http: httpx.Client) -> None:
    secret = "sk-9f3c0b6d"
    headers = {"authorization": f"Bearer {secret}", "cf-aig-authorization": f"Bearer {secret}", "cookie": secret}
    step = {
        "provider": "workers-ai",
        "endpoint": MODEL,
        "headers": {"Authorization": f"Bearer {secret}"},
        "query": {"prompt": "Which key?"},
    }
    call = http.post("/v1/any/secretive", json=[step], headers=headers).headers["cf-ai-req-id"]
    with_options = run(http, {"prompt": "Which?"}, extraHeaders={"Authorization": f"Bearer {secret}"})
    shown = exchange(http, call)
    assert shown["request"]["headers"]["authorization"] == REMOVED
    assert json.loads(shown["request"]["body"])[0]["headers"] == {"Authorization": REMOVED}
    for path in (
        f"/simulator/requests/{call}/exchange",
        f"/simulator/requests/{with_options}/exchange",
        "/simulator/requests",
        "/simulator/gateway-logs",
    ):
        assert secret not in http.get(path).text
    assert replay(http, call)["answer"]["status"] == 200


def test_a_body_that_was_cut_shows_no_credential_either() -> None:
    cut = '[{"headers": {"X-Api-Key" : "sk-\\"9f3c", "more": 1}}, {"headers": {"authorization": "Bear'
    assert "9f3c" not in without_credentials(cut)
    assert "Bear" not in without_credentials(cut)
    assert '"more": 1' in without_credentials(cut)


# ---- replays ---------------------------------------------------------------------------------------------------------


def test_a_call_is_replayed_as_it_was_edited_or_with_another_model(http: httpx.Client) -> None:
    call = run(http, {"prompt": "Where is the harbour?"})
    again = replay(http, call)
    assert again["replay_of"] == call
    assert again["answer"]["body"] == exchange(http, call)["answer"]["body"]
    body = json.dumps({"inputs": {"prompt": "Where is the inn?"}, "options": {}})
    edited = replay(http, call, body=body, model=OTHER)
    assert (edited["call"]["prompt"], edited["call"]["model"]) == ("Where is the inn?", OTHER)


def test_calls_of_the_rest_api_and_of_vectorize_are_replayed_too(http: httpx.Client) -> None:
    call = http.post(f"{ACCOUNT}/ai/run/{MODEL}", json={"prompt": "Over REST"}).headers["cf-ai-req-id"]
    over_rest = replay(http, call, model=OTHER)
    assert over_rest["call"]["model"] == OTHER
    assert over_rest["request"]["headers"]["authorization"] == REMOVED
    headers = {"host": "vector-search", "x-simulator-index": "replayed"}
    http.post("/query", json={"vector": [1, 0], "topK": 1}, headers=headers)
    query = http.get("/simulator/requests", params={"operation": "query"}).json()[-1]
    assert json.loads(replay(http, query["id"])["answer"]["body"]) == {"count": 0, "matches": []}


def test_a_replay_meets_faults_and_says_when_a_cache_has_answered(http: httpx.Client) -> None:
    call = run(http, {"prompt": "Cut me", "stream": True})
    http.post("/simulator/faults", json={"cut_after_frames": 2})
    [cut] = http.post(f"/simulator/requests/{call}/replay", json={}).json()["requests"]
    assert http.get(f"/simulator/requests/{cut}?seconds=60").json()["state"] == "failed"
    assert len(exchange(http, cut)["answer"]["frames"]) == 2
    cached = run(http, {"prompt": "Keep me"}, gateway={"id": "replays", "cacheTtl": 60})
    assert http.post(f"/simulator/requests/{cached}/replay", json={}).json() == {"requests": []}


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"{}", "text/plain", 415),
        (b"{}", "application/x-www-form-urlencoded", 415),
        (b"[]", "application/json", 400),
        (b"no JSON", "application/json", 400),
        (b'{"body": {}}', "application/json", 400),
        (b'{"path": "/run"}', "application/json", 400),
    ],
)
def test_a_replay_that_is_no_replay_is_refused(
    http: httpx.Client, content: bytes, content_type: str, status: int
) -> None:
    call = run(http, {"prompt": "Only once"})
    before = len(http.get("/simulator/requests").json())
    headers = {"content-type": content_type}
    response = http.post(f"/simulator/requests/{call}/replay", content=content, headers=headers)
    assert (response.status_code, bool(response.json()["error"])) == (status, True)
    assert len(http.get("/simulator/requests").json()) == before


def test_a_body_that_names_the_model_is_changed_there(http: httpx.Client) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}
    call = http.post(f"{ACCOUNT}/ai/v1/chat/completions", json=body).headers["cf-ai-req-id"]
    response = http.post(f"/simulator/requests/{call}/replay", json={"model": OTHER})
    assert response.status_code == 409
    assert "body" in response.json()["error"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/simulator/requests/{call}/exchange"),
        ("GET", "/simulator/requests/{call}/media/answer/0"),
        ("POST", "/simulator/requests/{call}/replay"),
        ("GET", "/simulator/indexes"),
        ("POST", "/simulator/indexes/any/query"),
        ("GET", "/simulator/ai-search"),
        ("GET", "/simulator/gateways"),
    ],
)
def test_no_other_page_reads_or_replays_anything(http: httpx.Client, method: str, path: str) -> None:
    target = path.format(call=run(http, {"prompt": "Mine"}))
    for headers in ({"origin": "https://evil.example"}, {"host": "evil.example"}):
        assert http.request(method, target, json={}, headers=headers).status_code == 403


# ---- memory ----------------------------------------------------------------------------------------------------------


def scope_of(path: str) -> dict[str, Any]:
    return {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": []}


async def test_bodies_are_kept_within_their_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "MAX_BODY_BYTES", 1000)
    monkeypatch.setattr(exchanges, "MAX_STORED_BYTES", 5000)
    store = Exchanges()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = await Request(scope, receive).body()
        store.link(scope, Entry("AI", "run", id=scope["path"]))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async def receive() -> Message:
        return {"type": "http.request", "body": bytes(3000), "more_body": False}

    async def send(_: Message) -> None: ...

    for number in range(10):
        await Recording(app, store)(scope_of(f"/{number}"), receive, send)
    kept = [number for number in range(10) if store.find(f"/{number}")]
    assert kept == [8, 9]  # each has 1,000 bytes of its request and 1,000 of its answer
    assert store.bytes == 4000
    last = store.find("/9")
    assert last is not None
    assert (last.request.size, last.request.is_whole, len(last.answer.content)) == (3000, False, 1000)


async def test_a_call_of_an_exchange_that_was_dropped_is_not_kept() -> None:
    store = Exchanges()
    scope = scope_of("/run")
    scope[KEY] = new_exchange(scope)
    scope[KEY].drop()
    store.link(scope, Entry("AI", "run", id="late"))
    assert store.find("late") is None


def test_the_journal_says_what_it_keeps_and_lists_short_texts(http: httpx.Client) -> None:
    journal = http.get("/simulator").json()["journal"]
    assert journal == {"requests": 1000, "body_bytes": 32 << 20, "bytes_per_body": 2 << 20}
    call = run(http, {"prompt": "long " * 100, "max_tokens": 3})
    listed = http.get("/simulator/requests", params={"characters": 10}).json()[-1]
    assert listed["id"] == call
    assert listed["inputs"] == {"prompt": "long long … <500 characters>", "max_tokens": 3}
    assert exchange(http, call)["call"]["inputs"]["prompt"] == "long " * 100


# ---- gateways --------------------------------------------------------------------------------------------------------


def test_gateways_have_the_sums_of_their_logs(http: httpx.Client) -> None:
    inputs = {"prompt": "Sum me up"}
    for _ in range(2):
        run(http, inputs, gateway={"id": "sums", "cacheTtl": 60})
    run(http, inputs, model="@cf/no/such-model", gateway={"id": "sums"})
    logs = [each for each in http.get("/simulator/gateway-logs").json() if each["gateway"] == "sums"]
    [sums] = [each for each in http.get("/simulator/gateways").json() if each["id"] == "sums"]
    assert (sums["calls"], sums["cached"], sums["failed"]) == (3, 1, 1)
    assert sums["cost"] == pytest.approx(sum(each["cost"] for each in logs))
    assert sums["cost"] > 0
    assert sums["tokens_out"] == sum(each["tokens_out"] for each in logs) > 0


# ---- indexes ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return {f"text-{number:02}": f"Passage {number} about harbours and boats" for number in range(60)}


@pytest.fixture
def index(http: httpx.Client, texts: dict[str, str]) -> str:
    """An index with those texts, embedded."""
    name, indexes = "inspected", f"{ACCOUNT}/vectorize/v2/indexes"
    if http.get(f"{indexes}/{name}").status_code == 200:
        return name
    http.post(indexes, json={"name": name, "config": {"dimensions": 768, "metric": "cosine"}}).raise_for_status()
    kind = {"propertyName": "topic", "indexType": "string"}
    http.post(f"{indexes}/{name}/metadata_index/create", json=kind).raise_for_status()
    answer = http.post(f"{ACCOUNT}/ai/run/{EMBEDDER}", json={"text": [*texts.values(), "A recipe for bread"]})
    rows = zip([*texts, "bread"], answer.json()["result"]["data"], strict=True)
    lines = [
        json.dumps({"id": each, "values": values, "metadata": {"topic": "food" if each == "bread" else "sea"}})
        for each, values in rows
    ]
    ndjson = {"content-type": "application/x-ndjson"}
    http.post(f"{indexes}/{name}/insert", content="\n".join(lines), headers=ndjson).raise_for_status()
    return name


def test_indexes_are_listed_with_what_is_in_them(http: httpx.Client, index: str) -> None:
    [shown] = [each for each in http.get("/simulator/indexes").json() if each["name"] == index]
    assert {name: shown[name] for name in ("dimensions", "metric", "vectors", "pending", "metadata_indexes")} == {
        "dimensions": 768, "metric": "cosine", "vectors": 61, "pending": 0, "metadata_indexes": {"topic": "string"}
    }  # fmt: skip


def test_vectors_are_listed_a_page_at_a_time_and_looking_is_no_call(http: httpx.Client, index: str) -> None:
    before = len(http.get("/simulator/requests").json())
    path = f"/simulator/indexes/{index}/vectors"
    first = http.get(path).json()
    second = http.get(path, params={"cursor": first["nextCursor"]}).json()
    assert [len(first["vectors"]), len(second["vectors"]), first["totalCount"]] == [50, 11, 61]
    assert "nextCursor" not in second
    assert first["vectors"][0]["id"] == "bread"
    assert first["vectors"][0]["metadata"] == {"topic": "food"}
    assert len(first["vectors"][0]["values"]) == 8
    [whole] = http.get(path, params={"id": "bread"}).json()
    assert len(whole["values"]) == 768
    assert len(http.get("/simulator/requests").json()) == before


def test_an_index_is_queried_by_text_and_by_one_of_its_vectors(http: httpx.Client, index: str) -> None:
    path = f"/simulator/indexes/{index}/query"
    result = http.post(path, json={"text": "How do I bake bread?", "model": EMBEDDER, "topK": 2}).json()
    assert result["count"] == 2
    assert result["matches"][0]["id"] == "bread"
    assert result["matches"][0]["metadata"] == {"topic": "food"}
    near = http.post(path, json={"vectorId": "text-07", "topK": 1, "filter": {"topic": "sea"}}).json()
    assert near["matches"][0]["id"] == "text-07"
    assert near["matches"][0]["score"] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({"text": "bread"}, "name a model of embeddings with 768 dimensions"),
        ({"text": "bread", "model": "@cf/baai/bge-m3"}, EMBEDDER),
        ({"text": "bread", "model": MODEL}, EMBEDDER),
        ({"text": "bread", "model": EMBEDDER, "topK": 1000}, "top K"),
        ({"vectorId": "nobody"}, "vector not found"),
        ([], "JSON object"),
    ],
)
def test_a_query_that_cannot_be_made_says_why(http: httpx.Client, index: str, query: Any, reason: str) -> None:
    response = http.post(f"/simulator/indexes/{index}/query", json=query)
    assert response.status_code in (400, 404)
    assert reason in response.json()["error"]


def test_an_index_that_is_not_there_is_said(http: httpx.Client) -> None:
    assert http.get("/simulator/indexes/nowhere/vectors").status_code == 404
    response = http.post("/simulator/indexes/nowhere/query", json={"text": "x", "model": EMBEDDER})
    assert response.status_code == 404
    assert http.post("/simulator/indexes/any/query", content=b"{}").status_code == 415


# ---- AI Search -------------------------------------------------------------------------------------------------------


def test_instances_are_listed_with_their_items_and_searched(http: httpx.Client) -> None:
    instances = f"{ACCOUNT}/ai-search/namespaces/inspected/instances"
    http.post(instances, json={"id": "handbook"}).raise_for_status()
    for name, text in {"a.md": "The harbour opens at six.", "b.md": "Bread is baked on Mondays."}.items():
        http.post(f"{instances}/handbook/items", files={"file": (name, text.encode())}).raise_for_status()
    [shown] = [each for each in http.get("/simulator/ai-search").json() if each["namespace"] == "inspected"]
    assert (shown["id"], shown["items"], shown["chunks"], shown["states"]) == ("handbook", 2, 2, {"completed": 2})
    path = "/simulator/ai-search/inspected/handbook"
    listed = http.get(f"{path}/items", params={"offset": 1}).json()
    assert (listed["total"], [each["key"] for each in listed["items"]]) == (2, ["b.md"])
    result = http.post(f"{path}/search", json={"query": "When is bread baked?"}).json()
    assert result["chunks"][0]["item"]["key"] == "b.md"
    assert http.post(f"{path}/search", json={}).status_code == 400
    assert http.post(f"{path}/search", content=b"{}").status_code == 415
    assert http.get("/simulator/ai-search/inspected/nothing/items").status_code == 404
