"""Fit an existing model to a site: its baseline, and with enough events its slope.

The order of the terms' weights stays; how strongly and on what level they act is the site's.
Van Calster et al. 2019, doi:10.1186/s12916-019-1466-7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.risk.cox import covariances, linear_predictors
from plaque_edge.risk.fit import (
    About,
    baseline_json,
    bound_segmenter,
    followed,
    head_json,
    require_times,
    term_json,
    versions,
)
from plaque_edge.risk.regression import Baseline, CoxFit, baseline, cox
from plaque_edge.risk.sample_size import (
    BASELINE_EVENTS,
    SLOPE_EVENTS,
    complete,
    require_estimable,
    too_few,
)
from plaque_edge.risk.terms import inputs_of

if TYPE_CHECKING:
    from plaque_edge.risk.cohort import Cohort
    from plaque_edge.risk.cox import CoxModel


def recalibrate(model: CoxModel, cohort: Cohort, about: About) -> dict[str, Any]:
    """Return the recalibrated model as JSON. Raises Refused RISK_*."""
    require_times(cohort)
    segmenter = bound_segmenter(cohort, inputs_of(model.terms), about.segmenter_sha256)
    needed = [t for t in model.terms if t.unknown == "refuse"]
    used, missing = complete(cohort, needed)
    time, event = used.time_years, used.event
    events = int(event.sum())
    if events < BASELINE_EVENTS:
        next_step = "Keep the existing model, and collect more follow-up."
        raise too_few(events, BASELINE_EVENTS, "recalibrate a baseline", next_step)
    z = linear_predictors(model, used.inputs)[:, None]
    with_slope = events >= SLOPE_EVENTS
    if with_slope:
        require_estimable(z, time, event, ["the model's linear predictor"])
        fit = cox(z, time, event)
    else:
        fit = CoxFit(np.ones(1), np.zeros((1, 1)), 0.0, 0.0, 0.0, None)
    horizons = np.array(followed(about.horizons_years, time, event))
    base = baseline(fit, z, time, event, horizons)
    figures = {
        "patients": len(used),
        "events": events,
        "left_out_incomplete": len(cohort) - len(used),
        "missing_by_input": missing,
        "slope": float(fit.coefficients[0]) if with_slope else None,
        "slope_se": float(np.sqrt(fit.covariance[0, 0])) if with_slope else None,
        "table_sha256": cohort.table_sha256,
    }
    return _as_json(model, fit, base, (about, segmenter), figures)


def _as_json(
    model: CoxModel,
    fit: CoxFit,
    base: Baseline,
    words: tuple[About, str | None],
    figures: dict[str, Any],
) -> dict[str, Any]:
    slope = float(fit.coefficients[0])
    joint = _joint(model, slope, base)
    errors = np.sqrt(np.diagonal(joint[-1]))[:-1]
    what = "baseline and slope" if figures["slope"] is not None else "baseline"
    source = f"{figures['patients']} patients with {figures['events']} events"
    terms = [
        term_json(t, slope * t.coefficient, float(e), f"{t.provenance} Times {slope:.3f}.")
        for t, e in zip(model.terms, errors, strict=True)
    ]
    return {
        **head_json(f"recalibrated ({what})", words),
        "terms": terms,
        "baseline": baseline_json(base, f"{model.baseline_text}; level of this site"),
        "covariance_by_horizon": joint.tolist(),
        "provenance": f"{model.name} {model.version} (sha256 {model.sha256}); {what} "
        f"recalibrated by {versions()} on {source}",
        "limits": [f"Recalibrated ({what}) on {source} of one table.", *model.limits],
        "fit": figures,
    }


def _joint(model: CoxModel, slope: float, base: Baseline) -> np.ndarray:
    """Covariance of the new coefficients and ln H0, per horizon.

    A new coefficient is slope x old one: the old one's error and the slope's add up. That of
    the old one is independent of the site's data.
    """
    old = np.asarray(covariances(model)[-1], np.float64)[:-1, :-1]
    b = np.array([t.coefficient for t in model.terms])
    p, out = len(b), []
    for c in base.covariances:
        joint = np.zeros((p + 1, p + 1))
        joint[:p, :p] = slope**2 * old + c[0, 0] * np.outer(b, b)
        joint[:p, p] = joint[p, :p] = b * c[0, 1]
        joint[p, p] = c[1, 1]
        out.append(joint)
    return np.array(out)
