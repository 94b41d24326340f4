"""Fit the intervals on phantoms: shift and spread by likelihood, the factors by conformal scores.

Shift and spread are the maximum of the likelihood of Student's t (4 degrees of freedom, so that a
few wild volumes don't decide), with weights held back towards 0. The factor of a size class is a
quantile of abs(true root - measured root - shift) / spread, each taken by a fit that has not seen
the patient (cross-conformal prediction; Vovk 2015, doi:10.1007/s10472-013-9368-4; normalised
scores: Lei et al. 2018, doi:10.1080/01621459.2017.1307116; classes as in Vovk's Mondrian, each
with the weight of 40 scores from the others). So a wrong shift or spread makes intervals wider,
not wrong, for scans like the phantoms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize

from plaque_edge.quantify.intervals import (
    COVERAGE,
    LEAST_LOG_SPREAD,
    SHIFTED_BY,
    SPREAD_BY,
    WIDER_WITH,
    Feature,
    PartModel,
    SizeClass,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plaque_edge.quantify.intervals import Values

FOLDS = 5
LEAST_ROWS, LEAST_CLASS = 25, 40
"""Volumes to fit a part on, and in each of several size classes: 19 are the fewest that have a
95 % quantile at all."""
LENT = 40.0
"""So many scores' weight a class borrows from the others: a quantile of few scatters widely, and
the spread has already taken most of the size's effect out of them."""
NEAR_ZERO_MM3 = 1.0
FREEDOM = 4.0
HELD_BACK = 0.3
"""Prior SD of a weight: of the spread's logarithm; times the residuals' spread for the shift."""
_WORSE_THAN = 0.9
"""Quantile of the known values that stands in for one not known."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured volume with its truth; ``patient`` keeps what belongs together together."""

    patient: str
    measured_mm3: float
    true_mm3: float
    values: Values


def fit_part(samples: Sequence[Sample]) -> PartModel | None:
    """Fit one part at one level; ``None`` from fewer than 25 volumes or 5 patients."""
    folds = folds_of([s.patient for s in samples])
    if len(samples) < LEAST_ROWS or len(set(folds.tolist())) < FOLDS:
        return None
    scores = np.zeros(len(samples))
    for fold in range(FOLDS):
        rest = [s for s, f in zip(samples, folds, strict=True) if f != fold]
        model = _fit(rest)
        for i in np.flatnonzero(folds == fold).tolist():
            scores[i] = score(model, samples[i])
    whole = _fit(samples)
    sizes = np.array([s.measured_mm3 for s in samples])
    classes = _classes(sizes, scores)
    return PartModel(whole.features, whole.shift, whole.log_spread, classes)


def folds_of(patients: Sequence[str]) -> NDArray[np.int64]:
    """Deal the patients out to folds, all volumes of one to the same; always the same way."""
    names = sorted(set(patients))
    order = np.random.default_rng(0).permutation(len(names))
    fold = {name: int(order[i]) % FOLDS for i, name in enumerate(names)}
    return np.array([fold[p] for p in patients], np.int64)


def score(model: PartModel, sample: Sample) -> float:
    """How many spreads the true root lies from where the model puts it."""
    shift, spread = model.shift_and_spread(sample.values)
    return abs(math.sqrt(sample.true_mm3) - math.sqrt(sample.measured_mm3) - shift) / spread


def conformal_factor(
    scores: NDArray[np.float64], weights: NDArray[np.float64] | None = None
) -> float:
    """Return the smallest score that 95 % of all weight lies at or below, one more score's too.

    With equal weights that is the ceil(0.95 (n + 1))-th smallest. Raises ``ValueError`` when the
    weights add up to less than 19, which have no 95 % quantile.
    """
    weight = np.ones(len(scores)) if weights is None else weights
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(weight[order])
    wanted = COVERAGE * (float(weight.sum()) + 1.0) - 1e-9
    if not reached.size or reached[-1] < wanted:
        raise ValueError("a 95 % quantile needs 19 scores or more")
    return float(scores[order][np.searchsorted(reached, wanted)])


def borders_of(sizes_mm3: NDArray[np.float64]) -> list[float]:
    """Borders between size classes: near zero, then thirds; classes too small are merged."""
    some = sizes_mm3[sizes_mm3 >= NEAR_ZERO_MM3]
    thirds = np.quantile(some, [1 / 3, 2 / 3]).tolist() if some.size else []
    borders = [NEAR_ZERO_MM3, *(float(f"{x:.2g}") for x in thirds)]
    borders = sorted({b for b in borders if b > sizes_mm3.min()})
    while borders:
        counts = np.histogram(sizes_mm3, [-np.inf, *borders, np.inf])[0]
        least = int(np.argmin(counts))
        if counts[least] >= LEAST_CLASS:
            break
        left, right = least - 1, least
        if left < 0 or (right < len(borders) and counts[least + 1] < counts[least - 1]):
            borders.pop(right)
        else:
            borders.pop(left)
    return borders


def _classes(sizes: NDArray[np.float64], scores: NDArray[np.float64]) -> tuple[SizeClass, ...]:
    edges = [-np.inf, *borders_of(sizes), np.inf]
    out = []
    for low, high in pairwise(edges):
        mine = (sizes >= low) & (sizes < high)
        lent = min(LENT / max(int((~mine).sum()), 1), 1.0)
        factor = conformal_factor(scores, np.where(mine, 1.0, lent))
        out.append(SizeClass(float(high), factor, int(mine.sum())))
    return tuple(out)


def _fit(samples: Sequence[Sample]) -> PartModel:
    names = dict.fromkeys((*SHIFTED_BY, *SPREAD_BY))
    features = {n: _feature([s.values[n] for s in samples]) for n in names}
    x = {n: np.array([features[n].standard(s.values[n]) for s in samples]) for n in names}
    one = np.ones(len(samples))
    a = np.stack([one, *(x[n] for n in SHIFTED_BY)], axis=1)
    b = np.stack([one, *(x[n] for n in SPREAD_BY)], axis=1)
    truth = np.sqrt([s.true_mm3 for s in samples])
    residual = truth - np.sqrt([s.measured_mm3 for s in samples])
    weights = maximise(a, b, residual)
    shift = dict(zip(("one", *SHIFTED_BY), weights[: a.shape[1]].tolist(), strict=True))
    spread = dict(zip(("one", *SPREAD_BY), weights[a.shape[1] :].tolist(), strict=True))
    return PartModel(features, shift, spread, ())


def _feature(values: Sequence[float | None]) -> Feature:
    """Scale a feature by what was seen of it; half the range beyond the highest still counts."""
    known = np.array([v for v in values if v is not None], float)
    if known.size == 0:
        return Feature(0.0, 1.0, 0.0, 0.0, 0.0)
    low, high = float(known.min()), float(known.max())
    width = float(known.std()) or 1.0
    unknown = float(np.quantile(known, _WORSE_THAN))
    return Feature(float(known.mean()), width, low, high + 0.5 * (high - low), unknown)


def maximise(
    a: NDArray[np.float64], b: NDArray[np.float64], residual: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weights of shift ``a @ w`` and of the spread's logarithm ``b @ w``, most likely together.

    ``a`` ``(n, 3)`` and ``b`` ``(n, 13)`` have the columns of :data:`SHIFTED_BY` and
    :data:`SPREAD_BY` after one of ones; ``residual`` ``(n,)`` is true less measured root.
    """
    middle = float(np.median(residual))
    rough = max(1.4826 * float(np.median(np.abs(residual - middle))), 0.1)
    start = np.zeros(a.shape[1] + b.shape[1])
    start[0], start[a.shape[1]] = middle, math.log(rough)
    free = [(None, None)] * (a.shape[1] + 1)
    bounds = [*free, *((0.0 if n in WIDER_WITH else None, None) for n in SPREAD_BY)]
    held = np.full(len(start), 1.0 / HELD_BACK**2)
    held[: a.shape[1]] /= rough**2
    held[[0, a.shape[1]]] = 0.0
    found = minimize(
        unlikelihood, start, (a, b, residual, held), method="L-BFGS-B", jac=True, bounds=bounds
    )
    return np.asarray(found.x, np.float64)


def unlikelihood(
    w: NDArray[np.float64],
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    residual: NDArray[np.float64],
    held: NDArray[np.float64],
) -> tuple[float, NDArray[np.float64]]:
    """Negative logarithm of the likelihood and the prior, with its slope."""
    raw = b @ w[a.shape[1] :]
    log_spread = np.maximum(raw, LEAST_LOG_SPREAD)
    spread = np.exp(log_spread)
    z = (residual - a @ w[: a.shape[1]]) / spread
    value = (log_spread + 0.5 * (FREEDOM + 1) * np.log1p(z**2 / FREEDOM)).sum()
    pull = (FREEDOM + 1) * z / (FREEDOM + z**2)
    on_spread = np.where(raw > LEAST_LOG_SPREAD, 1.0 - pull * z, 0.0)
    slope = np.concatenate([-a.T @ (pull / spread), b.T @ on_spread])
    return float(value + 0.5 * (held * w**2).sum()), slope + held * w
