"""`url` of a document: front ends make links of it."""

from collections.abc import Callable

import pytest
from pydantic import ValidationError

from aiworker.rag import retrieve
from aiworker.rag.document_fields import DocumentRequest, safe_reader_url
from aiworker.rag.store import Version
from aiworker.routes.documents_schema import DocumentForm


def as_json(url: str) -> str | None:
    return DocumentRequest(text="a", url=url).url


def as_form(url: str) -> str | None:
    return DocumentForm(url=url).url


@pytest.mark.parametrize("read", [as_json, as_form])
@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "java\nscript:alert(1)",
        "java\tscr\ript:alert(1)",
        "javascript\t:alert(1)",
        " javascript:alert(1)",
        "\x00\x1f javascript:alert(1)",
        "javascript://example.com/%0aalert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:msgbox(1)",
        "blob:https://example.com/1",
    ],
)
def test_an_address_that_runs_a_script_is_refused(url: str, read: Callable[[str], str | None]) -> None:
    with pytest.raises(ValidationError, match="must be an address that readers can open"):
        read(url)


@pytest.mark.parametrize("read", [as_json, as_form])
@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/javascript:a?b=data:c",
        "/docs/penguins",
        "penguins.html#data:",
        "//example.com",
        "s3://bucket/key",
        "mailto:ada@example.com",
        "javascript",
        "datasets:1",
        "",
    ],
)
def test_other_addresses_stay_as_they_are(url: str, read: Callable[[str], str | None]) -> None:
    assert read(url) == url


@pytest.mark.parametrize("url", ["javascript:alert(1)", "java\nscript:alert(1)", "\x00 data:text/html,x"])
def test_an_address_that_an_older_version_has_stored_runs_no_script(url: str) -> None:
    assert safe_reader_url(url) is None
    row = dict.fromkeys(Version.__dataclass_fields__, 0)
    assert Version.from_row({**row, "metadata": "{}", "url": url}).url is None
    assert Version.from_row({**row, "metadata": "{}", "url": "/docs"}).url == "/docs"
    passage = dict.fromkeys(("vector_id", "document_id", "title", "text", "media_type", "first_byte"))
    assert retrieve.passage_of({**passage, "heading": "", "url": url}, {}, 0).url is None
