"""A share, a mean, a percentile: each with its 95 % interval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DRAWS = 2000
Figure = dict[str, Any]


def share(hits: Sequence[bool]) -> Figure:
    """Share of hits with Wilson's interval (1927, doi:10.1080/01621459.1927.10502953)."""
    n, z = len(hits), 1.96
    if n == 0:
        return {"value": None, "interval": None, "n": 0}
    p = sum(hits) / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return {"value": p, "interval": [max(0.0, middle - half), min(1.0, middle + half)], "n": n}


def mean(values: Sequence[float | None]) -> Figure:
    """Mean of what is known, with a bootstrap interval."""
    return bootstrapped([v for v in values if v is not None], lambda x: float(x.mean()))


def spread(values: Sequence[float]) -> Figure:
    """Median and most."""
    return {"median": float(np.median(values)), "most": max(values)}


def bootstrapped(values: Sequence[float], statistic: Callable[[Any], float]) -> Figure:
    """Return a statistic with its percentile bootstrap interval; the draws are always the same."""
    x = np.asarray(values, float)
    if len(x) == 0:
        return {"value": None, "interval": None, "n": 0}
    rng = np.random.default_rng(0)
    drawn = [statistic(x[rng.integers(len(x), size=len(x))]) for _ in range(DRAWS)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return {"value": statistic(x), "interval": [float(low), float(high)], "n": len(x)}
