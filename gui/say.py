"""The words of a result in the reader's language: :mod:`plaque_edge.export.words`, translated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QLocale

from gui import i18n
from gui.i18n import mark, tr
from plaque_edge.export import words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plaque_edge.types import Reason

MARKED = (
    mark("not analysable"), mark("Research use only, not a medical device"),
    mark("Networks trained on synthetic scans only; never validated on patients"),
    mark("UNSIGNED"), mark("No plaque"), mark("Mild"), mark("Moderate"), mark("Severe"),
    mark("None found"), mark("Stage"), mark("DIAGNOSTIC"), mark("LIMITED"),
    mark("NON-DIAGNOSTIC"), mark("calcified"), mark("non-calcified"), mark("low attenuation"),
    mark("Coronary"), mark("Plaque"), mark("Calcium"), mark("Soft tissue"), mark("Lung"),
    mark("name unknown"), mark("unknown"), mark("sex unknown"), mark("age unknown"),
)  # fmt: skip
"""Words of the result that are translated here; a test holds them against ``words``."""


def _local(text: str) -> str:
    if text == words.NOT_ANALYSABLE:
        return tr(text)
    return text.replace(".", QLocale().decimalPoint())


def volume(mm3: float | None, *, lower_bound: bool = False, unit: bool = True) -> str:
    """Format a volume in mm³."""
    return _local(words.volume(mm3, lower_bound=lower_bound, unit=unit))


def interval(measures: dict[str, Any], name: str = "plaque_mm3") -> str:
    """Return the 95 % interval of a volume; empty where none is given."""
    return _local(words.interval(measures, name))


def percent(value: float | None, digits: int = 1) -> str:
    """Format a value that is already in percent."""
    return _local(words.percent(value, digits))


def probability(value: float) -> str:
    """Format a probability in 0..1 as percent."""
    return _local(words.probability(value))


def stage(patient: Mapping[str, Any]) -> tuple[str, str]:
    """Return title and word of the plaque stage."""
    title, word = words.stage(patient)
    return title.replace("Stage", tr("Stage")), tr(word)


def person(dicom_name: str) -> str:
    """Return a person's name in one line."""
    return tr(words.person(dicom_name))


def sex_age(sex: str | None, age_years: float | None) -> str:
    """Return for example ``F, 61 y``."""
    who = sex or tr("sex unknown")
    age = tr("age unknown") if age_years is None else tr("{age} y", age=f"{age_years:.0f}")
    return f"{who}, {age}"


def reason(item: Mapping[str, Any]) -> tuple[str, str]:
    """Return sentence and next step of a coded reason."""
    code = str(item["code"])
    return (
        i18n.reason(code, str(item["text"])),
        i18n.next_step(code, str(item.get("next_step") or "")),
    )


def told(reason: Reason) -> str:
    """Return sentence, next step and code of a refusal in one line."""
    text = i18n.reason(reason.code, tr(reason.text))
    return f"{text} {i18n.next_step(reason.code, tr(reason.next_step))} ({reason.code})"


def check(item: Mapping[str, Any]) -> str:
    """Return one quality check in words, with its value."""
    if i18n.language() == "en":
        return words.qc_text(item)
    value = item.get("value")
    shown = "" if value is None else f" {_local(words.value(value))}"
    return i18n.reason(str(item.get("code", "")), words.qc_text(item)) + shown
