"""The calls that are compared: those of corpus.json, or those of a tape."""

import base64
import io
import json
import math
import struct
import wave
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from PIL import Image

from workers_ai_simulator.inference.models import ModelCall
from workers_ai_simulator.tape.models import Question, RecordedAnswer
from workers_ai_simulator.tape.store import TapeFolder

SAMPLE_RATE = 16_000


class Case(NamedTuple):
    """A call, and the service's answer to it if that is on a tape."""

    name: str
    call: ModelCall
    recorded: RecordedAnswer | None = None


def built_in() -> Iterator[Case]:
    """The calls of corpus.json. Short texts and small pictures: each costs a fraction of a cent."""
    rows = json.loads(files("workers_ai_simulator.conform").joinpath("corpus.json").read_text(encoding="utf-8"))
    for row in rows:
        inputs: dict[str, Any] = dict(row.get("inputs", {}))
        inputs |= {name: _file(each) for name, each in row.get("attachments", {}).items()}
        inputs |= {name: base64.b64encode(_file(each)).decode() for name, each in row.get("base64", {}).items()}
        call = ModelCall(row["model"], inputs, {}, row.get("dialect"), row.get("content_type", ""))
        yield Case(row["name"], call)


def of_tape(folder: TapeFolder) -> Iterator[Case]:
    """The calls of a tape, with the answers of the service. Raises TapeError."""
    for file, question, answer in folder.calls():
        yield Case(file.name, _call(question), answer)


def _call(question: Question) -> ModelCall:
    inputs = question.inputs | {name: each.read() for name, each in question.attachments.items()}
    options = dict(question.options)
    if gateway := options.pop("gateway", None):
        options["gateway"] = {"id": gateway}
    return ModelCall(question.model, inputs, options, question.dialect, question.content_type)


@cache
def _file(name: str) -> bytes:
    """A file that the corpus names: a tone of one second, or a blue square of 64 pixels."""
    content = io.BytesIO()
    if name == "square.png":
        Image.new("RGB", (64, 64), (40, 90, 200)).save(content, "png")
    else:
        samples = [int(9000 * math.sin(2 * math.pi * 440 * each / SAMPLE_RATE)) for each in range(SAMPLE_RATE)]
        with wave.open(content, "wb") as sound:
            sound.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
            sound.writeframes(struct.pack(f"<{SAMPLE_RATE}h", *samples))
    return content.getvalue()
