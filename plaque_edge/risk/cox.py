"""A Cox model as frozen dataclasses: terms, baseline, linear predictor, risk with a band.

risk(t) = 1 - exp(-H0(t) exp(LP)), LP = sum of coefficient x transform(input)
(Cox 1972, doi:10.1111/j.2517-6161.1972.tb00899.x). Pure: mappings and dataclasses in, out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from plaque_edge.types import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

Z95 = 1.959963984540054
"""Two-sided 95 % quantile of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Transform:
    """``linear``: (x - center) / scale; ``log1p``: ln(1 + x / scale); ``at_least``: x >= threshold.

    What a kind does not use stays at its default.
    """

    kind: Literal["linear", "log1p", "at_least"]
    center: float = 0.0
    scale: float = 1.0
    threshold: float = 0.0

    def __call__(self, x: float) -> float:
        """Value of the term for input ``x``."""
        if self.kind == "log1p":
            return math.log1p(x / self.scale)
        if self.kind == "at_least":
            return float(x >= self.threshold)
        return (x - self.center) / self.scale


@dataclass(frozen=True, slots=True)
class Term:
    """One covariate: where it comes from, how it enters, how sure its coefficient is.

    ``low`` and ``high`` bound the input; beyond them it is clamped with a warning.
    ``unknown`` says what a missing input does: ``refuse``, or ``center`` (term 0, warned).
    """

    name: str
    input: str
    transform: Transform
    coefficient: float
    se: float
    low: float
    high: float
    unknown: Literal["refuse", "center"]
    provenance: str


@dataclass(frozen=True, slots=True)
class CoxModel:
    """A Cox model read from JSON; ``sha256`` is over the bytes of the file.

    ``cumulative_hazard`` holds H0 at each of ``horizons_years``. ``covariances`` has one matrix
    per horizon over the terms in order, then ln H0; ``None`` means independent standard errors.
    """

    name: str
    version: str
    kind: str
    endpoint: str
    population: str
    terms: tuple[Term, ...]
    baseline_text: str
    horizons_years: tuple[float, ...]
    cumulative_hazard: tuple[float, ...]
    se_log_hazard: float
    covariances: tuple[tuple[tuple[float, ...], ...], ...] | None
    provenance: str
    limits: tuple[str, ...]
    segmenter_sha256: str | None
    sha256: str
    fitted_on_sha256: str | None = None
    """Of the table that it was fitted on."""


@dataclass(frozen=True, slots=True)
class Predictor:
    """The terms' values for one patient and the warnings met on the way."""

    values: tuple[float, ...]
    linear_predictor: float
    warnings: tuple[Reason, ...]


class MissingInput(Exception):
    """An input that the model cannot do without is unknown."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.input = name


def predictor(model: CoxModel, inputs: Mapping[str, float | None]) -> Predictor:
    """Apply all terms to ``inputs``. Raises :class:`MissingInput` for a required one."""
    values: list[float] = []
    warnings: list[Reason] = []
    for term in model.terms:
        x = inputs.get(term.input)
        if x is None or math.isnan(x):
            if term.unknown == "refuse":
                raise MissingInput(term.input)
            values.append(0.0)
            warnings.append(_unknown(term))
            continue
        if not term.low <= x <= term.high:
            warnings.append(_clamped(term, x))
            x = min(max(x, term.low), term.high)
        values.append(term.transform(x))
    pairs = zip(model.terms, values, strict=True)
    return Predictor(tuple(values), sum(t.coefficient * v for t, v in pairs), tuple(warnings))


def _unknown(term: Term) -> Reason:
    center = term.transform.center
    return Reason(
        f"RISK_{term.input.upper()}_UNKNOWN",
        f"{term.name.capitalize()} is unknown: the average of the model ({center:g}) is used.",
        f"Enter {term.name} for a personal estimate.",
    )


def _clamped(term: Term, x: float) -> Reason:
    return Reason(
        f"RISK_{term.input.upper()}_OUT_OF_RANGE",
        f"{term.input} of {x:g} lies outside {term.low:g} to {term.high:g}, "
        "where the model is defined: the nearest limit is used.",
        "Read the risk with caution.",
    )


def linear_predictors(
    model: CoxModel, inputs: Mapping[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return the linear predictor ``(n,)`` of many patients, as :func:`predictor` gives each."""
    n = len(next(iter(inputs.values())))
    total = np.zeros(n)
    for term in model.terms:
        x = inputs.get(term.input, np.full(n, np.nan))
        missing = np.isnan(x)
        if term.unknown == "refuse" and missing.any():
            raise MissingInput(term.input)
        clamped = np.clip(x, term.low, term.high)
        values = np.array([term.transform(float(v)) for v in clamped])
        total += term.coefficient * np.where(missing, 0.0, values)
    return total


def covariances(model: CoxModel) -> NDArray[np.float64]:
    """Return the covariance ``(horizons, terms + 1, terms + 1)`` of the terms, then ln H0."""
    if model.covariances is not None:
        return np.asarray(model.covariances, np.float64)
    se = [*(term.se for term in model.terms), model.se_log_hazard]
    one = np.diag(np.square(np.asarray(se, np.float64)))
    return np.broadcast_to(one, (len(model.horizons_years), *one.shape))


def risk_band(
    model: CoxModel, who: Predictor
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Probability, lower and upper 95 % bound at each horizon, all in 0..1.

    Delta method on ln(H0(t) exp(LP)), which is linear in the parameters, so that the band is
    exact for normal errors and the same at every run.
    """
    gradient = np.array([*who.values, 1.0])
    variance = np.einsum("i,hij,j->h", gradient, covariances(model), gradient)
    half = Z95 * np.sqrt(np.maximum(variance, 0.0))
    middle = np.log(np.maximum(model.cumulative_hazard, 1e-300)) + who.linear_predictor

    def risk(shift: NDArray[np.float64] | float) -> tuple[float, ...]:
        return tuple((-np.expm1(-np.exp(middle + shift))).tolist())

    return risk(0.0), risk(-half), risk(half)
