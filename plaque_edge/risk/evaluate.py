"""How well a model, or any score, foretells a table's events: figures with intervals.

Intervals come from resampling patients, those of O/E and slope from their own errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.risk.calibration import (
    Group,
    Interval,
    Ratio,
    Smooth,
    binary_slope,
    groups,
    observed_over_expected,
    slope,
    smooth_curve,
)
from plaque_edge.risk.sample_size import EVALUATE_EVENTS, too_few
from plaque_edge.risk.survival import (
    auc_at,
    brier_at,
    harrell_c,
    kaplan_meier,
    net_benefit,
    uno_c,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from plaque_edge.risk.cohort import Cohort

    Floats = NDArray[np.float64]

AT_RISK = 20
SUBGROUP_EVENTS = 10
THRESHOLDS = tuple(np.round(np.arange(0.01, 0.305, 0.01), 2).tolist())


@dataclass(frozen=True, slots=True)
class Predictions:
    """What is judged: ``score`` ``(n,)``, and risks ``(horizons, n)`` unless it is a bare score."""

    name: str
    score: Floats
    horizons: tuple[float, ...]
    risks: Floats | None


@dataclass(frozen=True, slots=True)
class Value:
    """A figure with its 95 % interval."""

    value: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class AtHorizon:
    """Figures at one horizon; those of calibration are ``None`` for a bare score."""

    years: float
    events: int
    at_risk: int
    auc: Value
    ratio: Ratio | None = None
    brier: Value | None = None
    ipa: Value | None = None
    groups: tuple[Group, ...] = ()
    smooth: Smooth | None = None
    net_benefit: tuple[tuple[float, float, float], ...] = ()
    """(threshold, model, everybody acted on)."""


@dataclass(frozen=True, slots=True)
class Subgroup:
    """One group of patients; ``None`` where its events are too few for a figure."""

    name: str
    patients: int
    events: int
    harrell: Value | None
    ratio: Ratio | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All figures of one model or score on one table."""

    name: str
    patients: int
    events: int
    median_follow_up: float | None
    harrell: Value
    uno: Value | None
    slope: Value | None
    horizons: tuple[AtHorizon, ...]
    subgroups: tuple[Subgroup, ...]


def evaluate(cohort: Cohort, given: Predictions, draws: int = 200, seed: int = 0) -> Evaluation:
    """Judge predictions on a cohort of the same order. Raises Refused RISK_EVENTS_TOO_FEW."""
    time, event = cohort.time_years, cohort.event
    events = int(event.sum())
    if events < EVALUATE_EVENTS or events == len(event):
        next_step = "Collect more follow-up."
        raise too_few(min(events, len(event) - events), EVALUATE_EVENTS, "judge a model", next_step)
    if not cohort.timed:
        # Everybody free of the event was seen to be so at the horizon.
        time = np.where(event, time, np.nextafter(time, np.inf))
    boot = _Bootstrap(time, event, draws, seed)
    last = max((h for h in given.horizons if _seen(time, h)), default=float(time.max()))
    return Evaluation(
        name=given.name,
        patients=len(event),
        events=events,
        median_follow_up=_median_follow_up(time, event) if cohort.timed else None,
        harrell=boot.value(lambda i: harrell_c(time[i], event[i], given.score[i])),
        uno=boot.value(lambda i: uno_c(time[i], event[i], given.score[i], last))
        if cohort.timed
        else None,
        slope=_slope(cohort, given),
        horizons=tuple(
            _at(boot, given, k, cohort.timed)
            for k, h in enumerate(given.horizons)
            if _seen(time, h)
        ),
        subgroups=tuple(_subgroups(cohort, given, (draws, seed), time)),
    )


@dataclass(frozen=True, slots=True)
class _Bootstrap:
    """Resamples of the patients, the same for every figure."""

    time: Floats
    event: NDArray[np.bool_]
    draws: int
    seed: int

    def value(self, figure: Callable[[NDArray[np.int64]], float]) -> Value:
        """Return a figure of all patients with the percentile interval of its resamples."""
        n, rng = len(self.event), np.random.default_rng(self.seed)
        drawn = np.array([figure(rng.integers(0, n, n)) for _ in range(self.draws)])
        drawn = drawn[np.isfinite(drawn)]
        # An interval of a handful of resamples would only look like one.
        low, high = np.quantile(drawn, (0.025, 0.975)) if len(drawn) >= 40 else (np.nan, np.nan)
        return Value(figure(np.arange(n)), (float(low), float(high)))


def _seen(time: Floats, horizon: float) -> bool:
    """Say whether enough patients were followed beyond a horizon."""
    return int((time > horizon).sum()) >= AT_RISK


def _median_follow_up(time: Floats, event: NDArray[np.bool_]) -> float | None:
    """Reverse Kaplan-Meier (Schemper & Smith 1996, doi:10.1016/0197-2456(96)00075-X)."""
    curve = kaplan_meier(time, ~event)
    below = np.flatnonzero(curve.survival <= 0.5)
    return float(curve.times[below[0]]) if len(below) else None


def _slope(cohort: Cohort, given: Predictions) -> Value | None:
    if given.risks is None:
        return None
    if cohort.timed:
        return Value(*slope(cohort.time_years, cohort.event, given.score))
    return Value(*binary_slope(cohort.event, given.risks[0]))


def _at(boot: _Bootstrap, given: Predictions, k: int, timed: bool) -> AtHorizon:
    time, event, h = boot.time, boot.event, given.horizons[k]
    events, at_risk = int((event & (time <= h)).sum()), int((time > h).sum())
    auc = boot.value(lambda i: auc_at(time[i], event[i], given.score[i], h))
    if given.risks is None:
        return AtHorizon(h, events, at_risk, auc)
    risk = given.risks[k]

    def ipa(i: NDArray[np.int64]) -> float:
        """Index of prediction accuracy: 1 - Brier / Brier of one risk for all."""
        t, e = time[i], event[i]
        everybody = np.full(len(i), 1 - float(kaplan_meier(t, e).at(h)))
        return 1 - brier_at(t, e, risk[i], h) / brier_at(t, e, everybody, h)

    return AtHorizon(
        h,
        events,
        at_risk,
        auc,
        ratio=observed_over_expected(time, event, risk, h),
        brier=boot.value(lambda i: brier_at(time[i], event[i], risk[i], h)),
        ipa=boot.value(ipa),
        groups=groups(time, event, risk, h),
        smooth=smooth_curve(time, event, risk, h) if timed and np.ptp(risk) > 0 else None,
        net_benefit=tuple(
            (
                cut,
                net_benefit(time, event, risk, h, cut),
                net_benefit(time, event, np.ones(len(risk)), h, cut),
            )
            for cut in THRESHOLDS
        ),
    )


def _subgroups(
    cohort: Cohort, given: Predictions, options: tuple[int, int], time: Floats
) -> list[Subgroup]:
    out = []
    for name, members in _members(cohort):
        t, e, s = time[members], cohort.event[members], given.score[members]
        events, harrell, ratio = int(e.sum()), None, None
        if events >= SUBGROUP_EVENTS and events < len(e):
            boot = _Bootstrap(t, e, *options)
            harrell = boot.value(partial(_resampled_c, t, e, s))
            seen = [k for k, h in enumerate(given.horizons) if _seen(t, h)]
            if given.risks is not None and seen:
                k = seen[-1]
                risk = given.risks[k][members]
                ratio = observed_over_expected(t, e, risk, given.horizons[k])
        out.append(Subgroup(name, int(members.sum()), events, harrell, ratio))
    return out


def _resampled_c(
    time: Floats, event: NDArray[np.bool_], score: Floats, i: NDArray[np.int64]
) -> float:
    return harrell_c(time[i], event[i], score[i])


def _members(cohort: Cohort) -> Sequence[tuple[str, NDArray[np.bool_]]]:
    """Return groups by age, sex, diabetes, and the columns that say how the scan was made."""
    found: list[tuple[str, NDArray[np.bool_]]] = []
    age = cohort.inputs.get("age_years")
    if age is not None:
        found += [("age below 65", age < 65), ("age 65 or above", age >= 65)]
    for name in ("male", "diabetes"):
        if name in cohort.inputs:
            x = cohort.inputs[name]
            found += [(f"{name}: no", x == 0), (f"{name}: yes", x == 1)]
    for column, values in cohort.groups.items():
        if column == "sex" and "male" in cohort.inputs:
            continue
        of = np.array(values, object)
        found += [(f"{column}: {v or 'not known'}", of == v) for v in sorted(set(values))]
    return [(name, members) for name, members in found if members.any()]
