"""A search over the chunks of an instance: by vectors, by words (BM25), or both, fused and reranked."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from workers_ai_simulator.ai_search.indexing import Answer, Floats
from workers_ai_simulator.ai_search.models import Chunk, Match, SearchOptions
from workers_ai_simulator.embeddings import lexical

K1, B = 1.2, 0.75
"""Constants of BM25."""
FUSION_CONSTANT = 60
"""Constant of reciprocal rank fusion."""


def search(
    chunks: Sequence[Chunk], matrix: Floats, vector: Floats, query: str, options: SearchOptions, rerank: Answer
) -> list[Match]:
    """The best matches, at most `options.count`. matrix: the vectors of the chunks, one row each."""
    matches = {each.id: Match(each, 0) for each in chunks}
    rankings: list[list[str]] = []
    if options.retrieval_type != "keyword":
        rankings.append(_vector_ranking(chunks, matrix, vector, options.threshold, matches))
    if options.retrieval_type != "vector":
        rankings.append(_fulltext_ranking(chunks, query, matches, any_term=options.any_term))
    merged = _fused(rankings, matches, options)
    if options.rerank and merged:
        merged = _reranked(merged[: options.count], query, options, rerank)
    return merged[: options.count]


def _vector_ranking(
    chunks: Sequence[Chunk], matrix: Floats, vector: Floats, threshold: float, matches: dict[str, Match]
) -> list[str]:
    if not chunks:
        return []
    norms = np.linalg.norm(matrix, axis=1) * np.linalg.norm(vector)
    cosines = np.clip(matrix @ vector / np.where(norms == 0, 1, norms), 0, 1)
    order = [int(each) for each in np.argsort(-cosines, kind="stable") if cosines[each] >= threshold]
    for rank, number in enumerate(order, 1):
        score = round(float(cosines[number]), 6)
        matches[chunks[number].id].details |= {"vector_score": score, "vector_rank": rank}
    return [chunks[number].id for number in order]


def _fulltext_ranking(chunks: Sequence[Chunk], query: str, matches: dict[str, Match], *, any_term: bool) -> list[str]:
    terms = {lexical.stem(each) for each in lexical.words(query) if each not in lexical.STOP_WORDS}
    counts = [Counter(lexical.stem(each) for each in lexical.words(chunk.text)) for chunk in chunks]
    lengths = [sum(each.values()) for each in counts]
    mean = sum(lengths) / len(lengths) if lengths else 1
    rarity = {term: _rarity(sum(term in each for each in counts), len(counts)) for term in terms}
    scores: dict[str, float] = {}
    for chunk, count, length in zip(chunks, counts, lengths, strict=True):
        present = [term for term in terms if term in count]
        if present and (any_term or len(present) == len(terms)):
            weight = K1 * (1 - B + B * length / mean)
            scores[chunk.id] = sum(rarity[term] * count[term] * (K1 + 1) / (count[term] + weight) for term in present)
    order = sorted(scores, key=lambda each: -scores[each])
    for rank, chunk_id in enumerate(order, 1):
        matches[chunk_id].details |= {"keyword_score": round(scores[chunk_id], 6), "keyword_rank": rank}
    return order


def _rarity(containing: int, total: int) -> float:
    return math.log(1 + (total - containing + 0.5) / (containing + 0.5))


def _fused(rankings: Sequence[list[str]], matches: dict[str, Match], options: SearchOptions) -> list[Match]:
    """The matches of all rankings with a score of 0 to 1, the best first."""
    merged = [matches[each] for each in dict.fromkeys(each for ranking in rankings for each in ranking)]
    best = max((each.details.get("keyword_score", 0) for each in merged), default=0) or 1
    for each in merged:
        vector_score, keyword_score = each.details.get("vector_score", 0), each.details.get("keyword_score", 0) / best
        each.score = max(vector_score, keyword_score)
        if options.retrieval_type == "hybrid":
            each.details["fusion_method"] = options.fusion_method
            if options.fusion_method == "rrf":
                ranks = [each.details[name] for name in ("vector_rank", "keyword_rank") if name in each.details]
                highest = len(rankings) / (FUSION_CONSTANT + 1)
                each.score = sum(1 / (FUSION_CONSTANT + rank) for rank in ranks) / highest
    return sorted(merged, key=lambda each: -each.score)


def _reranked(merged: list[Match], query: str, options: SearchOptions, rerank: Answer) -> list[Match]:
    contexts = [{"text": each.chunk.text} for each in merged]
    answer = rerank(options.reranking_model, {"query": query, "contexts": contexts})
    ranked = [(merged[int(each["id"])], float(each["score"])) for each in answer["response"]]
    for match, score in ranked:
        match.score = match.details["reranking_score"] = score
    return [match for match, score in ranked if score >= options.reranking_threshold]
