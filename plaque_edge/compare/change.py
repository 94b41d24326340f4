"""The change between two studies, per patient, vessel and segment, and what may be said of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge import RESEARCH_USE
from plaque_edge.compare.register import Pair, register
from plaque_edge.compare.repeatability import Repeatability
from plaque_edge.compare.study import COMPONENTS, Study, check_pair
from plaque_edge.errors import Refused
from plaque_edge.quantify.scct import NAMES
from plaque_edge.types import VESSELS, Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCHEMA_ID = "plaque-edge/compare/1"
NO_CHANGE = "no measurable change"
NOT_JUDGED = "not judged: repeatability was not measured"
NOT_TOLD = "not judged: low attenuation can't be told in one of the scans"
OTHERWISE = "the scans were made differently"
BY_HAND = "a person corrected the numbers"
"""Why a change is only called possible; repeatability is that of the networks' own numbers."""
SPACING_SHARE = 0.2
"""Spacings that differ by more are another protocol."""
SAME_HEART_MM = 5.0
"""Trunks that lie farther apart than this, in the middle, are not of one heart."""
SHORTEST_YEARS = 0.25
"""Shorter intervals give no rate: noise would be multiplied."""


def compare(before: Study, after: Study, found: Repeatability | Reason | None) -> dict[str, Any]:
    """Compare two measured studies of one patient; returns ``plaque-edge/compare/1``.

    ``found`` is what changes are judged against, or why there is nothing. Only stretches that
    were traced in both, and excluded in neither, are compared; segment borders are those of the
    first. Raises ``Refused`` as :func:`study.check_pair` does, and COMPARE_NOT_REGISTERED when
    the trees don't lie on each other.
    """
    check_pair(before, after)
    table = found if isinstance(found, Repeatability) else None
    laid = register(before.courses, after.courses)
    trunks = [p.distance_mm for p in laid if p.after.branch in VESSELS]
    if not trunks or float(np.median(trunks)) > SAME_HEART_MM:
        raise Refused(
            "COMPARE_NOT_REGISTERED",
            "The vessel trees of the two studies don't lie on each other.",
            "Look at both trees; one may be traced wrongly, or the heart phase may differ much.",
        )
    years = _years(before, after)
    differences = protocol_differences(before, after)
    doubtful = before.low_attenuation_doubtful or after.low_attenuation_doubtful
    corrected = [side for side, s in (("before", before), ("after", after)) if s.corrected]
    why = OTHERWISE if differences else BY_HAND if corrected else ""
    judge = _Judge(table, years, why=why, doubtful=doubtful)
    pairs = [c for c in map(common, laid) if c.before.size and c.after.size]
    vessels = {v: [c for c in pairs if c.pair.after.vessel == v] for v in VESSELS}
    numbers = sorted({int(s) for c in pairs for s in c.segments})
    return {
        "schema": SCHEMA_ID,
        "disclaimer": RESEARCH_USE,
        "before": _named(before),
        "after": _named(after),
        "years": years,
        "comparability": {
            "level": "lowered" if why else "full",
            "differences": differences,
            "corrected": corrected,
        },
        "repeatability": None if table is None else table.source,
        "not_judged": asdict(found) if isinstance(found, Reason) else None,
        "registration": {
            "branches": len(pairs),
            "median_distance_mm": float(np.median([p.distance_mm for p in laid])),
            "common_length_mm": sum(c.length_mm for c in pairs),
            "only_before": _unpaired(before, {id(p.before) for p in laid}),
            "only_after": _unpaired(after, {id(p.after) for p in laid}),
            "excluded": [*_excluded("before", before), *_excluded("after", after)],
            "pairs": [_stretch(p) for p in laid],
        },
        "patient": judge.changes("patient", pairs),
        "vessels": {v: judge.changes("vessel", own) if own else None for v, own in vessels.items()},
        "segments": [
            {"number": n, "name": NAMES[n], "changes": judge.changes("segment", pairs, n)}
            for n in numbers
        ],
    }


def _named(study: Study) -> dict[str, Any]:
    return {
        "series_instance_uid": study.series_uid,
        "study_date": study.day.isoformat() if study.day else None,
        "scan": study.scan,
        "result_sha256": study.result_sha256,
        "corrected": study.corrected,
    }


def _stretch(pair: Pair) -> dict[str, Any]:
    """Return which cross-section is which: ``partner`` has the first study's step for each of the
    second's, from ``after_steps[0]`` on; steps as in each result's ``profiles``.
    """  # noqa: D205
    return {
        "branch_before": pair.before.branch,
        "branch_after": pair.after.branch,
        "before_steps": list(pair.before_steps),
        "after_steps": list(pair.after_steps),
        "partner": pair.partner.tolist(),
    }


def _excluded(side: str, study: Study) -> list[dict[str, Any]]:
    """Name the branches of which something was excluded: nothing of that is compared."""
    return [
        {"study": side, "branch": c.branch, "length_mm": float((~c.measured).sum() * c.step_mm)}
        for c in study.courses
        if not c.measured.all()
    ]


@dataclass(frozen=True, slots=True)
class Common:
    """The steps of a pair that count, by number in each study; ``segments`` of ``after`` steps.

    A step counts when it was measured and its partner in the other study as well.
    """

    pair: Pair
    before: NDArray[np.int64]
    after: NDArray[np.int64]
    segments: NDArray[np.int64]

    @property
    def length_mm(self) -> float:
        """How much of the first study's branch is compared."""
        return max(len(self.before) - 1, 0) * self.pair.before.step_mm


def common(pair: Pair) -> Common:
    """Find the steps of a pair that were measured in both studies."""
    first, last = pair.before_steps
    steps_b, steps_a = np.arange(first, last), np.arange(*pair.after_steps)
    good_b, good_a = pair.before.measured, pair.after.measured
    # Each earlier step's nearest partner among the later ones, of which several may share one.
    at = np.clip(np.searchsorted(pair.partner, steps_b), 0, len(steps_a) - 1)
    left = np.maximum(at - 1, 0)
    nearer = np.abs(pair.partner[left] - steps_b) < np.abs(pair.partner[at] - steps_b)
    at = np.where(nearer, left, at)
    both_b = good_b[steps_b] & good_a[steps_a[at]]
    both_a = good_a[steps_a] & good_b[pair.partner]
    segments = pair.before.segment[pair.partner][both_a]
    return Common(pair, steps_b[both_b], steps_a[both_a], segments)


def _unpaired(study: Study, paired: set[int]) -> list[str]:
    return [c.branch for c in study.courses if id(c) not in paired]


def _years(before: Study, after: Study) -> float | None:
    if before.day is None or after.day is None:
        return None
    return (after.day - before.day).days / 365.25


def protocol_differences(before: Study, after: Study) -> list[str]:
    """Say how the second scan was made otherwise; volumes then differ for that alone."""
    out = []
    for key, word in (("kernel", "kernel"), ("kvp", "tube voltage"), ("scanner_model", "scanner")):
        a, b = before.scan.get(key), after.scan.get(key)
        if a in (None, "") or b in (None, ""):
            out.append(f"{word} unknown")
        elif a != b:
            out.append(f"{word} {a} and {b}")
    a, b = before.scan.get("spacing_zyx_mm"), after.scan.get("spacing_zyx_mm")
    if not a or not b:
        out.append("spacing unknown")
    elif any(abs(x - y) > SPACING_SHARE * max(x, y) for x, y in zip(a, b, strict=True)):
        first, second = (" x ".join(f"{v:.2f}" for v in s) for s in (a, b))
        out.append(f"spacing {first} and {second} mm")
    return out


class _Judge:
    """Turns volumes of the common stretch into changes and what may be said of them."""

    def __init__(
        self,
        table: Repeatability | None,
        years: float | None,
        *,
        why: str = "",
        doubtful: bool = False,
    ) -> None:
        self.table, self.years, self.why, self.doubtful = table, years, why, doubtful

    def changes(
        self, level: str, pairs: Any, segment: int | None = None
    ) -> dict[str, dict[str, Any]]:
        """Change of each component over the common stretch, and of PAV."""
        first = {c: sum(_before(p, c, segment) for p in pairs) for c in COMPONENTS}
        second = {c: sum(_after(p, c, segment) for p in pairs) for c in COMPONENTS}
        out = {c: self._one(level, c, first[c], second[c]) for c in COMPONENTS}
        pav = [
            100.0 * v["plaque_mm3"] / v["vessel_mm3"] if v["vessel_mm3"] > 0 else None
            for v in (first, second)
        ]
        if pav[0] is not None and pav[1] is not None:
            change, judged = pav[1] - pav[0], out["plaque_mm3"]["measurable_from_mm3"] is not None
            out["pav_percent"] = {
                "before": pav[0],
                "after": pav[1],
                "change": change,
                "per_year": self._per_year(change) if judged else None,
                "claim": out["plaque_mm3"]["claim"],
            }
        return out

    def _one(self, level: str, component: str, first: float, second: float) -> dict[str, Any]:
        change = second - first
        limit = None
        untold = self.doubtful and component == "low_attenuation_mm3"
        if self.table is not None and not untold:
            limit = self.table.limit_mm3(level, component, 0.5 * (first + second))
        return {
            "before_mm3": first,
            "after_mm3": second,
            "change_mm3": change,
            "change_percent": 100.0 * change / first if first > 0 else None,
            "per_year_mm3": None if limit is None else self._per_year(change),
            "measurable_from_mm3": limit,
            "claim": NOT_TOLD if untold else self._claim(change, limit),
        }

    def _per_year(self, change: float) -> float | None:
        long_enough = self.years is not None and self.years >= SHORTEST_YEARS
        return change / self.years if long_enough and self.years else None

    def _claim(self, change: float, limit: float | None) -> str:
        if limit is None:
            return NOT_JUDGED
        if abs(change) <= limit:
            return NO_CHANGE
        word = "increase" if change > 0 else "decrease"
        return f"possible {word}: {self.why}" if self.why else word


def _before(both: Common, component: str, segment: int | None) -> float:
    course, steps = both.pair.before, both.before
    if segment is not None:
        steps = steps[course.segment[steps] == segment]
    return float(course.volumes_mm3[component][steps].sum())


def _after(both: Common, component: str, segment: int | None) -> float:
    steps = both.after if segment is None else both.after[both.segments == segment]
    return float(both.pair.after.volumes_mm3[component][steps].sum())
