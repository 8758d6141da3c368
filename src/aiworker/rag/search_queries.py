"""Search queries of a question: what a model makes of it, in a conversation or where several are wanted."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic_core import from_json

from aiworker.bindings import Inputs
from aiworker.context import Resources
from aiworker.models.catalogue import Model
from aiworker.models.completion import Completion
from aiworker.models.gateway_options import GatewayOptions
from aiworker.models.model_call import Candidate, ModelCall
from aiworker.rag import prompt

MAX_QUERIES = 3
"""Queries of one question: each is embedded and searched for."""
MAX_QUERY_CHARACTERS = 1_000
TOKENS_A_QUERY = 100


async def search_queries(
    resources: Resources,
    models: Sequence[Model],
    question: str,
    history: Sequence[Mapping[str, Any]] = (),
    count: int = 1,
    gateway: GatewayOptions | None = None,
) -> list[str]:
    """Return the queries to search for, one to `count`, the most important first.

    A question that begins a conversation is searched for as it is; a model makes the queries beside it. Of one that
    follows others, a model makes all of them. Without a usable answer of the model, the question is searched for alone.
    models: the first is called, the others are its fallbacks. Raises ApiError if none answers.
    """
    is_first = not any(message["role"] == "user" for message in history)
    if is_first and count == 1:
        return [question]
    text = await _ask(resources, models, prompt.search_query_messages(history, question, count), count, gateway)
    queries = [text] if count == 1 else read_queries(text)
    queries = [question, *queries] if is_first else queries
    usable = [" ".join(each.split())[:MAX_QUERY_CHARACTERS] if each is not question else each for each in queries]
    different = {each.casefold(): each for each in reversed(usable) if each.strip()}
    return list(reversed(different.values()))[:count] or [question]


def read_queries(text: str) -> list[str]:
    """Return the strings of the JSON array in a model's answer; none if there is no array of strings."""
    start, end = text.find("["), text.rfind("]") + 1
    try:
        # not with the json module: in Pyodide, JSON nested thousands of levels deep would end the isolate
        values: Any = from_json(text[start:end]) if start >= 0 else []
    except ValueError:
        return []
    return [each for each in cast("list[Any]", values) if isinstance(each, str)] if isinstance(values, list) else []


async def _ask(
    resources: Resources,
    models: Sequence[Model],
    messages: list[dict[str, Any]],
    count: int,
    gateway: GatewayOptions | None,
) -> str:
    inputs = {"messages": messages, "max_tokens": TOKENS_A_QUERY * count, "stream": False}
    candidates = [Candidate(model, Inputs(inputs), has_instructions=True) for model in models]
    # a cache key stands for the answer, not for the search queries
    model_response = await ModelCall(resources, candidates, gateway.without_cache_key() if gateway else None).run()
    completion = Completion()
    completion.add(await model_response.object())
    model_response.record_usage(completion.usage)
    return completion.text
