"""Which engines can be used here, and why the others can't; opens no network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engines.choice import ORDER
from engines.errors import told
from engines.gpu import probe
from engines.keys import ON_GPU, key_of, library_version
from engines.manifest import SHIPPED, read_manifest
from engines.openers import LIBRARY, installed, missing
from engines.parity import read_verdict, require_parity

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Status:
    """One engine: ``reason`` and ``next_step`` are "" when it can be used."""

    engine: str
    library: str
    version: str
    installed: bool
    usable: bool
    proven: bool
    code: str = ""
    reason: str = ""
    next_step: str = ""


def engine_states(models: tuple[str | Path, ...] = SHIPPED) -> list[Status]:
    """Return the state of every engine, best first."""
    return [_state(name, models) for name in ORDER]


def _state(name: str, models: tuple[str | Path, ...]) -> Status:
    here, version, proven = installed(name), "", False
    try:
        if not here:
            raise missing(name)
        version = library_version(name)
        if name in ON_GPU:
            probe()
        keys = [key_of(name, read_manifest(model)) for model in models]
        proven = name == "cpu" or all((v := read_verdict(k)) and v.passed for k in keys)
        for key in keys:
            if name in ("tensorrt", "rtx"):
                from engines.trt.plans import load_plan

                load_plan(key)
            require_parity(key)
    except Exception as error:
        why = told(error, "Run plaque-edge engines verify.")
        words = why.code, why.text, why.next_step
        return Status(name, LIBRARY[name], version, here, False, proven, *words)
    return Status(name, LIBRARY[name], version, here, True, proven)
