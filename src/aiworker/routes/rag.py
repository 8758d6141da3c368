"""`POST /rag` and `POST /rag/search`: answers and passages from the documents."""

from typing import Any

from aiworker.auth import limits
from aiworker.bindings import Inputs
from aiworker.context import ClientResources, Context
from aiworker.errors import ApiError
from aiworker.http.body import EVENT_STREAM, JSON
from aiworker.http.messages import Response, json_response
from aiworker.models import catalogue, guard, system_prompt, token_counts
from aiworker.models.catalogue import Model
from aiworker.models.completion import DONE, as_frames, failure_formatter, frame
from aiworker.models.model_call import Candidate, ModelCall
from aiworker.models.model_response import ModelResponse, ResponseEpilogue, pipe_response
from aiworker.models.selection import text_models
from aiworker.rag import answerable, filters, prompt
from aiworker.rag.engine import engine_of
from aiworker.rag.passage import Passage
from aiworker.rag.prompt import Prompt
from aiworker.rag.retrieve import Search
from aiworker.rag.search_queries import search_queries
from aiworker.routes.documents_schema import document_url, text_range
from aiworker.routes.rag_schema import Passages, RagReply, RagRequest, SearchOptions, SearchRequest
from aiworker.routing import EVENTS, MODEL_ERRORS, Returns, route
from aiworker.settings import Settings

NO_RESULTS = "I have found nothing about this in the documents."
MAX_PROMPT_TOKENS = 6_000
"""Tokens of a prompt, even where the model's context holds more: answers get worse with longer prompts."""
MIN_PROMPT_TOKENS = 500
"""Tokens of a prompt, even where `max_tokens` leaves less of the model's context."""
MAX_SNIPPET_CHARACTERS = 240


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
    filters.check(body.conditions(), context.settings.rag_properties)
    limits.check_prompt(context, body.texts(), "query" if body.messages is None else "messages")
    conversation = [*body.history(), {"role": "user", "content": body.question}]
    await guard.check_input(context, conversation, body.gateway)
    queries = await queries_of(context, body, models)
    search = search_of(context, body, queries, needs_relevance=body.min_score is None)
    passages = await engine_of(context).search(search)
    if not body.answer_anyway and not await answerable.is_answered(context, body.question, passages, body.gateway):
        passages = []
    if not passages and not body.answer_anyway:
        return _no_results(body, models[0])
    by_model = prompts(context.settings, body, models, passages)
    candidates = [
        Candidate(model, Inputs({**body.sampling(), "messages": by_model[model.id].messages, "stream": body.stream}))
        for model in models
        if model.id in by_model
    ]
    model_response = await ModelCall(context, candidates, body.gateway).run()
    model_response = await guard.screen_response(context, conversation, model_response, body.gateway)
    cited = sources(context, context.request.origin, body, by_model[model_response.model.id].passages)
    if not body.stream:
        return await _json_response(model_response, cited)
    return await _streamed(context, model_response, frame({"sources": cited}, "sources"))


@route(
    "POST", "/rag/search", scope="rag:read", rate="model", tag="Documents",
    body=SearchRequest, returns=Returns(Passages, "The passages."), errors=MODEL_ERRORS,
    example={"query": "Where do penguins live?"},
)  # fmt: skip
async def search(context: Context, body: SearchRequest) -> Response:
    """Find the passages that are most relevant to a question.

    The results of vector search and full-text search are fused, then reranked. With `queries`, a model is called first,
    which makes other search queries of the question.
    """
    filters.check(body.conditions(), context.settings.rag_properties)
    queries = await _several_queries(context, body, body.queries) if body.queries else [body.query]
    passages = await engine_of(context).search(search_of(context, body, queries))
    rows = zip(sources(context, context.request.origin, body, passages), passages, strict=True)
    return json_response({"passages": [{**source, "text": passage.text} for source, passage in rows]})


async def _several_queries(context: Context, body: SearchRequest, count: int) -> list[str]:
    limits.check_prompt(context, [body.query], "query")
    await guard.check_input(context, [{"role": "user", "content": body.query}], None)
    models = text_models(context, None, lambda _: None)
    return await search_queries(context, models, body.query, count=count)


def search_of(
    resources: ClientResources, body: SearchOptions, queries: list[str], *, needs_relevance: bool = False
) -> Search:
    """Return the search that a request asks for."""
    return Search(
        queries[0], resources.caller.resolve_tenant(body.tenant), body.top_k, body.min_score, body.conditions(),
        variants=tuple(queries[1:]),
        vector_search=body.stages.vector, fulltext_search=body.stages.text, rerank=body.stages.rerank,
        per_document=body.per_document, join_neighbours=body.join_neighbours, needs_relevance=needs_relevance,
    )  # fmt: skip


async def queries_of(resources: ClientResources, body: RagRequest, models: list[Model]) -> list[str]:
    """Return the search queries: the question, or queries that a model makes of it and the conversation."""
    count = body.queries or resources.settings.rag_queries
    return await search_queries(resources, models, body.question, body.history(), count, body.gateway)


def prompts(settings: Settings, body: RagRequest, models: list[Model], passages: list[Passage]) -> dict[str, Prompt]:
    """Return the prompts of the models whose context has room for passages, by model id.

    Raises ApiError `context_exceeded` if the first model has none.
    """
    question, history = body.question, body.history()
    owners = system_prompt.estimate_tokens(settings)
    by_model = {
        model.id: prompt.build_prompt(question, history, passages, _prompt_tokens(body, model, owners))
        for model in models
    }
    usable = {model_id: each for model_id, each in by_model.items() if each.passages or not passages}
    if models[0].id not in usable:
        no_room = f"The question leaves no room for passages in {models[0].id}."
        raise ApiError("context_exceeded", no_room, param="query")
    return usable


def _prompt_tokens(body: RagRequest, model: Model, owners: int) -> int:
    """Return the maximum tokens of a model's prompt. owners: tokens of the owner's system prompt before it."""
    window = model.context_window or MAX_PROMPT_TOKENS * 2
    room = window - (body.max_tokens or token_counts.ANSWER_TOKENS) - owners
    return max(MIN_PROMPT_TOKENS, min(MAX_PROMPT_TOKENS, room))


def sources(
    resources: ClientResources, origin: str, body: SearchOptions, passages: list[Passage]
) -> list[dict[str, Any]]:
    """Return passages as sources of an answer. origin: of the Worker's URL, for the addresses of their files."""
    tenant = resources.caller.resolve_tenant(body.tenant)
    return [
        _source(number, passage, document_url(origin, tenant, passage.document_id, "/original"))
        for number, passage in enumerate(passages, 1)
    ]


def _source(number: int, passage: Passage, original: str) -> dict[str, Any]:
    snippet = " ".join(passage.text.split())
    return {
        "number": number,
        "id": passage.chunk_id,
        "document": passage.document_id,
        "title": passage.title,
        "url": passage.url,
        "heading": passage.heading,
        "page": passage.page,
        "range": text_range(passage.range),
        "original": original,
        "snippet": snippet if len(snippet) <= MAX_SNIPPET_CHARACTERS else f"{snippet[: MAX_SNIPPET_CHARACTERS - 1]}…",
        "score": passage.score,
        "scores": passage.scores,
    }


async def _streamed(context: Context, model_response: ModelResponse, sources: str) -> Response:
    """Return the frame of the sources, then the model's frames."""
    if not model_response.is_stream:  # a model that ignores `stream`
        data, completion = await model_response.answer()
        return model_response.whole_response(sources + "".join(as_frames(data)), EVENT_STREAM, completion.usage)
    end = ResponseEpilogue(model_response, failure_formatter(context.request_id))
    return model_response.response(await pipe_response(context.streams, end, prefix=sources))


async def _json_response(model_response: ModelResponse, sources: list[dict[str, Any]]) -> Response:
    _, completion = await model_response.answer()
    content = {
        "answer": completion.text,
        "sources": sources,
        "citations": prompt.citations(completion.text, len(sources)),
        "usage": completion.usage or None,
    }
    return model_response.json_response(content, completion.usage)


def _no_results(body: RagRequest, model: Model) -> Response:
    """Return NO_RESULTS in the form of the model's answers, without calling it."""
    if not body.stream:
        return json_response({"answer": NO_RESULTS, "sources": [], "citations": [], "usage": None})
    data: dict[str, Any] = {"response": NO_RESULTS}
    if model.dialect == "openai":
        data = {
            "choices": [{"index": 0, "delta": {"role": "assistant", "content": NO_RESULTS}, "finish_reason": "stop"}]
        }
    content = frame({"sources": []}, "sources") + frame(data) + frame(DONE)
    return Response(content, 200, {"content-type": EVENT_STREAM, "cache-control": "no-store"})
