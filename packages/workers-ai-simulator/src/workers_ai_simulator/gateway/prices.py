"""Tokens and cost of a model call, by the price list of Workers AI."""

import base64
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from workers_ai_simulator.catalogue import MODELS
from workers_ai_simulator.gateway.options import CustomCost
from workers_ai_simulator.text import tokens
from workers_ai_simulator.web_search.models import PRICES as SEARCH_PRICES

DOLLARS_PER_NEURON = 0.011 / 1000
"""Workers AI's price; it agrees with a recorded log (42 tokens in, 2 out, llama-3.2-3b: $0.0000028070)."""
TILE = 512
"""Pixels of a tile's side."""
DEFAULT_SIDE, DEFAULT_STEPS = 1024, 4
WAV_HEADER, WAV_BYTES_PER_SECOND = 44, 2 * 24_000
"""Bytes of the WAV files of this simulator: 24 kHz, 16 bits. They give the length of a sound whose answer does not."""


@dataclass(frozen=True)
class Usage:
    """Tokens that the model reports; 0 for a model that reports none."""

    tokens_in: int = 0
    tokens_out: int = 0

    @classmethod
    def of(cls, answer: Any) -> "Usage":
        """Usage in a whole answer, or in a frame of a stream, in any dialect."""
        match answer:
            case {"usage": {"prompt_tokens": int(prompt), "completion_tokens": int(completion)}}:
                return cls(prompt, completion)
            case {"usage": {"input_tokens": int(prompt), "output_tokens": int(completion)}}:
                return cls(prompt, completion)
            case {"usage": {"prompt_tokens": int(prompt)}}:
                return cls(prompt)
            case {"usage": {"output_tokens": int(completion)}}:
                return cls(0, completion)
            case {"message": {"usage": usage}}:
                return cls.of({"usage": usage})
            case {"usageMetadata": {"promptTokenCount": int(prompt), "candidatesTokenCount": int(completion)}}:
                return cls(prompt, completion)
            case {"response": {"usage": usage}}:
                return cls.of({"usage": usage})
            case _:
                return cls()


@dataclass(frozen=True)
class BilledCall:
    """Call of a model, with the quantities that a price may depend on."""

    inputs: dict[str, Any]
    answer: Any
    usage: Usage

    def tokens_in(self) -> float:
        return self.usage.tokens_in or sum(len(tokens(text)) for text in _texts(self.inputs))

    def tokens_out(self) -> float:
        return self.usage.tokens_out or sum(len(tokens(text)) for text in _texts(self.answer))

    def characters(self) -> float:
        return sum(len(text) for text in _texts(self.inputs))

    def minutes(self) -> float:
        """Minutes of the sound that was transcribed or spoken."""
        match self.answer:
            case {"transcription_info": {"duration": int() | float() as seconds}}:
                return seconds / 60
            case {"words": [*_, {"end": int() | float() as seconds}]}:
                return seconds / 60
            case {"results": {"channels": [{"alternatives": [{"words": [*_, {"end": int() | float() as seconds}]}]}]}}:
                return seconds / 60
            case {"audio": str(encoded)}:
                return max(len(base64.b64decode(encoded)) - WAV_HEADER, 0) / WAV_BYTES_PER_SECOND / 60
            case _:
                return 0

    def pixels(self) -> float:
        return self._number("width", DEFAULT_SIDE) * self._number("height", DEFAULT_SIDE)

    def tiles(self) -> float:
        return math.prod(math.ceil(self._number(side, DEFAULT_SIDE) / TILE) for side in ("width", "height"))

    def steps(self) -> float:
        return self._number("steps", 0) or self._number("num_steps", DEFAULT_STEPS)

    def further_megapixels(self) -> float:
        return max(math.ceil(self.pixels() / 1_000_000) - 1, 0)

    def _number(self, name: str, default: float) -> float:
        try:
            return float(self.inputs.get(name) or default)  # numbers in a form are strings
        except (TypeError, ValueError):
            return default


UNITS: dict[str, Callable[[BilledCall], float]] = {
    "neurons_per_m_input_tokens": lambda call: call.tokens_in() / 1_000_000,
    "neurons_per_m_output_tokens": lambda call: call.tokens_out() / 1_000_000,
    "neurons_per_audio_minute": BilledCall.minutes,
    "neurons_per_1k_characters": lambda call: call.characters() / 1000,
    "neurons_per_tile": BilledCall.tiles,
    "neurons_per_step": BilledCall.steps,
    "neurons_per_output_tile": BilledCall.tiles,
    "neurons_per_output_tile_per_step": lambda call: call.tiles() * call.steps(),
    "neurons_first_megapixel": lambda _: 1,
    "neurons_per_further_megapixel": BilledCall.further_megapixels,
}
"""Unit of a price in models.json → number of units in a call. Images that are sent are not counted."""


def cost(model_id: str, inputs: dict[str, Any], answer: Any, usage: Usage) -> float:
    """Cost in dollars; 0 for a model whose price is not known. A provider of searches counts as a model."""
    if model_id in SEARCH_PRICES:
        return SEARCH_PRICES[model_id]
    model = MODELS.get(model_id)
    if model is None:
        return 0
    call = BilledCall(inputs, answer, usage)
    priced = [(unit, price) for unit, price in model.price.items() if price and unit in UNITS]
    return sum(price * UNITS[unit](call) for unit, price in priced) * DOLLARS_PER_NEURON


def tokens_price(model_id: str) -> float | None:
    """Dollars for a million tokens in and as many out; None for a model whose price is not known, or not by tokens."""
    price = MODELS[model_id].price if model_id in MODELS else {}
    neurons = [price.get(f"neurons_per_m_{side}_tokens") for side in ("input", "output")]
    known = [each for each in neurons if each]
    return sum(known) * DOLLARS_PER_NEURON if known else None


def custom_cost(price: CustomCost, usage: Usage) -> float:
    """Cost in dollars at the caller's own price."""
    if price.total is not None:
        return price.total
    return price.per_token_in * usage.tokens_in + price.per_token_out * usage.tokens_out


TEXT_FIELDS = ("text", "prompt", "query", "contexts", "input_text", "messages", "content", "translated_text", "summary")


def _texts(value: object) -> list[str]:
    """Every text in the fields of a model's inputs or answer that hold texts."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for each in cast("list[object]", value) for text in _texts(each)]
    if isinstance(value, dict):
        entries = cast("dict[str, object]", value)
        return [text for name in TEXT_FIELDS for text in _texts(entries.get(name))]
    return []
