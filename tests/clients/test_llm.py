"""Simon Willison's `llm`, on the command line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

MODELS = """\
- model_id: worker
  model_name: {model}
  api_base: {url}/v1
  api_key_name: aiworker
  supports_tools: true
  supports_schema: true
"""


@pytest.fixture
def folder(tmp_path: Path, base_url: str, model: str) -> Path:
    (tmp_path / "extra-openai-models.yaml").write_text(MODELS.format(model=f'"{model}"', url=base_url))
    (tmp_path / "keys.json").write_text('{"aiworker": "unused"}')
    return tmp_path


def llm(folder: Path, *arguments: str, expected: int = 0) -> str:
    environment = {**os.environ, "LLM_USER_PATH": str(folder)}
    command = [sys.executable, "-m", "llm", *arguments]
    done = subprocess.run(
        command, env=environment, text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=100, check=False
    )
    assert done.returncode == expected, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_prompt_streams_and_does_not(folder: Path) -> None:
    streamed = llm(folder, "-m", "worker", "What is a Wörker? 👋🏽")
    assert "Wörker? 👋🏽" in streamed
    assert llm(folder, "-m", "worker", "--no-stream", "What is a Wörker? 👋🏽") == streamed


def test_a_system_prompt_and_a_conversation(folder: Path) -> None:
    assert "Be brief" in llm(folder, "-m", "worker", "-s", "Be brief", "Hello")
    assert llm(folder, "-c", "And again?").strip()


def test_a_tool(folder: Path) -> None:
    function = 'def get_weather(city: str) -> str:\n    "The weather of a city."\n    return f"23 degrees in {city}"'
    output = llm(folder, "-m", "worker", "--functions", function, 'What is the weather in "Paris"?')
    assert "23 degrees in Paris" in output


def test_a_schema(folder: Path) -> None:
    output = llm(folder, "-m", "worker", "--schema", "name, age int", "Ann is 30 years old.")
    assert '"Ann"' in output
    assert "30" in output


def test_an_unknown_model_is_an_error_with_its_name(folder: Path, base_url: str) -> None:
    (folder / "extra-openai-models.yaml").write_text(MODELS.format(model="gpt-99", url=base_url))
    assert "no model gpt-99" in llm(folder, "-m", "worker", "Hello", expected=1)
