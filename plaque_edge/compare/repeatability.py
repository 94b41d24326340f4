"""How much a volume moves when the same heart is scanned twice, from a table measured on phantoms.

The within-patient SD is ``sqrt(sd_mm3² + (cv x volume)²)``: a floor and a share of the volume.
A change below 1.96 x sqrt(2) x SD can't be told from repeating the scan (Bland and Altman 1996,
doi:10.1136/bmj.313.7059.744).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize

from engines.manifest import MODELS
from plaque_edge.types import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

FORMAT = "plaque-edge/repeatability/1"
TABLE = MODELS / "wall" / "repeatability.json"
"""Beside the wall network's weights, which it is of."""
FACTOR = 1.96 * math.sqrt(2.0)
LEVELS = ("patient", "vessel", "segment")
FEWEST = 5
_NEXT = "Make it: plaque-edge repeatability (docs/compare.md)."


@dataclass(frozen=True, slots=True)
class Repeatability:
    """``sd[level][component]`` is (floor in mm³, share of the volume); ``source`` says whence.

    It holds for volumes by the networks ``model_sha256`` with their ``calibration``.
    """

    sd: dict[str, dict[str, tuple[float, float]]]
    source: str
    model_sha256: str
    calibration: Mapping[str, float]

    def limit_mm3(self, level: str, component: str, volume_mm3: float) -> float | None:
        """Smallest measurable change; ``None`` where it was not measured."""
        found = self.sd.get(level, {}).get(component)
        return None if found is None else limit_mm3(found, volume_mm3)


def limit_mm3(sd: tuple[float, float], volume_mm3: float) -> float:
    """Return by how much two scans of a volume differ in 5 % of cases, from its floor and share."""
    return FACTOR * math.hypot(sd[0], sd[1] * volume_mm3)


def load_table(
    model_sha256: str, calibration: Mapping[str, float], path: Path = TABLE
) -> Repeatability | Reason:
    """Return the table of these networks, or why there is none; never that of others."""
    if not path.is_file():
        text = "How far volumes move between two scans was not measured: no change is judged."
        return Reason("REPEATABILITY_MISSING", text, _NEXT)
    try:
        table = _parse(path.read_bytes())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        text = "The table of repeatability cannot be read: no change is judged."
        return Reason("REPEATABILITY_INVALID", text, _NEXT)
    if (table.model_sha256, table.calibration) != (model_sha256, dict(calibration)):
        text = "Repeatability was measured for other networks or settings: no change is judged."
        return Reason("REPEATABILITY_OTHER_MODEL", text, _NEXT)
    return table


def _parse(content: bytes) -> Repeatability:
    """Read a table. Raises ValueError, KeyError or TypeError for what would judge wrongly."""
    data = json.loads(content)
    if data["format"] != FORMAT or not data["model_sha256"]:
        raise ValueError("not a table of this version, or of no network")
    sd = {
        level: {name: (float(v["sd_mm3"]), float(v["cv"])) for name, v in parts.items()}
        for level, parts in data["levels"].items()
    }
    numbers = [x for parts in sd.values() for pair in parts.values() for x in pair]
    if not set(sd) <= set(LEVELS) or not all(math.isfinite(x) and x >= 0 for x in numbers):
        raise ValueError("an unknown level, or a number that is none")
    calibration = {str(k): float(v) for k, v in data["calibration"].items()}
    return Repeatability(sd, str(data["source"]), str(data["model_sha256"]), calibration)


def fit_sd(pairs: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """Fit floor (mm³) and share to volumes of two scans of the same hearts.

    The maximum of the likelihood of normal differences with that SD. Pairs in which both scans
    found nothing are left out: they repeat perfectly and would say that the smallest finding
    does too. ``None`` of fewer than 5 others.
    """
    found_something = [p for p in pairs if p[0] > 0 or p[1] > 0]
    if len(found_something) < FEWEST:
        return None
    a, b = np.array(found_something, np.float64).T
    half, mean = 0.5 * (a - b) ** 2, 0.5 * (a + b)

    def unlikely(logs: NDArray[np.float64]) -> float:
        variance = np.exp(2 * logs[0]) + (np.exp(logs[1]) * mean) ** 2
        return float((np.log(variance) + half / variance).sum())

    start = np.log([max(float(np.sqrt(half.mean())), 1e-3), 0.05])
    most = math.log(10.0 * float(np.sqrt(half.max())) + 1.0)
    bounds = [(math.log(1e-3), most), (math.log(1e-4), math.log(2.0))]
    found = minimize(unlikely, start, method="L-BFGS-B", bounds=bounds).x
    sd, cv = (float(v) for v in np.exp(found))
    return sd, cv
