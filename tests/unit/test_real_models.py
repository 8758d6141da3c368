"""`scripts/dev --models`: what the simulator and the Worker are told of the server that is found."""

from argparse import Namespace
from collections.abc import Iterator

import pytest

from model_servers import ModelServer, serving
from tools import ROOT
from tools.dev import real_models
from tools.dev.configuration import ConfigurationError
from tools.dev.plan import NOTHING_REAL
from workers_ai_simulator.upstream import kinds


@pytest.fixture
def ollama(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    """Ollama, at the address of its own variable, on a machine without other servers."""
    stand_in = ModelServer("ollama", "llama3.2:latest", "gemma3:4b", "nomic-embed-text:latest")
    for kind in ("lmstudio", "llama.cpp", "vllm"):
        monkeypatch.setitem(kinds.KINDS, kind, kinds.ServerKind(kind, kind, 9, owner="nobody"))
    with serving(stand_in) as url:
        monkeypatch.setenv("OLLAMA_HOST", url)
        yield stand_in


def options(models: str | None, **more: object) -> Namespace:
    values: dict[str, object] = {"chat_models": None, "embeddings": None, "remote": False, "project": str(ROOT)}
    return Namespace(models=models, **{"var": [], **values, **more})


def test_the_model_of_chat_model_is_named_and_the_simulator_gets_the_server_that_was_found(
    ollama: ModelServer, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"{kinds.KINDS['ollama'].url()}/v1"
    for option in ("auto", "ollama"):
        real = real_models.find(options(option))
        assert real.arguments == ("--models", url)
        assert real.variables == {"REAL_CHAT_MODEL": "gemma3:4b by Ollama"}
    assert f"Text generation is real: gemma3:4b by Ollama, at {url}" in capsys.readouterr().out
    chosen = real_models.find(options("ollama=llama3.2", var=[("CHAT_MODEL", "@cf/zai-org/glm-4.7-flash")]))
    assert chosen.arguments == ("--models", f"{url}=llama3.2")
    assert chosen.variables == {"REAL_CHAT_MODEL": "llama3.2 by Ollama"}


def test_embeddings_are_as_wide_as_those_of_embed_model_or_the_start_is_refused(
    ollama: ModelServer, capsys: pytest.CaptureFixture[str]
) -> None:
    real = real_models.find(options("ollama", embeddings="server"))
    assert real.arguments[-2:] == ("--embeddings", "server=nomic-embed-text:latest")
    assert real.variables["REAL_EMBED_MODEL"] == "nomic-embed-text by Ollama"
    assert "index them again, or start with --persist-to DIR" in capsys.readouterr().out
    with pytest.raises(ConfigurationError, match=r"not as wide as those of EMBED_MODEL @cf/baai/bge-m3 \(1024 dim"):
        real_models.find(options("ollama", embeddings="server", var=[("EMBED_MODEL", "@cf/baai/bge-m3")]))
    fitting = real_models.find(options("ollama", embeddings="server=bge-m3", var=[("EMBED_MODEL", "@cf/baai/bge-m3")]))
    assert fitting.arguments[-1] == "server=bge-m3"
    assert ollama.requests[-2] == ("/api/pull", {"model": "bge-m3"})


def test_auto_without_a_server_is_a_run_with_simulated_models(
    ollama: ModelServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    assert real_models.find(options("auto")) is NOTHING_REAL
    assert "so answers are simulated" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (options("olama"), "nor one of auto, ollama, lmstudio, llama.cpp, vllm"),
        (options("http://127.0.0.1:9"), "does not answer"),
        (options(None, chat_models="*=a"), "need --models: scripts/dev --models ollama"),
        (options("auto", remote=True), "--models and --remote exclude each other"),
    ],
)
def test_wrong_options_end_the_start_with_a_sentence(wrong: Namespace, words: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        real_models.find(wrong)
    assert words in str(raised.value)


def test_a_dry_run_asks_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    shown = real_models.asked_for(options("ollama", embeddings="server"))
    assert shown.arguments == ("--models", "ollama", "--embeddings", "server")
    assert not shown.variables
