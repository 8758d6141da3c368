"""The deployment's configuration: wrangler.jsonc, with the names of production or of another environment."""

import copy
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from aiworker.bindings import BINDINGS
from aiworker.errors import ApiError
from aiworker.models import catalogue
from aiworker.settings import Settings
from tools.deploy.errors import DeployError
from tools.dev import configuration, variable_names
from tools.dev.configuration import Configuration
from tools.keys import keys

ENVIRONMENT = re.compile(r"[a-z][a-z0-9-]{0,19}")
PRODUCTION = "production"
"""Title of a deployment without `--env`, whose names have no suffix."""

NAMED: dict[str, tuple[str, ...]] = {
    "r2_buckets": ("bucket_name",),
    "d1_databases": ("database_name",),
    "vectorize": ("index_name",),
    "workflows": ("name",),
    "ai_search_namespaces": ("namespace",),
    "analytics_engine_datasets": ("dataset",),
}
"""Binding in wrangler.jsonc → its fields that hold names in the account."""
PER_DEPLOYMENT = ("database_id", "preview_database_id")
"""Fields of a binding that hold for production only."""
PER_ADDRESS = ("route", "routes", "workers_dev")
"""Fields that an environment does not inherit: production's addresses. Its own address is under workers.dev."""
SHARED = ("kv_namespaces", "queues", "hyperdrive", "pipelines", "services", "dispatch_namespaces", "ai_search")
"""Bindings by an id, or to resources that scripts/deploy does not create, for which no environment's name can be
derived."""
VERSION = "VERSION"
"""Binding from which /health has the version that answers."""


@dataclass(frozen=True)
class Target:
    """One deployment: its folder, its environment and its configuration."""

    root: Path
    environment: str
    """Empty for production."""
    configuration: Configuration
    """The configuration that wrangler reads, with the names of this environment."""

    @classmethod
    def read(cls, root: Path, environment: str) -> "Target":
        """Read wrangler.jsonc. Raises DeployError for what cannot be deployed."""
        if environment and (not ENVIRONMENT.fullmatch(environment) or environment == PRODUCTION):
            raise DeployError(
                f"{environment!r} cannot name an environment: use up to 20 lower-case letters, digits and '-', "
                f"beginning with a letter; {PRODUCTION} is what scripts/deploy without --env deploys."
            )
        try:
            own = configuration.read(root / "wrangler.jsonc")
        except configuration.ConfigurationError as error:
            raise DeployError(str(error)) from error
        _check(own)
        return cls(root, environment, derive(own, environment))

    @property
    def worker(self) -> str:
        return self.configuration["name"]

    @property
    def title(self) -> str:
        return self.environment or PRODUCTION

    @property
    def custom_domain(self) -> str | None:
        """The first custom domain among the routes."""
        routes = [cast("Configuration", each) for each in self._routes if isinstance(each, dict)]
        return next((route["pattern"] for route in routes if route.get("custom_domain")), None)

    @property
    def is_on_workers_dev(self) -> bool:
        """Whether the Worker has an address under workers.dev: as wrangler has it, not beside routes by default."""
        wanted = self.configuration.get("workers_dev")
        return not self._routes if wanted is None else bool(wanted)

    @property
    def _routes(self) -> list[Any]:
        single = self.configuration.get("route")
        return self.configuration.get("routes") or ([single] if single else [])

    def named(self, kind: str) -> list[str]:
        """Names of the buckets, databases, indexes or workflows: `kind` is a key of NAMED."""
        [field] = NAMED[kind]
        return [each[field] for each in self.configuration.get(kind, [])]

    def settings(self) -> Settings:
        """Return the Worker's variables. Raises DeployError for one that the Worker would refuse, or does not read."""
        variables: dict[str, Any] = self.configuration.get("vars", {})
        kept = keys.file_of(self.root, self.environment)
        for where, names in ((kept.name, variable_names.in_file(kept)), ("wrangler.jsonc, vars", variables)):
            if complaint := variable_names.complaint(names, where):
                raise DeployError(complaint)
        try:
            settings = Settings.read(variables)
        except ApiError as error:
            raise DeployError(f"wrangler.jsonc, vars: {error.message}") from error
        bound = {each["binding"] for each in self.configuration.get("ai_search_namespaces", [])}
        search = BINDINGS["searches"]
        if settings.rag_engine == "ai-search" and search.name not in bound:
            raise DeployError(f"RAG_ENGINE is ai-search: add {search.configuration} to wrangler.jsonc.")
        return settings

    def vector_width(self) -> int:
        """Return the length of EMBED_MODEL's vectors. Raises DeployError as `settings` does."""
        width = catalogue.MODELS[self.settings().models["EMBED_MODEL"]].dimensions
        assert width is not None, "every embedding model has a width"
        return width


def derive(own: Configuration, environment: str) -> Configuration:
    """Derive the configuration of an environment: production's with other names, and with the overrides of `env`.

    Everything that `env.NAME` of wrangler.jsonc has replaces production's; its `vars` are merged with production's.
    Raises DeployError for an environment that would use resources of production.
    """
    derived = copy.deepcopy(own)
    environments: Configuration = derived.pop("env", None) or {}
    overrides: Configuration = environments.get(environment) or {}
    if not environment:
        return derived
    _check_apart(derived, overrides, environment)
    derived["name"] += f"-{environment}"
    for field in PER_ADDRESS:
        derived.pop(field, None)
    for kind, fields in NAMED.items():
        for binding in derived.get(kind, []):
            for field in fields:
                # a data set is a table in SQL
                separator = "_" if field == "dataset" else "-"
                binding[field] += separator + environment.replace("-", separator)
            for field in PER_DEPLOYMENT:
                binding.pop(field, None)
    for limit in derived.get("ratelimits", []):
        limit["namespace_id"] = _namespace(limit["namespace_id"], environment)
    variables: Configuration = overrides.pop("vars", None) or {}
    return {**derived, **overrides, "vars": {**derived.get("vars", {}), **variables}}


def _check_apart(own: Configuration, overrides: Configuration, environment: str) -> None:
    """Raises DeployError for an environment that would use resources of production."""
    if shared := [kind for kind in SHARED if own.get(kind) and kind not in overrides]:
        raise DeployError(
            f"{environment} would share {', '.join(shared)} with {PRODUCTION}: put its own into wrangler.jsonc, under "
            f'"env": {{"{environment}": {{"{shared[0]}": …}}}}, or an empty one there to do without.'
        )
    if overrides.get("name") == own["name"]:
        raise DeployError(f"wrangler.jsonc, env.{environment}: the name {own['name']} is {PRODUCTION}'s.")


def _check(own: Configuration) -> None:
    """Raises DeployError for a configuration without the names by which a deployment is recognised."""
    if not own.get("name"):
        raise DeployError("wrangler.jsonc has no name for the Worker: add one.")
    for kind, fields in NAMED.items():
        for binding in own.get(kind, []):
            if lacking := [field for field in fields if not binding.get(field)]:
                raise DeployError(f"wrangler.jsonc, {kind}: {binding.get('binding')} lacks {lacking[0]}: add it.")
    for limit in own.get("ratelimits", []):
        if not re.fullmatch(r"[0-9]{1,9}", str(limit.get("namespace_id"))):
            raise DeployError(f"wrangler.jsonc, ratelimits: the namespace_id of {limit.get('name')} must be a number.")
    version: Configuration = own.get("version_metadata") or {}
    if version.get("binding") != VERSION:
        raise DeployError(
            "wrangler.jsonc lacks the binding by which /health says which version answers: add "
            f'"version_metadata": {{ "binding": "{VERSION}" }}.'
        )


def _namespace(production: str, environment: str) -> str:
    """Return a namespace for an environment's rate limit: Workers of one account share the counts of a namespace."""
    return str(int(production) + 10_000 * (1 + zlib.crc32(environment.encode()) % 90_000))
