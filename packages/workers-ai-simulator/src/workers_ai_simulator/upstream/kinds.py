"""Programs that serve models on the user's machine: where they listen, and which command helps."""

import os
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class ServerKind:
    """A program that serves models with OpenAI's API."""

    id: str
    """Value of --models."""
    name: str
    port: int = 0
    """Port by default."""
    start: str = ""
    """Command that starts it; `{}` is a model's name."""
    fetch: str = ""
    """Command that adds a model to it; `{}` is the model's name."""
    owner: str = ""
    """`owned_by` of its models in the answer of `/v1/models`, if that is the same for all of them."""
    example: str = "NAME"
    """Name of a model that it can serve, for commands in messages."""
    variable: str = ""
    """Environment variable with its address, which its own commands read."""
    downloads: bool = False
    """Whether its API downloads models (`POST /api/pull`)."""

    def url(self) -> str:
        """Address on this machine."""
        host = os.environ.get(self.variable, "").strip().rstrip("/")
        return _address(host, self.port) if host else f"http://127.0.0.1:{self.port}"

    def how_to_start(self, model: str = "") -> str:
        return f"Start it: {self.start.format(model or self.example)}" if self.start else "Start the server"

    def how_to_fetch(self, model: str) -> str:
        return f"Get it: {self.fetch.format(model)}" if self.fetch else "Add the model to the server"


OLLAMA = ServerKind(
    "ollama", "Ollama", 11434, "ollama serve", "ollama pull {}",
    example="llama3.2", variable="OLLAMA_HOST", downloads=True,
)  # fmt: skip
LM_STUDIO = ServerKind(
    "lmstudio", "LM Studio", 1234, "lms server start", "lms get {}", "organization_owner", "qwen/qwen3-4b"
)
LLAMA_CPP = ServerKind(
    "llama.cpp", "llama.cpp", 8080, "llama-server --jinja -m {}", "start llama-server --jinja -m {}", "llamacpp",
    "MODEL.gguf",
)  # fmt: skip
VLLM = ServerKind("vllm", "vLLM", 8000, "vllm serve {}", "start vllm serve {}", "vllm", "Qwen/Qwen3-4B")
OTHER = ServerKind("", "the model server")

KINDS = {each.id: each for each in (OLLAMA, LM_STUDIO, LLAMA_CPP, VLLM)}
"""The known kinds, in the order in which `auto` looks for them."""

HINTS: tuple[tuple[str, str], ...] = (
    (
        r"does not support tools",
        "Choose a model that calls tools, such as llama3.2 or qwen3: --models {id}=NAME",
    ),
    (
        r"--enable-auto-tool-choice",
        "Start it anew with tools: vllm serve {model} --enable-auto-tool-choice --tool-call-parser PARSER",
    ),
    (r"requires? --jinja", "Start it anew with tools: llama-server --jinja -m {model}"),
    (r"no models? (?:is |are )?loaded", "Load one: lms load {model}"),
    (r"requires more system memory|out of memory", "Choose a smaller model: --models {id}=NAME"),
    (r"model\b.{0,200}\b(?:not found|does not exist)", "{fetch}"),
)
"""Pattern of a server's reason → what to do; the first that matches counts."""


def hint(kind: ServerKind, reason: str, model: str) -> str:
    """Sentence that says what to do after a failure of the server; empty if that is not known."""
    sentence = next((each for pattern, each in HINTS if re.search(pattern, reason, re.IGNORECASE)), "")
    return sentence.format(id=kind.id or "URL", model=model, fetch=kind.how_to_fetch(model))


def short_name(model: str) -> str:
    """Name of a server's model for people: without the tag `latest`, and without the folders of a file."""
    if model.endswith(".gguf"):
        return model.rpartition("/")[2].removesuffix(".gguf")
    return model.removesuffix(":latest")


def _address(host: str, port: int) -> str:
    """URL of a host as $OLLAMA_HOST has it: with or without a scheme and a port."""
    scheme, separator, rest = host.rpartition("://")
    name, colon, own_port = rest.partition(":")
    # a server listens on 0.0.0.0, and is called by another name
    name = "127.0.0.1" if name in ("", "0.0.0.0") else name  # noqa: S104
    return f"{scheme if separator else 'http'}://{name}:{own_port if colon else port}"
