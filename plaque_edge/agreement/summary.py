"""Everything that is said of one measurement against one reference."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtri

from plaque_edge.agreement.icc import Icc, icc_a1
from plaque_edge.agreement.limits import (
    Interval,
    Limits,
    limits_of_agreement,
    pairs,
    percent_limits,
)
from plaque_edge.agreement.lines import Line, deming, least_squares, passing_bablok

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True)
class Correlation:
    """Pearson's r with Fisher's 95 % interval; ``nan`` where either list does not vary."""

    r: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far a measurement agrees with the reference, in the unit of the input."""

    n: int
    icc: Icc
    absolute: Limits
    percent: Limits | None
    correlation: Correlation
    least_squares: Line
    deming: Line
    passing_bablok: Line
    mean_absolute_error: float
    median_absolute_error: float

    def as_dict(self) -> dict[str, Any]:
        """All figures by name for JSON and tables; ``None`` where one is not defined."""
        low, high = self.absolute.lower_interval
        data: dict[str, Any] = {
            "n": self.n,
            "icc_a1": self.icc.value,
            "icc_a1_lower": self.icc.lower,
            "icc_a1_upper": self.icc.upper,
            "bias": self.absolute.bias,
            "bias_interval": self.absolute.bias_interval,
            "sd": self.absolute.sd,
            "loa_lower": self.absolute.lower,
            "loa_lower_interval": (low, high),
            "loa_upper": self.absolute.upper,
            "loa_upper_interval": self.absolute.upper_interval,
            "trend": self.absolute.trend,
            "trend_p": self.absolute.trend_p,
            "percent": None if self.percent is None else asdict(self.percent),
            "slope": self.least_squares.slope,
            "slope_interval": self.least_squares.slope_interval,
            "intercept": self.least_squares.intercept,
            "intercept_interval": self.least_squares.intercept_interval,
            "deming": asdict(self.deming),
            "passing_bablok": asdict(self.passing_bablok),
            "pearson_r": self.correlation.r,
            "pearson_r_interval": self.correlation.interval,
            "mean_absolute_error": self.mean_absolute_error,
            "median_absolute_error": self.median_absolute_error,
        }
        named: dict[str, Any] = known(data)
        return named


def known(value: Any) -> Any:
    """Return the same with ``None`` for numbers that are not finite, lists for tuples."""
    if isinstance(value, dict):
        return {k: known(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [known(v) for v in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return value


def agreement(measured: ArrayLike, reference: ArrayLike) -> Agreement:
    """All agreement figures of paired values ``(n,)``.

    Pairs in which either value is not finite (not measured) must be taken out and counted
    by the caller: they are never zero. They and fewer than 3 pairs raise ``ValueError``.
    """
    m, r = pairs(measured, reference)
    error = np.abs(m - r)
    return Agreement(
        n=len(m),
        icc=icc_a1(np.stack([m, r], axis=1)),
        absolute=limits_of_agreement(m, r),
        percent=percent_limits(m, r),
        correlation=correlation(m, r),
        least_squares=least_squares(m, r),
        deming=deming(m, r),
        passing_bablok=passing_bablok(m, r),
        mean_absolute_error=float(error.mean()),
        median_absolute_error=float(np.median(error)),
    )


def correlation(measured: ArrayLike, reference: ArrayLike) -> Correlation:
    """Pearson's correlation of paired values ``(n,)``."""
    m, r = pairs(measured, reference)
    dm, dr = m - m.mean(), r - r.mean()
    size = float(np.sqrt((dm @ dm) * (dr @ dr)))
    if size == 0.0:
        return Correlation(float("nan"), (float("nan"), float("nan")))
    value = float(np.clip(dm @ dr / size, -1.0, 1.0))
    if len(m) < 4 or abs(value) == 1.0:
        edge = value if abs(value) == 1.0 else float("nan")
        return Correlation(value, (edge, edge))
    half = float(ndtri(0.975)) / np.sqrt(len(m) - 3)
    z = np.arctanh(value)
    return Correlation(value, (float(np.tanh(z - half)), float(np.tanh(z + half))))
