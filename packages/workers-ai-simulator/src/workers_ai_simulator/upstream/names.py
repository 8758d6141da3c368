"""By which name the user's server knows the model that answers in the place of one of Workers AI."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from workers_ai_simulator.models import ALIASES, MODELS

EVERY_OTHER = "*"

SUGGESTED: dict[str, tuple[str, ...]] = {
    "@cf/aisingapore/gemma-sea-lion-v4": ("gemma3:27b", "gemma3"),
    "@cf/deepseek-ai/deepseek-r1": ("deepseek-r1:32b", "deepseek-r1"),
    "@cf/deepseek-ai/deepseek-v4": ("deepseek-v3.1", "deepseek-r1"),
    "@cf/google/gemma-": ("gemma3:12b", "gemma3", "gemma2"),
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
"""How ids begin → names in Ollama's library, best first: a suggestion, by family. A name without a tag is any tag."""

NO_CHAT = ("embed", "bge-", "rerank", "whisper")
"""In the names of models that a server lists and that do not chat."""


class NamesError(ValueError):
    """What cannot be read as a table of names; the message says why."""


@dataclass(frozen=True)
class Names:
    """The user's table, and where that says nothing, what suits the models that the server has."""

    given: dict[str, str] = field(default_factory=dict[str, str])
    """Id of Workers AI, or `*` for every other → the server's name."""

    def of(self, model_id: str) -> str | None:
        """The name that the user has given; None if the server is to be asked what it has."""
        return self.given.get(model_id, self.given.get(EVERY_OTHER))


def suited(model_id: str, listed: Sequence[str]) -> str | None:
    """Of the models that the server lists, the one of the same family, else the first that chats; None of none."""
    for beginning, names in SUGGESTED.items():
        if model_id.startswith(beginning):
            fitting = (each for name in names for each in listed if each == name or each.startswith(f"{name}:"))
            if name := next(fitting, None):
                return name
    chatting = (each for each in listed if not any(part in each.lower() for part in NO_CHAT))
    return next(chatting, next(iter(listed), None))


def read(said: str) -> Names:
    """`@cf/…=name,*=name`, or a file with a JSON object of them.

    Raises NamesError if it is neither, or names a model that Workers AI does not have.
    """
    pairs = _pairs(said) if "=" in said else _of_file(Path(said))
    for model_id in pairs:
        model = MODELS.get(model_id)
        if model_id != EVERY_OTHER and (model is None or model.task != "text-generation"):
            raise NamesError(f"{model_id} is no model of Workers AI for text")
    return Names({ALIASES.get(model_id, model_id): name for model_id, name in pairs.items()})


def _pairs(said: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for each in filter(None, map(str.strip, said.split(","))):
        model_id, _, name = (part.strip() for part in each.partition("="))
        if not model_id or not name:
            raise NamesError(f"{each!r} is not of the form @cf/…=name")
        pairs[model_id] = name
    return pairs


def _of_file(path: Path) -> dict[str, str]:
    try:
        found: Any = json.loads(path.read_text())
    except OSError as error:
        raise NamesError(f"{path} is neither of the form @cf/…=name nor a file: {error.strerror}") from None
    except ValueError as error:
        raise NamesError(f"{path} is no JSON: {error}") from None
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in cast("dict[str, Any]", found).values()):
        raise NamesError(f"{path} must be a JSON object of names")
    return cast("dict[str, str]", found)
