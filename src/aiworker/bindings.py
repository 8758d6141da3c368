"""What the Worker is bound to, as the rest of it sees it: plain Python in front, the platform's objects behind.

Large things stay in JavaScript. A `Payload` is bytes of which Python reads only the part it asks for; a `JsHandle` is
handed on unread.
"""

from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from aiworker.errors import ApiError
from aiworker.http.messages import JsHandle, Payload, Request


@dataclass(frozen=True)
class Part:
    """A part of a payload behind bytes of its own, as a piece of a recording stands behind its header."""

    head: bytes
    start: int
    end: int


@dataclass(frozen=True)
class Binary:
    """One input of a model that is bytes."""

    payload: Payload
    written_as: Literal["base64", "numbers", "stream"]
    """A string of base64, an array of numbers from 0 to 255, or the body itself with its content type."""
    content_type: str = "application/octet-stream"
    part: Part | None = None
    """What the model is sent of the payload, put together only when it is; None for all of it."""


@dataclass(frozen=True)
class Inputs:
    """What a model is sent."""

    fields: Mapping[str, Any]
    """JSON values."""
    binary: Mapping[str, Binary] = field(default_factory=dict[str, Binary])
    form: Mapping[str, str | Payload] = field(default_factory=dict[str, str | Payload])
    """For models that take a form, as their input `multipart`."""

    @property
    def fit_a_gateway(self) -> bool:
        """Whether the call may go through AI Gateway: the binding refuses forms and streams that would."""
        return not self.form and all(each.written_as != "stream" for each in self.binary.values())


class UpstreamResponse(Protocol):
    """The raw answer to a model call: its head in Python, its body left where it is until asked for, once."""

    @property
    def status(self) -> int: ...

    @property
    def body(self) -> JsHandle: ...

    def header(self, name: str) -> str | None: ...

    async def text(self) -> str:
        """The body, read to its end; raises ApiError `upstream_error` if it breaks off."""
        ...

    async def payload(self) -> Payload:
        """The body as bytes that stay in JavaScript."""
        ...

    async def base64_payload(self, name: str) -> Payload:
        """The bytes that the property `name` of the JSON body holds as base64.

        Raises ApiError `upstream_error` if there is none.
        """
        ...

    async def value(self, name: str) -> JsHandle:
        """The property `name` of the JSON body, as JavaScript has it.

        Raises ApiError `upstream_error` if there is none.
        """
        ...

    def chunks(self) -> AsyncGenerator[bytes]:
        """The body as it arrives. Leaving the loop early cancels the model."""
        ...


@dataclass(frozen=True)
class Converted:
    """What `toMarkdown` makes of a file."""

    text: str
    error: str | None
    """Why it could not."""


class Ai(Protocol):
    async def run(self, model: str, inputs: Inputs, options: Mapping[str, Any], seconds: float) -> UpstreamResponse:
        """Call a model.

        options: as `env.AI.run` takes them. seconds: after so many the call is given up, its body included.
        Raises ApiError `timeout` if they are over before the answer begins, `upstream_error` if none arrives at all.
        """
        ...

    async def to_markdown(self, name: str, media_type: str, file: Payload) -> Converted:
        """The file as Markdown; raises ApiError `upstream_error` if the service fails."""
        ...

    async def gateway_log(self, gateway: str, log_id: str) -> dict[str, Any]:
        """Raises ApiError `not_found` if the gateway has no such log."""
        ...

    async def rate_log(self, gateway: str, log_id: str, rating: Mapping[str, Any]) -> None:
        """Set `feedback`, `score` or `metadata` of a log; raises ApiError `not_found` if there is none."""
        ...


class StreamTransform(Protocol):
    """Transforms a stream chunk by chunk; never awaits."""

    def transform(self, chunk: bytes) -> bytes: ...

    def finish(self) -> bytes:
        """Return what follows the last chunk."""
        ...

    def failed(self, reason: str) -> str:
        """Return what follows if the stream breaks off."""
        ...


class StreamEpilogue(Protocol):
    """Adds the end to a stream that goes to its client unread."""

    @property
    def reads(self) -> int | None:
        """Number of bytes at the end of the stream that `whole` needs; None for all."""
        ...

    async def whole(self, body: bytes) -> str:
        """Return what follows a stream that has closed. body: its last `reads` bytes."""
        ...

    def failed(self, reason: str) -> str:
        """Return what follows if the stream breaks off."""
        ...


@dataclass(frozen=True)
class StreamOutcome:
    """How the streamed bodies of a response have ended."""

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
        """Call back if the client disconnects before the end: the platform may then cut off everything else."""
        ...


class Analytics(Protocol):
    def write(self, index: str, texts: Sequence[str], numbers: Sequence[float]) -> None:
        """One data point. index: by which it is sampled."""
        ...


@dataclass(frozen=True)
class BudgetState:
    """What a key has spent of its day."""

    day: str
    """`2026-11-21`, of UTC."""
    neurons: float
    """What is reserved included."""
    seconds_left: int
    """Of the day."""
    is_admitted: bool = True
    """Whether what was to be reserved is."""


class Budget(Protocol):
    """What one key spends, whichever isolate it is spent in. All raise ApiError `unavailable` if it cannot be asked."""

    async def reserve(self, charges: Mapping[str, float], daily: float) -> BudgetState:
        """Take these, id → neurons, if the day then costs at most `daily`; none of them otherwise."""
        ...

    async def settle(self, costs: Mapping[str, float]) -> None:
        """What they have cost in truth. Hearing of a cost twice changes nothing."""
        ...

    async def today(self) -> BudgetState: ...


class Budgets(Protocol):
    def find(self, key_name: str) -> Budget: ...


class RateLimiter(Protocol):
    async def allow(self, key: str) -> bool:
        """Count one more request of that key; whether it is within the limit."""
        ...


@dataclass(frozen=True)
class StoredObject:
    """An object of the bucket, as much of it as the request asks for."""

    body: JsHandle | None
    """None if the client has it already (304), or wants it only if it were another (412)."""
    status: int
    """200, 206, 304, 412 or 416."""
    headers: dict[str, str]
    """content-type, etag, last-modified, content-length, and content-range of a part."""


class Bucket(Protocol):
    async def put(self, key: str, content: str | Payload, content_type: str, metadata: Mapping[str, str]) -> None: ...

    async def get(self, key: str, request: Request) -> StoredObject | None:
        """The object as the request's `range` and conditional headers want it; None if there is none."""
        ...

    async def payload(self, key: str) -> Payload | None:
        """The whole object; None if there is none."""
        ...

    async def delete_folder(self, prefix: str) -> None:
        """Every object whose key begins so."""
        ...


class Conversation(Protocol):
    """What was said under one id."""

    async def history(self) -> list[dict[str, Any]]:
        """The messages, oldest first."""
        ...

    async def append(self, messages: list[dict[str, Any]]) -> None:
        """Keep what was sent and what was answered, both or neither."""
        ...

    async def erase(self) -> None: ...


class Conversations(Protocol):
    def find(self, conversation_id: str) -> Conversation: ...


Statement = tuple[str | float | None, ...]
"""SQL, and the values of its parameters."""


class Assets(Protocol):
    """The static files of the deployment."""

    async def get(self, path: str, request: Request) -> StoredObject:
        """The file under the absolute `path`; status 304 without a body if the request's `if-none-match` names it.

        Raises ApiError `unavailable` if the deployment does not have it.
        """
        ...


class Database(Protocol):
    async def rows(self, query: str, *values: str | float | None) -> list[dict[str, Any]]: ...

    async def run(self, *statements: Statement) -> None:
        """All of them, or none."""
        ...


@dataclass(frozen=True)
class VectorRecord:
    """A vector without its numbers."""

    id: str
    namespace: str
    metadata: Mapping[str, Any]


class VectorIndex(Protocol):
    """Vectorize; what is written shows some seconds later."""

    async def upsert(self, rows: JsHandle, records: Sequence[VectorRecord]) -> None:
        """rows: a JavaScript array of as many arrays of numbers, in the same order."""
        ...

    async def query(self, rows: JsHandle, count: int, namespace: str, filter: Mapping[str, Any]) -> dict[str, float]:  # noqa: A002 - Vectorize's word
        """Ids of the vectors nearest to the first of `rows` → their scores, the nearest first."""
        ...

    async def present(self, ids: Sequence[str]) -> set[str]:
        """Those of the ids, 20 at most, whose vectors show."""
        ...

    async def delete(self, ids: Sequence[str]) -> None:
        """Any number of them; those that are not there do not matter."""
        ...


class Ingestions(Protocol):
    """The workflow that ingests versions of documents."""

    async def start(self, version_id: str) -> None:
        """Once: for a version whose workflow there is already, nothing happens."""
        ...

    async def wake(self, version_id: str) -> None:
        """Go on with one that a restart may have left asleep (local runs only), or start it if it was never started."""
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
    "conversations": Binding(
        "CONVERSATIONS",
        '"durable_objects": {"bindings": [{"name": "CONVERSATIONS", "class_name": "Conversation"}]}',
    ),
    "budgets": Binding("BUDGETS", '"durable_objects": {"bindings": [{"name": "BUDGETS", "class_name": "Budget"}]}'),
    "assets": Binding("ASSETS", '"assets": {"binding": "ASSETS", "directory": "public"}'),
}
"""Field of aiworker.context.Resources → its binding, in the order in which /health lists them."""


class Unbound:
    """Stands where a binding is missing: every use raises ApiError `unavailable`, which says how to add it."""

    def __init__(self, binding: Binding) -> None:
        self._binding = binding

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python itself looks for these, for instance to copy an object
            raise AttributeError(name)
        raise self.error()

    def error(self) -> ApiError:
        name, configuration = self._binding
        return ApiError("unavailable", f"This Worker has no binding {name}: add {configuration} to wrangler.jsonc.")


def unbound(field: str) -> Any:
    """Return the stand-in for a field of aiworker.context.Resources whose binding is missing."""
    return Unbound(BINDINGS[field])


Bound = TypeVar("Bound")


def require(binding: Bound) -> Bound:
    """Return the binding; raises ApiError `unavailable` now, instead of at its first use, if it is missing."""
    if isinstance(binding, Unbound):
        raise binding.error()
    return binding
