"""What the project wants of its figures: what must be reached, and what is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Goal:
    """One figure: name, how to take it (value, interval, n), limits, which way is better."""

    name: str
    take: Callable[[dict[str, Any]], tuple[Any, Any, Any]]
    must: float
    wanted: float
    least: bool = True
    """At least, or at most."""
    unit: str = ""


def _figure(*path: str) -> Callable[[dict[str, Any]], tuple[Any, Any, Any]]:
    def take(f: dict[str, Any]) -> tuple[Any, Any, Any]:
        for key in path:
            f = f.get(key) or {}
        return f.get("value"), f.get("interval"), f.get("n")

    return take


def _icc(*path: str) -> Callable[[dict[str, Any]], tuple[Any, Any, Any]]:
    def take(f: dict[str, Any]) -> tuple[Any, Any, Any]:
        for key in path:
            f = f.get(key) or {}
        return f.get("icc_a1"), [f.get("icc_a1_lower"), f.get("icc_a1_upper")], f.get("n")

    return take


def _cv(f: dict[str, Any]) -> tuple[Any, Any, Any]:
    found = f.get("rescan") or {}
    return found.get("cv_percent"), found.get("cv_percent_interval"), found.get("pairs")


def _worst_family(f: dict[str, Any]) -> tuple[Any, Any, Any]:
    found = [x["plaque_mm3"] for x in f.get("families", {}).values() if x["plaque_mm3"]]
    if not found:
        return None, None, None
    worst = min(found, key=lambda a: a["icc_a1"])
    return worst["icc_a1"], [worst["icc_a1_lower"], worst["icc_a1_upper"]], worst["n"]


GOALS = (
    Goal("analysed without a person", _figure("analysed_without_a_person"), 0.95, 0.99),
    Goal("tree recall (1 mm, radius from 0.75 mm)", _figure("tree", "recall"), 0.95, 0.98),
    Goal("tree precision", _figure("tree", "precision"), 0.95, 0.98),
    Goal("right vessel name", _figure("tree", "names"), 0.98, 0.99),
    Goal("centerline distance", _figure("tree", "distance_mm"), 0.3, 0.3, False, "mm"),
    Goal("plaque ICC(A,1) per patient", _icc("patient_plaque_mm3"), 0.95, 0.98),
    Goal("plaque ICC(A,1) per vessel", _icc("vessel_plaque_mm3"), 0.92, 0.96),
    Goal(
        "mean absolute difference, patients over 50 mm3",
        _figure("relative_error_percent", "patient"),
        19,
        10,
        False,
        "%",
    ),
    Goal(
        "false plaque in plaque-free patients, 95th percentile",
        _figure("plaque_free", "p95_mm3"),
        20,
        5,
        False,
        "mm3",
    ),
    Goal("calcified ICC per patient", _icc("patient_calcified_mm3"), 0.95, 0.98),
    Goal("non-calcified ICC per patient", _icc("patient_noncalcified_mm3"), 0.92, 0.95),
    Goal("low-attenuation ICC per patient", _icc("patient_low_attenuation_mm3"), 0.0, 0.80),
    Goal("scan-rescan ICC", _icc("rescan", "agreement"), 0.97, 0.99),
    Goal("scan-rescan coefficient of variation", _cv, 10, 5, False, "%"),
    Goal("diameter stenosis, error", _figure("stenosis", "error_points"), 10, 5, False, "points"),
    Goal("right side of 50 % stenosis", _figure("stenosis", "right_side_of_50"), 0.90, 0.95),
    Goal("worst family, plaque ICC per patient", _worst_family, 0.90, 0.95),
)
SLOPE = (0.90, 1.10), (0.95, 1.05)
"""Of measured on true volumes, by Passing-Bablok or Deming: what must be, what is wanted."""


def verdict(value: float | None, must: tuple[float, float], wanted: tuple[float, float]) -> str:
    """Say how a value stands to its limits."""
    if value is None:
        return "not measured"
    if wanted[0] <= value <= wanted[1]:
        return "reached, as wanted"
    return "reached" if must[0] <= value <= must[1] else "**missed**"


def limits(goal: Goal, limit: float) -> tuple[float, float]:
    """Return the range in which a value is good enough."""
    return (limit, float("inf")) if goal.least else (float("-inf"), limit)
