"""The plan of a run of `scripts/dev`: one configuration and two commands, none of them started."""

import json
import os
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tools import ROOT
from tools.dev import configuration, variable_names, variables
from tools.dev.configuration import Configuration, ConfigurationError
from tools.setup.install import BUILT, PYTHON, VENV, WRANGLER

Command = list[str]

TOKENS_PER_SECOND = 60.0
"""Default pace of the simulated models, about that of the real ones."""


@dataclass(frozen=True)
class RealModels:
    """The models of a run that are not simulated, as real_models.py finds them."""

    arguments: tuple[str, ...] = ()
    """Options of the simulator."""
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    """Variables of the Worker, which GET /health shows."""


NOTHING_REAL = RealModels()


@dataclass(frozen=True)
class Plan:
    project: Path
    """The folder of wrangler.jsonc."""
    configuration: Configuration
    main: Path
    """The Worker's main module."""
    classes: dict[str, str]
    """Classes that the main module exports according to the configuration, name to kind."""
    file: Path
    """File for the configuration. Its folder is wrangler's module folder, except on the official runtime."""
    state: Path
    """Folder of the data that outlives a run: databases, objects, vectors."""
    wrangler: Command
    environment: Mapping[str, str]
    """Environment of wrangler, beside this process's own."""
    simulator: Command | None
    is_official: bool
    env_file: Path
    """File for the variables of --var, since all users of a machine can read wrangler's command line."""
    env: str
    """Text of env_file. It wins over the project's .dev.vars and .env, which win over the configuration."""

    def to_json(self) -> str:
        """Return the plan for people to read, without secrets."""
        commands = {"simulator": self.simulator, "wrangler": self.wrangler}
        shown = {**self.configuration, "vars": variables.masked(self.configuration["vars"])}
        plan = {"configuration_file": str(self.file), "configuration": shown, "commands": commands}
        return json.dumps(plan, indent=2)


def make(options: Namespace, port: int, simulator_port: int, run: str, real: RealModels = NOTHING_REAL) -> Plan:
    """Make the plan for the options of scripts/dev.

    run: name of the run in paths, such as its process id. real: the models that are not simulated.

    Raises ConfigurationError if wrangler.jsonc cannot be run here, or for a variable that aiworker does not read.
    """
    project = Path(options.project).resolve()
    # for a Python main module wrangler looks for python_modules/ beside the configuration
    file = project / f".wrangler-official-{run}.json" if options.official else BUILT / f"run-{run}" / "wrangler.json"
    env_file = project / f".wrangler-official-{run}.env" if options.official else file.with_name("variables.env")
    state = _state(options, project)
    values = {**(variables.FOR_TESTS if options.for_tests else {}), **dict(options.var)}
    own = configuration.read(project / "wrangler.jsonc")
    derived = _configuration(options, project, own, f"127.0.0.1:{simulator_port}", {**real.variables, **values})
    if project == ROOT:  # aiworker's variables are not those of another Worker
        _check_names(own, dict(options.var))
    return Plan(
        project=project,
        configuration=derived,
        main=project / own["main"],
        classes=configuration.configured_classes(own),
        file=file,
        state=state,
        wrangler=_wrangler(options, project, file, state, port, env_file if values else None),
        environment={
            **ENVIRONMENT,
            **(TRACED if options.traces else {}),
            **_host_check(value("ALLOWED_HOSTS", project, derived, values)),
        },
        simulator=None
        if options.remote
        else [
            *_simulator(options, own, state, simulator_port, value("RAG_PROPERTIES", project, own, values).split()),
            *real.arguments,
        ],
        is_official=options.official,
        env_file=env_file,
        env=_env(values),
    )


def _check_names(own: Configuration, values: dict[str, str]) -> None:
    """Raises ConfigurationError for a variable that aiworker does not read."""
    sources = {
        "--var": values,
        ".dev.vars": variable_names.in_file(ROOT / ".dev.vars"),
        "wrangler.jsonc, vars": own.get("vars", {}),
    }
    for where, names in sources.items():
        if complaint := variable_names.complaint(names, where):
            raise ConfigurationError(complaint)


def _state(options: Namespace, project: Path) -> Path:
    # tests must not mix their documents with the developer's own
    default = ".wrangler/state-for-tests" if options.for_tests else ".wrangler/state"
    return Path(options.persist_to or project / default).resolve()


def _env(values: dict[str, str]) -> str:
    try:
        return variables.env_file(values)
    except ValueError as error:
        raise ConfigurationError(
            f"The value of {error} cannot be given by --var: it has a line break, a # or a space at its ends, and both "
            "' and `, or ends in a backslash. Put it into .dev.vars."
        ) from error


def _configuration(
    options: Namespace, project: Path, own: Configuration, simulator: str, values: dict[str, str]
) -> Configuration:
    derived = own if options.official else configuration.on_local_runtime(own, project)
    if options.remote:
        derived = configuration.with_remote(derived)
    else:
        derived = configuration.with_simulators(derived, simulator)
    return configuration.with_variables(configuration.open_on_localhost(derived, options.host), **values)


def value(name: str, project: Path, configured: Configuration, values: dict[str, str]) -> str:
    """Return a variable as the Worker will see it. values: those of --var."""
    secrets = _secrets(project)
    in_file = variable_names.value_in_file(secrets, name) if secrets else None
    from_files = configured.get("vars", {}).get(name, "") if in_file is None else in_file
    return values.get(name, from_files)


def _simulator(options: Namespace, own: Configuration, state: Path, port: int, properties: list[str]) -> Command:
    command = [str(PYTHON), "-m", "workers_ai_simulator", "--port", str(port), "--data", str(state / "simulator")]
    command += ["--tokens-per-second", str(_pace(options))]
    indexes = [index["index_name"] for index in own.get("vectorize", [])]
    return [*command, *(f"--metadata-index={index}:{each}" for index in indexes for each in properties)]


def _pace(options: Namespace) -> float:
    if options.tokens_per_second is not None:
        return options.tokens_per_second
    return 0 if options.for_tests else TOKENS_PER_SECOND


def _wrangler(options: Namespace, project: Path, file: Path, state: Path, port: int, env_file: Path | None) -> Command:
    # pywrangler brings the Worker's packages up to date and passes the rest on to wrangler
    command = [str(VENV / "bin/pywrangler")] if options.official else ["node", "--no-warnings", str(WRANGLER)]
    command += ["dev", "--config", str(file), "--ip", options.host, "--port", str(port)]
    command += ["--persist-to", str(state), "--show-interactive-dev-session=false", "--inspector-port=0"]
    # wrangler would look for the first file beside the configuration; the file for --var comes last and takes
    # precedence
    return [*command, *(f"--env-file={file}" for file in (_secrets(project), env_file) if file)]


def _secrets(project: Path) -> Path | None:
    """Return the project's file of variables that wrangler reads: the first of these, as it does."""
    return next((project / name for name in (".dev.vars", ".env") if (project / name).exists()), None)


def _host_check(hosts: str) -> dict[str, str]:
    """Return the variables by which wrangler's proxy answers for these hosts only, names with spaces in between."""
    # in quotes: the path may have spaces
    options = f'{os.environ.get("NODE_OPTIONS", "")} --require "{ROOT / "tools/dev/host_check.cjs"}"'
    return {"NODE_OPTIONS": options.strip(), "DEV_HOSTS": hosts}


ENVIRONMENT = {
    "WRANGLER_SEND_METRICS": "false",
    "WRANGLER_HIDE_BANNER": "true",
    "WRANGLER_WRITE_LOGS": "false",
    # the Request.cf object is looked up on the network at every start otherwise
    "CLOUDFLARE_CF_FETCH_ENABLED": "false",
    # wrangler's explorer reads and changes D1, R2, objects and Workflows below /cdn-cgi/explorer, without an API key
    "X_LOCAL_EXPLORER": "false",
    # wrangler's store of spans is read through the explorer only
    "X_LOCAL_OBSERVABILITY": "false",
    # Node keeps wrangler's 15 MB compiled: about 0.4 s less at each start
    "NODE_COMPILE_CACHE": str(BUILT / "node-compile-cache"),
    "PYTHONPATH": str(ROOT / "packages/workers-ai-simulator/src"),
    "NO_COLOR": "1",
}
"""Environment of both commands."""

TRACED = {"X_LOCAL_EXPLORER": "true", "X_LOCAL_OBSERVABILITY": "true", "DEV_TRACES": "true"}
"""Environment of wrangler in which it keeps spans, and answers queries for them, but serves nothing else of its own."""
