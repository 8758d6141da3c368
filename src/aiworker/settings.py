"""The Worker's variables (`vars` of wrangler.jsonc), checked once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiworker.ai import catalogue
from aiworker.errors import ApiError


@dataclass(frozen=True)
class Settings:
    is_public: bool
    allowed_origins: tuple[str, ...]
    chat_model: str
    max_body_bytes: int
    simulated: tuple[str, ...]
    """Names of the bindings that a simulator answers; set by scripts/dev."""

    @classmethod
    def read(cls, variables: Mapping[str, Any]) -> "Settings":
        """Raises ApiError `unavailable`, naming the variable, for a value that cannot be meant."""
        chat_model = str(variables.get("CHAT_MODEL", ""))
        if getattr(catalogue.MODELS.get(chat_model), "task", None) != "text-generation":
            raise _misconfigured("CHAT_MODEL", "the id of a text-generation model (see GET /models)")
        max_body_bytes = variables.get("MAX_BODY_BYTES", 1_048_576)
        if not str(max_body_bytes).isdecimal():
            raise _misconfigured("MAX_BODY_BYTES", "a whole number of bytes")
        return cls(
            is_public=variables.get("AUTH_MODE") == "public",
            allowed_origins=tuple(str(variables.get("ALLOWED_ORIGINS", "")).split()),
            chat_model=chat_model,
            max_body_bytes=int(max_body_bytes),
            simulated=tuple(str(variables.get("SIMULATED", "")).split()),
        )


def _misconfigured(name: str, expected: str) -> ApiError:
    return ApiError("unavailable", f"The Worker's variable {name} is not {expected}.")
