"""``plaque-edge analyze`` as a process of its own, as a user starts it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def analyze_command(study: Path, result: Path, engine: str = "auto") -> list[str]:
    """Return the command that analyses ``study`` and writes ``result`` (JSON)."""
    start = [sys.executable, "-m", "plaque_edge", "analyze", str(study)]
    return [*start, "--json", str(result), "--engine", engine]
