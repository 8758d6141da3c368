"""`POST /embed`: vectors for texts. `POST /rerank`: which texts fit a query best."""

import json
from collections.abc import Iterator
from typing import Any

from aiworker.auth import limits
from aiworker.bindings import Inputs
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.body import parse_json
from aiworker.http.messages import Opaque, Response
from aiworker.models import catalogue, model_call, tokens, vectors
from aiworker.models.catalogue import Model
from aiworker.models.model_call import Candidate
from aiworker.models.ranking import ranking
from aiworker.models.vectors import Vectors
from aiworker.routes.embed_schema import EmbedRequest, RerankRequest, as_list

MOST_NUMBERS = 2_000_000
"""Of one response: about 40 MB of digits, which are in memory beside Python in the 128 MB of an isolate."""

MEDIA_OR_LENGTH = 3030
"""Workers AI's code for inputs it cannot use; for texts, that they are too long ("Sequence too long: 9001 > 8192", "Max
context reached 85920 tokens but model supports only 60000"). Source: answers recorded by public projects."""


# ---- vectors -----------------------------------------------------------------------------------------------------


async def embed(context: Context) -> Response:
    asked = await parse_json(EmbedRequest, context.request, context.settings.max_body_bytes)
    model = catalogue.find(asked.model or context.settings.models["EMBED_MODEL"], "embeddings")
    found, usage = await found_for(context, asked, model)
    return model_call.response([each.answer for each in found], _body(found, usage), usage["neurons"])


async def found_for(context: Context, asked: EmbedRequest, model: Model) -> tuple[list[Vectors], dict[str, Any]]:
    """The vectors of the texts, as many at a time as the model takes, and `usage`."""
    texts = as_list(asked.text)
    limits.check_count(context, texts, "text")
    _check(asked, model, texts)
    pooling = {"pooling": asked.pooling} if asked.pooling else {}
    batches = list(_batches(model, texts))
    calls = [Candidate(model, Inputs({"text": batch, **pooling})) for batch in batches]
    try:
        found = await model_call.run_all(context, calls, vectors.read, asked.gateway)
    except ApiError as error:
        raise _told_apart(error) from None
    _check_answers(found, batches)
    return found, _usage(found, texts)


def _check(asked: EmbedRequest, model: Model, texts: list[str]) -> None:
    """Raises ApiError for what the model is known not to take, before anything is spent on it."""
    if asked.pooling and asked.pooling not in model.pooling:
        raise ApiError("invalid_request", f"{model.id} does not take pooling.", param="pooling")
    if len(texts) * (model.dimensions or 1) > MOST_NUMBERS:
        most = MOST_NUMBERS // (model.dimensions or 1)
        raise ApiError(
            "invalid_request",
            f"text must have at most {most:,} items for {model.id}, whose vectors have {model.dimensions} dimensions.",
            param="text",
        )
    longest = model.longest_text or model.context_window
    for number, text in enumerate(texts):
        if longest and tokens.at_least(text) > longest:
            raise ApiError(
                "context_exceeded",
                f"A text of at least {tokens.at_least(text):,} tokens is too long: {model.id} takes {longest:,}.",
                param="text" if isinstance(asked.text, str) else f"text.{number}",
            )


def _batches(model: Model, texts: list[str]) -> Iterator[list[str]]:
    """The texts in order, as many at a time as the model takes in one call."""
    batch: list[str] = []
    room = _room(model)
    for text in texts:
        count = max(tokens.estimate_text(text), tokens.at_least(text))
        room -= count
        if batch and (len(batch) == model.texts_a_call or room < 0):
            yield batch
            batch, room = [], _room(model) - count
        batch.append(text)
    yield batch


def _room(model: Model) -> float:
    """Tokens that are put into one call: half of what the texts of a call may have together, as they are estimated."""
    window = model.context_window
    # a window no wider than one text's is a limit of each text
    return window / 2 if window and window != model.longest_text else float("inf")


def _told_apart(error: ApiError) -> ApiError:
    if error.upstream_code != MEDIA_OR_LENGTH:
        return error
    return ApiError(
        "context_exceeded", error.message, param="text", upstream_code=error.upstream_code, headers=error.headers
    )


def _check_answers(found: list[Vectors], batches: list[list[str]]) -> None:
    """Raises ApiError `upstream_error` if a text has no vector of its own, or vectors cannot be compared."""
    for each, batch in zip(found, batches, strict=True):
        if each.count != len(batch) or each.dimensions != found[0].dimensions:
            raise ApiError(
                "upstream_error",
                f"{each.answer.model.id} has answered {each.count} vectors of {each.dimensions} numbers "
                f"for {len(batch)} texts.",
            )


def _usage(found: list[Vectors], texts: list[str]) -> dict[str, Any]:
    """What was read and what it has cost: as upstream says, estimated where it does not."""
    counted = [count for each in found if (count := _counted(each)) is not None]
    is_counted = len(counted) == len(found)
    prompt_tokens = sum(counted) if is_counted else sum(map(tokens.estimate_text, texts))
    neurons = model_call.neurons([each.answer for each in found], {"prompt_tokens": prompt_tokens})
    return {"prompt_tokens": prompt_tokens, "neurons": neurons, "estimated": not is_counted}


def _counted(found: Vectors) -> int | None:
    match found.said:
        case {"usage": {"prompt_tokens": int(count)}}:
            return count
        case _:
            return None


def _body(found: list[Vectors], usage: dict[str, Any]) -> list[str | Opaque]:
    """`{shape, data, pooling?, usage}`: what Python writes around the vectors, and the vectors as they came."""
    count = sum(each.count for each in found)
    parts: list[str | Opaque] = [f'{{"shape":[{count},{found[0].dimensions}],"data":[']
    for number, each in enumerate(found):
        parts += [",", each.rows] if number else [each.rows]
    rest = {**({"pooling": found[0].said["pooling"]} if "pooling" in found[0].said else {}), "usage": usage}
    return [*parts, "]," + json.dumps(rest, separators=(",", ":"))[1:]]


# ---- ranking -----------------------------------------------------------------------------------------------------


async def rerank(context: Context) -> Response:
    asked = await parse_json(RerankRequest, context.request, context.settings.max_body_bytes)
    model = catalogue.find(asked.model or context.settings.models["RERANK_MODEL"], "reranking")
    limits.check_count(context, asked.contexts, "contexts")
    inputs: dict[str, Any] = {"query": asked.query, "contexts": [{"text": text} for text in asked.contexts]}
    if asked.top_k:
        inputs["top_k"] = asked.top_k
    answer = await model_call.run(context, [Candidate(model, Inputs(inputs))], asked.gateway)
    ranked = await ranking(answer, len(asked.contexts))
    # the model reads the query again with each text
    read = sum(map(tokens.estimate_text, asked.contexts)) + len(asked.contexts) * tokens.estimate_text(asked.query)
    neurons = model_call.neurons([answer], {"prompt_tokens": read})
    return model_call.response([answer], json.dumps({"response": ranked}, separators=(",", ":")), neurons)
