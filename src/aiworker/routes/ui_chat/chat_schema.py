"""Requests of `/api/chat`, and the order by which a chat's Durable Object answers one."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from aiworker.auth.access import Caller, Key
from aiworker.errors import ApiError
from aiworker.http.body import Schema, parse_object
from aiworker.models.gateway_options import GatewayOptions
from aiworker.routes.chat_schema import MAX_TOOLS, ChatRequest, ChosenTool, Effort, Name, Sampling, Tool
from aiworker.routes.rag_schema import MAX_QUESTION_CHARACTERS, SearchOptions
from aiworker.routes.ui_chat.message_parts import UiMessage


class DocumentOptions(SearchOptions):
    answer_anyway: bool = False
    """Let the model answer without sources if no relevant passage is found."""


class UiChatRequest(Sampling):
    """Body of `POST /api/chat`: the fields that `useChat` sends, and those of its option `body`."""

    id: Name
    """The chat. Its answers can be taken up again under this id, and stopped."""
    messages: Annotated[list[UiMessage] | None, Field(min_length=1, max_length=1_000, fail_fast=True)] = None
    """The whole conversation, as `useChat` sends it by default. Only the answer is stored, for a while."""
    message: UiMessage | None = None
    """The last message alone, in place of `messages`: the conversation stored under `id` comes before it, and the
    message and its answer are stored."""
    trigger: Literal["submit-message", "regenerate-message"] = "submit-message"
    message_id: Annotated[str | None, Field(alias="messageId")] = None
    """The message that is sent or written again. `useChat` sends it."""
    model: str | None = None
    """Any text-generation model of GET /models; CHAT_MODEL, or one of CHAT_FALLBACKS, if left out."""
    tools: Annotated[list[Tool] | None, Field(min_length=1, max_length=MAX_TOOLS, fail_fast=True)] = None
    """The page's functions. The model may ask the page to call them."""
    tool_choice: Literal["auto", "none", "required"] | ChosenTool | None = None
    """Let the model choose, forbid or require a call, or name the tool to call."""
    worker_tools: Literal[True] | Annotated[list[Name], Field(min_length=1, fail_fast=True)] | None = None
    """The Worker's own functions, which it calls when the model asks for them: their names, or true for all."""
    documents: Literal[True] | DocumentOptions | None = None
    """Answer from the documents, with sources: true, or the options of `POST /rag`. Needs the scope rag:read."""
    reasoning_effort: Effort | None = None
    """How much a model with the ability reasoning reasons: the nearest of its levels."""
    chat_template_kwargs: Annotated[dict[str, bool | int | str] | None, Field(max_length=20)] = None
    """Arguments of the model's chat template, such as `enable_thinking`: false for an answer without reasoning."""
    gateway: GatewayOptions | None = None

    @model_validator(mode="after")
    def _check_input(self) -> "UiChatRequest":
        if (self.messages is None) == (self.message is None):
            raise ValueError("Give either messages or message")
        if self.message and (self.tools or self.message.role != "user"):
            raise ValueError("message must be the user's, and tools of the page need messages in its place")
        if self.documents and (self.tools or self.worker_tools):
            raise ValueError("documents cannot be combined with tools or worker_tools")
        return self

    @property
    def ui_messages(self) -> list[UiMessage]:
        return self.messages or [message for message in (self.message,) if message]

    @property
    def is_stored(self) -> bool:
        """True if the conversation is stored here, not by the page."""
        return self.message is not None

    @property
    def is_repeated(self) -> bool:
        """True if the last stored turn is to be written again."""
        return self.is_stored and self.trigger == "regenerate-message"

    @property
    def search_options(self) -> DocumentOptions | None:
        return DocumentOptions() if self.documents is True else self.documents

    @property
    def continued_id(self) -> str | None:
        """The id of the assistant's message that the answer goes on with, after the page has called tools."""
        last = self.ui_messages[-1]
        return last.id or None if last.role == "assistant" and self.trigger == "submit-message" else None

    def to_chat(self) -> ChatRequest:
        """Return the equivalent request to `POST /chat`. Raises ApiError `invalid_request` if there is none."""
        messages = [each for message in self.ui_messages for each in message.to_chat()]
        field = "message" if self.is_stored else "messages"
        if not messages:
            raise ApiError("invalid_request", f"{field} has no text and no file.", param=field)
        fields: dict[str, Any] = {
            **self.sampling(),
            **self.model_dump(
                include={"model", "tools", "tool_choice", "reasoning_effort", "chat_template_kwargs", "worker_tools"},
                exclude_none=True,
            ),
            "messages": messages,
            "gateway": self.gateway,
        }
        chat = parse_object(ChatRequest, fields)
        if self.documents:
            check_question(chat, field)
        return chat


def check_question(chat: ChatRequest, field: str) -> None:
    """Raise ApiError `invalid_request` unless the last message is a question for which documents can be searched."""
    last = (chat.messages or [])[-1]
    question = " ".join(last.texts)
    if last.role != "user" or last.has_image or last.attachments or not question.strip():
        raise ApiError(
            "invalid_request", f"{field} must end with the user's question, in text, to search documents.", param=field
        )
    if len(question) > MAX_QUESTION_CHARACTERS:
        raise ApiError(
            "invalid_request", f"The question must have at most {MAX_QUESTION_CHARACTERS:,} characters.", param=field
        )


class StopQuery(Schema):
    message_id: Annotated[str | None, Field(alias="messageId", max_length=200)] = None
    """The answer to stop; whichever is being written if left out."""


class AnswerOrder(Schema):
    """Request that the Worker has checked, for the chat's object to answer."""

    request: UiChatRequest
    request_id: str
    milliseconds: float
    """Time that the request has taken so far."""
    origin: str
    """Scheme, host and port of the URL that the client has called."""
    caller: str
    tenant: str | None
    subject: str
    key: str | None
    """Name of the caller's key."""
    has_token: bool

    @property
    def message_id(self) -> str:
        return self.request.continued_id or f"msg_{self.request_id.removeprefix('req_')}"

    def known_caller(self, keys: tuple[Key, ...]) -> Caller:
        """Return the caller, whose rights the Worker has checked. keys: the Worker's API keys."""
        key = next((each for each in keys if each.name == self.key), None)
        return Caller(self.caller, frozenset(), self.tenant, self.subject, key, self.has_token)
