"""Programs for developers, which are never deployed: a folder a tool."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The project's folder."""
