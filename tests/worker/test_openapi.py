"""GET /openapi.json and the page that shows it."""

import copy
from typing import Any

import httpx
import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from aiworker import openapi
from aiworker.routes import ROUTES
from aiworker.routing import Route


@pytest.fixture(scope="module")
def document(base_url: str) -> dict[str, Any]:
    response = httpx.get(f"{base_url}/openapi.json", timeout=60)
    assert response.headers["content-type"] == "application/json"
    return response.json()


def test_it_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()


def test_it_describes_every_route_and_no_other(document: dict[str, Any]) -> None:
    routes = {(path.replace("...}", "}"), method.lower()) for path, methods in ROUTES.items() for method in methods}
    described = {(path, method) for path, methods in document["paths"].items() for method in methods}
    assert described == routes - {("/openapi.json", "get")}


def test_every_field_of_a_request_that_needs_words_has_them(document: dict[str, Any]) -> None:
    chat = document["components"]["schemas"]["ChatRequest"]["properties"]
    assert "conversation" in chat["worker_tools"]["description"] or "Worker" in chat["worker_tools"]["description"]
    assert {**chat["temperature"], "description": ""} == {
        "type": ["number", "null"], "minimum": 0, "maximum": 5, "description": "",
    }  # fmt: skip


EXAMPLES = [route for route in openapi.documented_routes() if isinstance(route.example, dict)]


@pytest.mark.parametrize("route", EXAMPLES, ids=lambda route: route.operation_id)
def test_an_example_works_and_its_answer_is_as_described(
    client: httpx.Client, document: dict[str, Any], route: Route
) -> None:
    streams = route.operation_id == "chat"
    body = {**route.example, "stream": False} if streams else route.example
    response = client.request(route.method, route.path, json=body)
    described = document["paths"][route.path][route.method.lower()]
    answers = described["responses"][str(response.status_code)]["content"]
    content_type = response.headers["content-type"].partition(";")[0]
    known = answers.get(content_type) or answers[f"{content_type.partition('/')[0]}/*"]
    if content_type == "application/json":
        check(response.json(), known["schema"], document)


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/rag/documents", {"file": "bytes"}),
        ("/image", {"prompt": "a red fox", "image": "bytes", "mask": "bytes"}),
        ("/transcribe", {"file": "bytes"}),
    ],
)
def test_a_form_may_have_its_files_and_no_others(document: dict[str, Any], path: str, form: dict[str, str]) -> None:
    schema = document["paths"][path]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    check(form, schema, document)
    with pytest.raises(jsonschema.ValidationError, match="other"):
        check({**form, "other": "bytes"}, schema, document)


def test_a_form_of_openai_s_clients_may_have_fields_that_are_not_known(document: dict[str, Any]) -> None:
    body = document["paths"]["/v1/audio/transcriptions"]["post"]["requestBody"]
    schema = body["content"]["multipart/form-data"]["schema"]
    check({"file": "bytes", "model": "whisper-1", "vad_filter": "true"}, schema, document)


def test_requests_of_openai_s_clients_are_described(document: dict[str, Any]) -> None:
    chat = document["components"]["schemas"]["ChatCompletionRequest"]["properties"]
    assert chat["n"]["description"] == "The answer has one choice."
    assert chat["modalities"] == {"type": ["array", "null"], "enum": [["text"], None]}
    assert "without effect" in chat["user"]["description"]
    assert chat["max_completion_tokens"] == {"type": ["integer", "null"], "minimum": 1}


@pytest.mark.parametrize("path", ["/health", "/models"])
def test_an_answer_to_a_get_is_as_described(client: httpx.Client, document: dict[str, Any], path: str) -> None:
    schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    check(client.get(path).json(), schema, document)


def test_an_error_is_as_described(client: httpx.Client, document: dict[str, Any]) -> None:
    schema = document["paths"]["/chat"]["post"]["responses"]["400"]["content"]["application/json"]["schema"]
    check(client.post("/chat", json={}).json(), schema, document)


def check(instance: Any, schema: dict[str, Any], document: dict[str, Any]) -> None:
    """Raises if the instance is not valid; what is described is also said: an undescribed answer would be."""
    whole = {**copy.deepcopy(document), **schema}
    jsonschema.validate(instance, whole, jsonschema.Draft202012Validator)
    if not isinstance(instance, list):  # the check can fail
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(instance, {**whole, "required": ["no such"]}, jsonschema.Draft202012Validator)


def test_the_page_needs_no_other_host(client: httpx.Client) -> None:
    page = client.get("/docs", follow_redirects=True)
    assert page.status_code == 200
    assert "//" not in page.text.replace("<!doctype", "")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'self'")
    assert policy.count("default-src") == 1
    assert policy == client.get("/").headers["content-security-policy"]
    assert client.get("/docs/docs.js").status_code == 200
