"""The risk over 1 to 5 years with its 95 % band, or turned round: who stays free of events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui import say, theme
from gui.i18n import tr

if TYPE_CHECKING:
    from gui.case import Guard, OpenCase

TOPS = (0.02, 0.04, 0.08, 0.12, 0.2, 0.4, 0.6, 0.8, 1.0)


class RiskCurve(QWidget):
    """Probability of the endpoint from the scan to the last horizon."""

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self._guard = guard
        self._case: OpenCase | None = None
        self.survival = False
        self.setAccessibleName(tr("Risk over the years"))
        self.setMinimumSize(180, 88)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def show_case(self, case: OpenCase | None) -> None:
        """Show the risk of ``case``."""
        self._case = case
        self.update()

    def set_survival(self, on: bool) -> None:
        """Draw the survival free of events instead of the risk."""
        self.survival = on
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw axes, band and curve of the selected case."""
        case = self._case
        if case is None or case.result is None or not self._guard.allows(case):
            return
        risk: dict[str, Any] | None = case.result["risk"]
        if risk is None:
            return
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._draw(painter, risk)

    def _draw(self, painter: QPainter, risk: dict[str, Any]) -> None:
        palette = theme.current()
        years = [0.0, *map(float, risk["horizons_years"])]
        top = next(t for t in TOPS if max(risk["upper"]) <= t)
        plot = QRectF(44, 10, self.width() - 44 - 58, self.height() - 10 - 28)

        def at(year: float, value: float) -> QPointF:
            share = 1 - value / top if self.survival else value / top
            return QPointF(plot.x() + year / years[-1] * plot.width(),
                           plot.bottom() - share * plot.height())  # fmt: skip

        painter.setFont(theme.font(theme.SMALL))
        for step in range(3):
            value = top * step / 2
            painter.setPen(QColor(palette.line))
            painter.drawLine(at(0, value), at(years[-1], value))
            painter.setPen(QColor(palette.muted))
            box = QRectF(0, at(0, value).y() - 8, 38, 16)
            painter.drawText(
                box,
                Qt.AlignmentFlag.AlignRight,
                f"{100 * (1 - value if self.survival else value):g} %",
            )
        for year in years:
            text = tr("{age} y", age=f"{year:g}") if year == years[-1] else f"{year:g}"
            box = QRectF(at(year, 0).x() - 20, plot.bottom() + 4, 40, 20)
            painter.drawText(box, Qt.AlignmentFlag.AlignHCenter, text)
        low = [at(y, v) for y, v in zip(years, [0.0, *risk["lower"]], strict=True)]
        high = [at(y, v) for y, v in zip(years, [0.0, *risk["upper"]], strict=True)]
        middle = [at(y, v) for y, v in zip(years, [0.0, *risk["probability"]], strict=True)]
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.mix(palette.accent, palette.surface, 0.25))
        painter.drawPolygon(QPolygonF([*low, *reversed(high)]))
        painter.setPen(QPen(QColor(palette.accent), 2.2))
        painter.drawPolyline(QPolygonF(middle))
        painter.setBrush(QColor(palette.accent))
        for point in middle[1:]:
            painter.drawEllipse(point, 2.6, 2.6)
        painter.setFont(theme.font(theme.SMALL, bold=True))
        painter.setPen(QColor(palette.text))
        last = risk["probability"][-1]
        text = say.probability(1 - last if self.survival else last)
        painter.drawText(middle[-1] + QPointF(7, 4), text)
