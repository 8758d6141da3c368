"""The configuration and the files that scripts/dev makes before it starts anything."""

import asyncio
import json
import os
import struct
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from offline_python_workers import compiled, stage
from offline_python_workers.compiled import CompiledModules
from tools import ROOT
from tools.dev import configuration, derived, migrations, plan, server, variables
from tools.dev.derived import DerivedFiles
from tools.dev.processes import Children
from tools.docs import openapi
from tools.setup import install, lock
from tools.setup.install import InstallError, Step


def test_the_local_configuration_is_the_project_s_but_for_what_it_must_swap() -> None:
    project = configuration.read(ROOT / "wrangler.jsonc")
    local = configuration.with_simulators(configuration.on_local_runtime(project, ROOT), "127.0.0.1:1")
    untouched = {"name", "compatibility_date", "r2_buckets", "ratelimits", "observability"}
    assert {key: local[key] for key in untouched} == {key: project[key] for key in untouched}
    assert "ai" not in local
    assert "vectorize" not in local
    assert "python_workers" not in local["compatibility_flags"]
    assert Path(local["assets"]["directory"]) == ROOT / "public"
    assert {each["name"]: each["dev"]["options"]["kind"] for each in local["unsafe"]["bindings"]} == {
        "AI": "ai",
        "VECTORIZE": "vectorize",
    }
    assert local["vars"]["SIMULATED"] == "AI VECTORIZE"
    assert local["vars"]["SIMULATOR_URL"] == "http://127.0.0.1:1"


def test_bindings_of_ai_search_are_simulated_or_remote() -> None:
    own = {
        "ai_search_namespaces": [{"binding": "AI_SEARCH", "namespace": "mine"}],
        "ai_search": [{"binding": "HANDBOOK", "instance_name": "handbook"}],
    }
    local = configuration.with_simulators(own, "127.0.0.1:1")
    assert not local.keys() & own.keys()
    assert {each["name"]: each["dev"]["options"] for each in local["unsafe"]["bindings"]} == {
        "AI_SEARCH": {"kind": "ai-search-namespace", "address": "127.0.0.1:1", "namespace": "mine"},
        "HANDBOOK": {"kind": "ai-search", "address": "127.0.0.1:1", "instance": "handbook"},
    }
    remote = configuration.with_remote(own)
    assert all(each["remote"] for kind in own for each in remote[kind])


def test_nothing_of_version_1_of_pydantic_is_uploaded() -> None:
    excluded = configuration.read(ROOT / "wrangler.jsonc")["python_modules"]["exclude"]
    assert {"**/*.pyc", "*.dist-info/**", "pydantic/v1/**"} <= set(excluded)


def test_origins_of_the_project_are_kept_beside_those_of_this_machine() -> None:
    opened = configuration.open_on_localhost({"vars": {"ALLOWED_ORIGINS": "https://app.example"}}, "127.0.0.1")
    assert opened["vars"]["ALLOWED_ORIGINS"].split()[0] == "https://app.example"
    assert "http://localhost:*" in opened["vars"]["ALLOWED_ORIGINS"]


@pytest.mark.parametrize(
    ("entry", "exports"),
    [
        ("class Default(WorkerEntrypoint): pass", {"Default": "entrypoint"}),
        (
            "import workers\nclass A(workers.DurableObject): pass\nclass B(WorkflowEntrypoint): pass",
            {"A": "durableObject", "B": "workflow"},
        ),
        ("class Plain: pass\nclass Model(BaseModel): pass", {}),
        ("class Broken(", None),
        ("TEXT = 'caf\xe9'", None),
    ],
)
def test_the_classes_that_an_entry_exports_are_read_from_its_text(
    tmp_path: Path, entry: str, exports: dict[str, str] | None
) -> None:
    main = tmp_path / "entry.py"
    main.write_text(entry, encoding="latin-1")
    assert stage.exported_classes(main) == exports


def test_an_entry_that_is_not_there_exports_nothing_known(tmp_path: Path) -> None:
    assert stage.exported_classes(tmp_path / "entry.py") is None


def test_classes_that_an_entry_has_from_elsewhere_are_read_from_the_configuration() -> None:
    project = {
        "durable_objects": {"bindings": [{"class_name": "Room"}, {"class_name": "Theirs", "script_name": "other"}]},
        "workflows": [{"class_name": "Ingest"}],
        "name": "own",
        "services": [{"service": "own", "entrypoint": "Adder"}, {"service": "other", "entrypoint": "Theirs"}],
    }
    assert configuration.configured_classes(project) == {
        "Adder": "entrypoint",
        "Room": "durableObject",
        "Ingest": "workflow",
    }
    assert configuration.configured_classes({}) == {}


def test_a_main_module_always_has_a_default_export() -> None:
    assert "export default entrypoint('Default');" in stage.main_module({})
    assert stage.main_module({"Default": "entrypoint", "Room": "durableObject"}).count("export ") == 2


def test_a_pack_holds_every_file_in_the_order_of_its_index() -> None:
    files = {"b.py": b"second", "a/naïve.py": "première".encode(), "empty": b""}
    pack = compiled.pack(files.items())
    (size,) = struct.unpack_from("<I", pack)
    index, rest, unpacked = json.loads(pack[4 : 4 + size]), pack[4 + size :], {}
    for path, length in index:
        unpacked[path], rest = rest[:length], rest[length:]
    assert unpacked == files
    assert rest == b""
    assert dict(compiled.unpack(pack + b"what follows")) == files


def packed(run: Path) -> dict[str, bytes]:
    """Return the files of both halves of a run's pack: sources, then byte-code."""
    content = (run / stage.PROJECT).read_bytes()
    sources = compiled.unpack(content)
    return dict(sources) | dict(compiled.unpack(content[len(compiled.pack(sources)) :]))


def test_byte_code_goes_with_exactly_the_source_that_it_is_made_of(tmp_path: Path) -> None:
    source, run = tmp_path / "src", tmp_path / "run-1"
    for folder in (source / "package", run, tmp_path / "made"):
        folder.mkdir(parents=True)
    main, module = source / "entry.py", source / "package/module.py"
    main.write_text("import package.module\n")
    module.write_text("TEXT = 'first'\n")
    modules = CompiledModules(tmp_path / "made", "this interpreter")
    code = "package/__pycache__/module.cpython-314.pyc"

    assert stage.update(run, main, {}, modules)
    assert code not in packed(run)
    modules.make((run / stage.PROJECT).read_bytes())
    assert not stage.update(run, main, {}, modules)  # nothing of the sources has changed: no reload for byte-code
    main.touch()
    assert not stage.update(run, main, {}, modules)

    main.write_text("import package.module  # edited\n")
    assert stage.update(run, main, {}, modules)
    assert packed(run)[code] == modules.read("package/module.py", module.read_bytes())
    assert "__pycache__/entry.cpython-314.pyc" not in packed(run)
    module.write_text("TEXT = 'other'\n")  # of the same size, within the same second
    assert stage.update(run, main, {}, modules)
    assert code not in packed(run)
    module.write_text("TEXT = 'first'\n")
    assert stage.update(run, main, {}, modules)
    assert code in packed(run)
    module.rename(source / "package/renamed.py")
    assert stage.update(run, main, {}, modules)
    assert set(packed(run)) == {"entry.py", "package/renamed.py"}
    assert CompiledModules(tmp_path / "made", "another").missing((run / stage.PROJECT).read_bytes())


def test_modules_that_do_not_compile_are_left_out_and_the_oldest_byte_code_is_removed(tmp_path: Path) -> None:
    modules = CompiledModules(tmp_path, "this interpreter")
    valid = {f"m{n}.py": f"N = {n}\n".encode() for n in range(5)}
    broken = {"broken.py": b"(", "latin.py": b"'\xe9'", "null.py": b"\0", "deep.py": b"(" * 10_000}
    pack = compiled.pack([*broken.items(), *valid.items(), ("data.txt", b"no Python")])
    modules.make(pack)
    assert modules.missing(pack) == {modules.file(*each).name for each in broken.items()}
    for age, each in enumerate(valid.items()):
        os.utime(modules.file(*each), (1_000_000 - age, 1_000_000 - age))
    assert modules.read("m4.py", valid["m4.py"])  # used now
    modules.prune(keep=2)
    assert {path for path, source in valid.items() if modules.read(path, source)} == {"m0.py", "m4.py"}


async def test_a_change_is_shown_to_wrangler_again_only_if_it_was_not_noticed() -> None:
    shown: list[str] = []
    noticed = asyncio.Event()
    await server.ensure_noticed(noticed, lambda: shown.append("again"), 0)
    assert shown == ["again", "again"]
    await server.ensure_noticed(noticed, noticed.set, 0)
    shown.clear()
    await server.ensure_noticed(noticed, lambda: shown.append("again"), 0)  # however long it loads from then on
    assert shown == []


def test_wrangler_says_when_it_takes_a_change_up_and_when_the_worker_is_there() -> None:
    reloads = server.Reloads()
    reloads.note("⎔ Reloading local server...")
    assert (reloads.noticed.is_set(), reloads.loaded.is_set()) == (True, False)
    reloads.note("⎔ Local server updated and ready")
    assert reloads.loaded.is_set()


async def test_the_api_is_described_again_only_when_the_sources_or_the_file_have_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs: list[str] = []
    status = 0

    async def run(_: DerivedFiles, command: list[str]) -> tuple[int, list[str]]:
        runs.append(command[-1])
        return status, []

    source, description = tmp_path / "src", tmp_path / "openapi.json"
    source.mkdir()
    monkeypatch.setattr(derived, "DESCRIBED", tmp_path / "stamp")
    monkeypatch.setattr(openapi, "SOURCE", source)
    monkeypatch.setattr(openapi, "FILE", description)
    monkeypatch.setattr(DerivedFiles, "_run", run)

    async def runs_now(project: Path = ROOT) -> int:
        runs.clear()
        options = Namespace(project=project, official=False, remote=False, for_tests=False, traces=False, var=[])
        options.persist_to, options.tokens_per_second, options.host = None, None, "127.0.0.1"
        options.models = options.chat_models = options.embeddings = None
        made = plan.make(options, 1, 2, "3")
        await DerivedFiles(made, CompiledModules(tmp_path, ""), Children())._describe_api()  # pyright: ignore[reportPrivateUsage]
        return len(runs)

    assert [await runs_now(), await runs_now()] == [1, 0]
    source.joinpath("new.py").write_text("")
    status = 1  # broken: tried again with the next load
    assert [await runs_now(), await runs_now()] == [1, 1]
    status = 0
    assert [await runs_now(), await runs_now()] == [1, 0]
    description.write_text("of another branch")
    assert await runs_now() == 1
    source.joinpath("new.py").write_text("edited")
    assert await runs_now(ROOT / "tests/runtime/project") == 0


@pytest.mark.parametrize("name", ["TOKEN_SECRET", "API_KEYS", "OPENAI_API_KEY", "PASSWORD", "GITHUB_TOKEN"])
def test_values_that_look_like_secrets_are_not_printed(name: str) -> None:
    assert variables.masked({name: "value", "MAX_TOKENS": "9"}) == {name: "***", "MAX_TOKENS": "9"}


def test_a_file_with_secrets_is_not_for_other_users(tmp_path: Path) -> None:
    """A killed run leaves its files behind; those of an official run lie in the project's own folder."""
    old = os.umask(0)
    try:
        server._write_privately(tmp_path / "secrets", "TOKEN_SECRET=value")  # pyright: ignore[reportPrivateUsage]
    finally:
        os.umask(old)
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o600


def test_a_value_that_wrangler_could_not_read_is_refused() -> None:
    with pytest.raises(ValueError, match="ODD"):
        variables.env_file({"ODD": "it's # `odd`"})
    with pytest.raises(ValueError, match="ODD"):
        variables.env_file({"ODD": "one\ntwo\\"})


def test_a_reader_never_meets_half_a_file(tmp_path: Path) -> None:
    source, run = tmp_path / "src", tmp_path / "run-1"
    source.mkdir()
    run.mkdir()
    main = source / "entry.py"
    main.write_text("class Default(WorkerEntrypoint): pass\n" * 1_000)
    assert stage.update(run, main, {})
    before = (run / stage.PROJECT).read_bytes()
    with (run / stage.PROJECT).open("rb") as being_read:
        start = being_read.read(100)
        main.write_text("class Default(WorkerEntrypoint): pass\n")
        assert stage.update(run, main, {})
        assert start + being_read.read() == before
    assert (run / stage.PROJECT).read_bytes() != before
    assert not stage.update(run, main, {})
    assert {each.name for each in tmp_path.iterdir()} == {"src", "run-1"}
    assert {each.name for each in run.iterdir()} == {"main.mjs", stage.PROJECT}


def test_a_step_is_done_again_only_when_what_it_is_made_from_has_changed(tmp_path: Path) -> None:
    runs: list[str] = []

    def step(made_from: str) -> Step:
        return Step("A step", tmp_path / "output", (made_from,), lambda: make(made_from))

    def make(made_from: str) -> None:
        (tmp_path / "output").mkdir(exist_ok=True)
        runs.append(made_from)

    for made_from in ("first", "first", "second", "second"):
        install.run([step(made_from)])
    assert runs == ["first", "second"]


def test_a_step_that_fails_is_done_again(tmp_path: Path) -> None:
    def fail() -> None:
        tmp_path.joinpath("output").mkdir()
        raise InstallError("no network")

    step = Step("A step", tmp_path / "output", ("inputs",), fail)
    with pytest.raises(InstallError):
        install.run([step])
    assert not step.is_done()


@pytest.mark.parametrize(
    ("settings", "fails", "installed_by"),
    [
        ({}, "", ["pip", "uv"]),  # pip installs uv
        ({}, "uv", ["pip", "uv", "pip"]),
        ({"PIP_EXTRA_INDEX_URL": "https://more.test"}, "", ["pip", "uv"]),
        ({"PIP_INDEX_URL": "https://mirror.test"}, "", ["pip"]),
        ({"PIP_PROXY": "proxy.test:3128"}, "", ["pip"]),
    ],
)
def test_uv_installs_unless_pip_is_told_to_go_elsewhere(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], fails: str, installed_by: list[str]
) -> None:
    commands: list[str] = []

    def call(command: list[str]) -> None:
        if {"install", "sync"} & {*command}:
            commands.append("uv" if command[0].endswith("uv") else "pip")
            if commands[-1] == fails:
                raise InstallError("no network")

    monkeypatch.setattr(install, "_call", call)
    for name in ("PIP_INDEX_URL", "PIP_NO_INDEX", "PIP_PROXY", "PIP_TRUSTED_HOST"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"PIP_CONFIG_FILE": os.devnull, **settings}.items():
        monkeypatch.setenv(name, value)
    install._install_python_packages([lock.path("development")], own_node=False)  # pyright: ignore[reportPrivateUsage]
    assert commands == installed_by


def test_a_new_state_gets_copies_of_the_databases_it_wants_and_no_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(migrations, "PREPARED", tmp_path / "prepared")
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    wanted = {"d1_databases": [{"database_name": "one"}]}
    tables = {"one": "fingerprint of its migrations"}
    assert not migrations.copy_prepared(wanted, tables, first)
    first.joinpath(migrations.DATABASES).mkdir(parents=True)
    first.joinpath(migrations.DATABASES, "one.sqlite").write_text("tables")
    for _ in range(2):  # two runs may have made them at the same time
        migrations.keep_prepared(wanted, tables, first)

    second.joinpath("v3/d1-copied-in-part").mkdir(parents=True)  # by a run that was killed
    assert not migrations.copy_prepared(wanted, {"one": "of others"}, second)
    assert not migrations.copy_prepared({"d1_databases": [{"database_name": "two"}]}, tables, second)
    assert migrations.copy_prepared(wanted, tables, second)
    assert second.joinpath(migrations.DATABASES, "one.sqlite").read_text() == "tables"
    third.joinpath(migrations.DATABASES).mkdir(parents=True)
    assert not migrations.copy_prepared(wanted, tables, third)  # it has its own
    assert not list(third.joinpath(migrations.DATABASES).iterdir())


# ---- crashes -------------------------------------------------------------------------------------------------------


async def test_workerd_is_started_again_after_three_crashes_and_not_after_a_fourth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crash = "echo started >> starts; echo '[wrangler:warn] The Workers runtime crashed unexpectedly'; exec sleep 60"
    made: Any = SimpleNamespace(wrangler=["sh", "-c", crash], environment={}, project=tmp_path)
    async with Children() as children:
        await server.run_wrangler(made, children, server.Reloads(), Namespace(host="127.0.0.1", log="lines"))
    assert (tmp_path / "starts").read_text().splitlines() == ["started"] * 4
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        f"workerd has crashed: starting it again ({number} of 3) …" for number in (1, 2, 3)
    ]
    assert printed.err == "workerd has crashed 4 times in 10 minutes.\n"
