"""The corrected result: the analysis's own document with new numbers, the old ones beside them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from plaque_edge.correct import edits as edit_data
from plaque_edge.errors import Refused
from plaque_edge.export.result_json import measured_parts
from plaque_edge.export.words import corrected_by
from plaque_edge.risk.model import estimate, load_model
from plaque_edge.types import Covariates, Reason

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from plaque_edge.correct.edits import Edit
    from plaque_edge.correct.job import By
    from plaque_edge.correct.tree import Corrected
    from plaque_edge.types import RiskEstimate

CORRECTED: Final = "CORRECTED"
_OF_MEASURES: Final = ("LUMEN_NOT_SEEN", "BRANCH_ZERO_LENGTH", "CORRECTION_", CORRECTED, "RISK_")
"""Beginnings of the codes that follow from the measures, so that they are found anew."""
KEPT: Final = (
    "status", "plaque_mm3", "calcified_mm3", "noncalcified_mm3", "low_attenuation_mm3",
    "lumen_mm3", "vessel_mm3", "pav_percent", "plaque_stage", "max_diameter_stenosis_percent",
)  # fmt: skip
"""What a corrected result keeps of the analysis's own numbers, for each vessel and the patient."""

_NO_INTERVALS: Final = {
    "code": "CORRECTION_NO_INTERVALS",
    "text": "Intervals hold for what the networks measured, not for corrected volumes.",
    "next_step": "Nothing to do.",
}


def corrected_result(
    original: dict[str, Any],
    found: Corrected,
    edits: Sequence[Edit],
    by: By,
    covariates: Covariates | None = None,
    risk_model: Path | None = None,
) -> dict[str, Any]:
    """Return the result with the corrected numbers; ``corrections`` says who changed what.

    ``covariates`` are what is known of the patient now; without them those of the analysis count.
    ``risk_model`` is the site's own, ``None`` the one that comes with the program.
    """
    known = covariates or Covariates(**original["covariates"])
    risk, why = _risk(original, found, known, risk_model)
    counts = edit_data.summary(edits)
    data = {**original, **measured_parts(found.measures, found.tree, risk)}
    said = f"{corrected_by({'by': by.person, 'at': by.at})}: {edit_data.as_words(counts)}."
    data["reasons"] = _reasons(original, found, why, _told(said))
    data["status"] = _status(data)
    data["covariates"] = asdict(known)
    if original.get("intervals") is not None:
        nothing = dict.fromkeys(original["intervals"])
        data["intervals"] = {**nothing, "made_on": "", "sha256": "", "reason": _NO_INTERVALS}
    uid = original["series"]["series_instance_uid"]
    data["corrections"] = {
        **edit_data.document(edits, uid, by.result_sha256),
        "by": by.person,
        "at": by.at,
        "request": by.request,
        "summary": counts,
        "original": original_numbers(original),
    }
    return data


def original_numbers(original: dict[str, Any]) -> dict[str, Any]:
    """Return the analysis's own numbers that a corrected result keeps (:data:`KEPT`)."""
    return {
        "status": original["status"],
        "patient": _kept(original["patient"]),
        "vessels": {name: _kept(item) for name, item in original["vessels"].items()},
        "risk": None if original["risk"] is None else original["risk"]["probability"],
    }


def numbers(found: Corrected) -> dict[str, Any]:
    """Return the same numbers of a corrected case, quickly: what a console shows at once."""
    measures = found.measures
    return {
        "patient": _kept(asdict(measures.patient)),
        "vessels": {name: _kept(asdict(item)) for name, item in measures.vessels.items()},
    }


def _kept(item: dict[str, Any]) -> dict[str, Any]:
    return {name: item[name] for name in KEPT if name in item}


def _told(text: str) -> dict[str, str]:
    step = "The analysis's own numbers stand beside the corrected ones."
    return {"code": CORRECTED, "text": text, "next_step": step}


def _reasons(
    original: dict[str, Any], found: Corrected, why: Reason | None, first: dict[str, str]
) -> list[dict[str, str]]:
    own = [r for r in original["reasons"] if not r["code"].startswith(_OF_MEASURES)]
    new = [*found.measures.notes, *([why] if why is not None else [])]
    told = [{"code": r.code, "text": r.text, "next_step": r.next_step} for r in new]
    return [first, *own, *told]


def _status(data: dict[str, Any]) -> str:
    """Judge as the analysis does: ready when all was measured and nothing has to be looked at."""
    whole = all(v["status"] == "analysed" for v in data["vessels"].values())
    warned = any(
        r["code"].startswith(("VESSEL_BRIDGED", *_OF_MEASURES[:3])) for r in data["reasons"]
    )
    good = data["qc"]["verdict"] == "diagnostic"
    return "ready" if whole and good and not warned else "review"


def _risk(
    original: dict[str, Any],
    found: Corrected,
    covariates: Covariates,
    file: Path | None,
) -> tuple[RiskEstimate | None, Reason | None]:
    """Estimate the risk anew; the one of a treated patient stays refused."""
    treated = next((r for r in original["reasons"] if r["code"] == "RISK_TREATED"), None)
    if treated is not None:
        return None, Reason(treated["code"], treated["text"], treated.get("next_step", ""))
    model = original["software"]["model"]["sha256"] or None
    try:
        verdict = original["qc"]["verdict"]
        risk = estimate(load_model(file), found.measures.patient, covariates, verdict, model)
    except Refused as error:
        return None, error.reason
    return risk, None
