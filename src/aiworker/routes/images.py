"""`GET /images`: the stored images of a caller."""

from typing import Annotated

from pydantic import Field

from aiworker.auth.access import ADMIN
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.body import Reply, Schema
from aiworker.http.messages import Response, json_response
from aiworker.routing import Returns, route

FOLDER = "images/"


class ImagesQuery(Schema):
    cursor: Annotated[str, Field(max_length=2_000)] = ""
    """`cursor` of the page before."""


class ImageEntry(Reply):
    key: str
    url: str
    model: str | None
    prompt: str | None
    """Its first 7,000 bytes."""
    created_at: str | None


class ImageList(Reply):
    images: list[ImageEntry]
    cursor: str | None
    """Cursor of the next page; null on the last page. A page may have few images, or none, before the last one."""


@route(
    "GET", "/images", scope="image", rate="read", tag="Images and speech",
    query=ImagesQuery, returns=Returns(ImageList, "A page."), errors=("invalid_request", "forbidden", "upstream_error"),
)  # fmt: skip
async def list_images(context: Context, query: ImagesQuery) -> Response:
    """List the caller's stored images.

    Those that were stored with the same key, or by the same user of browser tokens; all of them for the scope `admin`.
    Ordered by key, in pages. Callers without a key, and tokens without a subject, have none of their own.
    """
    owner, sees_all = context.caller.owner, context.caller.has_scope(ADMIN)
    if not (owner or sees_all):
        raise ApiError("forbidden", "Callers without a key or a subject have no images of their own.")
    try:
        objects, cursor = await context.bucket.page(FOLDER, query.cursor or None)
    except ApiError as error:
        if not query.cursor:
            raise
        raise ApiError("invalid_request", "cursor must be that of the page before.", param="cursor") from error
    entries = [
        {
            "key": (key := path.removeprefix(FOLDER)),
            "url": f"{context.request.origin}/images/{key}",
            "model": metadata.get("model"),
            "prompt": metadata.get("prompt"),
            "created_at": metadata.get("created"),
        }
        for path, metadata in objects.items()
        if sees_all or metadata.get("owner") == owner
    ]
    return json_response({"images": entries, "cursor": cursor})
