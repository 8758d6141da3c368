"""Attachments of messages in the form that models get: an image by address as a data URI, a file as its text.

Fetched data may be as large as a client's own (MAX_BODY_BYTES), and is treated like it from then on.
"""

import base64
import codecs
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urljoin

from aiworker import __version__
from aiworker.auth import limits
from aiworker.bindings import WebResponse
from aiworker.context import Resources
from aiworker.error_text import public_message
from aiworker.errors import ApiError
from aiworker.http.media import detect_image_type
from aiworker.rag import file_kinds, sites
from aiworker.rag.conversion_limits import check_converted
from aiworker.rag.crawl import REDIRECTS
from aiworker.rag.robots import PRODUCT
from aiworker.routes.chat_schema import ChatRequest, FilePart, ImagePart, ImageUrl, Message, Part, TextPart

MAX_ATTACHMENTS = 8
"""Files, and images by address, of one request."""
MAX_REDIRECTS = 3
SECONDS = 20.0
"""Time within which all of a request's addresses must have answered."""
ENDS_BYTES = 65_536
"""Bytes at either end of a file that tell its kind."""
ANY_HOST = "*"
"""Value of ATTACHMENT_HOSTS for all public hosts."""
DATA_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w.+-]+=[^;,]*)*;base64,")
MAX_HEAD = 300
"""Characters of a data URI before its data."""
MAX_BYTES_A_CHARACTER = 4


@dataclass(frozen=True)
class File:
    """A file in memory; see aiworker.http.messages.ReadableBytes."""

    content: bytes
    media_type: str
    """The declared one."""

    @property
    def size(self) -> int:
        return len(self.content)

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        return self.content[start:end]


class Attachments:
    """The attachments of one request. Each is fetched and read once, however often it is resolved."""

    def __init__(self, resources: Resources, field: str = "messages") -> None:
        """field: the request's field that holds them, which errors name."""
        self._resources = resources
        self._field = field
        self._bytes_left = resources.settings.max_body_bytes * 3 // 4  # this much fits into a body as base64
        self._deadline = 0.0
        self._resolved: dict[str, Part] = {}
        """Address or data URI → what the model gets."""

    async def resolve(self, chat: ChatRequest) -> ChatRequest:
        """Return the request with its attachments in the form that models get.

        Raises ApiError `invalid_request` for one that cannot be fetched or read, `payload_too_large` if they are too
        large.
        """
        attached = list(_attached(chat))
        if not attached:
            return chat
        if len({_source(part) for part in attached}) > MAX_ATTACHMENTS:
            raise self._refused(f"may have at most {MAX_ATTACHMENTS} files and images by address")
        self._deadline = time.monotonic() + SECONDS
        for part in attached:
            if _source(part) not in self._resolved:
                self._resolved[_source(part)] = await self._resolve(part)
        messages = [self._with_parts(message) for message in chat.messages or ()]
        resolved = chat.model_copy(update={"messages": messages})
        limits.check_prompt(self._resources, resolved.texts(), self._field)
        return resolved

    def _with_parts(self, message: Message) -> Message:
        if not message.attachments:
            return message
        parts = [self._resolved.get(_source(part), part) for part in message.content or () if not isinstance(part, str)]
        if any(isinstance(part, ImagePart) for part in parts):
            return message.model_copy(update={"content": parts})
        # most native models take no parts
        return message.model_copy(
            update={"content": "\n\n".join(part.text for part in parts if isinstance(part, TextPart))}
        )

    async def _resolve(self, part: ImagePart | FilePart) -> Part:
        if isinstance(part, ImagePart):
            file = await self._fetch(part.image_url.url)
            if image := _image(file, part.image_url.detail):
                return image
            raise self._refused("must lead to a PNG, JPEG, WebP or GIF image", part.image_url.url)
        source, name = part.file.file_data, part.file.filename or ""
        is_address = not source.startswith("data:")
        file = await self._fetch(source) if is_address else self._decode(source)
        if image := _image(file):
            return image
        text = await self._text(file, name)
        return TextPart(type="text", text=f"File {name}:\n\n{text}" if name else text)

    # ---- files ---------------------------------------------------------------------------------------------------

    def _decode(self, uri: str) -> File:
        head = DATA_URI.match(uri[:MAX_HEAD])
        try:
            if head is None:
                raise ValueError("no such URI")
            return File(base64.b64decode(uri[head.end() :], validate=True), head[1] or "")
        except ValueError:
            raise self._refused("must be a data URI with base64 (data:application/pdf;base64,…)") from None

    async def _text(self, file: File, name: str) -> str:
        """Return a file's text. Raises ApiError for one that is empty, damaged or of a kind that is not taken."""
        if not file.size:
            raise self._refused("is an empty file", name)
        ends = file.content[:ENDS_BYTES] + file.content[-ENDS_BYTES:]
        kind = file_kinds.media_type(name, file.media_type, ends)
        if kind is None:
            extensions = ", ".join(sorted(file_kinds.EXTENSIONS))
            raise self._refused(f"is of a kind that cannot be read: those that can are {extensions}", name)
        if kind in file_kinds.TEXTUAL:
            text = self._decoded(file.content, name)
            if not file_kinds.is_converted(kind):
                return text
            file = File(text.encode(), kind)
        return await self._converted(file, name, kind)

    def _decoded(self, content: bytes, name: str) -> str:
        is_wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        try:
            return content.decode("utf-16" if is_wide else "utf-8-sig")
        except UnicodeDecodeError:
            raise self._refused("must be text in UTF-8", name) from None

    async def _converted(self, file: File, name: str, kind: str) -> str:
        """Return the Markdown that the AI binding makes of a file."""
        try:
            check_converted(kind, file)
        except ApiError as error:
            raise ApiError(error.type, error.message, param=self._field) from None
        name = file_kinds.conversion_name(name, kind, "file")
        converted = await self._resources.ai.to_markdown(name, kind, file.content)
        if converted.markdown is None:
            raise self._refused(f"could not be converted: {public_message(converted.error)}", name)
        if converted.markdown.size > self._resources.settings.max_prompt_characters * MAX_BYTES_A_CHARACTER:
            message = f"{name} has {converted.markdown.size:,} bytes of text: send a part of it."
            raise ApiError("payload_too_large", message, param=self._field)
        text = converted.markdown.read().decode(errors="replace")
        if not text.strip():
            raise self._refused("has no text", name)
        return text

    # ---- the web -------------------------------------------------------------------------------------------------

    async def _fetch(self, url: str) -> File:
        """Fetch an address. Raises ApiError `invalid_request` if that is not allowed, or fails."""
        hosts = self._resources.settings.attachment_hosts
        if not hosts:
            raise self._refused(
                "must be a data URI (data:image/png;base64,…): this Worker's variable ATTACHMENT_HOSTS names no host "
                "to fetch from",
                url,
            )
        target = url
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._get(target, () if ANY_HOST in hosts else hosts)
            location = response.headers.get("location")
            if response.status not in REDIRECTS or not location:
                return self._file(response, url)
            target = _joined(target, location)
        raise self._refused(f"redirects more than {MAX_REDIRECTS} times", url)

    async def _get(self, url: str, hosts: tuple[str, ...]) -> WebResponse:
        try:
            address = sites.check(url, hosts, "ATTACHMENT_HOSTS")
            seconds = max(self._deadline - time.monotonic(), 0)
            headers = {"user-agent": f"{PRODUCT}/{__version__}"}
            return await self._resources.web.get(address, headers, self._bytes_left, seconds)
        except ApiError as error:
            if error.type == "payload_too_large":
                message = f"The file at {url[:200]} is too large: {self._bytes_left:,} bytes are left."
                raise ApiError(error.type, message, param=self._field) from None
            reason = error.message if error.param == "url" else f"{url[:200]} could not be fetched: {error.message}"
            raise ApiError("invalid_request", reason, param=self._field) from None

    def _file(self, response: WebResponse, url: str) -> File:
        if response.body is None:
            raise self._refused(f"is answered with status {response.status}", url)
        content = response.body.read()
        self._bytes_left -= len(content)
        return File(content, response.headers.get("content-type", "").partition(";")[0].strip().lower())

    def _refused(self, reason: str, subject: str = "") -> ApiError:
        return ApiError("invalid_request", f"{subject[:200] or self._field} {reason}.", param=self._field)


def _attached(chat: ChatRequest) -> Iterator[ImagePart | FilePart]:
    for message in chat.messages or ():
        yield from message.attachments


def _source(part: Part) -> str:
    """Return the address or the data URI of an attachment; the text of any other part."""
    if isinstance(part, TextPart):
        return ""
    return part.image_url.url if isinstance(part, ImagePart) else part.file.file_data


def _image(file: File, detail: str | None = None) -> ImagePart | None:
    """Return an image as a part of a message; None for any other file."""
    kind = detect_image_type(file.content[:64])
    if kind is None:
        return None
    url = f"data:{kind};base64,{base64.b64encode(file.content).decode()}"
    return ImagePart(type="image_url", image_url=ImageUrl.model_validate({"url": url, "detail": detail}))


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        return location
