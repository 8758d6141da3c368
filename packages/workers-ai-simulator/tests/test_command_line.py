"""The command line: wrong values and data folders are refused in a sentence, before anything has started."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from running_simulator import ENVIRONMENT, SimulatorProcess
from workers_ai_simulator.__main__ import main
from workers_ai_simulator.client import SimulatorClient
from workers_ai_simulator.data_folder import DataFolder, DataFolderError
from workers_ai_simulator.embeddings import minilm, stored_kind
from workers_ai_simulator.embeddings.local import EmbeddingsError, model_ids
from workers_ai_simulator.extras import install_command


def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str]:
    """Status and last line of a command that does not start."""
    monkeypatch.setattr(sys, "argv", ["workers-ai-simulator", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    printed = capsys.readouterr().err
    return (exit_.value.code, printed.splitlines()[-1]) if printed else (1, str(exit_.value.code))


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--port", "99999", "'99999' is no port: 0 (any free one) to 65535"),
        ("--port", "-1", "'-1' is no port"),
        ("--port", "http", "'http' is no port"),
        ("--tokens-per-second", "nan", "'nan' is no number from 0 upwards"),
        ("--tokens-per-second", "-5", "'-5' is no number from 0 upwards"),
        ("--vectorize-delay", "inf", "'inf' is no number from 0 upwards"),
        ("--vectorize-delay", "soon", "'soon' is no number from 0 upwards"),
        ("--index", "foo:0:cosine", "'foo:0:cosine' has 0 dimensions: an index has 1 to 1536"),
        ("--index", "foo:1537", "an index has 1 to 1536"),
        ("--index", f"{'n' * 65}:3", "A name has 1 to 64"),
        ("--index", "foo:3:manhattan", "metrics are cosine, euclidean, dot-product"),
        ("--metadata-index", "foo:$kind:string", "is not INDEX:PROPERTY:TYPE"),
        ("--metadata-index", "foo::string", "is not INDEX:PROPERTY:TYPE"),
    ],
)
def test_a_wrong_value_is_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str, value: str, words: str
) -> None:
    status, sentence = refused(monkeypatch, capsys, option, value)
    assert status == 2
    assert f"argument {option}: " in sentence
    assert words in sentence


@pytest.mark.parametrize(
    ("name", "why"), [("file", "it is a file"), ("file/below", "Not a directory"), ("/proc/nope", "No such file")]
)
def test_a_data_folder_that_cannot_be_made_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, why: str
) -> None:
    (tmp_path / "file").touch()
    folder = str(tmp_path / name)
    status, sentence = refused(monkeypatch, capsys, "--port", "0", "--data", folder)
    assert status == 1
    assert sentence.startswith(f"--data: the folder {folder} cannot be made or written: {why}")
    assert sentence.endswith("Name another: --data DIR")


def test_a_second_simulator_in_a_data_folder_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    first = SimulatorProcess("--data", tmp_path)
    with pytest.raises(DataFolderError) as refusal:
        DataFolder(tmp_path, patience=0)
    assert f", {first.url}. Stop it, or name another folder: --data DIR" in str(refusal.value)
    first.kill()
    DataFolder(tmp_path, patience=0)  # SIGKILL has released it


def test_an_unknown_model_of_embeddings_is_refused_with_all_choices() -> None:
    with pytest.raises(EmbeddingsError, match=r"'e5' is none of lexical, minilm, server, .*, bge, bge-small, bge-base"):
        model_ids("bge, e5")


def test_the_list_of_calls_ends_silently_with_its_reader() -> None:
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "workers_ai_simulator", "conform", "--list"],
        env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as listing:  # fmt: skip
        assert listing.stdout
        assert listing.stderr
        listing.stdout.close()  # as `head` does
        assert listing.stderr.read() == ""


def test_an_extra_is_installed_for_the_python_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/my venv/bin/python")
    modules = {"pip"}
    monkeypatch.setattr("importlib.util.find_spec", modules.__contains__)
    assert install_command("chat") == "'/my venv/bin/python' -m pip install 'workers-ai-simulator[chat]'"
    modules.clear()
    assert install_command("chat") == "uv pip install --python '/my venv/bin/python' 'workers-ai-simulator[chat]'"


def test_ctrl_c_ends_the_simulator_without_a_traceback() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "workers_ai_simulator", "--port", "0"],
        env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as simulator:  # fmt: skip
        assert simulator.stdout
        url = simulator.stdout.readline().removeprefix("Ready on ").strip()
        SimulatorClient(url).faults()  # it answers, so that it handles signals
        simulator.send_signal(signal.SIGINT)
        assert simulator.communicate(timeout=60)[1] == ""
        assert simulator.returncode == 0


def test_a_start_that_fails_leaves_the_kind_of_a_folder_s_embeddings_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without_weights() -> None:
        raise minilm.WeightsError("it needs its weights")

    monkeypatch.setattr(minilm, "load", without_weights)
    first, second, third = folders = [tmp_path / name for name in ("first", "second", "third")]  # each is locked once
    kinds = [folder / stored_kind.NAME for folder in folders]
    status, sentence = refused(monkeypatch, capsys, "--data", str(first), "--embeddings", "minilm")
    assert (status, sentence) == (2, "it needs its weights")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        options = ("--embeddings", "lexical", "--port", port)
        _, sentence = refused(monkeypatch, capsys, "--data", str(second), *options)
    assert f"Cannot listen on port {port}" in sentence
    assert not any(kind.exists() for kind in kinds)
    third.mkdir()
    kinds[2].write_text("minilm")
    status, sentence = refused(monkeypatch, capsys, "--data", str(third))
    assert status == 2
    assert sentence.startswith(f"The vectors in {third} were made by --embeddings minilm. it needs its weights.")
    assert sentence.endswith("Or use another folder: --data DIR")
