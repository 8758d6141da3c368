"""Indexes, their vectors and the writes not yet applied, in one SQLite file."""

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
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from workers_ai_simulator.vectorize import limits
from workers_ai_simulator.vectorize.collection import Collection
from workers_ai_simulator.vectorize.errors import (
    NOT_FOUND,
    UNPARSABLE_BODY,
    UNPARSABLE_VECTORS,
    VectorizeError,
    unparsable_body,
    unparsable_vectors,
)
from workers_ai_simulator.vectorize.filters import conditions, truncated
from workers_ai_simulator.vectorize.limits import compact_json
from workers_ai_simulator.vectorize.models import Floats, Index, IndexedMetadata, Record
from workers_ai_simulator.vectorize.snapshot import MIN_VECTORS, Snapshots

SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
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


PAGE = 1000
"""Vectors that are read from SQLite at once."""


class VectorStore:
    """All indexes of the simulator. Thread-safe.

    A write is acknowledged once it is in SQLite, and visible in answers `delay` seconds later, as Vectorize applies
    writes later. No acknowledged write is lost when the process is killed. A loss of power may take the last ones.
    """

    def __init__(
        self,
        path: Path | None = None,
        delay: float = 0,
        metadata_indexes: Sequence[tuple[str, str, str]] = (),
        snapshot_from: int = MIN_VECTORS,
    ) -> None:
        """`metadata_indexes`: an index, a property and a type each, created together with the index.

        snapshot_from: vectors from which `close` saves an index for the next start.
        """
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self._db.executescript(SCHEMA)
        self._lock = threading.RLock()
        self._delay = delay
        self._initial_metadata_indexes = metadata_indexes
        self._collections: dict[str, Collection] = {}
        self._snapshots = Snapshots(path.with_suffix(".snapshots"), snapshot_from) if path else None

    def close(self) -> None:
        """Save what a later start can load faster than from SQLite."""
        with self._lock:
            for name, collection in self._collections.items():
                if self._snapshots:
                    self._snapshots.save(self.index(name), collection)
            self._collections.clear()  # a matrix that has become a snapshot must not change any more
            if self._snapshots:
                self._snapshots.room.clear()

    # ---- indexes -----------------------------------------------------------------------------------------------------

    def create_index(self, name: str, dimensions: int, metric: str, description: str = "") -> Index:
        """Create an index. Raises VectorizeError 40026 for invalid values, 3002 if there is one of that name."""
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
            raise VectorizeError(UNPARSABLE_BODY, "name: expected 1 to 64 lowercase letters, digits, - or _")
        if not 1 <= dimensions <= limits.MAX_DIMENSIONS:
            raise VectorizeError(UNPARSABLE_BODY, f"dimensions: expected 1 to {limits.MAX_DIMENSIONS}")
        if metric not in limits.METRICS:
            raise VectorizeError(UNPARSABLE_BODY, f"metric: expected one of {', '.join(limits.METRICS)}")
        with self._lock:
            if self.find_index(name):
                raise VectorizeError(3002, "vectorize.index.duplicate_name", 409)
            row = (name, dimensions, metric, description, _now(), _now())
            self._db.execute("INSERT INTO indexes VALUES (?, ?, ?, ?, ?, ?, NULL, NULL)", row)
            for index, property_name, kind in self._initial_metadata_indexes:
                if index == name:
                    self.create_metadata_index(name, property_name, kind)
            return self.index(name)

    def find_index(self, name: str) -> Index | None:
        with self._lock:
            row = self._db.execute("SELECT * FROM indexes WHERE name = ?", (name,)).fetchone()
        return Index(*row) if row else None

    def index(self, name: str) -> Index:
        """The index of that name. Raises VectorizeError 3000 if there is none."""
        index = self.find_index(name)
        if not index:
            raise VectorizeError(NOT_FOUND, "vectorize.index.not_found", 404)
        return index

    def indexes(self) -> list[Index]:
        with self._lock:
            return [Index(*row) for row in self._db.execute("SELECT * FROM indexes ORDER BY name")]

    def overview(self) -> list[dict[str, Any]]:
        """All indexes by name: what they are, `vectors` in them, their `metadata_indexes`, and `pending` writes.

        Writes that are due are applied; an index without any is not loaded for it.
        """
        with self._lock:
            return [self._overview(index) for index in self.indexes()]

    def _overview(self, index: Index) -> dict[str, Any]:
        of_index = (index.name,)
        pending = "SELECT count(*) FROM mutations WHERE index_name = ?"
        if self._count(f"{pending} AND due <= ?", (*of_index, time.time())):
            self._apply_due(index)
        return {
            "name": index.name,
            "dimensions": index.dimensions,
            "metric": index.metric,
            "description": index.description,
            "created_on": index.created,
            "vectors": self._count("SELECT count(*) FROM vectors WHERE index_name = ?", of_index),
            "pending": self._count(pending, of_index),
            "metadata_indexes": self.metadata_indexes(index.name),
        }

    def _count(self, select: str, values: Sequence[object]) -> int:
        return self._db.execute(select, values).fetchone()[0]

    def delete_index(self, name: str) -> None:
        """Delete an index with its vectors. Raises VectorizeError 3000 if there is none of that name."""
        self.index(name)
        with self._lock, self._transaction(name):
            self._db.execute("DELETE FROM indexes WHERE name = ?", (name,))
            for table in ("metadata_indexes", "vectors", "mutations"):
                self._db.execute(f"DELETE FROM {table} WHERE index_name = ?", (name,))  # noqa: S608 - names from above
            self._discard_collection(name)
        if self._snapshots:
            self._snapshots.delete(name)

    def create_metadata_index(self, name: str, property_name: str, kind: str) -> str:
        """Index a property of the vectors written from now on; a dotted name is a property of an inner object.

        Returns the mutation's id. Raises VectorizeError 3000 for an unknown index, 40026 for invalid values, 40019 for
        too many metadata indexes.
        """
        self.index(name)
        if kind not in limits.PROPERTY_TYPES:
            raise VectorizeError(UNPARSABLE_BODY, f"indexType: expected one of {', '.join(limits.PROPERTY_TYPES)}")
        if not property_name or property_name.startswith("$") or '"' in property_name:
            raise VectorizeError(UNPARSABLE_BODY, f"propertyName: invalid property {property_name!r}")
        with self._lock:
            present = self.metadata_indexes(name)
            if property_name not in present and len(present) >= limits.MAX_METADATA_INDEXES:
                raise VectorizeError(40019, f"max is {limits.MAX_METADATA_INDEXES} metadata indexes")
            row = (name, property_name, kind)
            self._db.execute("INSERT OR REPLACE INTO metadata_indexes VALUES (?, ?, ?)", row)
            return self._enqueue(name, "create-metadata-index", [])

    def create_missing_metadata_indexes(self) -> list[str]:
        """Create the initial metadata indexes that existing indexes do not have yet, as after a change of the options.

        Returns a sentence about each.
        """
        sentences: list[str] = []
        for name, property_name, kind in self._initial_metadata_indexes:
            if not self.find_index(name) or self.metadata_indexes(name).get(property_name) == kind:
                continue
            try:
                self.create_metadata_index(name, property_name, kind)
            except VectorizeError as error:
                sentences.append(f"No metadata index {property_name}:{kind} of {name}: {error.description}.")
            else:
                sentences.append(
                    f"Created the metadata index {property_name}:{kind} of {name}. It covers what is written from now "
                    "on: delete older vectors and write them again to find them by it."
                )
        return sentences

    def metadata_indexes(self, name: str) -> dict[str, str]:
        """Property → type, of the index's metadata indexes."""
        with self._lock:
            rows = self._db.execute("SELECT property, type FROM metadata_indexes WHERE index_name = ?", (name,))
            return dict(rows.fetchall())

    def delete_metadata_index(self, name: str, property_name: str) -> str:
        self.index(name)
        with self._lock:
            where = (name, property_name)
            self._db.execute("DELETE FROM metadata_indexes WHERE index_name = ? AND property = ?", where)
            return self._enqueue(name, "delete-metadata-index", [])

    # ---- writes ------------------------------------------------------------------------------------------------------

    def write(self, name: str, kind: str, vectors: Sequence[dict[str, Any]], maximum: int) -> str:
        """Write vectors `{id, values, namespace?, metadata?}`, at most `maximum` of them.

        kind: `insert` keeps vectors whose id exists, `upsert` replaces them. Returns the mutation's id. Raises
        VectorizeError, and writes nothing, if one of the vectors is invalid.
        """
        index = self.index(name)
        if not vectors:
            raise VectorizeError(UNPARSABLE_VECTORS, f"failed to parse {kind} vectors request: no vectors")
        if len(vectors) > maximum:
            raise VectorizeError(40007, f"too many vectors; max is {maximum}, got {len(vectors)}")
        properties = self.metadata_indexes(name)
        records = [_record(vector, index.dimensions, properties) for vector in vectors]
        return self._enqueue(name, kind, records)

    def delete(self, name: str, ids: Sequence[object], maximum: int) -> str:
        """Delete vectors, at most `maximum` of them. Returns the mutation's id. Raises VectorizeError."""
        self.index(name)
        if len(ids) > maximum:
            raise VectorizeError(40007, f"too many ids; max is {maximum}, got {len(ids)}")
        empty = np.empty(0, dtype=np.float32)
        return self._enqueue(name, "delete", [Record(limits.check_id(each), empty, None, None, {}) for each in ids])

    def _enqueue(self, name: str, kind: str, records: list[Record]) -> str:
        """Store a mutation, which shows as the last processed one once it is due. Returns its id."""
        mutation = str(uuid.uuid4())
        rows = compact_json([[each.id, each.namespace, each.metadata, each.indexed] for each in records])
        values = b"".join(each.values.tobytes() for each in records)
        with self._lock:
            entry = (name, mutation, kind, time.time() + self._delay, rows, values)
            columns = 'index_name, id, kind, due, records, "values"'
            self._db.execute(f"INSERT INTO mutations ({columns}) VALUES (?, ?, ?, ?, ?, ?)", entry)  # noqa: S608
        return mutation

    def _apply_due(self, index: Index) -> Collection:
        """Apply the writes that are due. The caller holds the lock."""
        collection = self._collection(index)
        select = 'SELECT number, id, kind, records, "values" FROM mutations WHERE index_name = ? AND due <= ?'
        for number, mutation, kind, rows, values in self._db.execute(
            f"{select} ORDER BY number", (index.name, time.time())
        ).fetchall():
            matrix: Floats = np.frombuffer(values, dtype=np.float32).reshape(-1, index.dimensions)
            with self._transaction(index.name):
                for position, (vector_id, namespace, metadata, indexed) in enumerate(json.loads(rows)):
                    if kind == "delete":
                        self._delete_record(index.name, vector_id, collection)
                    elif kind == "upsert" or vector_id not in collection:
                        record = Record(vector_id, matrix[position], namespace, metadata, indexed)
                        self._put_record(index.name, record, collection)
                self._db.execute("DELETE FROM mutations WHERE number = ?", (number,))
                processed = "UPDATE indexes SET processed_mutation = ?, processed_at = ? WHERE name = ?"
                self._db.execute(processed, (mutation, _now(), index.name))
        return collection

    def _collection(self, index: Index) -> Collection:
        if index.name not in self._collections:
            current = self.index(index.name)  # the caller's index may be older than the last mutation
            loaded = self._snapshots.load(current) if self._snapshots else None
            self._collections[index.name] = loaded or self._read_collection(index)
        return self._collections[index.name]

    def _discard_collection(self, name: str) -> None:
        collection = self._collections.pop(name, None)
        if collection:
            collection.discard()

    def _read_collection(self, index: Index) -> Collection:
        """Read all vectors of an index from SQLite."""
        collection = Collection(index.dimensions, index.metric, self._snapshots.room if self._snapshots else None)
        [count] = self._db.execute("SELECT count(*) FROM vectors WHERE index_name = ?", (index.name,)).fetchone()
        collection.reserve(count)
        parsed: dict[str, IndexedMetadata] = {}  # many vectors have the same

        def parse(text: str) -> IndexedMetadata:
            if text not in parsed:
                parsed[text] = json.loads(text)
            return parsed[text]

        select = 'SELECT id, "values", namespace, indexed FROM vectors WHERE index_name = ?'
        rows = self._db.execute(select, (index.name,))
        while page := rows.fetchmany(PAGE):
            collection.append([(each[0], each[1], each[2], parse(each[3])) for each in page])
        return collection

    def _put_record(self, name: str, record: Record, collection: Collection) -> None:
        metadata = None if record.metadata is None else compact_json(record.metadata)
        row = (name, record.id, record.values.tobytes(), record.namespace, metadata, compact_json(record.indexed))
        self._db.execute("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?, ?, ?)", row)
        collection.put(record)

    def _delete_record(self, name: str, vector_id: str, collection: Collection) -> None:
        self._db.execute("DELETE FROM vectors WHERE index_name = ? AND id = ?", (name, vector_id))
        collection.remove(vector_id)

    @contextmanager
    def _transaction(self, name: str) -> Generator[None]:
        """Commit the block's writes, or roll them back if it raises; the index is then read from SQLite again."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            self._discard_collection(name)
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
        """Vectors of the ids, in their order; unknown ids are left out. Raises VectorizeError."""
        if len(ids) > limits.MAX_IDS:
            raise VectorizeError(40007, f"too many ids; max is {limits.MAX_IDS}, got {len(ids)}")
        with self._lock:
            self._apply_due(self.index(name))
            records = [record for each in ids for record in self._records(name, limits.check_id(each))]
        return [_to_json(record) for record in records]

    def list_ids(self, name: str, count: str, cursor: str) -> dict[str, Any]:
        """A page of ids in order: `count` of them (1 to 1,000, default 100) after the `cursor` of the page before.

        Raises VectorizeError 40026 for an invalid count or cursor.
        """
        size = int(count) if count.isdecimal() else limits.DEFAULT_LIST_COUNT
        if not 1 <= size <= limits.MAX_LIST_COUNT:
            raise VectorizeError(UNPARSABLE_BODY, f"invalid count; must be between 1 and {limits.MAX_LIST_COUNT}")
        try:
            last = base64.b64decode(cursor, altchars=b"-_", validate=True).decode()
        except ValueError:
            raise VectorizeError(UNPARSABLE_BODY, "invalid cursor") from None
        with self._lock:
            total = len(self._apply_due(self.index(name)))
            select = "SELECT id FROM vectors WHERE index_name = ? AND id > ? ORDER BY id LIMIT ?"
            ids = [row[0] for row in self._db.execute(select, (name, last, size + 1))]
        page, is_truncated = ids[:size], len(ids) > size
        answer: dict[str, Any] = {
            "count": len(page),
            "totalCount": total,
            "isTruncated": is_truncated,
            "vectors": [{"id": each} for each in page],
        }
        if is_truncated:
            answer["nextCursor"] = base64.urlsafe_b64encode(page[-1].encode()).decode()
        return answer

    def query(self, name: str, query: dict[str, Any]) -> dict[str, Any]:
        """Matches of a query, `{vector | vectorId, topK, namespace, filter, returnValues, returnMetadata}`.

        Returns `{count, matches}`, nearest first. Raises VectorizeError.
        """
        index = self.index(name)
        with_values, metadata_level, top_k = _query_options(query)
        tests = [] if query.get("filter") is None else conditions(query["filter"])
        namespace = limits.check_namespace(query.get("namespace"))
        with self._lock:
            collection = self._apply_due(index)
            vector = self._query_vector(index, query)
            nearest = collection.search(vector, top_k, namespace, tests)
            matches = [self._match(name, vector_id, score, with_values, metadata_level) for vector_id, score in nearest]
        return {"count": len(matches), "matches": matches}

    def _query_vector(self, index: Index, query: dict[str, Any]) -> Floats:
        if "vectorId" in query:
            records = self._records(index.name, limits.check_id(query["vectorId"]))
            if not records:
                raise VectorizeError(40030, f'vector not found: id="{query["vectorId"]}"', 404)
            return records[0].values
        values = _floats(query.get("vector"))
        if values is None:
            raise unparsable_body("vector: expected numbers")
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

    def _records(self, name: str, vector_id: str) -> list[Record]:
        """The vector of that id, if there is one."""
        where = "WHERE index_name = ? AND id = ?"
        select = f'SELECT id, "values", namespace, metadata, indexed FROM vectors {where}'  # noqa: S608 - no input
        return [
            Record(
                record_id,
                np.frombuffer(values, dtype=np.float32),
                namespace,
                None if metadata is None else json.loads(metadata),
                json.loads(indexed),
            )
            for record_id, values, namespace, metadata, indexed in self._db.execute(select, (name, vector_id))
        ]


def _record(vector: Any, dimensions: int, properties: dict[str, str]) -> Record:
    if not isinstance(vector, dict) or not {"id", "values"} <= set(cast("dict[str, Any]", vector)):
        raise unparsable_vectors("expected objects with id and values")
    fields = cast("dict[str, Any]", vector)
    vector_id, values = limits.check_id(fields["id"]), _floats(fields["values"])
    if values is None:
        raise unparsable_vectors(f'values of id="{vector_id}" are no numbers')
    if len(values) != dimensions:
        expected = f"expected {dimensions} dimensions, and got {len(values)} dimensions"
        raise VectorizeError(40012, f'invalid vector for id="{vector_id}", {expected}')
    metadata = limits.check_metadata(fields.get("metadata"), vector_id)
    indexed = _indexed(metadata or {}, properties)
    return Record(vector_id, values, limits.check_namespace(fields.get("namespace")), metadata, indexed)


def _floats(values: object) -> Floats | None:
    """The values as float32, as Vectorize stores them; None if they are no numbers, or too large for float32."""
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


def _indexed(metadata: dict[str, Any], properties: dict[str, str]) -> IndexedMetadata:
    """Metadata that indexes of these properties and types store; values of another type are left out."""
    indexed: dict[str, Any] = {}
    for name, kind in properties.items():
        value: Any = metadata
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]
        if kind == "string" and isinstance(value, str):
            indexed[name] = truncated(value)
        elif (kind == "boolean" and isinstance(value, bool)) or (
            kind == "number" and isinstance(value, int | float) and not isinstance(value, bool)
        ):
            indexed[name] = value
    return indexed


def _nested(indexed: IndexedMetadata) -> dict[str, Any]:
    """Indexed metadata as it was written: `{"a": {"b": 1}}` for `{"a.b": 1}`."""
    root: dict[str, Any] = {}
    for name, value in indexed.items():
        *path, last = name.split(".")
        inner = root
        for part in path:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return root


def _to_json(record: Record) -> dict[str, Any]:
    vector: dict[str, Any] = {"id": record.id, "values": record.values.tolist()}
    if record.namespace is not None:
        vector["namespace"] = record.namespace
    if record.metadata is not None:
        vector["metadata"] = record.metadata
    return vector


def _query_options(query: dict[str, Any]) -> tuple[bool, str, int]:
    """`returnValues`, `returnMetadata` and `topK` of a query.

    Raises VectorizeError 40026 for an invalid value, 40025 for a topK that is too large.
    """
    with_values = query.get("returnValues", False)
    if not isinstance(with_values, bool):
        raise unparsable_body("returnValues: expected boolean")
    level = query.get("returnMetadata") or "none"
    if level not in ("none", "indexed", "all"):
        raise unparsable_body("returnMetadata: expected value")
    top_k = query.get("topK", limits.DEFAULT_TOP_K)
    if isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 1:
        raise unparsable_body("topK: expected 1 or more")
    if (with_values or level == "all") and top_k > limits.MAX_TOP_K_WITH_DATA:
        raise VectorizeError(
            40025,
            f"with returnValues=true or returnMetadata=all, max top K is {limits.MAX_TOP_K_WITH_DATA}, "
            f"but got {top_k}; for a top K up to {limits.MAX_TOP_K}, "
            "retry with returnValues=false and returnMetadata=indexed",
        )
    if top_k > limits.MAX_TOP_K:
        raise VectorizeError(40025, f"max top K is {limits.MAX_TOP_K}, but got {top_k}")
    return with_values, level, top_k


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
