"""AI Search over its REST API: instances, items, search, chat, jobs."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from running_simulator import SimulatorProcess, until

ROOT = "/client/v4/accounts/any/ai-search/namespaces/test/instances"
FIELDS = [{"field_name": "Kind", "data_type": "text"}, {"field_name": "year", "data_type": "number"}]
HYBRID = {"vector": True, "keyword": True}
PENGUINS = "# Penguins\n\nPenguins live in the southern hemisphere. They cannot fly."
BEARS = "# Bears\n\nPolar bears live in the Arctic. They eat seals."

Upload = Callable[..., dict[str, Any]]


@pytest.fixture
def instance(http: httpx.Client) -> Iterator[str]:
    body = {"id": "animals", "index_method": HYBRID, "custom_metadata": FIELDS}
    http.post(ROOT, json=body).raise_for_status()
    yield f"{ROOT}/animals"
    http.delete(f"{ROOT}/animals").raise_for_status()


@pytest.fixture
def upload(http: httpx.Client, instance: str) -> Upload:
    """Upload a file, and wait until it is indexed or has failed."""

    def uploaded(key: str, content: str | bytes, **metadata: Any) -> dict[str, Any]:
        response = http.post(
            f"{instance}/items", files={"file": (key, content)}, data={"metadata": json.dumps(metadata)}
        )
        assert response.status_code == 201, response.text
        item = response.json()["result"]
        return settled(http, f"{instance}/items/{item['id']}")

    return uploaded


def settled(http: httpx.Client, path: str) -> dict[str, Any]:
    """The item at that path as soon as it is indexed or has failed."""
    return until(lambda: http.get(path).json()["result"], lambda item: item["status"] in ("completed", "error"))


def search(http: httpx.Client, instance: str, query: str, **retrieval: Any) -> list[dict[str, Any]]:
    options = {"retrieval": {"match_threshold": 0, **retrieval}}
    response = http.post(f"{instance}/search", json={"query": query, "ai_search_options": options})
    assert response.status_code == 200, response.text
    return response.json()["result"]["chunks"]


def error(response: httpx.Response) -> tuple[int, int, str]:
    [first] = response.json()["errors"]
    return response.status_code, first["code"], first["message"]


def test_an_uploaded_file_is_queued_then_found(http: httpx.Client, instance: str) -> None:
    response = http.post(f"{instance}/items", files={"file": ("a/penguins.md", PENGUINS)})
    item = response.json()["result"]
    assert (item["key"], item["status"], item["next_action"], item["source_id"]) == (
        "a/penguins.md", "queued", "INDEX", "builtin",
    )  # fmt: skip
    indexed = settled(http, f"{instance}/items/{item['id']}")
    assert (indexed["status"], indexed["chunks_count"], indexed["file_size"]) == ("completed", 1, len(PENGUINS))
    assert (indexed["metadata"]["folder"], indexed["metadata"]["filename"]) == ("a/", "a/penguins.md")
    [chunk] = search(http, instance, "Where do penguins live?")
    assert chunk["text"] == PENGUINS
    assert (chunk["item"]["key"], chunk["type"]) == ("a/penguins.md", "text")
    assert 0 < chunk["score"] <= 1
    assert {"vector_score", "vector_rank"} <= set(chunk["scoring_details"])


def test_each_kind_of_retrieval_finds_and_scores(http: httpx.Client, instance: str, upload: Upload) -> None:
    upload("penguins.md", PENGUINS)
    upload("bears.md", BEARS)
    for kind, names in (
        ("vector", {"vector_score", "vector_rank"}),
        ("keyword", {"keyword_score", "keyword_rank"}),
        ("hybrid", {"vector_score", "vector_rank", "keyword_score", "keyword_rank", "fusion_method"}),
    ):
        first = search(http, instance, "southern penguins", retrieval_type=kind)[0]
        assert (first["item"]["key"], set(first["scoring_details"])) == ("penguins.md", names)
    assert search(http, instance, "penguins seals", retrieval_type="keyword") == []
    either = search(http, instance, "penguins seals", retrieval_type="keyword", keyword_match_mode="or")
    assert {each["item"]["key"] for each in either} == {"penguins.md", "bears.md"}
    assert len(search(http, instance, "animals live", max_num_results=1)) == 1


def test_a_reranker_scores_what_is_found(http: httpx.Client, instance: str, upload: Upload) -> None:
    upload("penguins.md", PENGUINS)
    upload("bears.md", BEARS)
    options = {"retrieval": {"match_threshold": 0}, "reranking": {"enabled": True, "match_threshold": 0}}
    body = {"messages": [{"role": "user", "content": "Where do penguins live?"}], "ai_search_options": options}
    chunks = http.post(f"{instance}/search", json=body).json()["result"]["chunks"]
    assert [each["item"]["key"] for each in chunks] == ["penguins.md", "bears.md"]
    assert all(each["score"] == each["scoring_details"]["reranking_score"] for each in chunks)


def test_filters_ask_for_metadata_and_folders(http: httpx.Client, instance: str, upload: Upload) -> None:
    upload("old/a.md", PENGUINS, kind="book", year="1900")
    upload("new/b.md", PENGUINS, kind="book", year="2020", unknown="x")
    for filters, expected in (
        ({"kind": "book", "year": {"$gt": 1950}}, {"new/b.md"}),
        ({"KIND": {"$ne": "book"}}, set[str]()),
        ({"folder": "old/"}, {"old/a.md"}),
        ({"folder": {"$gte": "n", "$lt": "o"}}, {"new/b.md"}),
    ):
        assert {each["item"]["key"] for each in search(http, instance, "penguins", filters=filters)} == expected
    [match] = search(http, instance, "penguins", filters={"folder": "new/"})
    assert match["item"]["metadata"] == {"kind": "book", "year": 2020}


def test_the_same_key_again_replaces_the_content(http: httpx.Client, instance: str, upload: Upload) -> None:
    first = upload("animals.md", PENGUINS)
    second = upload("animals.md", BEARS)
    assert first["id"] == second["id"]
    assert [each["text"] for each in search(http, instance, "animals")] == [BEARS]
    http.delete(f"{instance}/items/{first['id']}").raise_for_status()
    assert search(http, instance, "animals") == []
    assert error(http.get(f"{instance}/items/{first['id']}")) == (404, 7041, "item_not_found")


def test_long_files_are_cut_and_neighbours_can_be_joined(http: httpx.Client, instance: str, upload: Upload) -> None:
    text = "\n\n".join(f"Paragraph {each} of the report says something about subject {each}." for each in range(60))
    item = upload("report.txt", text)
    assert item["chunks_count"] > 1
    chunks = http.get(f"{instance}/items/{item['id']}/chunks", params={"limit": 100}).json()
    assert chunks["result_info"]["total"] == item["chunks_count"]
    for each in chunks["result"]:
        assert text.encode()[each["start_byte"] : each["end_byte"]].decode().strip() == each["text"]
    plain, wide = (search(http, instance, "subject 30", context_expansion=each, max_num_results=1) for each in (0, 1))
    assert plain[0]["id"] == wide[0]["id"]
    assert plain[0]["text"] in wide[0]["text"]
    assert len(wide[0]["text"]) > len(plain[0]["text"])
    [bare] = search(http, instance, "subject 30", metadata_only=True, max_num_results=1)
    assert bare["text"] == ""


def test_a_file_without_text_has_an_error(upload: Upload) -> None:
    for key, content, reason in (
        ("empty.md", b" \n", "file_content_empty"),
        ("broken.pdf", b"%PDF-1.4 this is none", "unable_to_convert_to_markdown"),
    ):
        item = upload(key, content)
        assert (item["status"], item["error"]) == ("error", reason)


def test_an_answer_cites_its_chunks_whole_and_as_a_stream(http: httpx.Client, instance: str, upload: Upload) -> None:
    upload("penguins.md", PENGUINS)
    body = {
        "messages": [{"role": "user", "content": "Where do penguins live?"}],
        "ai_search_options": {"retrieval": {"match_threshold": 0}},
    }
    whole = http.post(f"{instance}/chat/completions", json=body).json()
    assert "southern" in whole["choices"][0]["message"]["content"]
    assert [each["text"] for each in whole["chunks"]] == [PENGUINS]
    stream = http.post(f"{instance}/chat/completions", json={**body, "stream": True}).text
    event, *frames = stream.strip().split("\n\n")
    assert event.startswith("event: chunks\ndata: [{")
    assert frames[-1] == "data: [DONE]"
    deltas = [json.loads(each.removeprefix("data: "))["choices"] for each in frames[:-1]]
    text = "".join(each[0]["delta"].get("content") or "" for each in deltas if each)
    assert text == whole["choices"][0]["message"]["content"]


def test_several_instances_are_searched_at_once(http: httpx.Client, instance: str, upload: Upload) -> None:
    upload("penguins.md", PENGUINS)
    options = {"instance_ids": ["animals", "nothing"], "retrieval": {"match_threshold": 0}}
    path = ROOT.removesuffix("/instances")
    match = http.post(f"{path}/search", json={"query": "penguins", "ai_search_options": options}).json()["result"]
    assert [each["instance_id"] for each in match["chunks"]] == ["animals"]
    assert match["errors"] == [{"instance_id": "nothing", "message": "search_failed"}]
    refused = http.post(f"{path}/search", json={"query": "penguins", "ai_search_options": {"instance_ids": []}})
    assert error(refused)[1] == 7074


def test_instances_are_listed_changed_and_counted(http: httpx.Client, instance: str, upload: Upload) -> None:
    upload("penguins.md", PENGUINS)
    listed = http.get(ROOT).json()
    assert [each["id"] for each in listed["result"]] == ["animals"]
    assert listed["result_info"] == {"count": 1, "page": 1, "per_page": 20, "total_count": 1}
    changed = http.put(instance, json={"reranking": True, "chunk_size": 128}).json()["result"]
    assert (changed["reranking"], changed["chunk_size"], changed["namespace"]) == (True, 128, "test")
    # another size of chunks: everything is indexed again
    until(lambda: http.get(f"{instance}/stats").json()["result"], lambda stats: stats["completed"] == 1)
    assert error(http.post(ROOT, json={"id": "animals"}))[1] == 7022


def test_a_job_indexes_all_again(http: httpx.Client, instance: str, upload: Upload) -> None:
    upload("penguins.md", PENGUINS)
    job = http.post(f"{instance}/jobs", json={"description": "again"}).json()["result"]
    assert (job["source"], job["description"]) == ("user", "again")
    assert [each["id"] for each in http.get(f"{instance}/jobs").json()["result"]] == [job["id"]]
    assert http.get(f"{instance}/jobs/{job['id']}/logs").json()["result"][0]["message"] == "1 items are indexed again"
    assert error(http.patch(f"{instance}/jobs/{job['id']}", json={"action": "cancel"}))[1] == 7046
    assert error(http.get(f"{instance}/jobs/none"))[1] == 7021


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"id": "Upper"}, 7000),
        ({"id": "a" * 33}, 7000),
        ({}, 7000),
        ({"id": "a", "embedding_model": "@cf/no/such"}, 7010),
        ({"id": "a", "custom_metadata": [{"field_name": "folder", "data_type": "text"}]}, 7000),
        ({"id": "a", "custom_metadata": [{"field_name": f"f{each}", "data_type": "text"} for each in range(6)]}, 7000),
        ({"id": "a", "index_method": {"vector": False, "keyword": False}}, 7000),
        ({"id": "a", "type": "r2", "source": "bucket"}, 501),
    ],
)
def test_a_wrong_instance_is_refused(http: httpx.Client, body: dict[str, Any], code: int) -> None:
    assert error(http.post(ROOT, json=body))[1] == code


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 7039),
        ({"messages": [{"role": "assistant", "content": "a"}]}, 7039),
        ({"query": "a", "ai_search_options": {"retrieval": {"filters": {"kind": {"$like": "a"}}}}}, 7058),
        ({"query": "a", "ai_search_options": {"retrieval": {"retrieval_type": "magic"}}}, 7070),
        ({"query": "a", "ai_search_options": {"retrieval": {"max_num_results": 51}}}, 7000),
        ({"query": "a", "ai_search_options": {"retrieval": {"match_threshold": 2}}}, 7000),
        ({"query": "a", "ai_search_options": {"retrieval": {"boost_by": [{"field": "year"}]}}}, 501),
    ],
)
def test_a_wrong_search_is_refused(http: httpx.Client, instance: str, body: dict[str, Any], code: int) -> None:
    assert error(http.post(f"{instance}/search", json=body))[1] == code


def test_a_wrong_file_is_refused(http: httpx.Client, instance: str) -> None:
    for file, expected in (
        (("a.exe", b"MZ"), (400, 7060)),
        (("a.md", b"a" * 4_194_305), (413, 7054)),
        (("a" * 129 + ".md", b"a"), (400, 7072)),
    ):
        assert error(http.post(f"{instance}/items", files={"file": file}))[:2] == expected
    assert error(http.post(f"{instance}/items", files={"file": ("a.md", b"a")}, data={"metadata": "["}))[1] == 7056
    assert error(http.post(f"{instance}/items", data={"metadata": "{}"}, files={"other": b"a"}))[1] == 7055


def test_an_unknown_instance_is_not_found(http: httpx.Client) -> None:
    assert error(http.get(f"{ROOT}/nothing")) == (404, 7002, "ai_search_not_found")
    assert error(http.post(f"{ROOT}/nothing/search", json={"query": "a"}))[1] == 7002


def test_a_fault_is_answered(http: httpx.Client, instance: str) -> None:
    fault = {"binding": "AI_SEARCH", "operation": "search", "status": 503, "code": 7017, "description": "no connection"}
    http.post("/simulator/faults", json=fault).raise_for_status()
    assert error(http.post(f"{instance}/search", json={"query": "a"})) == (503, 7017, "no connection")
    assert search(http, instance, "a") == []


def test_the_namespace_default_is_the_one_of_paths_without_a_namespace(http: httpx.Client) -> None:
    root = re.sub("namespaces/test/", "", ROOT)
    http.post(root, json={"id": "mine"}).raise_for_status()
    assert http.get(f"{root}/mine").json()["result"]["namespace"] == "default"
    http.delete(f"{ROOT.replace('/test/', '/default/')}/mine").raise_for_status()


def test_uploads_outlive_the_process(tmp_path: Path) -> None:
    simulator = SimulatorProcess("--data", tmp_path, "--vectorize-delay", "0")
    with simulator.client() as http:
        http.post(ROOT, json={"id": "animals"}).raise_for_status()
        http.post(f"{ROOT}/animals/items", files={"file": ("penguins.md", PENGUINS)}).raise_for_status()
        first = search(http, f"{ROOT}/animals", "penguins")
    simulator.stop()
    simulator = SimulatorProcess("--data", tmp_path, "--vectorize-delay", "0")
    with simulator.client() as http:
        assert search(http, f"{ROOT}/animals", "penguins") == first != []
    simulator.stop()


AUTORAG = "/autorag/rags/animals"


@pytest.fixture
def autorag(http: httpx.Client) -> Iterator[str]:
    """An instance of the namespace `default`, with three files. Returns the path that workerd's class AutoRAG calls."""
    path = ROOT.replace("/test/", "/default/")
    http.post(path, json={"id": "animals"}).raise_for_status()
    for key, content in (
        ("cold/penguins.md", PENGUINS),
        ("cold/bears.md", BEARS),
        ("warm/lions.md", "Lions sleep a lot."),
    ):
        item = http.post(f"{path}/animals/items", files={"file": (key, content)}).json()["result"]
        settled(http, f"{path}/animals/items/{item['id']}")
    yield AUTORAG
    http.delete(f"{path}/animals").raise_for_status()


def autorag_files(http: httpx.Client, path: str, **body: Any) -> list[str]:
    response = http.post(f"{path}/search", json={"query": "Where do penguins live?", **body})
    assert response.status_code == 200, response.text
    return [each["filename"] for each in response.json()["result"]["data"]]


def test_autorag_is_ai_search_in_its_older_shapes(http: httpx.Client, autorag: str) -> None:
    result = http.post(f"{autorag}/search", json={"query": "Where do penguins live?", "max_num_results": 2}).json()
    page = result["result"]
    assert (page["object"], page["has_more"], page["next_page"]) == ("vector_store.search_results.page", False, None)
    assert page["search_query"] == "Where do penguins live?"
    first, second = page["data"]
    assert (first["filename"], second["filename"]) == ("cold/penguins.md", "cold/bears.md")
    assert first["content"] == [{"id": first["content"][0]["id"], "type": "text", "text": PENGUINS}]
    assert (set(first["attributes"]), first["attributes"]["folder"]) == ({"folder", "modified_date"}, "cold/")
    assert first["score"] > second["score"]
    [about] = http.get("/autorag/rags").json()["result"]
    assert set(about) == {"id", "enable", "type", "source", "vectorize_name", "paused", "status"}
    assert (about["id"], about["enable"], about["paused"]) == ("animals", True, False)


def test_autorag_answers_and_streams(http: httpx.Client, autorag: str) -> None:
    model = "@cf/meta/llama-3.1-8b-instruct-fast"
    body = {"query": "Where do penguins live?", "model": model, "system_prompt": "Be brief."}
    answer = http.post(f"{autorag}/ai-search", json=body).json()["result"]
    assert "southern hemisphere" in answer["response"]
    assert answer["data"][0]["filename"] == "cold/penguins.md"
    streamed = http.post(f"{autorag}/ai-search", json={**body, "stream": True})
    assert streamed.headers["content-type"].startswith("text/event-stream")
    *frames, done = re.findall(r"data: (.+)\n\n", streamed.text)
    assert done == "[DONE]"
    assert "".join(json.loads(frame)["response"] for frame in frames) == answer["response"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"type": "eq", "key": "folder", "value": "warm/"}, ["warm/lions.md"]),
        ({"type": "ne", "key": "folder", "value": "cold/"}, ["warm/lions.md"]),
        ({"type": "lt", "key": "timestamp", "value": 1}, []),
        (
            {
                "type": "or",
                "filters": [{"type": "eq", "key": "filename", "value": f"cold/{each}.md"} for each in ("bears", "x")],
            },
            ["cold/bears.md"],
        ),
        (
            {
                "type": "and",
                "filters": [
                    {"type": "eq", "key": "folder", "value": "cold/"},
                    {"type": "ne", "key": "filename", "value": "cold/bears.md"},
                    {"type": "gt", "key": "timestamp", "value": 1},
                ],
            },
            ["cold/penguins.md"],
        ),
    ],
)
def test_autorag_s_filters(http: httpx.Client, autorag: str, filters: dict[str, Any], expected: list[str]) -> None:
    assert autorag_files(http, autorag, filters=filters) == expected


def test_autorag_s_thresholds_and_reranking(http: httpx.Client, autorag: str) -> None:
    assert len(autorag_files(http, autorag)) == 3
    assert autorag_files(http, autorag, ranking_options={"score_threshold": 0.999}) == []
    assert autorag_files(http, autorag, reranking={"enabled": True})[0] == "cold/penguins.md"


def test_autorag_s_errors_are_in_the_envelope_that_its_class_reads(http: httpx.Client, autorag: str) -> None:
    assert error(http.post("/autorag/rags/none/search", json={"query": "a"})) == (404, 7002, "ai_search_not_found")
    assert error(http.post(f"{autorag}/ai-search", json={})) == (400, 7039, "missing_user_query")
    wrong: list[Any] = [
        {"type": "like", "key": "folder", "value": "a"},
        {"type": "or", "filters": [{"type": "gt", "key": "timestamp", "value": 1}]},
        {"type": "or", "filters": []},
        {"type": "and", "filters": [{"type": "eq", "key": "a", "value": 1}] * 2},
        "folder",
    ]
    for filters in wrong:
        status, code, _ = error(http.post(f"{autorag}/search", json={"query": "a", "filters": filters}))
        assert (status, code) == (400, 7000)
    account = "/client/v4/accounts/any"
    by_rest = http.post(f"{account}{autorag}/search", json={"query": "penguins"}).json()
    assert (by_rest["success"], len(by_rest["result"]["data"])) == (True, 3)
