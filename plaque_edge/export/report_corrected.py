"""The report's block on a correction: who changed what, the analysis's numbers beside the new."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reportlab.platypus import Flowable, KeepTogether, Paragraph

from plaque_edge.export import report_story as story
from plaque_edge.export import words
from plaque_edge.export.report_parts import WARN
from plaque_edge.types import VESSELS

if TYPE_CHECKING:
    from collections.abc import Callable

_COLUMNS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("Plaque", "plaque_mm3", words.volume),
    ("PAV", "pav_percent", words.percent),
    ("Stenosis", "max_diameter_stenosis_percent", lambda v: words.percent(v, 0)),
)


def corrected(result: dict[str, Any], width: float) -> list[Flowable]:
    """Both numbers of the patient and of each vessel; nothing when nobody corrected."""
    said = result.get("corrections")
    if not said:
        return []
    head = [story._p("", story.MUTE)]
    for name, _, _ in _COLUMNS:
        head += [story._p(f"{name}: analysis", story.MUTE), story._p("corrected", story.MUTE)]
    rows = [head]
    before = said["original"]
    pairs = [("Patient", before["patient"], result["patient"])]
    pairs += [(v, before["vessels"][v], result["vessels"][v]) for v in VESSELS]
    for name, old, new in pairs:
        row = [story._p(name)]
        for _, key, write in _COLUMNS:
            row += [story._p(write(old.get(key))), story._p(write(new.get(key)))]
        rows.append(row)
    shares = [0.1, *[0.15] * (2 * len(_COLUMNS))]
    table = story._table(
        rows, [s * width for s in shares], ("LINEBEFORE", (0, 0), (0, -1), 2, WARN)
    )
    title = Paragraph("Corrected by a person", story.HEAD)
    text = story._p(f"{words.corrected_by(said)}. Every other number here is the corrected one.")
    return [KeepTogether([title, text, table])]
