"""What may be turned in quantify: the lesion gate and the calibration of the fractions.

Both are frozen dataclasses with neutral or documented defaults, stored beside the wall
model (``model.toml``) and passed in; nothing here is global state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.types import WALL_CLASSES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

LESION_AREA_MM2 = 1.0
"""A cross-section belongs to a lesion above this plaque area (the usual clinical definition)."""


@dataclass(frozen=True, slots=True)
class GateOptions:
    """Where plaque counts: runs of cross-sections with enough plaque, a little widened.

    ``area_mm2`` is the hard plaque area a cross-section must exceed, ``min_length_mm`` the
    shortest run, ``dilate_mm`` what is added at each end of a run.
    """

    area_mm2: float = LESION_AREA_MM2
    min_length_mm: float = 2.0
    dilate_mm: float = 1.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """Corrects the soft fractions: ``p'`` proportional to ``prior * p ** (1 / temperature)``.

    ``prior`` has one weight per class in the order of :data:`WALL_CLASSES`; a
    ``background_mm2`` above 0 scales those of soft plaque for each patient
    (:mod:`plaque_edge.quantify.background`). The defaults change nothing.
    """

    temperature: float = 1.0
    prior: tuple[float, ...] = (1.0,) * len(WALL_CLASSES)
    background_mm2: float = 0.0

    def __post_init__(self) -> None:
        bad_prior = len(self.prior) != len(WALL_CLASSES) or min(self.prior) < 0
        if bad_prior or not self.temperature > 0:
            raise ValueError("a calibration needs a positive temperature and 7 weights >= 0")

    @classmethod
    def from_mapping(cls, table: Mapping[str, Any]) -> Calibration:
        """Read ``{"temperature": 1.0, "prior": {"wall": 1.2, ...}}``; what is absent is neutral."""
        weights = dict(table.get("prior", {}))
        unknown = set(weights) - set(WALL_CLASSES)
        if unknown:
            raise ValueError(f"unknown classes in the calibration: {sorted(unknown)}")
        prior = tuple(float(weights.get(name, 1.0)) for name in WALL_CLASSES)
        return cls(float(table.get("temperature", 1.0)), prior)

    def table(self) -> NDArray[np.float64]:
        """Weight of each class and each stored byte, float64 ``(7, 256)``."""
        soft = (np.arange(256) / 255.0) ** (1.0 / self.temperature)
        return np.asarray(self.prior, np.float64)[:, None] * soft[None, :]


def of_model(values: Mapping[str, float]) -> tuple[GateOptions, Calibration]:
    """Return gate and calibration as a wall model's ``[calibration]`` table gives them.

    Keys: ``gate_area_mm2``, ``gate_min_length_mm``, ``gate_dilate_mm``; ``plaque_prior``, the
    factor on the odds of all three plaque classes; ``calcium_prior``, a further factor on those
    of calcium; ``background_mm2``, soft plaque in the median cross-section of a usual patient.
    What is absent keeps its default.
    """
    gate = GateOptions()
    plaque = float(values.get("plaque_prior", 1.0))
    calcium = plaque * float(values.get("calcium_prior", 1.0))
    return (
        GateOptions(
            float(values.get("gate_area_mm2", gate.area_mm2)),
            float(values.get("gate_min_length_mm", gate.min_length_mm)),
            float(values.get("gate_dilate_mm", gate.dilate_mm)),
        ),
        Calibration(
            prior=(1.0, 1.0, 1.0, 1.0, plaque, plaque, calcium),
            background_mm2=float(values.get("background_mm2", 0.0)),
        ),
    )
