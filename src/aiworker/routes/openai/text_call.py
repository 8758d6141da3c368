"""The model call of a request for text in OpenAI's or Anthropic's dialect: its parameters fitted to the model."""

from typing import Protocol

from aiworker.auth import limits
from aiworker.bindings import Inputs
from aiworker.context import Context
from aiworker.models import guard, system_prompt
from aiworker.models.catalogue import Model
from aiworker.models.completion import call_ids
from aiworker.models.model_call import Candidate, ModelCall
from aiworker.models.model_response import ModelResponse
from aiworker.models.openai_stream import Limits
from aiworker.models.selection import text_models
from aiworker.models.tool_calls import Json
from aiworker.routes.attachments import Attachments
from aiworker.routes.chat_schema import ChatRequest
from aiworker.routes.openai.chat_schema import max_tokens, prompt_tokens


class TextRequest(Protocol):
    """A request of one of these routes."""

    @property
    def model(self) -> str: ...

    @property
    def stops(self) -> list[str]: ...

    def to_chat(self) -> ChatRequest: ...

    def extra_inputs(self, model: Model) -> Json: ...

    def ignored_by(self, model: Model) -> list[str]: ...


async def call_model(
    context: Context, body: TextRequest, attachments: Attachments | None = None
) -> tuple[ModelResponse, Limits]:
    """Call the requested model; return its response, and the limits that the model does not observe by itself.

    Parameters that the model does not take are left out, and the response names them.
    attachments: those of the request, if the route needs them again.
    """
    chat = _chat_request(context, body)
    limits.check_prompt(context, chat.texts(), chat.input_field)
    models = _models(context, chat)
    if chat.has_attachments:
        chat = await (attachments or Attachments(context)).resolve(chat)
        models = _models(context, chat)
    fitted = {model.id: chat.fit(model) for model in models}
    tokens = prompt_tokens(chat) + system_prompt.estimate_tokens(context.settings)
    requests = {
        model.id: fitted[model.id][0].model_copy(update={"max_tokens": max_tokens(chat, model, tokens)})
        for model in models
    }
    candidates = [
        Candidate(model, Inputs({**requests[model.id].inputs(model), **body.extra_inputs(model)})) for model in models
    ]
    await guard.check_input(context, chat.turn(), chat.gateway, inputs=candidates[0].inputs.fields)
    response = await ModelCall(context, candidates, chat.gateway).run()
    context.log.ignored += [*fitted[response.model.id][1], *body.ignored_by(response.model)]
    response = await guard.screen_response(context, chat.turn(), response, chat.gateway)
    looks_for_stops = "stop" in body.extra_inputs(response.model)
    return response, Limits(
        stop=() if looks_for_stops else body.stops,
        max_tokens=requests[response.model.id].max_tokens,
        # the older `function_call` holds a single one
        is_single_call=getattr(body, "parallel_tool_calls", None) is False or chat.functions is not None,
        required_tools=chat.required_tools(),
        known_call_ids=call_ids(chat.turn()),
        prompt_tokens=tokens,
    )


def _models(context: Context, chat: ChatRequest) -> list[Model]:
    return text_models(context, chat.model, lambda model: chat.fit(model)[0].check(model))


def _chat_request(context: Context, body: TextRequest) -> ChatRequest:
    """Return the equivalent request to `POST /chat`, with the model's id in place of an alias.

    An alias of CHAT_MODEL becomes no model, so that CHAT_FALLBACKS may answer.
    """
    model_id = context.settings.resolve_alias(body.model)
    is_default = model_id != body.model and model_id == context.settings.models["CHAT_MODEL"]
    return body.to_chat().model_copy(update={"model": None if is_default else model_id})
