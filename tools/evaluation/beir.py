"""Documents, questions and judgements in BEIR's layout: corpus.jsonl, queries.jsonl and qrels/NAME.tsv.

Source: github.com/beir-cellar/beir/wiki/Load-your-custom-dataset
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

VARIANTS = "variants.json"
"""Name of a file with other wordings of queries."""


class InvalidCollection(ValueError):  # noqa: N818 - a sentence for the user
    """The folder has no collection that can be read; the message names file and line."""


@dataclass(frozen=True)
class Document:
    title: str
    text: str


@dataclass(frozen=True)
class Query:
    text: str
    kind: str
    """`kind` of its metadata; empty without one."""
    variants: tuple[str, ...] = ()
    """Other wordings, of variants.json."""


@dataclass(frozen=True)
class Collection:
    documents: dict[str, Document]
    queries: dict[str, Query]
    relevant: dict[str, dict[str, int]]
    """Id of a query → id of a document → how relevant it is, above 0; none for a query without an answer."""


def load(folder: Path, split: str) -> Collection:
    """Read a collection with the judgements of one split, and the queries that are judged in it.

    A query without judgements belongs to the split that `split` of its metadata names; without one, to none.
    Raises InvalidCollection.
    """
    documents = {
        _text(row, "_id", where): Document(str(row.get("title") or ""), _text(row, "text", where))
        for where, row in _rows(folder / "corpus.jsonl")
    }
    relevant = _judgements(folder / "qrels" / f"{split}.tsv")
    variants = _variants(folder / VARIANTS)
    queries: dict[str, Query] = {}
    for where, row in _rows(folder / "queries.jsonl"):
        metadata: dict[str, Any] = row.get("metadata") or {}
        query_id = _text(row, "_id", where)
        if query_id in relevant or metadata.get("split") == split:
            queries[query_id] = Query(
                _text(row, "text", where), str(metadata.get("kind", "")), tuple(variants.get(query_id, ()))
            )
    judged = {query_id: relevant.get(query_id, {}) for query_id in queries}
    unknown = [each for judgements in judged.values() for each in judgements if each not in documents]
    if unknown:
        raise InvalidCollection(f"{folder / 'qrels'}: corpus.jsonl has no document {unknown[0]!r}.")
    if not queries:
        raise InvalidCollection(f"{folder}: queries.jsonl has no query that qrels/{split}.tsv judges.")
    return Collection(documents, queries, judged)


def _variants(file: Path) -> dict[str, list[str]]:
    """Read the file that is no part of BEIR's layout: id of a query → other wordings of it."""
    return json.loads(_read(file)) if file.is_file() else {}


def splits(folder: Path) -> list[str]:
    """Return the names of the splits that have judgements, sorted."""
    return sorted(file.stem for file in (folder / "qrels").glob("*.tsv"))


def _rows(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the place of each line that is not blank, for messages, and its JSON object."""
    for number, line in enumerate(_read(file).splitlines(), 1):
        if not line.strip():
            continue
        where = f"{file}, line {number}"
        try:
            row: Any = json.loads(line)
        except ValueError as error:
            raise InvalidCollection(f"{where}: {error}") from error
        if not isinstance(row, dict):
            raise InvalidCollection(f"{where}: it is no JSON object.")
        yield where, cast("dict[str, Any]", row)


def _text(row: dict[str, Any], name: str, where: str) -> str:
    value = row.get(name)
    if isinstance(value, int) and name == "_id":
        value = str(value)
    if not isinstance(value, str):
        raise InvalidCollection(f"{where}: {name} must be a text.")
    return value


def _judgements(file: Path) -> dict[str, dict[str, int]]:
    """Read lines of query, document and score, or TREC's of query, iteration, document and score, below a header."""
    relevant: dict[str, dict[str, int]] = {}
    for number, row in enumerate(csv.reader(_read(file).splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE), 1):
        cells = row if len(row) > 1 else "".join(row).split()
        if not cells or (number == 1 and not cells[-1].lstrip("-").isdecimal()):
            continue
        if len(cells) not in (3, 4) or not cells[-1].lstrip("-").isdecimal():
            raise InvalidCollection(f"{file}, line {number}: expected query-id, corpus-id and a whole number.")
        judgements = relevant.setdefault(cells[0], {})
        if int(cells[-1]) > 0:
            judgements[cells[-2]] = int(cells[-1])
    return relevant


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidCollection(f"{file} cannot be read: {error}") from error
