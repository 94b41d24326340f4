"""Languages complete, numbers and dates by locale, fonts for them, contrast of all schemes."""

from __future__ import annotations

import json
import re

import catalogue
import pytest
from helpers import contrast
from PySide6.QtCore import QLocale
from PySide6.QtGui import QColor, QFontMetrics

from gui import i18n, say, theme
from plaque_edge.export import overlay, words
from plaque_edge.risk.model import load_model


@pytest.fixture(autouse=True)
def _english() -> object:
    yield
    i18n.use("en")


def test_chinese_lacks_no_text() -> None:
    chinese = i18n.read("zh")
    assert sorted(catalogue.marked() - set(chinese)) == []


def test_chinese_has_no_leftovers() -> None:
    kept = catalogue.marked() | set(load_model().limits) | {load_model().endpoint}
    plain = {key for key in i18n.read("zh") if not key.startswith("code ")}
    assert sorted(plain - kept) == []


def test_chinese_has_a_sentence_for_every_code_the_console_may_show() -> None:
    chinese = i18n.read("zh")
    codes = catalogue.codes()
    assert len(codes) > 60
    assert sorted(code for code in codes if f"code {code}" not in chinese) == []


def test_fields_are_the_same_in_every_language() -> None:
    for english, chinese in i18n.read("zh").items():
        if not english.startswith("code "):
            assert sorted(re.findall(r"{\w+}", english)) == sorted(re.findall(r"{\w+}", chinese))


def test_words_of_the_result_are_marked() -> None:
    marked = set(say.MARKED)
    for text in (
        words.NOT_ANALYSABLE, words.RESEARCH_USE, words.TRAINING_NOTE, words.UNSIGNED,
        *words.STAGE_WORDS, *words.QC_WORDS.values(), *(word for _, word, _ in words.COMPONENTS),
        *(window.name for window in overlay.WINDOWS),
    ):  # fmt: skip
        assert text in marked


def test_the_catalogue_is_one_file_of_plain_texts() -> None:
    text = (i18n.FOLDER / "zh.json").read_text(encoding="utf-8")
    pairs = json.loads(text, object_pairs_hook=list)
    assert len({key for key, _ in pairs}) == len(pairs)
    assert all(isinstance(value, str) and value.strip() for _, value in pairs)


def test_chinese_words_and_reasons() -> None:
    i18n.use("zh")
    assert i18n.tr("READY") == "就绪"
    assert say.stage({"plaque_stage": 2, "lower_bound": True}) == ("分期 ≥ 2", "中度")
    assert say.volume(None) == "无法分析"
    text, step = say.reason({"code": "QC_NOISE", "text": "Noise", "next_step": "Look"})
    assert (text, step) == ("主动脉根部噪声", "")
    assert say.reason({"code": "NEW_ONE", "text": "New.", "next_step": "Look"}) == ("New.", "Look")
    assert i18n.date("20261123") == "2026年11月23日"


def test_numbers_follow_the_locale() -> None:
    QLocale.setDefault(QLocale("de_DE"))
    assert say.volume(2.14) == "2,1 mm³"
    assert i18n.number(13.46, 1) == "13,5"
    i18n.use("en")
    assert say.volume(2.14) == "2.1 mm³"


def test_unknown_language_is_english() -> None:
    i18n.use("xx")
    assert i18n.language() == "en"
    assert i18n.tr("READY") == "READY"


@pytest.mark.usefixtures("themed")
def test_a_font_has_chinese_characters_where_the_system_has_one() -> None:
    if len(theme.families()) < 2:
        pytest.skip("no Chinese font on this computer (Debian: fonts-wqy-zenhei)")
    metrics = QFontMetrics(theme.font(theme.BODY))
    assert metrics.horizontalAdvance("就绪") > metrics.horizontalAdvance("i")


@pytest.mark.parametrize("scheme", theme.SCHEMES, ids=lambda s: s.key)
def test_plaque_colours_are_told_apart_on_black(scheme: theme.Scheme) -> None:
    """Every component reaches 3:1 on the images' black (WCAG 1.4.11), all three differ."""
    assert len(set(scheme.colors)) == 3
    for color in scheme.colors:
        assert contrast(color, "#000000") >= 3.0, color


@pytest.mark.parametrize("scheme", theme.SCHEMES[:2], ids=lambda s: s.key)
def test_safe_schemes_stay_apart_for_the_colour_blind(scheme: theme.Scheme) -> None:
    """Simulated protan and deutan vision (Vienot 1999) keeps all pairs apart."""
    for kind in ("protan", "deutan"):
        seen = [_dichromat(color, kind) for color in scheme.colors]
        for a in range(3):
            for b in range(a):
                gap = sum((x - y) ** 2 for x, y in zip(seen[a], seen[b], strict=True)) ** 0.5
                assert gap > 0.15, (scheme.key, kind, a, b)


def _dichromat(color: str, kind: str) -> tuple[float, ...]:
    """Linear RGB as a dichromat sees it: Viénot, Brettel & Mollon 1999, as one matrix."""
    r, g, b = (c**2.2 for c in QColor(color).getRgbF()[:3])
    if kind == "protan":
        return (0.1124 * r + 0.8876 * g, 0.1124 * r + 0.8876 * g, 0.0040 * r - 0.0040 * g + b)
    return (0.2927 * r + 0.7073 * g, 0.2927 * r + 0.7073 * g, -0.0223 * r + 0.0223 * g + b)
