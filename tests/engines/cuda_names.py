"""Which names of the CUDA runtime the engines use, read from their source."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ENGINES = Path(__file__).resolve().parents[2] / "engines"
SOURCES = sorted((ENGINES / "trt").glob("*.py"))


def used_of_cuda() -> set[str]:
    """Names of ``cuda.bindings.runtime``: strings that begin with ``cuda``, and attributes."""
    found = set()
    for source in [*SOURCES, ENGINES / "cuda.py", ENGINES / "gpu.py"]:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            text = getattr(node, "attr", None) or getattr(node, "value", None)
            if isinstance(text, str) and re.fullmatch("cuda[A-Z][A-Za-z0-9]+", text):
                found.add(text)
    return found
