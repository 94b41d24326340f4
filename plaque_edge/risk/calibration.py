"""Do predicted risks come true? Observed over expected, slope, curve, integrated index.

``risk`` ``(n,)`` is the predicted probability by ``horizon``; the observed one is Kaplan-Meier's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.risk.regression import baseline, cox
from plaque_edge.risk.survival import Z95, kaplan_meier

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

Interval = tuple[float, float]
NAN_INTERVAL: Interval = (float("nan"), float("nan"))
KNOTS = (0.1, 0.5, 0.9)
"""Quantiles of the spline's knots (Harrell's three)."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """Observed and mean predicted risk by a horizon, and their ratio with a 95 % interval."""

    observed: float
    expected: float
    ratio: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Group:
    """One tenth (or fewer) of the patients by predicted risk."""

    patients: int
    expected: float
    observed: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Smooth:
    """Observed risk as a smooth function of the predicted one, at each patient's prediction.

    ``ici``, ``e50``, ``e90``: mean, median, 90th percentile of the absolute difference
    (Austin et al. 2020, doi:10.1002/sim.8570).
    """

    predicted: Floats
    observed: Floats
    ici: float
    e50: float
    e90: float


def observed_over_expected(time: Floats, event: Bools, risk: Floats, horizon: float) -> Ratio:
    """O/E by ``horizon``; the interval holds the error of the observed risk alone."""
    curve = kaplan_meier(time, event)
    observed, expected = 1 - float(curve.at(horizon)), float(risk.mean())
    if expected <= 0:  # a model may say 0 at a horizon before its first event
        return Ratio(observed, expected, float("nan"), NAN_INTERVAL)
    high, low = (1 - s for s in curve.interval(horizon))
    return Ratio(observed, expected, observed / expected, (low / expected, high / expected))


def slope(time: Floats, event: Bools, score: Floats) -> tuple[float, Interval]:
    """Calibration slope: the Cox coefficient of the linear predictor; 1 is right."""
    fit = cox(score[:, None], time, event)
    value, se = float(fit.coefficients[0]), float(np.sqrt(fit.covariance[0, 0]))
    return value, (value - Z95 * se, value + Z95 * se)


def binary_slope(event: Bools, risk: Floats) -> tuple[float, Interval]:
    """Calibration slope where only yes or no is known: logistic, on the logit of the risk."""
    x = np.log(np.clip(risk, 1e-9, 1 - 1e-9) / (1 - np.clip(risk, 1e-9, 1 - 1e-9)))
    z, beta = np.column_stack([np.ones(len(x)), x]), np.zeros(2)
    information = np.eye(2)
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(z @ beta, -30, 30)))
        information = (z * (p * (1 - p))[:, None]).T @ z
        step = np.linalg.lstsq(information, z.T @ (event - p), rcond=None)[0]
        beta += step
        if np.abs(step).max() < 1e-10:
            se = float(np.sqrt(np.linalg.inv(information)[1, 1]))
            return float(beta[1]), (float(beta[1] - Z95 * se), float(beta[1] + Z95 * se))
    return float("nan"), NAN_INTERVAL


def groups(time: Floats, event: Bools, risk: Floats, horizon: float) -> tuple[Group, ...]:
    """Tenths by predicted risk, fewer where events are few (about ten in each)."""
    number = int(np.clip(np.count_nonzero(event & (time <= horizon)) // 10, 2, 10))
    edges = np.unique(np.quantile(risk, np.arange(1, number) / number))
    of, out = np.searchsorted(edges, risk, "right"), []
    for g in np.unique(of):
        m = of == g
        curve = kaplan_meier(time[m], event[m])
        high, low = (1 - s for s in curve.interval(horizon))
        observed = 1 - float(curve.at(horizon))
        out.append(Group(int(m.sum()), float(risk[m].mean()), observed, (low, high)))
    return tuple(out)


def smooth_curve(time: Floats, event: Bools, risk: Floats, horizon: float) -> Smooth:
    """Cox regression on a natural cubic spline of ln(-ln(1 - risk)), predicted at ``horizon``."""
    x = np.log(-np.log1p(-np.clip(risk, 1e-9, 1 - 1e-9)))
    knots = np.unique(np.quantile(x, KNOTS))
    z = natural_spline(x, knots)
    z = z - z.mean(axis=0)
    fit = cox(z, time, event)
    hazard = baseline(fit, z, time, event, np.array([horizon])).hazard[0]
    observed = -np.expm1(-hazard * np.exp(z @ fit.coefficients))
    gap = np.abs(observed - risk)
    order = np.argsort(risk)
    e50, e90 = np.quantile(gap, (0.5, 0.9))
    return Smooth(risk[order], observed[order], float(gap.mean()), float(e50), float(e90))


def natural_spline(x: Floats, knots: Floats) -> Floats:
    """Harrell's restricted cubic spline ``(n, knots - 1)``: linear beyond the outer knots."""
    if len(knots) < 3:
        return x[:, None]
    last, before = knots[-1], knots[-2]
    scale = (last - knots[0]) ** 2

    def cube(at: float) -> Floats:
        return np.maximum(x - at, 0.0) ** 3

    columns = [x]
    for k in knots[:-2]:
        rise = (last - k) / (last - before)
        columns.append((cube(k) - rise * cube(before) + (rise - 1) * cube(last)) / scale)
    return np.column_stack(columns)
