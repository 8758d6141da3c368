"""Indexes, their vectors and the writes still to be applied, in one SQLite file."""

import base64
import datetime
import json
import re
import sqlite3
import threading
import time
import uuid
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from workers_ai_simulator.vectorize import limits
from workers_ai_simulator.vectorize.collection import Collection, Floats, Record
from workers_ai_simulator.vectorize.filters import Indexed, conditions, truncated
from workers_ai_simulator.vectorize.limits import VectorizeError, compact

SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS indexes (
    name TEXT PRIMARY KEY, dimensions INTEGER NOT NULL, metric TEXT NOT NULL, description TEXT NOT NULL,
    created TEXT NOT NULL, modified TEXT NOT NULL, processed_mutation TEXT, processed_at TEXT);
CREATE TABLE IF NOT EXISTS metadata_indexes (
    index_name TEXT NOT NULL, property TEXT NOT NULL, type TEXT NOT NULL, PRIMARY KEY (index_name, property));
CREATE TABLE IF NOT EXISTS vectors (
    index_name TEXT NOT NULL, id TEXT NOT NULL, "values" BLOB NOT NULL, namespace TEXT, metadata TEXT,
    indexed TEXT NOT NULL, PRIMARY KEY (index_name, id));
CREATE TABLE IF NOT EXISTS mutations (
    number INTEGER PRIMARY KEY AUTOINCREMENT, index_name TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL,
    due REAL NOT NULL, records TEXT NOT NULL, "values" BLOB NOT NULL);
"""


@dataclass(frozen=True)
class Index:
    name: str
    dimensions: int
    metric: str
    description: str
    created: str
    modified: str
    processed_mutation: str | None
    processed_at: str | None


class VectorStore:
    """Every index of the simulator. Its methods may be called from several threads.

    A write is acknowledged once SQLite has it, and shows in answers `delay` seconds later, as Vectorize applies writes
    after the fact. Nothing acknowledged is lost when the process is killed.
    """

    def __init__(
        self, path: Path | None = None, delay: float = 0, metadata_indexes: Sequence[tuple[str, str, str]] = ()
    ) -> None:
        """metadata_indexes: (index, property, type) that an index gets when it is made."""
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self._db.executescript(SCHEMA)
        self._lock = threading.RLock()
        self._delay = delay
        self._first_metadata_indexes = metadata_indexes
        self._collections: dict[str, Collection] = {}

    # ---- indexes -----------------------------------------------------------------------------------------------------

    def create_index(self, name: str, dimensions: int, metric: str, description: str = "") -> Index:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
            raise VectorizeError(limits.PARSE_BODY, "name: expected 1 to 64 lowercase letters, digits, - or _")
        if not 1 <= dimensions <= limits.MOST_DIMENSIONS:
            raise VectorizeError(limits.PARSE_BODY, f"dimensions: expected 1 to {limits.MOST_DIMENSIONS}")
        if metric not in limits.METRICS:
            raise VectorizeError(limits.PARSE_BODY, f"metric: expected one of {', '.join(limits.METRICS)}")
        with self._lock:
            if self.find_index(name):
                raise VectorizeError(3002, "vectorize.index.duplicate_name", 409)
            row = (name, dimensions, metric, description, _now(), _now())
            self._db.execute("INSERT INTO indexes VALUES (?, ?, ?, ?, ?, ?, NULL, NULL)", row)
            for index, property_name, kind in self._first_metadata_indexes:
                if index == name:
                    self.create_metadata_index(name, property_name, kind)
            return self.index(name)

    def find_index(self, name: str) -> Index | None:
        with self._lock:
            row = self._db.execute("SELECT * FROM indexes WHERE name = ?", (name,)).fetchone()
        return Index(*row) if row else None

    def index(self, name: str) -> Index:
        """Raises VectorizeError 3000 if there is none of that name."""
        found = self.find_index(name)
        if not found:
            raise VectorizeError(limits.NOT_FOUND, "vectorize.index.not_found", 404)
        return found

    def indexes(self) -> list[Index]:
        with self._lock:
            return [Index(*row) for row in self._db.execute("SELECT * FROM indexes ORDER BY name")]

    def delete_index(self, name: str) -> None:
        self.index(name)
        with self._lock, self._transaction(name):
            self._db.execute("DELETE FROM indexes WHERE name = ?", (name,))
            for table in ("metadata_indexes", "vectors", "mutations"):
                self._db.execute(f"DELETE FROM {table} WHERE index_name = ?", (name,))  # noqa: S608 - names from above
            self._collections.pop(name, None)

    def create_metadata_index(self, name: str, property_name: str, kind: str) -> str:
        """Vectors written from now on can be filtered by that property (dotted for one of an inner object)."""
        self.index(name)
        if kind not in limits.PROPERTY_TYPES:
            raise VectorizeError(limits.PARSE_BODY, f"indexType: expected one of {', '.join(limits.PROPERTY_TYPES)}")
        if not property_name or property_name.startswith("$") or '"' in property_name:
            raise VectorizeError(limits.PARSE_BODY, f"propertyName: invalid property {property_name!r}")
        with self._lock:
            present = self.metadata_indexes(name)
            if property_name not in present and len(present) >= limits.MOST_METADATA_INDEXES:
                raise VectorizeError(40019, f"max is {limits.MOST_METADATA_INDEXES} metadata indexes")
            row = (name, property_name, kind)
            self._db.execute("INSERT OR REPLACE INTO metadata_indexes VALUES (?, ?, ?)", row)
        return str(uuid.uuid4())

    def metadata_indexes(self, name: str) -> dict[str, str]:
        """Property → type."""
        with self._lock:
            rows = self._db.execute("SELECT property, type FROM metadata_indexes WHERE index_name = ?", (name,))
            return dict(rows.fetchall())

    def delete_metadata_index(self, name: str, property_name: str) -> str:
        self.index(name)
        with self._lock:
            where = (name, property_name)
            self._db.execute("DELETE FROM metadata_indexes WHERE index_name = ? AND property = ?", where)
        return str(uuid.uuid4())

    # ---- writes ------------------------------------------------------------------------------------------------------

    def write(self, name: str, kind: str, vectors: Sequence[dict[str, Any]], most: int) -> str:
        """`insert` (keeps what is there) or `upsert` (replaces it) vectors `{id, values, namespace?, metadata?}`.

        Returns the mutation's id. Raises VectorizeError, and writes nothing, if one of them is refused.
        """
        index = self.index(name)
        if not vectors:
            raise VectorizeError(limits.PARSE_VECTORS, f"failed to parse {kind} vectors request: no vectors")
        if len(vectors) > most:
            raise VectorizeError(40007, f"too many vectors; max is {most}, got {len(vectors)}")
        properties = self.metadata_indexes(name)
        records = [_record(vector, index.dimensions, properties) for vector in vectors]
        return self._enqueue(name, kind, records)

    def delete(self, name: str, ids: Sequence[object], most: int) -> str:
        self.index(name)
        if len(ids) > most:
            raise VectorizeError(40007, f"too many ids; max is {most}, got {len(ids)}")
        empty = np.empty(0, dtype=np.float32)
        return self._enqueue(name, "delete", [Record(limits.check_id(each), empty, None, None, {}) for each in ids])

    def _enqueue(self, name: str, kind: str, records: list[Record]) -> str:
        mutation = str(uuid.uuid4())
        rows = compact([[each.id, each.namespace, each.metadata, each.indexed] for each in records])
        values = b"".join(each.values.tobytes() for each in records)
        with self._lock:
            entry = (name, mutation, kind, time.time() + self._delay, rows, values)
            columns = 'index_name, id, kind, due, records, "values"'
            self._db.execute(f"INSERT INTO mutations ({columns}) VALUES (?, ?, ?, ?, ?, ?)", entry)  # noqa: S608
        return mutation

    def _apply_due(self, index: Index) -> Collection:
        """Bring the index up to date with the writes that are due; to be called under the lock."""
        collection = self._collection(index)
        select = 'SELECT number, id, kind, records, "values" FROM mutations WHERE index_name = ? AND due <= ?'
        for number, mutation, kind, rows, values in self._db.execute(
            f"{select} ORDER BY number", (index.name, time.time())
        ).fetchall():
            matrix: Floats = np.frombuffer(values, dtype=np.float32).reshape(-1, index.dimensions)
            with self._transaction(index.name):
                for position, (vector_id, namespace, metadata, indexed) in enumerate(json.loads(rows)):
                    if kind == "delete":
                        self._forget(index.name, vector_id, collection)
                    elif kind == "upsert" or vector_id not in collection:
                        record = Record(vector_id, matrix[position], namespace, metadata, indexed)
                        self._keep(index.name, record, collection)
                self._db.execute("DELETE FROM mutations WHERE number = ?", (number,))
                processed = "UPDATE indexes SET processed_mutation = ?, processed_at = ? WHERE name = ?"
                self._db.execute(processed, (mutation, _now(), index.name))
        return collection

    def _collection(self, index: Index) -> Collection:
        if index.name not in self._collections:
            collection = self._collections[index.name] = Collection(index.dimensions, index.metric)
            for record in self._records(index.name):
                collection.put(record)
        return self._collections[index.name]

    def _keep(self, name: str, record: Record, collection: Collection) -> None:
        metadata = None if record.metadata is None else compact(record.metadata)
        row = (name, record.id, record.values.tobytes(), record.namespace, metadata, compact(record.indexed))
        self._db.execute("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?, ?, ?)", row)
        collection.put(record)

    def _forget(self, name: str, vector_id: str, collection: Collection) -> None:
        self._db.execute("DELETE FROM vectors WHERE index_name = ? AND id = ?", (name, vector_id))
        collection.remove(vector_id)

    @contextmanager
    def _transaction(self, name: str) -> Generator[None]:
        """All of the block, or nothing of it: what memory holds of the index is then read anew."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            self._collections.pop(name, None)
            raise
        self._db.execute("COMMIT")

    # ---- reads -------------------------------------------------------------------------------------------------------

    def info(self, name: str) -> dict[str, Any]:
        with self._lock:
            collection = self._apply_due(self.index(name))
            index = self.index(name)
        return {
            "vectorCount": len(collection),
            "dimensions": index.dimensions,
            "processedUpToDatetime": index.processed_at,
            "processedUpToMutation": index.processed_mutation,
        }

    def get(self, name: str, ids: Sequence[object]) -> list[dict[str, Any]]:
        """The vectors of those ids, in the order asked for; none for an id that is not there."""
        if len(ids) > limits.MOST_IDS:
            raise VectorizeError(40007, f"too many ids; max is {limits.MOST_IDS}, got {len(ids)}")
        with self._lock:
            self._apply_due(self.index(name))
            found = [self._records(name, limits.check_id(each)) for each in ids]
        return [_vector(record) for records in found for record in records]

    def list_ids(self, name: str, count: str, cursor: str) -> dict[str, Any]:
        """A page of ids in their order, `count` of 1 to 1,000 (default 100) behind the `cursor` of the page before."""
        most = int(count) if count.isdecimal() else limits.LISTED
        if not 1 <= most <= limits.MOST_LISTED:
            raise VectorizeError(limits.PARSE_BODY, f"invalid count; must be between 1 and {limits.MOST_LISTED}")
        try:
            last = base64.b64decode(cursor, altchars=b"-_", validate=True).decode()
        except ValueError:
            raise VectorizeError(limits.PARSE_BODY, "invalid cursor") from None
        with self._lock:
            total = len(self._apply_due(self.index(name)))
            select = "SELECT id FROM vectors WHERE index_name = ? AND id > ? ORDER BY id LIMIT ?"
            ids = [found[0] for found in self._db.execute(select, (name, last, most + 1))]
        page, truncated = ids[:most], len(ids) > most
        answer: dict[str, Any] = {
            "count": len(page),
            "totalCount": total,
            "isTruncated": truncated,
            "vectors": [{"id": each} for each in page],
        }
        if truncated:
            answer["nextCursor"] = base64.urlsafe_b64encode(page[-1].encode()).decode()
        return answer

    def query(self, name: str, asked: dict[str, Any]) -> dict[str, Any]:
        """Matches for `{vector | vectorId, topK, namespace, filter, returnValues, returnMetadata}`, nearest first."""
        index = self.index(name)
        with_values, metadata_level, top_k = _wanted(asked)
        wanted = [] if asked.get("filter") is None else conditions(asked["filter"])
        namespace = limits.check_namespace(asked.get("namespace"))
        with self._lock:
            collection = self._apply_due(index)
            vector = self._query_vector(index, asked)
            found = collection.search(vector, top_k, namespace, wanted)
            answer = [self._match(name, vector_id, score, with_values, metadata_level) for vector_id, score in found]
        return {"count": len(answer), "matches": answer}

    def _query_vector(self, index: Index, asked: dict[str, Any]) -> Floats:
        if "vectorId" in asked:
            records = self._records(index.name, limits.check_id(asked["vectorId"]))
            if not records:
                raise VectorizeError(40030, f'vector not found: id="{asked["vectorId"]}"', 404)
            return records[0].values
        values = _floats(asked.get("vector"))
        if values is None:
            raise VectorizeError(
                limits.PARSE_BODY, "Failed to parse the request body as JSON: vector: expected numbers"
            )
        if len(values) != index.dimensions:
            expected = f"expected {index.dimensions} dimensions, and got {len(values)} dimensions"
            raise VectorizeError(40006, f"invalid query vector, {expected}")
        return values

    def _match(self, name: str, vector_id: str, score: float, with_values: bool, metadata_level: str) -> dict[str, Any]:
        [record] = self._records(name, vector_id)
        match: dict[str, Any] = {"id": vector_id, "score": score}
        if record.namespace is not None:
            match["namespace"] = record.namespace
        if with_values:
            match["values"] = record.values.tolist()
        metadata = {"all": record.metadata, "indexed": _nested(record.indexed)}.get(metadata_level)
        if metadata:
            match["metadata"] = metadata
        return match

    def _records(self, name: str, vector_id: str | None = None) -> list[Record]:
        where, parameters = ("AND id = ?", (name, vector_id)) if vector_id is not None else ("", (name,))
        select = 'SELECT id, "values", namespace, metadata, indexed FROM vectors WHERE index_name = ?'
        return [
            Record(
                found_id,
                np.frombuffer(values, dtype=np.float32),
                namespace,
                None if metadata is None else json.loads(metadata),
                json.loads(indexed),
            )
            for found_id, values, namespace, metadata, indexed in self._db.execute(f"{select} {where}", parameters)
        ]


def _record(vector: Any, dimensions: int, properties: dict[str, str]) -> Record:
    if not isinstance(vector, dict) or not {"id", "values"} <= set(cast("dict[str, Any]", vector)):
        raise VectorizeError(limits.PARSE_VECTORS, "failed to parse vectors: expected objects with id and values")
    given = cast("dict[str, Any]", vector)
    vector_id, values = limits.check_id(given["id"]), _floats(given["values"])
    if values is None:
        raise VectorizeError(
            limits.PARSE_VECTORS, f'failed to parse vectors: values of id="{vector_id}" are no numbers'
        )
    if len(values) != dimensions:
        expected = f"expected {dimensions} dimensions, and got {len(values)} dimensions"
        raise VectorizeError(40012, f'invalid vector for id="{vector_id}", {expected}')
    metadata = limits.check_metadata(given.get("metadata"), vector_id)
    indexed = _indexed(metadata or {}, properties)
    return Record(vector_id, values, limits.check_namespace(given.get("namespace")), metadata, indexed)


def _floats(values: object) -> Floats | None:
    """As float32, in which Vectorize stores them; None if they are no numbers, or too large for it."""
    if not isinstance(values, list):
        return None
    try:
        array: npt.NDArray[Any] = np.array(cast("list[Any]", values))
    except ValueError:  # lists of different lengths
        return None
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iuf"):
        return None
    with np.errstate(over="ignore"):
        floats = array.astype(np.float32)
    return floats if np.isfinite(floats).all() else None


def _indexed(metadata: dict[str, Any], properties: dict[str, str]) -> Indexed:
    """What metadata indexes of these types hold: a value of another type is not in them."""
    found: dict[str, Any] = {}
    for name, kind in properties.items():
        value: Any = metadata
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]
        if kind == "string" and isinstance(value, str):
            found[name] = truncated(value)
        elif (kind == "boolean" and isinstance(value, bool)) or (
            kind == "number" and isinstance(value, int | float) and not isinstance(value, bool)
        ):
            found[name] = value
    return found


def _nested(indexed: Indexed) -> dict[str, Any]:
    """`{"a.b": 1}` as `{"a": {"b": 1}}`."""
    root: dict[str, Any] = {}
    for name, value in indexed.items():
        *path, last = name.split(".")
        inner = root
        for part in path:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return root


def _vector(record: Record) -> dict[str, Any]:
    vector: dict[str, Any] = {"id": record.id, "values": record.values.tolist()}
    if record.namespace is not None:
        vector["namespace"] = record.namespace
    if record.metadata is not None:
        vector["metadata"] = record.metadata
    return vector


def _wanted(asked: dict[str, Any]) -> tuple[bool, str, int]:
    """returnValues, returnMetadata and topK of a query."""
    with_values = asked.get("returnValues", False)
    if not isinstance(with_values, bool):
        raise VectorizeError(
            limits.PARSE_BODY, "Failed to parse the request body as JSON: returnValues: expected boolean"
        )
    level = asked.get("returnMetadata") or "none"
    if level not in ("none", "indexed", "all"):
        raise VectorizeError(
            limits.PARSE_BODY, "Failed to parse the request body as JSON: returnMetadata: expected value"
        )
    top_k = asked.get("topK", limits.TOP_K)
    if isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 1:
        raise VectorizeError(limits.PARSE_BODY, "Failed to parse the request body as JSON: topK: expected 1 or more")
    if (with_values or level == "all") and top_k > limits.MOST_TOP_K_WITH_DATA:
        raise VectorizeError(
            40025,
            f"with returnValues=true or returnMetadata=all, max top K is {limits.MOST_TOP_K_WITH_DATA}, "
            f"but got {top_k}; for a top K up to {limits.MOST_TOP_K}, "
            "retry with returnValues=false and returnMetadata=indexed",
        )
    if top_k > limits.MOST_TOP_K:
        raise VectorizeError(40025, f"max top K is {limits.MOST_TOP_K}, but got {top_k}")
    return with_values, level, top_k


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
