"""`POST /rag` and `POST /rag/search`: answers and passages from the documents."""

import json
from typing import Any

from aiworker.auth import limits
from aiworker.bindings import Inputs
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.body import JSON
from aiworker.http.messages import Response, json_response
from aiworker.models import catalogue, guard, token_counts
from aiworker.models.catalogue import Model
from aiworker.models.completion import DONE, EVENT_STREAM, Completion, as_frames, failure_formatter, frame
from aiworker.models.model_call import Candidate, ModelCall
from aiworker.models.model_response import ModelResponse
from aiworker.models.selection import text_models
from aiworker.models.stream_epilogue import AnswerEpilogue, pipe_answer
from aiworker.rag import filters, prompt
from aiworker.rag.passage import Passage
from aiworker.rag.retrieve import Search, retrieve
from aiworker.routes.chat import priced
from aiworker.routes.rag_schema import Passages, RagReply, RagRequest, SearchOptions, SearchRequest
from aiworker.routing import EVENTS, MODEL_ERRORS, Returns, route

NO_RESULTS = "I have found nothing about this in the documents."
MAX_CONTEXT = 6_000
"""Tokens of passages in a prompt, even where the model's context holds more: answers get worse with longer prompts."""


# ---- answers -----------------------------------------------------------------------------------------------------


@route(
    "POST", "/rag", scope="rag:read", rate="model", tag="Documents",
    body=RagRequest, returns=Returns({EVENT_STREAM: EVENTS, JSON: RagReply}, "The answer."),
    errors=(*MODEL_ERRORS, "content_blocked"), example={"query": "Where do penguins live?", "stream": False},
)  # fmt: skip
async def rag(context: Context, body: RagRequest) -> Response:
    """Answer a question from the documents, with sources.

    A stream unless `stream` is false: `event: sources` first, then the model's own frames. The answer cites the sources
    as `[n]`. Without relevant passages it says so, and no model is called.
    """
    models = text_models(context, body.model, lambda model: catalogue.check_sampling(model, body.sampling()))
    filters.check(body.filter, context.settings.rag_properties)
    limits.check_prompt(context, body.texts(), "query" if body.messages is None else "messages")
    told = [*body.history(), {"role": "user", "content": body.question}]
    await guard.check_input(context, told, body.gateway)
    query = await _search_query(context, body, models)
    found = await retrieve(context, _search(context, body, query))
    if not found and not body.answer_anyway:
        return _nothing_found(body, models[0])
    prompts = _prompts(body, models, found)
    candidates = [
        Candidate(model, Inputs({**body.sampling(), "messages": prompts[model.id][0], "stream": body.stream}))
        for model in models
        if model.id in prompts
    ]
    said = await ModelCall(context, candidates, body.gateway).run()
    said = await guard.screen_response(context, told, said, body.gateway)
    used = prompts[said.model.id][1]
    if not body.stream:
        return await _whole(said, used)
    sources = frame({"sources": [_source(number, each) for number, each in enumerate(used, 1)]}, "sources")
    if not said.is_stream:  # a model that ignores `stream`
        whole = await said.object()
        return priced(said.response(sources + "".join(as_frames(whole)), EVENT_STREAM), said, whole)
    end = AnswerEpilogue(said, failure_formatter(context.request_id))
    return said.response(await pipe_answer(context.streams, end, prefix=sources))


@route(
    "POST", "/rag/search", scope="rag:read", rate="model", tag="Documents",
    body=SearchRequest, returns=Returns(Passages, "The passages."), errors=MODEL_ERRORS,
    example={"query": "Where do penguins live?"},
)  # fmt: skip
async def search(context: Context, body: SearchRequest) -> Response:
    """Find the passages that are most relevant to a question.

    Vector search and full-text search, fused, then reranked.
    """
    filters.check(body.filter, context.settings.rag_properties)
    found = await retrieve(context, _search(context, body, body.query))
    return json_response({"passages": [{**_source(n, each), "text": each.text} for n, each in enumerate(found, 1)]})


def _search(context: Context, body: SearchOptions, query: str) -> Search:
    return Search(
        query, context.caller.resolve_tenant(body.tenant), body.top_k, body.min_score, body.filter,
        by_meaning=body.stages.vector, by_words=body.stages.text, rerank=body.stages.rerank,
    )  # fmt: skip


async def _search_query(context: Context, body: RagRequest, models: list[Model]) -> str:
    """What to look for: a follow-up question says too little without what came before it."""
    history = body.history()
    if not any(message["role"] == "user" for message in history):
        return body.question
    inputs = {"messages": prompt.search_query_messages(history, body.question), "max_tokens": 100, "stream": False}
    candidates = [Candidate(model, Inputs(inputs)) for model in models]
    # a cache key stands for the answer, not for this
    gateway = body.gateway.without_cache_key() if body.gateway else None
    given = await ModelCall(context, candidates, gateway).run()
    said = Completion()
    said.add(await given.object())
    given.record_usage(said.usage)
    return said.text.strip()[:1000] or body.question


Prompt = tuple[list[dict[str, Any]], list[Passage]]
"""What a model is sent, and the passages in it."""


def _prompts(body: RagRequest, models: list[Model], found: list[Passage]) -> dict[str, Prompt]:
    """By the ids of the models whose context has room for passages. Raises ApiError if the first has none."""
    made = {model.id: prompt.messages(body.question, body.history(), found, _room(body, model)) for model in models}
    fitting = {model_id: each for model_id, each in made.items() if each[1] or not found}
    if models[0].id not in fitting:
        no_room = f"The question leaves no room for passages in {models[0].id}."
        raise ApiError("context_exceeded", no_room, param="query")
    return fitting


def _room(body: RagRequest, model: Model) -> int:
    """Tokens that the prompt may take."""
    window = model.context_window or MAX_CONTEXT * 2
    return max(500, min(MAX_CONTEXT, window - (body.max_tokens or token_counts.ANSWER_TOKENS)))


def _source(number: int, passage: Passage) -> dict[str, Any]:
    snippet = " ".join(passage.text.split())
    return {
        "number": number,
        "id": passage.chunk_id,
        "document": passage.document_id,
        "title": passage.title,
        "url": passage.url,
        "heading": passage.heading,
        "snippet": snippet if len(snippet) <= 240 else f"{snippet[:239]}…",
        "score": passage.score,
        "scores": passage.scores,
    }


async def _whole(said: ModelResponse, used: list[Passage]) -> Response:
    answer = Completion()
    answer.add(await said.object())
    said.record_usage(answer.usage)
    content = {
        "answer": answer.text,
        "sources": [_source(number, each) for number, each in enumerate(used, 1)],
        "citations": prompt.cited(answer.text, len(used)),
        "usage": answer.usage or None,
    }
    return said.response(json.dumps(content, ensure_ascii=False, separators=(",", ":")), "application/json")


def _nothing_found(body: RagRequest, model: Model) -> Response:
    """Said without asking the model, in the shape in which it would have answered."""
    if not body.stream:
        return json_response({"answer": NO_RESULTS, "sources": [], "citations": [], "usage": None})
    said: dict[str, Any] = {"response": NO_RESULTS}
    if model.dialect == "openai":
        said = {
            "choices": [{"index": 0, "delta": {"role": "assistant", "content": NO_RESULTS}, "finish_reason": "stop"}]
        }
    content = frame({"sources": []}, "sources") + frame(said) + frame(DONE)
    return Response(content, 200, {"content-type": EVENT_STREAM, "cache-control": "no-store"})
