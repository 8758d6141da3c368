"""Names of other vendors' models. There is no list of them here: any name behind a known first part is answered."""

from dataclasses import dataclass, field, fields
from typing import Any

from workers_ai_simulator.catalogue import Model

PROVIDERS = {
    "openai": "openai",
    "anthropic": "anthropic",
    "google": "google-ai-studio",
    "xai": "grok",
    "dynamic": "dynamic",
    "custom": "custom",
}
"""First part of a model's name → the provider in AI Gateway's logs. `dynamic` is a route, `custom` an alias."""
DIALECT_VENDORS = {"openai": "openai", "responses": "openai", "messages": "anthropic"}
"""Dialect of a compatible endpoint → vendor whose dialect it is."""


@dataclass(frozen=True)
class VendorModel(Model):
    """A model of another vendor, whose limits and price are not known here."""

    vendor: str = ""
    abilities: list[str] = field(default_factory=lambda: ["streaming", "tools", "json", "vision", "responses"])


def find_vendor_model(model_id: str) -> VendorModel | None:
    """The model of that name; None if the name is no other vendor's."""
    vendor, _, name = model_id.partition("/")
    if vendor not in PROVIDERS or not name:
        return None
    return VendorModel(model_id, "text-generation", 0, "openai", False, vendor=vendor)


def with_dialect_of(model: Model, dialect: str) -> VendorModel:
    """The model, of Workers AI or of a vendor, as it answers in a dialect of a compatible endpoint."""
    facts: dict[str, Any] = {each.name: getattr(model, each.name) for each in fields(model)}
    facts |= {"dialect": "openai", "vendor": DIALECT_VENDORS[dialect]}
    return VendorModel(**facts)
