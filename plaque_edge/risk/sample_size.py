"""What a table is large enough for, and what no table can tell.

The ladder follows the number of events: few events move a baseline, many a slope, and only a
hundred or more, 20 per term, carry new coefficients (van der Ploeg et al. 2014,
doi:10.1186/1471-2288-14-137: regression is stable from 20 to 50 events per variable).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.errors import Refused
from plaque_edge.risk.regression import cox, unstable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plaque_edge.risk.cohort import Cohort
    from plaque_edge.risk.cox import Term

BASELINE_EVENTS = 50
SLOPE_EVENTS = 100
REFIT_EVENTS = 100
EVENTS_PER_TERM = 20
EVALUATE_EVENTS = 5
"""Below this not even an interval means anything; below 100 the report says so."""
MOST_INCOMPLETE = 0.5
WIDEST_SE = 3.0
"""Largest standard error of a coefficient per SD of its term: a hazard ratio known to 1:350."""


def too_few(events: int, wanted: int, what: str, instead: str) -> Refused:
    """Return the refusal of a table with too few events."""
    text = f"{events} events are too few to {what}: {wanted} are needed."
    return Refused("RISK_EVENTS_TOO_FEW", text, instead)


def require_refit(events: int, terms: int) -> None:
    """Refuse a fit of ``terms`` coefficients on too few events."""
    wanted = max(REFIT_EVENTS, EVENTS_PER_TERM * terms)
    if events < wanted:
        if events >= SLOPE_EVENTS:
            instead = "Use fewer terms, or 'risk recalibrate' on an existing model."
        elif events >= BASELINE_EVENTS:
            instead = "Use 'risk recalibrate' on an existing model."
        else:
            instead = "Keep the existing model, and collect more follow-up."
        raise too_few(events, wanted, f"fit {terms} coefficients", instead)


def complete(cohort: Cohort, terms: Sequence[Term]) -> tuple[Cohort, dict[str, int]]:
    """Return patients with all inputs, and how many lack each one.

    Raises Refused RISK_TABLE_INCOMPLETE where more than half would be left out.
    """
    gaps = {name: np.isnan(x) for name, x in cohort.inputs.items() if any_uses(terms, name)}
    keep = ~np.any(list(gaps.values()), axis=0) if gaps else np.ones(len(cohort), bool)
    missing = {name: int(gap.sum()) for name, gap in gaps.items() if gap.any()}
    if keep.mean() < 1 - MOST_INCOMPLETE:
        worst = max(missing, key=lambda name: missing[name])
        raise Refused(
            "RISK_TABLE_INCOMPLETE",
            f"Only {keep.sum()} of {len(cohort)} patients have every input of the model; "
            f"{worst} is missing most often ({missing[worst]} times).",
            f"Fill the gaps, or leave {worst} out of the terms.",
        )
    return cohort.take(keep), missing


def any_uses(terms: Sequence[Term], name: str) -> bool:
    """Say whether a term takes this input."""
    return any(t.input == name for t in terms)


def require_estimable(
    z: NDArray[np.float64], time: NDArray[np.float64], event: NDArray[np.bool_], names: list[str]
) -> None:
    """Refuse RISK_SEPARATION or RISK_FIT_UNSTABLE where data can't bound a coefficient.

    A penalty would hide this behind a number that looks normal.
    """
    for name, x in zip(names, z.T, strict=True):
        if np.ptp(x) == 0:
            raise unstable(f"{name} is the same for every patient")
        if _separates(x, time, event) or _separates(-x, time, event):
            text = f"{name} separates patients with an event from those without perfectly"
            raise _separation(text)
    scaled = (z - z.mean(axis=0)) / z.std(axis=0)
    if np.linalg.matrix_rank(scaled, tol=1e-6 * np.sqrt(len(z))) < z.shape[1]:
        raise unstable("One term is a sum of the others")
    errors = np.sqrt(np.diag(cox(scaled, time, event).covariance))
    if errors.max() > WIDEST_SE:
        worst = names[int(errors.argmax())]
        raise _separation(f"The coefficient of {worst} can't be bounded: terms separate perfectly")


def _separates(x: NDArray[np.float64], time: NDArray[np.float64], event: NDArray[np.bool_]) -> bool:
    """Say whether every event befalls the highest ``x`` at risk: the likelihood has no maximum."""
    order = np.argsort(-time, kind="stable")
    highest = np.maximum.accumulate(x[order])
    last = np.searchsorted(-time[order], -time[event], "right") - 1
    return bool((x[event] >= highest[last]).all())


def _separation(text: str) -> Refused:
    return Refused(
        "RISK_SEPARATION",
        f"{text}, so that its coefficient is infinite.",
        "Check the column for a coding error, or leave the term out.",
    )
