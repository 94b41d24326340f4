"""Fit the intervals on phantoms: shift and spread by likelihood, the factors by conformal scores.

Shift and spread are the maximum of the likelihood of Student's t (4 degrees of freedom, so that a
few wild volumes don't decide), with weights held back towards 0. The factor of a size class is a
quantile of abs(true root - measured root - shift) / spread, each taken by a fit that has not seen
the patient (cross-conformal prediction; Vovk 2015, doi:10.1007/s10472-013-9368-4; normalised
scores: Lei et al. 2018, doi:10.1080/01621459.2017.1307116; classes as in Vovk's Mondrian, each
with the weight of 20 patients from the others). So a wrong shift or spread makes intervals wider,
not wrong, for scans like the phantoms.

Vessels of one patient are no independent volumes: whole patients have weight 1, and the one to
come counts as one more (Dunn, Wasserman and Ramdas 2022, Distribution-free prediction sets for
two-layer hierarchical models). So the fewer patients, the wider.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
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
LEAST_ROWS, LEAST_PATIENTS, LEAST_CLASS = 25, 20, 40
"""Volumes and patients to fit a part on, and volumes in each of several size classes: 19 patients
are the fewest that have a 95 % quantile at all, and one is left out at a time."""
LENT = 20.0
"""So many patients' weight a class borrows from the others: a quantile of few scatters widely, and
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
    """Fit one part at one level; ``None`` from fewer than 25 volumes or 20 patients."""
    patients = np.array([s.patient for s in samples])
    if len(samples) < LEAST_ROWS or len(set(patients.tolist())) < LEAST_PATIENTS:
        return None
    folds = folds_of(patients.tolist())
    apart = [
        _fit([s for s, f in zip(samples, folds, strict=True) if f != fold]) for fold in range(FOLDS)
    ]
    unseen = [apart[fold] for fold in folds]
    scores = np.array([score(m, s) for m, s in zip(unseen, samples, strict=True)])
    whole = _fit(samples)
    edges = _edges(np.array([s.measured_mm3 for s in samples]))
    classes = _classes(edges, samples, scores)
    held = np.zeros(len(samples), bool)
    for patient in set(patients.tolist()):
        mine = patients == patient
        rest = [s for s, own in zip(samples, mine, strict=True) if not own]
        without = _classes(edges, rest, scores[~mine])
        for i in np.flatnonzero(mine).tolist():
            low, high = replace(unseen[i], classes=without).interval(
                samples[i].measured_mm3, samples[i].values
            )
            held[i] = low <= samples[i].true_mm3 <= high
    return replace(whole, classes=_with_held(classes, samples, held))


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

    With weights of 1 that is the ceil(0.95 (n + 1))-th smallest. Raises ``ValueError`` when the
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


def _edges(sizes_mm3: NDArray[np.float64]) -> list[float]:
    return [-math.inf, *borders_of(sizes_mm3), math.inf]


def _classes(
    edges: Sequence[float], samples: Sequence[Sample], scores: NDArray[np.float64]
) -> tuple[SizeClass, ...]:
    """Return the size classes between ``edges``, each patient in it with a weight of 1."""
    sizes = np.array([s.measured_mm3 for s in samples])
    patients = np.unique([s.patient for s in samples], return_inverse=True)[1]
    out = []
    for low, high in pairwise(edges):
        mine = (sizes >= low) & (sizes < high)
        own, others = _patient_weights(patients, mine), _patient_weights(patients, ~mine)
        lent = min(LENT / max(float(others.sum()), 1.0), 1.0)
        factor = conformal_factor(scores, own + lent * others)
        out.append(SizeClass(float(high), factor, int(mine.sum()), round(float(own.sum()))))
    return tuple(out)


def _patient_weights(patients: NDArray[np.int64], mine: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share 1 among the marked volumes of each patient."""
    count = np.bincount(patients[mine], minlength=int(patients.max()) + 1)
    return np.asarray(np.where(mine, 1.0 / np.maximum(count[patients], 1), 0.0))


def _with_held(
    classes: Sequence[SizeClass], samples: Sequence[Sample], held: NDArray[np.bool_]
) -> tuple[SizeClass, ...]:
    below = np.array([c.below_mm3 for c in classes])
    of = np.searchsorted(below, [s.measured_mm3 for s in samples], side="right")
    return tuple(replace(c, held=int(held[of == k].sum())) for k, c in enumerate(classes))


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
