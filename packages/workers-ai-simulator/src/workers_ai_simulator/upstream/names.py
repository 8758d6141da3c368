"""Names of the models of the user's server that answer in place of Workers AI's."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from workers_ai_simulator.catalogue import ALIASES, MODELS

ANY_MODEL = "*"
"""Key of a table of names for every model that the table does not list."""

SUGGESTED: dict[str, tuple[str, ...]] = {
    "@cf/aisingapore/gemma-sea-lion-v4": ("gemma3:27b", "gemma3"),
    "@cf/deepseek-ai/deepseek-r1": ("deepseek-r1:32b", "deepseek-r1"),
    "@cf/deepseek-ai/deepseek-v4": ("deepseek-v3.1", "deepseek-r1"),
    "@cf/google/gemma-": ("gemma4:26b", "gemma4", "gemma3:12b", "gemma3", "gemma2"),
    "@cf/ibm-granite/granite-4.0-h-micro": ("granite4:micro-h", "granite4", "granite3.3"),
    "@cf/meta/llama-2": ("llama2:7b", "llama2", "llama3.1"),
    "@cf/meta/llama-3-8b": ("llama3:8b", "llama3", "llama3.1"),
    "@cf/meta/llama-3.1-70b": ("llama3.1:70b", "llama3.3", "llama3.1"),
    "@cf/meta/llama-3.1-8b": ("llama3.1:8b", "llama3.1", "llama3.2"),
    "@cf/meta/llama-3.2-11b-vision": ("llama3.2-vision:11b", "llama3.2-vision"),
    "@cf/meta/llama-3.2-1b": ("llama3.2:1b", "llama3.2"),
    "@cf/meta/llama-3.2-3b": ("llama3.2:3b", "llama3.2"),
    "@cf/meta/llama-3.3-70b": ("llama3.3:70b", "llama3.3", "llama3.1"),
    "@cf/meta/llama-4-scout": ("llama4:scout", "llama4", "llama3.2-vision"),
    "@cf/mistral/mistral-7b": ("mistral:7b", "mistral"),
    "@cf/mistralai/mistral-small-3.1": ("mistral-small3.1", "mistral-small3.2", "mistral-small"),
    "@cf/openai/gpt-oss-120b": ("gpt-oss:120b", "gpt-oss"),
    "@cf/openai/gpt-oss-20b": ("gpt-oss:20b", "gpt-oss"),
    "@cf/qwen/qwen1.5": ("qwen:14b", "qwen", "qwen2.5"),
    "@cf/qwen/qwen2.5-coder": ("qwen2.5-coder:32b", "qwen2.5-coder"),
    "@cf/qwen/qwen3": ("qwen3:30b", "qwen3"),
    "@cf/qwen/qwq": ("qwq:32b", "qwq", "qwen3"),
    "@hf/mistral/mistral-7b": ("mistral:7b", "mistral"),
    "@hf/nousresearch/hermes-2-pro": ("hermes3", "mistral"),
    "@hf/thebloke/mistral-7b": ("mistral:7b", "mistral"),
}
"""Start of an id → names of the same family in Ollama's library, best first. A name without a tag matches any tag."""

NO_CHAT = ("embed", "bge-", "minilm", "rerank", "whisper")
"""Parts of the names of models that do not chat."""
FAMILY = re.compile(r"[a-z]+(?:-[a-z]+)?")
"""Beginning of a name that is the same for all versions of a family: `gemma3:12b` → gemma."""


class NamesError(ValueError):
    """A text is no table of names, for the reason in the message."""


@dataclass(frozen=True)
class Names:
    """The user's table of names."""

    table: dict[str, str] = field(default_factory=dict[str, str])
    """Id in Workers AI, or `*` for every other id → name at the server."""

    def of(self, model_id: str) -> str | None:
        """Name in the table; None if it has none."""
        return self.table.get(model_id, self.table.get(ANY_MODEL))

    def with_default(self, name: str) -> "Names":
        """The table with this name for every model that it does not list; the table itself for an empty name.

        Raises NamesError if it has another one.
        """
        if not name:
            return self
        if self.table.get(ANY_MODEL, name) != name:
            raise NamesError(f"--models and --chat-models name two models for {ANY_MODEL}: leave one out")
        return Names({**self.table, ANY_MODEL: name})


def chats(listed: Sequence[str]) -> list[str]:
    """Those of the models that chat, by their names."""
    return [each for each in listed if not any(part in each.lower() for part in NO_CHAT)]


def best_match(model_id: str, listed: Sequence[str]) -> str | None:
    """The listed model of the same family as that of the id, else the first that chats; None if none is listed."""
    suggested = next((names for start, names in SUGGESTED.items() if model_id.startswith(start)), ())
    named = (each for name in suggested for each in listed if each == name or each.startswith(f"{name}:"))
    chatting = chats(listed)
    families = [match[0] for name in suggested if (match := FAMILY.match(name))]
    related = (each for family in families for each in chatting if family in each.lower())
    return next(named, None) or next(related, None) or next(iter([*chatting, *listed]), None)


def read(text: str) -> Names:
    """Read a table of names: `@cf/…=name,*=name`, or the path of a file with a JSON object of them.

    Raises NamesError if it is neither, or names a model that Workers AI does not have.
    """
    pairs = _pairs(text) if "=" in text else _pairs_of_file(Path(text))
    for model_id in pairs:
        model = MODELS.get(model_id)
        if model_id != ANY_MODEL and (model is None or model.task != "text-generation"):
            raise NamesError(f"{model_id} is no text-generation model of Workers AI")
    return Names({ALIASES.get(model_id, model_id): name for model_id, name in pairs.items()})


def _pairs(text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for each in filter(None, map(str.strip, text.split(","))):
        model_id, _, name = (part.strip() for part in each.partition("="))
        if not model_id or not name:
            raise NamesError(f"{each!r} is not of the form @cf/…=name")
        pairs[model_id] = name
    return pairs


def _pairs_of_file(path: Path) -> dict[str, str]:
    try:
        value: Any = json.loads(path.read_text())
    except OSError as error:
        raise NamesError(f"{path} is neither of the form @cf/…=name nor a file: {error.strerror}") from None
    except ValueError as error:
        raise NamesError(f"{path} is no JSON: {error}") from None
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in cast("dict[str, Any]", value).values()):
        raise NamesError(f"{path} must be a JSON object of names")
    return cast("dict[str, str]", value)
