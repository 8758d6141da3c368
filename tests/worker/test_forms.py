"""Forms whose files have no name: they are recognised by their bytes."""

import io
import math
import struct
import wave

import httpx
import pytest
from PIL import Image

from tests.conftest import ErrorOf

BOUNDARY = "----boundary"


def recording() -> bytes:
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(b"".join(struct.pack("<h", int(9_000 * math.sin(n / 8))) for n in range(8_000)))
    return content.getvalue()


def picture() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (256, 256), "red").save(content, "PNG")
    return content.getvalue()


def post(client: httpx.Client, path: str, field: str, disposition: str, content: bytes, **texts: str) -> httpx.Response:
    """Send a form. disposition: what follows the field's name in the head of its part."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        for name, text in texts.items()
    ]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"{disposition}\r\n\r\n'
    body = "".join(parts).encode() + head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    return client.post(path, content=body, headers={"content-type": f"multipart/form-data; boundary={BOUNDARY}"})


@pytest.mark.parametrize(
    "disposition",
    [
        "",
        '; filename=""',
        '; filename="blob"\r\nContent-Type: application/octet-stream',
        "\r\nContent-Type: text/plain",
    ],
    ids=["missing", "empty", "blob", "text"],
)
class TestFilesWithoutAName:
    @pytest.mark.parametrize("path", ["/transcribe", "/v1/audio/transcriptions"])
    def test_a_recording_is_transcribed(self, client: httpx.Client, disposition: str, path: str) -> None:
        texts = {"model": "whisper-1"} if path.startswith("/v1/") else {}
        response = post(client, path, "file", disposition, recording(), **texts)
        assert response.status_code == 200, response.text
        assert response.json()["text"]

    def test_an_image_is_edited(self, client: httpx.Client, disposition: str) -> None:
        response = post(client, "/image", "image", disposition, picture(), prompt="A fox")
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "image/png"

    def test_a_text_is_a_document(self, client: httpx.Client, disposition: str) -> None:
        response = post(client, "/rag/documents", "file", disposition, "# Füße\n\nLang.".encode(), id="unnamed")
        assert response.status_code in (200, 202), response.text


def test_a_pdf_without_a_name_is_no_text(client: httpx.Client, error_of: ErrorOf) -> None:
    response = post(client, "/rag/documents", "file", "", b"%PDF-1.7\n%\0\n/Encrypt\n%%EOF")
    assert response.status_code == 422
    assert "encrypted" in error_of(response)["message"]


def test_bytes_that_are_nothing_known_are_refused(client: httpx.Client, error_of: ErrorOf) -> None:
    for path, field in (("/transcribe", "file"), ("/image", "image")):
        response = post(client, path, field, "", b"\x7fELF\0\0", **({"prompt": "x"} if field == "image" else {}))
        assert response.status_code == 400
        assert error_of(response)["param"] == field
    assert post(client, "/rag/documents", "file", "", b"\x7fELF\0\0").status_code == 415


def test_other_fields_stay_texts(client: httpx.Client, error_of: ErrorOf) -> None:
    response = post(client, "/transcribe", "picture", "", b"abc")
    assert response.status_code == 400
    assert error_of(response)["param"] == "picture"
