"""Coverage-guided fuzzing of the readers: ``python -m plaque_edge.torture.guided CORPUS -runs=N``.

Needs the package atheris, which is no requirement of anything else. Inputs that reach new
lines are kept and damaged further, by atheris and by our own knowledge of the format.
"""

from __future__ import annotations

import importlib
import inspect
import random
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from plaque_edge.torture.mutate import mutate
from plaque_edge.torture.prey import eat
from plaque_edge.torture.sources import all_sources

INSTRUMENTED = [
    "pydicom.filereader", "pydicom.encaps", "plaque_edge.dicom_codestream",
    "plaque_edge.dicom_header", "plaque_edge.dicom_layout", "plaque_edge.dicom_read",
    "plaque_edge.dicom_values", "plaque_edge.series", "plaque_edge.series_stacks",
]  # fmt: skip
"""What counts as coverage: functions in plain Python."""


def _instrument(atheris: Any, module: Any) -> None:
    """Have every function of a module counted, in its place."""
    for thing in list(vars(module).values()):
        homes = vars(thing).values() if inspect.isclass(thing) else [thing]
        for function in homes:
            if inspect.isfunction(function) and function.__module__ == module.__name__:
                atheris.instrument_func(function)


def main(arguments: list[str]) -> None:
    """Fuzz until libFuzzer's own options say stop; a fault ends it with a trace."""
    atheris: Any = importlib.import_module("atheris")
    for name in INSTRUMENTED:
        _instrument(atheris, importlib.import_module(name))
    sources = all_sources()
    everything = list(sources.values())
    corpus = Path(arguments[1])
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(everything):
        if len(data) < 60_000:
            (corpus / f"source-{number:03}").write_bytes(data)

    def shake(data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if data and rng.random() < 0.5:
            data = mutate(bytes(data), everything, rng)[1]
        else:
            data = atheris.Mutate(data, most)
        return bytes(data[:most])

    with TemporaryDirectory(prefix="plaque-edge-guided-") as name:
        path = Path(name) / "one.dcm"

        def one(data: bytes) -> None:
            path.unlink(missing_ok=True)
            path.write_bytes(data)
            fault = eat(path, ())[2]
            if fault:
                raise RuntimeError(fault)

        atheris.Setup(arguments, one, custom_mutator=shake)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
