"""Repeatability: the same patient measured twice, with nothing changed in between.

Bland & Altman 1996, doi:10.1136/bmj.313.7059.744; QIBA, Raunig et al. 2015,
doi:10.1177/0962280214537344.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtri

from plaque_edge.agreement.limits import Interval, pairs

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True)
class Repeatability:
    """How well a measurement repeats; ``None`` where fewer than 3 pairs have a percentage.

    ``coefficient`` = 1.96 sqrt(2) ``within_sd``: two measurements of an unchanged patient differ
    by more than this in 5 % of cases. ``cv_percent`` is the root mean square of the within-pair
    SD over the pair's mean, from the ``cv_n`` pairs whose mean is above zero.
    """

    n: int
    within_sd: float
    within_sd_interval: Interval
    coefficient: float
    coefficient_interval: Interval
    cv_n: int
    cv_percent: float | None
    cv_percent_interval: Interval | None


def repeatability(first: ArrayLike, second: ArrayLike) -> Repeatability:
    """Repeatability of pairs ``(n,)``, n >= 3. Raises ValueError otherwise."""
    a, b = pairs(first, second)
    n, squares = len(a), (a - b) ** 2 / 2
    sd = float(np.sqrt(squares.mean()))
    interval = _interval(sd, n)
    factor = 1.96 * np.sqrt(2.0)
    mean = (a + b) / 2
    usable = mean > 0
    count = int(usable.sum())
    cv = 100 * float(np.sqrt((squares[usable] / mean[usable] ** 2).mean())) if count >= 3 else None
    return Repeatability(
        n=n,
        within_sd=sd,
        within_sd_interval=interval,
        coefficient=factor * sd,
        coefficient_interval=(factor * interval[0], factor * interval[1]),
        cv_n=count,
        cv_percent=cv,
        cv_percent_interval=None if cv is None else _interval(cv, count),
    )


def _interval(sd: float, n: int) -> Interval:
    """95 % interval of a root mean square from ``n`` pairs, one degree of freedom each."""
    low, high = (sd * float(np.sqrt(n / chdtri(n, p))) for p in (0.025, 0.975))
    return low, high
