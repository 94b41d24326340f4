"""Objects of the window that work on threads of their own.

What is asked is done away from the GUI thread, and its answer is a signal. Three rules keep a
thread from ever touching what the window has taken away: a signal is emitted under a lock that
closing takes too, so none follows after it; closing waits for the threads, some seconds at most,
and one that still works then goes on by itself, silent, until :func:`leave` ends the process
around it; and every such object has the window for its parent, so that it is deleted with it, by
the GUI thread and not by whichever thread happens to collect garbage. They are Python's threads:
there is no ``QThread`` that could be destroyed while it runs.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from PySide6.QtCore import SignalInstance

log = logging.getLogger(__name__)

END_S = 3.0
"""Longest that closing waits for what is read or drawn; a first start compiles for longer."""
KEEP_S = 12.0
"""The same for what a person asked for: SQLite alone may wait 10 s for its turn."""
_left: set[threading.Thread] = set()


def end(threads: Iterable[threading.Thread], deadline: float) -> None:
    """Wait until ``deadline`` (``time.monotonic``) for threads that were told to end."""
    for thread in threads:
        if thread.is_alive():
            thread.join(timeout=max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            log.warning("THREAD_LEFT: %s still works; it ends with the program.", thread.name)
            _left.add(thread)


def still_running() -> tuple[str, ...]:
    """Return the names of threads that closing did not wait out."""
    _left.difference_update([t for t in _left if not t.is_alive()])
    return tuple(sorted(t.name for t in _left))


def leave(code: int) -> int:
    """Return ``code``, or end the process with it at once while a thread still draws.

    Taking Qt and the interpreter down under such a thread is a crash; ending around it is none.
    """
    if still_running():
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


class _Gate:
    """Open until the object closes or is deleted; nobody speaks while it is being shut."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = True

    def shut(self, *_: object) -> None:
        with self._lock:
            self._open = False

    def say(self, signal: SignalInstance, what: tuple[Any, ...]) -> None:
        with self._lock:
            if self._open:
                signal.emit(*what)


class Speaker(QObject):
    """An object whose signals other threads may emit until :meth:`hush` has returned."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._gate = _Gate()
        self.destroyed.connect(self._gate.shut)

    def tell(self, signal: SignalInstance, *what: Any) -> None:
        """Emit ``signal``, unless the object has been hushed or deleted."""
        self._gate.say(signal, what)

    def hush(self) -> None:
        """Let no signal follow; one that is being emitted is waited for."""
        self._gate.shut()


class Background(Speaker):
    """Does pieces of work in the order they came, on ``threads`` threads named ``name``.

    Threads begin with the first piece and end with :meth:`close`.
    """

    finishes = False
    """Whether :meth:`close` lets the pieces that wait be done, instead of dropping them."""

    def __init__(self, name: str, parent: QObject | None = None, threads: int = 1) -> None:
        super().__init__(parent)
        self._name, self._most = name, threads
        self._threads: list[threading.Thread] = []
        self._pieces: deque[Callable[[], None]] = deque()
        self._busy, self._closed = 0, False
        self._changed = threading.Condition()

    def put(self, piece: Callable[[], None]) -> None:
        """Have ``piece`` done; nothing happens once closed."""
        with self._changed:
            if not self._closed:
                self._pieces.append(piece)
                self._begin()

    def wait(self, seconds: float = 10.0) -> bool:
        """Wait until nothing is left to do; signals are still to be delivered."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._left() and not self._busy, seconds)

    def stop(self) -> None:
        """Tell the threads to end, without waiting; may be called twice."""
        with self._changed:
            self._closed = True
            if not self.finishes:
                self._drop()
            self._changed.notify_all()
        self.hush()

    def close(self, deadline: float | None = None) -> None:
        """End the threads; what they are doing is waited for, until ``deadline`` at most."""
        self.stop()
        patience = KEEP_S if self.finishes else END_S
        end(self._threads, time.monotonic() + patience if deadline is None else deadline)

    # ---- what waits: a subclass may keep it otherwise -------------------------------------

    def _left(self) -> int:
        return len(self._pieces)

    def _next(self) -> Callable[[], None]:
        return self._pieces.popleft()

    def _drop(self) -> None:
        self._pieces.clear()

    # ---- threads -------------------------------------------------------------------------

    def _begin(self) -> None:
        """Wake a thread, or begin one more; the lock is held."""
        if self._busy + self._left() > len(self._threads) < self._most:
            thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._threads.append(thread)
            thread.start()
        self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._left()) or self._closed)
                if not self._left():
                    return
                piece = self._next()
                self._busy += 1
            try:
                piece()
            except Exception as error:  # the thread goes on with what else is asked
                log.error("INTERNAL in %s: %s", self._name, type(error).__name__)
            del piece  # it may hold a case
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()
