"""Discovery of the server that --models names: whether it runs, its kind, its models, and which of them answer."""

import os
import re
import ssl
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from types import TracebackType
from typing import Any, Self, cast

import httpx

from workers_ai_simulator.upstream.kinds import KINDS, OLLAMA, OTHER, ServerKind, short_name
from workers_ai_simulator.upstream.names import ANY_MODEL, Names, best_match, chats
from workers_ai_simulator.upstream.pull import PullError, Report, pull
from workers_ai_simulator.upstream.reply import reason

AUTO = "auto"
API_KEY = "MODELS_API_KEY"
"""Environment variable of the server's API key."""
CONNECT_SECONDS, READ_SECONDS = 2.0, 10.0
LOADING_SECONDS = 600.0
"""Time that a server has to load its model, as llama.cpp does before it answers."""
LOADING_INTERVAL = 0.5
VERSION = re.compile(r"/v\d+$")
NO_LIST = (404, 405, 501)
"""Statuses of a server that has no list of its models."""
MAX_NAMED_MODELS = 5
"""Maximum number of a server's models that a message names."""


class ModelsError(Exception):
    """The models of --models cannot be used. The message says why and what to do."""


class NotRunningError(ModelsError):
    """Nothing answers at the server's address, or the program there serves no models."""


@dataclass(frozen=True)
class ModelServer:
    """A running server, and its models."""

    kind: ServerKind
    url: str
    """Base of its API, with the version at the end: `http://127.0.0.1:11434/v1`; without a user name and a password."""
    listed: tuple[str, ...] = ()
    """Names of its models, those in memory first."""
    names: Names = field(default_factory=Names)
    """The user's choice of models."""
    lists_models: bool = True
    """Whether the server has a list of its models."""
    base: str = field(default="", repr=False)
    """The URL with its user name and password, if it has them."""

    def model_for(self, model_id: str) -> str | None:
        """Name of the model that answers in place of Workers AI's; None if the server has none."""
        return self.names.of(model_id) or best_match(model_id, self.listed)

    def has(self, name: str) -> bool:
        return not self.lists_models or name in self.listed or f"{name}:latest" in self.listed

    def label(self, name: str) -> str:
        """Name of a model and of the server, for people: `llama3.2 by Ollama`."""
        return f"{short_name(name)} by {self.kind.name}"


def base_url(address: str) -> httpx.URL:
    """URL of the API below an address, which may have the version and the path of the chat completions or not.

    Raises ValueError if it is no HTTP URL.
    """
    parsed = httpx.URL(address.strip().rstrip("/").removesuffix("/chat/completions"))
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError(f"{address} is no URL of the form http://host:port, nor one of {AUTO}, {', '.join(KINDS)}")
    if not VERSION.search(parsed.path):
        parsed = parsed.copy_with(path=f"{parsed.path.rstrip('/')}/v1")
    return parsed


def api_key_headers() -> dict[str, str]:
    key = os.environ.get(API_KEY)
    # a compressed stream may be delayed until a block is full
    return {"accept-encoding": "identity"} | ({"authorization": f"Bearer {key}"} if key else {})


@cache
def tls_context() -> ssl.SSLContext:
    """The TLS context of all clients: creating one takes longer than all requests of a start."""
    return httpx.create_ssl_context()


def find(option: str, names: Names, report: Report, more: Iterable[str] = ()) -> ModelServer | None:
    """The server that --models names: `ollama`, a URL, each perhaps with `=MODEL`; or `auto`, for any that runs.

    Models that Ollama lacks are downloaded: those that the option, the names or `more` name, or one that chats if it
    has none; but not with `auto`, which returns None, and says why, if no server has these models.

    Raises ModelsError with what to do, ValueError for an option that names no server.
    """
    address, _, model = option.partition("=")
    names = names.with_default(model)
    if address == AUTO:
        return _find_any(names, report, more)
    kind = KINDS.get(address)
    with _Connection(kind.url() if kind else address, kind) as connection:
        return _with_models(connection.look(report, names), connection, report, more)


def _find_any(names: Names, report: Report, more: Iterable[str]) -> ModelServer | None:
    for kind in KINDS.values():
        with _Connection(kind.url(), kind) as connection:
            try:
                server = connection.look(report, names)
                if server.kind.id != kind.id:
                    continue  # another program on this port
                return _checked(server, more)
            except NotRunningError:
                continue
            except ModelsError as error:
                report.say(f"--models auto passes over {kind.name}: {error}")
    looked_for = ", ".join(f"{each.name} ({each.url().rpartition(':')[2]})" for each in KINDS.values())
    report.say(f"No model server is used, so answers are simulated. Looked for: {looked_for}.")
    return None


# ---- which models --------------------------------------------------------------------------------------------------


def _with_models(server: ModelServer, connection: "_Connection", report: Report, more: Iterable[str]) -> ModelServer:
    """Return the server with the models that the options name, which Ollama downloads if it lacks them."""
    if not server.kind.downloads:
        return _checked(server, more)
    wanted = _missing(server, more)
    if not wanted and not server.names.table and not chats(server.listed):
        report.say(f"Ollama has no model that chats, so it gets {OLLAMA.example}.")
        wanted = [OLLAMA.example]
    for name in wanted:
        try:
            pull(connection.client, connection.root, name, report)
        except PullError as error:
            raise ModelsError(
                f"Ollama cannot download {name}: {error}. Try it by hand: {OLLAMA.fetch.format(name)}\n"
                f"{_choice(server)}"
            ) from None
    return replace(server, listed=(*wanted, *server.listed)) if wanted else server


def _checked(server: ModelServer, more: Iterable[str]) -> ModelServer:
    """Return the server. Raises ModelsError if it lacks a model that the options name, or has none that chats."""
    if missing := _missing(server, more):
        raise ModelsError(
            f"{server.kind.name} at {server.url} has no model {missing[0]}. "
            f"{server.kind.how_to_fetch(missing[0])}\n{_choice(server)}"
        )
    if not server.names.table and not chats(server.listed):
        example = server.kind.example
        raise ModelsError(
            f"{server.kind.name} at {server.url} has no model that chats. {server.kind.how_to_fetch(example)}"
        )
    return server


def _missing(server: ModelServer, more: Iterable[str]) -> list[str]:
    wanted = dict.fromkeys([*server.names.table.values(), *more])
    return [name for name in wanted if not server.has(name)]


def _choice(server: ModelServer) -> str:
    """Sentence about the models that the server has."""
    if not server.listed:
        return "It has no models yet."
    first = ", ".join(server.listed[:MAX_NAMED_MODELS])
    others = len(server.listed) - MAX_NAMED_MODELS
    spoken = f"{first} and {others} more" if others > 0 else first
    return f"It has {spoken}. To take one of them: --models {server.kind.id or 'URL'}={server.listed[0]}"


# ---- what the server says ------------------------------------------------------------------------------------------


class _Connection:
    """Requests by which the kind of a server is recognised."""

    def __init__(self, address: str, kind: ServerKind | None) -> None:
        self._kind = kind
        self._base = base_url(address)
        self.root = str(self._base.copy_with(path=VERSION.sub("", self._base.path))).rstrip("/")
        """Address without the version."""
        self.url = str(self._base.copy_with(username=None, password=None))
        # the proxies of the environment are for other machines
        timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
        self.client = httpx.Client(headers=api_key_headers(), timeout=timeout, trust_env=False, verify=tls_context())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()

    def look(self, report: Report, names: Names) -> ModelServer:
        """The server, with its models. Raises NotRunningError, ModelsError."""
        response = self._ready(report)
        if response.status_code in (401, 403):
            raise ModelsError(
                f"{self._name} at {self.url} refuses the request: {reason(response.content)}. "
                f"Set its API key in the environment: {API_KEY}=…"
            )
        entries = _entries(response)
        if entries is None and (self._kind or response.status_code not in NO_LIST or ANY_MODEL not in names.table):
            raise NotRunningError(
                f"{self.url} answers, but not like {self._name}: status {response.status_code}, "
                f"{reason(response.content)}. {self._how_to_start()}"
            )
        kind = self._detected(entries or [])
        listed = [str(each["id"]) for each in entries or [] if each.get("id")]
        loaded = self._loaded() if kind.id == OLLAMA.id else ()
        in_memory_first = tuple(sorted(listed, key=lambda name: name not in loaded))
        return ModelServer(kind, self.url, in_memory_first, names, entries is not None, str(self._base))

    def _ready(self, report: Report) -> httpx.Response:
        """Response with the server's list of models, once it has loaded them."""
        deadline = time.monotonic() + LOADING_SECONDS
        response = self._get(f"{self._base}/models")
        if response.status_code == 503:
            report.say(f"{self._name} at {self.url} is not ready yet: {reason(response.content)}. Waiting …")
        while response.status_code == 503:
            if time.monotonic() > deadline:
                raise ModelsError(f"{self._name} at {self.url} is not ready after {LOADING_SECONDS:.0f} s.")
            time.sleep(LOADING_INTERVAL)
            response = self._get(f"{self._base}/models")
        return response

    def _detected(self, models: list[dict[str, Any]]) -> ServerKind:
        """The kind that the owners of its models show, else the expected one."""
        owners = {each.get("owned_by") for each in models}
        if owned := [each for each in KINDS.values() if each.owner and each.owner in owners]:
            return owned[0]
        if (self._kind is None or self._kind.id == OLLAMA.id) and "version" in self._object("/api/version"):
            return OLLAMA
        return OTHER if self._kind is None or models else self._kind

    def _loaded(self) -> Sequence[str]:
        """Names of the models in Ollama's memory."""
        models: Any = self._object("/api/ps").get("models")
        listed = cast("list[Any]", models) if isinstance(models, list) else []
        return [cast("dict[str, Any]", each).get("name", "") for each in listed if isinstance(each, dict)]

    def _object(self, path: str) -> dict[str, Any]:
        """Answer of a path of Ollama's own API; empty if it is no object."""
        try:
            response = self.client.get(self.root + path)
            value: Any = response.json() if response.status_code == 200 else None
        except (httpx.HTTPError, ValueError):
            return {}
        return cast("dict[str, Any]", value) if isinstance(value, dict) else {}

    def _get(self, url: str) -> httpx.Response:
        try:
            return self.client.get(url)
        except httpx.HTTPError as error:
            cause = str(error) or type(error).__name__
            raise NotRunningError(
                f"{self._name} does not answer at {self.url} ({cause}). {self._how_to_start()}"
            ) from None

    @property
    def _name(self) -> str:
        return (self._kind or OTHER).name

    def _how_to_start(self) -> str:
        kind = self._kind or OTHER
        return f"{kind.how_to_start()}\nWithout --models, answers are simulated."


def _entries(response: httpx.Response) -> list[dict[str, Any]] | None:
    """Entries of a list of models; None for an answer that is none. Ollama without models sends null."""
    if response.status_code != 200:
        return None
    try:
        value: Any = response.json()
    except ValueError:
        return None
    match value:
        case {"data": [*models]}:
            return [cast("dict[str, Any]", each) for each in models if isinstance(each, dict)]
        case {"object": "list", "data": None}:
            return []
        case _:
            return None
