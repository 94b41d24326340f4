"""Bland-Altman limits of agreement, in the unit of the input and in percent.

Bland & Altman 1986, doi:10.1016/S0140-6736(86)90837-8. Every limit carries its own exact
interval (Carkeet 2015, doi:10.1097/OPX.0000000000000513): with few patients the limits are
far less certain than they look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import nctdtrit, stdtr, stdtrit

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Z = 1.96
"""The multiple of the SD that Bland & Altman use, 95 % of a normal distribution."""
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Limits:
    """Mean difference (measured - reference) and limits of agreement, each with a 95 % interval.

    ``trend`` is the slope of the difference on the mean of both, ``trend_p`` its p value: where
    it is small, the limits depend on the size and one pair of limits does not describe them.
    ``left_out`` counts pairs without a percentage, since both values are zero.
    """

    n: int
    left_out: int
    bias: float
    bias_interval: Interval
    sd: float
    lower: float
    lower_interval: Interval
    upper: float
    upper_interval: Interval
    trend: float
    trend_p: float


def limits_of_agreement(measured: ArrayLike, reference: ArrayLike) -> Limits:
    """Limits of agreement of paired values ``(n,)``, n >= 3. Raises ValueError otherwise."""
    m, r = pairs(measured, reference)
    return _limits(m - r, (m + r) / 2, 0)


def percent_limits(measured: ArrayLike, reference: ArrayLike) -> Limits | None:
    """Limits of ``100 (measured - reference) / mean of both``.

    Pairs whose mean is not above zero have no percentage: they are left out and counted.
    ``None`` where fewer than 3 pairs remain.
    """
    m, r = pairs(measured, reference)
    mean = (m + r) / 2
    usable = mean > 0
    if usable.sum() < 3:
        return None
    m, r, mean = m[usable], r[usable], mean[usable]
    return _limits(100 * (m - r) / mean, mean, int((~usable).sum()))


def pairs(
    measured: ArrayLike, reference: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both lists as arrays. Raises ValueError unless finite, equally long, 3 values or more."""
    m, r = np.asarray(measured, np.float64), np.asarray(reference, np.float64)
    if m.shape != r.shape or m.ndim != 1 or len(m) < 3:
        raise ValueError("agreement needs two equally long lists of 3 values or more")
    if not (np.isfinite(m).all() and np.isfinite(r).all()):
        raise ValueError("agreement needs finite values: take out what was not measured")
    return m, r


def _limits(difference: NDArray[np.float64], mean: NDArray[np.float64], left_out: int) -> Limits:
    n = len(difference)
    bias, sd = float(difference.mean()), float(difference.std(ddof=1))
    half = float(stdtrit(n - 1, 0.975)) * sd / np.sqrt(n)
    # (bias + Z sigma - estimate) sqrt(n) / sd follows a noncentral t distribution.
    near, far = (
        float(nctdtrit(n - 1, Z * np.sqrt(n), p)) * sd / np.sqrt(n) if sd > 0 else 0.0
        for p in (0.025, 0.975)
    )
    trend, p_value = _trend(mean, difference)
    return Limits(
        n=n,
        left_out=left_out,
        bias=bias,
        bias_interval=(bias - half, bias + half),
        sd=sd,
        lower=bias - Z * sd,
        lower_interval=(bias - far, bias - near),
        upper=bias + Z * sd,
        upper_interval=(bias + near, bias + far),
        trend=trend,
        trend_p=p_value,
    )


def _trend(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Slope of y on x and its p value; ``nan`` where either does not vary."""
    n = len(x)
    dx, dy = x - x.mean(), y - y.mean()
    xx = float(dx @ dx)
    if xx == 0.0 or not dy.any():
        return float("nan"), float("nan")
    slope = float(dx @ dy) / xx
    rest = float(((dy - slope * dx) ** 2).sum()) / (n - 2)
    if rest <= 0.0:
        return slope, 0.0
    return slope, float(2 * stdtr(n - 2, -abs(slope) / np.sqrt(rest / xx)))
