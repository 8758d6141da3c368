"""Shortens a long question to what an embedding model reads: vectors represent only the first 512 tokens."""

from aiworker.rag.search_text import STOP_WORDS
from aiworker.rag.text_pieces import parts, sentences, tokens, tokens_up_to

MAX_TOKENS = 400
"""Tokens of a query, estimated rather too high than too low, that leave room for a model's prefix in the 512 tokens of
the bge models. A longer query would be refused, or cut at its end, where the question often is.
"""
MAX_RERANKED_TOKENS = 128
"""Tokens of a query for the reranker, which reads query and passage together in 512 tokens."""


def fitting(query: str, limit: int = MAX_TOKENS) -> str:
    """Return the query if it has up to `limit` tokens, else its most telling sentences, in their order.

    The last sentence stays, since a question follows what it is about. Of the others, those with the rarest words stay;
    a sentence that is too long by itself is cut.
    """
    if tokens_up_to(query, limit) <= limit:
        return query
    pieces = [part for sentence in sentences(query) for part in parts(sentence, limit // 2)]
    words = [_words(piece) for piece in pieces]
    counts: dict[str, int] = {}
    for word in (word for each in words for word in each):
        counts[word] = counts.get(word, 0) + 1
    weights = [
        sum(1 / counts[word] for word in each) / (tokens(piece) or 1) for piece, each in zip(pieces, words, strict=True)
    ]
    last = len(pieces) - 1
    room = limit
    kept: list[int] = []
    for number in sorted(range(len(pieces)), key=lambda number: (number != last, -weights[number], -number)):
        count = tokens(pieces[number])
        if count <= room:
            kept.append(number)
            room -= count
    return "".join(pieces[number] for number in sorted(kept)).strip()


def _words(text: str) -> set[str]:
    words = {word.strip(".,;:!?()\"'").casefold() for word in text.split()}
    return words - STOP_WORDS - {""}
