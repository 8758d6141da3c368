"""JSON schemas of a model's inputs and answer, as `GET …/ai/models/schema?model=…` answers them: `{input, output}`.

They describe what this simulator checks and answers, by the model's task and the facts of the catalogue. Cloudflare's
own schemas list more parameters, in other words, and are not reproduced here.
"""

from typing import Any

from workers_ai_simulator.catalogue import Bounds, Model, known
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.speech.simulated import CONTAINERS, ENCODINGS, SPEAKERS, TURBO_PARAMETERS

Schema = dict[str, Any]

TEXT: Schema = {"type": "string", "minLength": 1}
TEXTS: Schema = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 100}
BYTES: Schema = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 255}}
BINARY: Schema = {"type": "string", "contentEncoding": "base64"}
NUMBER: Schema = {"type": "number"}
STREAM: Schema = {"type": "string", "contentMediaType": "text/event-stream"}
MESSAGES: Schema = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "properties": {"role": {"type": "string"}, "content": {"type": ["string", "array", "null"]}},
        "required": ["role"],
    },
}
USAGE: Schema = {
    "type": "object",
    "properties": {name: {"type": "integer"} for name in ("prompt_tokens", "completion_tokens", "total_tokens")},
}


def schema(model_id: str) -> dict[str, Schema]:
    """Schemas `{input, output}` of a model. Raises UpstreamError 5007 with status 404 if there is none of that id."""
    try:
        model = known(model_id)
    except UpstreamError as error:
        raise UpstreamError(404, error.code, error.description) from None
    if model.task == "text-generation":
        return {"input": _generation_input(model), "output": _generation_output(model)}
    read = {**INPUTS[model.task], **OWN_INPUTS.get(model.id, {})}
    return {"input": _object(read, REQUIRED.get(model.id, REQUIRED.get(model.task, ()))), "output": _output(model)}


def _object(properties: dict[str, Schema], required: tuple[str, ...] = ()) -> Schema:
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}


# ---- text generation -----------------------------------------------------------------------------------------------

TOOLS: Schema = {"type": "array", "items": {"type": "object"}}
JSON_MODE: Schema = {
    "type": "object",
    "properties": {"type": {"type": "string", "enum": ["json_object", "json_schema"]}, "json_schema": {}},
}
BY_ABILITY: dict[str, dict[str, Schema]] = {
    "tools": {"tools": TOOLS, "tool_choice": {"type": ["string", "object"]}},
    "json": {"response_format": JSON_MODE},
    "raw": {"raw": {"type": "boolean"}},
    "lora": {"lora": {"type": "string"}},
    "streaming": {"stream": {"type": "boolean", "default": False}},
}
"""Ability → the inputs that it brings."""


def _generation_input(model: Model) -> Schema:
    properties: dict[str, Schema] = {"messages": MESSAGES}
    for ability in model.abilities:
        properties |= BY_ABILITY.get(ability, {})
    for name, bounds in model.parameters.items():
        if isinstance(bounds, list):
            properties[name] = _bounded(bounds)
    properties["max_tokens"] = {"type": "integer", "minimum": 1}
    if isinstance(default := model.parameters.get("max_tokens_default"), int):
        properties["max_tokens"]["default"] = default
    prompt = _object(
        {"prompt": TEXT, **{name: each for name, each in properties.items() if name != "messages"}}, ("prompt",)
    )
    return {
        "type": "object",
        "oneOf": [{"title": "Prompt", **prompt}, {"title": "Messages", **_object(properties, ("messages",))}],
    }


def _bounded(bounds: Bounds) -> Schema:
    minimum, maximum = bounds
    low = {} if minimum is None else {"minimum": minimum}
    return {"type": "number", **low, **({} if maximum is None else {"maximum": maximum})}


def _generation_output(model: Model) -> Schema:
    call = {"type": "object", "properties": {"name": {"type": "string"}, "arguments": {"type": "object"}}}
    native = _object(
        {
            "response": {"type": ["string", "object", "null"]},
            "tool_calls": {"type": "array", "items": call},
            "usage": USAGE,
        },
        ("response",),
    )
    completion = _object({"choices": {"type": "array", "items": {"type": "object"}}, "usage": USAGE}, ("choices",))
    return {"oneOf": [native if model.dialect == "native" else completion, STREAM]}


# ---- other tasks ---------------------------------------------------------------------------------------------------

PICTURE: dict[str, Schema] = {
    "prompt": TEXT,
    "negative_prompt": {"type": "string"},
    "width": NUMBER,
    "height": NUMBER,
    "num_steps": NUMBER,
    "guidance": NUMBER,
    "seed": NUMBER,
}
SOURCE: dict[str, Schema] = {"image": BYTES, "image_b64": BINARY, "strength": {**NUMBER, "minimum": 0, "maximum": 1}}

INPUTS: dict[str, dict[str, Schema]] = {
    "embeddings": {"text": {"oneOf": [TEXT, TEXTS]}, "pooling": {"type": "string", "enum": ["mean", "cls"]}},
    "reranking": {
        "query": TEXT,
        "contexts": {"type": "array", "items": _object({"text": TEXT}), "minItems": 1},
        "top_k": {"type": "integer", "minimum": 1},
    },
    "translation": {"text": TEXT, "source_lang": {"type": "string", "default": "en"}, "target_lang": TEXT},
    "text-classification": {"text": TEXT},
    "summarization": {"input_text": TEXT, "max_length": {"type": "integer", "minimum": 1}},
    "guard": {
        "messages": MESSAGES,
        "temperature": {**NUMBER, "minimum": 0, "maximum": 5},
        "max_tokens": NUMBER,
        "response_format": JSON_MODE,
    },
    "decision": {"model": TEXT, "state": {}, "questions": {"type": ["array", "object"]}, "images": {"type": "array"}},
    "text-to-image": PICTURE,
    "image-to-image": PICTURE | SOURCE,
    "inpainting": PICTURE | SOURCE | {"mask": BYTES},
    "image-to-text": {"image": {"oneOf": [BYTES, BINARY]}, "prompt": TEXT, "max_tokens": NUMBER},
    "image-classification": {"image": BYTES},
    "object-detection": {"image": BYTES},
    "speech-to-text": {"audio": {"oneOf": [BYTES, BINARY, {"type": "object", "required": ["body", "contentType"]}]}},
    "text-to-speech": {
        "text": {**TEXT, "maxLength": 2000},
        "encoding": {"type": "string", "enum": list(ENCODINGS)},
        "container": {"type": "string", "enum": list(CONTAINERS)},
        "sample_rate": NUMBER,
        "bit_rate": NUMBER,
    },
}
"""Task → its inputs."""

PYTHON_TYPES = {str: "string", bool: "boolean", float: "number"}

OWN_INPUTS: dict[str, dict[str, Schema]] = {
    "@cf/openai/whisper-large-v3-turbo": {
        **{name: {"type": PYTHON_TYPES[kind]} for name, kind in TURBO_PARAMETERS.items()},
        "task": {"type": "string", "enum": ["transcribe", "translate"]},
    },
    "@cf/deepgram/flux": {"encoding": {"type": "string", "enum": ["linear16"]}, "sample_rate": TEXT},
    **{model: {"speaker": {"type": "string", "enum": voices.split()}} for model, voices in SPEAKERS.items()},
    "@cf/myshell-ai/melotts": {"prompt": TEXT, "lang": {"type": "string", "default": "en"}},
}
"""Model → inputs beside those of its task."""

REQUIRED: dict[str, tuple[str, ...]] = {
    "embeddings": ("text",),
    "reranking": ("query", "contexts"),
    "translation": ("text", "target_lang"),
    "text-classification": ("text",),
    "summarization": ("input_text",),
    "guard": ("messages",),
    "decision": ("model", "state", "questions"),
    "text-to-image": ("prompt",),
    "image-to-image": ("prompt",),
    "inpainting": ("prompt", "mask"),
    "image-to-text": ("image",),
    "image-classification": ("image",),
    "object-detection": ("image",),
    "speech-to-text": ("audio",),
    "text-to-speech": ("text",),
    "@cf/deepgram/flux": ("encoding", "sample_rate"),
    "@cf/myshell-ai/melotts": ("prompt",),
    "@cf/ai4bharat/indictrans2-en-indic-1B": ("text", "target_language"),
}
"""Task or model → inputs that must be there; a model's take the place of its task's."""

LABELS: Schema = {"type": "array", "items": _object({"label": {"type": "string"}, "score": NUMBER})}
WORDS: Schema = {"type": "array", "items": {"type": "object"}}

OUTPUTS: dict[str, Schema] = {
    "embeddings": _object({"shape": {"type": "array"}, "data": {"type": "array"}, "pooling": {"type": "string"}}),
    "reranking": _object(
        {"response": {"type": "array", "items": _object({"id": {"type": "integer"}, "score": NUMBER})}}
    ),
    "translation": _object({"translated_text": {"type": "string"}}),
    "text-classification": LABELS,
    "summarization": _object({"summary": {"type": "string"}}),
    "guard": _object({"response": {"type": ["string", "object"]}, "usage": USAGE}),
    "decision": {"type": "object"},
    "image-to-text": _object({"description": {"type": "string"}}),
    "image-classification": LABELS,
    "object-detection": {"type": "array", "items": _object({"label": {"type": "string"}, "score": NUMBER, "box": {}})},
    "speech-to-text": _object({"text": {"type": "string"}, "words": WORDS}),
    "text-to-speech": {"type": "string", "format": "binary", "contentMediaType": "audio/wav"},
}
"""Task → its answer; that of pictures is below."""
PICTURE_OUTPUT: Schema = {
    "oneOf": [_object({"image": BINARY}), {"type": "string", "format": "binary", "contentMediaType": "image/png"}]
}


def _output(model: Model) -> Schema:
    return OUTPUTS.get(model.task, PICTURE_OUTPUT)
