"""Fonts of the report, so that a patient's name is readable whatever its script.

DejaVu Sans travels with the package and is embedded; East Asian text falls back to the fonts
that PDF readers bring themselves (CID fonts).
"""

from __future__ import annotations

import unicodedata
from functools import cache
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import escape

from reportlab.lib.fonts import addMapping
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont

FONT_DIR = Path(__file__).parent / "fonts"
REGULAR, BOLD = "DejaVuSans", "DejaVuSans-Bold"
JAPANESE, KOREAN, CHINESE = "HeiseiKakuGo-W5", "HYGothic-Medium", "STSong-Light"


@cache
def register() -> frozenset[int]:
    """Register all fonts once; return the code points that DejaVu Sans has."""
    regular = TTFont(REGULAR, str(FONT_DIR / "DejaVuSans.ttf"))
    pdfmetrics.registerFont(regular)
    pdfmetrics.registerFont(TTFont(BOLD, str(FONT_DIR / "DejaVuSans-Bold.ttf")))
    for bold in (0, 1):
        for italic in (0, 1):
            addMapping(REGULAR, bold, italic, BOLD if bold else REGULAR)
    for name in (JAPANESE, KOREAN, CHINESE):
        pdfmetrics.registerFont(UnicodeCIDFont(name))
    return frozenset(regular.face.charToGlyph)


def runs(text: str) -> list[tuple[str | None, str]]:
    """Split ``text`` into runs of one font; ``None`` is DejaVu, else a CID font's name.

    Han characters are drawn with the Japanese font when kana stand in the same text, the Korean
    one beside Hangul, else the Chinese one. What no font has is drawn as U+FFFD.
    """
    known = register()
    asian = _asian_font(text)
    out: list[tuple[str | None, str]] = []
    for font, group in groupby(text, key=lambda c: _font_of(c, known, asian)):
        run = "".join(group)
        out.append((None, "\ufffd" * len(run)) if font == "" else (font, run))
    return out


def _font_of(character: str, known: frozenset[int], asian: str) -> str | None:
    if ord(character) in known or character.isspace():
        return None
    return asian if unicodedata.east_asian_width(character) in "WF" else ""


def _asian_font(text: str) -> str:
    names = {unicodedata.name(c, "").split(" ")[0] for c in text}
    if names & {"HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HALFWIDTH"}:
        return JAPANESE
    return KOREAN if "HANGUL" in names else CHINESE


def markup(text: object) -> str:
    """Escape ``text`` for a reportlab paragraph, naming the font wherever DejaVu is not enough."""
    return "".join(
        escape(run) if font is None else f'<font name="{font}">{escape(run)}</font>'
        for font, run in runs(str(text))
    )
