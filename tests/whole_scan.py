"""The synthetic patient and the command that the tests on whole scans share."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
SEED, BURDEN_MM3 = 41, 400.0


class Analysed(NamedTuple):
    """``result.json``, the words of the report, and what the command said."""

    result: dict[str, Any]
    report: str
    done: subprocess.CompletedProcess[str]


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """``plaque-edge WORDS``, in a process of its own."""
    command = [sys.executable, "-m", "plaque_edge", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)


def hashes(folder: Path) -> dict[Path, bytes]:
    """SHA-256 of every file."""
    files = (p for p in folder.rglob("*") if p.is_file())
    return {p: hashlib.sha256(p.read_bytes()).digest() for p in files}
