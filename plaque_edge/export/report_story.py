"""What the report says, block by block, as reportlab flowables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import (
    CondPageBreak,
    Flowable,
    Image,
    KeepTogether,
    Paragraph,
    Spacer,
    Table,
)

from plaque_edge.export import words
from plaque_edge.export.report_fonts import BOLD, REGULAR, markup
from plaque_edge.export.report_parts import (
    ACCENT,
    INK,
    LINE,
    MUTED,
    PALE,
    STOP,
    WARN,
    Bars,
    RiskCurve,
    picture,
)
from plaque_edge.types import VESSELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plaque_edge.types import SeriesInfo


def _style(size: float, color: Any = INK, font: str = REGULAR, **more: Any) -> ParagraphStyle:
    return ParagraphStyle(
        "s", fontName=font, fontSize=size, leading=1.3 * size, textColor=color, **more
    )


BODY, SMALL, MUTE = _style(8.5), _style(7.5), _style(7.5, MUTED)
HEAD = _style(10.5, ACCENT, BOLD, spaceBefore=9, spaceAfter=4)
RIGHT = _style(8.5, alignment=2)
ROOM = 32 * mm
"""A heading with less room below it goes to the next page."""
STATUS_COLORS = {"ready": ACCENT, "review": WARN, "not_analysable": STOP, "failed": STOP}
GRID = [
    ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
    ("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE),
    ("TOPPADDING", (0, 0), (-1, -1), 2.2),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 2.8),
    ("LEFTPADDING", (0, 0), (-1, -1), 3),
    ("RIGHTPADDING", (0, 0), (-1, -1), 3),
]


def build(
    result: dict[str, Any], info: SeriesInfo, images: dict[str, NDArray[Any]], width: float
) -> list[Flowable]:
    """Return all blocks in reading order for a text ``width`` in points."""
    from plaque_edge.export.report_corrected import corrected
    from plaque_edge.export.report_segments import features, intervals, scores, segments

    out: list[Flowable] = [_identity(result, info, width), Spacer(1, 3 * mm)]
    measured = result["status"] in ("ready", "review")
    out.append(_headline(result, width) if measured else _refusal(result, width))
    out += corrected(result, width)
    if result["reasons"]:
        out += _reasons(result["reasons"], width)
    if measured:
        out += [Paragraph("Plaque volume per vessel", HEAD), Bars(result, width), Spacer(1, 2 * mm)]
        out += _vessels(result, width)
        out += intervals(result, width)
        out += scores(result, width)
        out += _lesions(result, width)
        out += features(result.get("lesions") or [])
        out += segments(result, width)
    if images:
        out.append(_pictures(images, width))
    if measured:
        out += _risk(result, width)
    out += _quality(result["qc"], width)
    out += _technique(result, info, width)
    return out


def _p(text: object, style: ParagraphStyle = BODY) -> Paragraph:
    return Paragraph(markup(text), style)


def _table(rows: Sequence[Sequence[Any]], widths: Sequence[float], *more: Any) -> Table:
    return Table(rows, colWidths=list(widths), style=[*GRID, *more], hAlign="LEFT")


def _identity(result: dict[str, Any], info: SeriesInfo, width: float) -> Table:
    study = f"{words.date(info.study_date)} {words.time(info.study_time)}".strip()
    rows = [
        ("Patient", words.person(info.patient_name), "Study", study),
        ("Patient ID", info.patient_id or "unknown", "Accession",
         info.accession_number or "unknown"),
        ("Born", words.date(info.birth_date), "Description",
         info.study_description or "unknown"),
        ("Sex, age", words.sex_age(info.sex, info.age_years), "Series",
         f"{info.series_description or 'unnamed'} ({result['series']['instances']} instances)"),
    ]  # fmt: skip
    cells = [
        [_p(a, MUTE), _p(b, _style(9, INK, BOLD) if i == 0 else BODY), _p(c, MUTE), _p(d)]
        for i, (a, b, c, d) in enumerate(rows)
    ]
    shares = (0.11, 0.41, 0.12, 0.36)
    return _table(cells, [s * width for s in shares], ("BACKGROUND", (0, 0), (-1, -1), PALE))


def _headline(result: dict[str, Any], width: float) -> Table:
    patient = result["patient"]
    bound = bool(patient.get("lower_bound"))
    title, word = words.stage(patient)
    figures = [
        (title, word),
        ("Total plaque volume", words.volume(patient["plaque_mm3"], lower_bound=bound)),
        ("Percent atheroma volume", words.percent(patient["pav_percent"])),
        ("Tightest stenosis", words.percent(patient["max_diameter_stenosis_percent"], 0)),
        ("Status", words.STATUS_WORDS[result["status"]]),
    ]
    big, none = _style(13, INK, BOLD), _style(9.5, STOP, BOLD)
    state = _style(10.5, STATUS_COLORS[result["status"]], BOLD)
    range_95 = words.interval(patient)
    values: list[Any] = [
        _p(v, state if i == 4 else none if v == words.NOT_ANALYSABLE else big)
        for i, (_, v) in enumerate(figures)
    ]
    if range_95:
        values[1] = [values[1], _p(f"95 % interval {range_95}", MUTE)]
    table = Table(
        [[_p(k, MUTE) for k, _ in figures], values],
        colWidths=[width * s for s in (0.19, 0.21, 0.22, 0.18, 0.20)],
        style=[
            ("BOX", (0, 0), (-1, -1), 1, ACCENT),
            ("TOPPADDING", (0, 0), (-1, 0), 5),
            ("BOTTOMPADDING", (0, 1), (-1, 1), 8),
            ("VALIGN", (0, 1), (-1, 1), "TOP"),
        ],
    )
    return table


def _refusal(result: dict[str, Any], width: float) -> Table:
    failed = result["status"] == "failed"
    text = (
        "The software could not finish. No value was measured; trying again may help."
        if failed
        else "This series cannot be measured. No value was measured: this is not a finding of "
        "“no plaque”."
    )
    return Table(
        [[_p(words.STATUS_WORDS[result["status"]], _style(17, STOP, BOLD))], [_p(text)]],
        colWidths=[width],
        style=[
            ("BOX", (0, 0), (-1, -1), 1.4, STOP),
            ("TOPPADDING", (0, 0), (-1, 0), 7),
            ("BOTTOMPADDING", (0, 0), (-1, 0), 6),
            ("BOTTOMPADDING", (0, 1), (-1, 1), 9),
        ],
    )


def _reasons(reasons: list[dict[str, Any]], width: float) -> list[Flowable]:
    rows: list[list[Any]] = []
    for reason in reasons:
        text = markup(reason["text"])
        if reason.get("next_step"):
            text += f' <font color="#5A6675">{markup(reason["next_step"])}</font>'
        rows.append([Paragraph(text, BODY), _p(reason["code"], MUTE)])
    return [
        Paragraph("What a person must know", HEAD),
        _table(rows, [0.72 * width, 0.28 * width], ("LINEBEFORE", (0, 0), (0, -1), 2, WARN)),
    ]


_COLUMNS = (
    ("C", "calcified_mm3", words.volume),
    ("N incl. L", "noncalcified_mm3", words.volume),
    ("L", "low_attenuation_mm3", words.volume),
    ("Plaque", "plaque_mm3", words.volume),
    ("Lumen", "lumen_mm3", words.volume),
    ("Vessel", "vessel_mm3", words.volume),
)


def _vessels(result: dict[str, Any], width: float) -> list[Flowable]:
    header = ["mm³", *(c for c, _, _ in _COLUMNS), "PAV", "Stenosis", "Length", "Status"]
    rows: list[list[Any]] = [[_p(h, MUTE if i in (0, 10) else _style(7.5, MUTED, alignment=2))
                              for i, h in enumerate(header)]]  # fmt: skip
    style: list[Any] = []
    patient = {**result["patient"], "status": ""}
    doubtful = words.low_doubtful(result)
    for name, item in [*((v, result["vessels"][v]) for v in VESSELS), ("Patient", patient)]:
        status = str(item["status"]).replace("_", " ")
        row: list[Any] = [_p(name, _style(8.5, INK, BOLD))]
        if status == words.NOT_ANALYSABLE:
            row += [_p(words.NOT_ANALYSABLE, _style(8.5, STOP, BOLD)), *[""] * 9]
            style.append(("SPAN", (1, len(rows)), (10, len(rows))))
            rows.append(row)
            continue
        bound = status == "partial" or bool(item.get("lower_bound"))
        row += [
            _p(words.doubted(_plain(item.get(key), bound), doubtful and letter == "L"), RIGHT)
            for letter, key, _ in _COLUMNS
        ]
        row.append(_p(words.percent(item["pav_percent"]), RIGHT))
        row.append(_p(words.percent(item["max_diameter_stenosis_percent"], 0), RIGHT))
        row.append(_p(words.length(item["length_mm"]) if "length_mm" in item else "", RIGHT))
        row.append(_p(status or ("lower bound" if bound else "complete")))
        rows.append(row)
    shares = (0.085, 0.075, 0.095, 0.075, 0.09, 0.09, 0.09, 0.085, 0.09, 0.095, 0.13)
    note = "C calcified, N non-calcified (here with its low-attenuation part L), PAV percent "
    note += "atheroma volume = plaque / vessel. Side branches count to their parent vessel."
    if patient.get("lower_bound"):
        note += " ≥: part of the tree was not analysable, so the volume is a lower bound."
    if doubtful:
        note += " ?: low attenuation can't be told in this scan, here and below: not to be used."
    style += [("LINEABOVE", (0, 5), (-1, 5), 0.8, INK), ("BACKGROUND", (0, 5), (-1, 5), PALE)]
    return [_table(rows, [s * width for s in shares], *style), Spacer(1, 1 * mm), _p(note, MUTE)]


def _plain(mm3: float | None, bound: bool) -> str:
    return words.volume(mm3, lower_bound=bound, unit=False)


def _lesions(result: dict[str, Any], width: float) -> list[Flowable]:
    lesions, doubtful = result.get("lesions") or [], words.low_doubtful(result)
    if not lesions:
        return [Paragraph("Lesions", HEAD), _p("No lesion found in the analysed vessels.")]
    right = _style(7.5, MUTED, alignment=2)
    header = ("Branch", "From to", "Plaque", "C", "N incl. L", "L", "Stenosis", "Remodelling")
    rows: list[list[Any]] = [[_p(h, right if i else MUTE) for i, h in enumerate(header)]]
    for lesion in sorted(lesions, key=_rank, reverse=True)[:12]:
        remodeling = lesion.get("remodeling_index")
        rows.append([
            _p(words.branch_of(lesion)),
            _p(f"{lesion['start_mm']:.0f} to {lesion['end_mm']:.0f} mm", RIGHT),
            _p(words.volume(lesion["plaque_mm3"]), RIGHT),
            _p(_plain(lesion.get("calcified_mm3"), False), RIGHT),
            _p(_plain(lesion.get("noncalcified_mm3"), False), RIGHT),
            _p(words.doubted(_plain(lesion.get("low_attenuation_mm3"), False), doubtful), RIGHT),
            _p(words.percent(lesion["diameter_stenosis_percent"], 0), RIGHT),
            _p(words.NOT_ANALYSABLE if remodeling is None else f"{remodeling:.2f}", RIGHT),
        ])  # fmt: skip
    shares = (0.16, 0.16, 0.14, 0.09, 0.12, 0.09, 0.12, 0.12)
    out: list[Flowable] = [Paragraph("Lesions, tightest first", HEAD)]
    out.append(_table(rows, [s * width for s in shares]))
    if len(lesions) > 12:
        out.append(_p(f"{len(lesions) - 12} more lesions are in result.json.", MUTE))
    return [KeepTogether(out)]


def _rank(lesion: dict[str, Any]) -> tuple[float, float]:
    stenosis = lesion["diameter_stenosis_percent"]
    return (-1.0 if stenosis is None else float(stenosis), float(lesion["plaque_mm3"]))


def _pictures(images: dict[str, NDArray[Any]], width: float) -> Flowable:
    cell = width / min(3, len(images))
    cells, captions = [], []
    for caption, array in list(images.items())[:3]:
        height, wide = array.shape[:2]
        scale = min((cell - 3 * mm) / wide, 56 * mm / height)
        reader = picture(array)
        cells.append(Image(reader.fp, wide * scale, height * scale))
        captions.append(_p(caption, MUTE))
    style = [
        ("ALIGN", (0, 0), (-1, -1), "LEFT"),
        ("VALIGN", (0, 0), (-1, -1), "BOTTOM"),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
    ]
    table = Table([cells, captions], colWidths=[cell] * len(cells), style=style, hAlign="LEFT")
    note = "Patient's right is on the left. Overlay: C light blue, N yellow, L vermilion, "
    note += "lumen outlined."
    return KeepTogether([Paragraph("Images", HEAD), table, _p(note, MUTE)])


def _risk(result: dict[str, Any], width: float) -> list[Flowable]:
    head = Paragraph("Risk (research model)", HEAD)
    risk = result["risk"]
    if risk is None:
        return [KeepTogether([head, _p("Not estimated. The reasons are listed above.")])]
    last = len(risk["horizons_years"]) - 1
    main = f"{words.probability(risk['probability'][last])} within "
    main += f"{risk['horizons_years'][last]:g} years (95 % interval "
    main += f"{words.probability(risk['lower'][last])} to "
    main += f"{words.probability(risk['upper'][last])})"
    ratio = f"{risk['relative_to_no_plaque']:.1f} times a person of the same age and sex "
    ratio += "without plaque"
    text: list[Flowable] = [_p(main, _style(10, INK, BOLD)), _p(ratio), Spacer(1, 1.5 * mm)]
    text.append(_p(f"Endpoint: {risk['endpoint']}.", SMALL))
    text += [_p(f"• {limit}", MUTE) for limit in risk.get("limits", [])]
    text += [_p(f"• {w.get('text', w)}" if isinstance(w, dict) else f"• {w}", SMALL)
             for w in risk.get("warnings", [])]  # fmt: skip
    bands = zip(risk["lower"], risk["upper"], strict=True)
    fine = _style(6.5, alignment=2)
    years = [
        [_p("Year", MUTE), *(_p(f"{y:g}", RIGHT) for y in risk["horizons_years"])],
        [_p("Risk", MUTE), *(_p(words.probability(p), RIGHT) for p in risk["probability"])],
        [_p("95 %", MUTE), *(_p(f"{100 * a:.1f} to {100 * b:.1f}", fine) for a, b in bands)],
    ]
    part = 0.46 * width
    columns = len(risk["horizons_years"])
    numbers = _table(years, [0.10 * part, *[(0.90 * part - 12) / columns] * columns])
    both = Table(
        [[text, [RiskCurve(risk, part - 12, 36 * mm), numbers]]],
        colWidths=[width - part, part],
        style=[("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (0, 0), 0)],
    )
    return [KeepTogether([head, both])]


def _quality(qc: dict[str, Any], width: float) -> list[Flowable]:
    """List in full what a check found wanting, and in a few lines what is in order."""
    head = Paragraph(f"Image quality: {words.QC_WORDS[qc['verdict']].lower()}", HEAD)
    if not qc["checks"]:
        return [KeepTogether([head, _p("No check could be made.")])]
    wanting = [c for c in qc["checks"] if c["level"] != "pass"]
    passed = [words.qc_text(c).rstrip(".") for c in qc["checks"] if c["level"] == "pass"]
    out: list[Flowable] = [CondPageBreak(ROOM), head]
    if wanting:
        out += [_checks(wanting, width), Spacer(1, 1 * mm)]
    if passed:
        text = f"{len(passed)} of {len(qc['checks'])} checks passed: {'. '.join(passed)}."
        out.append(_p(f"{text} Values and limits of all checks are in result.json.", MUTE))
    return out


def _checks(checks: list[dict[str, Any]], width: float) -> Table:
    rows: list[list[Any]] = [[_p(h, MUTE) for h in ("Check", "Value", "Limits", "Verdict")]]
    tint = {"warn": WARN, "refuse": STOP}
    for check in checks:
        text = words.qc_text(check)
        if check.get("next_step"):
            text = f"{text.rstrip('.')}. {check['next_step']}"
        word = _style(8.5, tint[check["level"]], BOLD)
        rows.append([_p(text), _p(words.value(check["value"])),
                     _p(check.get("limits") or "", MUTE), _p(check["level"], word)])  # fmt: skip
    return _table(rows, [width * s for s in (0.52, 0.18, 0.20, 0.10)])


def _technique(result: dict[str, Any], info: SeriesInfo, width: float) -> list[Flowable]:
    software, series = result["software"], result["series"]
    model = software["model"] or {}
    risk = software["risk_model"] or {}
    spacing = series["spacing_zyx_mm"]
    kvp = f"{info.kvp:g} kVp" if info.kvp else "kVp unknown"
    scan = [kvp, f"kernel {info.kernel or 'unknown'}"]
    if spacing:
        scan.append("spacing " + " × ".join(f"{s:.2f}" for s in spacing) + " mm (z, y, x)")
    if info.phase_percent is not None:
        scan.append(f"phase {info.phase_percent:g} %")
    ran = f"{software['provider']}, precision {software.get('precision') or 'unknown'}"
    if software["provider"] == "none":
        ran = "no engine: the networks did not run"
    seconds = (result["timing_ms"].get("total") or 0) / 1000
    rows = [
        ("Software", f"plaque-edge {software['version']}; analysed in {seconds:.1f} s on {ran}"),
        ("Networks", _model(model)),
        ("Risk model", _model(risk) if risk else "none applied"),
        ("Scan", ", ".join(scan)),
        ("Plaque stages", "by total plaque volume and PAV: 0 none, 1 mild, 2 moderate, 3 severe"),
        ("Why this series", series.get("chosen_because") or "only one series"),
        ("Series UID", series["series_instance_uid"]),
        ("Training", f"{words.TRAINING_NOTE}."),
    ]
    if result.get("plaque_rule"):
        rows.insert(5, ("Plaque split", _split(result["plaque_rule"])))
    cells = [[_p(k, MUTE), _p(v, SMALL)] for k, v in rows]
    return [KeepTogether([Paragraph("Technique", HEAD),
                          _table(cells, [0.16 * width, 0.84 * width])])]  # fmt: skip


def _split(rule: dict[str, Any]) -> str:
    """Say by which rule plaque was split into components, and which others were computed."""
    others = "; ".join(f"{r['name']}: {r['text']}" for r in rule["rules"])
    main = {"network": "by the network's fractions"}.get(rule["default"], rule["default"])
    return f"{main}. Also in result.json: {others}."


def _model(model: dict[str, Any]) -> str:
    name = f"{model.get('name') or ''} {model.get('version') or ''}".strip()
    return f"{name}, sha256 {model.get('sha256') or 'unknown'}" if name else "none"
