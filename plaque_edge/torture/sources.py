"""DICOM files to begin with: small phantoms in every transfer syntax, pydicom's own, a site's."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.phantom.dicom import SYNTAXES, WriteOptions, encode_instances
from plaque_edge.torture import tubes
from plaque_edge.types import Volume

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST_BYTES = 2 << 20
"""Larger files only slow the fuzzing down."""


def tiny(slices: int = 5) -> Volume:
    """Return a volume of a few small slices with something to compress."""
    rng = np.random.default_rng(5)
    hu = rng.normal(40.0, 30.0, (slices, 48, 40)) + 300.0 * np.hanning(40)
    return Volume(hu.astype(np.int16), (1.0, 0.6, 0.5), (-120.0, -33.0, 12.5))


def phantom_files() -> Iterator[tuple[str, bytes]]:
    """Yield slices of a small series in every transfer syntax, classic and enhanced."""
    for name in SYNTAXES:
        for enhanced in (False, True):
            how = WriteOptions(syntax=name, enhanced=enhanced)  # type: ignore[arg-type]
            made = encode_instances(tiny(), tubes.header(f"fuzz-{name}"), how)
            yield f"phantom-{name}{'-enhanced' if enhanced else ''}", next(iter(made))[1]


def pydicom_folder() -> Path | None:
    """Return the folder of test files inside the installed pydicom."""
    spec = importlib.util.find_spec("pydicom")
    home = Path(spec.origin).parent / "data" if spec and spec.origin else None
    return home if home and home.is_dir() else None


def all_sources(folders: Sequence[Path] = ()) -> dict[str, bytes]:
    """Return name and bytes of every source that is small enough."""
    found = dict(phantom_files())
    homes = [*folders, *([home] if (home := pydicom_folder()) else [])]
    for home in homes:
        for path in sorted(p for p in home.rglob("*") if p.is_file()):
            if 200 < path.stat().st_size <= MOST_BYTES and path.suffix not in (".py", ".pyc"):
                data = path.read_bytes()
                if data[128:132] == b"DICM" or data[:2] in (b"\x08\0", b"\x02\0"):
                    found[f"{home.name}/{path.relative_to(home)}"] = data
    return found
