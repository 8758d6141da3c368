"""The Worker's bindings as Protocols; aiworker.platform implements them over the platform's objects.

Large things stay in JavaScript: Python reads only parts of a `Payload`, and passes a `JsHandle` on unread.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from aiworker.errors import ApiError
from aiworker.http.messages import JsHandle, Payload, Request


@dataclass(frozen=True)
class Part:
    """A slice of a payload with other bytes in front of it, such as a piece of a recording with a header of its own."""

    head: bytes
    """Bytes in front of the slice."""
    start: int
    end: int
    """Index after the slice's last byte."""


@dataclass(frozen=True)
class Binary:
    """A model input that consists of bytes."""

    payload: Payload
    written_as: Literal["base64", "numbers", "stream"]
    """A string of base64, an array of numbers from 0 to 255, or a stream with a content type."""
    content_type: str = "application/octet-stream"
    """Content type of a stream."""
    part: Part | None = None
    """The part to send, copied only when it is sent; None for the whole payload."""
    seconds: float | None = None
    """Duration of a recording; None if it is unknown."""


@dataclass(frozen=True)
class Inputs:
    """The inputs of a model call."""

    fields: Mapping[str, Any]
    """Inputs that are JSON values."""
    binary: Mapping[str, Binary] = field(default_factory=dict[str, Binary])
    form: Mapping[str, str | Payload] = field(default_factory=dict[str, str | Payload])
    """Fields and files of the input `multipart`, for models that take a form."""

    @property
    def fits_gateway(self) -> bool:
        """True if the call may go through AI Gateway, where the binding refuses forms and streams."""
        return not self.form and all(each.written_as != "stream" for each in self.binary.values())


class UpstreamResponse(Protocol):
    """The response to a model call: status and headers in Python, the body in JavaScript. It can be read once."""

    @property
    def status(self) -> int: ...

    @property
    def body(self) -> JsHandle: ...

    def header(self, name: str) -> str | None: ...

    async def text(self) -> str:
        """Read the body to its end; raises ApiError `upstream_error` if it breaks off."""
        ...

    async def payload(self) -> Payload:
        """Read the body as bytes that stay in JavaScript; raises as `text`."""
        ...

    async def base64_payload(self, name: str) -> Payload:
        """Decode the property `name` of the JSON body, which is base64.

        Raises ApiError `upstream_error` if there is no such property, or it is not base64.
        """
        ...

    async def value(self, name: str) -> JsHandle:
        """Return the JavaScript value of the property `name` of the JSON body.

        Raises ApiError `upstream_error` if there is none.
        """
        ...

    def chunks(self) -> AsyncGenerator[bytes]:
        """Yield the body as it arrives; raises as `text`. Leaving the loop early cancels the model."""
        ...


@dataclass(frozen=True)
class Converted:
    """The result of `toMarkdown` for a file."""

    markdown: Payload | None
    """The text in UTF-8; None if the conversion failed."""
    error: str = ""
    """The reason of a failure."""


class Ai(Protocol):
    """Workers AI, and the logs of AI Gateway."""

    async def run(self, model: str, inputs: Inputs, options: Mapping[str, Any], seconds: float) -> UpstreamResponse:
        """Call a model.

        options: those of `env.AI.run`. seconds: time limit of the call, its body included.
        Raises ApiError `timeout` if the limit passes before the answer begins, `upstream_error` if none arrives, and
        ClientDisconnected if the client of the request has gone.
        """
        ...

    async def to_markdown(self, name: str, media_type: str, file: Payload | bytes) -> Converted:
        """Convert a file to Markdown; raises ApiError `upstream_error` if the service fails."""
        ...

    async def web_search(self, request: Mapping[str, Any], seconds: float) -> UpstreamResponse:
        """Search the web. request: that of `env.AI.websearch`.

        Raises ApiError `upstream_error` if no answer arrives within so many seconds.
        """
        ...

    async def gateway_log(self, gateway: str, log_id: str) -> dict[str, Any]:
        """Return a log; raises ApiError `not_found` if the gateway has none of that id."""
        ...

    async def rate_log(self, gateway: str, log_id: str, rating: Mapping[str, Any]) -> None:
        """Set `feedback`, `score` or `metadata` of a log; raises ApiError `not_found` if there is none."""
        ...


class StreamTransform(Protocol):
    """Transforms a stream chunk by chunk. Nothing is awaited between chunks."""

    def transform(self, chunk: bytes) -> bytes: ...

    def finish(self) -> bytes | Awaitable[bytes]:
        """Return what follows the last chunk; the client waits for it."""
        ...

    def fail(self, reason: str) -> str:
        """Return what follows if the stream breaks off."""
        ...


class StreamEpilogue(Protocol):
    """Adds text to the end of a stream that goes to its client unread."""

    @property
    def tail_size(self) -> int | None:
        """Number of bytes at the end of the stream that `finish` needs; None for all."""
        ...

    async def finish(self, body: bytes) -> str:
        """Return what follows a stream that has closed. body: its last `tail_size` bytes."""
        ...

    def fail(self, reason: str) -> str:
        """Return what follows if the stream breaks off."""
        ...


@dataclass(frozen=True)
class StreamOutcome:
    """The end of a response's streamed bodies."""

    client_disconnected: bool
    """The client has not read to the end."""
    defect: Exception | None = None
    """An exception of this Worker's code that has broken off a body."""


class Streams(Protocol):
    """Bodies of one response, sent while they are made."""

    def pipe(self, body: JsHandle, epilogue: StreamEpilogue, prefix: str = "") -> JsHandle:
        """Send the prefix, the body unread and unchanged, and what the epilogue adds."""
        ...

    def transform(self, body: JsHandle, transform: StreamTransform) -> JsHandle:
        """Send the body, each chunk transformed."""
        ...

    def generate(self, parts: "AsyncGenerator[str | bytes]") -> JsHandle:
        """Send what the generator yields, which is closed when the client disconnects."""
        ...

    def on_complete(self, callback: Callable[[StreamOutcome], None]) -> None:
        """Call back when all of these bodies have ended; at once if there are none."""
        ...

    def wait_until(self, work: Coroutine[Any, Any, None]) -> None:
        """Let the work go on after the response has been sent."""
        ...

    def on_disconnect(self, callback: Callable[[], None]) -> None:
        """Call back if the client disconnects before the end; the platform may then cut off all other work."""
        ...


class Analytics(Protocol):
    """An Analytics Engine data set."""

    def write(self, index: str, texts: Sequence[str], numbers: Sequence[float]) -> None:
        """Write a data point. index: the value by which Analytics Engine samples."""
        ...


@dataclass(frozen=True)
class BudgetState:
    """The state of a key's daily budget."""

    day: str
    """The day in UTC, such as `2026-11-21`."""
    neurons: float
    """Neurons spent, reservations included."""
    seconds_left: int
    """Seconds until the day ends."""
    is_admitted: bool = True
    """False if a reservation was refused."""


class Budget(Protocol):
    """The daily budget of one key, shared by all isolates.

    All methods raise ApiError `unavailable` if it is out of reach.
    """

    async def reserve(self, charges: Mapping[str, float], daily: float) -> BudgetState:
        """Reserve all charges (id → neurons) if the day then costs at most `daily` neurons; none of them otherwise."""
        ...

    async def settle(self, costs: Mapping[str, float]) -> None:
        """Replace reservations by their cost (id → neurons). Settling one twice changes nothing."""
        ...

    async def today(self) -> BudgetState: ...


class Budgets(Protocol):
    def find(self, key_name: str) -> Budget:
        """Return the budget of a key; one that has spent nothing needs no creation."""
        ...


class RateLimiter(Protocol):
    async def allow(self, key: str) -> bool:
        """Count a request of this key, and tell whether it is within the limit. Raises ApiError `unavailable`."""
        ...


@dataclass(frozen=True)
class StoredObject:
    """The response to a request for a stored object or a static file."""

    body: JsHandle | None
    """The content; None if the status is 304, 412 or 416, or the request is a HEAD."""
    status: int
    """200, 206, 304, 412 or 416."""
    headers: dict[str, str]
    """content-type, etag, last-modified, content-length; content-range of a range."""


class Bucket(Protocol):
    """An R2 bucket. All methods raise ApiError `upstream_error` if it fails."""

    async def put(self, key: str, content: str | Payload, content_type: str, metadata: Mapping[str, str]) -> None: ...

    async def get(self, key: str, request: Request) -> StoredObject | None:
        """Return what the request's `range` and conditional headers select; None if there is no such object."""
        ...

    async def payload(self, key: str) -> Payload | None:
        """Return the whole object; None if there is none."""
        ...

    async def read_part(self, key: str, start: int, length: int) -> tuple[Payload, int] | None:
        """Return at most `length` bytes of an object from byte `start`, and the whole object's size.

        None if there is no such object, or nothing from there.
        """
        ...

    async def metadata(self, key: str) -> Mapping[str, str] | None:
        """Return the metadata that `put` has stored with an object; None if there is none."""
        ...

    async def keys(self, prefix: str, maximum: int) -> list[str]:
        """Return the keys that begin with the prefix, in their order, and no more than so many."""
        ...

    async def head(self, key: str) -> tuple[str, int] | None:
        """Return the entity tag of an object, which changes with its content, and its size; None if there is none."""
        ...

    async def delete(self, key: str) -> None:
        """Delete an object; an unknown key is ignored."""
        ...

    async def delete_all(self, keys: Sequence[str]) -> None:
        """Delete up to 1,000 objects; unknown keys are ignored."""
        ...

    async def page(self, prefix: str, cursor: str | None) -> tuple[Mapping[str, Mapping[str, str]], str | None]:
        """Return key → metadata of up to 1,000 objects whose keys begin with the prefix, and the next page's cursor.

        cursor: that of the page before; None for the first. The last page has none.
        """
        ...

    async def delete_folder(self, prefix: str) -> bool:
        """Delete up to 1,000 objects whose keys begin with the prefix; return True if there are more."""
        ...


class Conversation(Protocol):
    """A stored conversation. All methods raise ApiError `upstream_error` if it is out of reach."""

    async def history(self) -> list[dict[str, Any]]:
        """Return the messages, oldest first."""
        ...

    async def append(self, messages: list[dict[str, Any]]) -> None:
        """Store a turn, the messages sent and the answer: all of it or nothing."""
        ...

    async def erase(self) -> None: ...


@dataclass(frozen=True)
class Turn:
    """A stored turn."""

    id: int
    messages: list[dict[str, Any]]
    """With their items' numbers, if some were deleted: see aiworker.conversations.item_numbers."""


class ItemizedConversation(Conversation, Protocol):
    """A stored conversation whose items can be named. Its methods raise as those of a conversation."""

    async def turns(self) -> list[Turn]:
        """Return the turns, oldest first."""
        ...

    async def delete_item(self, turn: int, number: int) -> bool:
        """Delete an item of a turn, by its number in it; return False if there is none."""
        ...

    async def metadata(self) -> dict[str, str]: ...

    async def set_metadata(self, pairs: Mapping[str, str]) -> None:
        """Store pairs in place of all others."""
        ...


@dataclass(frozen=True)
class AnswerStream:
    """An answer as its chat's object sends it."""

    body: JsHandle | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    error: ApiError | None = None
    """The reason for which the answer has not begun; it has no body then."""


class Chat(Protocol):
    """A chat whose object writes its answers. All methods raise ApiError `upstream_error` if it is out of reach."""

    async def start(self, order: str) -> AnswerStream:
        """Start an answer, and return it as soon as it begins. order: an AnswerOrder as JSON."""
        ...

    async def resume(self) -> AnswerStream | None:
        """Return the last answer from its beginning; None if there is none."""
        ...

    async def stop(self, message_id: str | None) -> bool:
        """Stop the answer of this id, or whichever is being written; False if there is none of that id."""
        ...


class Conversations(Protocol):
    def find(self, conversation_id: str) -> ItemizedConversation:
        """Return the conversation of that id; a new one is empty."""
        ...

    def find_chat(self, chat_id: str) -> Chat:
        """Return the chat of that id, in the same object as the conversation."""
        ...


Statement = tuple[str | float | None, ...]
"""SQL and the values of its parameters."""


class Assets(Protocol):
    """The static files of the deployment."""

    async def get(self, path: str, request: Request) -> StoredObject:
        """Return the file at the absolute `path`; with status 304 and no body if the client has it (`if-none-match`).

        Raises ApiError `unavailable` if the deployment has no such file.
        """
        ...

    async def read(self, path: str) -> Payload:
        """Return the content of the file at the absolute `path`, for the Worker itself. Raises as `get` does."""
        ...


class Database(Protocol):
    """A D1 database. All methods raise ApiError `upstream_error` if it fails."""

    async def rows(self, query: str, *values: str | float | None) -> list[dict[str, Any]]:
        """Run a query and return its rows, column → value."""
        ...

    async def run(self, *statements: Statement) -> list[dict[str, Any]]:
        """Run the statements in one transaction, all of them or none; return the rows of the last one."""
        ...


@dataclass(frozen=True)
class VectorRecord:
    """The id, namespace and metadata of a vector."""

    id: str
    namespace: str
    metadata: Mapping[str, Any]


class VectorIndex(Protocol):
    """A Vectorize index, in which writes become visible some seconds later.

    All methods raise ApiError `upstream_error` if it fails.
    """

    async def upsert(self, rows: JsHandle, records: Sequence[VectorRecord]) -> None:
        """Write vectors. rows: a JavaScript array with an array of numbers for each record, in the same order."""
        ...

    async def query(
        self,
        rows: JsHandle,
        row: int,
        count: int,
        namespace: str,
        filter: Mapping[str, Any],  # noqa: A002 - Vectorize's word
    ) -> dict[str, float]:
        """Return id → score of the `count` vectors nearest to that row of `rows`, the nearest first."""
        ...

    async def present(self, ids: Sequence[str]) -> set[str]:
        """Return those of the ids, at most 20, whose vectors are visible."""
        ...

    async def delete(self, ids: Sequence[str]) -> None:
        """Delete any number of vectors; unknown ids are ignored."""
        ...


@dataclass(frozen=True)
class WebResponse:
    """The answer of a site."""

    status: int
    headers: Mapping[str, str]
    """Name in lower case → value."""
    body: Payload | None
    """The content of an answer with status 200, and of any other to a `post`."""


class Web(Protocol):
    """The web outside."""

    async def get(self, url: str, headers: Mapping[str, str], limit: int, seconds: float) -> WebResponse:
        """Fetch an address; redirects are not followed.

        Raises ApiError `payload_too_large` for a body of more than `limit` bytes, `timeout` if it has not arrived after
        so many seconds, and `upstream_error` if the site cannot be reached.
        """
        ...

    async def post(self, url: str, headers: Mapping[str, str], body: str, limit: int, seconds: float) -> WebResponse:
        """Post a body to an address. Raises as `get` does; the answer has its content whatever its status is."""
        ...


class NoWeb:
    """Stand-in for the web in places where nothing of it can be reached."""

    async def get(self, url: str, headers: Mapping[str, str], limit: int, seconds: float) -> WebResponse:  # noqa: ARG002 - Web's
        raise ApiError("upstream_error", "The site cannot be reached.")

    async def post(self, url: str, headers: Mapping[str, str], body: str, limit: int, seconds: float) -> WebResponse:  # noqa: ARG002
        raise ApiError("upstream_error", "The site cannot be reached.")


@dataclass(frozen=True)
class SearchItem:
    """A file in an instance of AI Search."""

    id: str
    status: str
    """queued, running, completed, error, skipped or outdated."""
    error: str = ""
    chunks: int = 0


class SearchInstances(Protocol):
    """A namespace of AI Search: instances by name, with the files in their built-in storage.

    All methods raise ApiError: `not_found` for an unknown instance, `upstream_error` if AI Search fails.
    """

    async def create(self, instance: str, config: Mapping[str, Any]) -> bool:
        """Create an instance; return False if there is one of that name, which is left as it is."""
        ...

    async def config(self, instance: str) -> Mapping[str, Any]:
        """Return the configuration of an instance."""
        ...

    async def update(self, instance: str, config: Mapping[str, Any]) -> None:
        """Change fields of the configuration."""
        ...

    async def upload(self, instance: str, key: str, content: str | Payload, metadata: Mapping[str, str]) -> SearchItem:
        """Store a file under a key, in place of one that has it; it is indexed later.

        Raises ApiError `payload_too_large` or `unsupported_media_type` for a file that AI Search does not take.
        """
        ...

    async def item(self, instance: str, item_id: str) -> SearchItem | None:
        """Return an item; None if there is none."""
        ...

    async def item_of(self, instance: str, key: str) -> SearchItem | None:
        """Return the item with a key; None if there is none."""
        ...

    async def delete(self, instance: str, item_id: str) -> None:
        """Delete an item; an unknown one is ignored."""
        ...

    async def download(self, instance: str, item_id: str) -> tuple[JsHandle, int]:
        """Return an item's file as a stream, and its size in bytes."""
        ...

    async def payload(self, instance: str, item_id: str, limit: int) -> Payload:
        """Return an item's file. Raises ApiError `payload_too_large` for one of more than `limit` bytes."""
        ...

    async def search(self, instance: str, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the chunks that AI Search finds, the best first."""
        ...


class Ingestions(Protocol):
    """The workflow that ingests versions of documents, indexes their words again, and runs jobs."""

    async def start(self, version_id: str, *, is_embedded: bool = False) -> None:
        """Start the workflow of a version; one that has been started already is left alone.

        is_embedded: its vectors are written and paid for.
        """
        ...

    async def wake(self, version_id: str) -> None:
        """Resume a workflow that a restart may have left asleep (local runs only); start it if it never was."""
        ...

    async def wake_reindex(self, normalization: int) -> None:
        """Do the same for the workflow that indexes all words again, of which each normalisation has one."""
        ...

    async def start_job(self, job_id: str, instance: int) -> None:
        """Start a workflow of a job, which may need several, one after the other; leave one alone that was started."""
        ...

    async def wake_job(self, job_id: str, instance: int) -> None:
        """Do as `wake` for a workflow of a job."""
        ...


# ---- bindings of wrangler.jsonc ----------------------------------------------------------------------------------


class Binding(NamedTuple):
    """A binding that a full deployment has."""

    name: str
    configuration: str
    """The line of wrangler.jsonc that adds it."""


BINDINGS: Mapping[str, Binding] = {
    "ai": Binding("AI", '"ai": {"binding": "AI"}'),
    "vectors": Binding("VECTORIZE", '"vectorize": [{"binding": "VECTORIZE", "index_name": "aiworker-passages"}]'),
    "bucket": Binding("BUCKET", '"r2_buckets": [{"binding": "BUCKET", "bucket_name": "aiworker"}]'),
    "database": Binding("DB", '"d1_databases": [{"binding": "DB", "database_name": "aiworker"}]'),
    "ingestions": Binding(
        "INGESTIONS",
        '"workflows": [{"binding": "INGESTIONS", "name": "aiworker-ingestion", "class_name": "Ingestion"}]',
    ),
    "searches": Binding("AI_SEARCH", '"ai_search_namespaces": [{"binding": "AI_SEARCH", "namespace": "aiworker"}]'),
    "conversations": Binding(
        "CONVERSATIONS",
        '"durable_objects": {"bindings": [{"name": "CONVERSATIONS", "class_name": "Conversation"}]}',
    ),
    "budgets": Binding("BUDGETS", '"durable_objects": {"bindings": [{"name": "BUDGETS", "class_name": "Budget"}]}'),
    "assets": Binding("ASSETS", '"assets": {"binding": "ASSETS", "directory": "public"}'),
}
"""Field of aiworker.context.Resources → its binding, in the order in which /health lists them."""


class Unbound:
    """Stand-in for a missing binding: every use raises ApiError `not_configured`, which says how to add the binding."""

    def __init__(self, binding: Binding) -> None:
        self._binding = binding

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python itself looks for these, for instance to copy an object
            raise AttributeError(name)
        raise self.error()

    def error(self) -> ApiError:
        name, configuration = self._binding
        return ApiError("not_configured", f"This Worker has no binding {name}: add {configuration} to wrangler.jsonc.")


def unbound(field: str) -> Any:
    """Return the stand-in for a field of aiworker.context.Resources whose binding is missing."""
    return Unbound(BINDINGS[field])


Bound = TypeVar("Bound")


def require(binding: Bound) -> Bound:
    """Return the binding; raises ApiError `not_configured` now, instead of at its first use, if it is missing."""
    if isinstance(binding, Unbound):
        raise binding.error()
    return binding
