"""The report's numbers per segment, the patient's scores, and high-risk features of lesions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reportlab.lib.units import mm
from reportlab.platypus import CondPageBreak, Flowable, KeepTogether, Paragraph, Spacer

from plaque_edge.export import report_story as story
from plaque_edge.export import words
from plaque_edge.export.report_parts import MUTED

if TYPE_CHECKING:
    from collections.abc import Callable

_COLUMNS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("Plaque", "plaque_mm3", lambda v: words.volume(v, unit=False)),
    ("C", "calcified_mm3", lambda v: words.volume(v, unit=False)),
    ("N incl. L", "noncalcified_mm3", lambda v: words.volume(v, unit=False)),
    ("L", "low_attenuation_mm3", lambda v: words.volume(v, unit=False)),
    ("PAV", "pav_percent", words.percent),
    ("Stenosis", "max_diameter_stenosis_percent", lambda v: words.percent(v, 0)),
    ("MLA mm²", "minimal_lumen_area_mm2", lambda v: "" if v is None else f"{v:.1f}"),
    ("Remodelling", "remodeling_index", lambda v: "" if v is None else f"{v:.2f}"),
    ("Length", "length_mm", words.length),
)


_BOUNDED = (
    ("C", "calcified_mm3"), ("N incl. L", "noncalcified_mm3"), ("L", "low_attenuation_mm3"),
    ("Plaque", "plaque_mm3"), ("Lumen", "lumen_mm3"), ("Vessel", "vessel_mm3"),
)  # fmt: skip


def intervals(result: dict[str, Any], width: float) -> list[Flowable]:
    """95 % intervals per vessel and of the patient; nothing when a result has none."""
    items = [*result["vessels"].items(), ("Patient", result["patient"])]
    known = [(name, item) for name, item in items if item.get("intervals_95")]
    if not known:
        return []
    right = story._style(7.5, MUTED, alignment=2)
    small = story._style(7.5, alignment=2)
    rows: list[list[Any]] = [
        [story._p("95 % interval, mm³", story.MUTE), *(story._p(c, right) for c, _ in _BOUNDED)]
    ]
    rows += [
        [story._p(name, story.SMALL), *(story._p(words.interval(x, k) or "–", small)
                                        for _, k in _BOUNDED)]
        for name, x in known
    ]  # fmt: skip
    source = result.get("intervals") or {}
    note = f"Calibrated on {source.get('scans')} synthetic scans, each volume by itself: the ends "
    note += "do not add up. None for a lower bound, nor (–) where it can't be told."
    table = story._table(rows, [s * width for s in (0.22, *[0.13] * len(_BOUNDED))])
    return [KeepTogether([Spacer(1, 1.5 * mm), table, story._p(note, story.MUTE)])]


def scores(result: dict[str, Any], width: float) -> list[Flowable]:
    """SIS, SSS, coverage and the CAD-RADS proposal; nothing when a result has none."""
    patient = result["patient"]
    proposal = patient.get("cad_rads")
    if not proposal:
        return []
    rows = [
        ("CAD-RADS 2.0, a proposal", f"{proposal['text']}: {proposal['because']}. Plaque category "
         f"from {proposal['plaque_basis']}. A reader confirms or changes it."),
        ("Segments", f"with plaque (SIS) {patient['segment_involvement_score']}, stenosis score "
         f"(SSS) {patient['segment_stenosis_score']}; stage by PAV "
         f"{words.value(patient.get('pav_stage'))}"),
    ]  # fmt: skip
    if patient.get("coverage_percent") is not None:
        share, length = (
            words.percent(patient["coverage_percent"], 0),
            words.length(patient["length_mm"]),
        )
        text = f"{share} of the nine trunk segments, {length} of vessel{_missing(patient)}"
        rows.append(("Coverage", text))
    if patient.get("agatston"):
        found = patient["agatston"]
        each = ", ".join(f"{v} {s:.0f}" for v, s in found["vessels"].items())
        rows.append(("Calcium score", f"{found['total']:.0f} ({each}). {found['text']}."))
    cells = [[story._p(a, story.MUTE), story._p(b, story.SMALL)] for a, b in rows]
    head = Paragraph("Scores", story.HEAD)
    return [KeepTogether([head, story._table(cells, [0.2 * width, 0.8 * width])])]


def _missing(patient: dict[str, Any]) -> str:
    missing = patient.get("missing_segments") or []
    return f"; not analysed: {', '.join(str(n) for n in missing)}" if missing else ""


def segments(result: dict[str, Any], width: float) -> list[Flowable]:
    """One line per segment with plaque; the others are named beneath."""
    found = result.get("segments") or []
    if not found:
        return []
    ill = [s for s in found if (s["plaque_mm3"] or 0) > 0]
    head = Paragraph("Segments (SCCT 18-segment model)", story.HEAD)
    note = "Traced, without plaque: " + (
        ", ".join(f"{s['number']} {s['name']}" for s in found if s not in ill) or "none"
    )
    if not ill:
        return [KeepTogether([head, story._p(f"{note}.", story.MUTE)])]
    right = story._style(7.5, MUTED, alignment=2)
    rows: list[list[Any]] = [
        [story._p("Segment", story.MUTE), *(story._p(c, right) for c, _, _ in _COLUMNS)]
    ]
    small, doubtful = story._style(7.5, alignment=2), words.low_doubtful(result)
    for s in ill:
        name = f"{s['number']} {s['name']}"
        cells = (words.doubted(w(s.get(k)), doubtful and c == "L") for c, k, w in _COLUMNS)
        rows.append([story._p(name, story.SMALL), *(story._p(text, small) for text in cells)])
    shares = (0.21, 0.085, 0.07, 0.095, 0.065, 0.085, 0.095, 0.085, 0.11, 0.1)
    note += ". Borders are those of the standard, or what stands for them on a traced tree "
    note += "(result.json, borders)."
    table = story._table(rows, [s * width for s in shares])
    room = CondPageBreak(story.ROOM)
    return [room, head, table, Spacer(1, 1 * mm), story._p(note, story.MUTE)]


FEATURE_WORDS = {
    "low_attenuation": "low attenuation",
    "positive_remodeling": "positive remodelling",
    "spotty_calcification": "spotty calcification",
    "napkin_ring": "napkin-ring sign",
}


def features(lesions: list[dict[str, Any]]) -> list[Flowable]:
    """High-risk features that were found, each with its rule and where to look."""
    lines: list[Flowable] = []
    for lesion in lesions:
        for f in lesion.get("features") or []:
            if f["present"]:
                where = f"{words.branch_of(lesion)}, cross-section {f['cross_section']}"
                text = f"{FEATURE_WORDS[f['name']]}: {where}; {f['rule']}."
                lines.append(story._p(f"• {text}", story.SMALL))
    doubtful = any(f["present"] is None for x in lesions for f in x.get("features") or [])
    if doubtful:
        lines.append(
            story._p("• Features that can't be told in this scan are left out.", story.MUTE)
        )
    if not lines:
        return []
    head = Paragraph("High-risk features, by rule", story.HEAD)
    return [KeepTogether([head, *lines[:3]]), *lines[3:14]]
