"""What only this machine needs: the local runtime, and what sets it up. Nothing here is deployed."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The project's folder."""
