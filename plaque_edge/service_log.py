"""The service's and the worker's log: small files for their owner alone, naming no patient.

A series is named by its case number and a hash. Tracebacks come without the error's own words,
which may quote a header.
"""

from __future__ import annotations

import logging
import traceback
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING, Final

from plaque_edge.private import make_file, make_folder

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

LOGS: Final = "logs"
FORMAT: Final = "%(asctime)s %(levelname)s %(message)s"
_BYTES, _KEPT = 2 << 20, 5


class QuietFormatter(logging.Formatter):
    """Says where an error came up and of what type it is, and not what it said."""

    def formatException(
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        """Return the places and the type."""
        kind, _, trace = ei
        places = "".join(traceback.format_tb(trace))
        return f"{places}{kind.__name__ if kind else 'no error'}"


class _OwnFile(RotatingFileHandler):
    """A full disk or a vanished folder must not stop what is being logged."""

    def _open(self):  # type: ignore[no-untyped-def]
        make_file(self._place)
        return super()._open()

    def __init__(self, place: Path) -> None:
        self._place = place
        super().__init__(place, maxBytes=_BYTES, backupCount=_KEPT, encoding="utf-8", delay=True)
        self.setFormatter(QuietFormatter(FORMAT))

    def handleError(self, record: logging.LogRecord) -> None:
        """Go on without this line."""


def open_log(out_dir: Path, name: str) -> logging.Handler:
    """Send everything that is logged to ``logs/NAME.log`` as well, until the handler is closed."""
    make_folder(out_dir / LOGS)
    handler = _OwnFile(out_dir / LOGS / f"{name}.log")
    logger = logging.getLogger("plaque_edge")
    logger.addHandler(handler)
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    return handler


def close_log(handler: logging.Handler) -> None:
    """Send nothing there any more."""
    logging.getLogger("plaque_edge").removeHandler(handler)
    handler.close()
