"""Cohorts with known hazards: the planted coefficients must come back within their intervals.

A 95 % interval that is right covers the truth in 95 % of repetitions. How often ours does is
counted, for every coefficient, for the baseline and for the risk of one patient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.risk.regression import baseline, cox
from plaque_edge.risk.survival import Z95

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

NAMES = ("log1p(plaque_mm3/50)", "age_years/10", "male", "max_diameter_stenosis_percent>=50")
PLANTED = np.array([0.5, 0.3, 0.26, 0.693])
"""Those of the shipped model."""
HAZARD_PER_YEAR = 0.0039 * 3
HORIZON = 5.0
PATIENT = np.array([np.log1p(250 / 50), 1.0, 1.0, 0.0])


def draw(rng: Generator, n: int) -> dict[str, Floats]:
    """Return a cohort: plaque, age, sex, stenosis, and follow-up of 1 to 8 years."""
    male = (rng.random(n) < 0.5).astype(float)
    age = np.clip(rng.normal(61, 9, n), 35, 85)
    # Half of the patients have little or no plaque, a few have very much.
    plaque = np.clip(rng.lognormal(4.0 + 0.3 * male, 1.4, n) - 20, 0, 1500)
    stenosis = np.clip(rng.normal(5 + plaque / 12, 18, n), 0, 99)
    z = terms(plaque, age, male, stenosis)
    event_at = rng.exponential(1 / (HAZARD_PER_YEAR * np.exp(z @ PLANTED)))
    lost_at = rng.uniform(1, 8, n)
    return {
        "plaque_mm3": plaque,
        "age_years": age,
        "male": male,
        "max_diameter_stenosis_percent": stenosis,
        "time_years": np.minimum(event_at, lost_at),
        "event": (event_at <= lost_at).astype(float),
    }


def terms(plaque: Floats, age: Floats, male: Floats, stenosis: Floats) -> Floats:
    """Return the terms ``(n, 4)`` in the order of :data:`NAMES`, age from 60."""
    columns = [np.log1p(plaque / 50), (age - 60) / 10, male, (stenosis >= 50).astype(float)]
    return np.stack(columns, axis=1)


def repeat(repetitions: int, patients: int, seed: int = 0) -> dict[str, Any]:
    """Return how often the intervals held the truth, and the mean error in standard errors."""
    rng = np.random.default_rng(seed)
    misses = np.array([_one(draw(rng, patients)) for _ in range(repetitions)])
    names = [*NAMES, "ln H0 at 5 years", "ln H of one patient at 5 years"]
    covered = np.mean(np.abs(misses) <= Z95, axis=0)
    return {
        "repetitions": repetitions,
        "patients_each": patients,
        "planted": dict(zip(NAMES, PLANTED.tolist(), strict=True)),
        "coverage": dict(zip(names, covered.tolist(), strict=True)),
        "mean_error_in_se": dict(zip(names, misses.mean(axis=0).tolist(), strict=True)),
        "expected_coverage": 0.95,
        "chance_of_99_9": expected_range(repetitions),
    }


def expected_range(repetitions: int) -> tuple[float, float]:
    """Return the range that holds a right coverage in 99.9 % of such experiments."""
    from scipy.stats import binom

    low, high = binom.interval(0.999, repetitions, 0.95)
    return float(low) / repetitions, float(high) / repetitions


def _one(cohort: dict[str, Floats]) -> Floats:
    """Return the errors of one fit, each in its own standard errors."""
    z = terms(
        cohort["plaque_mm3"],
        cohort["age_years"],
        cohort["male"],
        cohort["max_diameter_stenosis_percent"],
    )
    time, event = cohort["time_years"], cohort["event"] == 1
    fit = cox(z, time, event)
    base = baseline(fit, z, time, event, np.array([HORIZON]))
    covariance, log_h = base.covariances[0], np.log(base.hazard[0])
    gap = np.append(fit.coefficients - PLANTED, log_h - np.log(HAZARD_PER_YEAR * HORIZON))
    who = np.append(PATIENT, 1.0)
    errors = np.sqrt(np.append(np.diag(covariance), who @ covariance @ who))
    wrong: Floats = np.append(gap, who @ gap) / errors
    return wrong
