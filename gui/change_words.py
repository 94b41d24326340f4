"""The words of a comparison in the reader's language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gui import i18n
from gui.i18n import mark, tr

if TYPE_CHECKING:
    from collections.abc import Mapping

CLAIMS = {
    "no measurable change": (mark("no measurable change"), "quiet", "="),
    "not judged: repeatability was not measured": (
        mark("not judged: repeatability was not measured"), "quiet", "?",
    ),
    "not judged: low attenuation can't be told in one of the scans": (
        mark("not judged: low attenuation can't be told in one of the scans"), "quiet", "?",
    ),
    "increase": (mark("increase"), "bad", "▲"),
    "decrease": (mark("decrease"), "ok", "▼"),
    "possible increase: the scans were made differently": (
        mark("possible increase: the scans were made differently"), "warn", "▲?",
    ),
    "possible decrease: the scans were made differently": (
        mark("possible decrease: the scans were made differently"), "warn", "▼?",
    ),
    "possible increase: a person corrected the numbers": (
        mark("possible increase: a person corrected the numbers"), "warn", "▲?",
    ),
    "possible decrease: a person corrected the numbers": (
        mark("possible decrease: a person corrected the numbers"), "warn", "▼?",
    ),
}  # fmt: skip
"""Each claim of ``compare``: text, tone and sign; a test holds them against its code."""
NEUTRAL = ("lumen_mm3", "vessel_mm3")
"""More of these is no bad news: their tone is quiet."""
MEASURES = {
    "plaque_mm3": mark("Plaque"),
    "calcified_mm3": mark("Calcified"),
    "noncalcified_mm3": mark("Non-calcified"),
    "low_attenuation_mm3": mark("Low attenuation"),
    "pav_percent": "PAV",
    "lumen_mm3": mark("Lumen"),
}
TECHNIQUE = (mark("kernel"), mark("tube voltage"), mark("scanner"), mark("spacing"))


def claim(change: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return text, tone and sign of what may be said of a change."""
    text, tone, sign = CLAIMS.get(change["claim"], (change["claim"], "quiet", "?"))
    return tr(text), tone, sign


def corrected(data: Mapping[str, Any]) -> list[str]:
    """Say of which study a person corrected the numbers, and who and when."""
    sides = {
        "before": mark("Prior corrected by {person}, {day} {time}"),
        "after": mark("Present corrected by {person}, {day} {time}"),
    }
    out = []
    for side, text in sides.items():
        said = data[side].get("corrected")
        if said:
            time, day = i18n.clock(said["at"])
            out.append(tr(text, person=said["by"], day=day, time=time))
    return out


def excluded(data: Mapping[str, Any]) -> list[str]:
    """Say what was excluded, so that it is compared in neither study."""
    texts = {
        "before": mark("excluded in the prior, not compared: {branch} {length} mm"),
        "after": mark("excluded in the present, not compared: {branch} {length} mm"),
    }
    return [
        tr(texts[x["study"]], branch=x["branch"], length=i18n.number(x["length_mm"]))
        for x in data["registration"].get("excluded", ())
    ]


def difference(text: str) -> str:
    """Translate one technical difference, such as ``kernel Bv40 and Bv36``."""
    word = next((w for w in TECHNIQUE if text.startswith(f"{w} ")), None)
    if word is None:
        return text
    values = text.removeprefix(f"{word} ")
    if values == "unknown":
        return tr("{what} unknown", what=tr(word))
    return tr("{what} {values}", what=tr(word), values=values.replace(" and ", " / "))


def amount(value: float | None, *, signed: bool = False) -> str:
    """Write an amount, ``n/a`` where there is none; a sign where it is a change."""
    if value is None:
        return tr("n/a")
    shown = i18n.number(abs(value) if signed else value, 1)
    if not signed:
        return shown
    return f"{'−' if value < 0 else '+'}{shown}"


def years(value: float | None) -> str:
    """Write the time between two studies."""
    if value is None:
        return tr("unknown time between them")
    return tr("{years} years between them", years=i18n.number(value, 1))
