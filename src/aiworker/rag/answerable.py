"""A decision model's judgement, by RAG_CHECK_MODEL, whether the passages that a search has found answer the
question."""

from collections.abc import Sequence

from aiworker.context import Resources
from aiworker.models import decisions
from aiworker.models.gateway_options import GatewayOptions
from aiworker.models.selection import find_model
from aiworker.rag.passage import Passage

QUESTION = "Do these passages answer the question?"


async def is_answered(
    resources: Resources, question: str, passages: Sequence[Passage], gateway: GatewayOptions | None
) -> bool:
    """Return the judgement of RAG_CHECK_MODEL; True without a model, without passages, and for a question that it
    refuses."""
    model_id = resources.settings.rag_check_model
    if model_id is None or not passages:
        return True
    state = {"question": question, "passages": [passage.text for passage in passages]}
    # a cache key stands for the answer, not for this judgement
    gateway = gateway.without_cache_key() if gateway else None
    noul = await decisions.probability(resources, find_model(resources, model_id, "decision"), state, QUESTION, gateway)
    return noul is None or noul >= decisions.YES
