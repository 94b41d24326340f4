"""Which TensorRT is here: the full library or TensorRT-RTX, under either of its module names."""

from __future__ import annotations

import importlib
from collections import deque
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from engines.errors import EngineError

if TYPE_CHECKING:
    import tensorrt


class Trt(Protocol):
    """What we take of the module; tests/engines checks each call against every release's own."""

    Builder: type[tensorrt.Builder]
    BuilderFlag: type[tensorrt.BuilderFlag]
    DataType: type[tensorrt.DataType]
    ILogger: type[tensorrt.ILogger]
    IProgressMonitor: type[tensorrt.IProgressMonitor]
    MemoryPoolType: type[tensorrt.MemoryPoolType]
    OnnxParser: type[tensorrt.OnnxParser]
    Runtime: type[tensorrt.Runtime]
    TensorIOMode: type[tensorrt.TensorIOMode]


MODULES = {
    "tensorrt": ("tensorrt", "tensorrt_bindings"),
    "rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings"),
}
TITLES = {"tensorrt": "TensorRT", "rtx": "TensorRT-RTX"}
MAJORS = {"tensorrt": (10, 11), "rtx": (1,)}
"""Releases whose names tests/engines checks."""


@dataclass(frozen=True, slots=True)
class Library:
    """One TensorRT: its module, its version, and what it said last."""

    name: str
    trt: Trt
    version: str
    logger: Any

    @property
    def title(self) -> str:
        """Name and version for people."""
        return f"{TITLES[self.name]} {self.version}"

    def said(self) -> str:
        """Return and forget the last errors it logged, as one line."""
        lines = list(self.logger.lines)
        self.logger.lines.clear()
        return " | ".join(lines)[:500] or "it gave no reason"


def installed(name: str) -> str | None:
    """Return the module by which this TensorRT can be imported, without importing it."""
    return next((m for m in MODULES[name] if (s := find_spec(m)) and s.origin), None)


@cache
def load(name: str) -> Library:
    """Import "tensorrt" or "rtx". Raises ENGINE_UNAVAILABLE."""
    module = installed(name)
    if module is None:
        raise _unavailable(f"{TITLES[name]} is not installed.")
    try:
        trt: Any = importlib.import_module(module)
        version = str(trt.__version__)
        major = int(version.split(".")[0])
    except Exception as error:  # libraries missing or of another release, by any of its words
        raise _unavailable(f"{module} cannot be loaded ({error}).") from error
    if major not in MAJORS[name]:
        known = " and ".join(f"{major}.x" for major in MAJORS[name])
        raise _unavailable(f"{TITLES[name]} {version} is not known here; {known} is.")
    return Library(name, trt, version, make_logger(trt))


def make_logger(trt: Trt) -> Any:
    """Return a logger that prints nothing and keeps the last errors."""
    severity = trt.ILogger.Severity

    class Quiet(trt.ILogger):  # type: ignore[misc, name-defined]  # known at run time
        def __init__(self) -> None:
            trt.ILogger.__init__(self)  # pybind wants it called by name
            self.lines: deque[str] = deque(maxlen=5)

        def log(self, level: Any, message: str) -> None:
            if level in (severity.ERROR, severity.INTERNAL_ERROR):
                self.lines.append(message)

    return Quiet()


def _unavailable(text: str) -> EngineError:
    return EngineError("ENGINE_UNAVAILABLE", text, "Install it, see docs/engines.md.")
