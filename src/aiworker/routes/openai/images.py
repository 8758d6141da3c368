"""`POST /v1/images/generations`: one image, as base64 or kept in R2. Its bytes stay in JavaScript."""

import json
import time

from aiworker.bindings import require
from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.body import JSON
from aiworker.http.messages import JsHandle, Response
from aiworker.models.model_response import ModelResponse
from aiworker.routes import image
from aiworker.routes.image_schema import ImageRequest
from aiworker.routes.openai import models
from aiworker.routes.openai.fields import JSON_REPLY
from aiworker.routes.openai.images_schema import ImagesRequest
from aiworker.routing import MODEL_ERRORS, route


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
    wanted = body.to_image(model)
    is_kept = body.response_format == "url"
    if is_kept:
        require(context.bucket)  # fails before the model is called
    answer = await image.generate(context, wanted, model, {})
    try:
        content = await _body(context, wanted, answer, is_kept=is_kept)
    except ApiError as error:
        error.headers |= answer.headers  # the call has been made and paid
        raise
    return image.priced(answer.response(content, JSON), wanted, model)


async def _body(
    context: Context, wanted: ImageRequest, answer: ModelResponse, *, is_kept: bool
) -> list[str | JsHandle]:
    payload, content_type = await image.image_of(answer)
    about = {"created": int(time.time()), "output_format": content_type.removeprefix("image/")}
    begin = f'{json.dumps(about)[:-1]},"data":[{{'
    if is_kept:
        key = await image.store(context.bucket, wanted, answer.model, payload, content_type)
        return [begin, f'"url":{json.dumps(f"{context.request.origin}/images/{key}")}', "}]}"]
    return [begin, '"b64_json":"', payload.base64(), '"}]}']
