"""Fit a Cox model on a site's follow-up, and say how far it flatters itself.

The model is JSON, never a pickle: a file that is opened must not run anything. It is bound to
the networks that measured its volumes by their hash.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import plaque_edge
from plaque_edge.errors import Refused
from plaque_edge.risk.cohort import MEASURED, Cohort
from plaque_edge.risk.model import SCHEMA
from plaque_edge.risk.regression import (
    Baseline,
    CoxFit,
    baseline,
    choose_penalty,
    cox,
    lifelines,
    proportional_hazards,
)
from plaque_edge.risk.sample_size import complete, require_estimable, require_refit, too_few
from plaque_edge.risk.survival import harrell_c
from plaque_edge.risk.terms import design, fit_to, inputs_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from plaque_edge.risk.cox import Term

    Floats = NDArray[np.float64]

AT_RISK = 20
"""Patients who must still be followed at a horizon for its baseline to be written."""
DRAWS = 200


@dataclass(frozen=True, slots=True)
class About:
    """What nobody can read from a table: the words of a model."""

    name: str
    endpoint: str
    population: str
    horizons_years: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0, 5.0)
    segmenter_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class FitOptions:
    """``penalty`` None: the best of five folds; ``draws``: bootstrap samples for the optimism."""

    penalty: float | None = None
    draws: int = DRAWS
    seed: int = 0


def fit_model(
    cohort: Cohort, terms: Sequence[Term], about: About, options: FitOptions
) -> dict[str, Any]:
    """Return the fitted model as JSON. Raises Refused RISK_*."""
    segmenter = bound_segmenter(cohort, inputs_of(terms), about.segmenter_sha256)
    require_times(cohort)
    used, missing = complete(cohort, terms)
    require_refit(int(used.event.sum()), len(terms))
    terms = fit_to(terms, used)
    z, time, event = design(terms, used), used.time_years, used.event
    require_estimable(z, time, event, [t.name for t in terms])
    penalty = options.penalty
    if penalty is None:
        penalty = choose_penalty(z, time, event, options.seed)
    fit = cox(z, time, event, penalty)
    base = baseline(fit, z, time, event, np.array(followed(about.horizons_years, time, event)))
    figures = _figures(fit, used, z, options) | {
        "patients": len(used),
        "events": int(event.sum()),
        "left_out_incomplete": len(cohort) - len(used),
        "missing_by_input": missing,
        "events_per_term": float(event.sum() / len(terms)),
        "table_sha256": cohort.table_sha256,
    }
    return _as_json(terms, fit, base, (about, segmenter), figures)


def require_times(cohort: Cohort) -> None:
    """Refuse a table that knows only yes or no."""
    if not cohort.timed:
        text = "Without times of follow-up no hazard can be fitted."
        raise Refused("RISK_TABLE_TIME", text, "Give a table with times.")


def bound_segmenter(cohort: Cohort, inputs: Sequence[str], given: str | None) -> str | None:
    """Return the hash that a model on these inputs is bound to; ``None`` where it needs none."""
    measured = [name for name in inputs if name in MEASURED]
    found = cohort.segmenter_sha256 or given
    if measured and found is None:
        raise Refused(
            "RISK_SEGMENTER_MISSING",
            f"It is not known which networks measured {measured[0]}.",
            "Add a column segmenter_sha256 (software.model.sha256 of result.json), or --segmenter.",
        )
    if cohort.segmenter_sha256 and given and given != cohort.segmenter_sha256:
        text = "The table's volumes are of another segmentation model than the one named."
        raise Refused("RISK_SEGMENTER_MISMATCH", text, "Analyse the scans again with that one.")
    return found if measured else None


def followed(
    horizons: Sequence[float], time: Floats, event: NDArray[np.bool_]
) -> tuple[float, ...]:
    """Return the horizons until which enough patients were followed and an event was seen.

    Without an event the hazard would be 0, and nobody could say how surely.
    """
    kept = tuple(h for h in horizons if int((time >= h).sum()) >= AT_RISK)
    if not kept:
        text = f"Fewer than {AT_RISK} patients were followed for {min(horizons):g} years."
        raise Refused("RISK_FOLLOW_UP_SHORT", text, "Give shorter --horizons.")
    seen = tuple(h for h in kept if (event & (time <= h)).any())
    if not seen:
        text = f"No event was seen within {max(kept):g} years."
        raise Refused("RISK_FOLLOW_UP_SHORT", text, "Give longer --horizons.")
    return seen


def _figures(fit: CoxFit, used: Cohort, z: Floats, options: FitOptions) -> dict[str, Any]:
    time, event = used.time_years, used.event
    chi2, p = fit.likelihood_ratio, z.shape[1]
    apparent = harrell_c(time, event, z @ fit.coefficients)
    drawn = optimism(z, time, event, fit.penalty, options)
    return {
        "penalty": fit.penalty,
        "likelihood_ratio": chi2,
        # van Houwelingen & le Cessie 1990, doi:10.1002/sim.4780091109.
        "shrinkage": (chi2 - p) / chi2 if chi2 > 0 else 0.0,
        "harrell_c_apparent": apparent,
        "harrell_c_optimism": drawn["c"],
        "harrell_c_corrected": apparent - drawn["c"],
        "slope_corrected": 1.0 - drawn["slope"],
        "bootstrap_draws": drawn["draws"],
        "proportional_hazards_p": list(proportional_hazards(fit, z, time, event)),
    }


def optimism(
    z: Floats, time: Floats, event: NDArray[np.bool_], penalty: float, options: FitOptions
) -> dict[str, float]:
    """Return how much C and calibration slope flatter: Harrell's bootstrap.

    Harrell et al. 1996, doi:10.1002/(SICI)1097-0258(19960229)15:4<361::AID-SIM168>3.0.CO;2-4.
    A draw in which the fit does not converge is left out and not counted.
    """
    rng, gaps = np.random.default_rng(options.seed), []
    for _ in range(options.draws):
        i = rng.integers(0, len(z), len(z))
        try:
            beta = cox(z[i], time[i], event[i], penalty).coefficients
            slope = cox((z @ beta)[:, None], time, event).coefficients[0]
        except Refused:
            continue
        gap = harrell_c(time[i], event[i], z[i] @ beta) - harrell_c(time, event, z @ beta)
        gaps.append((gap, 1.0 - slope))
    if len(gaps) < max(1, options.draws // 2):
        text = "the model can't be fitted again in half of its bootstrap samples"
        raise too_few(int(event.sum()), int(event.sum()) + 1, text, "Use fewer terms.")
    c, slope = np.mean(gaps, axis=0)
    return {"c": float(c), "slope": float(slope), "draws": len(gaps)}


def _as_json(
    terms: Sequence[Term],
    fit: CoxFit,
    base: Baseline,
    words: tuple[About, str | None],
    figures: dict[str, Any],
) -> dict[str, Any]:
    errors = np.sqrt(np.diag(fit.covariance))
    source = f"fitted on {figures['patients']} patients with {figures['events']} events"
    return {
        **head_json("fitted", words),
        "terms": [
            term_json(t, float(b), float(e), source)
            for t, b, e in zip(terms, fit.coefficients, errors, strict=True)
        ],
        "baseline": baseline_json(base, "All terms zero: linear terms at the cohort's mean"),
        "covariance_by_horizon": base.covariances.tolist(),
        "provenance": f"plaque-edge risk fit, {versions()}; {source}",
        "limits": limits(figures),
        "fit": figures,
    }


def head_json(kind: str, words: tuple[About, str | None]) -> dict[str, Any]:
    """Return how every model file begins: what it is, of what, for which segmenter."""
    about, segmenter = words
    return {
        "schema": SCHEMA,
        "name": about.name,
        "version": datetime.date.today().isoformat(),
        "kind": kind,
        "endpoint": about.endpoint,
        "population": about.population,
        "segmenter_sha256": segmenter,
    }


def versions() -> str:
    """Return what computed it."""
    return f"plaque-edge {plaque_edge.__version__}, lifelines {lifelines().__version__}"


def term_json(term: Term, coefficient: float, se: float, provenance: str) -> dict[str, Any]:
    """Return one term in the form of the schema."""
    t = term.transform
    pick: dict[str, Callable[[], dict[str, float]]] = {
        "linear": lambda: {"center": t.center, "scale": t.scale},
        "log1p": lambda: {"scale": t.scale},
        "at_least": lambda: {"threshold": t.threshold},
    }
    return {
        "name": term.name,
        "input": term.input,
        "transform": {"kind": t.kind, **pick[t.kind]()},
        "coefficient": coefficient,
        "se": se,
        "range": [term.low, term.high],
        "unknown": term.unknown,
        "provenance": provenance,
    }


def baseline_json(base: Baseline, description: str) -> dict[str, Any]:
    """Return the baseline in the form of the schema; ``se_log`` is that of the last horizon."""
    return {
        "description": description,
        "horizons_years": base.horizons.tolist(),
        "cumulative_hazard": base.hazard.tolist(),
        "se_log": float(np.sqrt(base.covariances[-1, -1, -1])),
    }


def limits(figures: dict[str, Any]) -> list[str]:
    """Return what must be said beside every risk of this model."""
    said = [
        f"(a) Fitted on {figures['patients']} patients with {figures['events']} events of one "
        "table, and not tested on any other.",
        f"(b) Corrected for optimism its C is {figures['harrell_c_corrected']:.2f} and its "
        f"calibration slope {figures['slope_corrected']:.2f}.",
        "(c) Patient level only, without treatment effects and competing risks.",
    ]
    if figures["left_out_incomplete"]:
        n = figures["left_out_incomplete"]
        said.append(f"(d) {n} patients with missing inputs were left out.")
    if min(figures["proportional_hazards_p"]) < 0.05:
        said.append("(e) The hazards of at least one term are not proportional over time.")
    if figures["shrinkage"] < 0.9:
        said.append(f"(f) Overfitted: a shrinkage of {figures['shrinkage']:.2f} is called for.")
    return said
