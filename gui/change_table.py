"""The change between two studies, line by line, against what repeating the scan would move."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from gui import change_words, theme
from gui.i18n import mark, tr
from plaque_edge.types import VESSELS

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADS = (
    mark("Where"), mark("What"), mark("Prior"), mark("Present"), mark("Change"),
    mark("Per year"), mark("Measurable from"), mark("What may be said"),
)  # fmt: skip
AMOUNTS = range(2, 7)
"""Columns of numbers."""
OF_A_VESSEL = ("plaque_mm3", "calcified_mm3", "noncalcified_mm3", "low_attenuation_mm3",
               "pav_percent")  # fmt: skip
OF_A_SEGMENT = ("plaque_mm3",)
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


class ChangeTable(QTableWidget):
    """Patient, vessels and segments; volumes in mm³, PAV in per cent."""

    def __init__(self) -> None:
        super().__init__(0, len(HEADS))
        self.setHorizontalHeaderLabels([tr(h) for h in HEADS])
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.setWordWrap(False)
        self.setAccessibleName(tr("Change between the studies"))
        self.setStyleSheet("QHeaderView::section { padding: 4px 6px; }")
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(24)
        for column in range(len(HEADS)):
            head = self.horizontalHeaderItem(column)
            assert head is not None
            head.setTextAlignment(_RIGHT if column in AMOUNTS else _LEFT)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)

    def show_changes(self, data: dict[str, Any] | None) -> None:
        """Show a comparison, or nothing."""
        lines = [] if data is None else list(rows_of(data))
        self.setRowCount(len(lines))
        for at, (first, texts, tone) in enumerate(lines):
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                item.setTextAlignment(_RIGHT if column in AMOUNTS else _LEFT)
                item.setToolTip(text)
                font = theme.font(theme.BODY, bold=first and column < 2)
                item.setFont(font)
                if column == len(texts) - 1:
                    item.setForeground(QColor(theme.current().tone(tone)))
                self.setItem(at, column, item)


def rows_of(data: dict[str, Any]) -> Iterator[tuple[bool, tuple[str, ...], str]]:
    """Yield (whether a place begins, texts, tone) of each line of a comparison."""
    places: list[tuple[str, dict[str, Any] | None, tuple[str, ...]]] = [
        (tr("Patient"), data["patient"], OF_A_VESSEL),
        *((name, data["vessels"].get(name), OF_A_VESSEL) for name in VESSELS),
        *((f"{s['number']} {s['name']}", s["changes"], OF_A_SEGMENT) for s in data["segments"]),
    ]
    for name, changes, measures in places:
        if changes is None:
            text = tr("not in both studies: not compared")
            yield True, (name, "", *[tr("n/a")] * 5, text), "quiet"
            continue
        for key in measures:
            if key in changes:
                yield key == measures[0], _texts(name, key, changes[key]), _tone(changes[key])


def _tone(change: dict[str, Any]) -> str:
    return change_words.claim(change)[1]


def _texts(place: str, key: str, change: dict[str, Any]) -> tuple[str, ...]:
    unit = "" if key == "pav_percent" else "_mm3"
    before, after, moved, rate = (
        change[f"{name}{unit}"] for name in ("before", "after", "change", "per_year")
    )
    text, _, sign = change_words.claim(change)
    percent = " %" if not unit else ""
    amounts = (
        f"{change_words.amount(before)}{percent}",
        f"{change_words.amount(after)}{percent}",
        f"{change_words.amount(moved, signed=True)}{percent}",
        change_words.amount(rate, signed=True) + (percent if rate is not None else ""),
        change_words.amount(change.get("measurable_from_mm3")),
    )
    return place, tr(change_words.MEASURES[key]), *amounts, f"{sign} {text}"
