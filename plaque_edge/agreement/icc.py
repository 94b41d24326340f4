"""ICC(A,1): absolute agreement of single measures, two-way random effects.

McGraw & Wong 1996, doi:10.1037/1082-989X.1.1.30. Its point estimate equals ICC(2,1) of
Shrout & Fleiss 1979, doi:10.1037/0033-2909.86.2.420: one number carries both names.
"""

from __future__ import annotations

from dataclasses import dataclass
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


def icc_a1(ratings: ArrayLike, confidence: float = 0.95) -> Icc:
    """ICC(A,1) of ``ratings`` ``(n subjects, k raters)``.

    The interval follows McGraw & Wong (1996), table 7. Fewer than 3 subjects, or no
    variation at all, gives ``nan``. Raises ValueError for other shapes or values that are
    not finite.
    """
    x = np.asarray(ratings, np.float64)
    if x.ndim != 2 or x.shape[1] < 2 or not np.isfinite(x).all():
        raise ValueError("ratings must be finite, one row per subject, two raters or more")
    n, k = x.shape
    if n < 3 or np.ptp(x) == 0:
        return Icc(float("nan"), float("nan"), float("nan"), n, k)
    rows, columns, error = _mean_squares(x)
    value = (rows - error) / (rows + (k - 1) * error + k / n * (columns - error))
    lower, upper = _interval(value, (rows, columns, error), (n, k), confidence)
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


def _interval(
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
    if spread == 0.0:
        return float("nan"), float("nan")
    v = (a * columns + b * error) ** 2 / spread
    p = 0.5 + confidence / 2.0
    f_low = float(fdtri(n - 1, v, p))
    f_up = float(fdtri(v, n - 1, p))
    rest = k * columns + (k * n - k - n) * error
    lower = n * (rows - f_low * error) / (f_low * rest + n * rows)
    upper = n * (f_up * rows - error) / (rest + n * f_up * rows)
    return float(lower), float(upper)
