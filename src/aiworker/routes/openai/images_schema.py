"""The body of `POST /v1/images/generations`."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field

from aiworker.errors import ApiError
from aiworker.http.body import Schema
from aiworker.models.catalogue import Model
from aiworker.models.gateway_options import GatewayOptions
from aiworker.models.image_parameters import IMAGE_MODELS
from aiworker.routes.image_schema import MAX_PROMPT, ImageRequest
from aiworker.routes.openai.fields import Ignored, Only

SIZE = re.compile(r"(\d{2,5})x(\d{2,5})")


class ImagesRequest(Schema):
    prompt: Annotated[str, Field(min_length=1, max_length=MAX_PROMPT)]
    model: str | None = None
    """IMAGE_MODEL, if it is left out."""
    size: Annotated[str | None, Field(pattern=r"^(auto|\d{2,5}x\d{2,5})$")] = None
    """auto, or width and height in pixels as far as the model takes them."""
    response_format: Literal["b64_json", "url"] | None = None
    """b64_json if it is left out; url: the image is kept in R2."""
    n: Annotated[Any, Only(1, because="ask several times for several images")] = None
    stream: Annotated[Any, Only(False)] = None
    partial_images: Annotated[Any, Only(0)] = None
    background: Annotated[Any, Only("auto", "opaque", because="no model here paints on nothing")] = None
    svg: Annotated[Any, Only()] = None
    frame_count: Annotated[Any, Only(1)] = None
    frame_duration_ms: Annotated[Any, Only()] = None
    complexity: Ignored = None
    moderation: Ignored = None
    output_compression: Ignored = None
    output_format: Ignored = None
    """The answer's own says what the image is."""
    quality: Ignored = None
    safety_identifier: Ignored = None
    style: Ignored = None
    user: Ignored = None

    negative_prompt: Annotated[str | None, Field(min_length=1, max_length=MAX_PROMPT)] = None
    """This and the next are not OpenAI's, but as in `POST /image`."""
    steps: Annotated[int | None, Field(ge=1, le=50)] = None
    guidance: Annotated[float | None, Field(ge=0, le=100)] = None
    seed: Annotated[int | None, Field(ge=0, le=9_999_999_999)] = None
    gateway: GatewayOptions | None = None

    def to_image(self, model: Model) -> ImageRequest:
        """The same as a request to `POST /image`. Raises ApiError `invalid_request` for a size that it cannot have."""
        given = self.model_dump(include={"prompt", "negative_prompt", "steps", "guidance", "seed"}, exclude_none=True)
        found = SIZE.fullmatch(self.size or "")
        if found:
            given |= _sides(model, int(found[1]), int(found[2]))
        body = ImageRequest(**given, gateway=self.gateway)
        body.check(model)
        return body


def _sides(model: Model, width: int, height: int) -> dict[str, int]:
    takes = IMAGE_MODELS[model.id]
    default = takes.defaults and takes.defaults[:2]
    if "width" not in takes.numbers:
        if (width, height) == default:
            return {}
        own = f"{default[0]}x{default[1]}" if default else "auto"
        raise ApiError(
            "invalid_request", f"size must be {own} for {model.id}, which makes no other size.", param="size"
        )
    for name, side in (("width", width), ("height", height)):
        least, most = takes.numbers[name]
        if not least <= side <= most:
            reason = f"the {name} in size must be between {least} and {most} for {model.id}"
            raise ApiError("invalid_request", f"{reason[0].upper()}{reason[1:]}.", param="size")
    return {"width": width, "height": height}
