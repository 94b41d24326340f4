"""The healthy vessel that a narrowed one is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import isotonic_regression

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEALTHY_MM = 5.0
"""Least healthy length for a fit; below it the reference is a high percentile."""
REACH_MM = 15.0
"""Half width of the local fit."""
FEW_PERCENTILE = 90.0
ROBUST_ROUNDS = 3


def _local_line(
    s: NDArray[np.float64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    trust: NDArray[np.float64],
    nearest: int,
) -> NDArray[np.float64]:
    """Weighted local lines through (x, y), evaluated at ``s`` (tricube weights)."""
    distance = np.abs(s[:, None] - x[None, :])
    width = np.maximum(REACH_MM, 1.2 * np.sort(distance, axis=1)[:, nearest - 1])[:, None]
    w = np.clip(1.0 - (distance / width) ** 3, 0.0, None) ** 3 * trust[None, :] + 1e-12
    total = w.sum(axis=1)
    mx, my = (w @ x) / total, (w @ y) / total
    dx = x[None, :] - mx[:, None]
    spread = (w * dx * dx).sum(axis=1)
    slope = (w * dx * (y[None, :] - my[:, None])).sum(axis=1) / np.maximum(spread, 1e-9)
    # A healthy artery does not widen away from the ostium.
    line: NDArray[np.float64] = my + np.minimum(slope, 0.0) * (s - mx)
    return line


def healthy_diameter(
    diameter_mm: NDArray[np.float64],
    healthy: NDArray[np.bool_],
    usable: NDArray[np.bool_],
    step_mm: float,
) -> NDArray[np.float64] | None:
    """Diameter the branch would have without disease, ``(n,)`` mm, never growing distally.

    A robust local line (LOESS with bisquare weights, Cleveland 1979,
    doi:10.1080/01621459.1979.10481038) through the ``healthy`` cross-sections, made
    monotone by isotonic regression. With less than :data:`HEALTHY_MM` of healthy vessel the
    90th percentile of the ``usable`` ones; ``None`` without any of these.
    """
    if not usable.any():
        return None
    fit_on = healthy & usable
    if fit_on.sum() * step_mm < HEALTHY_MM:
        high = float(np.percentile(diameter_mm[usable], FEW_PERCENTILE))
        return np.full(diameter_mm.shape, high)
    s = np.arange(len(diameter_mm), dtype=np.float64) * step_mm
    x, y = s[fit_on], diameter_mm[fit_on]
    nearest = min(len(x), max(int(2 * HEALTHY_MM / step_mm), 2))
    trust = np.ones(len(x))
    for _ in range(ROBUST_ROUNDS):
        residual = y - _local_line(x, x, y, trust, nearest)
        scale = max(6.0 * float(np.median(np.abs(residual))), 1e-3)
        trust = np.clip(1.0 - (residual / scale) ** 2, 0.0, None) ** 2
    fit = _local_line(s, x, y, trust, nearest)
    return np.asarray(isotonic_regression(fit, increasing=False).x, np.float64)
