"""`POST /v1/images/generations`: one image, as base64 or stored in R2. Its bytes stay in JavaScript."""

import json
import re
import time
from typing import Annotated, Any, Literal

from pydantic import Field

from aiworker.bindings import require
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.body import JSON
from aiworker.http.messages import JsHandle, Response
from aiworker.models.catalogue import Model, Range
from aiworker.models.gateway_options import GatewayOptions
from aiworker.models.image_parameters import IMAGE_MODELS
from aiworker.models.model_response import ModelResponse
from aiworker.routes import image
from aiworker.routes.image_schema import MAX_PROMPT, ImageRequest
from aiworker.routes.openai import models
from aiworker.routes.openai.fields import JSON_REPLY, Ignored, IgnoredUnless, Only, OpenAIRequest
from aiworker.routing import MODEL_ERRORS, route

SIZE = re.compile(r"(\d{2,5})x(\d{2,5})")


class ImagesRequest(OpenAIRequest):
    prompt: Annotated[str, Field(min_length=1, max_length=MAX_PROMPT)]
    model: str | None = None
    """IMAGE_MODEL if left out."""
    size: Annotated[str | None, Field(pattern=r"^(auto|\d{2,5}x\d{2,5})$")] = None
    """auto, or width and height in pixels (`1024x1024`): the nearest size that the model makes."""
    response_format: Literal["b64_json", "url"] | None = None
    """b64_json if left out; url stores the image in R2."""
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

    negative_prompt: Annotated[str | None, Field(min_length=1, max_length=MAX_PROMPT)] = None
    """This Worker's own parameter, as in `POST /image`; so are `steps`, `guidance`, `seed` and `gateway`."""
    steps: Annotated[int | None, Field(ge=1, le=50)] = None
    guidance: Annotated[float | None, Field(ge=0, le=100)] = None
    seed: Annotated[int | None, Field(ge=0, le=9_999_999_999)] = None
    gateway: GatewayOptions | None = None

    def to_image(self, model: Model) -> tuple[ImageRequest, list[str]]:
        """Return the equivalent request to `POST /image`, and the names of parameters that the model does not take.

        Each parameter has the nearest value that the model takes.
        """
        supported = IMAGE_MODELS[model.id]
        fields = self.model_dump(include={"negative_prompt", "steps", "guidance", "seed"}, exclude_none=True)
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
        body = ImageRequest(prompt=self.prompt, **fitted, gateway=self.gateway)
        body.check(model)
        return body, ignored


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
    to_image, ignored = body.to_image(model)
    context.log.ignored += ignored
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
