"""Rows of D1 as dataclasses: a field for each column, of which `metadata` is stored as JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Record:
    """A row with a column `metadata`."""

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        fields = {name: row[name] for name in cls.__dataclass_fields__}
        return cls(**{**fields, "metadata": json.loads(row["metadata"])})

    def to_row(self) -> dict[str, Any]:
        """Return column → value."""
        return {**self.__dict__, "metadata": json.dumps(self.__dict__["metadata"], ensure_ascii=False)}


def selected(row: Mapping[str, Any]) -> str:
    """Return the SQL behind `INSERT INTO table` that selects the row's values as parameters; a condition may follow."""
    return f"({', '.join(row)}) SELECT {', '.join('?' * len(row))}"
