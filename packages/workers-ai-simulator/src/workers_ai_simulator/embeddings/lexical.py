"""Lexical vectors: texts that share words or stems are close, others are nearly orthogonal.

The meaning of words plays no part. Each word becomes a few features (its stem, itself, its letters, its neighbour),
which are hashed with signs into the dimensions, with a salt for each space: vectors of two spaces cannot be compared.
"""

import re
import unicodedata
from collections import Counter
from functools import lru_cache
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

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
"""Dimensions that each feature is hashed into: several, so that a single collision creates no similarity."""


class WordFeatures(NamedTuple):
    """Features of one word."""

    root: int
    """Hash of the stem."""
    hashes: NDArray[np.uint64]
    weights: NDArray[np.float64]


# ---- features of texts ---------------------------------------------------------------------------------------------


def words(content: str) -> list[str]:
    """Words of a text in order, in lower case, without accents, normalized."""
    if not content.isascii():
        content = unicodedata.normalize("NFC", ACCENTS.sub("", unicodedata.normalize("NFKD", content)))
    return WORD.findall(content.casefold())


def without_instruction(content: str) -> str:
    """The text without the instruction that a model's card puts before it."""
    return INSTRUCTIONS.sub("", content, count=1) if INSTRUCTIONS.match(content) else content


@lru_cache(maxsize=1 << 15)
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


def lexical_vectors(texts: list[str], dimensions: int, space: str) -> NDArray[np.float32]:
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
    sequence = words(without_instruction(content)) or words(content) or list(content)  # texts without words differ, too
    counts = Counter(sequence)
    features = {word: _word_features(word) for word in counts}
    frequency = 1.0 + np.log(np.array(list(counts.values())))  # dampened: ten occurrences do not weigh tenfold
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
