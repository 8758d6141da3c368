"""Decision models: probabilities for the allowed answers to typed questions, by words in place of a model.

Inputs and answers are those of https://developers.cloudflare.com/workers-ai/models/clef/ (“System One”). A probability
follows from the words that the state shares with an option, from its sentiment, and from a hash, so that the same
request always has the same answer.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

from workers_ai_simulator import text
from workers_ai_simulator.catalogue import MODELS, Model
from workers_ai_simulator.embeddings.lexical import STOP_WORDS, stem, words
from workers_ai_simulator.images.painting import describe
from workers_ai_simulator.language import sentiment
from workers_ai_simulator.validation import base64_input, choice_input, invalid, mismatch, required, text_input

SELECTORS = {
    "@cf/cloudflare/clef": ("clef", "clef-flash"),
    "@cf/cloudflare/clef-flash": ("clef", "clef-flash"),
    "@cf/cloudflare/clef-omni": ("clef-omni",),
}
"""Model → values of its input `model`, by the pattern in its schema."""

MAX_QUESTIONS = 64
QUESTION_ID = re.compile(r"[\w.-]{1,100}", re.ASCII)
OPTIONS = (2, 255)
LEVELS = (2, 10)
MAX_FILES = {"images": 4, "audio": 4, "videos": 2}
"""Input → how many files it may hold; audio and videos are inputs of clef-omni, and have no effect here."""
IMAGE_TOKENS = 256
"""Tokens of one image; the schema of clef-omni says 64 to 1,024."""
DIGITS = 4
"""Decimals of a probability."""

DESCRIBER = MODELS["@cf/llava-hf/llava-1.5-7b-hf"]

SHARED_WEIGHT, SENTIMENT_WEIGHT, HASH_WEIGHT = 2.0, 0.9, 0.3
"""Weights in the logit of an option: shared words, agreement of its sentiment with the state's, and a hash."""
YES_BIAS = -0.5
"""Logit of a yes for a state that shares no word with the question."""
NEGATIONS = frozenset(("not", "no", "never", "nothing", "hardly", "without", "isn", "wasn", "don", "didn", "doesn"))
SENTIMENT_RANGE = 5
"""Sentiment of the most positive text; the most negative one has its negative."""
POLES = {"positive": 3, "negative": -3, "good": 3, "bad": -3, "satisfied": 3, "dissatisfied": -3, "unhappy": -3}
"""Word of an option → its sentiment, beyond the word lists of sentiment analysis."""


def decide(model: Model, inputs: dict[str, Any]) -> dict[str, Any]:
    """Answer `{model, state, questions}`: `{model, answers, usage}`, an answer for each question under its id.

    noul: `{type, noul}`, the probability of a yes. choice: `{type, choice, probabilities, confidence}`. score: `{type,
    score, legend, probabilities, confidence}`, with levels from 0. Probabilities have four decimals and sum to 1.

    Raises UpstreamError 5006, which names the question at fault, for inputs that the model does not take; 5004 and 3030
    for an image that cannot be decoded.
    """
    required(inputs, "model", "state", "questions")
    selector = text_input(inputs, "model").strip()
    choice_input({"model": selector}, "model", SELECTORS[model.id])
    questions = _questions(inputs["questions"])
    state = _State(model, _state(inputs["state"]), _image_descriptions(inputs))
    answers = {name: ANSWERS[question.kind](state, question) for name, question in questions.items()}
    images = len(cast("list[Any]", inputs.get("images") or []))
    count = len(text.tokens(state.text)) + len(text.tokens(json.dumps(inputs["questions"]))) + IMAGE_TOKENS * images
    # a long state is truncated, not refused
    tokens = min(count, model.context_window or count)
    return {"model": selector, "answers": answers, "usage": {"input_tokens": tokens, "output_tokens": 0}}


# ---- inputs --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Question:
    """Typed question."""

    kind: str
    """`noul`, `choice` or `score`."""
    instructions: str
    options: dict[str, Any]
    """Option → its description: `true` and `false` of noul, the options of choice, the levels of score."""


def _questions(value: Any) -> dict[str, Question]:
    if not isinstance(value, dict):
        raise mismatch("/questions", value, "object")
    questions = cast("dict[str, Any]", value)
    _check_count("/questions", len(questions), (1, MAX_QUESTIONS), "properties")
    return {name: _question(f"/questions/{name}", name, each) for name, each in questions.items()}


def _question(at: str, name: str, value: Any) -> Question:
    if not QUESTION_ID.fullmatch(name):
        raise invalid(f"'{at}' is no id of a question: 1 to 100 letters, digits, '_', '.' or '-'")
    if not isinstance(value, dict):
        raise mismatch(at, value, "object")
    fields = cast("dict[str, Any]", value)
    required(fields, "type", "instructions", at=at)
    kind = fields["type"]
    if kind not in ANSWERS:
        raise invalid(f"enum {kind} not in {','.join(ANSWERS)} at '{at}/type'")
    instructions: Any = fields["instructions"]
    if not isinstance(instructions, str | dict | list):
        raise mismatch(f"{at}/instructions", instructions, "string,object,array")
    if not instructions:
        raise invalid(f"'{at}/instructions' length must be >= 1")
    return Question(kind, _plain(cast("object", instructions)), _options(at, kind, fields.get("criteria")))


def _options(at: str, kind: str, criteria: Any) -> dict[str, Any]:
    if kind == "noul" and criteria is None:
        return {}
    required({"criteria": criteria}, "criteria", at=at)
    if kind == "score":
        if not isinstance(criteria, list):
            raise mismatch(f"{at}/criteria", criteria, "array")
        levels = cast("list[Any]", criteria)
        _check_count(f"{at}/criteria", len(levels), LEVELS, "items")
        return {str(number): each for number, each in enumerate(levels)}
    if not isinstance(criteria, dict):
        raise mismatch(f"{at}/criteria", criteria, "object")
    options = cast("dict[str, Any]", criteria)
    if kind == "choice":
        _check_count(f"{at}/criteria", len(options), OPTIONS, "properties")
        if "" in options:
            raise invalid(f"'{at}/criteria' has an option without a name")
    return options


def _check_count(at: str, count: int, bounds: tuple[int, int], things: str) -> None:
    if count < bounds[0]:
        raise invalid(f"'{at}' must have at least {bounds[0]} {things}")
    if count > bounds[1]:
        raise invalid(f"'{at}' must have at most {bounds[1]} {things}")


def _state(value: Any) -> str:
    if not isinstance(value, str | dict | list):
        raise mismatch("/state", value, "string,object,array")
    return _plain(cast("object", value))


def _plain(value: object) -> str:
    """Text of a string, or of the keys and values of JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _image_descriptions(inputs: dict[str, Any]) -> str:
    """Descriptions of the images. Raises UpstreamError for files that the model does not take."""
    files = {name: _files(inputs, name) for name in MAX_FILES}
    return " ".join(describe(DESCRIBER, {"image": each})["description"] for each in files["images"])


def _files(inputs: dict[str, Any], name: str) -> list[bytes]:
    value: Any = inputs.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise mismatch(f"/{name}", value, "array")
    files = cast("list[Any]", value)
    _check_count(f"/{name}", len(files), (0, MAX_FILES[name]), "items")
    return [_file(f"/{name}/{number}", each) for number, each in enumerate(files)]


def _file(at: str, value: Any) -> bytes:
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        required(fields, "content_type", "base64", at=at)
        return base64_input(fields["base64"], f"{at}/base64")
    if isinstance(value, str) and not value.lower().startswith("data:"):
        raise invalid(f"'{at}' must be a data URL: remote URLs are not accepted")
    return base64_input(value, at)


# ---- answers -------------------------------------------------------------------------------------------------------


class _State:
    """Text that the questions are about, with its words."""

    def __init__(self, model: Model, content: str, images: str) -> None:
        self.text = f"{content} {images}".strip()
        self._model = model.id
        sequence = words(self.text[: 4 * (model.context_window or 1 << 16)])
        self._stems = {stem(word) for word in sequence if word not in STOP_WORDS}
        self._negated = {stem(word) for before, word in pairwise(sequence) if before in NEGATIONS}
        self.sentiment = SENTIMENT_RANGE * sentiment(self.text)

    def shared(self, content: str) -> float:
        """Share of the words of a text that the state contains, from -1 to 1; words that it negates count
        negatively."""
        stems = {stem(word) for word in words(content) if word not in STOP_WORDS}
        return (len(stems & self._stems) - 2 * len(stems & self._negated)) / max(1, len(stems)) ** 0.5

    def agreement(self, content: str) -> float:
        """Agreement of a text's sentiment with the state's: positive if they agree, negative if they are opposite."""
        own = SENTIMENT_RANGE * sentiment(content) + sum(POLES.get(word, 0) for word in words(content))
        return max(-3, min(own, 3)) * self.sentiment / 3

    def chance(self, *parts: str) -> float:
        """A number of -1 to 1 that depends on all parts and on the state."""
        digest = hashlib.sha256(repr((self._model, self.text, parts)).encode()).digest()
        return int.from_bytes(digest[:4], "big") / 2**31 - 1

    def logit(self, question: Question, option: str) -> float:
        description = f"{option.replace('_', ' ')} {_plain(question.options[option])}"
        return (
            SHARED_WEIGHT * self.shared(description)
            + SENTIMENT_WEIGHT * self.agreement(description)
            + HASH_WEIGHT * self.chance(question.instructions, option)
        )


def _noul(state: _State, question: Question) -> dict[str, Any]:
    """Answer a yes-or-no question."""
    logit = YES_BIAS + SHARED_WEIGHT * state.shared(question.instructions)
    logit += SENTIMENT_WEIGHT * state.agreement(question.instructions)
    logit += HASH_WEIGHT * state.chance(question.instructions)
    described = {name: f"{_plain(each)}" for name, each in question.options.items()}
    for name, sign in (("true", 1), ("false", -1)):
        logit += sign * SHARED_WEIGHT * state.shared(described.get(name, ""))
    return {"type": "noul", "noul": round(1 / (1 + math.exp(-logit)), DIGITS)}


def _choice(state: _State, question: Question) -> dict[str, Any]:
    probabilities = _distribution({name: state.logit(question, name) for name in question.options})
    best = max(probabilities, key=lambda name: probabilities[name])
    return {
        "type": "choice",
        "choice": best,
        "probabilities": probabilities,
        "confidence": _confidence([*probabilities.values()]),
    }


def _score(state: _State, question: Question) -> dict[str, Any]:
    last = len(question.options) - 1
    # without words of the levels, the sentiment determines the state's place on the scale
    centre = last / 2 * (1 + state.sentiment / 5)
    logits = {
        level: state.logit(Question("score", question.instructions, {level: each}), level) - abs(int(level) - centre)
        for level, each in question.options.items()
    }
    probabilities = _distribution(logits)
    return {
        "type": "score",
        "score": round(sum(int(level) * each for level, each in probabilities.items()), DIGITS),
        "legend": question.options,
        "probabilities": probabilities,
        "confidence": _confidence([*probabilities.values()]),
    }


ANSWERS: dict[str, Callable[[_State, Question], dict[str, Any]]] = {"noul": _noul, "choice": _choice, "score": _score}
"""Type of a question → its answer."""


def _distribution(logits: dict[str, float]) -> dict[str, float]:
    """Probabilities of four decimals that sum to 1."""
    top = max(logits.values())
    weights = {name: math.exp(each - top) for name, each in logits.items()}
    total = sum(weights.values())
    units = {name: round(each / total * 10**DIGITS) for name, each in weights.items()}
    best = max(units, key=lambda name: weights[name])
    units[best] += 10**DIGITS - sum(units.values())
    return {name: each / 10**DIGITS for name, each in units.items()}


def _confidence(probabilities: Sequence[float]) -> float:
    """Distance of the probabilities from even ones, 0 to 1: one minus their relative entropy. The formula is a
    guess."""
    entropy = -sum(each * math.log(each) for each in probabilities if each > 0)
    return round(max(0.0, 1 - entropy / math.log(len(probabilities))), DIGITS)
