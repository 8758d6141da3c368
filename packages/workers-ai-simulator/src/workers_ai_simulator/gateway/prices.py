"""Tokens and dollars of a model call, from the price list of Workers AI."""

import base64
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from workers_ai_simulator.gateway.options import CustomCost
from workers_ai_simulator.models import MODELS
from workers_ai_simulator.text import tokens

DOLLARS_PER_NEURON = 0.011 / 1000
"""Workers AI's price; a recorded log (42 tokens in, 2 out, llama-3.2-3b: $0.0000028070) agrees."""
TILE = 512
DEFAULT_SIDE, DEFAULT_STEPS = 1024, 4
WAV_HEADER, WAV_BYTES_PER_SECOND = 44, 2 * 24_000
"""Of a sound whose length the answer does not say; the simulator speaks at 24 kHz with 16 bits."""


@dataclass(frozen=True)
class Usage:
    """Tokens as the model reports them; 0 of a model that reports none."""

    tokens_in: int = 0
    tokens_out: int = 0

    @classmethod
    def of(cls, answer: Any) -> "Usage":
        """From `usage` of a whole answer or of a stream's frame, in any of its dialects."""
        match answer:
            case {"usage": {"prompt_tokens": int(sent), "completion_tokens": int(received)}}:
                return cls(sent, received)
            case {"usage": {"input_tokens": int(sent), "output_tokens": int(received)}}:
                return cls(sent, received)
            case {"usage": {"prompt_tokens": int(sent)}}:
                return cls(sent)
            case {"response": {"usage": usage}}:
                return cls.of({"usage": usage})
            case _:
                return cls()


@dataclass(frozen=True)
class Measured:
    """What a price may depend on."""

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
        """Of the sound that was heard or spoken."""
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
            return float(self.inputs.get(name) or default)  # a form's numbers are strings
        except (TypeError, ValueError):
            return default


UNITS: dict[str, Callable[[Measured], float]] = {
    "neurons_per_m_input_tokens": lambda call: call.tokens_in() / 1_000_000,
    "neurons_per_m_output_tokens": lambda call: call.tokens_out() / 1_000_000,
    "neurons_per_audio_minute": Measured.minutes,
    "neurons_per_1k_characters": lambda call: call.characters() / 1000,
    "neurons_per_tile": Measured.tiles,
    "neurons_per_step": Measured.steps,
    "neurons_per_output_tile": Measured.tiles,
    "neurons_per_output_tile_per_step": lambda call: call.tiles() * call.steps(),
    "neurons_first_megapixel": lambda _: 1,
    "neurons_per_further_megapixel": Measured.further_megapixels,
}
"""Unit of models.json → how many of it a call takes. Images that are sent are not counted."""


def cost(model_id: str, inputs: dict[str, Any], answer: Any, usage: Usage) -> float:
    """Dollars; 0 of a model whose price is not known."""
    model = MODELS.get(model_id)
    if model is None:
        return 0
    call = Measured(inputs, answer, usage)
    priced = [(unit, price) for unit, price in model.price.items() if price and unit in UNITS]
    return sum(price * UNITS[unit](call) for unit, price in priced) * DOLLARS_PER_NEURON


def custom(price: CustomCost, usage: Usage) -> float:
    """Dollars, as the caller reckons them."""
    if price.total is not None:
        return price.total
    return price.per_token_in * usage.tokens_in + price.per_token_out * usage.tokens_out


TEXTS = ("text", "prompt", "query", "contexts", "input_text", "messages", "content", "translated_text", "summary")


def _texts(value: object) -> list[str]:
    """The texts that a model reads or writes, wherever its inputs or its answer have them."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for each in cast("list[object]", value) for text in _texts(each)]
    if isinstance(value, dict):
        found = cast("dict[str, object]", value)
        return [text for name in TEXTS for text in _texts(found.get(name))]
    return []
