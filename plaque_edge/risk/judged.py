"""What ``risk evaluate`` judges: a table read for a model or a score, and the words about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.errors import Refused
from plaque_edge.risk.cohort import MEASURED, read_cohort
from plaque_edge.risk.cox import linear_predictors
from plaque_edge.risk.evaluate import Predictions
from plaque_edge.risk.model import load_model
from plaque_edge.risk.report import Told
from plaque_edge.risk.sample_size import complete
from plaque_edge.risk.show import describe_model
from plaque_edge.risk.terms import inputs_of, parse_terms

if TYPE_CHECKING:
    import argparse

    from plaque_edge.risk.cohort import Cohort
    from plaque_edge.risk.cox import CoxModel

Judged = tuple["Cohort", Predictions, Told]


def judged(options: argparse.Namespace, horizons: tuple[float, ...]) -> Judged:
    """Return cohort, predictions and words. Raises Refused TABLE_* or RISK_*."""
    return _score(options, horizons) if options.score else _model(options, horizons)


def _score(options: argparse.Namespace, horizons: tuple[float, ...]) -> Judged:
    """Read a bare column: it orders patients, but has no probability to be calibrated."""
    cohort = read_cohort(options.data, [options.score], options.outcome_at)
    used, missing = complete(cohort, parse_terms(options.score))
    told = Told(
        title=f"Evaluation of the score {options.score}",
        endpoint=options.endpoint or "event as the table has it",
        population=options.population,
        source=options.source or f"Table {options.data.name}; its origin was not stated.",
        notes=(*_notes(cohort), "A score orders patients; it has no probability to calibrate."),
        missing=missing,
        left_out=len(cohort) - len(used),
    )
    given = Predictions(f"score {options.score}", used.inputs[options.score], horizons, None)
    return used, given, told


def _model(options: argparse.Namespace, horizons: tuple[float, ...]) -> Judged:
    model = load_model(options.model)
    cohort = read_cohort(options.data, inputs_of(model.terms), options.outcome_at)
    require_same_segmenter(model, cohort)
    used, missing = complete(cohort, [t for t in model.terms if t.unknown == "refuse"])
    common = tuple(h for h in horizons if h in model.horizons_years)
    if not common:
        years = ", ".join(f"{h:g}" for h in model.horizons_years)
        text = "The model has no baseline at any of these horizons."
        raise Refused("RISK_HORIZONS", text, f"Choose among {years} years.")
    score = linear_predictors(model, used.inputs)
    hazard = np.array([model.cumulative_hazard[model.horizons_years.index(h)] for h in common])
    risks = -np.expm1(-hazard[:, None] * np.exp(score)[None, :])
    development = model.fitted_on_sha256 == cohort.table_sha256
    notes = list(_notes(cohort))
    if development:
        notes.insert(0, "The model was fitted on this very table: these figures flatter it.")
    told = Told(
        title=f"Evaluation of {model.name} {model.version}",
        endpoint=options.endpoint or model.endpoint,
        population=options.population,
        source=options.source or f"Table {options.data.name}; its origin was not stated.",
        model_lines=describe_model(model),
        notes=(*notes, *_ranges(model, used)),
        missing=missing,
        left_out=len(cohort) - len(used),
        development=development,
    )
    return used, Predictions(f"{model.name} {model.version}", score, common, risks), told


def require_same_segmenter(model: CoxModel, cohort: Cohort) -> None:
    """Refuse a table whose volumes are of other networks than the model's."""
    wanted, found = model.segmenter_sha256, cohort.segmenter_sha256
    if wanted is not None and found is None:
        text = "The table does not say which networks measured its volumes."
        raise Refused("RISK_SEGMENTER_MISSING", text, "Add a column segmenter_sha256.")
    if wanted is not None and wanted != found:
        text = "The risk model was fitted on plaque volumes of another segmentation model."
        raise Refused("RISK_SEGMENTER_MISMATCH", text, "Refit or recalibrate the risk model.")


def _notes(cohort: Cohort) -> tuple[str, ...]:
    if cohort.timed:
        return ()
    years = float(cohort.time_years[0])
    return (
        f"Only yes or no by {years:g} years is known: C is the AUC, the slope is logistic, and "
        "everybody without an event is taken as followed until then.",
    )


def _ranges(model: CoxModel, cohort: Cohort) -> list[str]:
    """Say how many values the model clamped or did without, and what it isn't bound to."""
    said = []
    for term in model.terms:
        x = cohort.inputs[term.input]
        outside = int(((x < term.low) | (x > term.high)).sum())
        unknown = int(np.isnan(x).sum())
        if outside:
            limits = f"{term.low:g} to {term.high:g}"
            said.append(f"{term.input}: {outside} values outside {limits} were clamped.")
        if unknown:
            said.append(f"{term.input}: {unknown} unknown, taken at the model's average.")
    measured = [t.input for t in model.terms if t.input in MEASURED]
    if measured and model.segmenter_sha256 is None:
        said.append("The model is bound to no segmenter: its level on this one is unknown.")
    return said
