"""`scripts/eval`: how well /rag finds and cites the answers to a labelled set of questions.

The set lies beside this module: documents of an invented maker of greenhouse controls and its island, and questions
with the words in which the documents answer them. A passage counts as found if it belongs to the right document and
contains these words, so the labels hold however documents are cut into passages.
"""

import asyncio
import contextlib
import json
import math
import re
import signal
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from tools import ROOT
from tools.dev.processes import Children

SET = ROOT / "tools/evaluation"
RECORDED = SET / "recorded.json"
TENANT = "eval"
DEPTH = 10
"""Passages of each search that are measured."""
SHOWN = 5
"""Passages that a model gets by default: evidence outside of them is lost for the answer."""
STAGES = {
    "vector only": {"vector": True, "text": False, "rerank": False},
    "full text only": {"vector": False, "text": True, "rerank": False},
    "hybrid": {"vector": True, "text": True, "rerank": False},
    "hybrid + rerank": {"vector": True, "text": True, "rerank": True},
}
WHOLE = "hybrid + rerank"
"""Stages of /rag by default."""
TOLERANCE = 0.01
"""Allowed fall of a figure. Of 239 questions that are searched for, two may lose their evidence from the first five,
not three: equal scores may come in another order with the next run, but a fault rarely costs one question only."""
THRESHOLDS = (0.0, 0.02, 0.03, 0.04, 0.05, 0.1, 0.2, 0.3)
"""Values of `min_score` for which the reranker's scores are measured."""
AT_ONCE = 6
"""Requests under way."""
ATTEMPTS = 8
"""Attempts of a request while the server has no capacity."""
INDEXING_SECONDS = 300
STARTING_SECONDS = 120


class CannotEvaluate(Exception):  # noqa: N818 - a sentence for the user
    """There are no figures; the message says why."""


# ---- the labelled set ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Evidence:
    document: str
    text: str
    """Words of the document; spaces and line ends may differ."""
    context: tuple[str, ...] = ()
    """Texts that a reader must see with it, in the passage or its headings: a table's header, a list's first line."""


@dataclass(frozen=True)
class Question:
    id: str
    kind: str
    """`exact`: codes, names, part numbers. `plain`: in the document's words. `paraphrase`: in other words. `table`,
    `code`, `list`: a row, a line, an item of a long document; `section`: two places of one. `follow_up`:
    says little without the questions `before`. Without an answer in the documents: `near_miss`, which is about what
    they are about, and `unanswerable`, which is not."""
    question: str
    evidence: tuple[Evidence, ...]
    before: tuple[str, ...] = ()

    @property
    def is_searched(self) -> bool:
        """Whether a search for its words alone can be expected to find the evidence."""
        return bool(self.evidence) and not self.before


def documents() -> dict[str, str]:
    """Id → Markdown."""
    return {file.stem: file.read_text() for file in sorted((SET / "corpus").glob("*.md"))}


def questions() -> list[Question]:
    rows: list[dict[str, Any]] = json.loads((SET / "questions.json").read_text())
    return [
        Question(
            row["id"], row["kind"], row["question"],
            tuple(_evidence(each) for each in row["evidence"]), tuple(row.get("before", ())),
        )
        for row in rows
    ]  # fmt: skip


def _evidence(row: Mapping[str, Any]) -> Evidence:
    return Evidence(row["document"], row["text"], tuple(row.get("context", ())))


# ---- measures --------------------------------------------------------------------------------------------------------

Passage = Mapping[str, Any]
"""With `document` and `text`."""


def gains(evidence: Sequence[Evidence], passages: Iterable[Passage]) -> list[int]:
    """Number of pieces of evidence that each passage adds to those of the passages before it."""
    missing = list(evidence)
    ranks: list[int] = []
    for passage in passages:
        brought = [each for each in missing if holds(passage, each)]
        missing = [each for each in missing if each not in brought]
        ranks.append(len(brought))
    return ranks


def holds(passage: Passage, evidence: Evidence) -> bool:
    return passage["document"] == evidence.document and even(evidence.text) in even(passage["text"])


def recall(gained: Sequence[int], wanted: int, depth: int = SHOWN) -> float:
    """The share of the evidence that is in the first passages."""
    return sum(gained[:depth]) / wanted


def reciprocal_rank(gained: Sequence[int]) -> float:
    """1 / the rank of the first passage with evidence; 0 if there is none."""
    return next((1 / rank for rank, gain in enumerate(gained, 1) if gain), 0.0)


def ndcg(gained: Sequence[int], wanted: int, depth: int = DEPTH) -> float:
    """Discounted cumulative gain, relative to a ranking whose first passages bring one piece each.

    Source: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS 20 (2002), with the
    discount 1 / log2(1 + rank). One passage may bring all pieces; more than 1 does not count.
    """
    ideal = _discounted([1] * min(wanted, depth))
    return min(1.0, _discounted(gained[:depth]) / ideal)


def _discounted(gained: Sequence[int]) -> float:
    return sum(gain / math.log2(1 + rank) for rank, gain in enumerate(gained, 1))


def even(text: str) -> str:
    return " ".join(text.split())


def _mean(values: Iterable[float]) -> float:
    """Mean of the values; 0 if there are none."""
    kept = list(values)
    return sum(kept) / len(kept) if kept else 0.0


# ---- the server ------------------------------------------------------------------------------------------------------


class Api:
    """The server's documents of one tenant."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._room = asyncio.Semaphore(AT_ONCE)

    async def health(self) -> dict[str, Any]:
        try:
            return (await self._client.get("/health")).json()
        except (httpx.HTTPError, ValueError) as error:
            raise CannotEvaluate(f"{self._client.base_url} does not answer: {error}") from error

    async def listed(self) -> list[dict[str, Any]]:
        stored: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            page = await self._call("GET", "/rag/documents", params={"tenant": TENANT, "limit": 100, "cursor": cursor})
            stored += page["documents"]
            cursor = page["cursor"]
        return stored

    async def add(self, document_id: str, text: str, title: str | None) -> None:
        titled = {} if title is None else {"title": title}
        await self._call("POST", "/rag/documents", json={"id": document_id, "text": text, "tenant": TENANT, **titled})

    async def delete(self, document_id: str) -> None:
        await self._call("DELETE", f"/rag/documents/{document_id}", params={"tenant": TENANT})

    async def search(
        self, query: str, stages: Mapping[str, bool], depth: int = DEPTH, queries: int = 1
    ) -> list[dict[str, Any]]:
        body = {"query": query, "tenant": TENANT, "top_k": depth, "stages": stages, "queries": queries}
        return (await self._call("POST", "/rag/search", json=body))["passages"]

    async def answer(self, messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        # the least variation that models know, so that two runs can be compared
        body = {"messages": messages, "tenant": TENANT, "stream": False, "temperature": 0, "seed": 1}
        return await self._call("POST", "/rag", json=body)

    async def _call(self, method: str, path: str, **request: Any) -> Any:
        """The JSON of the answer. Raises CannotEvaluate for an error, after some patience if the server is full."""
        failure = ""
        async with self._room:
            for _ in range(ATTEMPTS):
                try:
                    response = await self._client.request(method, path, **request)
                except httpx.TransportError as error:
                    failure = str(error)
                    await asyncio.sleep(1)
                    continue
                if response.is_success:
                    return response.json() if response.content else None
                failure = f"{response.status_code} {response.text[:500]}"
                if response.status_code not in (429, 502, 503, 504):
                    break
                await asyncio.sleep(float(response.headers.get("retry-after", 1)))
        raise CannotEvaluate(f"{method} {path} failed: {failure}")


@contextlib.asynccontextmanager
async def serving(url: str | None) -> AsyncGenerator[str]:
    """The address of a server: that one, or one of our own on a free port, with a folder of its own for its state."""
    if url:
        yield url.rstrip("/")
        return
    with tempfile.TemporaryDirectory(prefix="aiworker-eval-") as state:
        async with Children() as children:
            command = [sys.executable, str(ROOT / "scripts/dev"), "--port", "0", "--persist-to", state]
            child = await children.start([*command, "--tokens-per-second", "0"], {}, ROOT)
            lines = child.lines()
            address = await _ready(lines)
            drained = asyncio.create_task(_drained(lines))
            yield address
            drained.cancel()


async def _ready(lines: AsyncIterator[str]) -> str:
    """Raises CannotEvaluate if the server does not come up."""
    printed: list[str] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STARTING_SECONDS):
            async for line in lines:
                if match := re.search(r"Ready on (\S+)", line):
                    return match[1]
                printed.append(line)
    raise CannotEvaluate("scripts/dev did not start:\n" + "\n".join(printed))


async def _drained(lines: AsyncIterator[str]) -> None:
    """Read on, so that the program can go on printing."""
    async for _ in lines:
        pass


# ---- searching -------------------------------------------------------------------------------------------------------

Rankings = dict[str, dict[str, list[dict[str, Any]]]]
"""Name in STAGES → id of the question → passages, the best first."""


async def ingest(api: Api, texts: Mapping[str, str], titles: Mapping[str, str] | None = None) -> int:
    """Index the documents, and no others; return the number of their passages.

    titles: titles of documents whose text does not begin with one.
    Raises CannotEvaluate if one fails, or after five minutes.
    """
    others = {each["id"] for each in await api.listed()} - texts.keys()
    await all_of("Old documents removed", [api.delete(each) for each in sorted(others)])
    await all_of("Documents sent", [api.add(each, text, (titles or {}).get(each)) for each, text in texts.items()])
    deadline = time.monotonic() + INDEXING_SECONDS
    progress = Progress("Documents indexed", len(texts))
    while True:
        listed = await api.listed()
        failed = [f"{each['id']}: {each['reason']}" for each in listed if each["state"] == "failed"]
        if failed:
            raise CannotEvaluate("Not all documents could be indexed.\n" + "\n".join(failed))
        indexed = [each for each in listed if each["state"] == "indexed"]
        progress.show(len(indexed))
        if len(indexed) == len(texts):
            return sum(each["chunks"] for each in indexed)
        if time.monotonic() > deadline:
            raise CannotEvaluate(f"After {INDEXING_SECONDS} s only {len(indexed)} of {len(texts)} are indexed.")
        await asyncio.sleep(0.5)


async def clear(api: Api) -> None:
    """Delete all documents; and those that the server was still taking in when a run was stopped."""
    while listed := await api.listed():
        await all_of("Documents deleted", [api.delete(each["id"]) for each in listed])


async def search_all(api: Api, questions: Sequence[Question]) -> Rankings:
    """Passages found by each combination of stages; for questions without an answer only by the last one."""
    rankings: Rankings = {name: {} for name in STAGES}

    async def one(name: str, question: Question) -> None:
        rankings[name][question.id] = await api.search(question.question, STAGES[name])

    wanted = [
        one(name, each)
        for name in STAGES
        for each in questions
        if each.is_searched or (name == WHOLE and not each.evidence)
    ]
    await all_of("Searches", wanted)
    return rankings


def figures(questions: Iterable[Question], passages: Mapping[str, Sequence[Passage]]) -> dict[str, float]:
    """recall@5, MRR and nDCG@10: the mean of the questions."""
    ranked = [(gains(each.evidence, passages[each.id]), len(each.evidence)) for each in questions]
    return {
        "recall@5": _mean(recall(gained, wanted) for gained, wanted in ranked),
        "MRR": _mean(reciprocal_rank(gained) for gained, _ in ranked),
        "nDCG@10": _mean(ndcg(gained, wanted) for gained, wanted in ranked),
    }


def thresholds(questions: Sequence[Question], reranked: Mapping[str, Sequence[Passage]]) -> list[dict[str, float]]:
    """Recall@5 that each `min_score` leaves of the reranker's results, and questions that then find nothing."""

    def kept(question: Question, least: float) -> list[Passage]:
        return [each for each in reranked[question.id] if each["score"] >= least]

    def refused(of: Callable[[Question], bool], least: float) -> float:
        return _mean(float(not kept(each, least)) for each in questions if of(each))

    return [
        {
            "min_score": least,
            "recall@5": _mean(
                recall(gains(each.evidence, kept(each, least)), len(each.evidence))
                for each in questions
                if each.is_searched
            ),
            "answerable refused": refused(lambda each: each.is_searched, least),
            "unanswerable refused": refused(lambda each: each.kind == "unanswerable", least),
            "near misses refused": refused(lambda each: each.kind == "near_miss", least),
        }
        for least in THRESHOLDS
    ]


# ---- answers ---------------------------------------------------------------------------------------------------------

REFUSAL = re.compile(
    r"\b(?:found nothing|find no|no (?:answer|information|mention)|not (?:in|among) the"
    r"|(?:not|\w+n't) (?:answer|contain|include|mention|provide|say|specif|state))",
    re.IGNORECASE,
)
"""Matches English sentences that say that the passages hold no answer. A guess: a model may say so in other words."""
STATEMENT = re.compile(r"(?P<said>[^\[\]]*)(?P<cited>(?:\s*\[\d+(?:,\s*\d+)*\])+)")
SENTENCE_END = re.compile(r"(?<=[.!?:])\s+|\n+")
ENDINGS = re.compile(r"(?:ings?|ed|es|s|ly)$")
FEWEST_SHARED = 0.6
"""Share of a statement's content words that must be in the passages that it cites."""
COMMON_WORDS = (
    "about after all also and any are before between but can could does each for from has have her him his how into "
    "its may more most must not off one only other our out over per she should some such than that the their them "
    "then there these they this those under until was were what when where which while who will with would you your"
)
COMMON = frozenset(COMMON_WORDS.split())


@dataclass(frozen=True)
class Verdict:
    """The judgement of one answer."""

    refused: bool
    """There are no sources, or the answer says that they hold no answer."""
    sources_have_it: bool = False
    """Some source has labelled evidence: the search succeeded."""
    cites: bool = False
    """It has a citation."""
    cites_evidence: bool = False
    """Some source that it cites has labelled evidence."""
    cites_only_evidence: bool = False
    """Every source that it cites has labelled evidence."""
    is_supported: bool = False
    """Each statement with a citation has most of its content words from the sources that it cites."""


def judge(question: Question, answer: Mapping[str, Any], texts: Mapping[str, str]) -> Verdict:
    """`said` is the answer of /rag; `texts` has the whole text of each source, by its id."""
    sources = {each["number"]: {**each, "text": texts[each["id"]]} for each in answer["sources"]}
    cited = [sources[number] for number in answer["citations"]]
    evident = [any(holds(each, evidence) for evidence in question.evidence) for each in cited]
    return Verdict(
        refused=not sources or (not cited and bool(REFUSAL.search(answer["answer"]))),
        sources_have_it=any(gains(question.evidence, sources.values())),
        cites=bool(cited),
        cites_evidence=any(evident),
        cites_only_evidence=bool(evident) and all(evident),
        is_supported=bool(cited) and all(is_supported(*each) for each in statements(answer["answer"], sources)),
    )


def statements(answer: str, sources: Mapping[int, Passage]) -> list[tuple[str, str]]:
    """Each sentence before a citation, with the text of what it cites; empty if there is no such source."""
    return [
        (
            SENTENCE_END.split(each["said"].strip())[-1],
            " ".join(
                " ".join((sources[number]["title"], sources[number]["heading"], sources[number]["text"]))
                for number in map(int, re.findall(r"\d+", each["cited"]))
                if number in sources
            ),
        )
        for each in STATEMENT.finditer(answer)
    ]


def is_supported(statement: str, passages: str) -> bool:
    claimed = _content_words(statement)
    return bool(passages) and (not claimed or len(claimed & _content_words(passages)) / len(claimed) >= FEWEST_SHARED)


def _content_words(text: str) -> set[str]:
    words = (word for word in re.findall(r"\w+", text.lower()) if word not in COMMON)
    return {ENDINGS.sub("", word) if len(word) > 4 else word for word in words if len(word) > 2 or word.isdigit()}


async def answer_all(api: Api, questions: Sequence[Question], rankings: Rankings) -> dict[str, Verdict]:
    """Ask all questions. Id of the question → verdict on its answer."""
    texts = {each["id"]: each["text"] for ranked in rankings.values() for some in ranked.values() for each in some}

    async def one(question: Question) -> tuple[str, Verdict]:
        messages: list[dict[str, str]] = []
        for earlier in question.before:
            messages.append({"role": "user", "content": earlier})
            messages.append({"role": "assistant", "content": (await api.answer(messages))["answer"]})
        answer = await api.answer([*messages, {"role": "user", "content": question.question}])
        for source in answer["sources"]:
            if source["id"] not in texts:  # no search has found it: a search for its own beginning does
                again = await api.search(source["snippet"], STAGES["hybrid"])
                texts.update({each["id"]: each["text"] for each in again})
        return question.id, judge(question, answer, texts)

    return dict(await all_of("Answers", [one(each) for each in questions]))


def answer_figures(questions: Sequence[Question], verdicts: Mapping[str, Verdict]) -> dict[str, float]:
    def share(kinds: Iterable[Question], of: Callable[[Verdict], bool]) -> float:
        return _mean(float(of(verdicts[each.id])) for each in kinds)

    answerable = [each for each in questions if each.evidence]
    cited = [each for each in answerable if verdicts[each.id].cites]
    return {
        "sources have the evidence": share(answerable, lambda each: each.sources_have_it),
        "sources of follow-ups have it": share(
            [each for each in answerable if each.before], lambda each: each.sources_have_it
        ),
        "answers that cite": share(answerable, lambda each: each.cites),
        "of these, cite the evidence": share(cited, lambda each: each.cites_evidence),
        "of these, cite nothing else": share(cited, lambda each: each.cites_only_evidence),
        "of these, supported in their words": share(cited, lambda each: each.is_supported),
        "unanswerable refused": share(
            [each for each in questions if each.kind == "unanswerable"], lambda each: each.refused
        ),
        "near misses refused": share(
            [each for each in questions if each.kind == "near_miss"], lambda each: each.refused
        ),
    }


# ---- the whole -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    models: str
    """`simulated` or `real`: the figures of the two cannot be compared."""
    documents: int
    passages: int
    questions: int
    stages: dict[str, dict[str, float]]
    """Name in STAGES → figures."""
    kinds: dict[str, dict[str, float]]
    """Kind of question → name in STAGES → recall@5."""
    answers: dict[str, float]
    min_score: list[dict[str, float]]
    missed: list[str] = field(default_factory=list[str])
    """Ids of questions whose evidence is not whole among the first five of the last stage."""
    seconds: float = 0.0


def run(options: Namespace) -> int:
    """Measure and print. Returns the exit status: 1 if figures fell below the recorded ones, or could not be
    measured."""
    try:
        result = asyncio.run(_until_terminated(options.url, keep=options.keep))
    except CannotEvaluate as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(result.__dict__, indent=2, ensure_ascii=False) if options.json else report(result))
    if options.record:
        record(result)
        _say(f"Recorded in {RECORDED.relative_to(ROOT)}.\n")
        return 0
    return _compared(result)


async def _until_terminated(url: str | None, *, keep: bool) -> Result:
    """Run `evaluate`. SIGTERM ends it as Ctrl-C does: its processes are stopped, and its documents deleted."""
    task = asyncio.ensure_future(evaluate(url, keep=keep))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        raise CannotEvaluate("Stopped.") from None


async def evaluate(url: str | None, *, keep: bool = False) -> Result:
    began = time.monotonic()
    texts, labelled = documents(), questions()
    _say("" if url else "Starting scripts/dev …\n")
    async with serving(url) as address, httpx.AsyncClient(base_url=address, timeout=120) as client:
        api = Api(client)
        simulated = "AI" in (await api.health()).get("simulated", [])
        try:
            passages = await ingest(api, texts)
            rankings = await search_all(api, labelled)
            verdicts = await answer_all(api, labelled, rankings)
        finally:
            if url and not keep:  # a server of our own is removed with all its data
                await clear(api)
    searched = [each for each in labelled if each.is_searched]
    kinds = dict.fromkeys(each.kind for each in searched)
    last = rankings[WHOLE]
    return Result(
        models="simulated" if simulated else "real",
        documents=len(texts),
        passages=passages,
        questions=len(labelled),
        stages={name: figures(searched, rankings[name]) for name in STAGES},
        kinds={
            kind: {
                name: figures([each for each in searched if each.kind == kind], rankings[name])["recall@5"]
                for name in STAGES
            }
            for kind in kinds
        },
        answers=answer_figures(labelled, verdicts),
        min_score=thresholds(labelled, last),
        missed=[each.id for each in searched if recall(gains(each.evidence, last[each.id]), len(each.evidence)) < 1],
        seconds=time.monotonic() - began,
    )


# ---- recorded figures ------------------------------------------------------------------------------------------------


Figures = dict[str, dict[str, float]]
"""Name in STAGES, or "answers" → measure → value."""


def record(result: Result) -> None:
    """Keep the figures, beside those of the other kind of models."""
    kept = _recorded()
    kept[result.models] = {
        name: {measure: round(value, 4) for measure, value in each.items()}
        for name, each in {**result.stages, "answers": result.answers}.items()
    }
    RECORDED.write_text(json.dumps(kept, indent=2) + "\n")


def _recorded() -> dict[str, Figures]:
    """Recorded figures by the kind of models."""
    return json.loads(RECORDED.read_text()) if RECORDED.exists() else {}


def fallen(result: Result, recorded: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Figures that are worse than recorded, beyond TOLERANCE."""
    return [
        f"{measure} of {name} is {result.stages[name][measure]:.3f}, recorded is {value:.3f}"
        for name in STAGES
        for measure, value in recorded[name].items()
        if result.stages[name][measure] < value - TOLERANCE
    ]


def _compared(result: Result) -> int:
    kept = _recorded()
    if result.models not in kept:
        _say(f"No figures of {result.models} models are recorded to compare these with; --record keeps them.\n")
        return 0
    worse = fallen(result, kept[result.models])
    if worse:
        _say("\nWorse than recorded, by more than the tolerance:\n  " + "\n  ".join(worse) + "\n")
        return 1
    _say("\nNot below the recorded figures.\n")
    return 0


# ---- what a person reads ---------------------------------------------------------------------------------------------

HONESTY = {
    "simulated": (
        "The models are simulated: embeddings and reranker know words, their stems and some of their meaning, and the\n"
        "chat model quotes sentences. These figures measure the pipeline, not the models; for those, give the --url\n"
        "of a deployment."
    ),
    "real": "Measured with the models of the deployment.",
}


def report(result: Result) -> str:
    """The tables, in Markdown."""
    measures = list(next(iter(result.stages.values())))
    parts = [
        f"{result.documents} documents, {result.passages} passages, {result.questions} questions; "
        f"{result.seconds:.0f} s",
        HONESTY[result.models],
        table(
            ["Search", *measures],
            [[name, *(f"{each[measure]:.3f}" for measure in measures)] for name, each in result.stages.items()],
        ),
        table(
            ["recall@5 by kind", *STAGES],
            [[kind, *(f"{each[name]:.3f}" for name in STAGES)] for kind, each in result.kinds.items()],
        ),
        table(["Answers", "Share"], [[name, f"{value:.0%}"] for name, value in result.answers.items()]),
        table(
            list(result.min_score[0]),
            [[f"{each['min_score']:.2f}", *(f"{v:.0%}" for v in list(each.values())[1:])] for each in result.min_score],
        ),
        f"Not whole among the first {SHOWN} of {WHOLE}: {', '.join(result.missed) or 'none'}",
    ]
    return "\n\n".join(parts)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *others = cells
        aligned = [first.ljust(widths[0]), *(each.rjust(width) for each, width in zip(others, widths[1:], strict=True))]
        return f"| {' | '.join(aligned)} |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(line(each) for each in (head, rule, *rows))


Done = TypeVar("Done")


async def all_of(title: str, work: Sequence[Awaitable[Done]]) -> list[Done]:
    """The results, in order, with progress shown."""
    progress = Progress(title, len(work))

    async def counted(each: Awaitable[Done]) -> Done:
        result = await each
        progress.show(progress.done + 1)
        return result

    tasks = [asyncio.ensure_future(counted(each)) for each in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


class Progress:
    """`Searches 120/416`, on stderr: counting up on a terminal, else one line at the end."""

    def __init__(self, title: str, total: int) -> None:
        self._title = title
        self._total = total
        self._began = time.monotonic()
        self.done = 0

    def show(self, done: int) -> None:
        is_whole = done == self._total and done != self.done
        self.done = done
        if is_whole:
            _say(f"\r{self._title} {done}/{self._total}, {time.monotonic() - self._began:.1f} s\n")
        elif sys.stderr.isatty():
            _say(f"\r{self._title} {done}/{self._total}")


def _say(text: str) -> None:
    """Print to standard error: standard output is for the figures."""
    print(text, end="", file=sys.stderr, flush=True)
