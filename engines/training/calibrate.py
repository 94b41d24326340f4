"""Choose the wall network's calibration: factors on the odds of plaque and calcium, and the gate.

Phantoms of the validation seeds of both generators are segmented once with the shipped networks;
then every setting is measured on all of them. Chosen is the least mean relative error of plaque
per patient, both generators counting the same, so that neither's habits win; then, at that
setting, the factor on calcium with the least mean relative error of calcified plaque.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.agreement import agreement
from plaque_edge.agreement.summary import known
from plaque_edge.evaluate.case import make
from plaque_edge.evaluate.curves import FLOOR_MM3
from plaque_edge.evaluate.families import Scan
from plaque_edge.phantom.scene import VALIDATION_SEEDS
from plaque_edge.quantify.measures import measure
from plaque_edge.quantify.options import of_model
from plaque_edge.segment.run import Engines, segment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from plaque_edge.segment.run import Segmentation

PRIORS = (1.0, 1.25, 1.5, 2.0)
AREAS_MM2 = (0.6, 1.0, 1.5)
CALCIUM = (1.0, 1.25, 1.5, 1.75, 2.0)


@dataclass(frozen=True, slots=True)
class Setting:
    """One calibration, as it stands in ``model.toml``."""

    plaque_prior: float
    gate_area_mm2: float
    gate_min_length_mm: float = 3.0
    gate_dilate_mm: float = 2.0
    calcium_prior: float = 1.0

    def as_dict(self) -> dict[str, float]:
        """All keys of the ``[calibration]`` table."""
        return {
            "plaque_prior": self.plaque_prior,
            "gate_area_mm2": self.gate_area_mm2,
            "gate_min_length_mm": self.gate_min_length_mm,
            "gate_dilate_mm": self.gate_dilate_mm,
            "calcium_prior": self.calcium_prior,
        }


SETTINGS = tuple(Setting(p, a) for p, a in product(PRIORS, AREAS_MM2))
Pairs = dict[str, list[tuple[float, float]]]
"""(measured, true) mm3 of each patient, per generator."""


@dataclass(frozen=True, slots=True)
class Read:
    """One phantom as segmented, and its true volumes in mm3."""

    scan: Scan
    found: Segmentation
    plaque_mm3: float
    calcified_mm3: float


def validation_scans(first: int, count: int, second: int) -> list[Scan]:
    """Return ``count`` scans of the first generator, ``second`` ones of the other."""
    start = VALIDATION_SEEDS[first]
    mine = [Scan("standard", start + i, "test") for i in range(count)]
    others = VALIDATION_SEEDS[0]
    return mine + [Scan("standard", others + i, "second", "second") for i in range(second)]


def read(scans: Sequence[Scan], engine: str) -> Iterator[Read]:
    """Segment each scan with the shipped networks."""
    with Engines(engine) as engines:
        for scan in scans:
            phantom = make(scan)
            true = phantom.truth["patient"]
            found = segment(phantom.volume, engines)
            yield Read(scan, found, float(true["plaque_mm3"]), float(true["calcified_mm3"]))


def run(reads: Sequence[Read]) -> dict[str, Any]:
    """Return every setting's figures and the chosen one. Patients not measured are left out."""
    plaque = _table(SETTINGS, reads, "plaque_mm3")
    best = _best(plaque)
    calcium = _table([replace(best, calcium_prior=c) for c in CALCIUM], reads, "calcified_mm3")
    return {"plaque": _told(plaque), "calcium": _told(calcium), "chosen": _best(calcium).as_dict()}


Table = dict[Setting, dict[str, dict[str, Any]]]
"""Figures of each setting, per generator."""


def _table(settings: Sequence[Setting], reads: Sequence[Read], part: str) -> Table:
    return {s: _figures(_pairs(s, reads, part)) for s in settings}


def _pairs(setting: Setting, reads: Sequence[Read], part: str) -> Pairs:
    pairs: Pairs = {}
    for read in reads:
        volumes = measure(
            read.found.straight, read.found.tree, *of_model(setting.as_dict())
        ).patient
        value = getattr(volumes, part)
        if value is not None:
            pairs.setdefault(read.scan.generator, []).append((value, getattr(read, part)))
    return pairs


def _figures(pairs: Pairs) -> dict[str, dict[str, Any]]:
    return {generator: _of(p) for generator, p in pairs.items()}


def _best(table: Table) -> Setting:
    def error(setting: Setting) -> float:
        return float(np.mean([g["relative_error"] for g in table[setting].values()]))

    return min(table, key=error)


def _told(table: Table) -> list[dict[str, Any]]:
    return [s.as_dict() | {"generators": g} for s, g in table.items()]


def _of(pairs: list[tuple[float, float]]) -> dict[str, Any]:
    a = np.array(pairs, float)
    relative = float((np.abs(a[:, 0] - a[:, 1]) / (a[:, 1] + FLOOR_MM3)).mean())
    found: dict[str, Any] = {"patients": len(a), "relative_error": relative}
    if len(a) > 2:
        x = agreement(a[:, 0], a[:, 1])
        found |= {"icc_a1": x.icc.value, "slope": x.deming.slope, "bias_mm3": x.absolute.bias}
    named: dict[str, Any] = known(found)
    return named


def write_table(model_toml: Path, chosen: dict[str, float], why: str) -> None:
    """Replace the ``[calibration]`` table, which is the file's last."""
    text = model_toml.read_text(encoding="utf-8").split("[calibration]")[0].rstrip()
    lines = ["", "", "[calibration]", f"# {why}", *(f"{k} = {v}" for k, v in chosen.items()), ""]
    model_toml.write_text(text + "\n".join(lines), encoding="utf-8")
