"""Agreement between measured and true values: bias, limits, slope, ICC. Pure numpy in, numbers out.

ICC(A,1) is the absolute agreement of single measures (McGraw & Wong 1996,
doi:10.1037/1082-989X.1.1.30). Its point estimate equals ICC(2,1) of Shrout & Fleiss 1979
(doi:10.1037/0033-2909.86.2.420): one number carries both names.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import fdtri

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class Icc:
    """ICC(A,1) with its confidence interval; ``nan`` where it is not defined."""

    value: float
    lower: float
    upper: float
    subjects: int
    raters: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far a measurement agrees with the truth, in the unit of the input.

    ``bias`` is mean(measured - truth); the limits of agreement are bias -+ 1.96 SD (Bland &
    Altman 1986, doi:10.1016/S0140-6736(86)90837-8), each with a 95 % half width
    ``loa_halfwidth``. ``slope`` and ``intercept`` are of measured = slope * truth +
    intercept by least squares, both ``nan`` where the truth does not vary.
    """

    n: int
    icc_a1: float
    icc_a1_lower: float
    icc_a1_upper: float
    bias: float
    sd: float
    loa_lower: float
    loa_upper: float
    loa_halfwidth: float
    slope: float
    intercept: float
    pearson_r: float
    mean_absolute_error: float
    median_absolute_error: float

    def as_dict(self) -> dict[str, float]:
        """All fields by name, for JSON and tables."""
        return {k: float(v) for k, v in asdict(self).items()}


def icc_a1(ratings: ArrayLike, confidence: float = 0.95) -> Icc:
    """ICC(A,1) of ``ratings`` ``(n subjects, k raters)``, two-way random, absolute agreement.

    The interval follows McGraw & Wong (1996), table 7. Fewer than 3 subjects, or no
    variation at all, gives ``nan``.
    """
    x = np.asarray(ratings, np.float64)
    if x.ndim != 2 or x.shape[1] < 2 or not np.isfinite(x).all():
        raise ValueError("ratings must be finite, one row per subject, two raters or more")
    n, k = x.shape
    if n < 3 or np.ptp(x) == 0:
        return Icc(float("nan"), float("nan"), float("nan"), n, k)
    rows, columns, error = _mean_squares(x)
    value = (rows - error) / (rows + (k - 1) * error + k / n * (columns - error))
    lower, upper = _icc_interval(value, (rows, columns, error), (n, k), confidence)
    return Icc(float(value), lower, upper, n, k)


def _mean_squares(x: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean squares between subjects, between raters and of the rest."""
    n, k = x.shape
    grand = x.mean()
    row, column = x.mean(axis=1), x.mean(axis=0)
    rest = x - row[:, None] - column[None, :] + grand
    return (
        float(k * ((row - grand) ** 2).sum() / (n - 1)),
        float(n * ((column - grand) ** 2).sum() / (k - 1)),
        float((rest**2).sum() / ((n - 1) * (k - 1))),
    )


def _icc_interval(
    value: float,
    squares: tuple[float, float, float],
    size: tuple[int, int],
    confidence: float,
) -> tuple[float, float]:
    rows, columns, error = squares
    n, k = size
    if value >= 1.0 - 1e-12:
        return 1.0, 1.0
    a = k * value / (n * (1.0 - value))
    b = 1.0 + k * value * (n - 1) / (n * (1.0 - value))
    spread = (a * columns) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1))
    v = (a * columns + b * error) ** 2 / spread
    p = 0.5 + confidence / 2.0
    f_low = float(fdtri(n - 1, v, p))
    f_up = float(fdtri(v, n - 1, p))
    rest = k * columns + (k * n - k - n) * error
    lower = n * (rows - f_low * error) / (f_low * rest + n * rows)
    upper = n * (f_up * rows - error) / (rest + n * f_up * rows)
    return float(lower), float(upper)


def agreement(measured: ArrayLike, truth: ArrayLike) -> Agreement:
    """All agreement figures of paired values ``(n,)``.

    Pairs in which either value is not finite (not measured) must be taken out and counted
    by the caller: they are never zero. Fewer than 3 pairs raise ``ValueError``.
    """
    m, t = np.asarray(measured, np.float64), np.asarray(truth, np.float64)
    if m.shape != t.shape or m.ndim != 1 or len(m) < 3:
        raise ValueError("agreement needs two equally long lists of 3 values or more")
    icc = icc_a1(np.stack([m, t], axis=1))
    difference = m - t
    bias, sd = float(difference.mean()), float(difference.std(ddof=1))
    slope, intercept, r = _line(t, m)
    return Agreement(
        n=len(m),
        icc_a1=icc.value,
        icc_a1_lower=icc.lower,
        icc_a1_upper=icc.upper,
        bias=bias,
        sd=sd,
        loa_lower=bias - 1.96 * sd,
        loa_upper=bias + 1.96 * sd,
        loa_halfwidth=1.96 * sd * float(np.sqrt(3.0 / len(m))),
        slope=slope,
        intercept=intercept,
        pearson_r=r,
        mean_absolute_error=float(np.abs(difference).mean()),
        median_absolute_error=float(np.median(np.abs(difference))),
    )


def _line(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float, float]:
    """Slope, intercept and correlation of y on x."""
    dx, dy = x - x.mean(), y - y.mean()
    xx, yy, xy = float(dx @ dx), float(dy @ dy), float(dx @ dy)
    if xx == 0.0:
        return float("nan"), float("nan"), float("nan")
    slope = xy / xx
    r = xy / float(np.sqrt(xx * yy)) if yy > 0 else float("nan")
    return slope, float(y.mean() - slope * x.mean()), r
