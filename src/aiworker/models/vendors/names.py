"""The models of other vendors by their names. Facts that are not known (limits, often the price) are None."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from aiworker.models.catalogue import COMPLETIONS, EFFORTS, Model, Range

if TYPE_CHECKING:
    from aiworker.settings import Settings

ABILITIES = "streaming tools json vision reasoning"
"""Abilities that requests may ask of any of these models: only the vendor knows which of them a model has."""

TEMPERATURE_AND_TOP_P: Mapping[str, Range] = {"temperature": (0, 1), "top_p": (0, 1), "top_k": (1, 500)}
"""Sampling parameters of Anthropic's Messages API."""
GENERATION_CONFIG: Mapping[str, Range] = {**COMPLETIONS, "top_k": (1, 50)}
"""Sampling parameters of Gemini's `generationConfig`."""

SAMPLING: Mapping[str, Mapping[str, Range]] = {
    "openai": COMPLETIONS,
    "anthropic": TEMPERATURE_AND_TOP_P,
    "google": GENERATION_CONFIG,
    "dynamic": COMPLETIONS,
    "custom": COMPLETIONS,
}
"""First part of a model's name → its sampling parameters. `dynamic` is a route of AI Gateway, `custom` an alias."""

EFFORT_VENDORS = ("openai", "dynamic", "custom")
"""Vendors whose models are sent `reasoning_effort` as it is. Anthropic and Google have no such parameter that all their
models take."""


def vendor_of(model_id: str) -> str | None:
    """Return the vendor that a model's name begins with; None for other names, such as those of Workers AI."""
    vendor, _, name = model_id.partition("/")
    return vendor if vendor in SAMPLING and name else None


def vendor_model(model_id: str, price: Mapping[str, float] | None) -> Model | None:
    """Return the model of that name; None if the name is no other vendor's.

    price: unit → neurons for one, as in the catalogue; None if it is not known.
    """
    vendor = vendor_of(model_id)
    if vendor is None:
        return None
    efforts = {effort: {"reasoning_effort": effort} for effort in EFFORTS} if vendor in EFFORT_VENDORS else {}
    return Model(
        model_id, "text-generation", None, ABILITIES, neurons=dict(price or {}), sampling=SAMPLING[vendor],
        dialect="openai", efforts=efforts, vendor=vendor,
    )  # fmt: skip


def configured(settings: "Settings") -> Iterator[Model]:
    """Yield the models of other vendors that variables name, each once."""
    names = [*settings.model_prices, *settings.models.values(), *settings.chat_fallbacks]
    for name in dict.fromkeys([*names, *settings.model_aliases.values()]):
        if model := vendor_model(name, settings.model_prices.get(name)):
            yield model
