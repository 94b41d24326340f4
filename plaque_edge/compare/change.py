"""The change between two studies, per patient, vessel and segment, and what may be said of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from plaque_edge import RESEARCH_USE
from plaque_edge.compare.register import Pair, register
from plaque_edge.compare.repeatability import Repeatability
from plaque_edge.compare.study import COMPONENTS, Study, check_pair
from plaque_edge.errors import Refused
from plaque_edge.quantify.scct import NAMES
from plaque_edge.types import VESSELS, Reason

SCHEMA_ID = "plaque-edge/compare/1"
NO_CHANGE = "no measurable change"
NOT_JUDGED = "not judged: repeatability was not measured"
NOT_TOLD = "not judged: low attenuation can't be told in one of the scans"
SPACING_SHARE = 0.2
"""Spacings that differ by more are another protocol."""
SAME_HEART_MM = 5.0
"""Trunks that lie farther apart than this, in the middle, are not of one heart."""
SHORTEST_YEARS = 0.25
"""Shorter intervals give no rate: noise would be multiplied."""


def compare(before: Study, after: Study, found: Repeatability | Reason | None) -> dict[str, Any]:
    """Compare two measured studies of one patient; returns ``plaque-edge/compare/1``.

    ``found`` is what changes are judged against, or why there is nothing. Only stretches that
    were traced in both are compared; segment borders are those of the first. Raises ``Refused``
    as :func:`study.check_pair` does, and COMPARE_NOT_REGISTERED when the trees don't lie on each
    other.
    """
    check_pair(before, after)
    table = found if isinstance(found, Repeatability) else None
    pairs = register(before.courses, after.courses)
    trunks = [p.distance_mm for p in pairs if p.after.branch in VESSELS]
    if not trunks or float(np.median(trunks)) > SAME_HEART_MM:
        raise Refused(
            "COMPARE_NOT_REGISTERED",
            "The vessel trees of the two studies don't lie on each other.",
            "Look at both trees; one may be traced wrongly, or the heart phase may differ much.",
        )
    years = _years(before, after)
    differences = protocol_differences(before, after)
    doubtful = before.low_attenuation_doubtful or after.low_attenuation_doubtful
    judge = _Judge(table, years, lowered=bool(differences), doubtful=doubtful)
    vessels = {v: [p for p in pairs if p.after.vessel == v] for v in VESSELS}
    numbers = sorted({int(s) for p in pairs for s in p.before.segment})
    return {
        "schema": SCHEMA_ID,
        "disclaimer": RESEARCH_USE,
        "before": _named(before),
        "after": _named(after),
        "years": years,
        "comparability": {
            "level": "lowered" if differences else "full",
            "differences": differences,
        },
        "repeatability": None if table is None else table.source,
        "not_judged": asdict(found) if isinstance(found, Reason) else None,
        "registration": {
            "branches": len(pairs),
            "median_distance_mm": float(np.median([p.distance_mm for p in pairs])),
            "common_length_mm": sum(
                (p.before_steps[1] - 1 - p.before_steps[0]) * p.before.step_mm for p in pairs
            ),
            "only_before": _unpaired(before, {id(p.before) for p in pairs}),
            "only_after": _unpaired(after, {id(p.after) for p in pairs}),
            "pairs": [_stretch(p) for p in pairs],
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
        lowered: bool,
        doubtful: bool = False,
    ) -> None:
        self.table, self.years, self.lowered, self.doubtful = table, years, lowered, doubtful

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
            change = pav[1] - pav[0]
            out["pav_percent"] = {
                "before": pav[0],
                "after": pav[1],
                "change": change,
                "per_year": self._per_year(change),
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
            "per_year_mm3": self._per_year(change),
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
        return f"possible {word}: the scans were made differently" if self.lowered else word


def _before(pair: Pair, component: str, segment: int | None) -> float:
    span = slice(*pair.before_steps)
    values = pair.before.volumes_mm3[component][span]
    if segment is not None:
        values = values[pair.before.segment[span] == segment]
    return float(values.sum())


def _after(pair: Pair, component: str, segment: int | None) -> float:
    values = pair.after.volumes_mm3[component][slice(*pair.after_steps)]
    if segment is not None:
        values = values[pair.before.segment[pair.partner] == segment]
    return float(values.sum())
