"""Censored data: Kaplan-Meier, concordance, AUC and Brier score over time. Arrays in, numbers out.

``time`` and ``event`` are ``(n,)``, ``score`` is higher where an event is expected earlier,
``risk`` a probability of the event by ``horizon``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

Z95 = 1.959963984540054
BLOCK = 4_000_000
"""Pairs compared at a time, so that memory does not grow with the square of the cohort."""


@dataclass(frozen=True, slots=True)
class Steps:
    """A survival curve: ``survival[i]`` from ``times[i]`` on, 1 before; ``greenwood`` its sum."""

    times: Floats
    survival: Floats
    greenwood: Floats

    def at(self, t: Floats | float) -> Floats:
        """Survival at ``t``, the step at ``t`` included."""
        return self._look(self.survival, np.searchsorted(self.times, t, "right"), 1.0)

    def before(self, t: Floats | float) -> Floats:
        """Survival just before ``t``."""
        return self._look(self.survival, np.searchsorted(self.times, t, "left"), 1.0)

    def interval(self, t: float) -> tuple[float, float]:
        """95 % interval of the survival at ``t``, on the log minus log scale."""
        s = float(self.at(t))
        total = float(self._look(self.greenwood, np.searchsorted(self.times, t, "right"), 0.0))
        if not 0.0 < s < 1.0:
            return float("nan"), float("nan")
        half = Z95 * np.sqrt(total) / abs(np.log(s))
        return float(s ** np.exp(half)), float(s ** np.exp(-half))

    @staticmethod
    def _look(values: Floats, index: NDArray[np.int64] | np.int64, start: float) -> Floats:
        return np.concatenate([[start], values])[index]


def kaplan_meier(time: Floats, event: Bools) -> Steps:
    """Kaplan & Meier 1958, doi:10.1080/01621459.1958.10501452, with Greenwood's variance."""
    times = np.unique(time)
    at_risk = len(time) - np.searchsorted(np.sort(time), times, "left")
    died = np.searchsorted(np.sort(time[event]), times, "right") - np.searchsorted(
        np.sort(time[event]), times, "left"
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(died > 0, died / (at_risk * (at_risk - died)), 0.0)
    survival = np.cumprod(1 - died / at_risk)
    return Steps(times, survival.astype(np.float64), np.cumsum(parts))


def censoring(time: Floats, event: Bools) -> Steps:
    """Kaplan-Meier of being censored; at equal times events come first.

    Patients with an event at a time are not at risk of being censored at it.
    """
    times = np.unique(time)
    ordered, of_event = np.sort(time), np.sort(time[event])
    at_risk = (
        len(time)
        - np.searchsorted(ordered, times, "left")
        - (np.searchsorted(of_event, times, "right") - np.searchsorted(of_event, times, "left"))
    )
    lost = np.sort(time[~event])
    left = np.searchsorted(lost, times, "right") - np.searchsorted(lost, times, "left")
    kept = np.where(at_risk > 0, 1 - left / np.maximum(at_risk, 1), 1.0)
    return Steps(times, np.cumprod(kept).astype(np.float64), np.zeros(len(times)))


def harrell_c(time: Floats, event: Bools, score: Floats) -> float:
    """Harrell's C (1982, doi:10.1001/jama.1982.03320430047030); ties in the score count half."""
    return _concordance(time, event, score, np.ones(int(event.sum())))


def uno_c(time: Floats, event: Bools, score: Floats, horizon: float) -> float:
    """Uno's C up to ``horizon`` (2011, doi:10.1002/sim.4154), not moved by how long one looked."""
    early = event & (time <= horizon)
    weight = censoring(time, event).before(time[early]) ** -2.0
    return _concordance(time, early, score, weight, all_events=event)


def _concordance(
    time: Floats,
    cases: Bools,
    score: Floats,
    weight: Floats,
    all_events: Bools | None = None,
) -> float:
    """Weighted share of right orders among pairs of a case and who was then still free."""
    events = cases if all_events is None else all_events
    t, s = time[cases], score[cases]
    step = max(1, BLOCK // len(time))
    right = total = 0.0
    for i in range(0, len(t), step):
        a, b, w = t[i : i + step, None], s[i : i + step, None], weight[i : i + step]
        later = (time > a) | ((time == a) & ~events)
        good = (later & (score < b)).sum(1) + 0.5 * (later & (score == b)).sum(1)
        right += float(w @ good)
        total += float(w @ later.sum(1))
    return right / total if total else float("nan")


def auc_at(time: Floats, event: Bools, score: Floats, horizon: float) -> float:
    """AUC of events by ``horizon`` against patients free of it then, weighted for censoring.

    Cumulative cases, dynamic controls: Uno et al. 2007, doi:10.1198/016214507000000149.
    """
    case, control = event & (time <= horizon), time > horizon
    if not case.any() or not control.any():
        return float("nan")
    weight = 1 / censoring(time, event).before(time[case])
    n = int(control.sum())
    both = rankdata(np.concatenate([score[case], score[control]]))[: case.sum()]
    below = both - rankdata(score[case])
    return float(weight @ below / (n * weight.sum()))


def brier_at(time: Floats, event: Bools, risk: Floats, horizon: float) -> float:
    """Brier score at ``horizon``, weighted for censoring.

    Graf et al. 1999, doi:10.1002/(SICI)1097-0258(19990915/30)18:17/18<2529::AID-SIM274>3.0.CO;2-5.
    """
    free = censoring(time, event)
    case, control = event & (time <= horizon), time > horizon
    parts = np.zeros(len(time))
    parts[case] = (1 - risk[case]) ** 2 / free.before(time[case])
    parts[control] = risk[control] ** 2 / free.at(horizon)
    return float(parts.mean())


def net_benefit(time: Floats, event: Bools, risk: Floats, horizon: float, cut: float) -> float:
    """Net benefit of acting on ``risk >= cut``.

    Vickers & Elkin 2006, doi:10.1177/0272989X06295361. Events by ``horizon`` among those acted
    on are estimated by Kaplan-Meier (Vickers et al. 2008, doi:10.1186/1472-6947-8-53).
    """
    acted = risk >= cut
    if not acted.any():
        return 0.0
    share = float(acted.mean())
    died = 1 - float(kaplan_meier(time[acted], event[acted]).at(horizon))
    return share * (died - (1 - died) * cut / (1 - cut))
