"""Plain BM25 over stems, without stop words: the baseline that a search has to exceed."""

import importlib
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping

from aiworker.rag.search_text import STOP_WORDS

SATURATION, LENGTH = 1.2, 0.75
"""k1 and b.

Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009, section 3.5.
"""
WORD = re.compile(r"\w+")


class BM25:
    """An index of texts by their English stems."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        """texts: id → text."""
        self._stem: Callable[[str], str] = importlib.import_module("snowballstemmer").stemmer("english").stemWord
        self._postings: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self._lengths: dict[str, int] = {}
        for text_id, text in texts.items():
            counts = Counter(self._stems(text))
            self._lengths[text_id] = counts.total()
            for stem, count in counts.items():
                self._postings[stem].append((text_id, count))
        self._mean_length = sum(self._lengths.values()) / max(1, len(texts))

    def rank(self, query: str, count: int) -> list[str]:
        """Return the ids of the texts that share a stem with the query, the best first, at most `count`."""
        scores: dict[str, float] = defaultdict(float)
        for stem in dict.fromkeys(self._stems(query)):
            postings = self._postings.get(stem, [])
            rarity = math.log(1 + (len(self._lengths) - len(postings) + 0.5) / (len(postings) + 0.5))
            for text_id, frequency in postings:
                length = 1 - LENGTH + LENGTH * self._lengths[text_id] / self._mean_length
                scores[text_id] += rarity * frequency * (SATURATION + 1) / (frequency + SATURATION * length)
        return sorted(scores, key=lambda text_id: -scores[text_id])[:count]

    def _stems(self, text: str) -> list[str]:
        return [self._stem(word) for word in WORD.findall(text.lower()) if word not in STOP_WORDS]
