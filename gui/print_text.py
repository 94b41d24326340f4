"""The pages behind the picture: everything the screen shows only in part, as a document."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from gui import change_table, i18n, say
from gui.change_words import corrected, difference
from gui.edit_words import correction_lines
from gui.i18n import tr
from gui.result_cards import extra_findings, high_risk
from gui.review_bar import decision
from gui.serial_page import summary
from plaque_edge.export import words
from plaque_edge.types import VESSELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gui.case import OpenCase

STYLE = """
h2 { font-size: 15px; margin: 14px 0 4px 0; } p, li { font-size: 12px; margin: 2px 0; }
th { font-size: 12px; text-align: left; color: #515E6B; } td { font-size: 12px; }
"""


def identity(case: OpenCase) -> str:
    """Return whose study this is, in one line and never shortened."""
    info = case.row.info
    parts = (
        say.person(info.patient_name),
        tr("ID {id} · born {date}", id=info.patient_id or tr("unknown"),
           date=i18n.date(info.birth_date)),
        say.sex_age(info.sex, info.age_years),
        tr("Study {when} · acc. {accession}", when=i18n.date(info.study_date),
           accession=info.accession_number or tr("unknown")),
        tr("revision {number}", number=case.row.revision),
    )  # fmt: skip
    return " · ".join(parts)


def signed(case: OpenCase) -> str:
    """Return who signed, or UNSIGNED."""
    if case.review.standing != "signed":
        return tr(words.UNSIGNED)
    decided = case.review.decided
    assert decided is not None
    text = tr("Signed: {person}", person=decided.done.person)
    return f"{text} ({decision(case.review)})"


def of_result(case: OpenCase) -> str:
    """Return vessels, lesions, quality, risk and reasons of a case as HTML."""
    parts = []
    if case.review.standing == "rejected":
        parts.append(_list(tr("REJECTED"), [decision(case.review)]))
    result = case.result
    if result is None:
        reason = case.row.reason
        lines = [] if reason is None else [f"{reason.text} {reason.next_step} ({reason.code})"]
        return "".join([*parts, _list(tr("No value measured"), lines)])
    parts.append(_list(tr("CORRECTED"), correction_lines(case)))
    if result["status"] in ("ready", "review"):
        parts.append(_list(tr("Findings"), extra_findings(result)))
        parts += [_vessels(result), _lesions(result.get("lesions") or [])]
    else:
        parts.append(_list(tr("No value measured"), []))
    reasons = [f"{' '.join(say.reason(r))} ({r['code']})" for r in result["reasons"]]
    parts.append(_list(tr("Reasons"), reasons))
    levels = {"pass": tr("passed"), "warn": tr("warning"), "refuse": tr("refused")}
    checks = [f"{levels[c['level']]}: {say.check(c)}" for c in result["qc"]["checks"]]
    parts += [_list(tr("Image quality"), checks), _risk(result["risk"])]
    return "".join(parts)


def of_change(data: dict[str, Any]) -> str:
    """Return a comparison as HTML: what lowers its claims, every line of the table."""
    different = [difference(text) for text in data["comparability"]["differences"]]
    different = [*corrected(data), *different]
    rows = (texts for _, texts, _ in change_table.rows_of(data))
    lowered = _list(tr("CLAIMS LOWERED"), different)
    heads = [tr(h) for h in change_table.HEADS]
    table = _table(tr("Change between the studies"), heads, rows)
    return f"{lowered}{table}<p>{escape(summary(data))}</p>"


def _vessels(result: dict[str, Any]) -> str:
    heads = [tr("Vessel"), f"{tr('Plaque')} mm³", "C", tr("N incl. L"), "L", "PAV", tr("Stenosis")]
    measured = {**result["vessels"], tr("Patient"): result["patient"]}
    rows = []
    for name in (*VESSELS, tr("Patient")):
        found = measured[name]
        volumes = [
            say.volume(found[f"{key}_mm3"], unit=False)
            for key in ("plaque", "calcified", "noncalcified", "low_attenuation")
        ]
        tightest = say.percent(found["max_diameter_stenosis_percent"], 0)
        rows.append((name, *volumes, say.percent(found["pav_percent"]), tightest))
    return _table(tr("Plaque volume per vessel"), heads, rows)


def _lesions(lesions: list[dict[str, Any]]) -> str:
    heads = [tr("Branch"), tr("At, mm"), tr("Stenosis"), "mm³", "C", "N", "L", tr("High risk")]
    rows = []
    for item in lesions:
        parts = words.parts(item) or (None, None, None)
        rows.append(
            (
                words.branch_of(item),
                f"{item['start_mm']:.0f}–{item['end_mm']:.0f}",
                say.percent(item["diameter_stenosis_percent"], 0),
                say.volume(item["plaque_mm3"], unit=False),
                *(say.volume(p, unit=False) for p in parts),
                ", ".join(high_risk(item)),
            )
        )
    return _table(tr("Lesions"), heads, rows) if rows else ""


def _risk(risk: dict[str, Any] | None) -> str:
    if risk is None:
        return _list(tr("Risk with 95 % interval"), [tr("Not estimated")])
    lines = [
        f"{tr('{years} y', years=f'{years:g}')}: {say.probability(p)} ({i18n.number(100 * low, 1)}–"
        f"{i18n.number(100 * high, 1)} %)"
        for years, p, low, high in zip(
            risk["horizons_years"], risk["probability"], risk["lower"], risk["upper"], strict=True
        )
    ]
    lines.append(tr("Research model. Endpoint: {what}.", what=tr(risk["endpoint"])))
    lines += [tr(text) for text in risk.get("limits", [])]
    return _list(tr("Risk with 95 % interval"), lines)


def _list(title: str, lines: Sequence[str]) -> str:
    if not lines and title != tr("No value measured"):
        return ""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<h2>{escape(title)}</h2><ul>{items}</ul>"


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(h)}</th>" for h in heads)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    table = f'<table cellspacing="0" cellpadding="3"><tr>{head}</tr>{body}</table>'
    return f"<h2>{escape(title)}</h2>{table}"
