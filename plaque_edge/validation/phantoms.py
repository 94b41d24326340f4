"""Phantom studies that mirror the paper's four external sets; their reference is exact truth.

``ivus``: one good scan against sub-voxel truth, as intravascular ultrasound would see it.
``scanners``: other scanners and kernels (ordinary, noisy, soft). ``repeat``: each patient
scanned twice. ``photon``: photon-counting CT.
"""

from __future__ import annotations

import csv
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plaque_edge.phantom.dicom import write_series
from plaque_edge.phantom.scene import SPLITS, make_phantom
from plaque_edge.types import VESSELS
from plaque_edge.validation.cases import COMPONENTS, PATIENT, analyse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SETS = {
    "ivus": ("test",),
    "scanners": ("test", "noisy", "soft"),
    "repeat": ("test", "rescan"),
    "photon": ("photon",),
}
COLUMNS = ("case", "vessel", "scanner", "repeat_of", *COMPONENTS)


@dataclass(frozen=True, slots=True)
class Study:
    """Which phantoms: seeds ``first`` and on of a split, in the presets of a set."""

    name: str
    split: str
    first: int
    count: int

    def scans(self) -> Iterator[tuple[str, int, str]]:
        """Return (case, seed, preset) of every scan."""
        for seed in SPLITS[self.split][self.first : self.first + self.count]:
            for preset in SETS[self.name]:
                yield f"{seed}-{preset}", seed, preset


def make(study: Study, out: Path, engine: str, say: Callable[[str], None]) -> tuple[Path, Path]:
    """Scan and analyse; return the folder of results and the reference table.

    What is there already is kept, so that a stopped study goes on.
    """
    cases, truths = out / "cases", out / "truth"
    for case, seed, preset in study.scans():
        kept = truths / f"{case}.json"
        if kept.is_file() and (cases / case / "result.json").is_file():
            say(f"{case}: kept from before")
            continue
        phantom = make_phantom(seed, preset)
        with tempfile.TemporaryDirectory() as folder:
            write_series(phantom.volume, phantom.info, Path(folder, "dicom"))
            analyse({case: Path(folder, "dicom")}, cases, engine, say)
        truths.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(phantom.truth, default=float), encoding="utf-8")
    reference = out / "reference.csv"
    with reference.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for case, seed, preset in study.scans():
            truth = json.loads((truths / f"{case}.json").read_text(encoding="utf-8"))
            first = f"{seed}-test" if preset == "rescan" else ""
            writer.writerows(_rows(case, preset, first, truth))
    return cases, reference


def _rows(case: str, preset: str, first: str, truth: dict[str, Any]) -> Iterator[dict[str, Any]]:
    parts = {PATIENT: truth["patient"]} | {v: truth["vessels"][v] for v in VESSELS}
    for level, values in parts.items():
        head = {"case": case, "vessel": level, "scanner": preset, "repeat_of": first}
        yield head | {c: values[c] for c in COMPONENTS if c in values}
