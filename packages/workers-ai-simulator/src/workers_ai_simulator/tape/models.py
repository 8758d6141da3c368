"""Data of a tape: the question of a call, and the answer that the service gave."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from workers_ai_simulator.inference.models import CallDialect, ModelCall
from workers_ai_simulator.tape.secrets import Secrets
from workers_ai_simulator.vendors.models import find_vendor_model

FORM = "multipart/form-data"


@dataclass(frozen=True)
class Attachment:
    """A sound, an image or another file among the inputs."""

    sha256: str
    size: int
    read: Callable[[], bytes] = field(compare=False, repr=False)

    @classmethod
    def of(cls, content: bytes) -> "Attachment":
        return cls(hashlib.sha256(content).hexdigest(), len(content), lambda: content)


@dataclass(frozen=True)
class Question:
    """Everything that an answer depends on, without secrets."""

    model: str
    inputs: dict[str, Any] = field(default_factory=dict[str, Any])
    attachments: dict[str, Attachment] = field(default_factory=dict[str, Attachment])
    """Inputs that are bytes, by their names."""
    dialect: CallDialect | None = None
    """Dialect of the endpoint that was called: openai, responses, messages; None for `/ai/run`."""
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    """Options that reach the service: `queueRequest`; of another vendor's model, the id of its gateway."""
    content_type: str = ""
    """Media type of a body that is no JSON: a form, or the bytes of the only attachment."""

    @property
    def facts(self) -> dict[str, Any]:
        """The question as JSON, by which it is recognised. Empty parts are left out."""
        files = {name: {"sha256": each.sha256, "bytes": each.size} for name, each in self.attachments.items()}
        parts = {
            "model": self.model, "dialect": self.dialect, "options": self.options, "content_type": self.content_type,
            "inputs": self.inputs, "attachments": files,
        }  # fmt: skip
        return {name: value for name, value in parts.items() if value or name == "inputs"}

    @property
    def digest(self) -> str:
        """Twelve characters that are the same for the same question."""
        return hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode()).hexdigest()[:12]


def question_of(call: ModelCall, secrets: Secrets) -> Question:
    """The question of a call, as it is written on a tape."""
    attachments = {name: each for name, each in call.inputs.items() if isinstance(each, bytes)}
    texts = {name: each for name, each in call.inputs.items() if name not in attachments}
    options: dict[str, Any] = {"queueRequest": True} if call.options.get("queueRequest") else {}
    if find_vendor_model(call.model):
        options["gateway"] = gateway_of(call)
    return Question(
        call.model,
        secrets.out_of_inputs(texts),
        {name: Attachment.of(each) for name, each in attachments.items()},
        call.dialect,
        options,
        call.content_type if attachments or call.content_type == FORM else "",
    )


def gateway_of(call: ModelCall) -> str:
    """Id of the gateway that the call names, else of the account's own."""
    match call.options.get("gateway"):
        case {"id": str(gateway)}:
            return gateway
        case _:
            return "default"


class Frame(NamedTuple):
    """One frame of a stream."""

    at: float
    """Seconds from the call to its arrival."""
    text: str
    """The frame as it came, with the empty line at its end."""


@dataclass(frozen=True)
class RecordedAnswer:
    """An answer of the service: a text, the frames of a stream, or the bytes of an image or a sound."""

    status: int
    content_type: str
    seconds: float
    """Seconds from the call to the end of the answer."""
    text: str | None = None
    """Body that is JSON or another text."""
    frames: tuple[Frame, ...] | None = None
    media: Callable[[], bytes] | None = field(default=None, compare=False)
    """Reads the bytes, which are not kept in memory."""
