"""Code that a question asks for, in the language that it names: known small tasks, else a skeleton that says so."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from workers_ai_simulator.text_generation import extraction

MAX_NAME_WORDS = 3
"""Words of the question in the name of a function."""


@dataclass(frozen=True)
class Language:
    """A programming language."""

    name: str
    fence: str
    """Word after the fence of a code block."""
    pattern: str
    """Words that name it in a question."""
    skeleton: Sequence[str]
    """Lines of code with `«name»` in snake_case, `«camel»` in camelCase, `«kebab»` with hyphens, and the purpose as
    a title in `«title»` and as a sentence in `«about»`."""


@dataclass(frozen=True)
class Task:
    """A small task."""

    pattern: str
    """Words that name it in a question."""
    code: Mapping[str, Sequence[str]]
    """Fence of a language → lines of code. JavaScript's are TypeScript's as well: they have no types."""


def _load() -> tuple[tuple[Language, ...], tuple[Task, ...]]:
    file = files("workers_ai_simulator").joinpath("text_generation/code_samples.json")
    data: Any = json.loads(file.read_text("utf-8"))
    return tuple(Language(**each) for each in data["languages"]), tuple(Task(**each) for each in data["tasks"])


LANGUAGES, TASKS = _load()
"""Languages, in the order in which a question is searched for them; the last is that of questions that name none."""

ASKS = (
    r"\b(?:write|create|generate|make|give|show|need|want|implement|build|code|fix|refactor|how)\b[^.?!\n]{0,120}"
    r"\b(?:functions?|code|script|snippets?|class|programs?|query|component|regex|regular expression|endpoint|"
    r"algorithm|fizz ?buzz|web ?page|selector|stylesheet)\b"
    r"|\b(?:fix|refactor|review|explain|debug)\b[^:\n]{0,80}\bcode\b"
    r"|^\W*(?:an?\s+)?(?:\S+\s+){0,2}(?:function|script|program|query|snippet)\s+(?:in|that|to|which|for)\b"
    r"|\b(?:in|using|with)\s+(?:python|javascript|typescript|java|rust|golang|go|sql|bash|html|css|c\+\+|c#)(?:[.?!,]|\s|$)"
)
"""Words that ask for code."""

NOT_CODE = re.compile(
    r"\b(?:search|dress|zip|postal|promo|discount|country|area|penal)\s+(?:code|query)|\b(?:essay|article|poem|story|"
    r"difference|compare|pros and cons|table)\b",
    re.IGNORECASE,
)
"""Words of questions that mention a language or code, but ask for something else."""
PURPOSE = re.compile(r"\b(?:that|which|to|for)\s+(?P<purpose>[^\n]{3,120})", re.IGNORECASE)
SENT = re.compile(
    r"\b(?:fix|refactor|review|explain|debug|correct|improve|test)\b[^:\n]{0,80}\b(?:code|function|script|query|snippet|"
    r"program)\b[^:\n]{0,40}:\s*(?:```\w*\n)?(?P<code>.+?)(?:```)?\Z",
    re.IGNORECASE | re.DOTALL,
)
"""Request about code that the message contains."""
LANGUAGE_AT_END = re.compile(r"\s*\b(?:in|using|with)\s+\S+\s*$", re.IGNORECASE)


def answer(question: str) -> str | None:
    """A block of code for the question, with a sentence before it; None if it asks for something else."""
    if NOT_CODE.search(question):
        return None
    if sent := SENT.search(question):
        return f"No model has read it, so this is the code as you sent it:\n\n```\n{sent['code'].strip()}\n```"
    language = next((each for each in LANGUAGES if re.search(each.pattern, question, re.IGNORECASE)), LANGUAGES[-1])
    code = _known(question, language.fence)
    sentence = f"In {language.name}:" if code else f"A skeleton in {language.name}, which names what you ask for:"
    return f"{sentence}\n\n```{language.fence}\n{code or _skeleton(question, language)}\n```"


def _known(question: str, fence: str) -> str | None:
    task = next((each for each in TASKS if re.search(each.pattern, question, re.IGNORECASE)), None)
    lines = task.code.get("js" if fence == "ts" else fence) if task else None
    return "\n".join(lines) if lines else None


def _skeleton(question: str, language: Language) -> str:
    purpose = _purpose(question)
    words = [re.sub(r"\W", "", each).lower() for each in extraction.content_words(purpose)][:MAX_NAME_WORDS]
    words = [each for each in words if each and each.isascii() and not each[0].isdigit()] or ["solve"]
    title = _plain(purpose[:1].upper() + purpose[1:])
    values = {
        "name": "_".join(words),
        "camel": words[0] + "".join(each.capitalize() for each in words[1:]),
        "kebab": "-".join(words),
        "title": title,
        "about": f"{title}.",
    }
    return re.sub(r"«(\w+)»", lambda match: values[match[1]], "\n".join(language.skeleton))


def _purpose(question: str) -> str:
    """Purpose of the code, in the words of the question."""
    match = PURPOSE.search(question)
    purpose = re.split(r"[.?!](?=\s|$)", match["purpose"] if match else question.partition("\n")[0])[0]
    return LANGUAGE_AT_END.sub("", purpose).strip(" .?!:")


def _plain(text: str) -> str:
    """The text without signs that could end a comment, a string or a tag."""
    return re.sub(r"[^\w\s,.'()-]", "", text)
