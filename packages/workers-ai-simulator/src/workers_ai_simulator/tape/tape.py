"""Answers the calls of models from a tape, or from the service whose answers are recorded on it."""

import asyncio
import json
import re
import shlex
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from starlette.concurrency import run_in_threadpool

from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.inference.models import Answer, ModelCall
from workers_ai_simulator.media import Media
from workers_ai_simulator.tape.errors import NotOnTape, ServiceFailed, ServiceStreamBrokenError, TapeError
from workers_ai_simulator.tape.json_text import parse
from workers_ai_simulator.tape.models import Frame, Question, RecordedAnswer, question_of
from workers_ai_simulator.tape.nearest import nearest
from workers_ai_simulator.tape.options import Mode
from workers_ai_simulator.tape.secrets import Secrets
from workers_ai_simulator.tape.store import TapeFolder

if TYPE_CHECKING:  # needs an extra, which those who replay need not install
    from workers_ai_simulator.tape.service import Response, Service

Note = Callable[[str], None]
"""Called with the name of the file from which an answer comes, or in which it was recorded."""

TRANSIENT = (401, 403, 408, 429)
"""Statuses below 500 that depend on the caller or the moment, not on the question. They are not recorded."""
NOT_RECORDED_CODES = (7000, 7003, 9109, 10000)
"""Codes of the REST API for a wrong path, account or token."""
LAST_FRAME = re.compile(
    r'^data: \[DONE\]|^data: .*"type": ?"(?:response\.(?:completed|incomplete|failed)|message_stop)"', re.MULTILINE
)
"""Frames with which streams end: Workers AI's and OpenAI's, of OpenAI's Responses, of Anthropic's Messages."""
AS_REST_WORDS_IT = re.compile(
    r"^AiError: (?:AiError|Bad input): (?P<description>.*?)(?: \([0-9a-f-]{36}\))?$", re.DOTALL
)
"""How the REST API words an error, whose description is the binding's."""


@dataclass(frozen=True)
class TapedAnswer:
    """An answer for the caller, and the REST API's bytes of it."""

    answer: Answer | AsyncGenerator[str]
    status: int = 200
    body: bytes | None = None
    """Body as the service sent it, if it is JSON."""


class Tape:
    """The tape in a folder. Not thread-safe."""

    def __init__(
        self,
        mode: Mode,
        folder: TapeFolder,
        service: "Service | None" = None,
        secrets: Secrets | None = None,
        tokens_per_second: float | None = None,
    ) -> None:
        """service: needed unless the mode is replay. tokens_per_second: pace of replayed streams; None: as recorded."""
        self.mode: Mode = mode
        self.folder = folder
        self._service = service
        self._secrets = secrets or Secrets()
        self._pace = tokens_per_second
        self._answered = Counter[str]()
        """Digest of a question → how often it was answered from the tape or recorded."""
        self._writing = asyncio.Lock()

    @property
    def service_url(self) -> str:
        """Address of the service that is recorded; empty if none is."""
        return self._service.url if self._service else ""

    def about(self) -> dict[str, Any]:
        """`{mode, folder, calls, service}`, for the simulator's own API."""
        folder = str(self.folder.path)
        return {"mode": self.mode, "folder": folder, "calls": len(self.folder), "service": self.service_url or None}

    async def answer(self, call: ModelCall, note: Note) -> TapedAnswer:
        """Answer the call, from the tape or by the service.

        Raises UpstreamError: an error that was recorded, NotOnTape, or ServiceFailed.
        """
        question = await run_in_threadpool(question_of, call, self._secrets)
        if self.mode != "record" and (file := self._next(question)):
            note(file.name)
            return await self._replayed(file)
        if self._service is None:
            raise NotOnTape(await run_in_threadpool(self._why, question))
        return await self._recorded(self._service, call, question, note)

    async def close(self) -> None:
        if self._service:
            await self._service.close()

    # ---- replaying ---------------------------------------------------------------------------------------------------

    def _next(self, question: Question) -> Path | None:
        """File of the next answer to the question: of the first call for the first, and so on.

        When it is only replayed, the last answer is repeated.
        """
        files, answered = self.folder.find(question), self._answered[question.digest]
        if answered >= len(files) and (self.mode != "replay" or not files):
            return None
        self._answered[question.digest] += 1
        return files[min(answered, len(files) - 1)]

    async def _replayed(self, file: Path) -> TapedAnswer:
        try:
            _, answer = await run_in_threadpool(self.folder.read, file)
        except TapeError as error:
            raise UpstreamError(500, 0, f"The tape has changed: {error}", "TapeError") from None
        if answer.frames is not None:
            return TapedAnswer(self._paced(answer.frames), answer.status)
        return await run_in_threadpool(_taped, answer)

    async def _paced(self, frames: tuple[Frame, ...]) -> AsyncGenerator[str]:
        """The frames at the times at which they came, or at the pace that is set."""
        start = asyncio.get_running_loop().time()
        for frame in frames:
            if self._pace is None:
                await asyncio.sleep(start + frame.at - asyncio.get_running_loop().time())
            yield frame.text
            if self._pace:
                await asyncio.sleep(1 / self._pace)

    def _why(self, question: Question) -> str:
        """The reason why the call is refused, as a sentence."""
        path = self.folder.path
        record = f"Record it: --record-missing {shlex.quote(str(path))}"
        try:
            candidate = nearest(question, ((file, each) for file, each, _ in self.folder.calls()))
        except TapeError as error:
            return f"No answer to this call of {question.model} is on the tape {path}, which has changed: {error}."
        if candidate is None:
            return f"No answer to this call of {question.model} is on the tape {path}: it has no calls. {record}"
        file, differences = candidate
        first = differences[0].sentence() if differences else "none"
        return (
            f"No answer to this call of {question.model} is on the tape {path}. The nearest recorded call is "
            f"{file.name}, and the first field that differs is {first}. {record}"
        )

    # ---- recording ---------------------------------------------------------------------------------------------------

    async def _recorded(self, service: "Service", call: ModelCall, question: Question, note: Note) -> TapedAnswer:
        response = await service.ask(call)
        if response.is_stream and response.status < 400:
            return TapedAnswer(self._recorded_frames(response, question, note), response.status)
        if not response.is_text:
            return await self._recorded_media(response, question, note)
        text = self._secrets.out_of_text(await response.text())
        answer = RecordedAnswer(response.status, response.media_type, response.seconds, text)
        try:
            taped = await run_in_threadpool(_taped, answer)
        except ServiceFailed:
            raise
        except UpstreamError:
            if _is_kept(answer):
                note(await self._add(question, answer))
            raise
        note(await self._add(question, answer))
        return taped

    async def _recorded_frames(self, response: "Response", question: Question, note: Note) -> AsyncGenerator[str]:
        """The frames as they arrive. They are written once the stream has ended; one that is cut is not.

        The last frame is sent when the call is written: clients disconnect at once when they have it.
        """
        arrived: list[Frame] = []
        held: list[str] = []
        async with aclosing(response.frames()) as frames:
            async for frame in frames:
                text = self._secrets.out_of_text(frame.text)
                arrived.append(Frame(frame.at, text))
                if held or LAST_FRAME.search(text):
                    held.append(text)
                else:
                    yield text
        answer = RecordedAnswer(response.status, response.media_type, response.seconds, frames=tuple(arrived))
        try:
            note(await self._add(question, answer))
        except ServiceFailed as error:
            raise ServiceStreamBrokenError(str(error)) from None
        for text in held:
            yield text

    async def _recorded_media(self, response: "Response", question: Question, note: Note) -> TapedAnswer:
        """The bytes, written as they arrive, so that they are in memory only once."""
        partial_file = self.folder.partial_file(f"{question.digest}-{id(response)}")
        try:
            with partial_file.open("wb") as file:
                async with aclosing(response.chunks()) as chunks:
                    async for chunk in chunks:
                        await run_in_threadpool(file.write, chunk)
            content = await run_in_threadpool(partial_file.read_bytes)
            if response.status >= 400:
                raise ServiceFailed(f"The service answers status {response.status} and {len(content)} bytes")
            answer = RecordedAnswer(response.status, response.content_type, response.seconds, media=lambda: content)
            note(await self._add(question, answer, partial_file))
            return _taped(answer)
        except OSError as error:
            raise ServiceFailed(f"The answer cannot be written to the tape: {error}") from None
        finally:
            partial_file.unlink(missing_ok=True)

    async def _add(self, question: Question, answer: RecordedAnswer, media: Path | None = None) -> str:
        """Write the call, and return its file's name. Raises ServiceFailed if it cannot be written."""
        async with self._writing:
            self._answered[question.digest] += 1
            replaces = self.mode == "record"
            number = self._answered[question.digest] if replaces else self.folder.last_number(question) + 1
            try:
                file = await run_in_threadpool(self.folder.add, question, answer, number, media)
                if replaces:  # what an earlier recording has left
                    self.folder.delete_after(question, number)
            except OSError as error:
                raise ServiceFailed(f"The answer cannot be written to the tape: {error}") from None
            return file.name


def _is_kept(answer: RecordedAnswer) -> bool:
    """Whether an error is worth recording: neither a refusal of the token nor a temporary failure."""
    code, _ = _error(answer)
    return answer.status < 500 and answer.status not in TRANSIENT and code not in NOT_RECORDED_CODES


def _taped(answer: RecordedAnswer) -> TapedAnswer:
    """The whole answer as a model's. Raises UpstreamError if it is an error, or not an answer of Workers AI."""
    if answer.media:
        return TapedAnswer(Media(answer.media(), answer.content_type), answer.status)
    text = answer.text or ""
    if answer.status >= 400:
        code, message = _error(answer)
        worded = AS_REST_WORDS_IT.match(message)
        error = UpstreamError(answer.status, code, worded["description"] if worded else message)
        error.body = text.encode()
        raise error
    result = _result(text, answer)
    return TapedAnswer(result, answer.status, None if isinstance(result, Media) else text.encode())


def _result(text: str, answer: RecordedAnswer) -> Answer:
    """The answer without the REST API's envelope. Raises ServiceFailed if it is neither an object nor an array."""
    if not answer.content_type.endswith("json"):
        return Media(text.encode(), answer.content_type)
    value: Any = None
    with suppress(ValueError):
        value = parse(text)
    match value:
        case {"success": _, "result": dict() | list()}:
            return cast("Answer", value["result"])
        case {"success": _, "result": _}:
            pass
        case dict() | list():
            return cast("Answer", value)
        case _:
            pass
    raise ServiceFailed(f"The service's answer cannot be read: {text[:200]}")


def _error(answer: RecordedAnswer) -> tuple[int, str]:
    """Code and message of an error of the REST API, in the envelope or in OpenAI's form."""
    try:
        value = json.loads(answer.text or "")
    except ValueError:
        value = None
    match value:
        case {"errors": [{"code": int(code), "message": str(message)}, *_]}:
            return code, message
        case {"error": {"message": str(message)}}:
            return 0, message
        case _:
            return 0, f"The service answers status {answer.status}: {(answer.text or '')[:200]}"
