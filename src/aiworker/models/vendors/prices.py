"""Prices of other vendors' models: the variable MODEL_PRICES is their only source."""

import math
import re
from collections.abc import Mapping

from aiworker.models.vendors.names import vendor_of

NEURONS_PER_DOLLAR = 1_000 / 0.011
"""Workers AI's price of neurons, in which budgets count."""
UNITS = ("million_input_tokens", "million_output_tokens", "million_cached_input_tokens")
"""Units of a price, in the order in which the variable has them; the last may be left out."""
PRICE = re.compile(r"\$?\d+(\.\d+)?")


def read_prices(text: str) -> dict[str, Mapping[str, float]]:
    """Read `openai/gpt-5-mini=$0.25/$2/$0.025 …` as name → unit → neurons for one.

    Raises ValueError for the name of a model that is not another vendor's, and for an invalid price.
    """
    pairs = [pair.partition("=") for pair in text.split()]
    return {name: _read_price(name, figures.split("/")) for name, _, figures in pairs}


def _read_price(name: str, figures: list[str]) -> Mapping[str, float]:
    if vendor_of(name) is None or not 2 <= len(figures) <= len(UNITS):
        raise ValueError("not such a pair")
    return dict(zip(UNITS, map(_neurons, figures), strict=False))


def _neurons(figure: str) -> float:
    if not PRICE.fullmatch(figure):
        raise ValueError("no price")
    number = float(figure.removeprefix("$"))
    if not math.isfinite(number):
        raise ValueError("no price")
    return number * NEURONS_PER_DOLLAR if figure.startswith("$") else number
