"""A straight line through paired values, three ways: measured = slope x reference + intercept.

Least squares takes the reference as free of error, Deming gives both the same error, and
Passing-Bablok needs no distribution and is not moved by a few outliers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri, stdtrit

from plaque_edge.agreement.limits import Interval, pairs

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

NAN_INTERVAL: Interval = (float("nan"), float("nan"))


@dataclass(frozen=True, slots=True)
class Line:
    """Slope and intercept with 95 % intervals; all ``nan`` where no line is defined."""

    slope: float
    slope_interval: Interval
    intercept: float
    intercept_interval: Interval


NO_LINE = Line(float("nan"), NAN_INTERVAL, float("nan"), NAN_INTERVAL)


def least_squares(measured: ArrayLike, reference: ArrayLike) -> Line:
    """Ordinary least squares with the intervals of the t distribution."""
    y, x = pairs(measured, reference)
    n, dx = len(x), x - x.mean()
    xx = float(dx @ dx)
    if xx == 0.0:
        return NO_LINE
    slope = float(dx @ (y - y.mean())) / xx
    intercept = float(y.mean() - slope * x.mean())
    s2 = float(((y - slope * x - intercept) ** 2).sum()) / (n - 2)
    errors = np.sqrt(s2 / xx), np.sqrt(s2 * (1 / n + x.mean() ** 2 / xx))
    return _line((slope, intercept), (float(errors[0]), float(errors[1])), n)


def deming(measured: ArrayLike, reference: ArrayLike) -> Line:
    """Deming regression with equal errors in both; intervals by the jackknife.

    Linnet 1990, doi:10.1002/sim.4780091210.
    """
    y, x = pairs(measured, reference)
    n = len(x)
    whole = _deming(x, y)
    if not np.isfinite(whole).all():
        return NO_LINE
    keep = ~np.eye(n, dtype=bool)
    left_out = np.array([_deming(x[k], y[k]) for k in keep])
    pseudo = n * whole - (n - 1) * left_out
    errors = pseudo.std(axis=0, ddof=1) / np.sqrt(n)
    return _line((float(whole[0]), float(whole[1])), (float(errors[0]), float(errors[1])), n)


def _deming(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    dx, dy = x - x.mean(), y - y.mean()
    xx, yy, xy = float(dx @ dx), float(dy @ dy), float(dx @ dy)
    if xy == 0.0:
        return np.array([0.0, y.mean()]) if xx > yy else np.full(2, np.nan)
    slope = (yy - xx + np.hypot(yy - xx, 2 * xy)) / (2 * xy)
    return np.array([slope, y.mean() - slope * x.mean()])


def _line(values: tuple[float, float], errors: tuple[float, float], n: int) -> Line:
    t = float(stdtrit(n - 2, 0.975))
    (a, b), (ea, eb) = values, errors
    return Line(a, (a - t * ea, a + t * ea), b, (b - t * eb, b + t * eb))


def passing_bablok(measured: ArrayLike, reference: ArrayLike) -> Line:
    """Passing-Bablok regression (1983, doi:10.1515/cclm.1983.21.11.709).

    The slope is the shifted median of the slopes of all pairs of points. It has the interval
    that the paper gives, and so has the intercept. ``nan`` where the points don't rise together.
    """
    y, x = pairs(measured, reference)
    n = len(x)
    i, j = np.triu_indices(n, 1)
    dx, dy = x[j] - x[i], y[j] - y[i]
    known = (dx != 0) | (dy != 0)
    with np.errstate(divide="ignore"):
        slopes = np.sort(dy[known] / dx[known])
    slopes = slopes[slopes != -1.0]
    count, shift = len(slopes), int((slopes < -1.0).sum())
    half = float(ndtri(0.975)) * np.sqrt(n * (n - 1) * (2 * n + 5) / 18.0)
    if count == 0:
        return NO_LINE
    low = max(round((count - half) / 2.0), 1)
    first, last = low - 1 + shift, count - low + shift
    middle = ((count - 1) // 2 + shift, count // 2 + shift)
    if middle[1] >= count:
        return NO_LINE
    slope = float((slopes[middle[0]] + slopes[middle[1]]) / 2.0)
    if not np.isfinite(slope):
        return NO_LINE
    # Beyond the steepest slope there is no bound.
    bounds = tuple(float(slopes[k]) if k < count else float("inf") for k in (first, last))
    at = [float(np.median(y - b * x)) if np.isfinite(b) else float("nan") for b in bounds]
    return Line(slope, (bounds[0], bounds[1]), float(np.median(y - slope * x)), (at[1], at[0]))
