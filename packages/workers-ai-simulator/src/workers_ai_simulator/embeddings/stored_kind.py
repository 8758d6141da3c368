"""The kind of simulated embeddings that a data folder's vectors were made with: vectors of two kinds do not mix."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a name for the type checker only: the start does not need numpy
    from workers_ai_simulator.embeddings.vectors import Kind

NAME = "embeddings"
"""File in the data folder that names the kind."""
VECTORS = "vectorize.sqlite"
"""File in the data folder that has the vectors."""


def choose(data: Path | None, wanted: "Kind | None") -> "tuple[Kind, str]":
    """The kind to use, and a sentence for the user, empty if there is nothing to say.

    data: the data folder, None for none. Without a file that names the kind, vectors in it are of an earlier version,
    and lexical. wanted: the kind that an option asks for; None for that of the folder.
    """
    if data is None:
        return wanted or "mixed", ""
    stored = _stored(data)
    kind = wanted or stored or "mixed"
    if stored and kind != stored:
        return kind, f"The vectors in {data} were made by {stored} embeddings, and do not fit {kind} ones: index anew."
    if kind == "lexical" and not wanted:
        return kind, (
            f"The vectors in {data} are of words alone, and new ones are made like them. "
            "To have embeddings that know meaning, too, delete the folder and index your texts anew."
        )
    return kind, ""


def store(data: Path, kind: "Kind") -> None:
    """Note the kind in the folder: of a simulator that starts, so that a start that fails changes nothing."""
    (data / NAME).write_text(f"{kind}\n")


def _stored(data: Path) -> "Kind | None":
    """The kind of the vectors in the folder; None if it has none."""
    named = (data / NAME).read_text().strip() if (data / NAME).is_file() else ""
    if named == "mixed" or named == "minilm":
        return named
    return "lexical" if named == "lexical" or (data / VECTORS).is_file() else None
