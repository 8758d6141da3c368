"""`POST /image`, `GET /images/{key}` and `DELETE /images/{key}`.

An image's bytes stay in JavaScript: Python reads only the first ones, to recognise the format.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from aiworker.auth.access import ADMIN
from aiworker.bindings import Bucket, require
from aiworker.context import Context
from aiworker.errors import UNUSABLE_INPUT, ApiError
from aiworker.http import media
from aiworker.http.body import FORM, JSON, media_type, parse_form, parse_json_with_files
from aiworker.http.messages import Payload, Response, json_response
from aiworker.models import catalogue
from aiworker.models.catalogue import Model
from aiworker.models.image_parameters import FILES, IMAGE_MODELS
from aiworker.models.model_call import Candidate, ModelCall
from aiworker.models.model_response import ModelResponse, record_cost
from aiworker.models.selection import find_model
from aiworker.models.written_bytes import check_written
from aiworker.routes.image_schema import ImageRequest, StoredImage
from aiworker.routing import BYTES, MODEL_ERRORS, Returns, route

TASKS = ("text-to-image", "image-to-image", "inpainting")

EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"}
TYPES = {extension: content_type for content_type, extension in EXTENSIONS.items()}
KEY = re.compile(rf"[0-9a-f]{{64}}\.({'|'.join(EXTENSIONS.values())})")
"""Key of a stored image: the SHA-256 of its bytes and the extension of its format."""

MAX_STORED_PROMPT = 7_000
"""Bytes of the prompt that are stored with an image. R2 has 8,192 for all metadata of an object
(developers.cloudflare.com/r2/platform/limits); the other values take less than 500."""

IMAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "cross-origin",
}
"""Pages of any origin may show the image; opened by itself, it can run nothing."""

FOREVER = "public, max-age=31536000, immutable"
"""The image of a key never changes."""


@route(
    "POST", "/image", scope="image", rate="heavy", tag="Images and speech",
    body={JSON: ImageRequest, FORM: ImageRequest}, files=FILES,
    returns=(
        Returns({"image/*": BYTES}, "The image."),
        Returns(StoredImage, "The image is stored (`store`).", 201),
    ),
    errors=MODEL_ERRORS, example={"prompt": "a red fox in the snow"},
)  # fmt: skip
async def create_image(context: Context) -> Response:
    """Generate an image.

    From a prompt alone, from an `image` to edit, or with a `mask` of the part to replace.
    """
    body, files = await _parse(context)
    model = choose_model(context, body)
    body.check(model)
    check_images(model, files)
    bucket = require(context.bucket) if body.store else None  # fails before the model is called
    model_response = await generate(context, body, model, files)
    try:
        response = await _response(context, body, model_response, bucket)
    except ApiError as error:
        error.headers |= model_response.headers  # the call has been made and paid
        raise
    return priced(response, body, model)


@route(
    "GET", "/images/{key}", scope="open", rate="read", tag="Images and speech",
    returns=(
        Returns({"image/*": BYTES}, "The image."),
        Returns({"image/*": BYTES}, "The requested range.", 206),
        Returns(status=304, description="The client's copy is current."),
        Returns(status=412, description="A precondition failed."),
        Returns(status=416, description="The range lies behind the image's end."),
    ),
    errors=("not_found", "upstream_error"),
)  # fmt: skip
async def read_image(context: Context, key: str) -> Response:
    """Read a stored image.

    Supports ETag, conditional and range requests; an image never changes.
    """
    stored = await context.bucket.get(f"images/{key}", context.request) if KEY.fullmatch(key) else None
    if stored is None:
        raise ApiError("not_found", "There is no image with this key.")
    cached = {"cache-control": FOREVER} if stored.status in (200, 206, 304) else {}
    # the type comes from the key, so that any other object in the bucket is served as an image too
    kind = {"content-type": TYPES[key.rpartition(".")[2]]} if "content-type" in stored.headers else {}
    return Response(stored.body, stored.status, {**stored.headers, **kind, **cached, **IMAGE_HEADERS})


@route(
    "DELETE", "/images/{key}", scope="image", rate="read", tag="Images and speech",
    returns=Returns(status=204, description="The image is deleted."), errors=("not_found", "upstream_error"),
)  # fmt: skip
async def delete_image(context: Context, key: str) -> Response:
    """Delete a stored image.

    One that the caller was the first to store, with the same API key or as the same user; with the scope `admin`, any.
    Copies in caches of browsers and proxies stay.
    """
    path = f"images/{key}"
    metadata = await context.bucket.metadata(path) if KEY.fullmatch(key) else None
    if metadata is None:
        raise ApiError("not_found", "There is no image with this key.")
    owner = context.caller.owner
    is_own = bool(owner) and metadata.get("owner") == owner
    if not is_own and not context.caller.has_scope(ADMIN):
        raise ApiError(
            "forbidden", "This image was first stored by another caller, who alone can delete it, or an admin."
        )
    await context.bucket.delete(path)
    return Response(status=204)


# ---- the request -------------------------------------------------------------------------------------------------


async def _parse(context: Context) -> tuple[ImageRequest, Mapping[str, Payload]]:
    limit = context.settings.max_image_bytes
    if media_type(context.request) != FORM:
        return await parse_json_with_files(ImageRequest, context.request, limit, FILES)
    body, files = await parse_form(ImageRequest, context.request, limit, FILES)
    return body.with_files(files), files


def choose_model(context: Context, body: ImageRequest) -> Model:
    """Return the model that the request names, else the default for its task."""
    defaults = context.settings.models
    if body.mask is not None:
        default = defaults["INPAINT_MODEL"]
    else:
        default = defaults["IMAGE_MODEL" if body.image is None else "EDIT_MODEL"]
    return find_image_model(context, body.model or default)


def find_image_model(context: Context, model_id: str) -> Model:
    """Return the model of this id, for any of TASKS. Raises ApiError as `find_model` does."""
    known = catalogue.MODELS.get(model_id)
    return find_model(context, model_id, known.task if known and known.task in TASKS else TASKS[0])


def check_images(model: Model, files: Mapping[str, Payload]) -> None:
    """Raises ApiError for a file that is no image, or one that is too large for the model."""
    for name, payload in files.items():
        _, encoding = IMAGE_MODELS[model.id].files[name]
        if encoding != "form":
            check_written(name, payload.size, encoding, model.id, f"send a smaller image{_others(name)}")
        if media.detect_image_type(payload.read(0, media.HEAD)) is None:
            raise ApiError("invalid_request", f"{name} is not a PNG, JPEG, WebP or GIF image.", param=name)


def _others(name: str) -> str:
    """Return the models that take a file of any size, as the end of a sentence; empty if there are none."""
    others = [model for model, each in IMAGE_MODELS.items() if each.files.get(name, ("", ""))[1] == "form"]
    return f", or use {' or '.join(others)}" if others else ""


async def generate(context: Context, body: ImageRequest, model: Model, files: Mapping[str, Payload]) -> ModelResponse:
    """Call the model, and record the cost. Raises ApiError, with the file at fault in `param` if it is known."""
    try:
        model_response = await ModelCall(context, [Candidate(model, body.inputs(model, files))], body.gateway).run()
    except ApiError as error:
        if error.upstream_code == UNUSABLE_INPUT and len(files) == 1:  # among several, the file at fault is unknown
            error.param = next(iter(files))
        raise
    record_cost([model_response], {}, body.neurons(model))
    return model_response


# ---- the response ------------------------------------------------------------------------------------------------


async def _response(
    context: Context, body: ImageRequest, model_response: ModelResponse, bucket: Bucket | None
) -> Response:
    image, content_type = await image_of(model_response)
    if bucket is None:
        return model_response.response(image.body, content_type)
    name = await store(context, bucket, body, model_response.model, image, content_type)
    return _created(context, model_response, name, image, content_type)


async def store(
    context: Context, bucket: Bucket, body: ImageRequest, model: Model, image: Payload, content_type: str
) -> str:
    """Store an image; return its key for `GET /images/{key}`.

    An image that is stored already stays as it is: making another caller's image again does not change its owner.
    """
    name = f"{await image.sha256()}.{EXTENSIONS[content_type]}"
    stored = await bucket.metadata(f"images/{name}")
    if stored is None or not stored.get("owner"):
        await bucket.put(f"images/{name}", image, content_type, _metadata(context, body, model))
    return name


async def image_of(model_response: ModelResponse) -> tuple[Payload, str]:
    """Return the image, which the model sends as bytes or as base64 in JSON, and its media type.

    Raises ApiError `upstream_error` if it is not an image.
    """
    is_json = model_response.content_type.startswith("application/json")
    image = await (model_response.raw.base64_payload("image") if is_json else model_response.raw.payload())
    content_type = media.detect_image_type(image.read(0, media.HEAD))
    if content_type is None:
        raise ApiError("upstream_error", f"{model_response.model.id} returned no image.")
    return image, content_type


def _metadata(context: Context, body: ImageRequest, model: Model) -> dict[str, str]:
    created = datetime.now(UTC).isoformat(timespec="seconds")
    seed = {} if body.seed is None else {"seed": str(body.seed)}
    prompt = body.prompt.encode()[:MAX_STORED_PROMPT].decode(errors="ignore")  # without a character that was cut in two
    tenant = context.caller.resolve_tenant(None)
    return {
        "model": model.id,
        "prompt": prompt,
        "created": created,
        "tenant": tenant,
        "owner": context.caller.owner,
        **seed,
    }


def _created(context: Context, model_response: ModelResponse, name: str, image: Payload, content_type: str) -> Response:
    url = f"{context.request.origin}/images/{name}"
    response = json_response(
        {"key": name, "url": url, "content_type": content_type, "size": image.size, "model": model_response.model.id},
        201,
    )
    response.headers |= {**model_response.headers, "location": url, "cache-control": "no-store"}
    return response


def priced(response: Response, body: ImageRequest, model: Model) -> Response:
    """Add `x-neurons`, the image's cost, unless the model reported it."""
    neurons = body.neurons(model)
    if neurons is not None:
        response.headers.setdefault("x-neurons", f"{neurons:.4g}")
    return response
