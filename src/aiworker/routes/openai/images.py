"""`POST /v1/images/generations`: one image, as base64 or stored in R2. Its bytes stay in JavaScript."""

import json
import re
import time
from typing import Annotated, Any, Literal

from pydantic import Field

from aiworker.bindings import require
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.body import JSON, Schema
from aiworker.http.messages import JsHandle, Response
from aiworker.models.catalogue import Model
from aiworker.models.gateway_options import GatewayOptions
from aiworker.models.image_parameters import IMAGE_MODELS
from aiworker.models.model_response import ModelResponse
from aiworker.routes import image
from aiworker.routes.image_schema import MAX_PROMPT, ImageRequest
from aiworker.routes.openai import models
from aiworker.routes.openai.fields import JSON_REPLY, Ignored, Only
from aiworker.routing import MODEL_ERRORS, route

SIZE = re.compile(r"(\d{2,5})x(\d{2,5})")


class ImagesRequest(Schema):
    prompt: Annotated[str, Field(min_length=1, max_length=MAX_PROMPT)]
    model: str | None = None
    """IMAGE_MODEL if left out."""
    size: Annotated[str | None, Field(pattern=r"^(auto|\d{2,5}x\d{2,5})$")] = None
    """auto, or width and height in pixels (`1024x1024`), within the model's limits."""
    response_format: Literal["b64_json", "url"] | None = None
    """b64_json if left out; url stores the image in R2."""
    n: Annotated[Any, Only(1, because="send several requests for several images")] = None
    stream: Annotated[Any, Only(False)] = None
    partial_images: Annotated[Any, Only(0)] = None
    background: Annotated[Any, Only("auto", "opaque", because="no model here has transparent backgrounds")] = None
    svg: Annotated[Any, Only()] = None
    frame_count: Annotated[Any, Only(1)] = None
    frame_duration_ms: Annotated[Any, Only()] = None
    complexity: Ignored = None
    moderation: Ignored = None
    output_compression: Ignored = None
    output_format: Ignored = None
    """Without effect; the response's `output_format` is the image's format."""
    quality: Ignored = None
    safety_identifier: Ignored = None
    style: Ignored = None
    user: Ignored = None

    negative_prompt: Annotated[str | None, Field(min_length=1, max_length=MAX_PROMPT)] = None
    """This Worker's own parameter, as in `POST /image`; so are `steps`, `guidance`, `seed` and `gateway`."""
    steps: Annotated[int | None, Field(ge=1, le=50)] = None
    guidance: Annotated[float | None, Field(ge=0, le=100)] = None
    seed: Annotated[int | None, Field(ge=0, le=9_999_999_999)] = None
    gateway: GatewayOptions | None = None

    def to_image(self, model: Model) -> ImageRequest:
        """Return the equivalent request to `POST /image`.

        Raises ApiError `invalid_request` for a size or a parameter that the model does not take.
        """
        fields = self.model_dump(include={"prompt", "negative_prompt", "steps", "guidance", "seed"}, exclude_none=True)
        size = SIZE.fullmatch(self.size or "")
        if size:
            fields |= _sides(model, int(size[1]), int(size[2]))
        body = ImageRequest(**fields, gateway=self.gateway)
        body.check(model)
        return body


def _sides(model: Model, width: int, height: int) -> dict[str, int]:
    """Return the parameters of a size; none for the only size of a model. Raises ApiError `invalid_request`."""
    supported = IMAGE_MODELS[model.id]
    default = supported.defaults and supported.defaults[:2]
    if "width" not in supported.numbers:
        if (width, height) == default:
            return {}
        own = f"{default[0]}x{default[1]}" if default else "auto"
        raise ApiError(
            "invalid_request", f"size must be {own} for {model.id}, which makes no other size.", param="size"
        )
    for name, side in (("width", width), ("height", height)):
        low, high = supported.numbers[name]
        if not low <= side <= high:
            message = f"The {name} in size must be between {low} and {high} for {model.id}."
            raise ApiError("invalid_request", message, param="size")
    return {"width": width, "height": height}


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
    to_image = body.to_image(model)
    has_url = body.response_format == "url"
    if has_url:
        require(context.bucket)  # fails before the model is called
    response = await image.generate(context, to_image, model, {})
    try:
        content = await _content(context, to_image, response, has_url=has_url)
    except ApiError as error:
        error.headers |= response.headers  # the call has been made and paid
        raise
    return image.priced(response.response(content, JSON), to_image, model)


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
