"""Answers of embedding models and of rerankers: their inputs, shapes and errors, whatever computes the vectors."""

from dataclasses import dataclass
from typing import Any, cast

from workers_ai_simulator import text
from workers_ai_simulator.catalogue import Model
from workers_ai_simulator.embeddings import reranking
from workers_ai_simulator.embeddings.vectors import ComputeVectors, Kind, Vectors, mixed
from workers_ai_simulator.errors import NotSimulated, UpstreamError
from workers_ai_simulator.validation import (
    choice_input,
    invalid,
    list_input,
    mismatch,
    number_input,
    required,
    text_input,
)

POOLINGS = ("mean", "cls")


@dataclass(frozen=True)
class Interface:
    """Inputs and outputs of a model beyond `text` and `{shape, data}` (after `@cloudflare/workers-types`)."""

    texts_from: tuple[str, ...] = ("text",)
    """Inputs that hold texts, in the order of the answer's rows; at least one is required."""
    max_texts: int = 100
    takes_pooling: bool = False
    returns_pooling: bool = False
    pooling: str = "mean"
    """Pooling by default."""
    takes_contexts: bool = False
    """The model accepts `contexts`, with or without a `query`, in place of `text`."""


BGE = Interface(takes_pooling=True, returns_pooling=True)
INTERFACES = {
    "@cf/baai/bge-small-en-v1.5": BGE,
    "@cf/baai/bge-base-en-v1.5": BGE,
    "@cf/baai/bge-large-en-v1.5": BGE,
    "@cf/baai/bge-m3": Interface(returns_pooling=True, pooling="cls", takes_contexts=True),
    "@cf/qwen/qwen3-embedding-0.6b": Interface(texts_from=("queries", "documents", "text"), max_texts=32),
}
DEFAULT_INTERFACE = Interface()

# ---- answers -------------------------------------------------------------------------------------------------------


def embed(model: Model, inputs: dict[str, Any], vectors: ComputeVectors = mixed) -> dict[str, Any]:
    """Answer the inputs of an embeddings model; `vectors` computes the vectors of their texts.

    `{shape: [n, dimensions], data: [[…]]}`, with `pooling` from the bge models. bge-m3 with `contexts` answers
    `{response: [[…]], shape, pooling}`, and with a `query` as well `{response: [{id, score}]}`, best first; the score
    is the cosine.

    Raises UpstreamError 5006 if the model does not take the inputs, 3030 for a text or a batch that is too long.
    """
    interface = INTERFACES.get(model.id, DEFAULT_INTERFACE)
    if "requests" in inputs and not any(name in inputs for name in interface.texts_from):
        raise NotSimulated("A batch (`requests`) without the option `queueRequest`")
    pooling = (choice_input(inputs, "pooling", POOLINGS) if interface.takes_pooling else None) or interface.pooling
    echo = {"pooling": pooling} if interface.returns_pooling else {}
    if interface.takes_contexts and "text" in inputs and "contexts" in inputs:
        raise invalid("oneOf at '/' not met, 2 matches")
    if interface.takes_contexts and "text" not in inputs:
        return _embed_contexts(model, inputs, pooling, echo, vectors)
    data = vectors(model, _fitting(model, _texts(inputs, interface), inputs), pooling)
    return {"shape": list(data.shape), "data": data.tolist(), **echo}


def rerank(model: Model, inputs: dict[str, Any], kind: Kind = "mixed") -> dict[str, Any]:
    """Answer the inputs of a reranker: `{response: [{id, score}]}`, best first, `top_k` of them.

    `id` is the index in `contexts`; the score, 0 to 1, follows from vectors of that kind. Texts longer than
    the model's input are cut, as by cross-encoders.

    Raises UpstreamError 5006 if the model does not take the inputs.
    """
    query = text_input(inputs, "query")
    contexts = _contexts(inputs)
    top_k = number_input(inputs, "top_k", len(contexts), minimum=1)
    if not isinstance(top_k, int):
        raise mismatch("/top_k", top_k, "integer")
    max_tokens = model.max_input_tokens
    texts = [_cut(each, max_tokens) if max_tokens else each for each in (query, *contexts)]
    scores = reranking.scores(model, texts[0], texts[1:], kind)
    return {"response": _ranked(scores)[:top_k]}


def _embed_contexts(
    model: Model, inputs: dict[str, Any], pooling: str, echo: dict[str, str], vectors: ComputeVectors
) -> dict[str, Any]:
    if "contexts" not in inputs:
        raise invalid(
            "oneOf at '/' not met, 0 matches: "
            "required properties at '/' are 'contexts', required properties at '/' are 'text'"
        )
    contexts = _contexts(inputs)
    query = [text_input(inputs, "query")] if inputs.get("query") is not None else []
    data = vectors(model, _fitting(model, query + contexts, inputs), pooling)
    if query:
        return {"response": _ranked(_cosines(data))}
    return {"response": data.tolist(), "shape": list(data.shape), **echo}


def _cosines(vectors: Vectors) -> list[float]:
    """Cosines of the first vector with each of the others, all of unit length; equal ones for equal vectors."""
    cosines: list[float] = (vectors[1:] @ vectors[0]).tolist()
    return [round(each, 6) for each in cosines]


def _ranked(scores: list[float]) -> list[dict[str, Any]]:
    best_first = sorted(enumerate(scores), key=lambda each: -each[1])
    return [{"id": number, "score": score} for number, score in best_first]


# ---- inputs --------------------------------------------------------------------------------------------------------


def _texts(inputs: dict[str, Any], interface: Interface) -> list[str]:
    present = [name for name in interface.texts_from if inputs.get(name) is not None]
    if not present:
        required(inputs, interface.texts_from[-1])
    if inputs.get("instruction") is not None:
        text_input(inputs, "instruction")  # checked, without effect here
    return [each for name in present for each in _texts_of(inputs, name, interface.max_texts)]


def _texts_of(inputs: dict[str, Any], name: str, maximum: int) -> list[str]:
    if not isinstance(inputs[name], list):
        return [text_input(inputs, name)]
    values = list_input(inputs, name)
    if len(values) > maximum:
        raise invalid(f"'/{name}' has {len(values)} items, with a maximum of {maximum}")
    return [_item(f"/{name}/{number}", each) for number, each in enumerate(values)]


def _contexts(inputs: dict[str, Any]) -> list[str]:
    return [_context(number, each) for number, each in enumerate(list_input(inputs, "contexts"))]


def _context(number: int, context: Any) -> str:
    if not isinstance(context, dict):
        raise mismatch(f"/contexts/{number}", context, "object")
    required(cast("dict[str, Any]", context), "text", at=f"/contexts/{number}")
    return _item(f"/contexts/{number}/text", context["text"])


def _item(path: str, value: Any) -> str:
    if not isinstance(value, str):
        raise mismatch(path, value, "string")
    if not value:
        raise invalid(f"'{path}' length must be >= 1")
    return value


def _fitting(model: Model, texts: list[str], inputs: dict[str, Any]) -> list[str]:
    """The texts, cut to the model's input if `truncate_inputs` is true.

    Raises UpstreamError 3030 if one is longer otherwise, or if together they exceed the context window.
    """
    max_tokens, window = model.max_input_tokens, model.context_window
    if max_tokens and inputs.get("truncate_inputs") is True:
        texts = [_cut(each, max_tokens) for each in texts]
    # a token has at least one character: most texts need no count
    if max_tokens and (
        too_long := [n for each in texts if len(each) > max_tokens and (n := _count(each)) > max_tokens]
    ):
        raise UpstreamError(400, 3030, f"Sequence too long: {too_long[0]} > {max_tokens}")
    # a window is a limit of the batch only if it is wider than one text's limit
    if window and window > (max_tokens or 0) and sum(map(len, texts)) > window:
        total = sum(map(_count, texts))
        if total > window:
            raise UpstreamError(400, 3030, f"Max context reached {total} tokens but model supports only {window}")
    return texts


def _count(content: str) -> int:
    """The number of tokens; spaces alone are none, as for the tokenizers of embedding models."""
    return sum(not each.isspace() for each in text.tokens(content))


def _cut(content: str, max_tokens: int) -> str:
    if len(content) <= max_tokens:
        return content
    ends = [each.end() for each in text.TOKEN.finditer(content) if not each[0].isspace()]
    return content if len(ends) <= max_tokens else content[: ends[max_tokens - 1]]
