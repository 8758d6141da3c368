"""Images by address and files in messages, in workerd: fetched by its fetch(), converted by its binding."""

import base64
import io
from typing import Any

import httpx
from PIL import Image

from tests.conftest import ErrorOf, NewCalls, Simulator
from tests.worker.test_sync import Site, site
from tools import ROOT

__all__ = ["site"]

VISION = "@cf/meta/llama-4-scout-17b-16e-instruct"
REPORT = (ROOT / "public/console/examples/lighthouse.pdf").read_bytes()


def picture() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(content, "PNG")
    return content.getvalue()


def chat_of(*parts: Any) -> dict[str, Any]:
    return {"id": "attachments", "messages": [{"id": "1", "role": "user", "parts": list(parts)}], "model": VISION}


def test_an_image_by_address_is_seen(client: httpx.Client, site: Site, simulator: Simulator) -> None:
    site.pages = {"/a.png": picture(), "/old.png": "->/a.png"}
    part = {"type": "image_url", "image_url": {"url": f"{site.url}/old.png"}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, part]}]
    answer = client.post("/chat", json={"messages": messages, "model": VISION, "stream": False})
    assert all(side in answer.json()["response"] for side in ("40", "30"))
    sent = simulator.request(answer.headers["x-ai-request-id"])["inputs"]["messages"][0]["content"]
    assert sent[1]["image_url"]["url"] == f"data:image/png;base64,{base64.b64encode(picture()).decode()}"

    calls = NewCalls(simulator)
    chat = chat_of({"type": "file", "mediaType": "image/png", "url": f"{site.url}/a.png"})
    assert '"type":"finish"' in client.post("/api/chat", json=chat).text
    [call] = calls.of(operation="run")
    assert call["inputs"]["messages"][0]["content"] == [sent[1]]


def test_a_pdf_of_a_page_is_read(client: httpx.Client, simulator: Simulator) -> None:
    calls = NewCalls(simulator)
    uri = f"data:application/pdf;base64,{base64.b64encode(REPORT).decode()}"
    pdf = {"type": "file", "mediaType": "application/pdf", "filename": "lighthouse.pdf", "url": uri}
    answer = client.post("/api/chat", json=chat_of(pdf, {"type": "text", "text": "Sum it up."}))
    assert '"type":"finish"' in answer.text
    [call] = calls.of(operation="run")
    content = call["inputs"]["messages"][0]["content"]
    assert content.startswith("File lighthouse.pdf:\n\n")
    assert "lighthouse" in content.lower()
    assert content.endswith("Sum it up.")


def test_an_address_that_may_not_be_fetched_is_an_error_before_the_answer(
    client: httpx.Client, site: Site, error_of: ErrorOf
) -> None:
    elsewhere = site.url.replace("127.0.0.1", "localhost")
    site.pages = {"/a.png": picture(), "/away.png": f"->{elsewhere}/a.png", "/page": "<html>"}
    for url in (f"{elsewhere}/a.png", f"{site.url}/away.png", f"{site.url}/page", f"{site.url}/none"):
        part = {"type": "image_url", "image_url": {"url": url}}
        chat = client.post("/chat", json={"messages": [{"role": "user", "content": [part]}], "model": VISION})
        assert (chat.status_code, error_of(chat)["param"]) == (400, "messages")
        file = {"type": "file", "mediaType": "image/png", "url": url}
        assert client.post("/api/chat", json=chat_of(file)).status_code == 400
    assert "/a.png" not in site.paths
