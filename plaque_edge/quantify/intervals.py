"""A 95 % interval for every volume, from its size, the network's doubt and the image's quality.

On the scale of square roots, where errors are about as large for small volumes as for large
ones, the true volume lies at ``root + shift`` give or take ``factor x spread``. The shift depends
on the size and on plaque left out; the spread on these and on the image, and no worse image makes
it smaller; the factor is that of a size class, by conformal prediction on phantoms
(``intervals_fit.py``). Nothing here is guessed: without a model of these very networks there is
no interval. ``docs/quantify.md`` has the rules and what they are worth.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from plaque_edge.quantify.softness import GATED, PARTS
from plaque_edge.types import IntervalSource, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plaque_edge.types import (
        ImageQuality,
        Intervals,
        ModelInfo,
        PatientMeasures,
        PlaqueMeasures,
        Softness,
        VesselMeasures,
    )

COVERAGE = 0.95
LEAST_MM3 = 1.0
"""The upper end lies at least this far above what was measured: a segment with less plaque does
not count as involved either."""
LEAST_LOG_SPREAD = math.log(0.05)
"""Of the square root in mm^1.5: a spread below it would come from phantoms that are too alike."""
SHIFTED_BY = ("size", "left_out")
WIDER_WITH = (
    "soft", "left_out", "noise_hu", "edge_mm", "motion", "slice_mm", "pixel_mm", "faint",
    "odd_kernel", "limited",
)  # fmt: skip
"""Features that may only widen an interval; ``size`` and ``length`` may do either."""
SPREAD_BY = ("size", "length", *WIDER_WITH)
Values = dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Feature:
    """How a feature is put on a common scale; it counts as within ``low`` and ``high``.

    ``unknown`` stands in for a value that is not known: one that is worse than most.
    """

    middle: float
    width: float
    low: float
    high: float
    unknown: float

    def standard(self, value: float | None) -> float:
        """Return the value on the common scale."""
        known = self.unknown if value is None else value
        return (min(max(known, self.low), self.high) - self.middle) / self.width


@dataclass(frozen=True, slots=True)
class SizeClass:
    """Measured volumes up to ``below_mm3`` (the last has no limit) and their factor.

    ``rows`` is on how many phantom volumes the factor rests, ``patients`` of how many they are,
    and ``held`` how many of them lay in an interval made without their patient.
    """

    below_mm3: float
    factor: float
    rows: int
    patients: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class PartModel:
    """Intervals of one part (plaque, lumen ...) at one level (patient, vessel)."""

    features: dict[str, Feature]
    shift: dict[str, float]
    log_spread: dict[str, float]
    classes: tuple[SizeClass, ...]

    def shift_and_spread(self, values: Mapping[str, float | None]) -> tuple[float, float]:
        """Return how far the true root lies from the measured one, and how surely, in mm^1.5."""
        log_spread = self._sum(self.log_spread, values)
        return self._sum(self.shift, values), math.exp(max(log_spread, LEAST_LOG_SPREAD))

    def _sum(self, weights: Mapping[str, float], values: Mapping[str, float | None]) -> float:
        rest = (
            weight * self.features[name].standard(values.get(name))
            for name, weight in weights.items()
            if name != "one"
        )
        return weights["one"] + sum(rest)

    def size_class(self, measured_mm3: float) -> int:
        """Return the index of the class that a measured volume falls into."""
        return next(i for i, c in enumerate(self.classes) if measured_mm3 < c.below_mm3)

    def knows(self, values: Mapping[str, float | None]) -> bool:
        """Whether a volume is of a size that phantoms can speak for."""
        size = values["size"]
        return size is not None and size <= self.features["size"].high

    def interval(
        self, measured_mm3: float, values: Mapping[str, float | None]
    ) -> tuple[float, float]:
        """Return lower and upper end in mm³: never negative, the measured volume between them."""
        shift, spread = self.shift_and_spread(values)
        half = self.classes[self.size_class(measured_mm3)].factor * spread
        middle = math.sqrt(measured_mm3) + shift
        low, high = max(middle - half, 0.0) ** 2, max(middle + half, 0.0) ** 2
        return min(low, measured_mm3), max(high, measured_mm3 + LEAST_MM3)


@dataclass(frozen=True, slots=True)
class IntervalModel:
    """All part models by level and part, and the networks they are of.

    ``models_sha256`` is the hash over all networks, ``calibration`` the table that turned their
    fractions into volumes: either one different, and the intervals are of something else.
    """

    models_sha256: str
    calibration: dict[str, float]
    levels: dict[str, dict[str, PartModel]]
    scans: int
    made_on: str
    sha256: str = ""
    """Of the file it was read from."""

    def refusal(self, model: ModelInfo) -> Reason | None:
        """Say why these intervals are not those of ``model``; ``None`` when they are."""
        same = self.models_sha256 == model.sha256
        if same and self.calibration == dict(model.calibration):
            return None
        what = "calibration" if same else "networks"
        return Reason(
            "INTERVALS_OTHER_MODEL",
            f"The intervals on this computer were made with other {what}, so none is given.",
            "Make them anew: plaque-edge calibrate-intervals (docs/quantify.md).",
        )


def features_of(part: str, volumes: Mapping[str, Any], quality: Mapping[str, Any]) -> Values | None:
    """Collect the features of one volume; ``None`` when the volume or its softness is not known.

    ``volumes`` has the fields of a vessel or patient, ``quality`` those of
    :class:`plaque_edge.types.ImageQuality`, from a result or its JSON alike.
    """
    measured, soft = volumes.get(f"{part}_mm3"), volumes.get("softness")
    if measured is None or soft is None:
        return None
    gated = part in GATED
    doubt = soft[f"{part}_inside_mm3"] + (soft[f"{part}_outside_mm3"] if gated else 0.0)
    blood, length = quality.get("blood_hu"), volumes.get("length_mm")
    same = ("noise_hu", "edge_mm", "motion", "slice_mm", "pixel_mm")
    return {
        "size": math.sqrt(measured),
        "length": None if length is None else math.sqrt(length),
        "soft": math.sqrt(doubt),
        "left_out": math.sqrt(soft[f"{part}_left_out_mm3"]) if gated else 0.0,
        **{name: quality.get(name) for name in same},
        "faint": 1000.0 / blood if blood and blood > 0 else None,
        "odd_kernel": 0.0 if quality.get("kernel") == "vascular" else 1.0,
        "limited": 0.0 if quality.get("verdict") == "diagnostic" else 1.0,
    }


def with_intervals(
    measures: PlaqueMeasures, quality: ImageQuality | None, model: IntervalModel
) -> PlaqueMeasures:
    """Give every volume that was wholly measured its interval.

    None for a lower bound (a partial vessel, a patient with one), whose missing part no model can
    know, nor for low attenuation that is not to be trusted.
    """
    known = {} if quality is None else asdict(quality)
    skip = frozenset() if measures.low_attenuation_doubt is None else frozenset({"low_attenuation"})

    def of(level: str, item: VesselMeasures | PatientMeasures) -> Intervals | None:
        return intervals_of(model.levels.get(level, {}), _volumes(item), known, skip)

    vessels = {
        name: replace(v, intervals_95=of("vessel", v) if v.status == "analysed" else None)
        for name, v in measures.vessels.items()
    }
    patient = measures.patient
    whole = None if patient.lower_bound else of("patient", patient)
    return replace(
        measures,
        vessels=vessels,
        patient=replace(patient, intervals_95=whole),
        interval_source=IntervalSource(COVERAGE, model.scans, model.made_on, model.sha256),
    )


def without_intervals(measures: PlaqueMeasures, reason: Reason) -> PlaqueMeasures:
    """Say why there are no intervals."""
    return replace(measures, interval_source=IntervalSource(reason=reason))


def intervals_of(
    models: Mapping[str, PartModel],
    volumes: Mapping[str, Any],
    quality: Mapping[str, Any],
    skip: frozenset[str] = frozenset(),
) -> Intervals | None:
    """Return the intervals of one vessel or patient by the volume's name; ``None`` without any.

    A volume far larger than any of the phantoms' has none.
    """
    found: Intervals = {}
    for part, model in models.items():
        values = features_of(part, volumes, quality)
        if values is not None and part not in skip and model.knows(values):
            found[f"{part}_mm3"] = model.interval(float(volumes[f"{part}_mm3"]), values)
    return found or None


def _volumes(item: VesselMeasures | PatientMeasures) -> dict[str, Any]:
    soft: Softness | None = item.softness
    names = [*(f"{part}_mm3" for part in PARTS), "length_mm"]
    return {name: getattr(item, name) for name in names} | {"softness": soft}
