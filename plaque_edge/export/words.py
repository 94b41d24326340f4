"""The words and number formats of a result, shared by the PDF report and the console.

One place decides how a number is written, so that paper and screen can never disagree.
A value that was not measured is :data:`NOT_ANALYSABLE`, never ``0``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plaque_edge import RESEARCH_USE as RESEARCH_USE

if TYPE_CHECKING:
    from collections.abc import Mapping

NOT_ANALYSABLE = "not analysable"
TRAINING_NOTE = "Networks trained on synthetic scans only; never validated on patients"
UNSIGNED = "UNSIGNED"

STAGE_WORDS = ("No plaque", "Mild", "Moderate", "Severe")
"""Plaque stages 0 to 3 after Min et al. 2022, doi:10.1016/j.jcct.2022.03.001."""

STATUS_WORDS = {
    "ready": "READY",
    "review": "READY, REVIEW",
    "not_analysable": "NOT ANALYSABLE",
    "failed": "FAILED",
}

QC_WORDS = {
    "diagnostic": "DIAGNOSTIC",
    "limited": "LIMITED",
    "non_diagnostic": "NON-DIAGNOSTIC",
}

COMPONENTS = (
    ("C", "calcified", "#56B4E9"),
    ("N", "non-calcified", "#F0E442"),
    ("L", "low attenuation", "#D55E00"),
)
"""Letter, word and colour (Okabe and Ito's colour-blind-safe set) of each plaque component."""


def volume(mm3: float | None, *, lower_bound: bool = False, unit: bool = True) -> str:
    """Format a volume in mm³: whole numbers from 10 up, one decimal below."""
    if mm3 is None:
        return NOT_ANALYSABLE
    number = f"{mm3:.0f}" if mm3 >= 9.95 else f"{mm3:.1f}"
    return f"{'≥ ' if lower_bound else ''}{number}{' mm³' if unit else ''}"


def interval(measures: dict[str, Any], name: str = "plaque_mm3") -> str:
    """Return the 95 % interval of a volume, such as ``120–190``; empty where none is given."""
    ends = (measures.get("intervals_95") or {}).get(name)
    return "" if ends is None else "–".join(volume(x, unit=False) for x in ends)


def percent(value: float | None, digits: int = 1) -> str:
    """Format a value that is already in percent."""
    return NOT_ANALYSABLE if value is None else f"{value:.{digits}f} %"


def low_doubtful(result: Mapping[str, Any]) -> bool:
    """Whether this scan's technique makes its low-attenuation volumes worthless."""
    return (result.get("plaque_rule") or {}).get("low_attenuation_doubt") is not None


def doubted(text: str, doubtful: bool) -> str:
    """Mark a number that is not to be trusted: ``3.2 ?``. Missing ones stay as they are."""
    return f"{text} ?" if doubtful and text[-1:].isdigit() else text


def length(mm: float | None) -> str:
    """Format a length in mm."""
    return NOT_ANALYSABLE if mm is None else f"{mm:.0f} mm"


def probability(value: float) -> str:
    """Format a probability in 0..1 as percent with one decimal."""
    return f"{100 * value:.1f} %"


def stage(patient: Mapping[str, Any]) -> tuple[str, str]:
    """Return ``("Stage 2", "Moderate")``, or the words for a missing stage.

    When part of the tree was not analysable the stage is a lower bound, ``Stage ≥ 2``, and
    stage 0 is never called "no plaque".
    """
    value = patient.get("plaque_stage")
    if value is None:
        return "Stage", NOT_ANALYSABLE
    if not patient.get("lower_bound"):
        return f"Stage {value}", STAGE_WORDS[int(value)]
    return f"Stage ≥ {value}", STAGE_WORDS[int(value)] if value else "None found"


def parts(measures: Mapping[str, Any]) -> tuple[float, float, float] | None:
    """Split plaque in mm³ into C, N without L, and L; ``None`` when not measured.

    The result's ``noncalcified_mm3`` includes the low-attenuation part, so that is taken
    off here: the three parts of a stacked bar add up to the plaque volume.
    """
    calcified = measures.get("calcified_mm3")
    noncalcified = measures.get("noncalcified_mm3")
    low = measures.get("low_attenuation_mm3")
    if calcified is None or noncalcified is None or low is None:
        return None
    return float(calcified), max(0.0, float(noncalcified) - float(low)), float(low)


def corrected_by(corrections: Mapping[str, Any]) -> str:
    """Say who corrected a result and when: what every output of it has to show."""
    at = str(corrections["at"])
    return f"Corrected by {corrections['by']}, {at[:10]} {at[11:16]} UTC"


def date(dicom_date: str) -> str:
    """Turn a DICOM date ``20261123`` into ``2026-11-23``; anything else stays as it is."""
    text = dicom_date.strip()
    if len(text) == 8 and text.isdigit():
        return f"{text[:4]}-{text[4:6]}-{text[6:]}"
    return text or "unknown"


def time(dicom_time: str) -> str:
    """Turn a DICOM time ``140211.5`` into ``14:02``; anything else gives an empty text."""
    text = dicom_time.strip()
    return f"{text[:2]}:{text[2:4]}" if len(text) >= 4 and text[:4].isdigit() else ""


def person(dicom_name: str) -> str:
    """Turn a DICOM person name into one readable line.

    Component groups (alphabetic, ideographic, phonetic; PS3.5 section 6.2) are kept, since a
    reader may know only one of them: ``Yamada^Tarou=山田^太郎`` is ``Yamada, Tarou (山田 太郎)``.
    """
    groups = [group for group in dicom_name.split("=") if group.strip("^ ")]
    if not groups:
        return "name unknown"
    first = _alphabetic(groups[0])
    others = [" ".join(p for p in group.split("^") if p.strip()) for group in groups[1:]]
    return f"{first} ({', '.join(others)})" if others else first


def _alphabetic(group: str) -> str:
    family, *rest = (part.strip() for part in group.split("^"))
    given = " ".join(part for part in rest if part)
    return f"{family}, {given}" if family and given else family or given


def sex_age(sex: str | None, age_years: float | None) -> str:
    """Return for example ``F, 61 y``, naming what is unknown."""
    who = sex or "sex unknown"
    return f"{who}, {age_years:.0f} y" if age_years is not None else f"{who}, age unknown"


def qc_text(check: Mapping[str, Any]) -> str:
    """Return the sentence of one quality check, or its code in words when it has none."""
    text = str(check.get("text") or "").strip()
    return text or str(check.get("code", "")).replace("_", " ").capitalize()


def value(item: object) -> str:
    """Format the value of a quality check, whatever its type."""
    if item is None:
        return "not measured"
    if isinstance(item, bool):
        return "yes" if item else "no"
    if isinstance(item, float):
        return f"{item:.4g}"
    return str(item)


def branch_of(lesion: Mapping[str, Any]) -> str:
    """Return the branch name of a lesion, with its vessel where that says more."""
    branch, vessel = str(lesion.get("branch") or ""), str(lesion["vessel"])
    return f"{branch} ({vessel})" if branch and branch != vessel else vessel


def worst_lesion(lesions: list[dict[str, Any]]) -> int | None:
    """Index of the lesion with the tightest stenosis; ties and unknowns go by volume."""
    if not lesions:
        return None

    def rank(index: int) -> tuple[float, float]:
        item = lesions[index]
        stenosis = item.get("diameter_stenosis_percent")
        return (-1.0 if stenosis is None else float(stenosis), float(item["plaque_mm3"]))

    return max(range(len(lesions)), key=rank)
