"""`POST /image`: an image from a prompt, from another image, or into a masked part of it; `GET /images/{key}`.

An image's bytes stay in JavaScript: Python reads how they begin, and no more.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from aiworker.bindings import Bucket
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http import media
from aiworker.http.body import FORM, media_type, parse_form, parse_json_with_files
from aiworker.http.messages import Payload, Response, json_response
from aiworker.models import catalogue, model_call
from aiworker.models.catalogue import Model
from aiworker.models.model_call import Answer, Candidate
from aiworker.routes.image_schema import FILES, ImageRequest

TASKS = ("text-to-image", "image-to-image", "inpainting")

EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"}
TYPES = {extension: content_type for content_type, extension in EXTENSIONS.items()}
KEY = re.compile(rf"[0-9a-f]{{64}}\.({'|'.join(EXTENSIONS.values())})")
"""Of a stored image: the SHA-256 of its bytes, and the extension of its type."""

UNREADABLE = 3030
"""Workers AI's code for an image that cannot be decoded."""

PROMPT_BYTES = 7_000
"""Of the prompt that are kept beside an image. R2 has 8,192 for all metadata of an object (developers.cloudflare.com/
r2/platform/limits); the other values take less than 200."""

ONLY_AN_IMAGE = {
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "cross-origin",
}
"""Pages of any origin may show it; opened by itself, it can do nothing."""

FOREVER = "public, max-age=31536000, immutable"
"""Under its key, an image never changes."""


async def create(context: Context) -> Response:
    asked, files = await _received(context)
    model = _model(context, asked)
    asked.check(model)
    _check_images(files)
    bucket = context.the_bucket() if asked.store else None  # before anything is spent
    answer = await made(context, asked, model, files)
    try:
        response = await _delivered(context, asked, answer, bucket)
    except ApiError as error:
        error.headers |= answer.headers  # the model has been called all the same
        raise
    return priced(response, asked, model)


async def read(context: Context, key: str) -> Response:
    """`GET /images/{key}`."""
    found = await context.the_bucket().get(f"images/{key}", context.request) if KEY.fullmatch(key) else None
    if found is None:
        raise ApiError("not_found", "There is no image of that key.")
    cached = {"cache-control": FOREVER} if found.status in (200, 206, 304) else {}
    # by its name, which only `kept` gives: whatever else may have been written to the bucket, it is served as an image
    kind = {"content-type": TYPES[key.rpartition(".")[2]]} if "content-type" in found.headers else {}
    return Response(found.body, found.status, {**found.headers, **kind, **cached, **ONLY_AN_IMAGE})


# ---- the request -------------------------------------------------------------------------------------------------


async def _received(context: Context) -> tuple[ImageRequest, Mapping[str, Payload]]:
    limit = context.settings.max_image_bytes
    if media_type(context.request) != FORM:
        return await parse_json_with_files(ImageRequest, context.request, limit, FILES)
    asked, files = await parse_form(ImageRequest, context.request, limit, FILES)
    # in a form, texts and files come apart
    for name in FILES:
        if getattr(asked, name) is not None:
            raise ApiError("invalid_request", f"{name} must be a file in a form, not a text.", param=name)
    return asked.with_files(files), files


def _model(context: Context, asked: ImageRequest) -> Model:
    defaults = context.settings.models
    if asked.mask is not None:
        default = defaults["INPAINT_MODEL"]
    else:
        default = defaults["IMAGE_MODEL" if asked.image is None else "EDIT_MODEL"]
    model_id = asked.model or default
    known = catalogue.MODELS.get(model_id)
    return catalogue.find(model_id, known.task if known and known.task in TASKS else TASKS[0])


def _check_images(files: Mapping[str, Payload]) -> None:
    for name, payload in files.items():
        if media.image_type(payload.read(0, media.HEAD)) is None:
            raise ApiError("invalid_request", f"{name} is no PNG, JPEG, WebP or GIF image.", param=name)


async def made(context: Context, asked: ImageRequest, model: Model, files: Mapping[str, Payload]) -> Answer:
    try:
        answer = await model_call.run(context, [Candidate(model, asked.inputs(model, files))], asked.gateway)
    except ApiError as error:
        if error.upstream_code == UNREADABLE and len(files) == 1:  # of several, upstream does not say which
            error.param = next(iter(files))
        raise
    model_call.neurons([answer], {}, asked.neurons(model))
    return answer


# ---- the answer --------------------------------------------------------------------------------------------------


async def _delivered(context: Context, asked: ImageRequest, answer: Answer, bucket: Bucket | None) -> Response:
    image, content_type = await image_of(answer)
    if bucket is None:
        return answer.response(image.body, content_type)
    name = await kept(bucket, asked, answer.model, image, content_type)
    return _created(context, answer, name, image, content_type)


async def kept(bucket: Bucket, asked: ImageRequest, model: Model, image: Payload, content_type: str) -> str:
    """Its key, under which `GET /images/{key}` finds it."""
    name = f"{await image.sha256()}.{EXTENSIONS[content_type]}"
    await bucket.put(f"images/{name}", image, content_type, _metadata(asked, model))
    return name


async def image_of(answer: Answer) -> tuple[Payload, str]:
    """The image, whether it comes as bytes or as base64 in JSON, and its media type.

    Raises ApiError `upstream_error` if it is none.
    """
    is_json = answer.content_type.startswith("application/json")
    image = await (answer.raw.base64_payload("image") if is_json else answer.raw.payload())
    content_type = media.image_type(image.read(0, media.HEAD))
    if content_type is None:
        raise ApiError("upstream_error", f"{answer.model.id} has answered what is no image.")
    return image, content_type


def _metadata(asked: ImageRequest, model: Model) -> dict[str, str]:
    created = datetime.now(UTC).isoformat(timespec="seconds")
    seed = {} if asked.seed is None else {"seed": str(asked.seed)}
    prompt = asked.prompt.encode()[:PROMPT_BYTES].decode(errors="ignore")  # a letter that is cut in two falls away
    return {"model": model.id, "prompt": prompt, "created": created, **seed}


def _created(context: Context, answer: Answer, name: str, image: Payload, content_type: str) -> Response:
    url = f"{context.request.origin}/images/{name}"
    response = json_response(
        {"key": name, "url": url, "content_type": content_type, "size": image.size, "model": answer.model.id}, 201
    )
    response.headers |= {**answer.headers, "location": url, "cache-control": "no-store"}
    return response


def priced(response: Response, asked: ImageRequest, model: Model) -> Response:
    """The response with `x-neurons`, what the image has cost, if the answer does not say so itself."""
    neurons = asked.neurons(model)
    if neurons is not None:
        response.headers.setdefault("x-neurons", f"{neurons:.4g}")
    return response
