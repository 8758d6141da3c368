"""/rag with AI Search as its engine: the same tests as with the Worker's own, and what is different."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.checkout import link_worker
from tests.conftest import DevServer, ErrorOf, NewCalls, Simulator, StartServer, until
from tests.worker.conftest import TENANT, Documents
from tests.worker.test_rag import (
    BEARS,
    PENGUINS,
    test_a_deleted_document_is_nowhere,
    test_a_document_is_taken_and_later_found,
    test_a_file_is_converted,
    test_a_file_is_read_in_its_encoding,
    test_a_file_over_25_mb_is_refused,
    test_a_file_that_cannot_be_converted_fails_with_the_reason,
    test_a_file_that_is_no_text_fails_with_the_reason,
    test_a_filter_narrows_both_searches,
    test_a_filter_tells_apart_what_vectorize_cannot,
    test_a_follow_up_question_is_understood,
    test_a_stream_that_breaks_off_says_so,
    test_a_tenant_never_sees_another_s_documents,
    test_a_wrong_document_is_refused_and_not_kept,
    test_a_wrong_file_is_refused_and_not_kept,
    test_a_wrong_search_is_refused,
    test_an_answer_as_json_cites_its_sources,
    test_an_answer_streams_behind_its_sources,
    test_an_unchanged_document_is_not_ingested_again,
    test_an_unindexed_property_is_refused_with_the_indexed_ones,
    test_an_unknown_document_is_not_found,
    test_documents_are_listed_by_pages,
    test_each_stage_can_be_left_out,
    test_instructions_in_a_passage_are_treated_as_data,
    test_new_content_replaces_the_old_at_once,
    test_top_k_and_min_score_bound_what_is_found,
    test_with_nothing_relevant_the_model_is_not_asked,
    test_words_find_what_vectors_may_miss,
    test_wrong_metadata_of_a_form_is_refused_and_the_server_still_serves,
)

__all__ = [
    "test_a_deleted_document_is_nowhere",
    "test_a_document_is_taken_and_later_found",
    "test_a_file_is_converted",
    "test_a_file_is_read_in_its_encoding",
    "test_a_file_over_25_mb_is_refused",
    "test_a_file_that_cannot_be_converted_fails_with_the_reason",
    "test_a_file_that_is_no_text_fails_with_the_reason",
    "test_a_filter_narrows_both_searches",
    "test_a_filter_tells_apart_what_vectorize_cannot",
    "test_a_follow_up_question_is_understood",
    "test_a_stream_that_breaks_off_says_so",
    "test_a_tenant_never_sees_another_s_documents",
    "test_a_wrong_document_is_refused_and_not_kept",
    "test_a_wrong_file_is_refused_and_not_kept",
    "test_a_wrong_search_is_refused",
    "test_an_answer_as_json_cites_its_sources",
    "test_an_answer_streams_behind_its_sources",
    "test_an_unchanged_document_is_not_ingested_again",
    "test_an_unindexed_property_is_refused_with_the_indexed_ones",
    "test_an_unknown_document_is_not_found",
    "test_documents_are_listed_by_pages",
    "test_each_stage_can_be_left_out",
    "test_instructions_in_a_passage_are_treated_as_data",
    "test_new_content_replaces_the_old_at_once",
    "test_top_k_and_min_score_bound_what_is_found",
    "test_with_nothing_relevant_the_model_is_not_asked",
    "test_words_find_what_vectors_may_miss",
    "test_wrong_metadata_of_a_form_is_refused_and_the_server_still_serves",
]
"""The shared tests, which run here with this module's `client` and `simulator`."""


@pytest.fixture(scope="module")
def server(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    """The Worker with the line of its configuration that binds AI Search, and none that its own engine needs."""
    project = link_worker(tmp_path_factory.mktemp("project"))
    text = (project / "wrangler.jsonc").read_text()
    text, count = re.subn(r'// ("ai_search_namespaces")', r"\1", text)
    assert count == 1
    for name in ("vectorize", "r2_buckets", "workflows"):
        text, count = re.subn(rf'^  "{name}": .*\n', "", text, flags=re.MULTILINE)
        assert count == 1
    (project / "wrangler.jsonc").write_text(text)
    with start_server("--project", project, RAG_ENGINE="ai-search", RAG_PROPERTIES="kind:string year:number") as server:
        yield server


# ---- the simulator's own view --------------------------------------------------------------------------------------


def instance(simulator: Simulator, path: str = "", tenant: str = TENANT) -> httpx.Response:
    root = f"{simulator.url}/client/v4/accounts/any/ai-search/namespaces/aiworker/instances"
    return httpx.get(f"{root}/t-{tenant}{path}", headers={"authorization": "Bearer any"}, timeout=60)


def keys(simulator: Simulator, tenant: str = TENANT) -> list[str]:
    return [each["key"].split("/")[0] for each in instance(simulator, "/items", tenant).json()["result"]]


def test_a_tenant_has_an_instance_with_the_properties_as_fields(documents: Documents, simulator: Simulator) -> None:
    documents.add("penguins", PENGUINS, metadata={"kind": "bird", "year": 1999, "more": "is not sent"})
    config = instance(simulator).json()["result"]
    assert config["index_method"] == {"vector": True, "keyword": True}
    fields = {each["field_name"]: each["data_type"] for each in config["custom_metadata"]}
    assert (fields["kind"], fields["year"]) == ("text", "number")
    [item] = instance(simulator, "/items").json()["result"]
    assert (item["metadata"]["kind"], item["metadata"]["year"]) == ("bird", 1999)
    assert "more" not in item["metadata"]
    assert documents.state("penguins")["metadata"]["more"] == "is not sent"


def test_items_of_replaced_and_deleted_documents_are_removed(documents: Documents, simulator: Simulator) -> None:
    documents.add("animals", PENGUINS)
    documents.add("animals", BEARS)
    assert keys(simulator) == ["animals"]
    documents.clear()
    assert keys(simulator) == []


def test_nothing_of_what_ai_search_finds_is_returned_without_its_row(
    documents: Documents, simulator: Simulator
) -> None:
    documents.add("penguins", PENGUINS)
    stray = f"{instance(simulator).url}/items"
    headers = {"authorization": "Bearer any"}
    file = {"file": ("stray/penguins.md", PENGUINS)}
    item = httpx.post(stray, files=file, headers=headers, timeout=60).json()["result"]
    until(
        lambda: httpx.get(f"{stray}/{item['id']}", headers=headers, timeout=60).json()["result"],
        lambda it: it["status"] == "completed",
    )
    assert [each["document"] for each in documents.search("Where do penguins live?")] == ["penguins"]
    httpx.delete(f"{stray}/{item['id']}", headers=headers, timeout=60).raise_for_status()


def test_the_file_is_read_as_it_was_sent(documents: Documents) -> None:
    documents.add("penguins", PENGUINS)
    response = documents.client.get("/rag/documents/penguins/original", params={"tenant": TENANT})
    assert (response.status_code, response.text) == (200, PENGUINS)
    assert response.headers["content-type"] == "text/markdown; charset=utf-8"
    assert "sandbox" in response.headers["content-security-policy"]


def test_documents_are_resources_for_agents(client: httpx.Client) -> None:
    page = "<h1>Bears</h1><p>They eat honey.</p>"
    client.post("/rag/documents", json={"id": "penguins", "text": PENGUINS}).raise_for_status()
    files = {"file": ("bears.html", page, "text/html")}
    client.post("/rag/documents", files=files, data={"id": "bears"}).raise_for_status()
    for name in ("penguins", "bears"):
        until(lambda name=name: client.get(f"/rag/documents/{name}").json()["state"], lambda it: it == "indexed")

    def ask(method: str, **params: str) -> Any:
        return client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).json()

    addresses = {each["uri"] for each in ask("resources/list")["result"]["resources"]}
    assert addresses == {"aiworker://documents/bears", "aiworker://documents/penguins"}
    [text] = ask("resources/read", uri="aiworker://documents/penguins")["result"]["contents"]
    assert (text["text"], text["mimeType"]) == (PENGUINS, "text/markdown")
    [text] = ask("resources/read", uri="aiworker://documents/bears")["result"]["contents"]
    assert ("They eat honey." in text["text"], "<p>" in text["text"]) == (True, False)
    assert ask("resources/read", uri="aiworker://documents/none")["error"]["code"] == -32002
    for name in ("penguins", "bears"):
        client.delete(f"/rag/documents/{name}").raise_for_status()


def test_a_file_over_4_mb_is_refused_and_not_kept(documents: Documents, error_of: ErrorOf) -> None:
    files = {"file": ("big.txt", b"word " * 900_000)}
    response = documents.client.post("/rag/documents", files=files, data={"tenant": TENANT})
    assert response.status_code == 413
    assert "4 MB" in error_of(response)["message"]
    assert documents.all() == []


def test_a_failure_of_ai_search_is_an_error_and_nothing_is_kept(
    documents: Documents, simulator: Simulator, error_of: ErrorOf
) -> None:
    documents.add("penguins", PENGUINS)
    simulator.set_fault(binding="AI_SEARCH", operation="search", status=500, description="Internal Error")
    failed = documents.client.post("/rag/search", json={"query": "penguins", "tenant": TENANT})
    assert (failed.status_code, error_of(failed)["type"]) == (502, "upstream_error")
    simulator.set_fault(binding="AI_SEARCH", operation="items.upload", status=503, description="Internal Error")
    assert documents.put(BEARS, id="bears").status_code == 502
    assert [each["id"] for each in documents.all()] == ["penguins"]
    simulator.set_fault(binding="AI_SEARCH", operation="search", status=429, description="monthly_query_quota_exceeded")
    over = documents.client.post("/rag/search", json={"query": "penguins", "tenant": TENANT})
    assert (over.status_code, error_of(over)["type"]) == (429, "rate_limited")


def test_an_instance_that_was_deleted_is_made_again_by_an_upload(
    documents: Documents, simulator: Simulator, error_of: ErrorOf
) -> None:
    documents.add("penguins", PENGUINS)
    httpx.delete(instance(simulator).url, headers={"authorization": "Bearer any"}, timeout=60).raise_for_status()
    gone = documents.client.post("/rag/search", json={"query": "penguins", "tenant": TENANT})
    assert (gone.status_code, "add them again" in error_of(gone)["message"]) == (502, True)
    documents.add("bears", BEARS)
    assert [each["document"] for each in documents.search("polar bears")] == ["bears"]


def test_a_search_that_nobody_has_documents_for_does_not_reach_ai_search(
    documents: Documents, simulator: Simulator
) -> None:
    calls = NewCalls(simulator)
    assert documents.search("penguins") == []
    assert calls.of(binding="AI_SEARCH") == []
