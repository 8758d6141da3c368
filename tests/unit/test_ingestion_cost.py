"""The cost of a document's ingestion: reserved before anything is embedded, settled once, whenever a crash comes."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pytest

from aiworker.auth.budget import WORKER, BudgetStore
from aiworker.bindings import Inputs
from aiworker.models import token_counts
from aiworker.rag import ingest, store
from aiworker.settings import Settings
from tests.unit.test_budget import Clock, FakeBudget, Rows
from tests.unit.test_ingest import PASSAGES, Embedded, Machine, Model, document, moments

PRICE = 6_058 / 1e6
"""Neurons of a token of EMBED_MODEL."""
TEXT = document("bridge")
UPLOAD = 2 * (len(TEXT) // 3 + 1) * PRICE
"""Neurons that the request reserves by the size of the text."""


class Budgets:
    """aiworker.bindings.Budgets that last."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._budgets: dict[str, FakeBudget] = {}

    def find(self, key_name: str) -> FakeBudget:
        return self._budgets.setdefault(key_name, FakeBudget(BudgetStore(Rows(), self._clock)))

    def spent(self, name: str) -> float:
        return self.find(name).store.today()["neurons"]


class CountedModel(Model):
    """Counts the tokens that it is sent."""

    tokens = 0

    async def run(self, model: str, inputs: Inputs, options: Mapping[str, Any], seconds: float) -> Embedded:
        answer = await super().run(model, inputs, options, seconds)
        self.tokens += sum(map(token_counts.estimate_text, inputs.fields["text"]))
        return answer


class PaidMachine(Machine):
    """A machine on which the key `site` and the Worker have budgets of these neurons."""

    def __init__(self, of_key: float, of_worker: int) -> None:
        super().__init__()
        self.clock = Clock()
        self.budgets = Budgets(self.clock)
        self.model = CountedModel(self)
        key = {"name": "site", "sha256": hashlib.sha256(b"").hexdigest(), "scopes": ["rag:write"]}
        keys = [{**key, "daily_neurons": of_key}]
        variables = {"SIMULATED": "AI", "API_KEYS": json.dumps(keys), "DAILY_NEURONS": str(of_worker)}
        self.set(settings=Settings.read(variables), budgets=self.budgets, ai=self.model)

    def set(self, **fields: Any) -> None:
        for name, value in fields.items():
            object.__setattr__(self.resources, name, value)

    async def take(self, payer: str = "site", text: str = TEXT) -> None:
        """Store the upload, for which the request has reserved neurons."""
        await self.upload("aaaa", text, "2026-01-01")
        self.database.execute("UPDATE versions SET payer = ?", [payer])
        for name in filter(None, (payer, WORKER)):
            await self.budgets.find(name).reserve({"aaaa": UPLOAD}, 1e9)

    @property
    def version(self) -> Any:
        return self.database.execute("SELECT * FROM versions").fetchone()


async def a_paid_upload(of_key: float = 1e6, of_worker: int = 10**6) -> PaidMachine:
    machine = PaidMachine(of_key, of_worker)
    await machine.take()
    return machine


def unfold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the conversion return a text that is ten times as long as the file."""

    async def to_markdown(resources: Any, version: store.Version, file: Any) -> None:
        text = file.read().decode() * 10
        await resources.bucket.put(version.folder + ingest.MARKDOWN, text, "text/markdown", {})

    monkeypatch.setattr(ingest, "_to_markdown", to_markdown)


async def test_the_cost_of_an_ingestion_replaces_what_was_reserved() -> None:
    machine = await a_paid_upload()
    await machine.ingest("aaaa")
    assert machine.version["state"] == "indexed"
    cost = machine.model.tokens * PRICE
    assert cost > 0
    assert machine.budgets.spent("site") == pytest.approx(cost, abs=1e-5)
    assert machine.budgets.spent(WORKER) == pytest.approx(cost, abs=1e-5)


@pytest.mark.parametrize(
    ("of_key", "of_worker", "owner"),
    [(UPLOAD + 1, 10**6, "The key site has"), (1e6, int(UPLOAD + 1), "This Worker has too few neurons left")],
)
async def test_a_document_that_unfolds_beyond_a_budget_fails_before_anything_is_embedded(
    monkeypatch: pytest.MonkeyPatch, of_key: float, of_worker: int, owner: str
) -> None:
    unfold(monkeypatch)
    machine = await a_paid_upload(of_key, of_worker)
    await machine.ingest("aaaa")
    assert machine.version["state"] == "failed"
    assert machine.version["reason"].startswith(f"budget_exceeded: {owner} ")
    assert "this document may cost" in machine.version["reason"]
    assert machine.model.tokens == 0
    assert machine.vectors == {}
    assert machine.budgets.spent("site") == machine.budgets.spent(WORKER) == 0


async def test_the_cost_of_a_text_is_reserved_before_anything_is_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    unfold(monkeypatch)
    machine = await a_paid_upload()
    spent: list[float] = []

    async def run(*arguments: Any) -> Any:
        spent.append(machine.budgets.spent("site"))
        return await CountedModel.run(machine.model, *arguments)

    monkeypatch.setattr(machine.model, "run", run)
    await machine.ingest("aaaa")
    assert machine.version["state"] == "indexed"
    cost = machine.model.tokens * PRICE
    assert min(spent) >= cost > 2 * UPLOAD
    assert machine.budgets.spent("site") == pytest.approx(cost, abs=1e-4)


@pytest.mark.timeout(120)
async def test_a_crash_at_any_moment_doubles_no_cost() -> None:
    machines = await moments(lambda machine: machine.ingest("aaaa"), a_paid_upload)
    assert len(machines) > 20
    for number, machine in enumerate(machines):
        assert isinstance(machine, PaidMachine)
        await machine.ingest("aaaa")
        assert machine.version["state"] == "indexed", number
        # a step that embeds and crashes runs again, and only the second run is known
        assert 0 < machine.budgets.spent("site") <= machine.model.tokens * PRICE + 1e-4, number
        assert machine.budgets.spent("site") == pytest.approx(machine.budgets.spent(WORKER), abs=1e-5), number


async def test_an_ingestion_past_midnight_is_paid_by_both_days(monkeypatch: pytest.MonkeyPatch) -> None:
    unfold(monkeypatch)
    machine = await a_paid_upload()
    machine.clock.now += 86_400
    await machine.ingest("aaaa")
    assert machine.budgets.spent("site") == pytest.approx(machine.model.tokens * PRICE - UPLOAD, abs=1e-4)


@pytest.mark.parametrize("payer", ["", "of-a-revoked-key"])
async def test_without_the_key_the_worker_s_own_budget_pays(payer: str) -> None:
    machine = PaidMachine(1e6, 10**6)
    await machine.take(payer)
    await machine.ingest("aaaa")
    assert machine.budgets.spent(WORKER) == pytest.approx(machine.model.tokens * PRICE, abs=1e-5)
    assert machine.budgets.spent("site") == 0


async def test_a_document_that_cannot_be_read_costs_nothing() -> None:
    machine = PaidMachine(1e6, 10**6)
    await machine.take(text="")
    await machine.ingest("aaaa")
    assert machine.version["reason"] == "The document has no text."
    assert machine.budgets.spent("site") == machine.budgets.spent(WORKER) == 0


async def test_a_workflow_of_an_earlier_version_is_paid_by_the_reservation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its steps have returned the number of passages."""

    async def embed(*_: Any, **_more: Any) -> int:
        return 100

    monkeypatch.setattr(ingest, "embed", embed)
    machine = await a_paid_upload()
    machine.vectors = {f"aaaa-{number}": None for number in range(PASSAGES)}  # pyright: ignore[reportAttributeAccessIssue]
    await machine.ingest("aaaa")
    assert machine.version["state"] == "indexed"
    assert machine.budgets.spent("site") == pytest.approx(UPLOAD, abs=1e-5)
