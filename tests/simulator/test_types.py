"""The simulator's answers have Cloudflare's own types, `@cloudflare/workers-types`, as tsc checks."""

import base64
import io
import json
import re
import subprocess
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from running_simulator import SimulatorProcess
from tools import ROOT
from workers_ai_simulator.catalogue import ALIASES, MODELS, Model
from workers_ai_simulator.catalogue import RETIRED as RETIREMENTS

TYPES = ROOT / "node_modules/@cloudflare/workers-types/index.d.ts"
TSC = ROOT / "node_modules/.bin/tsc"

AI_MODELS: list[str] = re.findall(
    r'"(@[^"]+)": \w+;', TYPES.read_text().partition("interface AiModels {")[2].partition("\n}")[0]
)


# ---- inputs --------------------------------------------------------------------------------------------------------


def image(size: int = 64) -> bytes:
    content = io.BytesIO()
    picture = Image.new("RGB", (size, size), "#e02020")
    picture.paste("#2060d0", (8, 8, 32, 32))
    picture.save(content, "PNG")
    return content.getvalue()


def sound() -> bytes:
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", "NONE"))
        file.writeframes(bytes(16_000))
    return content.getvalue()


IMAGE, SOUND = list(image()), list(sound())
SOUND_BASE64 = base64.b64encode(sound()).decode()
IMAGE_URL = f"data:image/png;base64,{base64.b64encode(image()).decode()}"
QUESTION = {"role": "user", "content": "What is the weather in Paris?"}
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
}
TOOL = {"type": "function", "function": {"name": "weather", "description": "The weather.", "parameters": WEATHER}}

Inputs = dict[str, Any]

OF_TASK: dict[str, list[Inputs]] = {
    "embeddings": [{"text": "one"}, {"text": ["one", "two"]}],
    "reranking": [{"query": "a", "contexts": [{"text": "b"}]}],
    "translation": [{"text": "a", "target_lang": "fr"}],
    "text-classification": [{"text": "good"}],
    "guard": [{"messages": [QUESTION]}, {"messages": [QUESTION], "response_format": {"type": "json_object"}}],
    "image-to-text": [{"image": IMAGE}, {"image": IMAGE, "prompt": "What is it?"}],
    "image-classification": [{"image": IMAGE}],
    "object-detection": [{"image": IMAGE}],
    "speech-to-text": [{"audio": SOUND}],
    "text-to-speech": [{"prompt": "Hello"}],
    "text-to-image": [{"prompt": "a hill", "width": 256, "height": 256}],
    "inpainting": [{"prompt": "a hill", "image": IMAGE, "mask": IMAGE, "width": 256, "height": 256}],
}
AURA = [{"text": "Hello"}]
OF_MODEL: dict[str, list[Inputs]] = {
    "@cf/ai4bharat/indictrans2-en-indic-1B": [{"text": "a", "target_language": "hin_Deva"}],
    "@cf/baai/bge-m3": [
        *OF_TASK["embeddings"],
        {"contexts": [{"text": "a"}, {"text": "b"}]},
        {"query": "a", "contexts": [{"text": "a"}, {"text": "b"}]},
    ],
    "@cf/black-forest-labs/flux-1-schnell": [{"prompt": "a hill"}],
    "@cf/deepgram/aura-1": AURA,
    "@cf/deepgram/aura-2-en": AURA,
    "@cf/deepgram/aura-2-es": AURA,
    "@cf/deepgram/flux": [{"audio": SOUND, "encoding": "linear16", "sample_rate": "8000"}],
    "@cf/moondream/moondream3.1-9B-A2B": [
        {"task": task, "image": IMAGE_URL, "question": "What?", "target": "box"}
        for task in ("query", "caption", "point", "detect")
    ],
    "@cf/nvidia/nemotron-speech-streaming-en-0.6b": [{"audio": SOUND_BASE64}],
    "@cf/openai/gpt-oss-20b": [{"input": "Hello"}],
    "@cf/openai/gpt-oss-120b": [{"input": "Hello"}],
    "@cf/openai/whisper-large-v3-turbo": [{"audio": SOUND_BASE64}],
    "@cf/pfnet/plamo-embedding-1b": [{"text": ["one"]}],
    "@cf/qwen/qwen3-embedding-0.6b": [{"text": "one"}, {"queries": ["a"]}, {"documents": ["a", "b"]}],
}


def asked_of(model: Model) -> list[Inputs]:
    inputs = OF_MODEL.get(model.id) or OF_TASK.get(model.task, [])
    return [*inputs, *(text_inputs(model) if model.task == "text-generation" else [])]


def text_inputs(model: Model) -> list[Inputs]:
    seen = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": IMAGE_URL}}]
    of_ability: dict[str, Inputs] = {
        "tools": {"messages": [QUESTION], "tools": [TOOL]},
        "json": {
            "messages": [QUESTION],
            "response_format": {"type": "json_schema", "json_schema": WEATHER},
        },
        "vision": {"messages": [{"role": "user", "content": seen}]},
    }
    return [{"messages": [QUESTION]}, *(each for name, each in of_ability.items() if name in model.abilities)]


# ---- models that are not checked, and why --------------------------------------------------------------------------

LORA = "a model for LoRA, active by Cloudflare's changelog of 2026-05-08, without a row in models.json"
UNKNOWN = {
    **{model: "retired" for model in AI_MODELS if model in RETIREMENTS and model not in MODELS},
    **dict.fromkeys(
        (
            "@cf/meta-llama/llama-2-7b-chat-hf-lora",
            "@cf/google/gemma-2b-it-lora",
            "@cf/google/gemma-7b-it-lora",
        ),
        LORA,
    ),
    "@cf/pipecat-ai/smart-turn-v2": "a task of its own: whether a speaker has finished",
}
"""Model in the types that the simulator does not know → the reason."""

MEDIA = {
    **dict.fromkeys(
        (
            "@cf/stabilityai/stable-diffusion-xl-base-1.0",
            "@cf/bytedance/stable-diffusion-xl-lightning",
            "@cf/lykon/dreamshaper-8-lcm",
            "@cf/runwayml/stable-diffusion-v1-5-inpainting",
        ),
        "ReadableStream: the bytes of a PNG",
    ),
    "@cf/leonardo/phoenix-1.0": "string: the bytes of a JPEG",
    **dict.fromkeys(
        ("@cf/deepgram/aura-1", "@cf/deepgram/aura-2-en", "@cf/deepgram/aura-2-es"), "string: the bytes of a sound"
    ),
}
"""Model whose answer the class returns as a stream → the type that its types have instead."""

RETIRED = [model for model in AI_MODELS if model in RETIREMENTS and model not in ALIASES]
CHECKED = [model for model in AI_MODELS if model not in (*UNKNOWN, *MEDIA, *RETIRED)]


# ---- mistakes in the types: each function removes the part that one concerns from an answer --------------------------


def mend_json_mode(answer: Inputs) -> None:
    """JSON mode answers an object, by its documentation; the types have `response: string`."""
    if isinstance(answer.get("response"), dict):
        answer["response"] = json.dumps(answer["response"])


def mend_called_tools(answer: Inputs) -> None:
    """`response` is null beside tool calls, in recordings; the types have `response: string`."""
    if answer.get("tool_calls"):
        answer["response"] = answer["response"] or ""


def mend_usage(answer: Inputs) -> None:
    """The type of this model has no `usage`; those of all similar models have."""
    del answer["usage"]


def mend_nulls(answer: Inputs) -> None:
    """The types say “Null for other tasks” in their comments, and leave null out."""
    for name in [name for name, value in answer.items() if value is None]:
        del answer[name]


def mend_vllm(answer: Inputs) -> None:
    """`content` is null beside tool calls and `refusal` is present, as in the types of the dialect's other models."""
    message = answer["choices"][0]["message"]
    message["content"] = message["content"] or ""
    del message["refusal"]


def mend_reasoning(answer: Inputs) -> None:
    """Models that reason say so in `reasoning_content`, in recordings; `ChatCompletionsOutput` has no place for it."""
    for choice in answer.get("choices", []):
        choice["message"].pop("reasoning_content", None)


def mend_responses(answer: Inputs) -> None:
    """OpenAI's own types require `model` and `annotations`, and allow `tool_choice: "auto"`, the default."""
    if answer.get("object") == "response":
        del answer["model"]
        answer["tool_choice"] = "none"
        for item in answer["output"]:
            for part in item["content"]:
                part.pop("annotations", None)


MENDS: dict[str, tuple[Callable[[Inputs], None], ...]] = {
    "@cf/meta/llama-3.2-11b-vision-instruct": (mend_usage, mend_json_mode, mend_called_tools),
    "@cf/moondream/moondream3.1-9B-A2B": (mend_nulls,),
    "@cf/qwen/qwen3-30b-a3b-fp8": (mend_vllm,),
    "@cf/aisingapore/gemma-sea-lion-v4-27b-it": (mend_vllm,),
}


def mended(model: Model, answer: Any) -> Any:
    if model.id in MENDS:
        mends = MENDS[model.id]
    elif model.task == "text-generation":
        mends = (mend_json_mode, mend_called_tools) if model.dialect == "native" else (mend_reasoning, mend_responses)
    else:
        mends = ()
    for mend in mends:
        mend(answer)
    return answer


# ---- the samples ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    of: str
    """Model or method whose answer it is."""
    type: str
    value: str
    """The answer in TypeScript, of which JSON is a subset."""


def run(client: httpx.Client, model: str, inputs: Inputs, **options: Any) -> httpx.Response:
    headers = {"cf-consn-model-id": model}
    return client.post("/run", json={"inputs": inputs, "options": options}, headers=headers)


def answered(client: httpx.Client, model: str, inputs: Inputs, **options: Any) -> Any:
    response = run(client, model, inputs, **options)
    assert response.status_code == 200, f"{model} answers {str(inputs)[:200]} with {response.text}"
    assert response.headers["content-type"] == "application/json"
    return response.json()


def of_models(client: httpx.Client) -> Iterator[Sample]:
    for model in CHECKED:
        known = MODELS[ALIASES.get(model, model)]
        answers = [answered(client, model, inputs) for inputs in asked_of(known)]
        if "batch" in known.abilities:
            queued = answered(client, model, {"requests": asked_of(known)}, queueRequest=True)
            poll = {"request_id": queued["request_id"]}
            yield Sample(model, "AiAsyncBatchResponse", json.dumps(poll))
            answered(client, model, poll)
            answers += [each["result"] for each in answered(client, model, poll)["responses"]]
        # models.json has granite in OpenAI's dialect, its type is the native one
        is_granite = model.startswith("@cf/ibm-granite/")
        promised = "ChatCompletionsOutput" if is_granite else f'AiModels["{model}"]["postProcessedOutputs"]'
        for answer in answers:
            yield Sample(model, promised, json.dumps(mended(known, answer)))


def of_methods(client: httpx.Client) -> Iterator[Sample]:
    models = client.get("/ai-api/models/search").json()["result"]
    yield Sample("models", "AiModelsSearchObject[]", json.dumps(models))
    files = [
        {"name": "a.html", "mimeType": "text/html", "data": base64.b64encode(b"<h1>Title</h1>").decode()},
        {"name": "a.bin", "mimeType": "application/x-none", "data": ""},
    ]
    converted = client.post("/to-everything/markdown/transformer", json={"files": files}).json()["result"]
    assert [each["format"] for each in converted] == ["markdown", "error"]
    yield Sample("toMarkdown", "ConversionResponse[]", json.dumps(converted))
    formats = client.get("/to-everything/markdown/supported").json()["result"]
    yield Sample("supported", "SupportedFileFormat[]", json.dumps(formats))
    yield from of_gateway(client)
    yield from of_vectorize(client)


def of_gateway(client: httpx.Client) -> Iterator[Sample]:
    gateway = {"id": "types", "metadata": {"user": "a"}}
    body = {"inputs": {"messages": [QUESTION]}, "options": {"gateway": gateway}}
    headers = {"cf-consn-model-id": "@cf/meta/llama-3.2-3b-instruct"}
    log_id = client.post("/ai-gateway/run", json=body, headers=headers).headers["cf-aig-log-id"]
    log = client.get(f"/ai-gateway/gateways/types/logs/{log_id}").json()["result"]
    for name in ("event_id", "user_agent", "score", "feedback"):
        del log[name]  # fields of the REST API that the type does not have
    # the class converts it to a Date
    written = json.dumps(log).replace(f'"{log["created_at"]}"', f'new Date("{log["created_at"]}")')
    yield Sample("getLog", "AiGatewayLog", written)


def of_vectorize(client: httpx.Client) -> Iterator[Sample]:
    headers = {"host": "vector-search", "x-simulator-index": "types"}
    vector = {"id": "a", "values": [1, 0], "namespace": "n", "metadata": {"page": 1}}
    width = {"cf-vector-search-dim-width": "2", "cf-vector-search-dim-height": "1"}
    inserted = client.post("/insert", content=json.dumps(vector), headers={**headers, **width}).json()
    yield Sample("insert", "VectorizeAsyncMutation", json.dumps(inserted))
    info = client.get("/info", headers=headers).json()
    # the comments in the types say an ISO 8601 datetime and a UUID; the types themselves say numbers
    yield Sample("describe", "VectorizeIndexInfo", json.dumps(info | wrong_in_info(info)))
    query = {"vector": [1, 0], "topK": 1, "returnValues": True, "returnMetadata": "all"}
    matches = client.post("/query", json=query, headers=headers).json()
    assert matches["count"] == 1
    yield Sample("query", "VectorizeMatches", json.dumps(matches))
    vectors = client.post("/getByIds", json={"ids": ["a"]}, headers=headers).json()
    yield Sample("getByIds", "VectorizeVector[]", json.dumps(vectors))


def wrong_in_info(info: dict[str, Any]) -> dict[str, int]:
    names = ("processedUpToDatetime", "processedUpToMutation")
    assert all(isinstance(info[name], str) for name in names)
    return dict.fromkeys(names, 0)


def complaints(samples: list[Sample], folder: Path) -> dict[str, list[str]]:
    """Errors of tsc in the samples, by model or method."""
    lines = [f"export const sample{n}: {each.type} = {each.value};\n" for n, each in enumerate(samples)]
    (folder / "samples.ts").write_text("".join(lines))
    options = {"strict": True, "noEmit": True, "lib": ["esnext"], "types": []}
    configuration = {"compilerOptions": options, "files": ["samples.ts", str(TYPES)]}
    (folder / "tsconfig.json").write_text(json.dumps(configuration))
    command = [TSC, "--pretty", "false"]
    done = subprocess.run(command, cwd=folder, text=True, capture_output=True, timeout=100, check=False)
    errors: dict[str, list[str]] = {}
    for message in re.split(r"^(?=\S)", done.stdout, flags=re.MULTILINE)[1:]:
        place = re.match(r"samples\.ts\((\d+),", message)
        assert place is not None, done.stdout  # only samples may have errors
        errors.setdefault(samples[int(place[1]) - 1].of, []).append(message)
    return errors


METHODS = ("models", "toMarkdown", "supported", "getLog", "insert", "describe", "query", "getByIds")


@pytest.fixture(scope="module")
def type_errors(simulator_process: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Errors of tsc in all answers, from one run."""
    with simulator_process.client() as client:
        samples = [*of_models(client), *of_methods(client)]
    assert {each.of for each in samples} == {*CHECKED, *METHODS}
    return complaints(samples, tmp_path_factory.mktemp("types"))


# ---- the tests -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", [*CHECKED, *METHODS])
def test_an_answer_is_what_its_type_promises(type_errors: dict[str, list[str]], of: str) -> None:
    assert type_errors.get(of, []) == []


def test_the_check_itself_finds_what_is_wrong(tmp_path: Path) -> None:
    whisper = 'AiModels["@cf/openai/whisper"]["postProcessedOutputs"]'
    samples = [
        Sample("right", whisper, '{"text": "Hello"}'),
        Sample("wrong", whisper, '{"text": 5}'),
        Sample("missing", whisper, "{}"),
        Sample("more", whisper, '{"text": "Hello", "duration": 5}'),
    ]
    assert complaints(samples, tmp_path).keys() == {"wrong", "missing", "more"}


def test_every_model_of_the_types_is_checked_or_has_a_reason() -> None:
    assert [model for model in AI_MODELS if model not in MODELS] == [model for model in AI_MODELS if model in UNKNOWN]
    assert len(CHECKED) > 40
    assert {*UNKNOWN, *MEDIA} <= {*AI_MODELS}


@pytest.mark.parametrize("model", MEDIA)
def test_media_are_handed_on_as_bytes(http: httpx.Client, model: str) -> None:
    [inputs] = asked_of(MODELS[model])
    response = run(http, model, inputs)
    assert response.headers["content-type"].partition("/")[0] in ("image", "audio")
    assert len(response.content) > 1000


@pytest.mark.parametrize("model", RETIRED)
def test_a_retired_model_is_refused(http: httpx.Client, model: str) -> None:
    response = run(http, model, {"prompt": "Hello"})
    assert response.json()["internalCode"] == 5028
