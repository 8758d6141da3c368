"""The tools of `POST /mcp`. Each calls what its route calls, so that limits, guard, budget and log are the same."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic_core import from_json

from aiworker import tools, web_search
from aiworker.bindings import require
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.body import Reply, Schema
from aiworker.http.json_parts import base64_value
from aiworker.http.messages import Payload, Response
from aiworker.routes import documents, image, rag, speech
from aiworker.routes.documents_schema import DocumentList, ListQuery
from aiworker.routes.image_schema import ImageRequest
from aiworker.routes.mcp.tool import McpTool, OwnTool, RouteTool, RunRoute, ToolResult
from aiworker.routes.rag_schema import Passages, RagReply, RagRequest, SearchRequest
from aiworker.routes.speech_schema import TranscribeRequest, Transcription
from aiworker.routing import ROUTES

Files = Mapping[str, Payload]

ROUTE_TOOLS: dict[str, RouteTool] = {}
"""Name → tool."""

QUERY = "What to look for: a question, or words."
FILTER = "Filter on the documents' metadata, with $eq $ne $in $nin $lt $lte $gt $gte."
MODEL = "The id of a model; leave it out for the default."


def route_tool(
    path: str,
    schema: type[Schema],
    title: str,
    arguments: Mapping[str, str],
    *,
    method: str = "POST",
    required: Sequence[str] = (),
    files: Mapping[str, str] | None = None,
    reply: type[Reply] | None = None,
    is_reading: bool = True,
) -> Callable[[RunRoute], RunRoute]:
    """Offer a route as a tool, whose name and description are those of the function. Fields: see RouteTool."""

    def register(function: RunRoute) -> RunRoute:
        ROUTE_TOOLS[function.__name__] = RouteTool(
            title, ROUTES[path][method], schema, arguments, required, function, reply, files or {}, is_reading
        )
        return function

    return register


def allowed(context: Context) -> dict[str, McpTool]:
    """Return the tools that the caller's scopes allow, by name. A route's tool takes precedence over one of
    aiworker.tools."""
    own = {**web_search.tools_of(context), **tools.TOOLS}
    known: dict[str, McpTool] = {name: OwnTool(each) for name, each in own.items()}
    known.update(ROUTE_TOOLS)
    return {name: each for name, each in known.items() if context.caller.has_scope(each.scope)}


def file_names() -> tuple[str, ...]:
    """Return the names of arguments that are files."""
    return tuple({name for each in ROUTE_TOOLS.values() for name in each.files})


# ---- documents ---------------------------------------------------------------------------------------------------


@route_tool(
    "/rag/search", SearchRequest, "Search documents", required=["query"], reply=Passages,
    arguments={"query": QUERY, "top_k": "How many passages at most.", "filter": FILTER},
)  # fmt: skip
async def search_documents(context: Context, body: SearchRequest, files: Files) -> ToolResult:  # noqa: ARG001
    """Find the passages of the stored documents that are most relevant to a question, with their sources.

    To have the question answered, use ask_documents.
    """
    response = await rag.search(context, body)
    matches = _data(response)
    texts = [f"{_source(each)}\n{each['text']}" for each in matches["passages"]]
    return ToolResult("\n\n".join(texts) or rag.NO_RESULTS, (), matches, response.headers)


@route_tool(
    "/rag", RagRequest, "Ask documents", required=["query"], reply=RagReply,
    arguments={
        "query": "The question.", "top_k": "How many passages the answer rests on at most.", "filter": FILTER,
        "model": MODEL,
    },
)  # fmt: skip
async def ask_documents(context: Context, body: RagRequest, files: Files) -> ToolResult:  # noqa: ARG001
    """Answer a question from the stored documents. The answer cites its sources as [1]."""
    response = await rag.rag(context, body.model_copy(update={"stream": False}))
    answer = _data(response)
    cited = [each for each in answer["sources"] if each["number"] in answer["citations"]]
    return ToolResult("\n\n".join([answer["answer"], *map(_source, cited)]), (), answer, response.headers)


@route_tool(
    "/rag/documents", ListQuery, "List documents", method="GET", reply=DocumentList,
    arguments={"cursor": "`cursor` of the page before.", "limit": "How many documents at most."},
)  # fmt: skip
async def list_documents(context: Context, query: ListQuery, files: Files) -> ToolResult:  # noqa: ARG001
    """List the stored documents: id, title, state and metadata, a page at a time."""
    response = await documents.list_documents(context, query)
    page = _data(response)
    lines = [f"{each['id']}: {each['title']} ({each['state']})" for each in page["documents"]]
    more = [f"There are more: pass the cursor {page['cursor']}."] if page["cursor"] else []
    return ToolResult("\n".join([*lines, *more]) or "There are no documents.", (), page, response.headers)


def _data(response: Response) -> dict[str, Any]:
    """Return the JSON of a route's response."""
    return from_json(str(response.body))


def _source(source: Mapping[str, Any]) -> str:
    page = [f"page {source['page']}"] if source["page"] else []
    names = [source["title"], source["heading"], *page, source["url"]]
    return f"[{source['number']}] {', '.join(filter(None, names))} (document {source['document']})"


# ---- images and speech -------------------------------------------------------------------------------------------


@route_tool(
    "/image", ImageRequest, "Generate an image", required=["prompt"], is_reading=False,
    arguments={
        "prompt": "What the image shows.", "negative_prompt": "What it must not show.", "width": "Pixels.",
        "height": "Pixels.", "seed": "The same seed and prompt give the same image.", "model": MODEL,
        "store": "Store the image and return its address in place of the image.",
    },
)  # fmt: skip
async def generate_image(context: Context, body: ImageRequest, files: Files) -> ToolResult:  # noqa: ARG001
    """Make an image from a description."""
    model = image.choose_model(context, body)
    body.check(model)
    bucket = require(context.bucket) if body.store else None  # fails before the model is called
    response = await image.generate(context, body, model, {})
    try:
        payload, content_type = await image.image_of(response)
        key = await image.store(context, bucket, body, model, payload, content_type) if bucket else None
    except ApiError as error:
        error.headers |= response.headers  # the call has been made and paid
        raise
    headers = image.priced(response.response(None), body, model).headers
    if key:
        return ToolResult(f"{context.request.origin}/images/{key}", headers=headers)
    block = {"type": "image", "data": base64_value(payload), "mimeType": content_type}
    return ToolResult("", [block], headers=headers)


@route_tool(
    "/transcribe", TranscribeRequest, "Transcribe a recording", reply=Transcription,
    files={"audio": "The recording, in base64: WAV, MP3, FLAC, Ogg and others."},
    arguments={
        "language": "The language that is spoken, such as en; detected if left out.",
        "prompt": "Names and terms that occur in the recording.", "model": MODEL,
    },
)  # fmt: skip
async def transcribe(context: Context, body: TranscribeRequest, files: Files) -> ToolResult:
    """Transcribe a recording."""
    response = await speech.transcript_response(context, body, speech.recording_of(files["audio"], "audio"))
    transcript = _data(response)
    return ToolResult(transcript["text"], (), transcript, response.headers)
