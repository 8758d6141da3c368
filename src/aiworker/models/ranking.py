"""The ranking in a reranker's answer."""

from typing import Any

from aiworker.errors import ApiError
from aiworker.models.model_response import ModelResponse


async def ranking(answer: ModelResponse, count: int) -> list[dict[str, Any]]:
    """Return objects with `id` (index of a text, from 0) and `score`, the best first.

    count: number of texts. Raises ApiError `upstream_error` if the answer is no ranking of them.
    """
    match await answer.json():
        case {"response": [*ranks]} if all(_is_rank(each, count) for each in ranks):
            return sorted(ranks, key=lambda each: -each["score"])
        case _:
            raise ApiError("upstream_error", f"{answer.model.id} returned no ranking.")


def _is_rank(each: Any, count: int) -> bool:
    match each:
        case {"id": int(place), "score": float() | int()}:
            return 0 <= place < count
        case _:
            return False
