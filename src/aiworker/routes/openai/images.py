"""`POST /v1/images/generations`: one image, as base64 or kept in R2. Its bytes stay in JavaScript."""

import json
import time

from aiworker.context import Context
from aiworker.errors import ApiError
from aiworker.http.body import JSON, parse_json
from aiworker.http.messages import Opaque, Response
from aiworker.models.model_call import Answer
from aiworker.routes import image
from aiworker.routes.image_schema import ImageRequest
from aiworker.routes.openai import models
from aiworker.routes.openai.images_schema import ImagesRequest


async def generations(context: Context) -> Response:
    asked = await parse_json(ImagesRequest, context.request, context.settings.max_body_bytes)
    model = models.find(context, asked.model or context.settings.models["IMAGE_MODEL"], "text-to-image")
    wanted = asked.to_image(model)
    is_kept = asked.response_format == "url"
    if is_kept:
        context.the_bucket()  # before anything is spent
    answer = await image.made(context, wanted, model, {})
    try:
        body = await _body(context, wanted, answer, is_kept=is_kept)
    except ApiError as error:
        error.headers |= answer.headers  # the model has been called all the same
        raise
    return image.priced(answer.response(body, JSON), wanted, model)


async def _body(context: Context, wanted: ImageRequest, answer: Answer, *, is_kept: bool) -> list[str | Opaque]:
    payload, content_type = await image.image_of(answer)
    about = {"created": int(time.time()), "output_format": content_type.removeprefix("image/")}
    begin = f'{json.dumps(about)[:-1]},"data":[{{'
    if is_kept:
        key = await image.kept(context.the_bucket(), wanted, answer.model, payload, content_type)
        return [begin, f'"url":{json.dumps(f"{context.request.origin}/images/{key}")}', "}]}"]
    return [begin, '"b64_json":"', payload.base64(), '"}]}']
