"""The models of Workers AI as data: GET /models shows this table, and every route looks its model up here.

Sources: the model pages, pricing and limits of developers.cloudflare.com/workers-ai (copies of autumn 2026) and the
npm package @cloudflare/workers-types 5.20261117.1. Facts that they do not state are left out here, not guessed.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal

from aiworker.errors import ApiError
from aiworker.models import token_counts

Range = tuple[float, float]
"""Minimum and maximum, both allowed."""

Task = Literal[
    "text-generation",
    "guard",
    "decision",
    "embeddings",
    "reranking",
    "text-to-image",
    "image-to-image",
    "inpainting",
    "speech-to-text",
    "text-to-speech",
    "translation",
    "text-classification",
    "image-to-text",
    "object-detection",
    "image-classification",
]
"""The task of a model."""

CLASSIC: Mapping[str, Range] = {
    "temperature": (0, 5),
    "top_p": (0, 2),
    "top_k": (1, 50),
    "seed": (1, 9_999_999_999),
    "repetition_penalty": (0, 2),
    "frequency_penalty": (0, 2),
    "presence_penalty": (0, 2),
}
"""Sampling parameters of most models, and their ranges."""

NARROWED: Mapping[str, Range] = {
    **CLASSIC,
    "top_p": (0.001, 1),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
}
"""Sampling parameters of the models of 2026 with a native schema."""

POOLINGS = ("mean", "cls")
"""Poolings of the bge models of version 1.5."""

COMPLETIONS: Mapping[str, Range] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "seed": (1, 9_999_999_999),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
}
"""Sampling parameters of models with OpenAI's schema of chat completions."""


EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""Values of `reasoning_effort`, in OpenAI's API and of models here, in their order."""
NO_THINKING: Mapping[str, Any] = {"chat_template_kwargs": {"enable_thinking": False}}


def _efforts(*levels: str | Mapping[str, Any] | None) -> Mapping[str, Mapping[str, Any]]:
    """Return the inputs for each of EFFORTS, in their order. A text is the model's own level; None: no such effort."""
    inputs = {
        effort: {"reasoning_effort": each} if isinstance(each, str) else each
        for effort, each in zip(EFFORTS, levels, strict=True)
    }
    return {effort: each for effort, each in inputs.items() if each is not None}


SWITCH = _efforts(NO_THINKING, NO_THINKING, None, None, None, None, None)
NEMOTRON_EFFORTS = _efforts(
    NO_THINKING, NO_THINKING, {"chat_template_kwargs": {"low_effort": True}}, None, None, None, None
)
GPT_OSS_EFFORTS = _efforts("low", "low", "low", "medium", "high", "high", "high")
KIMI_EFFORTS = _efforts("none", "none", "high", "high", "high", "high", "high")
GLM_EFFORTS = _efforts("none", "none", "high", "high", "high", "max", "max")
GLM_5_3_EFFORTS = _efforts("low", "low", "low", "high", "high", "max", "max")
DEEPSEEK_EFFORTS = _efforts("none", "low", "low", "high", "high", "high", "max")
QWEN_EFFORTS = _efforts(NO_THINKING, "low", "low", "medium", "xhigh", "xhigh", "xhigh")

THINKING = ("enable_thinking", "clear_thinking")
ALWAYS_THINKING = ("clear_thinking",)
NEMOTRON_THINKING = ("enable_thinking", "low_effort", "force_nonempty_content")


@dataclass(frozen=True)
class Model:
    """A model of Workers AI."""

    id: str
    task: Task
    requests_per_minute: int | None
    """Default rate limit of one account; None where it is not known."""
    abilities: str = ""
    """Words among: streaming, tools, json, vision, reasoning, lora, raw."""
    context_window: int | None = None
    """Tokens of prompt and answer together; None where Cloudflare does not say."""
    dimensions: int | None = None
    """Length of its vectors, for an embeddings model."""
    neurons: Mapping[str, float] = field(default_factory=dict[str, float])
    """Price: unit → neurons for one. Empty for models in beta, which are free, and where the price is not known."""
    sampling: Mapping[str, Range] = field(default_factory=lambda: CLASSIC)
    dialect: Literal["native", "openai"] = "native"
    """The shape of its answers and streams: `{"response": …}`, or OpenAI's `choices`."""
    deprecated: bool = False
    """Cloudflare has announced the day on which it retires the model."""
    texts_a_call: int = 100
    """Maximum number of texts in one call of an embeddings model."""
    longest_text: int | None = None
    """Tokens of the longest text that an embeddings model reads; None where Cloudflare does not document it."""
    efforts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """`reasoning_effort` of a request → the model's inputs for it: its nearest level, or its switch."""
    template_arguments: tuple[str, ...] = ()
    """Members of `chat_template_kwargs` that it takes."""
    pooling: tuple[str, ...] = ()
    """Poolings that an embeddings model offers; vectors of different poolings are not comparable."""
    relevance_floor: float | None = None
    """Score of a reranker below which no passage answers the question; None where it is not known."""
    vendor: str | None = None
    """First part of the id of another vendor's model, which AI Gateway calls; None for Workers AI's own."""

    def to_json(self) -> dict[str, Any]:
        """Return the model as an item of GET /models."""
        fields: dict[str, Any] = {
            "id": self.id,
            "task": self.task,
            "context_window": self.context_window,
            "dimensions": self.dimensions,
            "price": {"neurons_per": dict(self.neurons)} if self.neurons else None,
            "requests_per_minute": self.requests_per_minute,
            "abilities": self.abilities.split(),
            "deprecated": self.deprecated,
        }
        if self.task == "text-generation":
            fields["dialect"] = self.dialect
            fields["sampling"] = {name: list(bounds) for name, bounds in self.sampling.items()}
        if self.task == "embeddings":
            fields["texts_a_call"] = self.texts_a_call
            fields["longest_text"] = self.longest_text
            fields["pooling"] = list(self.pooling)
        return fields


def find(model_id: str, task: Task) -> Model:
    """Return the model of this id, for this task.

    Raises ApiError `model_not_found`, with similar ids or a retired model's successor, or `invalid_request` for a model
    of another task.
    """
    model = MODELS.get(model_id)
    if model is None:
        raise unknown(model_id, [each.id for each in MODELS.values() if each.task == task], f"?task={task}")
    if model.task != task:
        raise ApiError(
            "invalid_request",
            f"{model_id} is a model for {model.task}, not for {task}.",
            param="model",
        )
    return model


def unknown(model_id: str, known: Collection[str], query: str = "") -> ApiError:
    """Return the error for an id that is unknown, or that of a retired model.

    known: ids among which similar ones are suggested. query: for GET /models.
    """
    if model_id in RETIRED:
        message = f"The model {model_id} was retired: use {RETIRED[model_id]} in its place."
        return ApiError("model_not_found", message, param="model")
    near = get_close_matches(model_id[:100], known, n=3)
    hint = f" Did you mean {' or '.join(near)}?" if near else f" GET /models{query} lists what there is."
    return ApiError("model_not_found", f"There is no model {model_id[:100]}.{hint}", param="model")


def check_sampling(model: Model, parameters: Mapping[str, float]) -> None:
    """Raise ApiError `invalid_request` for the first parameter that the model lacks, or whose value is out of range."""
    for name, value in parameters.items():
        bounds = _token_range(model) if name == "max_tokens" else model.sampling.get(name)
        if bounds is None:
            raise ApiError("invalid_request", f"{model.id} does not take {name}.", param=name)
        minimum, maximum = bounds
        if not minimum <= value <= maximum:
            raise ApiError(
                "invalid_request",
                f"{name} must be between {minimum} and {maximum} for {model.id}.",
                param=name,
            )


def fit_sampling(model: Model, parameters: Mapping[str, float]) -> dict[str, float]:
    """Return the parameters that the model takes, each with the nearest value that it takes."""
    bounds = {name: model.sampling[name] for name in parameters if name in model.sampling}
    fitted = {name: min(max(parameters[name], low), high) for name, (low, high) in bounds.items()}
    return {**fitted, **({"max_tokens": parameters["max_tokens"]} if "max_tokens" in parameters else {})}


def check_ability(model: Model, ability: str, param: str) -> None:
    """Raise ApiError `invalid_request` if the model lacks the ability. param: field of the request that needs it."""
    if ability not in model.abilities.split():
        raise ApiError("invalid_request", f"{model.id} does not take {param}.", param=param)


def check_window(model: Model, texts: Iterable[str], answer: int, param: str) -> None:
    """Raise ApiError `context_exceeded` if the texts and the answer surely exceed the model's context.

    answer: tokens. Texts that pass may still be too long: only the model can count exactly.
    """
    needed = sum(map(token_counts.lower_bound, texts)) + answer
    if model.context_window and needed > model.context_window:
        raise ApiError(
            "context_exceeded",
            f"{param} and the answer take at least {needed:,} tokens, "
            f"and the context of {model.id} holds {model.context_window:,}.",
            param=param,
        )


def neurons(model: Model, usage: Mapping[str, Any]) -> float | None:
    """Return the cost of an answer from its `usage` (tokens, as models report them); None if it is not known."""
    inputs, outputs = usage.get("prompt_tokens"), usage.get("completion_tokens") or 0
    if not isinstance(inputs, int) or not isinstance(outputs, int) or "million_input_tokens" not in model.neurons:
        return None
    details: Mapping[str, int] = usage.get("prompt_tokens_details") or {}
    cached = min(details.get("cached_tokens") or 0, inputs)
    price = model.neurons["million_input_tokens"]
    price_cached = model.neurons.get("million_cached_input_tokens", price)
    price_output = model.neurons.get("million_output_tokens", 0)
    return ((inputs - cached) * price + cached * price_cached + outputs * price_output) / 1_000_000


def _token_range(model: Model) -> Range:
    """Return the range of `max_tokens`."""
    return (1, model.context_window or 1_000_000)


def _tokens(inputs: float, outputs: float, cached: float | None = None) -> dict[str, float]:
    """Return the price of a million tokens of prompt, of answer, and of prompt from the model's cache, in neurons."""
    price = {"million_input_tokens": inputs, "million_output_tokens": outputs}
    return price if cached is None else {**price, "million_cached_input_tokens": cached}


# fmt: off
_TABLE = (
    # ---- text generation
    Model("@cf/openai/gpt-oss-120b", "text-generation", 300, "streaming tools json reasoning", context_window=128_000, neurons=_tokens(31_818, 68_182), sampling=NARROWED, dialect="openai", efforts=GPT_OSS_EFFORTS, template_arguments=ALWAYS_THINKING),
    Model("@cf/openai/gpt-oss-20b", "text-generation", 300, "streaming tools json reasoning", context_window=128_000, neurons=_tokens(18_182, 27_273), sampling=NARROWED, dialect="openai", efforts=GPT_OSS_EFFORTS, template_arguments=ALWAYS_THINKING),
    Model("@cf/zai-org/glm-4.7-flash", "text-generation", 300, "streaming tools json reasoning", context_window=131_072, neurons=_tokens(5_500, 36_400), sampling=COMPLETIONS, dialect="openai", efforts=SWITCH, template_arguments=THINKING),
    Model("@cf/moonshotai/kimi-k2.6", "text-generation", 20, "streaming tools json vision reasoning", context_window=262_144, neurons=_tokens(86_364, 363_636, cached=14_545), sampling=COMPLETIONS, dialect="openai", efforts=KIMI_EFFORTS, template_arguments=THINKING),
    Model("@cf/moonshotai/kimi-k2.7-code", "text-generation", 20, "streaming tools json vision reasoning", context_window=262_144, neurons=_tokens(86_364, 363_636, cached=17_273), sampling=COMPLETIONS, dialect="openai", template_arguments=ALWAYS_THINKING),
    Model("@cf/google/gemma-4-26b-a4b-it", "text-generation", 300, "streaming tools json vision reasoning", context_window=256_000, neurons=_tokens(9_091, 27_273), sampling=COMPLETIONS, dialect="openai", efforts=SWITCH, template_arguments=THINKING),
    Model("@cf/nvidia/nemotron-3-120b-a12b", "text-generation", 300, "streaming tools json reasoning", context_window=256_000, neurons=_tokens(45_455, 136_364), sampling=COMPLETIONS, dialect="openai", efforts=NEMOTRON_EFFORTS, template_arguments=NEMOTRON_THINKING),
    Model("@cf/zai-org/glm-5.2", "text-generation", 20, "streaming tools json reasoning", context_window=256_000, neurons=_tokens(127_273, 400_000, cached=23_636), sampling=COMPLETIONS, dialect="openai", efforts=GLM_EFFORTS, template_arguments=THINKING),
    Model("@cf/zai-org/glm-5.3", "text-generation", 20, "streaming tools json reasoning", context_window=1_310_720, neurons=_tokens(127_273, 400_000, cached=23_636), sampling=COMPLETIONS, dialect="openai", efforts=GLM_5_3_EFFORTS, template_arguments=ALWAYS_THINKING),
    Model("@cf/zai-org/glm-5.3-flash", "text-generation", 20, "streaming tools json reasoning", context_window=1_048_576, neurons=_tokens(13_636, 45_455, cached=2_727), sampling=COMPLETIONS, dialect="openai", efforts=GLM_5_3_EFFORTS, template_arguments=ALWAYS_THINKING),
    Model("@cf/deepseek-ai/deepseek-v4-flash-0731", "text-generation", 300, "streaming tools json reasoning", context_window=1_048_576, neurons=_tokens(40_000, 120_000, cached=1_273), sampling=COMPLETIONS, dialect="openai", efforts=DEEPSEEK_EFFORTS, template_arguments=THINKING),
    Model("@cf/deepseek-ai/deepseek-v4-pro-0813", "text-generation", 300, "streaming tools json reasoning", context_window=1_048_576, neurons=_tokens(120_000, 360_000, cached=4_000), sampling=COMPLETIONS, dialect="openai", efforts=DEEPSEEK_EFFORTS, template_arguments=THINKING),
    Model("@cf/qwen/qwen3.8-27b", "text-generation", 300, "streaming tools json vision reasoning", context_window=262_144, neurons=_tokens(40_909, 290_909), sampling=COMPLETIONS, dialect="openai", efforts=QWEN_EFFORTS, template_arguments=THINKING),
    Model("@cf/qwen/qwen3-30b-a3b-fp8", "text-generation", 300, "streaming tools json reasoning raw", context_window=32_768, neurons=_tokens(4_625, 30_475), sampling=NARROWED, dialect="openai"),
    Model("@cf/aisingapore/gemma-sea-lion-v4-27b-it", "text-generation", 300, "streaming json raw", context_window=128_000, neurons=_tokens(31_876, 50_488), sampling=NARROWED, dialect="openai"),
    Model("@cf/ibm-granite/granite-4.0-h-micro", "text-generation", 300, "streaming tools json raw", context_window=131_000, neurons=_tokens(1_542, 10_158), sampling=NARROWED, dialect="openai"),
    Model("@cf/meta/llama-4-scout-17b-16e-instruct", "text-generation", 300, "streaming tools json vision raw", context_window=131_000, neurons=_tokens(24_545, 77_273)),
    Model("@cf/meta/llama-3.3-70b-instruct-fp8-fast", "text-generation", 300, "streaming tools json raw", context_window=24_000, neurons=_tokens(26_668, 204_805), sampling=NARROWED),
    Model("@cf/meta/llama-3.2-1b-instruct", "text-generation", 300, "streaming json raw", context_window=60_000, neurons=_tokens(2_457, 18_252)),
    Model("@cf/meta/llama-3.2-3b-instruct", "text-generation", 300, "streaming json raw", context_window=80_000, neurons=_tokens(4_625, 30_475)),
    Model("@cf/meta/llama-3.2-11b-vision-instruct", "text-generation", 300, "streaming vision lora raw", context_window=128_000, neurons=_tokens(4_410, 61_493)),
    Model("@cf/meta/llama-3.1-8b-instruct-fp8", "text-generation", 300, "streaming json raw", context_window=32_000, neurons=_tokens(13_778, 26_128)),
    Model("@cf/meta/llama-3.1-8b-instruct-fast", "text-generation", 300, "streaming json raw", context_window=60_000, neurons=_tokens(4_119, 34_868)),
    Model("@cf/meta/llama-3.1-8b-instruct-fp8-fast", "text-generation", 300, "streaming json raw", context_window=60_000, neurons=_tokens(4_119, 34_868)),
    Model("@cf/meta/llama-3.1-70b-instruct-fp8-fast", "text-generation", 300, "streaming json raw", neurons=_tokens(26_668, 204_805)),
    Model("@cf/deepseek-ai/deepseek-r1-distill-qwen-32b", "text-generation", 300, "streaming json reasoning raw", context_window=80_000, neurons=_tokens(45_170, 443_756), sampling=NARROWED),
    Model("@cf/qwen/qwq-32b", "text-generation", 300, "streaming reasoning lora raw", context_window=24_000, neurons=_tokens(60_000, 90_909)),
    Model("@cf/qwen/qwen2.5-coder-32b-instruct", "text-generation", 300, "streaming json lora raw", context_window=32_768, neurons=_tokens(60_000, 90_909)),
    Model("@cf/mistralai/mistral-small-3.1-24b-instruct", "text-generation", 300, "streaming tools vision raw", context_window=128_000, neurons=_tokens(31_876, 50_488)),
    Model("@cf/mistral/mistral-7b-instruct-v0.2-lora", "text-generation", 300, "streaming lora raw"),
    # ---- guard
    Model("@cf/meta/llama-guard-3-8b", "guard", 300, "json lora", context_window=131_072, neurons=_tokens(44_003, 2_730)),
    # ---- decision
    Model("@cf/cloudflare/clef", "decision", 300, "vision", context_window=65_536, neurons={"million_input_tokens": 21_818}),
    Model("@cf/cloudflare/clef-flash", "decision", 300, "vision", context_window=65_536, neurons={"million_input_tokens": 8_182}),
    Model("@cf/cloudflare/clef-omni", "decision", 300, "vision", context_window=64_000, neurons={"million_input_tokens": 13_636}),
    # ---- embeddings
    Model("@cf/baai/bge-small-en-v1.5", "embeddings", 3_000, dimensions=384, neurons={"million_input_tokens": 1_841}, pooling=POOLINGS),
    Model("@cf/baai/bge-base-en-v1.5", "embeddings", 3_000, context_window=153_600, dimensions=768, neurons={"million_input_tokens": 6_058}, pooling=POOLINGS),
    Model("@cf/baai/bge-large-en-v1.5", "embeddings", 1_500, dimensions=1_024, neurons={"million_input_tokens": 18_582}, pooling=POOLINGS),
    Model("@cf/baai/bge-m3", "embeddings", 3_000, context_window=60_000, dimensions=1_024, neurons={"million_input_tokens": 1_075}, longest_text=8_192),
    Model("@cf/google/embeddinggemma-300m", "embeddings", 3_000, dimensions=768),
    Model("@cf/qwen/qwen3-embedding-0.6b", "embeddings", 3_000, context_window=8_192, dimensions=1_024, neurons={"million_input_tokens": 1_075}, texts_a_call=32, longest_text=8_192),
    Model("@cf/pfnet/plamo-embedding-1b", "embeddings", 3_000, dimensions=2_048, neurons={"million_input_tokens": 1_689}),
    # ---- reranking
    Model("@cf/baai/bge-reranker-base", "reranking", 2_000, neurons={"million_input_tokens": 283}, relevance_floor=0.01),
    # ---- text to image
    Model("@cf/black-forest-labs/flux-1-schnell", "text-to-image", 720, neurons={"tile": 4.8, "step": 9.6}),
    Model("@cf/black-forest-labs/flux-2-dev", "text-to-image", 720, neurons={"input_tile_and_step": 18.75, "output_tile_and_step": 37.5}),
    Model("@cf/black-forest-labs/flux-2-klein-4b", "text-to-image", 720, neurons={"input_tile": 5.37, "output_tile": 26.05}),
    Model("@cf/black-forest-labs/flux-2-klein-9b", "text-to-image", 720, neurons={"first_megapixel": 1363.64, "further_megapixel": 181.82, "input_megapixel": 181.82}),
    Model("@cf/leonardo/lucid-origin", "text-to-image", 720, neurons={"tile": 636.0, "step": 12.0}),
    Model("@cf/leonardo/phoenix-1.0", "text-to-image", 720, neurons={"tile": 530.0, "step": 10.0}),
    Model("@cf/stabilityai/stable-diffusion-xl-base-1.0", "text-to-image", 720),
    Model("@cf/bytedance/stable-diffusion-xl-lightning", "text-to-image", 720),
    Model("@cf/lykon/dreamshaper-8-lcm", "text-to-image", 720),
    # ---- image to image
    Model("@cf/runwayml/stable-diffusion-v1-5-img2img", "image-to-image", 1_500),
    # ---- inpainting
    Model("@cf/runwayml/stable-diffusion-v1-5-inpainting", "inpainting", 720),
    # ---- speech to text
    Model("@cf/openai/whisper", "speech-to-text", 720, neurons={"audio_minute": 41.14}),
    Model("@cf/openai/whisper-tiny-en", "speech-to-text", 720),
    Model("@cf/openai/whisper-large-v3-turbo", "speech-to-text", 720, neurons={"audio_minute": 46.63}),
    Model("@cf/deepgram/nova-3", "speech-to-text", 720, "streaming", neurons={"audio_minute": 472.73, "websocket_audio_minute": 836.36}),
    Model("@cf/deepgram/flux", "speech-to-text", 720, "streaming", neurons={"audio_minute": 700.0}),
    Model("@cf/nvidia/nemotron-speech-streaming-en-0.6b", "speech-to-text", 720),
    # ---- text to speech
    Model("@cf/myshell-ai/melotts", "text-to-speech", 720, neurons={"audio_minute": 18.63}),
    Model("@cf/deepgram/aura-1", "text-to-speech", 720, "streaming", neurons={"thousand_characters": 1363.64}),
    Model("@cf/deepgram/aura-2-en", "text-to-speech", 720, "streaming", neurons={"thousand_characters": 2727.27}),
    Model("@cf/deepgram/aura-2-es", "text-to-speech", 720, "streaming", neurons={"thousand_characters": 2727.27}),
    # ---- translation
    Model("@cf/meta/m2m100-1.2b", "translation", 720, neurons=_tokens(31_050, 31_050)),
    Model("@cf/ai4bharat/indictrans2-en-indic-1B", "translation", 720, neurons=_tokens(31_050, 31_050)),
    # ---- text classification
    Model("@cf/huggingface/distilbert-sst-2-int8", "text-classification", 2_000, neurons={"million_input_tokens": 2_394}),
    # ---- image to text
    Model("@cf/llava-hf/llava-1.5-7b-hf", "image-to-text", 720, "vision"),
    Model("@cf/moondream/moondream3.1-9B-A2B", "image-to-text", 720, "streaming vision reasoning", neurons=_tokens(27_273, 90_909)),
    # ---- object detection
    Model("@cf/facebook/detr-resnet-50", "object-detection", 3_000),
    # ---- image classification
    Model("@cf/microsoft/resnet-50", "image-classification", 3_000, neurons={"million_images": 228_055}),
)
# fmt: on

MODELS: Mapping[str, Model] = {model.id: model for model in _TABLE}
"""Model id → model. Models for text-generation come first; within a task, deprecated models come last."""

_LLAMA = "@cf/meta/llama-3.1-8b-instruct-fast"
_GEMMA = "@cf/google/gemma-4-26b-a4b-it"
_CODER = "@cf/qwen/qwen2.5-coder-32b-instruct"

RETIRED: Mapping[str, str] = {
    # on 2026-05-30. Source: Cloudflare's changelog of 2026-05-08
    "@cf/moonshotai/kimi-k2.5": "@cf/moonshotai/kimi-k2.6",
    "@hf/meta-llama/meta-llama-3-8b-instruct": _LLAMA,
    "@cf/meta/llama-3-8b-instruct": _LLAMA,
    "@cf/meta/llama-3-8b-instruct-awq": _LLAMA,
    "@cf/meta/llama-3.1-8b-instruct": _LLAMA,
    "@cf/meta/llama-3.1-8b-instruct-awq": _LLAMA,
    "@cf/meta/llama-3.1-70b-instruct": "@cf/meta/llama-3.3-70b-instruct-fp8-fast",
    "@cf/meta/llama-2-7b-chat-int8": _LLAMA,
    "@cf/meta/llama-2-7b-chat-fp16": _LLAMA,
    "@cf/mistral/mistral-7b-instruct-v0.1": _LLAMA,
    "@hf/mistral/mistral-7b-instruct-v0.2": _LLAMA,
    "@hf/google/gemma-7b-it": _GEMMA,
    "@cf/google/gemma-3-12b-it": _GEMMA,
    "@hf/nousresearch/hermes-2-pro-mistral-7b": "@cf/zai-org/glm-4.7-flash",
    "@cf/microsoft/phi-2": _LLAMA,
    "@cf/defog/sqlcoder-7b-2": _CODER,
    "@cf/unum/uform-gen2-qwen-500m": "@cf/llava-hf/llava-1.5-7b-hf",
    "@cf/facebook/bart-large-cnn": _LLAMA,
    # on 2025-10-01. Source: Cloudflare's announcement of September 2025, as model lists have recorded it
    "@hf/thebloke/mistral-7b-instruct-v0.1-awq": _LLAMA,
    "@cf/qwen/qwen1.5-14b-chat-awq": _LLAMA,
    "@cf/qwen/qwen1.5-0.5b-chat": _LLAMA,
    "@hf/thebloke/llama-2-13b-chat-awq": _LLAMA,
    "@hf/thebloke/zephyr-7b-beta-awq": _LLAMA,
    "@hf/thebloke/openhermes-2.5-mistral-7b-awq": _LLAMA,
    "@hf/thebloke/neural-chat-7b-v3-1-awq": _LLAMA,
    "@hf/thebloke/deepseek-coder-6.7b-base-awq": _CODER,
    "@hf/thebloke/deepseek-coder-6.7b-instruct-awq": _CODER,
    "@hf/thebloke/llamaguard-7b-awq": "@cf/meta/llama-guard-3-8b",
    "@cf/deepseek-ai/deepseek-math-7b-instruct": "@cf/qwen/qwen3-30b-a3b-fp8",
    "@cf/openchat/openchat-3.5-0106": _LLAMA,
    "@cf/tiiuae/falcon-7b-instruct": _LLAMA,
    "@cf/thebloke/discolm-german-7b-v1-awq": _LLAMA,
    "@cf/qwen/qwen1.5-7b-chat-awq": _LLAMA,
    "@cf/qwen/qwen1.5-1.8b-chat": _LLAMA,
    "@cf/tinyllama/tinyllama-1.1b-chat-v1.0": _LLAMA,
    "@hf/nexusflow/starling-lm-7b-beta": _LLAMA,
    "@cf/fblgit/una-cybertron-7b-v2-bf16": _LLAMA,
}
"""Model that Cloudflare has retired → its successor, the model that answers in its place.

The successor of kimi-k2.5 is Cloudflare's choice, the others are this Worker's: a model that takes what the retired one
took (its dialect, `raw`, JSON mode, images, tools), of the same family where there is one, and of a similar price."""
