"""The terms of a model in words: ``age_years/10``, ``log1p(plaque_mm3/50)``, ``stenosis>=50``."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from plaque_edge.errors import Refused
from plaque_edge.risk.cox import Term, Transform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plaque_edge.risk.cohort import Cohort

    Floats = NDArray[np.float64]

MAY_BE_UNKNOWN = ("diabetes", "hypertension")
"""Inputs that enter at the cohort's mean where a patient's own is not known."""
_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
_FORMS = (
    (re.compile(rf"^log1p\((\w+)/{_NUMBER}\)$"), "log1p"),
    (re.compile(rf"^(\w+)>={_NUMBER}$"), "at_least"),
    (re.compile(rf"^(\w+)/{_NUMBER}$"), "linear"),
    (re.compile(r"^([A-Za-z_]\w*)$"), "linear"),
)


def parse_terms(text: str) -> tuple[Term, ...]:
    """Return terms without coefficients. Raises Refused RISK_TERM_UNKNOWN."""
    return tuple(_parse(part.replace(" ", "")) for part in text.split(",") if part.strip())


def _parse(text: str) -> Term:
    for form, kind in _FORMS:
        found = form.match(text)
        if found is None:
            continue
        number = float(found[2]) if len(found.groups()) > 1 else 1.0
        if kind == "at_least":
            transform = Transform("at_least", threshold=number)
        elif number > 0:
            transform = Transform("log1p" if kind == "log1p" else "linear", scale=number)
        else:
            break
        return _blank(text, found[1], transform)
    raise Refused(
        "RISK_TERM_UNKNOWN",
        f"The term {text!r} is not understood.",
        "Write NAME, NAME/NUMBER, log1p(NAME/NUMBER) or NAME>=NUMBER, with commas between.",
    )


def _blank(name: str, source: str, transform: Transform) -> Term:
    may = source in MAY_BE_UNKNOWN and transform.kind == "linear"
    unknown: Literal["refuse", "center"] = "center" if may else "refuse"
    return Term(name, source, transform, 0.0, 0.0, 0.0, 0.0, unknown, "")


def inputs_of(terms: Sequence[Term]) -> tuple[str, ...]:
    """Return the inputs, each once, in order."""
    return tuple(dict.fromkeys(t.input for t in terms))


def fit_to(terms: Sequence[Term], cohort: Cohort) -> tuple[Term, ...]:
    """Return the terms with the cohort's ranges, and linear ones centred at its mean."""
    out = []
    for term in terms:
        x = cohort.inputs[term.input]
        transform = term.transform
        if transform.kind == "linear":
            transform = replace(transform, center=float(x.mean()))
        out.append(replace(term, transform=transform, low=float(x.min()), high=float(x.max())))
    return tuple(out)


def design(terms: Sequence[Term], cohort: Cohort) -> Floats:
    """Return the terms' values ``(n, p)`` without clamping."""
    columns = [[t.transform(float(x)) for x in cohort.inputs[t.input]] for t in terms]
    return np.array(columns, np.float64).T
