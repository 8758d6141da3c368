"""Images by address and files in messages: what models get, in each dialect, and what is refused."""

import base64
import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import pytest

from aiworker.bindings import Converted, WebResponse
from aiworker.errors import ApiError
from aiworker.http.body import parse_object
from aiworker.http.messages import Response
from aiworker.routes.attachments import Attachments
from aiworker.routes.chat_schema import ChatRequest
from aiworker.settings import Settings
from tests.unit.stand_ins import VARIABLES, FakeAi, FakeConversation, FakeRequest, a_context, answered, post

VISION = "@cf/meta/llama-4-scout-17b-16e-instruct"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(30)
URL = "https://site.example/a.png"
DATA = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
ON: dict[str, Any] = {"ATTACHMENT_HOSTS": "*"}
ANSWER = answered({"response": "Good day", "usage": {}})


class Content:
    """A payload that is only read."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size = len(content)

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        return self._content[start:end]


class FakeWeb:
    """Sites: address → content, a status, an error, or `->` and an address to redirect to."""

    def __init__(self, **pages: Any) -> None:
        self.pages: dict[str, Any] = {URL: PNG, **pages}
        self.fetched: list[str] = []
        self.limits: list[int] = []

    async def get(self, url: str, headers: Mapping[str, str], limit: int, seconds: float) -> WebResponse:
        assert (set(headers), 0 < seconds <= 20) == ({"user-agent"}, True)
        self.fetched.append(url)
        self.limits.append(limit)
        page = self.pages.get(url, 404)
        if isinstance(page, ApiError):
            raise page
        if isinstance(page, int):
            return WebResponse(page, {}, None)
        if isinstance(page, str):
            return WebResponse(302, {"location": page.removeprefix("->")}, None)
        if len(page) > limit:
            raise ApiError("payload_too_large", "The page is too large.")
        content: Any = Content(page)
        return WebResponse(200, {"content-type": "application/octet-stream"}, content)

    async def post(self, url: str, headers: Mapping[str, str], body: str, limit: int, seconds: float) -> WebResponse:
        raise NotImplementedError


class Converter(FakeAi):
    """toMarkdown that knows one file, or fails."""

    def __init__(self, text: str | None = "# Report", error: str = "") -> None:
        super().__init__(ANSWER)
        self.files: list[tuple[str, str, Any]] = []
        self._converted = Converted(None, error) if text is None else Converted(content(text.encode()))

    async def to_markdown(self, name: str, media_type: str, file: Any) -> Converted:
        self.files.append((name, media_type, file))
        return self._converted


def content(data: bytes) -> Any:
    return Content(data)


def with_part(part: Mapping[str, Any]) -> list[Any]:
    return [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, part]}]


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def file(data: bytes, name: str | None = "report.pdf", kind: str = "application/pdf") -> dict[str, Any]:
    uri = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    return {"type": "file", "file": {"filename": name, "file_data": uri}}


async def resolve(
    *parts: Any, web: FakeWeb | None = None, ai: FakeAi | None = None, **variables: Any
) -> list[dict[str, Any]]:
    """Resolve the attachments of one message, and return its parts."""
    settings = Settings.read({**VARIABLES, **variables})
    context = a_context(FakeRequest("POST", "/chat"), settings, ai or Converter())
    context = dataclasses.replace(context, web=web or FakeWeb())
    chat = parse_object(ChatRequest, {"messages": [{"role": "user", "content": list(parts)}]})
    [message] = (await Attachments(context).resolve(chat)).turn()
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


async def refused(*parts: Any, web: FakeWeb | None = None, ai: FakeAi | None = None, **variables: Any) -> ApiError:
    with pytest.raises(ApiError) as raised:
        await resolve(*parts, web=web, ai=ai, **variables)
    assert raised.value.param == "messages"
    return raised.value


# ---- dialects ----------------------------------------------------------------------------------------------------

IMAGES: dict[str, dict[str, Any]] = {
    "/chat": {"messages": with_part(image(URL)), "stream": False},
    "/v1/chat/completions": {"messages": with_part(image(URL))},
    "/v1/responses": {
        "input": [{"role": "user", "content": [
            {"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": URL}]}],
    },
    "/v1/messages": {
        "max_tokens": 50, "messages": with_part({"type": "image", "source": {"type": "url", "url": URL}}),
    },
}  # fmt: skip
PDF = base64.b64encode(b"%PDF-1.7 a report").decode()
FILES: dict[str, dict[str, Any]] = {
    "/chat": {"messages": with_part(file(b"%PDF-1.7 a report")), "stream": False},
    "/v1/chat/completions": {"messages": with_part(file(b"%PDF-1.7 a report"))},
    "/v1/responses": {
        "input": [{"role": "user", "content": [
            {"type": "input_text", "text": "What is it?"},
            {"type": "input_file", "filename": "report.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}]}],
    },
    "/v1/messages": {
        "max_tokens": 50, "messages": with_part({
            "type": "document", "title": "report.pdf",
            "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}}),
    },
}  # fmt: skip


@pytest.mark.parametrize("path", IMAGES)
async def test_an_image_by_address_reaches_the_model_as_a_data_uri(path: str) -> None:
    web = FakeWeb()
    response, ai = await post(path, {"model": VISION, **IMAGES[path]}, ANSWER, web=web, **ON)
    assert response.status == 200, response.body
    assert image(DATA) in ai.calls[0][1]["messages"][0]["content"]
    assert web.fetched == [URL]


@pytest.mark.parametrize("path", IMAGES)
@pytest.mark.parametrize(
    ("variables", "words"),
    [({}, "data URI"), ({"ATTACHMENT_HOSTS": "other.example"}, "ATTACHMENT_HOSTS does not name"), (ON, "status 404")],
)
async def test_an_image_that_may_not_be_fetched_is_refused_in_each_dialect(
    path: str, variables: dict[str, Any], words: str
) -> None:
    web = FakeWeb(**{URL: 404})
    response, ai = await post(path, {"model": VISION, **IMAGES[path]}, ANSWER, web=web, **variables)
    assert (response.status, ai.calls) == (400, [])
    assert words in _error(response)["message"]
    assert bool(web.fetched) == (variables == ON)


@pytest.mark.parametrize("path", IMAGES)
async def test_nothing_is_fetched_for_a_model_that_sees_no_images(path: str) -> None:
    web = FakeWeb()
    body = {"model": "@cf/meta/llama-3.2-3b-instruct", **IMAGES[path]}
    response, _ = await post(path, body, ANSWER, web=web, **ON)
    assert (response.status, web.fetched) == (400, [])


def _error(response: Response) -> dict[str, Any]:
    return json.loads(str(response.body))["error"]


async def test_a_stored_turn_has_the_image_itself() -> None:
    conversation = FakeConversation()
    body = {"model": VISION, "conversation": "a", **IMAGES["/chat"]}
    await post("/chat", body, ANSWER, web=FakeWeb(), conversation=conversation, **ON)
    assert image(DATA) in conversation.messages[0]["content"]
    conversation, web = FakeConversation(), FakeWeb()
    body = {"model": VISION, "conversation": f"conv_{'0' * 32}", **IMAGES["/v1/responses"]}
    await post("/v1/responses", body, ANSWER, web=web, conversation=conversation, **ON)
    assert any(image(DATA) in message["content"] for message in conversation.messages if message["role"] == "user")
    assert len(web.fetched) == 1


@pytest.mark.parametrize("path", ["/rag"])
async def test_questions_about_documents_take_none(path: str) -> None:
    response, _ = await post(path, {"messages": with_part(image(URL))}, ANSWER, web=FakeWeb(), **ON)
    assert (response.status, "POST /chat" in _error(response)["message"]) == (400, True)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/chat", {"messages": with_part(image("ftp://site.example/a.png"))}),
        ("/chat", {"messages": with_part({"type": "file", "file": {}})}),
        ("/v1/chat/completions", {"messages": with_part({"type": "file", "file": {"file_id": "file_1"}})}),
        ("/v1/responses", {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file_1"}]}]}),
        ("/v1/responses", {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "a.png"}]}]}),
        ("/v1/messages", {"messages": with_part({"type": "image", "source": {"type": "url"}})}),
        ("/v1/messages", {"messages": with_part({"type": "image", "source": {"type": "url", "url": "a.png"}})}),
        ("/v1/messages", {"messages": with_part({"type": "image", "source": {"type": "base64"}})}),
        ("/v1/messages", {"messages": with_part({"type": "image", "source": {"type": "file", "file_id": "a"}})}),
        ("/v1/messages", {"messages": with_part({"type": "document", "source": {"type": "base64"}})}),
        ("/v1/messages", {"messages": with_part({"type": "document", "source": {"type": "file", "file_id": "a"}})}),
    ],
)
async def test_sources_that_are_none_are_refused(path: str, fields: dict[str, Any]) -> None:
    more = {"max_tokens": 5} if path == "/v1/messages" else {}
    response, ai = await post(path, {"model": VISION, **more, **fields}, ANSWER, **ON)
    assert (response.status, ai.calls) == (400, [])


# ---- the web -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/a.png", "http://localhost/a.png", "http://10.0.0.1/a.png", "http://[::1]/a.png",
     "http://169.254.169.254/latest", "http://0x7f000001/a.png", "https://site.example:8443/a.png",
     "https://user:pass@site.example/a.png", "https://127.0.0.1.nip.io/a.png", "https://intern.local/a"],
)  # fmt: skip
async def test_private_addresses_are_never_fetched(url: str) -> None:
    web = FakeWeb(**{"https://site.example/go": f"->{url}"})
    assert (await refused(image(url), web=web, **ON)).type == "invalid_request"
    assert (await refused(image("https://site.example/go"), web=web, **ON)).type == "invalid_request"
    assert url not in web.fetched


async def test_redirects_are_followed_a_few_times() -> None:
    hops = {f"https://site.example/{n}": f"->https://site.example/{n + 1}" for n in range(9)}
    web = FakeWeb(**hops, **{"https://site.example/9": "->/a.png", "https://site.example/bad": "->http://[a"})
    assert await resolve(image("https://site.example/7"), web=web, **ON) == [image(DATA)]
    assert "redirects" in (await refused(image("https://site.example/5"), web=web, **ON)).message
    await refused(image("https://site.example/bad"), web=web, **ON)


@pytest.mark.parametrize(
    "page", [b"", b"<html>", b"GIF", 500, 404, 204, ApiError("timeout", "too slow"), ApiError("upstream_error", "no")]
)
async def test_an_address_of_no_image_is_the_clients_fault(page: Any) -> None:
    assert (await refused(image(URL), web=FakeWeb(**{URL: page}), **ON)).type == "invalid_request"


async def test_all_images_together_are_bounded_as_a_body_is() -> None:
    big = PNG + bytes(50_000)
    web = FakeWeb(**{f"https://site.example/{n}": big for n in range(3)})
    variables: dict[str, Any] = {**ON, "MAX_BODY_BYTES": 100_000}
    urls = [image(f"https://site.example/{n}") for n in range(3)]
    assert len(await resolve(urls[0], web=web, **variables)) == 1
    error = await refused(*urls, web=web, **variables)
    assert (error.type, web.limits[-2:]) == ("payload_too_large", [75_000, 75_000 - len(big)])


async def test_one_address_is_fetched_once_and_few_are_taken() -> None:
    web = FakeWeb()
    assert await resolve(image(URL), image(URL), web=web, **ON) == [image(DATA)] * 2
    assert web.fetched == [URL]
    many = [image(f"https://site.example/{number}") for number in range(9)]
    assert "at most 8" in (await refused(*many, web=web, **ON)).message


# ---- files -------------------------------------------------------------------------------------------------------


async def test_a_pdf_becomes_its_text() -> None:
    ai = Converter("# Report\n\nAll is well.")
    [part] = await resolve(file(b"%PDF-1.7 a"), {"type": "text", "text": "Sum it up."}, ai=ai)
    assert part["text"] == "File report.pdf:\n\n# Report\n\nAll is well.\n\nSum it up."
    assert ai.files == [("report.pdf", "application/pdf", b"%PDF-1.7 a")]


@pytest.mark.parametrize("path", FILES)
async def test_a_file_is_text_for_the_model_in_each_dialect(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def to_markdown(*_: Any) -> Converted:
        return Converted(content(b"All is well."))

    monkeypatch.setattr(FakeAi, "to_markdown", to_markdown)
    response, ai = await post(path, {"model": "@cf/meta/llama-3.2-3b-instruct", **FILES[path]}, ANSWER)
    assert response.status == 200, response.body
    sent = ai.calls[0][1]["messages"][0]["content"]
    assert isinstance(sent, str)  # no parts: most native models take none
    assert "File report.pdf:\n\nAll is well." in sent
    assert "What is it?" in sent


@pytest.mark.parametrize(
    ("data", "name", "kind", "text"),
    [
        (b"a = 1", "a.py", "text/x-python", "File a.py:\n\na = 1"),
        ("Grüße".encode("utf-8-sig"), None, "text/plain", "Grüße"),
        ("Grüße".encode("utf-16"), "a.txt", "text/plain", "File a.txt:\n\nGrüße"),
        (b"a,b", "a.csv", "text/csv", "File a.csv:\n\n# Report"),
        (b"%PDF-1.7", None, "application/octet-stream", "# Report"),
    ],
)
async def test_texts_are_read_and_other_kinds_converted(data: bytes, name: str | None, kind: str, text: str) -> None:
    assert await resolve(file(data, name, kind)) == [{"type": "text", "text": text}]


async def test_a_file_that_is_an_image_is_seen() -> None:
    assert await resolve(file(PNG, "a.png", "image/png")) == [image(DATA)]


async def test_a_file_by_address_is_fetched() -> None:
    web = FakeWeb(**{"https://site.example/a.md": b"# Hello"})
    part = {"type": "file", "file": {"filename": "a.md", "file_data": "https://site.example/a.md"}}
    assert (await resolve(part, web=web, **ON))[0]["text"] == "File a.md:\n\n# Hello"
    assert "ATTACHMENT_HOSTS" in (await refused(part, web=web)).message


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"type": "file", "file": {"file_data": "nonsense"}}, "data URI"),
        ({"type": "file", "file": {"file_data": "data:application/pdf;base64,!"}}, "data URI"),
        ({"type": "file", "file": {"file_data": "data:text/plain,hello"}}, "data URI"),
        (file(b""), "empty"),
        (file(bytes(9), "a.exe", "application/x-msdownload"), "cannot be read"),
        (file(b"\xff\xfe\xfa", "a.txt", "text/plain"), "UTF-8"),
        (file(b"PK\x03\x04 no archive", "a.docx", ""), "damaged"),
    ],
)
async def test_files_that_cannot_be_read_are_refused(part: dict[str, Any], words: str) -> None:
    assert words in (await refused(part)).message


async def test_a_file_that_the_converter_cannot_read_is_refused() -> None:
    assert "encrypted" in (await refused(file(b"%PDF"), ai=Converter(None, "encrypted"))).message
    assert "no text" in (await refused(file(b"%PDF"), ai=Converter(" \n"))).message


async def test_long_texts_are_refused_before_they_are_read() -> None:
    for text in ("a" * 101, "a" * 401):
        error = await refused(file(b"%PDF"), ai=Converter(text), MAX_PROMPT_CHARACTERS=100)
        assert error.type == "payload_too_large"
