"""Choose the wall network's calibration: a factor on the odds of plaque and the lesion gate.

Phantoms of the validation seeds of both generators are segmented once with the shipped networks;
then every setting is measured on all of them. Chosen is the least mean relative error of plaque
per patient, both generators counting the same, so that neither's habits win.
"""

from __future__ import annotations

from dataclasses import dataclass
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

PRIORS = (1.0, 1.25, 1.5, 2.0)
AREAS_MM2 = (0.6, 1.0, 1.5)


@dataclass(frozen=True, slots=True)
class Setting:
    """One calibration, as it stands in ``model.toml``."""

    plaque_prior: float
    gate_area_mm2: float
    gate_min_length_mm: float = 3.0
    gate_dilate_mm: float = 2.0

    def as_dict(self) -> dict[str, float]:
        """All keys of the ``[calibration]`` table."""
        return {
            "plaque_prior": self.plaque_prior,
            "gate_area_mm2": self.gate_area_mm2,
            "gate_min_length_mm": self.gate_min_length_mm,
            "gate_dilate_mm": self.gate_dilate_mm,
        }


SETTINGS = tuple(Setting(p, a) for p, a in product(PRIORS, AREAS_MM2))
Pairs = dict[str, list[tuple[float, float]]]
"""(measured, true) plaque mm3 of each patient, per generator."""


def validation_scans(first: int, count: int, second: int) -> list[Scan]:
    """Return ``count`` scans of the first generator, ``second`` ones of the other."""
    start = VALIDATION_SEEDS[first]
    mine = [Scan("standard", start + i, "test") for i in range(count)]
    others = VALIDATION_SEEDS[0]
    return mine + [Scan("standard", others + i, "second", "second") for i in range(second)]


def measured(scans: Sequence[Scan], engine: str) -> Iterator[tuple[Scan, float, dict[Any, float]]]:
    """Yield each scan with its true plaque and the plaque of every setting, mm3."""
    with Engines(engine) as engines:
        for scan in scans:
            phantom = make(scan)
            found = segment(phantom.volume, engines)
            plaque = {}
            for setting in SETTINGS:
                volumes = measure(found.straight, found.tree, *of_model(setting.as_dict()))
                if volumes.patient.plaque_mm3 is not None:
                    plaque[setting] = volumes.patient.plaque_mm3
            yield scan, float(phantom.truth["patient"]["plaque_mm3"]), plaque


def choose(found: Sequence[tuple[Scan, float, dict[Setting, float]]]) -> dict[str, Any]:
    """Return every setting's figures and the chosen one. Patients not measured are left out."""
    table = []
    for setting in SETTINGS:
        pairs: Pairs = {}
        for scan, true, plaque in found:
            if setting in plaque:
                pairs.setdefault(scan.generator, []).append((plaque[setting], true))
        table.append(setting.as_dict() | {"generators": {g: _of(p) for g, p in pairs.items()}})

    def error(row: dict[str, Any]) -> float:
        return float(np.mean([g["relative_error"] for g in row["generators"].values()]))

    best = min(table, key=error)
    return {"table": table, "chosen": {k: best[k] for k in SETTINGS[0].as_dict()}}


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
