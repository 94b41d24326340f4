"""Draws frames on a background thread: the newest wish of a view wins, old ones are dropped."""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QRectF, QSizeF, Signal
from PySide6.QtGui import QImage, QPainter

from gui.background import Background

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from PySide6.QtCore import QObject

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture ready to be painted 1:1, and where it lies in the widget.

    ``frame`` is the whole picture's place in device-independent pixels, of ``rows`` x
    ``columns`` samples; ``more`` is what the view needs beside it.
    """

    image: QImage
    frame: QRectF
    rows: int
    columns: int
    more: Any = None


@dataclass(frozen=True, slots=True)
class Place:
    """Size of a widget and how the reader zoomed and moved its picture."""

    width: float
    height: float
    ratio: float
    zoom: float = 1.0
    pan: tuple[float, float] = (0.0, 0.0)

    def frame(self, size_mm: QSizeF) -> QRectF:
        """Return where a picture of ``size_mm`` lies, with true proportions."""
        fit = min(self.width / size_mm.width(), self.height / size_mm.height()) * self.zoom
        w, h = size_mm.width() * fit, size_mm.height() * fit
        return QRectF((self.width - w) / 2 + self.pan[0], (self.height - h) / 2 + self.pan[1], w, h)


def compose(
    pixels: NDArray[np.uint32], where: QSizeF | QRectF, place: Place, more: Any = None
) -> Drawn:
    """Scale packed pixels into an image of the widget's size; runs on the background thread.

    ``where`` is the picture's size in mm, to be fitted in, or the very frame it shall fill.
    """
    rows, columns = pixels.shape
    frame = where if isinstance(where, QRectF) else place.frame(where)
    out = QImage(
        max(1, round(place.width * place.ratio)),
        max(1, round(place.height * place.ratio)),
        QImage.Format.Format_RGB32,
    )
    out.setDevicePixelRatio(place.ratio)
    out.fill(0xFF000000)
    source = QImage(pixels.data, columns, rows, 4 * columns, QImage.Format.Format_RGB32)
    with QPainter(out) as painter:
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(frame, source)
    return Drawn(out, frame, rows, columns, more)


class Frames(Background):
    """One thread that draws; answers carry who asked and the ticket they asked with."""

    done = Signal(object, object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__("frames", parent)
        self._wishes: OrderedDict[Any, Callable[[], None]] = OrderedDict()

    def ask(self, view: Any, ticket: Any, make: Callable[[], Any]) -> None:
        """Draw with ``make``; an older wish of the same view that has not begun is dropped."""

        def draw() -> None:
            try:
                answer = make()
            except Exception as error:  # one view stays as it is; the others go on
                log.error("VIEW_FAILED: %s while drawing.", type(error).__name__)
                return
            self.tell(self.done, view, ticket, answer)

        with self._changed:
            if not self._closed:
                self._wishes[view] = draw
                self._begin()

    def _left(self) -> int:
        return len(self._wishes)

    def _next(self) -> Callable[[], None]:
        return self._wishes.popitem(last=False)[1]

    def _drop(self) -> None:
        self._wishes.clear()
