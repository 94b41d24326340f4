"""Which names of TensorRT and CUDA the engines use, read from their source.

The engines call things by fixed names (``builder`` is a Builder, ``plan`` an ICudaEngine, ...);
every attribute of such a name is one that must be there in every supported release. Run as a
script with the name of a TensorRT module, it prints all names of the classes that matter.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
import sys
from operator import attrgetter
from pathlib import Path
from typing import Any

ENGINES = Path(__file__).resolve().parents[2] / "engines"
SOURCES = sorted((ENGINES / "trt").glob("*.py"))
CLASSES = {
    "trt": "",
    "builder": "Builder",
    "network": "INetworkDefinition",
    "parser": "OnnxParser",
    "config": "IBuilderConfig",
    "runtime": "Runtime",
    "plan": "ICudaEngine",
    "context": "IExecutionContext",
}
ENUMS = ("BuilderFlag", "DataType", "MemoryPoolType", "TensorIOMode", "ILogger.Severity")
MORE = ("IProgressMonitor", "ITimingCache", "IHostMemory")
CALLED_ON_RESULTS = {"desc": "ParserError", "get_output_type": "ILayer", "shape": "ITensor"}


def used_names() -> set[str]:
    """Dotted names below the module, such as ``Builder.create_network``."""
    found: set[str] = set()
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                found.add(_name(node))
    return {name for name in found if name}


def _name(node: ast.Attribute) -> str:
    chain = [node.attr]
    value = node.value
    while isinstance(value, ast.Attribute):
        chain.insert(0, value.attr)
        value = value.value
    if isinstance(value, ast.Name) and value.id in CLASSES:
        return ".".join(filter(None, [CLASSES[value.id], *chain]))
    if isinstance(value, ast.Name) and value.id == "severity":
        return f"ILogger.Severity.{chain[-1]}"
    if isinstance(node.value, ast.Call) and node.attr in CALLED_ON_RESULTS:
        return f"{CALLED_ON_RESULTS[node.attr]}.{node.attr}"  # parser.get_error(i).desc()
    return ""


def used_of_cuda() -> set[str]:
    """Names of ``cuda.bindings.runtime``: strings that begin with ``cuda``, and attributes."""
    found = set()
    for source in [*SOURCES, ENGINES / "cuda.py", ENGINES / "gpu.py"]:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            text = getattr(node, "attr", None) or getattr(node, "value", None)
            if isinstance(text, str) and re.fullmatch("cuda[A-Z][A-Za-z0-9]+", text):
                found.add(text)
    return found


def all_names(module: Any) -> dict[str, list[str]]:
    """Public names of the module's classes that the engines use, for a snapshot."""
    classes = {*CLASSES.values(), *CALLED_ON_RESULTS.values(), *ENUMS, "ILogger", *MORE} - {""}
    names = {name: dir(attrgetter(name)(module)) for name in sorted(classes)}
    return {name: [n for n in found if not n.startswith("_")] for name, found in names.items()}


def missing(names: dict[str, list[str]]) -> list[str]:
    """Return the used names that a snapshot does not have."""
    lacking = []
    for name in sorted(used_names()):
        owner, _, last = name.rpartition(".")
        known = names.get(owner, []) if owner else names
        if last not in known and not last.startswith("__"):
            lacking.append(name)
    return lacking


if __name__ == "__main__":
    print(json.dumps(all_names(importlib.import_module(sys.argv[1]))))
