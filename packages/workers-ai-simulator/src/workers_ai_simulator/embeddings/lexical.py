"""Lexical embeddings, and the reranking that follows from them.

Texts that share words or stems are close, others are nearly orthogonal; what words mean is not known here. Each word
becomes a few features (its stem, itself, its letters, its neighbour), which are hashed with signs into the model's
dimensions. Every model, and each pooling of it, hashes with a salt of its own: as upstream, their vectors cannot be
mixed.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, cast
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from workers_ai_simulator import text
from workers_ai_simulator.errors import NotSimulated, UpstreamError
from workers_ai_simulator.models import Model
from workers_ai_simulator.validation import choice_input, invalid, mismatch, number_input, required, text_input

POOLINGS = ("mean", "cls")
RERANKING_DIMENSIONS = 4096
"""Of the vectors behind a reranker, which never leave it: more of them, so that fewer words collide."""


@dataclass(frozen=True)
class Form:
    """What one model takes and gives, beyond `text` and `{shape, data}` (after `@cloudflare/workers-types`)."""

    texts_from: tuple[str, ...] = ("text",)
    """The inputs that hold texts, in the order of the answer's rows; one of them must be there."""
    most_texts: int = 100
    takes_pooling: bool = False
    gives_pooling: bool = False
    pooling: str = "mean"
    takes_contexts: bool = False
    """`contexts`, with or without a `query`, in place of `text`."""


BGE = Form(takes_pooling=True, gives_pooling=True)
FORMS = {
    "@cf/baai/bge-small-en-v1.5": BGE,
    "@cf/baai/bge-base-en-v1.5": BGE,
    "@cf/baai/bge-large-en-v1.5": BGE,
    "@cf/baai/bge-m3": Form(gives_pooling=True, pooling="cls", takes_contexts=True),
    "@cf/qwen/qwen3-embedding-0.6b": Form(texts_from=("queries", "documents", "text"), most_texts=32),
}
OTHER_MODELS = Form()

INSTRUCTIONS = re.compile(
    r"\s*(?:represent this sentence for searching relevant passages:|instruct:[^\n]*\nquery:|"
    r"task:[^|\n]*\|\s*query:|title:[^|\n]*\|\s*text:)\s*",
    re.IGNORECASE,
)
"""What bge, qwen3 and embeddinggemma want before a query or a document. It is no part of what the text is about."""

WORD = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
    "|[^\\s!-/:-@\\[-`{-~\u00a1\u00ab\u00b7\u00bb\u00bf\u2000-\u206f\u3000-\u303f"
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)
"""A run of anything but spaces and punctuation; one letter of a script that puts no spaces between its words."""

ACCENTS = re.compile("[\u0300-\u036f]")

COMMON_WORDS = (
    "a an and any are as at be been but by can could did do does for from had has have he her his how i if in into is "
    "it its me my no not of on or our please s she should so t than that the their them then there these they this to "
    "us was we were what when where which who whom why will with would you your "
    "au aux d das de del den der des die du e een ein eine el en es est et het ich il ist l la las le les los mit un "
    "una und une van von y zu"
)
STOP_WORDS = frozenset(COMMON_WORDS.split())

SUFFIXES = (
    *("ization", "isation", "fulness", "ousness", "iveness", "ational", "ations", "ation", "ments", "ement", "ment"),
    *("ness", "ings", "ing", "edly", "able", "ible", "ions", "ion", "ives", "ive", "ies", "ied", "ers", "er", "ed"),
    *("ize", "ise", "es", "ly", "al", "s", "e", "y", "i"),
)
"""A longer ending before those that it ends with; English above all, which does little harm elsewhere."""
NO_PLURALS = ("ss", "us", "is")
SHORTEST_STEM = 3
VOWEL = re.compile("[aeiouy]|[^a-z]")

STEM, SPELLING, LETTERS, NEIGHBOURS, STOP_WORD = 1.0, 0.4, 0.25, 0.2, 0.1
"""The weights of a word's features; the last is the factor for all those of a stop word."""
BUCKETS = 4
"""Each feature goes into so many dimensions, so that one collision alone makes no resemblance."""

RERANKING_STEEPNESS, RERANKING_MIDDLE = 10.0, 0.4
"""The cosine in the middle scores 0.5; unrelated texts score 0.02, the same text 0.998."""

Vectors = NDArray[np.float32]
Vectorize = Callable[[Model, list[str], str], Vectors]
"""The vectors of a model's texts, with that pooling: one of unit length a row."""


class WordFeatures(NamedTuple):
    root: int
    """The hash of the stem."""
    hashes: NDArray[np.uint64]
    weights: NDArray[np.float64]


# ---- what the models answer ----------------------------------------------------------------------------------------


def lexical(model: Model, texts: list[str], pooling: str) -> Vectors:
    """The vectors of this simulator's own, of unit length."""
    return _vectors(texts, _dimensions(model), f"{model.id} {pooling}")


def embed(model: Model, inputs: dict[str, Any], vectors: Vectorize = lexical) -> dict[str, Any]:
    """Answer the inputs of an embeddings model with the `vectors` of their texts.

    `{shape: [n, dimensions], data: [[…]]}`, with `pooling` from the bge models. bge-m3 with `contexts` answers
    `{response: [[…]], shape, pooling}`, and with a `query` as well `{response: [{id, score}]}`, best first, where the
    score is the cosine.

    Raises UpstreamError 5006 if the model does not take the inputs, 3030 for a text or a batch that is too long.
    """
    form = FORMS.get(model.id, OTHER_MODELS)
    if "requests" in inputs and not any(name in inputs for name in form.texts_from):
        raise NotSimulated("A batch (`requests`) without the option `queueRequest`")
    pooling = (choice_input(inputs, "pooling", POOLINGS) if form.takes_pooling else None) or form.pooling
    echo = {"pooling": pooling} if form.gives_pooling else {}
    if form.takes_contexts and "text" in inputs and "contexts" in inputs:
        raise invalid("oneOf at '/' not met, 2 matches")
    if form.takes_contexts and "text" not in inputs:
        return _embed_contexts(model, inputs, pooling, echo, vectors)
    data = vectors(model, _fitting(model, _texts(inputs, form), inputs), pooling)
    return {"shape": list(data.shape), "data": data.tolist(), **echo}


def rerank(model: Model, inputs: dict[str, Any]) -> dict[str, Any]:
    """Answer the inputs of a reranker: `{response: [{id, score}]}`, best first, `top_k` of them.

    `id` is the index in `contexts`; the score, 0 to 1, grows with the cosine of the embeddings. What is longer than
    the model's input is cut, as cross-encoders do.

    Raises UpstreamError 5006 if the model does not take the inputs.
    """
    query = text_input(inputs, "query")
    contexts = _contexts(inputs)
    top_k = number_input(inputs, "top_k", len(contexts), least=1)
    if not isinstance(top_k, int):
        raise mismatch("/top_k", top_k, "integer")
    longest = model.max_input_tokens
    texts = [_cut(each, longest) if longest else each for each in (query, *contexts)]
    cosines = _cosines(_vectors(texts, RERANKING_DIMENSIONS, model.id))
    scores = [1 / (1 + math.exp(-RERANKING_STEEPNESS * (cosine - RERANKING_MIDDLE))) for cosine in cosines]
    return {"response": _ranked(scores)[:top_k]}


def _embed_contexts(
    model: Model, inputs: dict[str, Any], pooling: str, echo: dict[str, str], vectors: Vectorize
) -> dict[str, Any]:
    if "contexts" not in inputs:
        raise invalid(
            "oneOf at '/' not met, 0 matches: "
            "required properties at '/' are 'contexts', required properties at '/' are 'text'"
        )
    contexts = _contexts(inputs)
    asked = [text_input(inputs, "query")] if inputs.get("query") is not None else []
    data = vectors(model, _fitting(model, asked + contexts, inputs), pooling)
    if asked:
        return {"response": _ranked(_cosines(data))}
    return {"response": data.tolist(), "shape": list(data.shape), **echo}


def _cosines(vectors: Vectors) -> list[float]:
    """Of the first vector with each of the others."""
    return (vectors[1:] @ vectors[0]).tolist()


def _ranked(scores: list[float]) -> list[dict[str, Any]]:
    best_first = sorted(enumerate(scores), key=lambda each: -each[1])
    return [{"id": number, "score": score} for number, score in best_first]


# ---- what the models take ------------------------------------------------------------------------------------------


def _texts(inputs: dict[str, Any], form: Form) -> list[str]:
    given = [name for name in form.texts_from if inputs.get(name) is not None]
    if not given:
        required(inputs, form.texts_from[-1])
    if inputs.get("instruction") is not None:
        text_input(inputs, "instruction")  # it is said to the model about the queries: here it changes nothing
    return [each for name in given for each in _texts_of(inputs, name, form.most_texts)]


def _texts_of(inputs: dict[str, Any], name: str, most: int) -> list[str]:
    value: Any = inputs[name]
    if not isinstance(value, list):
        return [text_input(inputs, name)]
    if not value:
        raise invalid(f"required properties at '/' are '{name}'")  # an empty list counts as none upstream
    values = cast("list[Any]", value)
    if len(values) > most:
        raise invalid(f"'/{name}' has {len(values)} items, with a maximum of {most}")
    return [_item(f"/{name}/{number}", each) for number, each in enumerate(values)]


def _contexts(inputs: dict[str, Any]) -> list[str]:
    required(inputs, "contexts")
    contexts: Any = inputs["contexts"]
    if not isinstance(contexts, list):
        raise mismatch("/contexts", contexts, "array")
    if not contexts:
        raise invalid("required properties at '/' are 'contexts'")  # an empty list counts as none upstream
    return [_context(number, each) for number, each in enumerate(cast("list[Any]", contexts))]


def _context(number: int, context: Any) -> str:
    if not isinstance(context, dict):
        raise mismatch(f"/contexts/{number}", context, "object")
    required(cast("dict[str, Any]", context), "text", at=f"/contexts/{number}")
    return _item(f"/contexts/{number}/text", context["text"])


def _item(path: str, value: Any) -> str:
    if not isinstance(value, str):
        raise mismatch(path, value, "string")
    if not value:
        raise invalid(f"'{path}' length must be >= 1")
    return value


def _dimensions(model: Model) -> int:
    assert model.dimensions, f"models.json has no dimensions for {model.id}"
    return model.dimensions


def _fitting(model: Model, texts: list[str], inputs: dict[str, Any]) -> list[str]:
    """The texts, each no longer than the model's input: cut if the inputs ask for that.

    Raises UpstreamError 3030 otherwise, and if together they exceed the context window.
    """
    longest, window = model.max_input_tokens, model.context_window
    if longest and inputs.get("truncate_inputs") is True:
        texts = [_cut(each, longest) for each in texts]
    # a token is at least one character: most texts need no count
    if longest and (too_long := [n for each in texts if len(each) > longest and (n := _count(each)) > longest]):
        raise UpstreamError(400, 3030, f"Sequence too long: {too_long[0]} > {longest}")
    # only a window wider than one text's limit is a limit of the batch
    if window and window > (longest or 0) and sum(map(len, texts)) > window:
        total = sum(map(_count, texts))
        if total > window:
            raise UpstreamError(400, 3030, f"Max context reached {total} tokens but model supports only {window}")
    return texts


def _count(of: str) -> int:
    return len(text.tokens(of))


def _cut(of: str, longest: int) -> str:
    return of if len(of) <= longest else "".join(text.tokens(of)[:longest])


# ---- from text to numbers ------------------------------------------------------------------------------------------


def words(of: str) -> list[str]:
    """The words of a text in order, in small letters, without accents, in one spelling for each sign."""
    if not of.isascii():
        of = unicodedata.normalize("NFC", ACCENTS.sub("", unicodedata.normalize("NFKD", of)))
    return WORD.findall(of.casefold())


def stem(word: str) -> str:
    """The word without its endings: at least three letters of it, one of them a vowel."""
    while (shorter := _without_ending(word)) != word:
        word = shorter
    return word


def _without_ending(word: str) -> str:
    for suffix in SUFFIXES:
        rest = word.removesuffix(suffix)
        if suffix == "s" and word.endswith(NO_PLURALS):
            continue
        if rest != word and len(rest) >= SHORTEST_STEM and VOWEL.search(rest):
            doubled = rest[-1] == rest[-2] and rest[-1] not in "aeiouls"
            return rest[:-1] if doubled and len(rest) > SHORTEST_STEM else rest
    return word


def _vectors(texts: list[str], dimensions: int, space: str) -> Vectors:
    """One vector of unit length for each text."""
    salt = np.uint64(crc32(space.encode()) * 0x1_0000_0001)
    rows = [_vector(each, dimensions, salt) for each in texts]
    vectors = np.array(rows)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _vector(of: str, dimensions: int, salt: np.uint64) -> NDArray[np.float64]:
    features, weights = _features(of)
    steps = np.arange(1, BUCKETS + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    hashes = _mixed((_mixed(features ^ salt)[:, None] + steps).ravel())
    signs = 1.0 - 2.0 * (hashes >> np.uint64(63))
    where = (hashes % np.uint64(dimensions)).astype(np.intp)
    vector: NDArray[Any] = np.bincount(where, np.repeat(weights, BUCKETS) * signs, dimensions)
    if not vector.any():  # all of it cancelled out
        vector[0] = 1.0
    return vector


def _features(of: str) -> tuple[NDArray[np.uint64], NDArray[np.float64]]:
    """The hashes of a text's features, and their weights."""
    found = words(INSTRUCTIONS.sub("", of, count=1)) if INSTRUCTIONS.match(of) else words(of)
    found = found or words(of) or list(of)  # a text of signs only is still told from another
    counts = Counter(found)
    each = {word: _word_features(word) for word in counts}
    often = 1.0 + np.log(np.array(list(counts.values())))  # ten times is not ten times as much
    often = np.repeat(often, [len(word.hashes) for word in each.values()])
    roots = np.array([each[word].root for word in found], np.uint64)
    pairs = _mixed(roots[:-1]) + roots[1:]  # not the same the other way round
    hashes = [word.hashes for word in each.values()]
    weights = np.concatenate([word.weights for word in each.values()]) * often
    return np.concatenate([*hashes, pairs]), np.concatenate([weights, np.full(len(pairs), NEIGHBOURS)])


@lru_cache(maxsize=1 << 15)
def _word_features(word: str) -> WordFeatures:
    root = stem(word)
    names = [f"stem {root}", f"word {word}"]
    if len(word) > SHORTEST_STEM:
        framed = f"^{word}$"
        names += [f"part {framed[start : start + 3]}" for start in range(len(framed) - 2)]
    weights = np.full(len(names), LETTERS)
    weights[:2] = STEM, SPELLING
    hashes = [crc32(name.encode(errors="surrogatepass")) for name in names]  # half an emoji may be in a JSON text
    factor = STOP_WORD if word in STOP_WORDS else 1.0
    return WordFeatures(hashes[0], np.array(hashes, np.uint64), weights * factor)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Each value scattered over 64 bits (the finish of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
