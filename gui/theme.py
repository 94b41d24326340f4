"""Colours, type scale and spacing of the console: one palette for dark, one for light.

Spacing is a multiple of 4 px, text has five sizes, and there is one accent. Status colours are
none of the plaque colours, and a status is always icon + word + colour.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontDatabase,
    QImage,
    QPainter,
    QPalette,
    QPen,
    QPolygonF,
)

import plaque_edge.export
from gui.i18n import mark
from plaque_edge.export.overlay import PLAQUE_CODES

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

SMALL, BODY, STRONG, TITLE, HEADLINE = 12, 13, 15, 20, 30
"""The type scale in device-independent pixels."""

GAP = 8
"""Base distance between things; cards have 16 px inside."""

FAMILY = "DejaVu Sans"
CJK = ("Noto Sans CJK SC", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Microsoft YaHei", "SimSun")
"""Fonts with Chinese characters, as systems call them; the first that is there is used."""


@dataclass(frozen=True, slots=True)
class Palette:
    """One theme. Text colours reach a contrast of 4.5:1 on ``surface`` (tested)."""

    name: str
    ground: str
    surface: str
    raised: str
    line: str
    text: str
    muted: str
    accent: str
    ok: str
    warn: str
    bad: str
    on_accent: str

    def tone(self, tone: str) -> str:
        """Return the colour of a status tone: ok, warn, bad, busy or quiet."""
        return {
            "ok": self.ok,
            "warn": self.warn,
            "bad": self.bad,
            "busy": self.accent,
            "quiet": self.muted,
        }[tone]


DARK = Palette(
    "dark", "#0D1117", "#151B23", "#1E2630", "#2C3642", "#E8EDF3", "#9CA9B8",
    "#8FABFF", "#4CC38A", "#FFB454", "#FF7A83", "#0D1117",
)  # fmt: skip
LIGHT = Palette(
    "light", "#EEF1F5", "#FFFFFF", "#E9EEF3", "#CDD5DE", "#17202A", "#515E6B",
    "#2F50C4", "#0F7346", "#855000", "#B0202E", "#FFFFFF",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scheme:
    """Colours of calcified, non-calcified and low-attenuation plaque; letters never change."""

    key: str
    name: str
    colors: tuple[str, str, str]


SCHEMES = (
    Scheme("okabe", mark("Colour-blind safe (Okabe-Ito)"), ("#56B4E9", "#F0E442", "#D55E00")),
    Scheme("tol", mark("Colour-blind safe (Tol)"), ("#77AADD", "#EEDD88", "#EE8866")),
    Scheme("sureplaque", mark("Customary: SUREPlaque"), ("#F2E205", "#3F7FE8", "#E0342B")),
    Scheme("ivus", mark("Customary: IVUS-VH"), ("#F4F4F4", "#52B84A", "#E0342B")),
)
"""The first two are safe for all common colour deficiencies; the others follow other software."""

_current = DARK
_scheme = SCHEMES[0]
_families: list[str] = []


def current() -> Palette:
    """Return the palette in use."""
    return _current


def scheme() -> Scheme:
    """Return the plaque colours in use."""
    return _scheme


def use_scheme(key: str) -> None:
    """Use another set of plaque colours; an unknown key leaves the safe ones."""
    global _scheme
    _scheme = next((s for s in SCHEMES if s.key == key), SCHEMES[0])


def overlay_colors() -> tuple[tuple[int, tuple[int, int, int]], ...]:
    """Return label code and colour of each component, for :class:`overlay.Style`."""
    rgb = [QColor(c).getRgb()[:3] for c in _scheme.colors]
    return tuple((code, c) for code, c in zip(PLAQUE_CODES, rgb, strict=True))


def mix(color: str, ground: str, share: float) -> QColor:
    """Return ``share`` of ``color`` over ``ground``, as an opaque colour."""
    a, b = QColor(color), QColor(ground)
    parts = [
        round(x * share + y * (1 - share))
        for x, y in ((a.red(), b.red()), (a.green(), b.green()), (a.blue(), b.blue()))
    ]
    return QColor(*parts)


def font(size: int, *, bold: bool = False) -> QFont:
    """Return the console's font at one of the five sizes."""
    out = QFont(families())
    out.setPixelSize(size)
    out.setBold(bold)
    return out


def families() -> list[str]:
    """Return the console's font, then the first one found that has Chinese characters."""
    global _families
    if not _families:
        there = set(QFontDatabase.families())
        _families = [FAMILY, *[name for name in CJK if name in there][:1]]
    return _families


def apply(app: QApplication, palette: Palette) -> None:
    """Use ``palette`` for the whole application and load the fonts that travel along."""
    global _current
    _current = palette
    for file in sorted((Path(plaque_edge.export.__file__).parent / "fonts").glob("*.ttf")):
        if FAMILY not in QFontDatabase.families():
            QFontDatabase.addApplicationFont(str(file))
    app.setStyle("Fusion")
    app.setFont(font(BODY))
    app.setPalette(_qt_palette(palette))
    app.setStyleSheet(_sheet(palette))


def _qt_palette(p: Palette) -> QPalette:
    out = QPalette()
    roles = QPalette.ColorRole
    for role, color in (
        (roles.Window, p.ground), (roles.Base, p.surface), (roles.AlternateBase, p.raised),
        (roles.Text, p.text), (roles.WindowText, p.text), (roles.ButtonText, p.text),
        (roles.Button, p.raised), (roles.Highlight, p.accent),
        (roles.HighlightedText, p.on_accent), (roles.ToolTipBase, p.raised),
        (roles.ToolTipText, p.text), (roles.PlaceholderText, p.muted),
    ):  # fmt: skip
        out.setColor(role, QColor(color))
    return out


def _arrow(p: Palette) -> str:
    """Draw the arrow of a choice in the theme's colour; style sheets take it only as a file."""
    file = Path(tempfile.gettempdir()) / f"plaque-edge-arrow-{p.name}-{p.muted[1:]}.png"
    if not file.exists():
        image = QImage(24, 24, QImage.Format.Format_ARGB32)
        image.fill(0)
        with QPainter(image) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(QColor(p.muted), 3))
            painter.drawPolyline(QPolygonF([QPointF(5, 9), QPointF(12, 16), QPointF(19, 9)]))
        image.save(str(file))
    return file.as_posix()


def _tick(p: Palette) -> str:
    """Draw the tick of a checked box, likewise."""
    file = Path(tempfile.gettempdir()) / f"plaque-edge-tick-{p.name}-{p.on_accent[1:]}.png"
    if not file.exists():
        image = QImage(28, 28, QImage.Format.Format_ARGB32)
        image.fill(0)
        with QPainter(image) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(QColor(p.on_accent), 4))
            painter.drawPolyline(QPolygonF([QPointF(6, 14), QPointF(12, 20), QPointF(22, 8)]))
        image.save(str(file))
    return file.as_posix()


def _sheet(p: Palette) -> str:
    faint = mix(p.muted, p.surface, 0.55).name()
    selected = mix(p.accent, p.surface, 0.16).name()
    named = ", ".join(f'"{name}"' for name in families())
    return f"""
    QWidget {{ color: {p.text}; font-family: {named}; font-size: {BODY}px; }}
    QMainWindow, QWidget#page {{ background: {p.ground}; }}
    QLabel {{ background: transparent; }}
    QFrame#card {{ background: {p.surface}; border: 1px solid {p.line}; border-radius: 8px; }}
    QFrame#bar {{ background: {p.surface}; border-bottom: 1px solid {p.line}; }}
    QFrame#foot {{ background: {p.surface}; border-top: 1px solid {p.line}; }}
    QLabel#muted, QLabel#small {{ color: {p.muted}; }}
    QLabel#small {{ font-size: {SMALL}px; }}
    QLabel#strong {{ font-size: {STRONG}px; font-weight: bold; }}
    QLabel#title {{ font-size: {TITLE}px; font-weight: bold; }}
    QLabel#headline {{ font-size: {HEADLINE}px; font-weight: bold; }}
    QPushButton {{ background: {p.raised}; border: 1px solid {p.line}; border-radius: 6px;
        padding: 5px 12px; min-height: 18px; }}
    QPushButton:hover {{ border-color: {p.accent}; }}
    QPushButton:focus {{ border-color: {p.accent}; }}
    QPushButton:checked {{ background: {p.accent}; color: {p.on_accent};
        border-color: {p.accent}; }}
    QPushButton#flat {{ background: transparent; border: none; color: {p.accent};
        padding: 2px 4px; }}
    QPushButton#flat:checked {{ background: transparent; color: {p.text};
        text-decoration: underline; }}
    QPushButton#ask {{ background: transparent; border: 1px dashed {p.accent}; color: {p.accent};
        padding: 2px 8px; text-align: left; }}
    QPushButton#flat:hover {{ text-decoration: underline; }}
    QPushButton:disabled {{ color: {faint}; background: transparent; }}
    QLineEdit {{ background: {p.raised}; border: 1px solid {p.line}; border-radius: 6px;
        padding: 5px 10px; min-height: 18px; selection-background-color: {p.accent}; }}
    QComboBox {{ background: {p.raised}; border: 1px solid {p.line}; border-radius: 6px;
        padding: 4px 8px; min-height: 20px; }}
    QComboBox::drop-down {{ border: none; width: 20px; }}
    QComboBox::down-arrow {{ image: url({_arrow(p)}); width: 12px; height: 12px; }}
    QComboBox:hover, QComboBox:focus, QSpinBox:focus {{ border-color: {p.accent}; }}
    QComboBox QAbstractItemView {{ background: {p.raised}; color: {p.text};
        selection-background-color: {p.accent}; selection-color: {p.on_accent}; }}
    QSpinBox {{ background: {p.raised}; border: 1px solid {p.line}; border-radius: 6px;
        padding: 4px 8px; min-height: 20px; }}
    QDialog {{ background: {p.surface}; }}
    QCheckBox {{ spacing: 8px; }}
    QCheckBox::indicator, QTableView::indicator {{ width: 14px; height: 14px;
        border: 1px solid {p.muted}; border-radius: 3px; background: {p.raised}; }}
    QCheckBox::indicator:checked, QTableView::indicator:checked {{ background: {p.accent};
        border-color: {p.accent}; image: url({_tick(p)}); }}
    QTextBrowser {{ background: {p.surface}; border: 1px solid {p.line}; border-radius: 8px;
        padding: 8px; }}
    QLineEdit:focus {{ border-color: {p.accent}; }}
    QTableView {{ background: {p.surface}; border: 1px solid {p.line}; border-radius: 8px;
        gridline-color: transparent; selection-background-color: {selected};
        selection-color: {p.text}; outline: none; }}
    QHeaderView {{ background: transparent; border: none; }}
    QHeaderView::section {{ background: {p.surface}; color: {p.muted}; border: none;
        border-bottom: 1px solid {p.line}; padding: 8px 12px; font-size: {SMALL}px; }}
    QTableCornerButton::section {{ background: {p.surface}; border: none; }}
    QScrollArea {{ background: transparent; border: none; }}
    QScrollBar:vertical {{ background: transparent; width: 10px; margin: 2px; }}
    QScrollBar::handle:vertical {{ background: {p.line}; border-radius: 3px; min-height: 32px; }}
    QScrollBar::add-line, QScrollBar::sub-line {{ height: 0; }}
    QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
    QSlider::groove:horizontal {{ height: 4px; background: {p.line}; border-radius: 2px; }}
    QSlider::sub-page:horizontal {{ background: {p.accent}; border-radius: 2px; }}
    QSlider::handle:horizontal {{ background: {p.text}; width: 14px; margin: -5px 0;
        border-radius: 7px; }}
    QToolTip {{ background: {p.raised}; color: {p.text}; border: 1px solid {p.line};
        padding: 6px; }}
    """
