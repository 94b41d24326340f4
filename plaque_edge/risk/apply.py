"""The risk of one patient from a result, from values given by hand, or from both."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from plaque_edge.errors import Refused
from plaque_edge.risk.cohort import MEASURED, POSSIBLE, YES_NO
from plaque_edge.risk.model import estimate_inputs, gate, lower_bound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from plaque_edge.risk.cox import CoxModel
    from plaque_edge.types import RiskEstimate

LEAST_MM3 = 2.0
"""No smaller plaque is given by hand: 2 ml is more than the range of any model."""


def apply_to(
    model: CoxModel,
    result: Mapping[str, Any] | None,
    given: Mapping[str, float | None],
    more: Sequence[str] = (),
) -> RiskEstimate:
    """Return the risk. ``result`` is a result's JSON; ``given`` and ``more`` go before it.

    Raises Refused RISK_* where an input is missing or impossible, or the result may not be used.
    """
    inputs: dict[str, float | None] = {}
    segmenter, verdict = None, "diagnostic"
    if result is not None:
        inputs, segmenter, verdict = _of_result(result)
    by_hand = {k: v for k, v in given.items() if v is not None} | _values(more)
    if result is None and model.segmenter_sha256 is not None:
        # A volume typed in has no known origin.
        segmenter = "" if any(name in by_hand for name in MEASURED) else model.segmenter_sha256
    for name, value in by_hand.items():
        _require_possible(name, value)
        _require_unit(name, value)
    inputs |= by_hand
    gate(model, inputs, verdict, segmenter)
    return estimate_inputs(model, inputs, verdict)


def _of_result(
    result: Mapping[str, Any],
) -> tuple[dict[str, float | None], str | None, str]:
    try:
        patient, who = result["patient"], result.get("covariates", {})
        treated = [r for r in result.get("reasons", []) if r["code"] == "RISK_TREATED"]
        if treated:
            raise Refused("RISK_TREATED", treated[0]["text"], treated[0]["next_step"])
        inputs: dict[str, float | None] = {name: patient[name] for name in MEASURED}
        if patient.get("lower_bound"):
            raise lower_bound()
        inputs["age_years"] = who.get("age_years")
        inputs["male"] = {"M": 1.0, "F": 0.0}.get(who.get("sex") or "")
        for name in ("diabetes", "hypertension"):
            known = who.get(name)
            inputs[name] = None if known is None else float(known)
        measured_by = result["software"]["model"] or {"sha256": None}  # refused before a network
        return inputs, measured_by["sha256"], result["qc"]["verdict"]
    except (KeyError, TypeError, AttributeError) as error:
        text = "The file is not a result of plaque-edge."
        raise Refused("RESULT_UNREADABLE", text, "Give the result.json of an analysis.") from error


def _values(more: Sequence[str]) -> dict[str, float]:
    found = {}
    for text in more:
        name, _, number = text.partition("=")
        try:
            found[name.strip()] = float(number)
        except ValueError:
            said = f"{text!r} is not INPUT=NUMBER."
            raise Refused("RISK_VALUE_INVALID", said, "Write --value plaque_mm3=120.") from None
    return found


def _require_unit(name: str, value: float) -> None:
    """Refuse what by its size is most likely of another unit: nobody would see it in a risk."""
    if name == "plaque_mm3" and 0 < value < LEAST_MM3:
        text = f"plaque_mm3 of {value:g} is less than can be measured: it looks like ml."
        raise Refused("RISK_VALUE_UNITS", text, "Multiply by 1000, or give 0 for no plaque.")
    if name == "max_diameter_stenosis_percent" and 0 < value < 1:
        text = f"A stenosis of {value:g} % looks like a fraction."
        raise Refused("RISK_VALUE_UNITS", text, "Multiply by 100, or give 0 for none.")


def _require_possible(name: str, value: float) -> None:
    low, high = (0.0, 1.0) if name in YES_NO else POSSIBLE.get(name, (-math.inf, math.inf))
    if math.isfinite(value) and low <= value <= high:
        return
    if name == "age_years":
        raise Refused("RISK_AGE_INVALID", "The age is not possible.", "Give it with --age.")
    text = f"{name} of {value:g} is not possible: it must be {low:g} to {high:g}."
    raise Refused("RISK_VALUE_INVALID", text, "Correct the value or its unit.")
