"""Error messages of other programs, as clients see them."""

import json
import time

import pytest
from pydantic import create_model

from aiworker.error_text import MAX_CHARACTERS, UNKNOWN_CAUSE, public_message
from aiworker.tools import WorkerTool

TRACEBACK = """PythonError: Traceback (most recent call last):
  File "/lib/python314.zip/_pyodide/_base.py", line 597, in eval_code_async
    await CodeRunner(
  File "/session/metadata/aiworker/rag/workflow_steps.py", line 38, in attempt
    raise RuntimeError(error.message) from error
%s
    at new_error (pyodide.asm.js:10:1)
    at wasm://wasm/02ddbc6a:wasm-function[321]:0x1a9c8d
"""

HARMLESS = (
    "VECTOR_UPSERT_ERROR (code = 40016): metadata too large",
    "5006: required properties at '/messages/0' are 'role'",
    "@cf/meta/llama-3.1-8b-instruct: see https://example.com/docs/errors.json",
    "There is no route /rag/documents/one.",
    "application/pdf and text/html",
    "at most 20 ids; got 21",
)
"""Messages without paths, though some have slashes or start like a line of a stack."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Error: D1_ERROR: locked\n    at D1Database.run (cloudflare-internal:d1-api:120:4)",
            "Error: D1_ERROR: locked",
        ),
        (TRACEBACK % "RuntimeError: Vectorize could not answer: 40016", "Vectorize could not answer: 40016"),
        (TRACEBACK % "KeyError: '_chunks_by_version'", UNKNOWN_CAUSE),
        ("cannot open /home/someone/project/.wrangler/state/v3/d1: denied", "cannot open …: denied"),
        ("cannot load file:///tmp/build/entry.py:12:5", "cannot load …"),
        (r"cannot open C:\Users\someone\data.sqlite", "cannot open …"),
        ("failed at /session/metadata/aiworker/app.py", "failed at …"),
        *((text, text) for text in HARMLESS),
        ("", UNKNOWN_CAUSE),
    ],
)
def test_a_message_keeps_its_words_and_loses_the_inside(text: str, expected: str) -> None:
    assert public_message(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("/" * 20_000, "/a" * 10_000, "/+" * 10_000, "/~" * 10_000, "/a.py" * 4_000, r"\a+" * 7_000),
        *("at " * 7_000, "\t " * 10_000 + "x", "^" * 20_000 + "x", TRACEBACK * 50, "RuntimeError: " * 2_000),
    ],
)
def test_a_long_message_is_cut(text: str) -> None:
    began = time.process_time()
    assert 0 < len(public_message(text)) <= MAX_CHARACTERS
    assert time.process_time() - began < 2, "it takes some milliseconds, if each part is looked at once"


async def test_a_tool_that_fails_tells_the_model_no_path() -> None:
    def broken() -> str:
        raise OSError("cannot read /session/metadata/secrets.json")

    result = await WorkerTool(broken, create_model("Arguments")).call("")
    assert json.loads(result) == {"error": "OSError: cannot read …"}
