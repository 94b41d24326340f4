"""Every text of the console that has to be translated, read out of the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def marked() -> set[str]:
    """Texts given to ``tr`` and ``mark`` as literals, in all of ``gui``."""
    found: set[str] = set()
    for file in sorted((ROOT / "gui").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) in ("tr", "mark") and node.args:
                found |= _texts(node.args[0])
    return found


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


def _texts(node: ast.expr) -> set[str]:
    """Literals in an argument, also in both halves of a choice."""
    return (
        {
            n.value
            for n in ast.walk(node)
            if isinstance(n, ast.Constant) and isinstance(n.value, str)
        }
        if isinstance(node, ast.Constant | ast.IfExp | ast.BoolOp)
        else set()
    )


SECTIONS = ("Files and series", "Quality gate", "Segment", "Quantify", "Corrections")
"""Parts of ``docs/codes.md`` whose codes stand in results."""
BESIDES = re.compile(
    "^(RISK_(AGE|SEX|PLAQUE|STENOSIS|QC|LOWER|MODEL|SEGMENTER)|WORKER|SERVICE|STORE|REQUEST|ACTION"
    "|RESULT|DISK|COMPARE|PRINT|IDENTITY|SETTINGS|FOLDER_NOT_NAMED|DESTINATION|ENGINE_(OUT|DEVICE|CUDA|RUN|FAILED|UNAVAILABLE)|MODEL|FOLDER_AWAY|OUT_OF_MEMORY)"
)
"""Codes of the other parts that a row, a condition or an answer may carry."""


def codes() -> set[str]:
    """Codes of ``docs/codes.md`` that the console may show."""
    found: set[str] = set()
    text = (ROOT / "docs" / "codes.md").read_text(encoding="utf-8")
    for part in text.split("\n## ")[1:]:
        here = set(re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", part))
        found |= here if part.startswith(SECTIONS) else {c for c in here if BESIDES.match(c)}
    return found
