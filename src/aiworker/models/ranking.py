"""What a reranker has answered."""

from typing import Any

from aiworker.errors import ApiError
from aiworker.models.model_response import ModelResponse


async def ranking(answer: ModelResponse, count: int) -> list[dict[str, Any]]:
    """`id` (the place of a text, from 0) and `score`, the best first.

    Raises ApiError `upstream_error` if it is no ranking of so many texts.
    """
    match await answer.json():
        case {"response": [*ranked]} if all(_is_rank(each, count) for each in ranked):
            return sorted(ranked, key=lambda each: -each["score"])
        case _:
            raise ApiError("upstream_error", f"{answer.model.id} returned no ranking.")


def _is_rank(each: Any, count: int) -> bool:
    match each:
        case {"id": int(place), "score": float() | int()}:
            return 0 <= place < count
        case _:
            return False
