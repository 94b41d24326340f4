"""Apply a Cox model to one patient, or say by code why there is no risk.

Risk is of the patient: no source supports a probability per vessel. Research use only, not
a medical device.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.errors import Refused
from plaque_edge.risk.cox import CoxModel, MissingInput, Term, Transform, predictor, risk_band
from plaque_edge.types import Covariates, PatientMeasures, Reason, RiskEstimate

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_MODEL = Path(__file__).with_name("default-v0.json")
SCHEMA = "plaque-edge/risk-model/1"
INPUTS = (
    "plaque_mm3",
    "max_diameter_stenosis_percent",
    "age_years",
    "male",
    "diabetes",
    "hypertension",
)
"""What :func:`estimate` can feed; a model that needs more is refused."""
OLDEST, ADULT = 130, 18
"""Years. Beyond the model's own range an adult's age is clamped with a warning."""
_TRANSFORMS = {"linear": {"center", "scale"}, "log1p": {"scale"}, "at_least": {"threshold"}}
_MISSING = {
    "age_years": ("RISK_AGE_MISSING", "The age is not known.", "Give it with --age."),
    "male": ("RISK_SEX_MISSING", "The sex is not known.", "Give it with --sex F or --sex M."),
    "plaque_mm3": (
        "RISK_PLAQUE_MISSING",
        "The plaque volume was not measured.",
        "See why the scan was not analysable.",
    ),
    "max_diameter_stenosis_percent": (
        "RISK_STENOSIS_MISSING",
        "No stenosis could be graded.",
        "Review the lesions; the model needs the largest diameter stenosis.",
    ),
}


def load_model(path: Path | None = None) -> CoxModel:
    """Read a model; ``None`` is the shipped default. Raises Refused RISK_MODEL_INVALID."""
    source = DEFAULT_MODEL if path is None else path
    try:
        content = source.read_bytes()
        return parse_model(json.loads(content), hashlib.sha256(content).hexdigest())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(
            "RISK_MODEL_INVALID",
            f"The risk model {source.name} cannot be used: {_plain(error)}.",
            "Give a model file written by 'plaque-edge risk fit', or leave the option out.",
        ) from error


def _plain(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"field {error.args[0]!r} is missing"
    if isinstance(error, OSError):
        return "the file cannot be read"
    return str(error).rstrip(".")


def parse_model(data: Mapping[str, Any], sha256: str) -> CoxModel:
    """Build and check a model from its JSON. Raises ValueError, KeyError or TypeError."""
    if data["schema"] != SCHEMA:
        raise ValueError(f"schema is not {SCHEMA}")
    baseline = data["baseline"]
    model = CoxModel(
        name=str(data["name"]),
        version=str(data["version"]),
        kind=str(data.get("kind", "")),
        endpoint=str(data["endpoint"]),
        population=str(data.get("population", "")),
        terms=tuple(_term(item) for item in data["terms"]),
        baseline_text=str(baseline.get("description", "")),
        horizons_years=tuple(float(x) for x in baseline["horizons_years"]),
        cumulative_hazard=tuple(float(x) for x in baseline["cumulative_hazard"]),
        se_log_hazard=float(baseline["se_log"]),
        covariances=_covariances(data, len(baseline["horizons_years"])),
        provenance=str(data.get("provenance", "")),
        limits=tuple(str(x) for x in data["limits"]),
        segmenter_sha256=data.get("segmenter_sha256"),
        sha256=sha256,
        fitted_on_sha256=data.get("fit", {}).get("table_sha256"),
    )
    _check(model)
    return model


def _term(item: Mapping[str, Any]) -> Term:
    kind = item["transform"]["kind"]
    if kind not in _TRANSFORMS or set(item["transform"]) - {"kind"} != _TRANSFORMS[kind]:
        raise ValueError(f"transform of {item['name']!r} is not understood")
    if item["unknown"] not in ("refuse", "center"):
        raise ValueError(f"unknown of {item['name']!r} must be refuse or center")
    low, high = (float(x) for x in item["range"])
    return Term(
        name=str(item["name"]),
        input=str(item["input"]),
        transform=Transform(**item["transform"]),
        coefficient=float(item["coefficient"]),
        se=float(item["se"]),
        low=low,
        high=high,
        unknown=item["unknown"],
        provenance=str(item.get("provenance", "")),
    )


def _covariances(
    data: Mapping[str, Any], horizons: int
) -> tuple[tuple[tuple[float, ...], ...], ...] | None:
    """One matrix per horizon; the field ``covariance`` is one for all of them."""
    every, one = data.get("covariance_by_horizon"), data.get("covariance")
    if every is None:
        every = None if one is None else [one] * horizons
    if every is None:
        return None
    return tuple(tuple(tuple(float(x) for x in row) for row in matrix) for matrix in every)


def _check(model: CoxModel) -> None:
    """Refuse what would give a number without meaning."""
    hazard, size = model.cumulative_hazard, len(model.terms) + 1
    numbers = [x for t in model.terms for x in (t.coefficient, t.se, t.low, t.high)]
    if not np.isfinite([*numbers, *hazard, *model.horizons_years, model.se_log_hazard]).all():
        raise ValueError("a number is not finite")
    if not hazard or len(hazard) != len(model.horizons_years) or min(hazard) < 0:
        raise ValueError("the baseline needs one hazard >= 0 per horizon")
    if any(b < a for a, b in itertools.pairwise(hazard)):
        raise ValueError("the cumulative hazard falls")
    if any(b <= a for a, b in zip(model.horizons_years, model.horizons_years[1:], strict=False)):
        raise ValueError("the horizons must rise")
    if any(t.low > t.high or t.se < 0 or t.transform.scale <= 0 for t in model.terms):
        raise ValueError("a term has an empty range, a negative error or a scale of 0")
    if model.covariances is not None:
        if np.shape(model.covariances) != (len(hazard), size, size):
            raise ValueError(f"a covariance must be {size} x {size}: the terms, then ln H0")
        if not np.isfinite(model.covariances).all():
            raise ValueError("a covariance is not finite")
    if not model.limits:
        raise ValueError("a model without limits text may not be shown")


def estimate(
    model: CoxModel,
    patient: PatientMeasures,
    covariates: Covariates,
    qc_verdict: str,
    segmenter_sha256: str | None = None,
) -> RiskEstimate:
    """Risk of one patient with a 95 % band.

    Raises Refused with RISK_QC, RISK_PLAQUE_MISSING, RISK_LOWER_BOUND, RISK_AGE_MISSING,
    RISK_AGE_INVALID, RISK_SEX_MISSING, RISK_STENOSIS_MISSING, RISK_SEGMENTER_MISMATCH or
    RISK_MODEL_INVALID. Age and plaque beyond the model's range are clamped with a warning;
    unknown diabetes and hypertension enter at the model's average, also with a warning.
    A plaque volume that is only a lower bound gives no risk: it would be too low, and
    nobody could say by how much.
    """
    if not any(t.input == "plaque_mm3" for t in model.terms):
        raise Refused(
            "RISK_MODEL_INVALID", "The risk model does not use plaque.", "Choose another."
        )
    if patient.plaque_mm3 is not None and patient.lower_bound:
        gate(model, {}, qc_verdict, segmenter_sha256)
        raise lower_bound()
    inputs = _inputs(patient, covariates)
    gate(model, inputs, qc_verdict, segmenter_sha256)
    return estimate_inputs(model, inputs, qc_verdict)


def estimate_inputs(
    model: CoxModel, inputs: Mapping[str, float | None], qc_verdict: str
) -> RiskEstimate:
    """Risk for inputs by name that have passed :func:`gate`.

    Raises Refused with RISK_*_MISSING, or RISK_INPUT_MISSING for one with no code of its own.
    """
    try:
        who = predictor(model, inputs)
        empty = predictor(model, {**inputs, "plaque_mm3": 0.0})
    except MissingInput as missing:
        raise _refusal(missing.input) from missing
    probability, lower, upper = risk_band(model, who)
    warnings = who.warnings
    if qc_verdict != "diagnostic":
        text = "Image quality is limited, and so is the plaque volume behind this risk."
        warnings = (*warnings, Reason("RISK_QC_LIMITED", text, "Review the quality checks."))
    uses_plaque = any(t.input == "plaque_mm3" for t in model.terms)
    return RiskEstimate(
        endpoint=model.endpoint,
        horizons_years=model.horizons_years,
        probability=probability,
        lower=lower,
        upper=upper,
        relative_to_no_plaque=math.exp(who.linear_predictor - empty.linear_predictor)
        if uses_plaque
        else None,
        model_name=model.name,
        model_version=model.version,
        model_sha256=model.sha256,
        limits=model.limits,
        warnings=warnings,
    )


def lower_bound() -> Refused:
    """Return the refusal of a plaque volume of which a part is missing."""
    text = "Part of the coronary tree was not measured: the plaque volume is a lower bound."
    return Refused("RISK_LOWER_BOUND", text, "Review the vessels that are not analysed.")


def _refusal(name: str) -> Refused:
    if name in _MISSING:
        return Refused(*_MISSING[name])
    text = f"The risk model needs {name}, which is not known."
    return Refused("RISK_INPUT_MISSING", text, "Give it, or use a model without it.")


def gate(
    model: CoxModel,
    inputs: Mapping[str, float | None],
    qc_verdict: str,
    segmenter_sha256: str | None,
) -> None:
    """Refuse RISK_QC, RISK_AGE_INVALID or RISK_SEGMENTER_MISMATCH."""
    if qc_verdict not in ("diagnostic", "limited"):
        text = "The image quality is not diagnostic, so no risk is given."
        raise Refused("RISK_QC", text, "Use a better phase or repeat the scan.")
    age = inputs.get("age_years")
    if age is not None and not (math.isfinite(age) and 0 < age < OLDEST):
        raise Refused("RISK_AGE_INVALID", "The age is not possible.", "Give years with --age.")
    if age is not None and age < ADULT:
        text = f"An age of {age:.0f} years is no adult's; the risk model is of adults."
        raise Refused("RISK_AGE_INVALID", text, "Correct the age (years, not decades).")
    require_segmenter(model, segmenter_sha256)


def require_segmenter(model: CoxModel, segmenter_sha256: str | None) -> None:
    """Refuse RISK_SEGMENTER_MISMATCH: volumes of other networks are on another scale."""
    wanted = model.segmenter_sha256
    if wanted is not None and wanted != segmenter_sha256:
        text = "The risk model was fitted on plaque volumes of another segmentation model."
        raise Refused("RISK_SEGMENTER_MISMATCH", text, "Refit or recalibrate the risk model.")


def _inputs(patient: PatientMeasures, covariates: Covariates) -> dict[str, float | None]:
    male = {"M": 1.0, "F": 0.0}.get(covariates.sex or "")
    values: dict[str, float | None] = {
        "plaque_mm3": patient.plaque_mm3,
        "max_diameter_stenosis_percent": patient.max_diameter_stenosis_percent,
        "age_years": covariates.age_years,
        "male": male,
        "diabetes": None if covariates.diabetes is None else float(covariates.diabetes),
        "hypertension": None if covariates.hypertension is None else float(covariates.hypertension),
    }
    return values
