"""Events of the file system that bring the next look at the folders forward.

A hint and no more: on shares they often do not come, and a busy folder loses some. Without any
everything works the same, up to one pause between looks later.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence
    from pathlib import Path

_PAUSE_S = 0.1
"""Events closer together than this wake once: a burst of files is one look."""
_KINDS = {"closed", "moved"} if os.name == "posix" else {"created", "modified", "moved"}
"""What a finished file gives rise to. Only Linux says when one was closed after writing."""


class Waker:
    """Listens to the folders that are there; call :meth:`refresh` before each look."""

    def __init__(self, folders: Sequence[Path], wake: threading.Event) -> None:
        self._folders, self._wake = folders, wake
        self._observer: Any = None
        self._watched: dict[Path, tuple[int, int]] = {}

    def refresh(self) -> None:
        """Listen to the folders that are there now, anew where one was replaced or came back."""
        there = {f: i for f in self._folders if (i := _identity(f)) is not None}
        if there == self._watched and (self._observer is None or self._observer.is_alive()):
            return
        self.close()
        self._watched = there
        try:
            from watchdog.events import FileSystemEvent, FileSystemEventHandler
            from watchdog.observers import Observer

            wake, last = self._wake, [0.0]

            class Handler(FileSystemEventHandler):
                def on_any_event(self, event: FileSystemEvent) -> None:
                    now = time.monotonic()
                    if event.event_type in _KINDS and now - last[0] > _PAUSE_S:
                        last[0] = now
                        wake.set()

            observer = Observer()
            for folder in there:
                observer.schedule(Handler(), str(folder), recursive=True)
            observer.start()
        except (ImportError, OSError, RuntimeError):
            return  # the periodic look does without
        self._observer = observer

    def close(self) -> None:
        """Stop listening."""
        observer, self._observer, self._watched = self._observer, None, {}
        if observer is not None:
            observer.stop()
            observer.join(timeout=2.0)


def _identity(folder: Path) -> tuple[int, int] | None:
    """Return what tells a folder from another of the same name; ``None`` when it isn't there."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
