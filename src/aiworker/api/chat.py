"""`POST /chat`: text from a prompt or a conversation, streamed unless asked otherwise."""

from aiworker.ai import catalogue, model_call
from aiworker.context import Context
from aiworker.http import Response
from aiworker.schemas import parse_json
from aiworker.schemas.chat import ChatRequest


async def chat(context: Context) -> Response:
    asked = await parse_json(ChatRequest, context.request, context.settings.max_body_bytes)
    model = catalogue.find(asked.model or context.settings.chat_model, "text-generation")
    catalogue.check_sampling(model, asked.sampling())
    if asked.raw:
        catalogue.check_ability(model, "raw", param="raw")
    # the answer's body goes from one JavaScript stream to the other; should the client leave, the platform cancels it
    return await model_call.run(context.the_ai(), model, asked.inputs(model))
