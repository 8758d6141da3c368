"""Neutralization of control tokens in texts from clients, documents and tools, which could forge turns of a prompt.

A model's chat template makes one text of all messages: `<|im_start|>user`, the user's text, `<|im_end|>`. A user who
writes `<|im_end|>` would end their own turn and could begin one of the system. Therefore a space is put behind the
first character of every such token: `< |im_end|>`. People and models read the same, but a tokenizer finds no control
token, since it looks for their exact letters before anything else, and none has a space there. (If the token was
removed instead, the texts around it could form another one; a zero-width character would be invisible, and would stay
in code and quotes that the model repeats.)

Sources: the tokenizers and chat templates of the catalogue's families, as their publishers' repositories and the
parsers and tests of vLLM, SGLang and llama.cpp have them; for models that are not published (GLM 5, Qwen 3.8), those of
the versions before. Words without brackets (`/no_think`, `User:`) are no tokens, and stay.
"""

import asyncio
import bisect
import itertools
import re
from collections.abc import Mapping
from typing import Any, cast

TEMPLATED = ("text-generation", "guard", "decision")
"""Tasks of the models that have a chat template."""
CHARACTERS_AT_A_STRETCH = 16_384
"""Characters of texts after which others get their turn: 5 ms on CPython if all of them are `<`."""
MAX_TOKEN_CHARACTERS = 100
"""Characters of a control token."""
DATA = ("state", "questions")
"""Inputs that are JSON with texts at any depth."""

_TURNS: Mapping[str, tuple[str, ...]] = {
    "<": (
        r"\|[^\s<>|]{1,64}\|>",  # ChatML (Qwen, Nemotron), Llama 3 and 4, harmony (gpt-oss), GLM, Kimi, Granite
        r"\|(?:turn|channel|tool|tool_call|tool_response)>",  # Gemma 4, and the next
        r"(?:turn|channel|tool|tool_call|tool_response)\|>",
        r"｜[^\s<>｜]{1,64}｜>",  # noqa: RUF001 - DeepSeek
        r"/?s>|unk>|</?SYS>>",  # Llama 2, Mistral
        r"(?:bos|eos|pad|(?:start|end)_of_(?:turn|image)|image_soft_token|unused\d+)>",  # Gemma 2 and 3
        r"sop>|eop>|/?arg_(?:key|value)>",  # GLM
        r"/?tool_(?:call|response)>",  # Qwen, Hermes, GLM, Nemotron
        r"SPECIAL_\d+>",  # Nemotron
        r"(?:BOS|EOS|PAD)_TOKEN>",  # Command
        r"(?:BEGIN|END) (?:CONVERSATION|UNSAFE CONTENT CATEGORIES)>",  # Llama Guard
    ),
    r"\[": (
        r"/?INST\]",  # Llama 2, Mistral, and the next two
        r"/?(?:SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_RESULTS|MODEL_SETTINGS)\]",
        r"(?:TOOL_CALLS|TOOL_CONTENT|ARGS|CALL_ID|IMG(?:_BREAK|_END)?|(?:BEGIN_)?AUDIO|PREFIX|MIDDLE|SUFFIX)\]",
        r"[gs]?MASK\]",  # GLM
        r"(?:BOS|EOS|EOT|PAD|UNK|(?:start|end)_header_id)\]",  # Kimi
    ),
    "｜": ("DSML｜",),  # noqa: RUF001 - DeepSeek
}
"""First character of control tokens → the texts that may follow it, as regular expressions."""
_REASONING: Mapping[str, str] = {"<": "/?think>", r"\[": r"/?THINK\]"}
"""Likewise, tokens around the reasoning of a model: DeepSeek, Qwen, GLM, Nemotron; Mistral."""


def _first_characters(reasoning: Mapping[str, str]) -> re.Pattern[str]:
    """Return a pattern that matches the first character of each control token."""
    tokens = {first: [*rest, *filter(None, [reasoning.get(first)])] for first, rest in _TURNS.items()}
    return re.compile("|".join(f"{first}(?={'|'.join(rest)})" for first, rest in tokens.items()))


SCHEMAS = ("tools", "response_format")
"""Inputs with schemas, which templates write into the prompt."""
ANNOTATIONS = ("description", "title", "$comment")
"""Keywords of a tool or a schema whose values are texts, and change nothing else."""

CONTROL_TOKEN = _first_characters(_REASONING)
CONTROL_TOKEN_BUT_REASONING = _first_characters({})


def neutralize(text: str, *, keep_reasoning: bool = False) -> str:
    """Return the text with a space in each control token; the same text if it has none.

    keep_reasoning: leave `<think>` in an earlier answer as it is: templates cut off the reasoning there.
    """
    if "<" not in text and "[" not in text and "｜" not in text:  # noqa: RUF001
        return text
    return (CONTROL_TOKEN_BUT_REASONING if keep_reasoning else CONTROL_TOKEN).sub(r"\g<0> ", text)


async def neutralize_inputs(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the inputs of a model of a task of TEMPLATED with all texts neutralized; unchanged if they are `raw`.

    Tool calls in messages are left as they are: they are the model's own JSON.
    """
    if inputs.get("raw"):
        return inputs
    texts = _Texts()
    made = dict(inputs)
    if "prompt" in inputs:
        made["prompt"] = await texts.neutralized(inputs["prompt"])
    for name in SCHEMAS:
        if name in inputs:
            made[name] = await texts.schemas(inputs[name])
    if "messages" in inputs:
        made["messages"] = [await texts.message(each) for each in inputs["messages"]]
    for name in DATA:
        if name in inputs:
            made[name] = await texts.data(inputs[name])
    return made


class _Texts:
    """Neutralizes the texts of a call; in between, other requests get their turn."""

    def __init__(self) -> None:
        self._characters = 0
        """Characters since others had their turn."""

    async def neutralized(self, text: str, pattern: re.Pattern[str] = CONTROL_TOKEN) -> str:
        places = [0, *await self._spaces(text, pattern), len(text)]
        return " ".join(text[start:end] for start, end in itertools.pairwise(places)) if len(places) > 2 else text

    async def message(self, message: dict[str, Any]) -> dict[str, Any]:
        pattern = CONTROL_TOKEN_BUT_REASONING if message.get("role") == "assistant" else CONTROL_TOKEN
        content: Any = message.get("content")
        if isinstance(content, list):
            content = await self._parts(cast("list[dict[str, Any]]", content), pattern)
        elif isinstance(content, str):
            content = await self.neutralized(content, pattern)
        name = {"name": neutralize(message["name"])} if "name" in message else {}
        return {**message, **name, "content": content}

    async def schemas(self, value: Any) -> Any:
        """Neutralize what describes tools and schemas, at any depth; names and values of theirs are no texts."""
        if isinstance(value, list):
            return [await self.schemas(each) for each in cast("list[Any]", value)]
        if not isinstance(value, dict):
            return value
        made: dict[str, Any] = {}
        for name, inner in cast("dict[str, Any]", value).items():
            is_text = name in ANNOTATIONS and isinstance(inner, str)
            made[name] = await self.neutralized(inner) if is_text else await self.schemas(inner)
        return made

    async def data(self, value: Any) -> Any:
        """Neutralize the texts in JSON, at any depth; names are no texts."""
        if isinstance(value, str):
            return await self.neutralized(value)
        if isinstance(value, list):
            return [await self.data(each) for each in cast("list[Any]", value)]
        if not isinstance(value, dict):
            return value
        return {name: await self.data(each) for name, each in cast("dict[str, Any]", value).items()}

    async def _parts(self, parts: list[dict[str, Any]], pattern: re.Pattern[str]) -> list[dict[str, Any]]:
        """Neutralize the texts of a message's parts as one: templates join them, and `<|im_` and `end|>` are a token.

        Images between them are left out: templates may put them elsewhere, and a data URI has no control tokens.
        """
        texts = [part.get("text", "") for part in parts]
        spaces = await self._spaces("".join(texts), pattern)
        made: list[dict[str, Any]] = []
        start = 0
        for part, text in zip(parts, texts, strict=True):
            first, last = (bisect.bisect_right(spaces, place) for place in (start, start + len(text)))
            cuts = [0, *(end - start for end in spaces[first:last]), len(text)]
            pieces = [text[one:other] for one, other in itertools.pairwise(cuts)]
            made.append({**part, "text": " ".join(pieces)} if "text" in part else part)
            start += len(text)
        return made

    async def _spaces(self, text: str, pattern: re.Pattern[str]) -> list[int]:
        """Return where spaces belong: behind the first character of each control token."""
        spaces: list[int] = []
        for start in range(0, len(text), CHARACTERS_AT_A_STRETCH):
            end = start + CHARACTERS_AT_A_STRETCH
            matches = pattern.finditer(text, start, end + MAX_TOKEN_CHARACTERS)
            spaces += [match.end() for match in matches if match.start() < end]
            self._characters += min(len(text), end) - start
            if self._characters >= CHARACTERS_AT_A_STRETCH:
                await asyncio.sleep(0)
                self._characters = 0
        return spaces
