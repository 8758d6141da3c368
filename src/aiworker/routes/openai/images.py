"""`POST /v1/images/generations` and `/v1/images/edits`: one image, as base64 or stored in R2.

The bytes of images stay in JavaScript.
"""

import json
import re
import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from aiworker.bindings import require
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.body import FORM, JSON, check_form, parse_form
from aiworker.http.messages import JsHandle, Payload, Response
from aiworker.models.catalogue import Model, Range
from aiworker.models.gateway_options import GatewayOptions
from aiworker.models.image_parameters import IMAGE_MODELS, REFERENCES
from aiworker.models.model_response import ModelResponse
from aiworker.routes import image
from aiworker.routes.image_schema import MAX_PROMPT, ImageRequest
from aiworker.routes.openai import models
from aiworker.routes.openai.fields import JSON_REPLY, Ignored, IgnoredUnless, Only, OpenAIRequest
from aiworker.routing import MODEL_ERRORS, route

SIZE = re.compile(r"(\d{2,5})x(\d{2,5})")


class ImageOptions(OpenAIRequest):
    """Fields of both routes."""

    prompt: Annotated[str, Field(min_length=1, max_length=MAX_PROMPT)]
    model: str | None = None
    size: Annotated[str | None, Field(pattern=r"^(auto|\d{2,5}x\d{2,5})$")] = None
    """auto, or width and height in pixels (`1024x1024`): the nearest size that the model makes."""
    response_format: Literal["b64_json", "url"] | None = None
    """b64_json if left out; url stores the image in R2."""

    negative_prompt: Annotated[str | None, Field(min_length=1, max_length=MAX_PROMPT)] = None
    """This Worker's own parameter, as in `POST /image`; so are `steps`, `guidance` and `seed`."""
    steps: Annotated[int | None, Field(ge=1, le=50)] = None
    guidance: Annotated[float | None, Field(ge=0, le=100)] = None
    seed: Annotated[int | None, Field(ge=0, le=9_999_999_999)] = None

    def to_image(
        self, model: Model, gateway: GatewayOptions | None = None, files: Mapping[str, Payload] | None = None
    ) -> tuple[ImageRequest, list[str]]:
        """Return the equivalent request to `POST /image`, and the names of parameters that the model does not take.

        Each parameter has the nearest value that the model takes. files: images by the names of that route's fields.
        """
        supported = IMAGE_MODELS[model.id]
        fields = self.model_dump(
            include={"negative_prompt", "steps", "guidance", "seed", "strength"}, exclude_none=True
        )
        ignored = [name for name in fields if name not in supported.names]
        fitted = {
            name: _nearest(value, supported.numbers.get(name)) for name, value in fields.items() if name not in ignored
        }
        size = SIZE.fullmatch(self.size or "")
        sides = (int(size[1]), int(size[2])) if size else None
        if sides and "width" in supported.numbers:
            own = [_nearest(side, supported.numbers["width"]) for side in sides]
            fitted |= {"width": own[0], "height": own[1]}
            ignored += ["size"] if own != [*sides] else []
        elif sides and sides != (supported.defaults and supported.defaults[:2]):
            ignored.append("size")
        body = ImageRequest(prompt=self.prompt, **fitted, gateway=gateway).with_files(files or {})
        body.check(model)
        return body, ignored


class ImagesRequest(ImageOptions):
    """`model`: IMAGE_MODEL if left out."""

    n: Annotated[Any, IgnoredUnless(1)] = None
    """The response has one image."""
    stream: Annotated[Any, Only(False)] = None
    partial_images: Annotated[Any, IgnoredUnless(0)] = None
    background: Annotated[Any, IgnoredUnless("auto", "opaque")] = None
    svg: Annotated[Any, Only()] = None
    frame_count: Annotated[Any, Only(1)] = None
    frame_duration_ms: Annotated[Any, Only()] = None
    complexity: Ignored = None
    moderation: Ignored = None
    output_compression: Annotated[Any, IgnoredUnless(100)] = None
    output_format: Annotated[Any, IgnoredUnless()] = None
    """The response's `output_format` is the image's format."""
    quality: Annotated[Any, IgnoredUnless("auto", "standard", "medium")] = None
    safety_identifier: Ignored = None
    style: Annotated[Any, IgnoredUnless()] = None
    user: Ignored = None

    gateway: GatewayOptions | None = None
    """This Worker's own parameter, as in `POST /image`."""


def _nearest(value: Any, bounds: Range | None) -> Any:
    """Return the nearest value within the bounds; the value itself without bounds."""
    return value if bounds is None else type(value)(min(max(value, bounds[0]), bounds[1]))


@route(
    "POST", "/v1/images/generations", scope="image", rate="heavy", tag="OpenAI",
    body=ImagesRequest,
    returns=JSON_REPLY, errors=(*MODEL_ERRORS, "unprocessable"),
    example={"prompt": "a red fox in the snow", "response_format": "b64_json"},
)  # fmt: skip
async def openai_images(context: Context, body: ImagesRequest) -> Response:
    """Generate an image, for OpenAI's clients.

    docs/openai.md describes what becomes of each parameter.
    """
    model = models.find(context, body.model or context.settings.models["IMAGE_MODEL"], "text-to-image")
    to_image, ignored = body.to_image(model, body.gateway)
    context.log.ignored += ignored
    return await _respond(context, to_image, model, {}, has_url=body.response_format == "url")


# ---- edits -------------------------------------------------------------------------------------------------------


class ImageEditRequest(ImageOptions):
    """Fields of a form, beside its files. `model`: EDIT_MODEL if left out, INPAINT_MODEL with a `mask`."""

    n: Annotated[Any, IgnoredUnless("1")] = None
    stream: Annotated[Any, Only("false", because="an image is returned whole")] = None
    partial_images: Annotated[Any, IgnoredUnless("0")] = None
    background: Annotated[Any, IgnoredUnless("auto", "opaque")] = None
    complexity: Ignored = None
    frame_count: Annotated[Any, Only("1")] = None
    frame_duration_ms: Annotated[Any, Only()] = None
    svg: Annotated[Any, Only()] = None
    input_fidelity: Annotated[Any, IgnoredUnless()] = None
    output_compression: Annotated[Any, IgnoredUnless("100")] = None
    output_format: Annotated[Any, IgnoredUnless()] = None
    quality: Annotated[Any, IgnoredUnless("auto", "standard", "medium")] = None
    safety_identifier: Ignored = None
    user: Ignored = None
    strength: Annotated[float | None, Field(ge=0, le=1)] = None
    """This Worker's own parameter, as in `POST /image`: how much of the image is made anew."""


EDIT_FILES = ("image", "image[]", "mask")


@route(
    "POST", "/v1/images/edits", scope="image", rate="heavy", tag="OpenAI",
    body={FORM: ImageEditRequest}, files=EDIT_FILES,
    returns=JSON_REPLY, errors=(*MODEL_ERRORS, "unprocessable"),
)  # fmt: skip
async def openai_image_edits(context: Context) -> Response:
    """Edit an image, for OpenAI's clients.

    docs/openai.md describes what becomes of each parameter.
    """
    check_form(context.request, "images")
    body, uploads = await parse_form(
        ImageEditRequest, context.request, context.settings.max_image_bytes, EDIT_FILES
    )  # fmt: skip
    files = _edit_files(uploads)
    model = _edit_model(context, body, has_mask="mask" in files)
    to_image, ignored = body.to_image(model, files=files)
    image.check_images(model, files)
    context.log.ignored += [*body.ignored_parameters(), *ignored]
    return await _respond(context, to_image, model, files, has_url=body.response_format == "url")


def _edit_files(uploads: Mapping[str, Payload]) -> dict[str, Payload]:
    """Return the images by the names of the fields of `POST /image`.

    Clients write one image as `image`, several as `image[]`, which arrive numbered. Raises ApiError `invalid_request`.
    """
    images = [payload for name, payload in uploads.items() if name != "mask"]
    if not images:
        raise ApiError("invalid_request", "image is required: the image to edit, as a file of the form.", param="image")
    if len(images) > len(REFERENCES):
        raise ApiError("invalid_request", f"image may be given up to {len(REFERENCES)} times.", param="image")
    mask = {"mask": uploads["mask"]} if "mask" in uploads else {}
    return dict(zip(REFERENCES, images, strict=False)) | mask


def _edit_model(context: Context, body: ImageEditRequest, *, has_mask: bool) -> Model:
    """Return the model that edits. Names that stand for IMAGE_MODEL, which makes images, stand for the default here."""
    defaults = context.settings.models
    target = context.settings.resolve_alias(body.model or "")
    is_alias = body.model is not None and target != body.model and target == defaults["IMAGE_MODEL"]
    if body.model is None or is_alias:
        target = defaults["INPAINT_MODEL" if has_mask else "EDIT_MODEL"]
    return image.find_image_model(context, target)


# ---- both --------------------------------------------------------------------------------------------------------


async def _respond(
    context: Context, body: ImageRequest, model: Model, files: Mapping[str, Payload], *, has_url: bool
) -> Response:
    """Call the model, and return its image as base64 or as the address of a stored one."""
    if has_url:
        require(context.bucket)  # fails before the model is called
    response = await image.generate(context, body, model, files)
    try:
        content = await _content(context, body, response, has_url=has_url)
    except ApiError as error:
        error.headers |= response.headers  # the call has been made and paid
        raise
    return image.priced(response.response(content, JSON), body, model)


async def _content(
    context: Context, body: ImageRequest, response: ModelResponse, *, has_url: bool
) -> list[str | JsHandle]:
    """Return the parts of the response's body: JSON text, and the image as base64, which stays in JavaScript."""
    payload, content_type = await image.image_of(response)
    facts = {"created": int(time.time()), "output_format": content_type.removeprefix("image/")}
    begin = f'{json.dumps(facts)[:-1]},"data":[{{'
    if has_url:
        key = await image.store(context, context.bucket, body, response.model, payload, content_type)
        return [begin, f'"url":{json.dumps(f"{context.request.origin}/images/{key}")}', "}]}"]
    return [begin, '"b64_json":"', payload.base64(), '"}]}']
