"""Changes to a Worker's configuration for its local run: simulators, and what is open on localhost."""

from offline_python_workers.configuration import (
    Configuration,
    ConfigurationError,
    configured_classes,
    on_local_runtime,
    read,
)
from tools import ROOT
from tools.dev import variables

__all__ = ["Configuration", "ConfigurationError", "configured_classes", "on_local_runtime", "read"]

PLUGIN = ROOT / "packages/workers-ai-simulator/src/workers_ai_simulator/miniflare_plugin.cjs"


def with_simulators(configuration: Configuration, address: str) -> Configuration:
    """Bind the simulator at `address` (host:port) in place of Workers AI, Vectorize and AI Search."""
    simulated = dict(configuration)
    bindings: list[Configuration] = []
    if ai := simulated.pop("ai", None):
        bindings.append(_simulated(ai["binding"], {"kind": "ai", "address": address}))
    for index in simulated.pop("vectorize", []):
        options = {"kind": "vectorize", "address": address, "index": index["index_name"]}
        bindings.append(_simulated(index["binding"], options))
    for namespace in simulated.pop("ai_search_namespaces", []):
        options = {"kind": "ai-search-namespace", "address": address, "namespace": namespace["namespace"]}
        bindings.append(_simulated(namespace["binding"], options))
    for instance in simulated.pop("ai_search", []):
        options = {"kind": "ai-search", "address": address, "instance": instance["instance_name"]}
        bindings.append(_simulated(instance["binding"], options))
    unsafe = simulated.get("unsafe", {})
    simulated["unsafe"] = {**unsafe, "bindings": [*unsafe.get("bindings", []), *bindings]}
    names = " ".join(binding["name"] for binding in bindings)
    return with_variables(simulated, SIMULATED=names, SIMULATOR_URL=f"http://{address}")


def with_remote(configuration: Configuration) -> Configuration:
    """Bind the real Workers AI, Vectorize and AI Search of the account that wrangler is logged in to."""
    remote = dict(configuration)
    if "ai" in remote:
        remote["ai"] = {**remote["ai"], "remote": True}
    if "vectorize" in remote:
        remote["vectorize"] = [{**index, "remote": True} for index in remote["vectorize"]]
    for kind in ("ai_search_namespaces", "ai_search"):
        if kind in remote:
            remote[kind] = [{**each, "remote": True} for each in remote[kind]]
    return remote


def open_on_localhost(configuration: Configuration, host: str) -> Configuration:
    """Open the Worker for localhost: no keys, pages of this machine, the messages of defects in the log.

    host: the name or address on which it listens; it answers for no other names.
    """
    origins = configuration.get("vars", {}).get("ALLOWED_ORIGINS", "")
    local_origins = f"{origins} {variables.LOCAL_ORIGINS}".strip()
    values = {"ALLOWED_ORIGINS": local_origins, "ALLOWED_HOSTS": f"localhost {host}", "LOG_PROMPTS": "errors"}
    return with_variables(configuration, **variables.OPEN, **values)


def with_variables(configuration: Configuration, **values: str) -> Configuration:
    return {**configuration, "vars": {**configuration.get("vars", {}), **values}}


def _simulated(name: str, options: Configuration) -> Configuration:
    plugin = {"package": str(PLUGIN), "name": "workers-ai-simulator"}
    return {"name": name, "type": "simulated", "dev": {"plugin": plugin, "options": options}}
