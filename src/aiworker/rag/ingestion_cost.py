"""The cost of ingesting a document: reserved by the upload's size when it is taken, by its text before it is embedded.

A small file may unpack to any length, so that only its passages tell what embedding them costs.
"""

from dataclasses import replace
from typing import TypedDict

from aiworker.auth import budget
from aiworker.auth.budget import DailyBudget, RequestBudget
from aiworker.context import Resources
from aiworker.models import catalogue, estimate
from aiworker.models.catalogue import Model
from aiworker.rag import passage_store
from aiworker.rag.store import Version


class Reservation(TypedDict):
    """Neurons that are reserved for a version; the result of a step, and so JSON."""

    payer: str
    """Name of the key that uploaded it; empty without one."""
    charges: dict[str, float]
    """Id of the reservation → neurons: the estimate by the file's size, then what its text adds."""


def embedding_model(resources: Resources) -> Model:
    return catalogue.MODELS[resources.settings.models["EMBED_MODEL"]]


def estimate_upload(resources: Resources, size: int) -> float:
    """Return the neurons that an upload is likely to cost. size: bytes of the file. Reserved under the version's id."""
    return estimate.ingestion(embedding_model(resources), size)


async def reserve(resources: Resources, version: Version) -> Reservation:
    """Reserve what the version's stored passages cost beyond `estimate_upload`, in every budget of its payer.

    Raises ApiError `budget_exceeded` if a budget has fewer neurons left, `unavailable` if it cannot be reached.
    """
    first = estimate_upload(resources, version.size)
    budgets = budgets_of(resources, version.payer)
    if not budgets:
        return {"payer": version.payer, "charges": {version.id: first}}
    passages, size = await passage_store.text_to_embed(resources.database, version)
    rest = max(0.0, estimate.embedding(embedding_model(resources), passages, size) - first)
    charges = {version.id: first, f"{version.id}.text": rest}
    for name, neurons in charges.items():  # the first is there already, unless this is a restart after it was settled
        await budget.reserve(budgets, {name: neurons}, "this document")
    return {"payer": version.payer, "charges": charges}


async def settle(resources: Resources, reservation: Reservation, cost: float) -> None:
    """Replace a reservation by the cost in neurons; what was settled before stays."""
    costs: dict[str, float] = {}
    for name, neurons in reservation["charges"].items():  # each reservation may belong to another day
        costs[name] = min(cost, neurons)
        cost -= costs[name]
    costs[list(costs)[-1]] += cost
    await budget.settle(budgets_of(resources, reservation["payer"]), costs)


async def release(resources: Resources, version: Version) -> None:
    """Release the reservation for a version of which nothing was embedded."""
    await settle(resources, {"payer": version.payer, "charges": {version.id: 0}}, 0)


def budgets_of(resources: Resources, payer: str) -> list[DailyBudget]:
    """Return the budgets that a key draws on as it is now; that of the Worker alone if it is revoked."""
    key = next((each for each in resources.settings.policy.keys if each.name == payer), None)
    return budget.budgets_of(resources.budgets, key, resources.settings.daily_neurons)


def charged_to(resources: Resources, payer: str) -> Resources:
    """Return resources whose uploads are charged to a key, for work that goes on after its request."""
    return replace(resources, request_budget=RequestBudget(budgets_of(resources, payer)))
