"""How much a volume moves when the same heart is scanned twice, from a table measured on phantoms.

The within-patient SD is ``sqrt(sd_mm3² + (cv x volume)²)``: a floor and a share of the volume.
A change below 1.96 x sqrt(2) x SD can't be told from repeating the scan (Bland and Altman 1996,
doi:10.1136/bmj.313.7059.744).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

TABLE = Path(__file__).with_name("repeatability.json")
FACTOR = 1.96 * math.sqrt(2.0)


@dataclass(frozen=True, slots=True)
class Repeatability:
    """``sd[level][component]`` is (floor in mm³, share of the volume); ``source`` says whence."""

    sd: dict[str, dict[str, tuple[float, float]]]
    source: str

    def limit_mm3(self, level: str, component: str, volume_mm3: float) -> float | None:
        """Smallest measurable change; ``None`` where it was not measured."""
        found = self.sd.get(level, {}).get(component)
        return None if found is None else FACTOR * math.hypot(found[0], found[1] * volume_mm3)


def load_table(path: Path = TABLE) -> Repeatability | None:
    """Read the table; ``None`` where none was measured for this version."""
    if not path.exists():
        return None
    data = json.loads(path.read_text(encoding="utf-8"))
    sd = {
        level: {name: (float(v["sd_mm3"]), float(v["cv"])) for name, v in parts.items()}
        for level, parts in data["levels"].items()
    }
    return Repeatability(sd, str(data["source"]))


def fit_sd(pairs: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Fit floor and share to volumes of two scans of the same hearts.

    The maximum of the likelihood of normal differences with that SD. At least 5 pairs are
    needed.
    """
    if len(pairs) < 5:
        raise ValueError("repeatability needs five pairs or more")
    a, b = np.array(pairs, np.float64).T
    half, mean = 0.5 * (a - b) ** 2, 0.5 * (a + b)

    def unlikely(logs: NDArray[np.float64]) -> float:
        variance = np.exp(2 * logs[0]) + (np.exp(logs[1]) * mean) ** 2
        return float((np.log(variance) + half / variance).sum())

    start = np.log([max(float(np.sqrt(half.mean())), 1e-3), 0.05])
    bounds = [(math.log(1e-3), None), (math.log(1e-4), math.log(2.0))]
    found = minimize(unlikely, start, method="L-BFGS-B", bounds=bounds).x
    sd, cv = (float(v) for v in np.exp(found))
    return {"sd_mm3": sd, "cv": cv, "pairs": len(pairs), "mean_mm3": float(mean.mean())}
