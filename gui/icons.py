"""Small status icons drawn with lines, so that they follow size, theme and scaling."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF

_Line = tuple[float, float, float, float]
_LINES: dict[str, tuple[_Line, ...]] = {
    "check": ((0.28, 0.52, 0.44, 0.68), (0.44, 0.68, 0.74, 0.34)),
    "cross": ((0.33, 0.33, 0.67, 0.67), (0.67, 0.33, 0.33, 0.67)),
    "stop": ((0.3, 0.5, 0.7, 0.5),),
    "clock": ((0.5, 0.5, 0.5, 0.26), (0.5, 0.5, 0.66, 0.58)),
    "down": ((0.5, 0.24, 0.5, 0.7), (0.5, 0.7, 0.34, 0.54), (0.5, 0.7, 0.66, 0.54)),
    "old": ((0.32, 0.42, 0.68, 0.42), (0.32, 0.58, 0.68, 0.58)),
    "info": ((0.5, 0.46, 0.5, 0.72), (0.5, 0.3, 0.5, 0.31)),
}


def draw(painter: QPainter, name: str, frame: QRectF, color: str) -> None:
    """Draw icon ``name`` inside the square ``frame``."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    side = frame.width()
    pen = QPen(QColor(color), max(1.4, side / 10))
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    painter.setPen(pen)

    def at(x: float, y: float) -> QPointF:
        return QPointF(frame.x() + x * side, frame.y() + y * side)

    if name == "warn" or name == "eye":
        painter.drawPolygon(QPolygonF([at(0.5, 0.1), at(0.94, 0.88), at(0.06, 0.88)]))
        painter.drawLine(at(0.5, 0.4), at(0.5, 0.62))
        painter.drawPoint(at(0.5, 0.76))
    elif name == "stop":
        octagon = [(0.32, 0.08), (0.68, 0.08), (0.92, 0.32), (0.92, 0.68),
                   (0.68, 0.92), (0.32, 0.92), (0.08, 0.68), (0.08, 0.32)]  # fmt: skip
        painter.drawPolygon(QPolygonF([at(x, y) for x, y in octagon]))
    elif name == "run":
        painter.drawEllipse(frame.adjusted(0.08 * side, 0.08 * side, -0.08 * side, -0.08 * side))
        painter.setBrush(QColor(color))
        painter.drawPolygon(QPolygonF([at(0.42, 0.34), at(0.68, 0.5), at(0.42, 0.66)]))
    else:
        painter.drawEllipse(frame.adjusted(0.08 * side, 0.08 * side, -0.08 * side, -0.08 * side))
    for x0, y0, x1, y1 in _LINES.get(name, ()):
        painter.drawLine(at(x0, y0), at(x1, y1))
    painter.restore()
