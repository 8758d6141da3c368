"""The folder of a tape: a JSON file for each call, and beside it the bytes that go with it.

    llama-3.1-8b-instruct-fast-3fa9c1d2e4b7-1.json      a call; the same question again has -2
    flux-2-dev-0b77d1e5a9c2-1.answer.png                the image in its answer
    whisper-9d00a3c1f2e8-1.audio.wav                    the audio in its question

Bytes have a file of their own because a person can look at it or listen to it, git stores and shows it as what it is,
and it is a quarter smaller than as base64.
"""

import re
import shlex
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

from workers_ai_simulator.tape.errors import TapeError
from workers_ai_simulator.tape.json_text import OneLine, compact, parse, readable
from workers_ai_simulator.tape.models import Attachment, Frame, Question, RecordedAnswer

VERSION = 1
PARTIAL = ".partial"
"""End of the name of a file that is being written."""
MAX_NAMED = 5
"""Maximum number of unreadable files that an error names."""
NUMBER = re.compile(r"-(\d+)$")
SIGNATURES = {
    b"RIFF": ".wav", b"ID3": ".mp3", b"\xff\xfb": ".mp3", b"OggS": ".ogg", b"fLaC": ".flac", b"\x1aE\xdf\xa3": ".webm",
    b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"GIF8": ".gif",
}  # fmt: skip
"""Beginning of a file → the end of its name. WebP begins as WAV does, and is recognised by its format code."""
EXTENSIONS = {
    "audio/aac": ".aac", "audio/basic": ".au", "audio/flac": ".flac", "audio/l16": ".pcm", "audio/mp4": ".m4a",
    "audio/mpeg": ".mp3", "audio/ogg": ".ogg", "audio/opus": ".opus", "audio/wav": ".wav", "audio/webm": ".weba",
    "audio/x-alaw-basic": ".alaw", "audio/x-wav": ".wav", "image/avif": ".avif", "image/gif": ".gif",
    "image/jpeg": ".jpg", "image/png": ".png", "image/svg+xml": ".svg", "image/webp": ".webp", "video/mp4": ".mp4",
    "video/webm": ".webm",
}  # fmt: skip
"""Media type of an answer → the end of its file's name. Python's own table depends on its version and the machine."""


class TapeFolder:
    """The calls in a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._calls: defaultdict[str, list[Path]] = defaultdict(list)

    def __len__(self) -> int:
        return sum(map(len, self._calls.values()))

    def open(self, is_new: bool) -> None:
        """Read what is on the tape; create the folder if it may be new.

        Raises TapeError for a folder that is missing, and for files that cannot be read; OSError.
        """
        if is_new:
            self.path.mkdir(parents=True, exist_ok=True)
        if not self.path.is_dir():
            raise TapeError(f"there is no folder {self.path}. Record one: --record {shlex.quote(str(self.path))}")
        for left_behind in self.path.glob(f".*{PARTIAL}"):  # a process was killed while it wrote
            left_behind.unlink(missing_ok=True)
        faults: list[str] = []
        for file in sorted(self.path.glob("*.json"), key=_order):
            try:
                question, _ = self.read(file)
                self._calls[question.digest].append(file)
            except TapeError as error:
                faults.append(str(error))
        if faults:
            more = [f"and {len(faults) - MAX_NAMED} more"] if len(faults) > MAX_NAMED else []
            raise TapeError(
                "; ".join(faults[:MAX_NAMED] + more) + ". Correct what was edited, or delete it and record it again."
            )

    def find(self, question: Question) -> list[Path]:
        """Files of the calls with that question, in the order in which they were made."""
        return self._calls.get(question.digest, [])

    def calls(self) -> Iterator[tuple[Path, Question, RecordedAnswer]]:
        """All calls. Raises TapeError for a file that has become unreadable."""
        for files in self._calls.values():
            for file in files:
                yield (file, *self.read(file))

    # ---- reading -----------------------------------------------------------------------------------------------------

    def read(self, file: Path) -> tuple[Question, RecordedAnswer]:
        """Question and answer of a call. Raises TapeError, which names the file."""
        try:
            value = parse(file.read_text(encoding="utf-8"))
            if not isinstance(value, dict) or cast("dict[str, Any]", value).get("tape") != VERSION:
                raise ValueError(f'it has no "tape": {VERSION}')
            call = cast("dict[str, Any]", value)
            return self._question(call["question"]), self._answer(call["answer"])
        except KeyError as error:
            raise TapeError(f"{file} lacks {error}") from None
        except (ValueError, TypeError, AttributeError, OSError) as error:
            raise TapeError(f"{file} cannot be read: {error}") from None

    def _question(self, value: dict[str, Any]) -> Question:
        attachments = {
            name: Attachment(each["sha256"], each["bytes"], self._beside(each["file"]).read_bytes)
            for name, each in value.get("attachments", {}).items()
        }
        return Question(
            str(value["model"]), _object(value["inputs"]), attachments, value.get("dialect"), value.get("options", {}),
            value.get("content_type", ""),
        )  # fmt: skip

    def _answer(self, value: dict[str, Any]) -> RecordedAnswer:
        answer = partial(
            RecordedAnswer, int(value["status"]), str(value["content_type"]), float(value.get("seconds", 0))
        )
        match value:
            case {"json": json}:
                return answer(text=compact(json))
            case {"text": str(text)}:
                return answer(text=text)
            case {"frames": [*frames]}:
                return answer(frames=tuple(_frame(each) for each in frames))
            case {"file": str(name)}:
                return answer(media=self._beside(name).read_bytes)
            case _:
                raise ValueError("its answer has none of json, text, frames and file")

    def _beside(self, name: str) -> Path:
        """A file beside the calls. Raises ValueError if there is none of that name."""
        file = self.path / name
        if Path(name).name != name or not file.is_file():
            raise ValueError(f"there is no file {name} beside it")
        return file

    # ---- writing -----------------------------------------------------------------------------------------------------

    def partial_file(self, name: str) -> Path:
        """Path of a new file that is not on the tape until it is renamed."""
        return self.path / f".{name}{PARTIAL}"

    def add(self, question: Question, answer: RecordedAnswer, number: int, media: Path | None = None) -> Path:
        """Write the call that asks a question for the `number`-th time, over one of that number.

        media: the answer's bytes in a partial file, which is renamed. The call's own file comes last, so that there is
        never half a call. Raises OSError.
        """
        stem = f"{_slug(question.model)}-{question.digest}-{number}"
        for old in self.path.glob(f"{stem}.*"):
            old.unlink()
        answer_json: dict[str, Any] = {
            "status": answer.status, "content_type": answer.content_type, "seconds": answer.seconds
        }  # fmt: skip
        if media:
            media_type = answer.content_type.partition(";")[0].strip().lower()
            answer_json["file"] = f"{stem}.answer{EXTENSIONS.get(media_type, '.bin')}"
            media.replace(self.path / answer_json["file"])
        else:
            answer_json |= _body(answer)
        call = {"tape": VERSION, "question": self._with_files(question, stem), "answer": answer_json}
        file = self.path / f"{stem}.json"
        self._write(file.name, f"{readable(call)}\n".encode())
        calls = self._calls[question.digest]
        self._calls[question.digest] = sorted({*calls, file}, key=_order)
        return file

    def delete_after(self, question: Question, number: int) -> None:
        """Delete the calls with that question behind that number. Raises OSError."""
        for file in [each for each in self.find(question) if _number(each) > number]:
            for each in self.path.glob(f"{file.stem}.*"):
                each.unlink()
            self._calls[question.digest].remove(file)

    def last_number(self, question: Question) -> int:
        """Number of the last call with that question; 0 if there is none."""
        return max(map(_number, self.find(question)), default=0)

    def _with_files(self, question: Question, stem: str) -> dict[str, Any]:
        facts = question.facts
        for name, attachment in question.attachments.items():
            content = attachment.read()
            file = f"{stem}.{_slug(name)}{_extension(content)}"
            self._write(file, content)
            facts["attachments"][name] = {"file": file, **facts["attachments"][name]}
        return facts

    def _write(self, name: str, content: bytes) -> None:
        new = self.partial_file(name)
        try:
            new.write_bytes(content)
            new.replace(self.path / name)
        finally:
            new.unlink(missing_ok=True)


def _number(file: Path) -> int:
    match = NUMBER.search(file.stem)
    return int(match[1]) if match else 0


def _order(file: Path) -> tuple[int, str]:
    return _number(file), file.name


def _slug(name: str) -> str:
    """The last part of a name, in characters that every file system takes."""
    return re.sub(r"[^a-z0-9.]+", "-", name.rpartition("/")[2].lower()).strip("-.")[:60] or "model"


def _extension(content: bytes) -> str:
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return ".webp"
    return next((end for start, end in SIGNATURES.items() if content.startswith(start)), ".bin")


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("its inputs are no object")
    return cast("dict[str, Any]", value)


# ---- frames and texts ------------------------------------------------------------------------------------------------


def _body(answer: RecordedAnswer) -> dict[str, Any]:
    """The body as JSON or frames where these are the same bytes again, else as text."""
    if answer.frames is not None:
        return {"frames": [_frame_json(each) for each in answer.frames]}
    return _json_or_text(answer.text or "", "json")


def _json_or_text(text: str, name: str) -> dict[str, Any]:
    try:
        value = parse(text)
    except ValueError:
        return {"text": text}
    return {name: value} if compact(value) == text else {"text": text}


def _frame_json(frame: Frame) -> OneLine:
    data = frame.text.removeprefix("data: ").removesuffix("\n\n")
    if frame.text == f"data: {data}\n\n":
        parsed = _json_or_text(data, "data")
        if "data" in parsed:
            return OneLine(at=frame.at, **parsed)
    return OneLine(at=frame.at, text=frame.text)


def _frame(value: dict[str, Any]) -> Frame:
    text = f"data: {compact(value['data'])}\n\n" if "data" in value else value["text"]
    return Frame(float(value["at"]), text)
