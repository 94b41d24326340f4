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


def codes() -> set[str]:
    """Codes that ``docs/codes.md`` lists and a console can show in a row or a result."""
    text = (ROOT / "docs" / "codes.md").read_text(encoding="utf-8")
    return set(re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", text))
