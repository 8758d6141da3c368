"""Lexical embeddings, and the reranking that follows from them.

Texts that share words or stems are close, others are nearly orthogonal; the meaning of words plays no part. Each word
becomes a few features (its stem, itself, its letters, its neighbour), which are hashed with signs into the model's
dimensions. Each model, and each pooling of a model, hashes with a salt of its own: as upstream, their vectors cannot be
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
from workers_ai_simulator.catalogue import Model
from workers_ai_simulator.errors import NotSimulated, UpstreamError
from workers_ai_simulator.validation import (
    choice_input,
    invalid,
    list_input,
    mismatch,
    number_input,
    required,
    text_input,
)

POOLINGS = ("mean", "cls")
RERANKING_DIMENSIONS = 4096
"""Dimensions of a reranker's internal vectors: many, so that few words collide."""


@dataclass(frozen=True)
class Interface:
    """Inputs and outputs of a model beyond `text` and `{shape, data}` (after `@cloudflare/workers-types`)."""

    texts_from: tuple[str, ...] = ("text",)
    """Inputs that hold texts, in the order of the answer's rows; at least one is required."""
    max_texts: int = 100
    takes_pooling: bool = False
    returns_pooling: bool = False
    pooling: str = "mean"
    """Pooling by default."""
    takes_contexts: bool = False
    """The model accepts `contexts`, with or without a `query`, in place of `text`."""


BGE = Interface(takes_pooling=True, returns_pooling=True)
INTERFACES = {
    "@cf/baai/bge-small-en-v1.5": BGE,
    "@cf/baai/bge-base-en-v1.5": BGE,
    "@cf/baai/bge-large-en-v1.5": BGE,
    "@cf/baai/bge-m3": Interface(returns_pooling=True, pooling="cls", takes_contexts=True),
    "@cf/qwen/qwen3-embedding-0.6b": Interface(texts_from=("queries", "documents", "text"), max_texts=32),
}
DEFAULT_INTERFACE = Interface()

INSTRUCTIONS = re.compile(
    r"\s*(?:represent this sentence for searching relevant passages:|instruct:[^\n]*\nquery:|"
    r"task:[^|\n]*\|\s*query:|title:[^|\n]*\|\s*text:)\s*",
    re.IGNORECASE,
)
"""Instruction that bge, qwen3 and embeddinggemma expect before a query or a document; no feature of the text."""

WORD = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
    "|[^\\s!-/:-@\\[-`{-~\u00a1\u00ab\u00b7\u00bb\u00bf\u2000-\u206f\u3000-\u303f"
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)
"""A word: a run of anything but spaces and punctuation, or one letter of a script without spaces between words."""

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
"""Suffixes, each before the shorter ones that it ends with. They are mostly English, and do little harm elsewhere."""
NOT_PLURAL = ("ss", "us", "is")
"""Endings whose `s` is no plural."""
MIN_STEM_LENGTH = 3
VOWEL = re.compile("[aeiouy]|[^a-z]")

STEM, SPELLING, LETTERS, NEIGHBOURS, STOP_WORD = 1.0, 0.4, 0.25, 0.2, 0.1
"""Weights of a word's features; the last is a factor for all features of a stop word."""
BUCKETS = 4
"""Dimensions that each feature is hashed into, so that one collision makes no similarity."""

RERANKING_STEEPNESS, RERANKING_MIDDLE = 10.0, 0.4
"""The middle cosine scores 0.5; unrelated texts score 0.02, equal texts 0.998."""

Vectors = NDArray[np.float32]
ComputeVectors = Callable[[Model, list[str], str], Vectors]
"""Computes the vectors of a model for texts, with a pooling: one row of unit length for each text."""


class WordFeatures(NamedTuple):
    """Features of one word."""

    root: int
    """Hash of the stem."""
    hashes: NDArray[np.uint64]
    weights: NDArray[np.float64]


# ---- answers -------------------------------------------------------------------------------------------------------


def lexical(model: Model, texts: list[str], pooling: str) -> Vectors:
    """Lexical vectors for the texts: one row of unit length for each."""
    return _vectors(texts, _dimensions(model), f"{model.id} {pooling}")


def embed(model: Model, inputs: dict[str, Any], vectors: ComputeVectors = lexical) -> dict[str, Any]:
    """Answer the inputs of an embeddings model; `vectors` computes the vectors of their texts.

    `{shape: [n, dimensions], data: [[…]]}`, with `pooling` from the bge models. bge-m3 with `contexts` answers
    `{response: [[…]], shape, pooling}`, and with a `query` as well `{response: [{id, score}]}`, best first; the score
    is the cosine.

    Raises UpstreamError 5006 if the model does not take the inputs, 3030 for a text or a batch that is too long.
    """
    interface = INTERFACES.get(model.id, DEFAULT_INTERFACE)
    if "requests" in inputs and not any(name in inputs for name in interface.texts_from):
        raise NotSimulated("A batch (`requests`) without the option `queueRequest`")
    pooling = (choice_input(inputs, "pooling", POOLINGS) if interface.takes_pooling else None) or interface.pooling
    echo = {"pooling": pooling} if interface.returns_pooling else {}
    if interface.takes_contexts and "text" in inputs and "contexts" in inputs:
        raise invalid("oneOf at '/' not met, 2 matches")
    if interface.takes_contexts and "text" not in inputs:
        return _embed_contexts(model, inputs, pooling, echo, vectors)
    data = vectors(model, _fitting(model, _texts(inputs, interface), inputs), pooling)
    return {"shape": list(data.shape), "data": data.tolist(), **echo}


def rerank(model: Model, inputs: dict[str, Any]) -> dict[str, Any]:
    """Answer the inputs of a reranker: `{response: [{id, score}]}`, best first, `top_k` of them.

    `id` is the index in `contexts`; the score, 0 to 1, grows with the cosine of the embeddings. Texts longer than the
    model's input are cut, as by cross-encoders.

    Raises UpstreamError 5006 if the model does not take the inputs.
    """
    query = text_input(inputs, "query")
    contexts = _contexts(inputs)
    top_k = number_input(inputs, "top_k", len(contexts), minimum=1)
    if not isinstance(top_k, int):
        raise mismatch("/top_k", top_k, "integer")
    max_tokens = model.max_input_tokens
    texts = [_cut(each, max_tokens) if max_tokens else each for each in (query, *contexts)]
    cosines = _cosines(_vectors(texts, RERANKING_DIMENSIONS, model.id))
    scores = [1 / (1 + math.exp(-RERANKING_STEEPNESS * (cosine - RERANKING_MIDDLE))) for cosine in cosines]
    return {"response": _ranked(scores)[:top_k]}


def _embed_contexts(
    model: Model, inputs: dict[str, Any], pooling: str, echo: dict[str, str], vectors: ComputeVectors
) -> dict[str, Any]:
    if "contexts" not in inputs:
        raise invalid(
            "oneOf at '/' not met, 0 matches: "
            "required properties at '/' are 'contexts', required properties at '/' are 'text'"
        )
    contexts = _contexts(inputs)
    query = [text_input(inputs, "query")] if inputs.get("query") is not None else []
    data = vectors(model, _fitting(model, query + contexts, inputs), pooling)
    if query:
        return {"response": _ranked(_cosines(data))}
    return {"response": data.tolist(), "shape": list(data.shape), **echo}


def _cosines(vectors: Vectors) -> list[float]:
    """Cosines of the first vector with each of the others, all of unit length."""
    return (vectors[1:] @ vectors[0]).tolist()


def _ranked(scores: list[float]) -> list[dict[str, Any]]:
    best_first = sorted(enumerate(scores), key=lambda each: -each[1])
    return [{"id": number, "score": score} for number, score in best_first]


# ---- inputs --------------------------------------------------------------------------------------------------------


def _texts(inputs: dict[str, Any], interface: Interface) -> list[str]:
    present = [name for name in interface.texts_from if inputs.get(name) is not None]
    if not present:
        required(inputs, interface.texts_from[-1])
    if inputs.get("instruction") is not None:
        text_input(inputs, "instruction")  # checked, without effect here
    return [each for name in present for each in _texts_of(inputs, name, interface.max_texts)]


def _texts_of(inputs: dict[str, Any], name: str, maximum: int) -> list[str]:
    if not isinstance(inputs[name], list):
        return [text_input(inputs, name)]
    values = list_input(inputs, name)
    if len(values) > maximum:
        raise invalid(f"'/{name}' has {len(values)} items, with a maximum of {maximum}")
    return [_item(f"/{name}/{number}", each) for number, each in enumerate(values)]


def _contexts(inputs: dict[str, Any]) -> list[str]:
    return [_context(number, each) for number, each in enumerate(list_input(inputs, "contexts"))]


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
    """The texts, cut to the model's input if `truncate_inputs` is true.

    Raises UpstreamError 3030 if one is longer otherwise, or if together they exceed the context window.
    """
    max_tokens, window = model.max_input_tokens, model.context_window
    if max_tokens and inputs.get("truncate_inputs") is True:
        texts = [_cut(each, max_tokens) for each in texts]
    # a token has at least one character: most texts need no count
    if max_tokens and (
        too_long := [n for each in texts if len(each) > max_tokens and (n := _count(each)) > max_tokens]
    ):
        raise UpstreamError(400, 3030, f"Sequence too long: {too_long[0]} > {max_tokens}")
    # a window is a limit of the batch only if it is wider than one text's limit
    if window and window > (max_tokens or 0) and sum(map(len, texts)) > window:
        total = sum(map(_count, texts))
        if total > window:
            raise UpstreamError(400, 3030, f"Max context reached {total} tokens but model supports only {window}")
    return texts


def _count(content: str) -> int:
    return len(text.tokens(content))


def _cut(content: str, max_tokens: int) -> str:
    return content if len(content) <= max_tokens else "".join(text.tokens(content)[:max_tokens])


# ---- features of texts ---------------------------------------------------------------------------------------------


def words(content: str) -> list[str]:
    """Words of a text in order, in lower case, without accents, normalized."""
    if not content.isascii():
        content = unicodedata.normalize("NFC", ACCENTS.sub("", unicodedata.normalize("NFKD", content)))
    return WORD.findall(content.casefold())


def stem(word: str) -> str:
    """The word without its suffixes; at least three letters remain, one of them a vowel."""
    while (shorter := _without_suffix(word)) != word:
        word = shorter
    return word


def _without_suffix(word: str) -> str:
    for suffix in SUFFIXES:
        rest = word.removesuffix(suffix)
        if suffix == "s" and word.endswith(NOT_PLURAL):
            continue
        if rest != word and len(rest) >= MIN_STEM_LENGTH and VOWEL.search(rest):
            doubled = rest[-1] == rest[-2] and rest[-1] not in "aeiouls"
            return rest[:-1] if doubled and len(rest) > MIN_STEM_LENGTH else rest
    return word


def _vectors(texts: list[str], dimensions: int, space: str) -> Vectors:
    """One row of unit length for each text; vectors of different spaces cannot be compared."""
    salt = np.uint64(crc32(space.encode()) * 0x1_0000_0001)
    rows = [_vector(each, dimensions, salt) for each in texts]
    vectors = np.array(rows)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _vector(content: str, dimensions: int, salt: np.uint64) -> NDArray[np.float64]:
    features, weights = _features(content)
    steps = np.arange(1, BUCKETS + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    hashes = _mixed((_mixed(features ^ salt)[:, None] + steps).ravel())
    signs = 1.0 - 2.0 * (hashes >> np.uint64(63))
    places = (hashes % np.uint64(dimensions)).astype(np.intp)
    vector: NDArray[Any] = np.bincount(places, np.repeat(weights, BUCKETS) * signs, dimensions)
    if not vector.any():  # all features cancelled out
        vector[0] = 1.0
    return vector


def _features(content: str) -> tuple[NDArray[np.uint64], NDArray[np.float64]]:
    """Hashes of a text's features, and their weights."""
    body = INSTRUCTIONS.sub("", content, count=1) if INSTRUCTIONS.match(content) else content
    sequence = words(body) or words(content) or list(content)  # texts of signs only differ, too
    counts = Counter(sequence)
    features = {word: _word_features(word) for word in counts}
    frequency = 1.0 + np.log(np.array(list(counts.values())))  # dampened: ten times as often does not weigh tenfold
    frequency = np.repeat(frequency, [len(word.hashes) for word in features.values()])
    roots = np.array([features[word].root for word in sequence], np.uint64)
    pairs = _mixed(roots[:-1]) + roots[1:]  # depends on the order of both
    hashes = [word.hashes for word in features.values()]
    weights = np.concatenate([word.weights for word in features.values()]) * frequency
    return np.concatenate([*hashes, pairs]), np.concatenate([weights, np.full(len(pairs), NEIGHBOURS)])


@lru_cache(maxsize=1 << 15)
def _word_features(word: str) -> WordFeatures:
    root = stem(word)
    names = [f"stem {root}", f"word {word}"]
    if len(word) > MIN_STEM_LENGTH:
        framed = f"^{word}$"
        names += [f"part {framed[start : start + 3]}" for start in range(len(framed) - 2)]
    weights = np.full(len(names), LETTERS)
    weights[:2] = STEM, SPELLING
    hashes = [crc32(name.encode(errors="surrogatepass")) for name in names]  # JSON may contain unpaired surrogates
    factor = STOP_WORD if word in STOP_WORDS else 1.0
    return WordFeatures(hashes[0], np.array(hashes, np.uint64), weights * factor)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Each value scattered over 64 bits (the finalizer of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
