"""The PDF report: what it says, on every page, for every kind of result."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pypdf import PdfReader

from gui.sample import ORIGIN_ZYX_MM, sample_info, sample_result, sample_view
from plaque_edge.export import overlay, report_fonts, words
from plaque_edge.export.report_pdf import write_pdf

if TYPE_CHECKING:
    from pathlib import Path


def _text(path: Path) -> list[str]:
    return [page.extract_text() for page in PdfReader(path).pages]


def _write(folder: Path, kind: str, number: int = 0, **changes: Any) -> Path:
    info = sample_info(number, **changes)
    path = folder / "report.pdf"
    write_pdf(sample_result(info, kind), info, path)
    return path


@pytest.mark.parametrize("kind", ["ready", "review", "clean", "not_analysable", "failed"])
def test_every_page_has_identity_footer_number_and_unsigned(tmp_path: Path, kind: str) -> None:
    pages = _text(_write(tmp_path, kind))
    assert 1 <= len(pages) <= 2
    for number, page in enumerate(pages, 1):
        assert "Lindqvist, Astrid" in page
        assert "PX-10000" in page
        assert words.RESEARCH_USE in page
        assert words.TRAINING_NOTE in page
        assert words.UNSIGNED in page
        assert f"Page {number} of {len(pages)}" in page


def test_ready_has_the_numbers(tmp_path: Path) -> None:
    info = sample_info(0)
    result = sample_result(info, "ready")
    text = "\n".join(_text(_write(tmp_path, "ready")))
    for vessel in result["vessels"].values():
        assert f"{vessel['plaque_mm3']:.0f}" in text
        assert f"{vessel['pav_percent']:.1f} %" in text
    for expected in ("383 mm³", "Moderate", "9.8 %", "62 %", "D1 (LAD)", "9.9 % within 5 years",
                     "5.4 % to 17.3 %", "myocardial infarction", "sha256 9c1f", "OpenVINO CPU",
                     result["risk"]["limits"][0][:40], "int8"):  # fmt: skip
        assert expected in text.replace("\n", " "), expected


def test_low_attenuation_that_cannot_be_told_is_marked_wherever_it_stands(tmp_path: Path) -> None:
    info = sample_info(0)
    result = sample_result(info, "ready")
    write_pdf(result, info, tmp_path / "sure.pdf")
    reason = {"code": "LOW_ATTENUATION_DOUBTFUL", "text": "80 kVp.", "next_step": "No."}
    rule = result.get("plaque_rule") or {"default": "network", "rules": []}
    result["plaque_rule"] = {**rule, "low_attenuation_doubt": reason}
    write_pdf(result, info, tmp_path / "doubt.pdf")
    sure, text = ("\n".join(_text(tmp_path / f"{n}.pdf")) for n in ("sure", "doubt"))
    assert "not to be used" in text.replace("\n", " ")
    items = [*result["vessels"].values(), result["patient"], *result["lesions"]]
    items += [s for s in result.get("segments") or [] if s["plaque_mm3"]]
    for item in items:
        low = words.volume(item["low_attenuation_mm3"], unit=False)
        assert f"{low} ?" in text
    assert text.count(" ?") >= len(items)
    assert " ?" not in sure
    assert words.doubted("not analysable", True) == "not analysable"


def test_checks_that_fail_stand_in_full_and_those_that_pass_in_words(tmp_path: Path) -> None:
    info = sample_info(0)
    result = sample_result(info, "ready")
    check = {"code": "QC_NOISE", "value": 41.5, "level": "warn", "text": "Noise is high.",
             "next_step": "Look twice.", "limits": "pass up to 35 HU"}  # fmt: skip
    fine = check | {"code": "QC_KVP", "value": 120, "level": "pass", "text": "120 kVp is usual."}
    result["qc"] = {"verdict": "limited", "checks": [check, fine]}
    write_pdf(result, info, tmp_path / "r.pdf")
    text = " ".join(_text(tmp_path / "r.pdf")).replace("\n", " ")
    assert "Noise is high. Look twice. 41.5 pass up to 35 HU warn" in text
    assert "1 of 2 checks passed: 120 kVp is usual." in text


def test_no_heading_stands_alone_at_the_foot_of_a_page(tmp_path: Path) -> None:
    """Whatever number of lesions pushes the blocks down."""
    info = sample_info(0)
    for count in range(0, 13, 2):
        result = sample_result(info, "ready")
        segment = dict(result["patient"], number=6, name="proximal LAD", length_mm=30.0)
        result["segments"] = [segment] * 6
        result["lesions"] = (result["lesions"] * 12)[:count]
        write_pdf(result, info, tmp_path / "r.pdf")
        for page in _text(tmp_path / "r.pdf"):
            body = [line for line in page.splitlines() if line.strip()]
            foot = next(i for i, line in enumerate(body) if words.RESEARCH_USE in line)
            assert not body[foot - 1].startswith(("Segments (SCCT", "Image quality")), count


def test_missing_vessel_says_so_and_the_sum_is_a_lower_bound(tmp_path: Path) -> None:
    text = "\n".join(_text(_write(tmp_path, "review")))
    assert text.count("not analysable") >= 2
    assert "≥ 322 mm³" in text
    assert "RISK_AGE_MISSING" in text
    assert "Not estimated" in text


@pytest.mark.parametrize("kind", ["not_analysable", "failed"])
def test_refusal_says_why_and_shows_no_measure(tmp_path: Path, kind: str) -> None:
    info = sample_info(0)
    text = "\n".join(_text(_write(tmp_path, kind))).replace("\n", " ")
    assert words.STATUS_WORDS[kind] in text
    for reason in sample_result(info, kind)["reasons"]:
        assert reason["code"] in text
        assert reason["next_step"] in text
    assert "mm³" not in text
    assert "No plaque" not in text


def test_null_is_never_written_as_zero(tmp_path: Path) -> None:
    info = sample_info(0)
    result = sample_result(info, "ready")
    for name in ("plaque_mm3", "pav_percent", "plaque_stage", "max_diameter_stenosis_percent"):
        result["patient"][name] = None
    write_pdf(result, info, tmp_path / "r.pdf")
    headline = _text(tmp_path / "r.pdf")[0].split("Plaque volume per vessel")[0]
    headline = headline.replace("\n", " ")
    assert headline.count("not analysable") == 4
    assert " 0 " not in headline


def test_a_measured_zero_is_a_number(tmp_path: Path) -> None:
    text = _text(_write(tmp_path, "clean"))[0]
    assert "No plaque" in text
    assert "0.0 mm³" in text
    assert "not analysable" not in text


@pytest.mark.parametrize(
    "name", ["Νικολάου^Ελένη", "Петров^Иван", "Müller-Lüdenscheidt^Anna", "Nguyễn^Thị Hồng"]
)
def test_names_in_other_alphabets_are_readable(tmp_path: Path, name: str) -> None:
    page = _text(_write(tmp_path, "ready", patient_name=name))[0]
    assert words.person(name) in page


@pytest.mark.parametrize(
    ("name", "font"),
    [
        ("Wang^XiaoDong=王^小东", report_fonts.CHINESE),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", report_fonts.JAPANESE),
        ("Hong^Gildong=洪^吉洞=홍^길동", report_fonts.KOREAN),
    ],
)
def test_east_asian_names_use_a_cid_font(tmp_path: Path, name: str, font: str) -> None:
    path = _write(tmp_path, "ready", patient_name=name)
    used = PdfReader(path).pages[0]["/Resources"]["/Font"]
    assert font in {str(f.get_object()["/BaseFont"]).lstrip("/") for f in used.values()}
    runs = report_fonts.runs(words.person(name))
    assert "".join(run for _, run in runs) == words.person(name)
    assert {f for f, run in runs if f} == {font}


def test_hostile_text_is_drawn_not_interpreted(tmp_path: Path) -> None:
    page = _text(_write(tmp_path, "ready", patient_name='A<b>"&^<i>'))[0]
    assert 'A<b>"&, <i>' in page


def test_wrong_series_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="different series"):
        write_pdf(sample_result(sample_info(1)), sample_info(2), tmp_path / "r.pdf")
    assert not list(tmp_path.iterdir())


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = _write(tmp_path, "ready")
    before = path.read_bytes()
    info = sample_info(0)
    broken = sample_result(info)
    del broken["vessels"]["RCA"]
    with pytest.raises(KeyError):
        write_pdf(broken, info, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["report.pdf"]


def test_images_are_in_the_file(tmp_path: Path) -> None:
    info = sample_info(0)
    result = sample_result(info)
    hu, labels = sample_view(1.5)
    stack = overlay.Stack(hu, labels, (1.5,) * 3, ORIGIN_ZYX_MM)
    images = overlay.report_images(result, stack)
    write_pdf(result, info, tmp_path / "r.pdf", {**images, "unused HU": hu[3]})
    found = [image for page in PdfReader(tmp_path / "r.pdf").pages for image in page.images]
    assert len(images) == 3
    assert len(found) == 3
    name = next(iter(images))
    assert name in "".join(_text(tmp_path / "r.pdf")).replace("\n", " ")


@pytest.mark.skipif(shutil.which("pdftoppm") is None, reason="poppler is not installed")
def test_page_renders_and_nothing_leaves_the_paper(tmp_path: Path) -> None:
    path = _write(tmp_path, "ready", number=3)
    subprocess.run(["pdftoppm", "-r", "50", "-gray", str(path), str(tmp_path / "p")], check=True)
    for file in tmp_path.glob("*.pgm"):
        header, rest = file.read_bytes().split(b"\n255\n", 1)
        width, height = map(int, header.split()[1:3])
        grey = np.frombuffer(rest, np.uint8).reshape(height, width)
        assert 0.005 < (grey < 128).mean() < 0.3
        margin = int(10 / 25.4 * 50)
        assert (grey[:, :margin] > 200).all()
        assert (grey[:, -margin:] > 200).all()


def _slow_render(hu: Any, labels: Any, style: overlay.Style) -> Any:
    """The same picture, pixel by pixel."""
    low = style.window.level - style.window.width / 2
    out = np.zeros((*hu.shape, 3), np.uint8)
    colors = dict(style.colors)
    for y, x in np.ndindex(hu.shape):
        grey = int(min(255, max(0, (float(hu[y, x]) - low) * 255 / style.window.width)))
        color, opacity = colors.get(int(labels[y, x])), style.opacity
        around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        if labels[y, x] == overlay.LUMEN and any(
            not (0 <= a < hu.shape[0] and 0 <= b < hu.shape[1]) or labels[a, b] != overlay.LUMEN
            for a, b in around
        ):
            color, opacity = style.outline, 0.6 * style.opacity
        for c in range(3):
            out[y, x, c] = grey if color is None else int(grey * (1 - opacity) + color[c] * opacity)
    return out


def test_render_matches_its_slow_twin() -> None:
    rng = np.random.default_rng(1)
    hu = rng.integers(-1024, 3000, (40, 50)).astype(np.int16)
    labels = np.kron(rng.integers(0, 6, (8, 10)), np.ones((5, 5))).astype(np.uint8)
    for window in overlay.WINDOWS:
        style = overlay.Style(window=window, opacity=0.4)
        fast = overlay.to_rgb(overlay.render(hu, labels, style)).astype(int)
        assert np.abs(fast - _slow_render(hu, labels, style)).max() <= 1


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("Doe^Jane", "Doe, Jane"),
        ("Doe^Jane^M^Dr", "Doe, Jane M Dr"),
        ("Doe", "Doe"),
        ("^^", "name unknown"),
        ("", "name unknown"),
        ("Yamada^Tarou=山田^太郎", "Yamada, Tarou (山田 太郎)"),
    ],
)
def test_person(name: str, line: str) -> None:
    assert words.person(name) == line


def test_parts_add_up_to_the_plaque() -> None:
    vessel = sample_result(sample_info(0))["vessels"]["LAD"]
    parts = words.parts(vessel)
    assert parts is not None
    assert sum(parts) == pytest.approx(vessel["plaque_mm3"])
    assert words.parts(dict.fromkeys(vessel)) is None
