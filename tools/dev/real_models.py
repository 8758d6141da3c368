"""The real models of `scripts/dev --models`: before anything starts, the server is found, and missing models are
downloaded."""

import sys
from argparse import Namespace
from pathlib import Path

from aiworker.settings import DEFAULTS
from tools.dev import configuration, plan
from tools.dev.configuration import ConfigurationError
from tools.dev.plan import NOTHING_REAL, RealModels
from workers_ai_simulator.catalogue import MODELS
from workers_ai_simulator.upstream import discovery, names
from workers_ai_simulator.upstream.discovery import ModelServer
from workers_ai_simulator.upstream.embeddings import ServerEmbeddings
from workers_ai_simulator.upstream.pull import Report

CHAT_VARIABLE, EMBED_VARIABLE = "REAL_CHAT_MODEL", "REAL_EMBED_MODEL"
SERVER = "server"
"""Value of --embeddings: by the server of --models."""


def asked_for(options: Namespace) -> RealModels:
    """The unchanged options of scripts/dev, for --dry-run."""
    values = {"--models": options.models, "--chat-models": options.chat_models, "--embeddings": options.embeddings}
    return RealModels(tuple(each for name, value in values.items() if value for each in (name, value)))


def find(options: Namespace) -> RealModels:
    """Find the server of --models, and have Ollama download what it lacks, with its progress on standard output.

    Raises ConfigurationError, with what to do, if the models cannot be used.
    """
    if not options.models:
        if options.chat_models or options.embeddings:
            raise ConfigurationError("--chat-models and --embeddings need --models: scripts/dev --models ollama")
        return NOTHING_REAL
    if options.remote:
        raise ConfigurationError("--models and --remote exclude each other: choose your server or your account.")
    report = Report(sys.stdout)
    _, _, embedding = (options.embeddings or "").partition("=")
    try:
        table = names.read(options.chat_models) if options.chat_models else names.Names()
        server = discovery.find(options.models, table, report, [embedding] if embedding else [])
        return _real(options, server, report, embedding) if server else NOTHING_REAL
    except (discovery.ModelsError, ValueError) as error:
        raise ConfigurationError(str(error)) from error


def _real(options: Namespace, server: ModelServer, report: Report, embedding: str) -> RealModels:
    variables = _variables(options)
    chat = server.label(server.model_for(variables["CHAT_MODEL"]) or "")
    report.say(f"Text generation is real: {chat}, at {server.url}")
    arguments = ["--models", _option(options.models, server)]
    if options.chat_models:
        arguments += ["--chat-models", options.chat_models]
    if not options.embeddings:
        return RealModels(tuple(arguments), {CHAT_VARIABLE: chat})
    name = _embedding(server, variables["EMBED_MODEL"], embedding, report)
    return RealModels(
        (*arguments, "--embeddings", f"{SERVER}={name}"),
        {CHAT_VARIABLE: chat, EMBED_VARIABLE: server.label(name)},
    )


def _option(option: str, server: ModelServer) -> str:
    """The value of --models for the simulator: the server that was found, and the model if one was chosen."""
    _, equals, model = option.partition("=")
    return f"{server.base}{equals}{model}"


def _embedding(server: ModelServer, model_id: str, wanted: str, report: Report) -> str:
    """Name of the server's model in place of EMBED_MODEL. Raises ModelsError if none has vectors as wide."""
    embeddings = ServerEmbeddings(server, wanted)
    embeddings.close()
    name = embeddings.names.get(model_id)
    if name is None:
        width = MODELS[model_id].dimensions if model_id in MODELS else "unknown"
        others = ", ".join(sorted(embeddings.names)) or "none"
        raise discovery.ModelsError(
            f"The vectors of {wanted or server.kind.name + ' and its models'} are not as wide as those of EMBED_MODEL "
            f"{model_id} ({width} dimensions), and of its index. Set EMBED_MODEL to one that fits ({others}), with an "
            "index of its own, or choose another model: --embeddings server=NAME"
        )
    report.say(
        f"Embeddings are real: {server.label(name)} in place of {model_id}. Documents that were indexed with other "
        "embeddings are not found by these: index them again, or start with --persist-to DIR."
    )
    return name


def _variables(options: Namespace) -> dict[str, str]:
    """CHAT_MODEL and EMBED_MODEL as the Worker will see them."""
    project = Path(options.project).resolve()
    own = configuration.read(project / "wrangler.jsonc")
    names_of_models = ("CHAT_MODEL", "EMBED_MODEL")
    values = {name: plan.value(name, project, own, dict(options.var)) for name in names_of_models}
    return {name: each or str(DEFAULTS[name]) for name, each in values.items()}
