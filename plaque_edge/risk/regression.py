"""The one door to lifelines: a penalised Cox fit, its baseline with errors, and tests on it.

lifelines (MIT) is not part of the run time: only fitting, recalibrating and evaluating need it.
Ties are handled as Efron proposes, the baseline is Breslow's.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.errors import Refused

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

PENALTIES = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1)
"""Ridge penalties to choose from, on standardised terms and per patient as lifelines counts."""
CONVERGED = {"precision": 1e-14, "r_precision": 1e-16}


@dataclass(frozen=True, slots=True)
class CoxFit:
    """A fit of terms ``z`` ``(n, p)``; ``covariance`` ``(p, p)``.

    ``likelihood_ratio`` is twice the gain in log partial likelihood over no terms.
    """

    coefficients: Floats
    covariance: Floats
    log_likelihood: float
    likelihood_ratio: float
    penalty: float
    fitter: Any


@dataclass(frozen=True, slots=True)
class Baseline:
    """H0 ``(h,)`` at each horizon for all terms zero, with a covariance ``(h, p + 1, p + 1)``.

    Each matrix covers the coefficients in order, then ln H0 at that horizon.
    """

    horizons: Floats
    hazard: Floats
    covariances: Floats


def lifelines() -> Any:
    """Return lifelines. Raises Refused RISK_TOOLS_MISSING."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import lifelines as found
            import lifelines.statistics
            import lifelines.utils
    except ImportError as error:
        raise Refused(
            "RISK_TOOLS_MISSING",
            "Fitting and evaluating need lifelines, which is not installed.",
            "Start it through run.py, or install plaque-edge with its extra 'risk'.",
        ) from error
    return found


def lifelines_table(loader: str) -> dict[str, Floats]:
    """Return the complete rows of one of lifelines' own tables (MIT) by column."""
    table = getattr(lifelines().datasets, loader)().dropna()
    return {str(name): table[name].to_numpy(np.float64) for name in table.columns}


def cox(z: Floats, time: Floats, event: Bools, penalty: float = 0.0) -> CoxFit:
    """Fit a Cox model. Raises Refused RISK_FIT_UNSTABLE where it does not converge."""
    tools = lifelines()
    fitter = tools.CoxPHFitter(penalizer=penalty)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", tools.exceptions.ConvergenceWarning)
            fitter.fit(_frame(z, time, event), "time", "event", fit_options=CONVERGED)
    except (tools.exceptions.ConvergenceError, tools.exceptions.ConvergenceWarning) as error:
        raise unstable("The Cox model does not converge on this table") from error
    return CoxFit(
        fitter.params_.to_numpy(),
        fitter.variance_matrix_.to_numpy(),
        float(fitter.log_likelihood_),
        float(fitter.log_likelihood_ratio_test().test_statistic),
        penalty,
        fitter,
    )


def unstable(why: str) -> Refused:
    """Return the refusal of a fit whose numbers would mean nothing."""
    next_step = "Leave out terms that hardly vary or repeat each other, or collect more events."
    return Refused("RISK_FIT_UNSTABLE", f"{why}.", next_step)


def _frame(z: Floats, time: Floats, event: Bools) -> Any:
    import pandas as pd

    columns: dict[str, Any] = {f"z{i}": z[:, i] for i in range(z.shape[1])}
    return pd.DataFrame(columns | {"time": time, "event": event.astype(int)})


def choose_penalty(z: Floats, time: Floats, event: Bools, seed: int = 0) -> float:
    """Return the penalty of the best 5-fold cross-validated partial likelihood."""
    tools = lifelines()
    frame = _frame(z, time, event).sample(frac=1, random_state=seed).reset_index(drop=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = [
            np.mean(
                tools.utils.k_fold_cross_validation(
                    tools.CoxPHFitter(penalizer=p),
                    frame,
                    "time",
                    "event",
                    k=5,
                    scoring_method="log_likelihood",
                    seed=seed,
                )
            )
            for p in PENALTIES
        ]
    return PENALTIES[int(np.argmax(scores))]


def proportional_hazards(fit: CoxFit, z: Floats, time: Floats, event: Bools) -> tuple[float, ...]:
    """P value per term: scaled Schoenfeld residuals against ranked time.

    Grambsch & Therneau 1994, doi:10.1093/biomet/81.3.515.
    """
    test = lifelines().statistics.proportional_hazard_test
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = test(fit.fitter, _frame(z, time, event), time_transform="rank")
    return tuple(float(p) for p in np.atleast_1d(found.p_value))


def baseline(fit: CoxFit, z: Floats, time: Floats, event: Bools, horizons: Floats) -> Baseline:
    """Breslow's cumulative hazard at each horizon for all terms zero, with errors.

    Errors as in Tsiatis 1981, doi:10.1214/aos/1176345335: those of the events and those of
    the coefficients, which are correlated with H0.
    """
    beta, v = fit.coefficients, fit.covariance
    order = np.argsort(-time, kind="stable")
    weight = np.exp(z[order] @ beta)
    s0, s1 = np.cumsum(weight), np.cumsum(weight[:, None] * z[order], axis=0)
    at = np.unique(time[event])
    at = at[at <= horizons.max()]
    # Everybody with time >= t is at risk: the last place of t in falling order.
    last = np.searchsorted(-time[order], -at, "right") - 1
    died = np.array([np.count_nonzero(event & (time == t)) for t in at], np.float64)
    s0, s1 = s0[last], s1[last]
    upto = np.searchsorted(at, horizons, "right")
    hazard = _sum_to(died / s0, upto)
    own = _sum_to(died / s0**2, upto)
    a = _sum_to((died / s0**2)[:, None] * s1, upto)
    p = len(beta)
    out = np.zeros((len(horizons), p + 1, p + 1))
    for i, h in enumerate(hazard):
        cross = -v @ a[i] / h
        out[i, :p, :p] = v
        out[i, :p, p] = out[i, p, :p] = cross
        out[i, p, p] = (own[i] + a[i] @ v @ a[i]) / h**2
    return Baseline(horizons, hazard, out)


def _sum_to(values: Floats, upto: NDArray[np.int64]) -> Floats:
    sums: Floats = np.cumsum(np.concatenate([np.zeros_like(values[:1]), values]), axis=0)
    return sums[upto]
