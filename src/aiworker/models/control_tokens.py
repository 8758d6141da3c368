"""What chat templates are made of, in texts that come from elsewhere, loses its power over the prompt.

A model is sent messages, and its chat template makes one text of them: `<|im_start|>user`, what the user says,
`<|im_end|>`. A user who writes `<|im_end|>` would end their own turn and begin another's. So a space is put behind the
first character of every such mark: `< |im_end|>`. A person and a model read the same, and a tokenizer finds no control
token, since it looks for those letter by letter before anything else and none of them has a space there. (Taken out, a
mark could leave another one behind; a character without width would hide what was done, and stay in code and quotes
that the model repeats.)

Sources: the tokenizers and chat templates of the catalogue's families, as their publishers' repositories and the
parsers and tests of vLLM, SGLang and llama.cpp have them; of models that are not published (GLM 5, Qwen 3.8), those of
the versions before. Words without brackets (`/no_think`, `User:`) are no tokens, and stay.
"""

import re
from collections.abc import Mapping
from typing import Any, cast

TEMPLATED = ("text-generation", "guard")
"""Tasks of the models that have a chat template."""

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
"""The first character of a mark, which is put apart → what follows it."""
_THOUGHTS: Mapping[str, str] = {"<": "/?think>", r"\[": r"/?THINK\]"}
"""Around what a model has thought: DeepSeek, Qwen, GLM, Nemotron; Mistral."""


def _first_characters(thoughts: Mapping[str, str]) -> re.Pattern[str]:
    found = {first: [*rest, *filter(None, [thoughts.get(first)])] for first, rest in _TURNS.items()}
    return re.compile("|".join(f"{first}(?={'|'.join(rest)})" for first, rest in found.items()))


MARK = _first_characters(_THOUGHTS)
MARK_BUT_THOUGHTS = _first_characters({})


def neutralize(text: str, *, keep_reasoning: bool = False) -> str:
    """The text with a space in each mark of a chat template; the same text if it has none.

    keeps_thoughts: leave `<think>` as it is, of an earlier answer: templates cut off what a model has thought there.
    """
    if "<" not in text and "[" not in text and "｜" not in text:  # noqa: RUF001
        return text
    return (MARK_BUT_THOUGHTS if keep_reasoning else MARK).sub(r"\g<0> ", text)


def neutralize_inputs(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a model of a task of TEMPLATED is sent, with all texts `plain`; as it is if it goes past the template.

    Not the calls of tools that the model has made, which are JSON of its own.
    """
    if inputs.get("raw"):
        return inputs
    return {name: PARTS[name](value) if name in PARTS else value for name, value in inputs.items()}


def _messages(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [_message(message) for message in messages]


def _message(message: dict[str, Any]) -> dict[str, Any]:
    keep_reasoning = message.get("role") == "assistant"
    content: Any = message.get("content")
    if isinstance(content, list):
        content = [_part(part) for part in cast("list[dict[str, Any]]", content)]
    elif isinstance(content, str):
        content = neutralize(content, keep_reasoning=keep_reasoning)
    named = {"name": neutralize(message["name"])} if "name" in message else {}
    return {**message, **named, "content": content}


def _part(part: dict[str, Any]) -> dict[str, Any]:
    # an image's data URI has no marks in it, and may be long
    return {**part, "text": neutralize(part["text"])} if "text" in part else part


def _described(tool: Any) -> Any:
    """Descriptions, at any depth, are texts; names and schemas are not."""
    if isinstance(tool, list):
        return [_described(each) for each in cast("list[Any]", tool)]
    if not isinstance(tool, dict):
        return tool
    return {
        name: neutralize(value) if name == "description" and isinstance(value, str) else _described(value)
        for name, value in cast("dict[str, Any]", tool).items()
    }


PARTS = {"prompt": neutralize, "messages": _messages, "tools": _described}
"""Input that has texts in it → what makes them plain."""
