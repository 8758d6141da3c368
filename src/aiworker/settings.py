"""The Worker's variables (`vars` of wrangler.jsonc), checked once."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiworker.auth.access import SCOPES, Policy, parse_keys
from aiworker.auth.signed_tokens import SHORTEST_SECRET
from aiworker.errors import ApiError
from aiworker.models import catalogue

MODEL_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "CHAT_MODEL": ("text-generation",),
    "EMBED_MODEL": ("embeddings",),
    "RERANK_MODEL": ("reranking",),
    "IMAGE_MODEL": ("text-to-image",),
    "EDIT_MODEL": ("image-to-image",),
    "INPAINT_MODEL": ("inpainting",),
    "TRANSCRIBE_MODEL": ("speech-to-text",),
    "SPEAK_MODEL": ("text-to-speech",),
    "TRANSLATE_MODEL": ("translation",),
    "CLASSIFY_MODEL": ("text-classification",),
    "SUMMARIZE_MODEL": ("text-generation", "summarization"),
    "EXTRACT_MODEL": ("text-generation",),
}
"""Variable that names the model of requests that name none → the tasks it may be for."""

ALIASES = (
    "gpt-4o-mini=CHAT_MODEL gpt-4o=@cf/meta/llama-3.3-70b-instruct-fp8-fast "
    "gpt-5-mini=@cf/openai/gpt-oss-20b gpt-5=@cf/openai/gpt-oss-120b gpt-3.5-turbo-instruct=CHAT_MODEL "
    "text-embedding-3-small=@cf/baai/bge-m3 text-embedding-3-large=@cf/qwen/qwen3-embedding-0.6b "
    "dall-e-3=IMAGE_MODEL gpt-image-1=IMAGE_MODEL whisper-1=TRANSCRIBE_MODEL "
    "tts-1=@cf/deepgram/aura-1 tts-1-hd=@cf/deepgram/aura-2-en"
)

DEFAULTS: Mapping[str, Any] = {
    "AUTH_MODE": "keys",
    "API_KEYS": "",
    "TOKEN_SECRET": "",
    "PUBLIC_SCOPES": "chat embed text image audio rag:read feedback",
    "ALLOWED_ORIGINS": "",
    "CHAT_MODEL": "@cf/meta/llama-3.1-8b-instruct-fast",
    "CHAT_FALLBACKS": "",
    "EMBED_MODEL": "@cf/baai/bge-base-en-v1.5",
    "RERANK_MODEL": "@cf/baai/bge-reranker-base",
    "IMAGE_MODEL": "@cf/black-forest-labs/flux-1-schnell",
    "EDIT_MODEL": "@cf/runwayml/stable-diffusion-v1-5-img2img",
    "INPAINT_MODEL": "@cf/runwayml/stable-diffusion-v1-5-inpainting",
    "TRANSCRIBE_MODEL": "@cf/openai/whisper-large-v3-turbo",
    "SPEAK_MODEL": "@cf/myshell-ai/melotts",
    "TRANSLATE_MODEL": "@cf/meta/m2m100-1.2b",
    "CLASSIFY_MODEL": "@cf/huggingface/distilbert-sst-2-int8",
    "SUMMARIZE_MODEL": "@cf/meta/llama-3.1-8b-instruct-fast",
    "EXTRACT_MODEL": "@cf/meta/llama-3.1-8b-instruct-fast",
    "MODEL_ALIASES": ALIASES,
    "GUARD_MODEL": "",
    "GUARD": "both",
    "GATEWAY_ID": "",
    "RATE_LIMITS": "on",
    "BREAKER": "on",
    "MAX_BODY_BYTES": 1_048_576,
    "MAX_UPLOAD_BYTES": 26_214_400,
    "MAX_IMAGE_BYTES": 26_214_400,
    "MAX_AUDIO_BYTES": 26_214_400,
    "MAX_DOCUMENT_BYTES": 26_214_400,
    "MAX_PROMPT_CHARACTERS": 1_048_576,
    "MAX_TEXTS": 2_048,
    "MODEL_SECONDS": 120,
    "MODEL_ATTEMPTS": 3,
    "TOOL_ROUNDS": 5,
    "CONVERSATION_DAYS": 30,
    "RAG_PROPERTIES": "",
    "LOG_PROMPTS": "off",
    "SIMULATED": "",
}
"""Every variable that the Worker reads, with what holds where it is not set."""

VARIABLES = tuple(DEFAULTS)

GUARDED: Mapping[str, tuple[str, ...]] = {"both": ("input", "output"), "input": ("input",), "output": ("output",)}
"""The variable GUARD → what GUARD_MODEL judges."""


@dataclass(frozen=True)
class Settings:
    policy: Policy
    """Whom the Worker serves."""
    allowed_origins: tuple[str, ...]
    models: Mapping[str, str]
    """Variable of MODEL_VARIABLES → model id."""
    chat_fallbacks: tuple[str, ...]
    """Models that answer for CHAT_MODEL, in this order, when it cannot."""
    model_aliases: Mapping[str, str]
    """Names under which OpenAI's clients may ask for a model → model id."""
    guard_model: str | None
    """Judges what is safe; None for nobody."""
    guarded: frozenset[str]
    """What it judges: `input`, `output`."""
    gateway_id: str | None
    """The AI Gateway that every model call goes through."""
    limits_rates: bool
    spares_models: bool
    """Whether models that keep failing are left alone for a while."""
    max_body_bytes: int
    max_image_bytes: int
    max_audio_bytes: int
    max_document_bytes: int
    """Bodies with files in them; none above MAX_UPLOAD_BYTES."""
    max_prompt_characters: int
    """Of all that a request gives a model for text to read."""
    max_texts: int
    """Of one request, where it takes many."""
    model_seconds: int
    """After so many a model call is given up, retries and its stream included."""
    model_attempts: int
    """How often a model is asked at most, before the first byte of an answer."""
    tool_rounds: int
    """How often a model may call tools of the Worker in one request."""
    conversation_days: int
    """After so many without a new message a conversation is erased."""
    rag_properties: Mapping[str, str]
    """Metadata of documents by which searches can be narrowed → `string`, `number` or `boolean`."""
    log_prompts: str
    """What lines of the log may repeat of requests: nothing (`off`), what defects say (`errors`), or all (`on`)."""
    simulated: tuple[str, ...]
    """Names of the bindings that a simulator answers; set by scripts/dev."""

    @classmethod
    def read(cls, variables: Mapping[str, Any]) -> "Settings":
        """Raises ApiError `unavailable`, naming the variable, for a value that cannot be meant."""
        given = {**DEFAULTS, **variables}
        return cls(
            policy=_policy(given),
            allowed_origins=tuple(str(given["ALLOWED_ORIGINS"]).split()),
            models={name: _model(name, str(given[name]), tasks) for name, tasks in MODEL_VARIABLES.items()},
            chat_fallbacks=tuple(
                _model("CHAT_FALLBACKS", each, MODEL_VARIABLES["CHAT_MODEL"])
                for each in str(given["CHAT_FALLBACKS"]).split()
            ),
            model_aliases=dict(_aliases(given)),
            guard_model=_model("GUARD_MODEL", str(given["GUARD_MODEL"]), ("guard",)) if given["GUARD_MODEL"] else None,
            guarded=frozenset(GUARDED[_one_of(given, "GUARD", *GUARDED)] if given["GUARD_MODEL"] else ()),
            gateway_id=str(given["GATEWAY_ID"]) or None,
            limits_rates=_one_of(given, "RATE_LIMITS", "on", "off") == "on",
            spares_models=_one_of(given, "BREAKER", "on", "off") == "on",
            max_body_bytes=_whole_number(given, "MAX_BODY_BYTES", 0),
            max_image_bytes=_upload(given, "MAX_IMAGE_BYTES"),
            max_audio_bytes=_upload(given, "MAX_AUDIO_BYTES"),
            max_document_bytes=_upload(given, "MAX_DOCUMENT_BYTES"),
            max_prompt_characters=_whole_number(given, "MAX_PROMPT_CHARACTERS", 1),
            max_texts=_whole_number(given, "MAX_TEXTS", 1),
            model_seconds=_whole_number(given, "MODEL_SECONDS", 1),
            model_attempts=_whole_number(given, "MODEL_ATTEMPTS", 1),
            tool_rounds=_whole_number(given, "TOOL_ROUNDS", 1),
            conversation_days=_whole_number(given, "CONVERSATION_DAYS", 1),
            rag_properties=_properties(str(given["RAG_PROPERTIES"])),
            log_prompts=_one_of(given, "LOG_PROMPTS", "off", "errors", "on"),
            simulated=tuple(str(given["SIMULATED"]).split()),
        )


def _policy(given: Mapping[str, Any]) -> Policy:
    mode, public_scopes = given["AUTH_MODE"], frozenset(str(given["PUBLIC_SCOPES"]).split())
    if mode not in ("keys", "public"):
        raise _misconfigured("AUTH_MODE", "keys, or public to serve everybody at your cost")
    if not public_scopes <= SCOPES.keys():
        raise _misconfigured("PUBLIC_SCOPES", f"a list of some of {' '.join(SCOPES)}")
    try:
        keys = parse_keys(str(given["API_KEYS"]))
    except ValueError:  # whatever it says, the log need not know
        raise _misconfigured("API_KEYS", "what scripts/keys writes") from None
    secret = str(given["TOKEN_SECRET"])
    if 0 < len(secret) < SHORTEST_SECRET:
        raise _misconfigured("TOKEN_SECRET", f"at least {SHORTEST_SECRET} characters, as scripts/keys makes it")
    return Policy(keys, secret, public_scopes if mode == "public" else None)


def _model(name: str, model_id: str, tasks: tuple[str, ...]) -> str:
    if getattr(catalogue.MODELS.get(model_id), "task", None) not in tasks:
        raise _misconfigured(name, f"the id of a model for {' or '.join(tasks)} (see GET /models)")
    return model_id


def _properties(text: str) -> Mapping[str, str]:
    """`language:string year:number` → the two; Vectorize indexes ten at most."""
    found = {name: kind for name, _, kind in (each.partition(":") for each in text.split())}
    if len(found) > 10 or not all(
        re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", name) and kind in ("string", "number", "boolean")
        for name, kind in found.items()
    ):
        raise _misconfigured("RAG_PROPERTIES", "a list of at most ten, such as language:string year:number")
    return found


def _aliases(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for pair in str(given["MODEL_ALIASES"]).replace(",", " ").split():
        alias, _, target = pair.partition("=")
        model_id = str(given[target]) if target in MODEL_VARIABLES else target
        if not alias or alias in catalogue.MODELS or model_id not in catalogue.MODELS:
            variables = "a variable such as CHAT_MODEL"
            expected = f"a list of alias=model with ids of GET /models or {variables}: {pair[:100]} is none"
            raise _misconfigured("MODEL_ALIASES", expected)
        yield alias, model_id


def _one_of(given: Mapping[str, Any], name: str, *allowed: str) -> str:
    if given[name] not in allowed:
        raise _misconfigured(name, " or ".join(allowed))
    return str(given[name])


def _whole_number(given: Mapping[str, Any], name: str, least: int) -> int:
    value = str(given[name]).removesuffix(".0")  # JavaScript's numbers may arrive as floats
    if not value.isdecimal() or int(value) < least:
        raise _misconfigured(name, f"a whole number from {least}")
    return int(value)


def _upload(given: Mapping[str, Any], name: str) -> int:
    return min(_whole_number(given, "MAX_UPLOAD_BYTES", 0), _whole_number(given, name, 0))


def _misconfigured(name: str, expected: str) -> ApiError:
    return ApiError("unavailable", f"The Worker's variable {name} is not {expected}.")
