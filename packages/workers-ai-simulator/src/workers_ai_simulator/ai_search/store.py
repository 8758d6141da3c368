"""Instances, items, chunks and jobs, in one SQLite file."""

import hashlib
import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from workers_ai_simulator.ai_search.errors import AiSearchError, UnindexableError
from workers_ai_simulator.ai_search.indexing import Floats
from workers_ai_simulator.ai_search.models import DEFAULTS, Chunk, Instance, Item
from workers_ai_simulator.errors import UpstreamError

SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS instances (
    namespace TEXT NOT NULL, id TEXT NOT NULL, config TEXT NOT NULL, created_at TEXT NOT NULL,
    modified_at TEXT NOT NULL, PRIMARY KEY (namespace, id));
CREATE TABLE IF NOT EXISTS items (
    id TEXT PRIMARY KEY, namespace TEXT NOT NULL, instance TEXT NOT NULL, key TEXT NOT NULL, status TEXT NOT NULL,
    error TEXT NOT NULL, content BLOB NOT NULL, checksum TEXT NOT NULL, chunks INTEGER, metadata TEXT NOT NULL,
    created_at TEXT NOT NULL, timestamp INTEGER NOT NULL, due REAL NOT NULL, UNIQUE (namespace, instance, key));
CREATE TABLE IF NOT EXISTS chunks (
    item TEXT NOT NULL, number INTEGER NOT NULL, text TEXT NOT NULL, start_byte INTEGER NOT NULL,
    end_byte INTEGER NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (item, number));
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, namespace TEXT NOT NULL, instance TEXT NOT NULL, description TEXT, at TEXT NOT NULL,
    items INTEGER NOT NULL);
"""
ITEM = "id, key, status, error, checksum, length(content), chunks, metadata, created_at, timestamp"

IndexedChunk = tuple[int, int, str]
"""Index of the first byte, index after the last one, text."""
Index = Callable[[Instance, str, bytes], tuple[list[IndexedChunk], Floats]]
"""Cuts a file of that key into chunks and makes their vectors. Raises UnindexableError."""


class SearchStore:
    """All instances of the simulator. Thread-safe.

    An upload is acknowledged once it is in SQLite. It is `queued`, half of `delay` seconds later `running`, and indexed
    by the first call of its instance after `delay` seconds; until then its former content is found.
    """

    def __init__(self, index: Index, path: Path | None = None, delay: float = 0) -> None:
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self._db.executescript(SCHEMA)
        self._lock = threading.RLock()
        self._index = index
        self._delay = delay

    # ---- instances ---------------------------------------------------------------------------------------------------

    def create(self, namespace: str, instance_id: str, config: dict[str, Any]) -> Instance:
        """Create an instance. Raises AiSearchError 7022 if there is one of that id."""
        with self._lock:
            row = (namespace, instance_id, json.dumps({**DEFAULTS, **config}), now(), now())
            try:
                self._db.execute("INSERT INTO instances VALUES (?, ?, ?, ?, ?)", row)
            except sqlite3.IntegrityError:
                raise AiSearchError("ai_search_with_this_name_already_exist") from None
            return self.instance(namespace, instance_id)

    def instance(self, namespace: str, instance_id: str) -> Instance:
        """The instance of that id. Raises AiSearchError 7002 if there is none."""
        with self._lock:
            row = self._db.execute(
                "SELECT * FROM instances WHERE namespace = ? AND id = ?", (namespace, instance_id)
            ).fetchone()
        if row is None:
            raise AiSearchError("ai_search_not_found")
        return _instance(row)

    def instances(self, namespace: str, part: str) -> list[Instance]:
        """Instances of a namespace whose ids have the part, in the order of their creation."""
        with self._lock:
            rows = self._db.execute("SELECT * FROM instances WHERE namespace = ? ORDER BY created_at, id", (namespace,))
            return [_instance(row) for row in rows if part in row[1]]

    def all_instances(self) -> list[Instance]:
        """Instances of all namespaces, by namespace and then in the order of their creation."""
        with self._lock:
            rows = self._db.execute("SELECT * FROM instances ORDER BY namespace, created_at, id")
            return [_instance(row) for row in rows]

    def update(self, instance: Instance, config: dict[str, Any]) -> Instance:
        """Change fields of the configuration. If the change affects indexing, all items are indexed again."""
        changed = {name for name, value in config.items() if instance.config.get(name) != value}
        with self._lock:
            self._db.execute(
                "UPDATE instances SET config = ?, modified_at = ? WHERE namespace = ? AND id = ?",
                (json.dumps({**instance.config, **config}), now(), instance.namespace, instance.id),
            )
            if changed & {"embedding_model", "chunk_size", "chunk_overlap", "custom_metadata"}:
                self.sync(instance)
            return self.instance(instance.namespace, instance.id)

    def delete(self, instance: Instance) -> None:
        """Delete an instance with everything in it."""
        where = (instance.namespace, instance.id)
        with self._lock:
            for each in self.items(instance):
                self.delete_item(instance, each.id)
            self._db.execute("DELETE FROM jobs WHERE namespace = ? AND instance = ?", where)
            self._db.execute("DELETE FROM instances WHERE namespace = ? AND id = ?", where)

    # ---- items -------------------------------------------------------------------------------------------------------

    def upload(self, instance: Instance, key: str, content: bytes, metadata: dict[str, Any]) -> Item:
        """Store a file, in place of one with the same key."""
        checksum = hashlib.sha256(content).hexdigest()
        row = (str(uuid.uuid4()), instance.namespace, instance.id, key, content, checksum, json.dumps(metadata))
        times = (now(), round(time.time() * 1000), time.time() + self._delay)
        with self._lock:
            self._db.execute(
                "INSERT INTO items (id, namespace, instance, key, status, error, content, checksum, metadata, "
                "created_at, timestamp, due) VALUES (?, ?, ?, ?, 'queued', '', ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (namespace, instance, key) DO UPDATE SET "
                "status = 'queued', error = '', content = excluded.content, checksum = excluded.checksum, "
                "metadata = excluded.metadata, timestamp = excluded.timestamp, due = excluded.due",
                (*row, *times),
            )
            return self._items(instance, "key", key)[0]

    def sync(self, instance: Instance, item_id: str | None = None) -> int:
        """Index one item again, or all; return their number."""
        condition, values = ("AND id = ?", [item_id]) if item_id else ("", [])
        with self._lock:
            return self._db.execute(
                f"UPDATE items SET status = 'queued', due = ? WHERE namespace = ? AND instance = ? {condition}",  # noqa: S608
                [time.time() + self._delay, instance.namespace, instance.id, *values],
            ).rowcount

    def items(self, instance: Instance) -> list[Item]:
        """Items in the order of their keys, after indexing those that are due."""
        with self._lock:
            self._index_due(instance)
            return self._items(instance)

    def item(self, instance: Instance, item_id: str) -> Item:
        """The item of that id. Raises AiSearchError 7041 if the instance has none."""
        with self._lock:
            self._index_due(instance)
            items = self._items(instance, "id", item_id)
        if not items:
            raise AiSearchError("item_not_found")
        return items[0]

    def content(self, item: Item) -> bytes:
        with self._lock:
            return self._db.execute("SELECT content FROM items WHERE id = ?", (item.id,)).fetchone()[0]

    def delete_item(self, instance: Instance, item_id: str) -> None:
        """Delete an item with its chunks. Raises AiSearchError 7041 if the instance has none of that id."""
        self.item(instance, item_id)
        with self._lock:
            self._db.execute("DELETE FROM chunks WHERE item = ?", (item_id,))
            self._db.execute("DELETE FROM items WHERE id = ?", (item_id,))

    def _items(self, instance: Instance, column: str = "", value: str = "") -> list[Item]:
        """Items in the order of their keys; of a column, those with the value."""
        where, values = (f"AND {column} = ?", (value,)) if column else ("", ())
        rows = self._db.execute(
            f"SELECT {ITEM} FROM items WHERE namespace = ? AND instance = ? {where} ORDER BY key",  # noqa: S608 - names of ours
            (instance.namespace, instance.id, *values),
        )
        return [_item(row) for row in rows]

    # ---- chunks ------------------------------------------------------------------------------------------------------

    def _index_due(self, instance: Instance) -> None:
        where = "namespace = ? AND instance = ? AND status IN ('queued', 'running') AND due <= ?"
        key = (instance.namespace, instance.id)
        self._db.execute(f"UPDATE items SET status = 'running' WHERE {where}", (*key, time.time() + self._delay / 2))  # noqa: S608
        rows = self._db.execute(f"SELECT id, key, content FROM items WHERE {where}", (*key, time.time())).fetchall()  # noqa: S608
        for item_id, name, content in rows:
            status, error, chunks, matrix = "completed", "", list[IndexedChunk](), np.empty((0, 0), np.float32)
            try:
                chunks, matrix = self._index(instance, name, content)
            except UnindexableError as reason:
                status, error = "error", str(reason)
            except UpstreamError:  # the model refuses the text
                status, error = "error", "unknown_error"
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("DELETE FROM chunks WHERE item = ?", (item_id,))
            numbered = enumerate(zip(chunks, matrix, strict=True))
            self._db.executemany(
                "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?)",
                [(item_id, number, each[2], each[0], each[1], row.tobytes()) for number, (each, row) in numbered],
            )
            self._db.execute(
                "UPDATE items SET status = ?, error = ?, chunks = ? WHERE id = ?", (status, error, len(chunks), item_id)
            )
            self._db.execute("COMMIT")

    def chunks(self, instance: Instance) -> tuple[list[Chunk], Floats]:
        """Chunks of all items in order, and their vectors as rows."""
        with self._lock:
            items = {each.id: each for each in self.items(instance)}
            rows = [
                (Chunk(f"{item_id}-{number}", items[item_id], number, text), vector)
                for item_id in items
                for number, text, vector in self._db.execute(
                    "SELECT number, text, vector FROM chunks WHERE item = ? ORDER BY number", (item_id,)
                )
            ]
        vectors = [np.frombuffer(vector, np.float32) for _, vector in rows]
        return [chunk for chunk, _ in rows], np.array(vectors) if vectors else np.empty((0, 0), np.float32)

    def chunks_of(self, item: Item) -> list[dict[str, Any]]:
        """Chunks of an item with the bytes of its text that they cover."""
        about = {"timestamp": item.timestamp, "key": item.key, "metadata": dict(item.metadata)}
        with self._lock:
            return [
                {"id": f"{item.id}-{number}", "text": text, "start_byte": start, "end_byte": end, "item": about}
                for number, text, start, end in self._db.execute(
                    "SELECT number, text, start_byte, end_byte FROM chunks WHERE item = ? ORDER BY number", (item.id,)
                )
            ]

    # ---- jobs --------------------------------------------------------------------------------------------------------

    def create_job(self, instance: Instance, description: str | None) -> dict[str, Any]:
        """Index all items again, as a job, which has ended when this returns."""
        with self._lock:
            row = (str(uuid.uuid4()), instance.namespace, instance.id, description, now(), self.sync(instance))
            self._db.execute("INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?)", row)
            return self.jobs(instance)[0]

    def jobs(self, instance: Instance) -> list[dict[str, Any]]:
        """Jobs of an instance, the newest first."""
        with self._lock:
            rows: Sequence[Any] = self._db.execute(
                "SELECT id, description, at, items FROM jobs WHERE namespace = ? AND instance = ? ORDER BY rowid DESC",
                (instance.namespace, instance.id),
            ).fetchall()
        return [
            {
                "id": job_id,
                "source": "user",
                **({"description": description} if description else {}),
                "started_at": at,
                "last_seen_at": at,
                "ended_at": at,
                "end_reason": f"{items} items are indexed again",
            }
            for job_id, description, at, items in rows
        ]

    def job(self, instance: Instance, job_id: str) -> dict[str, Any]:
        """The job of that id. Raises AiSearchError 7021 if the instance has none."""
        job = next((each for each in self.jobs(instance) if each["id"] == job_id), None)
        if job is None:
            raise AiSearchError("job_not_found")
        return job


def _instance(row: Sequence[Any]) -> Instance:
    namespace, instance_id, config, created, modified = row
    return Instance(namespace, instance_id, json.loads(config), created, modified)


def _item(row: Sequence[Any]) -> Item:
    item_id, key, status, error, checksum, size, chunks, metadata, created, timestamp = row
    return Item(item_id, key, status, error, checksum, size, chunks, json.loads(metadata), created, timestamp)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
