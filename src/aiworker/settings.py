"""The Worker's variables (`vars` of wrangler.jsonc), each declared once and checked when the Worker starts.

To add a variable, add a field to Settings: its name in capital letters is the variable's. docs/configuration.md's table
is generated from the fields.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError, core_schema

from aiworker.auth.access import SCOPES, Key, Policy, parse_keys
from aiworker.auth.browser_tokens import MIN_SECRET_LENGTH
from aiworker.errors import ApiError
from aiworker.mcp.servers import MAX_SERVERS, McpServer, parse_servers
from aiworker.models import catalogue
from aiworker.models.catalogue import Task
from aiworker.models.vendors.names import vendor_model, vendor_of
from aiworker.models.vendors.prices import read_prices
from aiworker.rag import sites

ALIASES = (
    "gpt-4o-mini=CHAT_MODEL gpt-4o=@cf/meta/llama-3.3-70b-instruct-fp8-fast "
    "gpt-4.1-nano=CHAT_MODEL gpt-4.1-mini=CHAT_MODEL gpt-4.1=@cf/openai/gpt-oss-120b "
    "gpt-5-mini=@cf/openai/gpt-oss-20b gpt-5=@cf/openai/gpt-oss-120b "
    "gpt-5.6-luna=@cf/openai/gpt-oss-20b o4-mini=@cf/openai/gpt-oss-20b "
    "gpt-3.5-turbo=CHAT_MODEL gpt-3.5-turbo-instruct=CHAT_MODEL "
    "text-embedding-ada-002=@cf/baai/bge-m3 "
    "text-embedding-3-small=@cf/baai/bge-m3 text-embedding-3-large=@cf/qwen/qwen3-embedding-0.6b "
    "dall-e-3=IMAGE_MODEL gpt-image-1=IMAGE_MODEL "
    "whisper-1=TRANSCRIBE_MODEL gpt-4o-transcribe=TRANSCRIBE_MODEL gpt-4o-mini-transcribe=TRANSCRIBE_MODEL "
    "tts-1=@cf/deepgram/aura-1 tts-1-hd=@cf/deepgram/aura-2-en gpt-4o-mini-tts=@cf/deepgram/aura-1 "
    "gpt-6-luna=DECIDE_MODEL rerank-*=RERANK_MODEL jina-reranker-*=RERANK_MODEL claude-*=CHAT_MODEL"
)

MAX_PROPERTIES = 10
"""Metadata indexes of one index in Vectorize."""

FAULT = "fault"
"""Type of a validation error whose message is shown behind the variable's name. Other messages may repeat a secret."""

PropertyType = Literal["string", "number", "boolean"]
RagEngine = Literal["own", "ai-search"]
"""Storage and search of documents: by this Worker, or by AI Search."""
MAX_SEARCH_FIELDS = 5
"""Custom metadata fields of one instance of AI Search."""
SEARCH_FIELDS = ("timestamp", "folder", "filename")
"""Names that custom metadata fields of AI Search may not have."""


@dataclass(frozen=True)
class Accepts:
    """Metadata of a field: the values that its variable takes, and how they are read."""

    description: str
    """The values that the variable takes, as Markdown that follows "must be"."""
    parse: Callable[[Any], Any]
    """Turns the variable's value into the field's. Raises ValueError for a value that the variable does not take."""
    tasks: tuple[Task, ...] = ()
    """Tasks that the named model may have. Empty unless the variable names a route's default model."""

    def __get_pydantic_core_schema__(self, source: type, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(self.parse, handler(source))


def _words(value: Any) -> tuple[str, ...]:
    return tuple(_text(value).split())


def _text(value: Any) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):  # GATEWAY_ID: 123 in wrangler.jsonc
        return str(value).removesuffix(".0")
    if not isinstance(value, str):
        raise ValueError("no text")
    return value


def _integer(value: Any) -> int:
    text = str(value).removesuffix(".0")  # JavaScript's numbers may arrive as floats
    if not text.isdecimal():
        raise ValueError("no whole number")
    return int(text)


def _integer_or_none(value: Any) -> int | None:
    return None if value == "" else _integer(value)


def _cosine(value: Any) -> float | None:
    if value == "":
        return None
    cosine = float(_text(value))
    if not -1 <= cosine <= 1:  # as is what is no number
        raise ValueError("no cosine")
    return cosine


def _is_on(value: Any) -> bool:
    if value not in ("on", "off"):
        raise ValueError("neither")
    return value == "on"


def _keys(value: Any) -> tuple[Key, ...]:
    return parse_keys(_text(value))


def _mcp_servers(value: Any) -> tuple[McpServer, ...]:
    return parse_servers(_text(value))


def _secret(value: Any) -> str:
    secret = _text(value)
    if 0 < len(secret) < MIN_SECRET_LENGTH:
        raise ValueError("too short")
    return secret


def _scopes(value: Any) -> frozenset[str]:
    scopes = frozenset(_words(value))
    if not scopes <= SCOPES.keys():
        raise ValueError("not all of them are scopes")
    return scopes


def _model(*tasks: Task) -> Callable[[Any], str]:
    """Return a function that returns a model's id unchanged, and raises ValueError unless it has one of the tasks.

    A retired model has its successor's: a deployment does not stop when Cloudflare retires a model.
    """

    def check(value: Any) -> str:
        model_id = _text(value)
        model = catalogue.MODELS.get(catalogue.RETIRED.get(model_id, model_id)) or vendor_model(model_id, None)
        if model is None or model.task not in tasks:
            raise ValueError("no such model")
        return model_id

    return check


def _models_for_chat(value: Any) -> tuple[str, ...]:
    return tuple(map(_model("text-generation"), _words(value)))


def _text_or_none(value: Any) -> str | None:
    return _text(value) or None


def _guard_model(value: Any) -> str | None:
    return None if value == "" else _model("guard", "decision")(value)


def _decision_model(value: Any) -> str | None:
    return None if value == "" else _model("decision")(value)


def _aliases(value: Any) -> dict[str, str]:
    """Read `gpt-4o=CHAT_MODEL …` as alias → target, which is not looked up here. Commas may separate the pairs, too."""
    pairs = [pair.partition("=") for pair in _text(value).replace(",", " ").split()]
    return {alias: target for alias, _, target in pairs}


def _properties(value: Any) -> dict[str, str]:
    """Read `language:string year:number` as name → type."""
    properties = {name: kind for name, _, kind in (each.partition(":") for each in _words(value))}
    is_known = all(
        re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", name) and kind in get_args(PropertyType)
        for name, kind in properties.items()
    )
    if len(properties) > MAX_PROPERTIES or not is_known:
        raise ValueError("not such a list")
    return properties


def _id_for(*tasks: Task) -> str:
    return f"the id of a model for {' or '.join(tasks)} (see `GET /models`)"


def _model_for(*tasks: Task) -> Accepts:
    return Accepts(_id_for(*tasks), _model(*tasks), tasks)


Words = Annotated[tuple[str, ...], Accepts("text, with spaces between its parts", _words)]
Text = Annotated[str | None, Accepts("text", _text_or_none)]
Switch = Annotated[bool, Accepts("`on` or `off`", _is_on)]
NaturalNumber = Annotated[int, Accepts("a whole number of 0 or more", _integer), Field(ge=0)]
PositiveNumber = Annotated[int, Accepts("a whole number of 1 or more", _integer), Field(ge=1)]


def _variable(default: str | int, description: str, *, is_secret: bool = False) -> Any:
    """Declare a variable. default: as wrangler.jsonc would have it. description: in Markdown, for the docs."""
    return Field(default, description=description, repr=not is_secret)


class Settings(BaseModel):
    """The values of all variables. Read them with `Settings.read`."""

    model_config = ConfigDict(
        alias_generator=str.upper, frozen=True, strict=True, validate_default=True, protected_namespaces=()
    )

    auth_mode: Literal["keys", "public"] = _variable(
        "keys",
        "Who may call ([access.md](access.md)). `keys`: callers with an API key; as long as there is no key, every "
        "route that needs one answers 503. `public`: everybody, at your cost, within `PUBLIC_SCOPES`.",
    )
    api_keys: Annotated[tuple[Key, ...], Accepts("the JSON that scripts/keys writes", _keys)] = _variable(
        "", "A secret: the API keys, as `scripts/keys` writes them, at most 5 KB.", is_secret=True
    )
    token_secret: Annotated[
        str,
        Accepts(f"at least {MIN_SECRET_LENGTH} characters long, such as the one that scripts/keys makes", _secret),
    ] = _variable("", "A secret: signs the tokens of `POST /tokens`. `scripts/keys` makes it.", is_secret=True)
    public_scopes: Annotated[frozenset[str], Accepts(f"a list of some of these: {' '.join(SCOPES)}", _scopes)] = (
        _variable(
            "chat embed text image audio rag:read feedback",
            "Scopes of callers without a key when `AUTH_MODE` is `public`. They see the tenant `default` only; with "
            "`admin` among the scopes, every tenant.",
        )
    )
    rate_limits: Switch = _variable("on", "`off`: the rate limits of wrangler.jsonc are not applied.")
    breaker: Switch = _variable("on", "`off`: a model that keeps failing is called all the same (see below).")
    log_prompts: Literal["off", "errors", "on"] = _variable(
        "off",
        "What the log may repeat of requests: nothing (`off`), the messages of internal errors (`errors`), or the "
        "texts as well (`on`).",
    )
    allowed_origins: Words = _variable(
        "",
        "Origins of the pages that may call from a browser, separated by spaces: exact origins, `*` for all, "
        "`http://localhost:*` for every port.",
    )
    allowed_hosts: Words = _variable(
        "",
        "Names of hosts for which the Worker answers, separated by spaces, beside `localhost` and IP addresses; empty "
        "for all. `scripts/dev` sets it, so that no web page reaches the local run under a name of its own.",
    )
    retired_models: Literal["serve", "refuse"] = _variable(
        "serve",
        "What becomes of requests for a model that Cloudflare has retired ([models.md](models.md#retired-models)): its "
        "successor answers (`serve`), or they get 404 with the successor's name (`refuse`).",
    )
    chat_model: Annotated[str, _model_for("text-generation")] = _variable(
        "@cf/google/gemma-4-26b-a4b-it", "Model of `POST /chat` and `POST /rag` when a request names none."
    )
    chat_fallbacks: Annotated[
        tuple[str, ...],
        Accepts("a list of ids of models for text-generation (see `GET /models`)", _models_for_chat),
    ] = _variable("", "Models that answer in place of `CHAT_MODEL` when it cannot, in this order, separated by spaces.")
    embed_model: Annotated[str, _model_for("embeddings")] = _variable(
        "@cf/baai/bge-base-en-v1.5", "Model of `POST /embed` and of the passages of documents."
    )
    rerank_model: Annotated[str, _model_for("reranking")] = _variable(
        "@cf/baai/bge-reranker-base", "Model of `POST /rerank`."
    )
    image_model: Annotated[str, _model_for("text-to-image")] = _variable(
        "@cf/black-forest-labs/flux-1-schnell", "Model of `POST /image`."
    )
    edit_model: Annotated[str, _model_for("image-to-image")] = _variable(
        "@cf/runwayml/stable-diffusion-v1-5-img2img", "Model of `POST /image` with an `image`."
    )
    inpaint_model: Annotated[str, _model_for("inpainting")] = _variable(
        "@cf/runwayml/stable-diffusion-v1-5-inpainting", "Model of `POST /image` with an `image` and a `mask`."
    )
    transcribe_model: Annotated[str, _model_for("speech-to-text")] = _variable(
        "@cf/openai/whisper-large-v3-turbo", "Model of `POST /transcribe`."
    )
    speak_model: Annotated[str, _model_for("text-to-speech")] = _variable(
        "@cf/myshell-ai/melotts", "Model of `POST /speak`."
    )
    translate_model: Annotated[str, _model_for("translation")] = _variable(
        "@cf/meta/m2m100-1.2b", "Model of `POST /translate`."
    )
    classify_model: Annotated[str, _model_for("text-classification")] = _variable(
        "@cf/huggingface/distilbert-sst-2-int8", "Model of `POST /classify`."
    )
    summarize_model: Annotated[str, _model_for("text-generation")] = _variable(
        "@cf/meta/llama-3.1-8b-instruct-fast", "Model of `POST /summarize`."
    )
    extract_model: Annotated[str, _model_for("text-generation")] = _variable(
        "@cf/meta/llama-3.1-8b-instruct-fast", "Model of `POST /extract`."
    )
    decide_model: Annotated[str, _model_for("decision")] = _variable(
        "@cf/cloudflare/clef-flash", "Model of `POST /decide`."
    )
    model_aliases: Annotated[
        Mapping[str, str],
        Accepts("a list of alias=model with ids of `GET /models` or with a variable such as CHAT_MODEL", _aliases),
    ] = _variable(
        ALIASES,
        "Names of models that clients of OpenAI and Anthropic may use under `/v1`, separated by spaces: `alias=` and a "
        "model's id, or the variable that names the model. An alias that ends in `*` stands for names that begin so.",
    )
    system_prompt: Text = _variable(
        "",
        "The owner's system prompt: chat models read it before what clients say, in every dialect. Clients can neither "
        "replace nor read it ([access.md](access.md#the-owners-system-prompt)). A secret, if it is one of yours.",
        is_secret=True,
    )
    guard_model: Annotated[str | None, Accepts(_id_for("guard", "decision"), _guard_model)] = _variable(
        "",
        "Model that judges requests and answers (see below), such as `@cf/meta/llama-guard-3-8b`, or a decision model.",
    )
    guard: Literal["both", "input", "output"] = _variable("both", "What `GUARD_MODEL` judges.")
    gateway_id: Text = _variable(
        "", "Name of the AI Gateway that every model call goes through, for its logs, cache and limits."
    )
    web_search: Literal["off", "ceramic", "exa", "linkup"] = _variable(
        "off",
        "Provider of the tool `web_search`, which models may use with `worker_tools` and agents at `/mcp` "
        "([api.md](api.md#searching-the-web)). `off`: there is no such tool.",
    )
    model_prices: Annotated[
        Mapping[str, Mapping[str, float]],
        Accepts(
            "a list of name=input/output, as in openai/gpt-5-mini=$0.25/$2", lambda value: read_prices(_text(value))
        ),
    ] = _variable(
        "",
        "Prices of other vendors' models ([models.md](models.md#other-vendors-models)), separated by spaces: what a "
        "million tokens of prompt and of answer cost, in dollars (`$0.25`) or neurons, and after another `/` those of "
        "prompt from the vendor's cache. Budgets refuse models without a price.",
    )
    daily_neurons: Annotated[int | None, Accepts("a whole number of 0 or more", _integer_or_none)] = _variable(
        "",
        "Neurons that all requests together may spend a day (UTC), whoever sends them; beside the budgets of keys "
        "([access.md](access.md)). Without it, the Worker has no ceiling of its own.",
    )
    max_body_bytes: NaturalNumber = _variable(1_048_576, "Size of a JSON body. Larger ones are refused with 413.")
    max_upload_bytes: NaturalNumber = _variable(
        26_214_400, "Size of a body with an image, a sound or a document. Larger ones are refused with 413."
    )
    max_image_bytes: NaturalNumber = _variable(
        26_214_400, "Size of a body with images. `MAX_UPLOAD_BYTES` is the upper bound of this one and the next two."
    )
    max_audio_bytes: NaturalNumber = _variable(26_214_400, "Size of a body with a sound.")
    max_document_bytes: NaturalNumber = _variable(
        26_214_400, "Size of a body with a document for `/rag`. (One in JSON may have 2 MiB at most.)"
    )
    max_prompt_characters: PositiveNumber = _variable(
        1_048_576,
        "Characters of all texts of a request that a model for text-generation reads. More are refused with 413. (A "
        "`prompt` may have 131,072.)",
    )
    max_texts: PositiveNumber = _variable(
        2_048,
        "Number of texts in one request of `/embed`, `/rerank`, `/translate` or `/classify`. More are refused with "
        "400. (The last two take at most 100.)",
    )
    model_seconds: PositiveNumber = _variable(
        120, "Seconds after which a model call is ended, its retries and its stream included."
    )
    model_attempts: PositiveNumber = _variable(
        3,
        "How often a model is called at most, before the first byte of an answer, when it has no capacity, is too slow "
        "or fails.",
    )
    tool_rounds: PositiveNumber = _variable(5, "How often a model may call tools of the Worker's own in one request.")
    chat_resume_seconds: PositiveNumber = _variable(
        120,
        "Seconds within which a client of `POST /api/chat` may come back: an answer to which nobody listens is written "
        "for so long, and then stopped; and it is kept for so long after its end.",
    )
    conversation_days: PositiveNumber = _variable(
        30,
        "Days after the last message after which a conversation is erased, and those for which the items of responses "
        "under `/v1` are stored.",
    )
    rag_properties: Annotated[
        Mapping[str, str],
        Accepts(f"a list of at most {MAX_PROPERTIES} such as language:string year:number", _properties),
    ] = _variable(
        "",
        "Metadata of documents by which searches of `/rag` can be narrowed, each a `string`, `number` or `boolean`. "
        "Each needs a metadata index in Vectorize before documents are added: `scripts/dev` and `scripts/deploy` make "
        "them.",
    )
    sync_hosts: Words = _variable(
        "",
        "The only hosts, with or without a port, from which `POST /rag/sync` may fetch pages, separated by spaces; "
        "private ones too. Empty for all that are public.",
    )
    attachment_hosts: Words = _variable(
        "",
        "Hosts, with or without a port, from which images and files in messages may be fetched, separated by spaces, "
        "private ones too; `*` for all that are public. Empty: clients send them as data URIs "
        "([api.md](api.md#images-and-files-in-messages)).",
    )
    rag_check_model: Annotated[str | None, Accepts(_id_for("decision"), _decision_model)] = _variable(
        "",
        "Decision model that `POST /rag` asks whether the passages answer the question; if not, it says so and calls "
        "no other model ([rag.md](rag.md)). Empty: no check is made.",
    )
    rag_engine: RagEngine = _variable(
        "own",
        "What holds the documents of `/rag` and finds passages: `own`, in D1, R2 and Vectorize, or `ai-search`, an "
        "instance of AI Search for each tenant, for which the Worker needs the binding `AI_SEARCH` "
        "([rag.md](rag.md#engines)).",
    )
    rag_queries: Annotated[int, Accepts("1, 2 or 3", _integer), Field(ge=1, le=3)] = _variable(
        1,
        "Search queries of a question of `POST /rag` whose request has no `queries`: above 1, a model makes others of "
        "the question first ([rag.md](rag.md#several-queries)). `POST /rag/search` makes none by itself.",
    )
    rag_min_cosine: Annotated[float | None, Accepts("a number from -1 to 1", _cosine)] = _variable(
        "",
        "Cosine of the nearest passage below which `POST /rag` takes a question for off topic if the passages lack its "
        "words, too: it says that it found nothing, and calls no reranker and no chat model. Which one fits "
        "EMBED_MODEL and your documents is measured by `scripts/eval` "
        "([rag.md](rag.md#off-topic-questions)). Empty: none.",
    )
    simulated: Words = _variable(
        "", "Names of the bindings that a simulator answers. `scripts/dev` sets it, `GET /health` shows it."
    )
    real_chat_model: Text = _variable(
        "",
        "What generates text on this machine in place of Workers AI, such as `llama3.2 by Ollama`. "
        "`scripts/dev --models` sets it, `GET /health` shows it.",
    )
    real_embed_model: Text = _variable(
        "", "The same for `EMBED_MODEL`. `scripts/dev --embeddings` sets it, `GET /health` shows it."
    )
    simulator_url: Text = _variable(
        "", "Address of the simulator's page. `scripts/dev` sets it, `GET /health` shows it to `admin` callers."
    )

    mcp_servers: Annotated[
        tuple[McpServer, ...],
        Accepts('JSON such as `{"docs": {"url": "https://docs.example.com/mcp", "headers": {}}}`', _mcp_servers),
    ] = _variable(
        "",
        "A secret: MCP servers whose tools models may use in `POST /chat` with `worker_tools`, up to "
        f"{MAX_SERVERS}, by names of small letters, digits and `-` ([mcp.md](mcp.md#tools-of-other-servers)).",
        is_secret=True,
    )
    mcp_seconds: PositiveNumber = _variable(30, "Seconds after which a request to one of `MCP_SERVERS` is ended.")

    @field_validator("max_image_bytes", "max_audio_bytes", "max_document_bytes")
    @classmethod
    def _clip(cls, value: int, info: ValidationInfo) -> int:
        return min(value, info.data.get("max_upload_bytes", value))

    @field_validator("rag_engine")
    @classmethod
    def _check_fields(cls, value: RagEngine, info: ValidationInfo) -> RagEngine:
        """Refuse properties that AI Search cannot have as fields."""
        names = {name.lower() for name in info.data.get("rag_properties", {})}
        is_refused = len(names) > MAX_SEARCH_FIELDS or names & set(SEARCH_FIELDS)
        if value == "ai-search" and (is_refused or len(names) < len(info.data.get("rag_properties", {}))):
            raise PydanticCustomError(
                FAULT,
                "With ai-search, RAG_PROPERTIES may have {count} names that differ in lower case, none of {reserved}.",
                {"count": MAX_SEARCH_FIELDS, "reserved": ", ".join(SEARCH_FIELDS)},
            )
        return value

    @field_validator("mcp_servers")
    @classmethod
    def _check_addresses(cls, value: tuple[McpServer, ...], info: ValidationInfo) -> tuple[McpServer, ...]:
        """Refuse addresses that a sync of pages could not fetch either; a local run may have servers beside it."""
        for server in value:
            try:
                if not info.data.get("simulated"):
                    sites.check(server.url, ())
            except ApiError:
                # without the address, which may hold a secret
                message = "The address of {name} is not public, or names a port."
                raise PydanticCustomError(FAULT, message, {"name": server.name}) from None
        return value

    @field_validator("model_aliases")
    @classmethod
    def _resolve(cls, value: Mapping[str, str], info: ValidationInfo) -> Mapping[str, str]:
        """Replace variables such as CHAT_MODEL by the model that they name."""
        resolved: dict[str, str] = {}
        for alias, target in value.items():
            model_id = info.data.get(target.lower(), "") if target in MODEL_VARIABLES else target
            is_known = catalogue.RETIRED.get(model_id, model_id) in catalogue.MODELS or bool(vendor_of(model_id))
            if not alias or alias in catalogue.MODELS or not is_known:
                pair = f"{alias}={target}" if target else alias
                raise PydanticCustomError(FAULT, "{pair} is not such a pair.", {"pair": pair[:100]})
            resolved[alias] = model_id
        return resolved

    @cached_property
    def policy(self) -> Policy:
        """The rules by which the Worker accepts callers."""
        return Policy(self.api_keys, self.token_secret, self.public_scopes if self.auth_mode == "public" else None)

    @cached_property
    def models(self) -> Mapping[str, str]:
        """Variable such as CHAT_MODEL → id of the model for requests that name none."""
        return {name: getattr(self, name.lower()) for name in MODEL_VARIABLES}

    def resolve_alias(self, name: str) -> str:
        """Return the id of the model that an alias stands for; the name itself if it is none."""
        if name in self.model_aliases or name in catalogue.MODELS:
            return self.model_aliases.get(name, name)
        prefixes = [alias[:-1] for alias in self.model_aliases if alias.endswith("*") and name.startswith(alias[:-1])]
        return self.model_aliases[max(prefixes, key=len) + "*"] if prefixes else name

    @cached_property
    def guarded(self) -> frozenset[str]:
        """The sides that GUARD_MODEL judges: `input`, `output`, both, or none without a guard."""
        if self.guard_model is None:
            return frozenset()
        return frozenset(("input", "output") if self.guard == "both" else (self.guard,))

    @classmethod
    def read(cls, variables: Mapping[str, Any]) -> "Settings":
        """Read the settings from these variables, with defaults for missing ones. Unknown ones are ignored.

        variables: name → text or number, as the platform has them.
        Raises ApiError `unavailable` for a value that its variable does not take. The message names the variable.
        """
        try:
            return cls.model_validate(dict(variables))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            detail = first["msg"] if first["type"] == FAULT else ""
            raise _misconfigured(str(first["loc"][0]), detail) from None


FIELDS: Mapping[str, FieldInfo] = {name.upper(): field for name, field in Settings.model_fields.items()}
"""Variable → its declaration, in the order of the docs."""

VARIABLES = tuple(FIELDS)
"""Names of all variables that the Worker reads."""

DEFAULTS: Mapping[str, str | int] = {name: field.default for name, field in FIELDS.items()}
"""Variable → its default, as wrangler.jsonc would have it."""

MODEL_VARIABLES: Mapping[str, tuple[Task, ...]] = {
    name: each.tasks
    for name, field in FIELDS.items()
    for each in field.metadata
    if isinstance(each, Accepts) and each.tasks
}
"""Variable that names the model for requests that name none → the tasks that the model may have."""


def accepted_values(variable: str) -> str:
    """Return the values that a variable takes, as Markdown that follows "must be"."""
    field = FIELDS[variable]
    descriptions = [each.description for each in field.metadata if isinstance(each, Accepts)]
    return descriptions[0] if descriptions else " or ".join(f"`{value}`" for value in get_args(field.annotation))


def _misconfigured(variable: str, detail: str) -> ApiError:
    sentence = f"The Worker's variable {variable} must be {accepted_values(variable).replace('`', '')}."
    return ApiError("unavailable", f"{sentence} {detail}".rstrip())
