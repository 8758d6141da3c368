"""Resources of a deployment beside the Worker: buckets, databases and indexes of vectors."""

import itertools
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tools.deploy.account import Account
from tools.deploy.api import ApiError, NotFoundError
from tools.deploy.errors import AGAIN, DASHBOARD, DeployError
from tools.deploy.target import Target

BUCKETS, DATABASES, INDEXES = "Workers R2 Storage: Edit", "D1: Edit", "Vectorize: Edit"
"""Permissions, by the names on Cloudflare's page for new tokens."""
TAKEN = (400, 409)
"""HTTP statuses of a name that is taken: D1 answers the first, R2 and Vectorize the second."""
METRIC = "cosine"
INDEXES_PATH = "vectorize/v2/indexes"
SECONDS_TO_SHOW = 30
"""Longest wait for a new metadata index, which Vectorize creates after it has answered."""


@dataclass(frozen=True)
class Resource(ABC):
    """One resource, which may or may not exist."""

    account: Account
    name: str

    kind = ""
    permission = ""

    @property
    def title(self) -> str:
        return f"{self.kind} {self.name}"

    def is_there(self) -> bool:
        with self.account.reach(f"look for the {self.title}", self.permission):
            try:
                return self._find()
            except NotFoundError:
                return False

    def create(self) -> None:
        """Create the resource, unless somebody else does at the same moment."""
        with self.account.reach(f"create the {self.title}", self.permission):
            try:
                self._create()
            except ApiError as error:
                if error.status not in TAKEN or not self.is_there():
                    raise

    def delete(self) -> None:
        """Delete the resource with its contents."""
        with self.account.reach(f"delete the {self.title}", self.permission):
            self._delete()

    @abstractmethod
    def _find(self) -> bool: ...

    @abstractmethod
    def _create(self) -> None: ...

    @abstractmethod
    def _delete(self) -> None: ...

    @abstractmethod
    def contents(self) -> str:
        """Return how much the resource holds, for people."""


class Bucket(Resource):
    """An R2 bucket."""

    kind, permission = "R2 bucket", BUCKETS

    def _find(self) -> bool:
        return bool(self.account.api.get("r2/buckets", self.name))

    def _create(self) -> None:
        self.account.api.post("r2/buckets", body={"name": self.name})

    def _delete(self) -> None:
        for key in self._keys():
            self.account.api.delete("r2/buckets", self.name, "objects", key)
        self.account.api.delete("r2/buckets", self.name)

    def contents(self) -> str:
        with self.account.reach(f"list the {self.title}", self.permission):
            count = sum(1 for _ in self._keys(limit=1_000))
        return f"{count:,} objects" if count < 1_000 else "1,000 objects or more"

    def _keys(self, limit: int | None = None) -> Iterator[str]:
        listed = self.account.api.cursor_pages("r2/buckets", self.name, "objects")
        yield from (str(each["key"]) for each in itertools.islice(listed, limit))


@dataclass(frozen=True)
class Database(Resource):
    """A D1 database: that of `known_id`, else the first of the name, as for wrangler."""

    known_id: str = ""
    """The field database_id of wrangler.jsonc."""

    kind, permission = "D1 database", DATABASES

    def _find(self) -> bool:
        return self._id() is not None

    def id(self) -> str:
        """Return the id of the database, which must exist."""
        with self.account.reach(f"look for the {self.title}", self.permission):
            existing = self._id()
        if existing is None:
            raise DeployError(f"The {self.title} has disappeared: run scripts/deploy again.")
        return existing

    def missing_migrations(self, folder: Path) -> list[str]:
        """Return the files of `folder` that have not been applied, in their order."""
        with self.account.reach(f"read the migrations of the {self.title}", self.permission):
            tables = self._query("SELECT name FROM sqlite_master WHERE name = 'd1_migrations'")
            applied = {row["name"] for row in self._query("SELECT name FROM d1_migrations")} if tables else set[str]()
        return [file.name for file in sorted(folder.glob("*.sql")) if file.name not in applied]

    def contents(self) -> str:
        with self.account.reach(f"measure the {self.title}", self.permission):
            database = self.account.api.get("d1/database", self.id())
            return f"{database['file_size'] / 1_000_000:.1f} MB"

    def _id(self) -> str | None:
        if self.known_id:
            self._check_known()
            return self.known_id
        listed = self.account.api.pages("d1/database", name=self.name)
        return next((each["uuid"] for each in listed if each["name"] == self.name), None)

    def _check_known(self) -> None:
        """Check the id. Raises DeployError if no database has it: wrangler would not take the one of the name."""
        try:
            self.account.api.get("d1/database", self.known_id)
        except NotFoundError as error:
            raise DeployError(
                f"wrangler.jsonc has the database_id {self.known_id} for {self.name}, which this account lacks: "
                "remove that field, and the database of the name is taken or created."
            ) from error

    def _query(self, sql: str) -> list[dict[str, Any]]:
        [answer] = self.account.api.post("d1/database", self.id(), "query", body={"sql": sql})
        return answer["results"]

    def _create(self) -> None:
        self.account.api.post("d1/database", body={"name": self.name})

    def _delete(self) -> None:
        self.account.api.delete("d1/database", self.id())


@dataclass(frozen=True)
class Index(Resource):
    """A Vectorize index. Its width and the properties that filters may use are settled before the first vector."""

    width: int
    properties: tuple[tuple[str, str], ...]
    """Pairs of a metadata property and its type: `string`, `number` or `boolean`."""

    kind, permission = "Vectorize index", INDEXES

    def check(self) -> None:
        """Check the index. Raises DeployError for one that does not fit EMBED_MODEL's vectors, or RAG_PROPERTIES."""
        index = self._configuration
        if (index["dimensions"], index["metric"]) != (self.width, METRIC):
            raise DeployError(
                f"The {self.title} is for vectors of {index['dimensions']} numbers and the metric {index['metric']}; "
                f"EMBED_MODEL makes {self.width}, compared by {METRIC}. Both are settled when an index is made: put "
                f"another index_name into wrangler.jsonc and let documents be added anew, or delete the index "
                f"in {DASHBOARD}."
            )

        kinds, wanted = dict(self._indexed()), dict(self.properties)
        if changed := [name for name in wanted if kinds.get(name, wanted[name]) != wanted[name]]:
            raise DeployError(
                f"The {self.title} has {changed[0]} indexed as a {kinds[changed[0]]}; RAG_PROPERTIES says "
                f"{wanted[changed[0]]}. Put the type back, or delete that metadata index in {DASHBOARD} and let "
                "documents be added anew."
            )

    def missing_properties(self) -> list[tuple[str, str]]:
        """Return the properties of RAG_PROPERTIES without a metadata index."""
        return [each for each in self.properties if each not in self._indexed()]

    def create_properties(self) -> None:
        """Create the metadata indexes that are missing, and wait until Vectorize shows them."""
        with self.account.reach(f"create a metadata index of the {self.title}", self.permission):
            for name, kind in self.missing_properties():
                body = {"propertyName": name, "indexType": kind}
                self.account.api.post(INDEXES_PATH, self.name, "metadata_index/create", body=body)
        deadline = time.monotonic() + SECONDS_TO_SHOW
        while missing := self.missing_properties():
            if time.monotonic() > deadline:
                names = ", ".join(name for name, _ in missing)
                raise DeployError(
                    f"Vectorize does not show the metadata indexes of {names} yet: wait a minute, {AGAIN}"
                )
            time.sleep(1)

    def vectors(self) -> int:
        with self.account.reach(f"measure the {self.title}", self.permission):
            return int(self.account.api.get(INDEXES_PATH, self.name, "info")["vectorCount"])

    def contents(self) -> str:
        return f"{self.vectors():,} vectors"

    @cached_property
    def _configuration(self) -> dict[str, Any]:
        with self.account.reach(f"read the {self.title}", self.permission):
            return self.account.api.get(INDEXES_PATH, self.name)["config"]

    def _indexed(self) -> set[tuple[str, str]]:
        with self.account.reach(f"read the metadata indexes of the {self.title}", self.permission):
            listed = self.account.api.get(INDEXES_PATH, self.name, "metadata_index/list")["metadataIndexes"]
            return {(str(each["propertyName"]), str(each["indexType"]).lower()) for each in listed}

    def _find(self) -> bool:
        return bool(self.account.api.get(INDEXES_PATH, self.name))

    def _create(self) -> None:
        body = {"name": self.name, "config": {"dimensions": self.width, "metric": METRIC}}
        self.account.api.post(INDEXES_PATH, body=body)

    def _delete(self) -> None:
        self.account.api.delete(INDEXES_PATH, self.name)


def buckets(account: Account, target: Target) -> list[Bucket]:
    return [Bucket(account, name) for name in target.named("r2_buckets")]


def databases(account: Account, target: Target) -> list[Database]:
    configured: list[dict[str, Any]] = target.configuration.get("d1_databases", [])
    return [Database(account, each["database_name"], each.get("database_id") or "") for each in configured]


def indexes(account: Account, target: Target) -> list[Index]:
    properties = tuple(target.settings().rag_properties.items())
    width = target.vector_width()
    return [Index(account, name, width, properties) for name in target.named("vectorize")]


def all_of(account: Account, target: Target) -> list[Resource]:
    """Return every resource of the target in the order in which they are created."""
    return [*buckets(account, target), *databases(account, target), *indexes(account, target)]
