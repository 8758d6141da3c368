"""Writing of the answer to a request of `/api/chat`, in the chat's object: guard, documents, model, tools, the end."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiworker.bindings import Conversation, StreamOutcome
from aiworker.context import ClientResources
from aiworker.errors import KINDS, ApiError
from aiworker.generation.answers import LiveAnswer
from aiworker.http.body import parse_object
from aiworker.http.messages import JsHandle
from aiworker.models import guard, token_counts, tool_selection
from aiworker.models.catalogue import Model
from aiworker.models.completion import as_frames, call_ids
from aiworker.models.model_response import ModelResponse
from aiworker.models.openai_stream import Limits, OpenAITransform
from aiworker.models.selection import text_models
from aiworker.models.tool_loop import ToolLoop
from aiworker.models.ui_message_writer import message_usage
from aiworker.rag import answerable
from aiworker.rag.engine import engine_of
from aiworker.routes import rag
from aiworker.routes.attachments import Attachments
from aiworker.routes.chat import prompt_messages
from aiworker.routes.chat_schema import ChatRequest
from aiworker.routes.rag_schema import RagRequest
from aiworker.routes.ui_chat.chat_schema import AnswerOrder, DocumentOptions

MAX_MESSAGES = 100
"""Last messages of a conversation from which a question about documents is understood."""

Json = dict[str, Any]
Consume = Callable[[JsHandle, Callable[[bytes], None]], Awaitable[None]]
"""Reads a body to its end, and hands each chunk to a function. Raises ApiError `upstream_error` if it breaks off."""


@dataclass(frozen=True)
class Prompts:
    """Messages for the models that can answer."""

    by_model: Mapping[str, list[Json]]
    """Id of each model that can answer → its messages; empty if the documents hold nothing about the question."""
    sources: Mapping[str, list[Json]] = field(default_factory=dict[str, list[Json]])
    """Id of the model → the sources that its messages quote."""


class ChatAnswer:
    """Writes one answer. Its cost and its errors are in the log line of its request."""

    def __init__(
        self,
        resources: ClientResources,
        order: AnswerOrder,
        answer: LiveAnswer,
        conversation: Conversation,
        consume: Consume,
    ) -> None:
        """conversation: the stored one, for requests with `message`."""
        self._resources = resources
        self._order = order
        self._answer = answer
        self._writer = answer.writer
        self._conversation = conversation
        self._consume = consume
        self._chat = order.request.to_chat()
        self._usage: dict[str, int] = {}
        self._messages: list[Json] = []
        """Messages of the model and of the tools that are complete."""

    async def run(self) -> None:
        """Write the answer to its end, also after an error; then write the log line and settle the cost."""
        log = self._resources.log
        try:
            await self._write()
        except ApiError as error:
            await self._fail(error)
        except Exception as error:  # as in aiworker.app: the client gets a sentence, the log the cause
            log.record_defect(error)
            sentence = f"The Worker failed. Its log has the cause under {log.request_id}."
            self._end_with(ApiError("internal_error", sentence))
        log.finish(StreamOutcome(client_disconnected=self._answer.is_abandoned))
        await self._resources.request_budget.settle()

    async def _write(self) -> None:
        resources, is_stored = self._resources, self._order.request.is_stored
        field = "message" if is_stored else "messages"
        chat = self._chat = await Attachments(resources, field).resolve(self._chat)
        models = text_models(resources, chat.model, chat.check)
        history = await self._conversation.history() if is_stored else []
        await guard.check_input(
            resources, [*history, *chat.turn()], chat.gateway, stored=len(history), inputs=chat.inputs(models[0])
        )
        prompts = await self._prompts(models, history)
        if prompts.by_model:
            await self._write_rounds(models, prompts)
        else:
            self._write_nothing_found(models[0])
        await self._store()
        usage = message_usage(self._usage)
        metadata = {"usage": usage or None, "neurons": resources.log.neurons}
        self._answer.complete(self._writer.finish(metadata))

    # ---- prompts -------------------------------------------------------------------------------------------------

    async def _prompts(self, models: list[Model], history: list[Json]) -> Prompts:
        chat, options = self._chat, self._order.request.search_options
        if options is None:
            settings = self._resources.settings
            return Prompts(
                {model.id: prompt_messages(settings, chat, model, history) or chat.turn() for model in models}
            )
        body = _rag_request(chat, options, history)
        queries = await rag.queries_of(self._resources, body, models)
        search = rag.search_of(self._resources, body, queries, needs_relevance=body.min_score is None)
        passages = await engine_of(self._resources).search(search)
        if not body.answer_anyway and not await answerable.is_answered(
            self._resources, body.question, passages, body.gateway
        ):
            passages = []
        if not passages and not body.answer_anyway:
            return Prompts({})
        prompts = rag.prompts(self._resources.settings, body, models, passages)
        return Prompts(
            {name: prompt.messages for name, prompt in prompts.items()},
            {
                name: rag.sources(self._resources, self._order.origin, body, prompt.passages)
                for name, prompt in prompts.items()
            },
        )

    # ---- rounds --------------------------------------------------------------------------------------------------

    async def _write_rounds(self, models: list[Model], prompts: Prompts) -> None:
        chat = self._chat
        names = None if chat.worker_tools is True else chat.worker_tools
        own_tools = await tool_selection.select(self._resources, names) if chat.worker_tools else {}
        usable = [model for model in models if model.id in prompts.by_model]
        loop = ToolLoop(self._resources, usable, own_tools, prompts.by_model, chat.inputs, chat.gateway)
        while True:
            response = await loop.start_round()
            sent = [*prompts.by_model[response.model.id], *self._messages]
            response = await guard.screen_response(self._resources, sent, response, chat.gateway)
            self._begin_step(response, prompts.sources.get(response.model.id, []))
            await self._write_step(response, sent)
            completion = self._writer.take_completion()
            results = await loop.run_tools(completion) if own_tools else []
            self._messages = loop.messages if own_tools else [completion.message()]
            self._answer.write(self._writer.results(results) + self._writer.end_step())
            if not results:
                return

    def _begin_step(self, response: ModelResponse, sources: Sequence[Json]) -> None:
        if not self._messages:
            self._start(response.model, response.headers)
            self._answer.write(self._writer.start_step() + self._writer.sources(sources))
        else:
            self._answer.write(self._writer.start_step())

    def _start(self, model: Model, headers: Mapping[str, str]) -> None:
        log = self._resources.log
        log.record_head(200)
        metadata = {"model": model.id, "requestId": log.request_id, "gatewayLogId": headers.get("x-gateway-log-id")}
        known = {name: value for name, value in metadata.items() if value is not None}
        self._answer.write(self._writer.start_message(self._answer.message_id, known))
        self._answer.start(headers)

    async def _write_step(self, response: ModelResponse, sent: list[Json]) -> None:
        """Translate one model's answer into frames. Raises ApiError if it is incomplete."""
        request_id = self._resources.log.request_id
        transform = OpenAITransform(self._writer, self._limits(sent), f"{request_id}{len(self._messages)}")
        transform.on_usage = lambda usage: self._count(response, usage)
        write = self._answer.write
        if response.buffered is None and response.is_stream:
            await self._consume(response.raw.body, lambda chunk: write(transform.transform(chunk)))
        else:
            body = response.buffered or ""
            if not response.is_stream:  # a model that ignores `stream`
                whole, _ = await response.answer()
                body = "".join(as_frames(whole))
            write(transform.transform(body.encode()))
        write(transform.finish())
        if self._writer.failure:
            raise self._writer.failure

    def _limits(self, sent: list[Json]) -> Limits:
        return Limits(
            max_tokens=self._chat.max_tokens,
            required_tools=self._chat.required_tools(),
            known_call_ids=call_ids(sent),
            prompt_tokens=sum(map(token_counts.estimate_message, sent)),
        )

    def _count(self, response: ModelResponse, usage: Json) -> None:
        response.record_usage(usage)
        for name, value in usage.items():
            if isinstance(value, int):
                self._usage[name] = self._usage.get(name, 0) + value

    def _write_nothing_found(self, model: Model) -> None:
        """Write the sentence for a question about which the documents hold nothing, without a model."""
        writer = self._writer
        self._start(model, {})
        text = writer.text(json.dumps(rag.NO_RESULTS).encode())
        self._answer.write(writer.start_step() + text + writer.end("stop", {}) + writer.end_step())
        self._messages = [writer.take_completion().message()]

    # ---- the end -------------------------------------------------------------------------------------------------

    async def _fail(self, error: ApiError) -> None:
        if not self._answer.is_stopped:
            self._end_with(error)
            return
        self._messages.append(self._writer.take_completion().message())
        try:
            await self._store()
        except ApiError as failure:
            self._resources.log.record_error(failure)

    def _end_with(self, error: ApiError) -> None:
        log = self._resources.log
        log.record_error(error)
        if log.status is None:
            log.record_head(KINDS[error.type].status)
        self._answer.fail(error)

    async def _store(self) -> None:
        """Store the turn, for requests with `message`; an answer without a text and calls is not stored."""
        last = self._messages[-1]
        if self._order.request.is_stored and (last["content"] or last.get("tool_calls")):
            await self._conversation.append([*self._chat.turn(), *self._messages])


def _rag_request(chat: ChatRequest, options: DocumentOptions, history: list[Json]) -> RagRequest:
    """Return the equivalent request to `POST /rag`."""
    fields: Json = {
        **options.model_dump(),
        "messages": [*history, *chat.turn()][-MAX_MESSAGES:],
        "max_tokens": chat.max_tokens,
        "gateway": chat.gateway,
    }
    return parse_object(RagRequest, fields)
