"""Watch export folders: which files are at rest, and which series are complete.

The periodic look at the folder is the truth; events of the file system only bring the next
look forward. Nothing is remembered but what each file looked like last time, so a folder that
vanishes and comes back, or a service that starts anew, changes nothing. Files are only read.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from plaque_edge.config import WatchOptions
from plaque_edge.dicom_read import CutHeaderError, Header, NotDicomError, read_header
from plaque_edge.errors import PlaqueEdgeError
from plaque_edge.series import read_candidates

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator, Sequence

    from plaque_edge.arrivals import Arrivals
    from plaque_edge.types import SeriesInfo

Phase = Literal["SEEN", "SETTLING", "READY"]
MAY_STILL_COME = frozenset(
    "SERIES_SLICE_MISSING SERIES_SPACING_UNEVEN PIXELS_TRUNCATED TOO_FEW_SLICES".split()
)
"""Faults that the next file may mend; the series waits :attr:`WatchOptions.late_s` for it."""


@dataclass(slots=True)
class _File:
    """One file as it looked last time. ``still`` is set by the second look that agrees."""

    size: int
    mtime_ns: int
    changed_at: float
    still: bool = False
    header: Header | None = None
    other: Literal["", "not_dicom", "cut", "empty"] = ""

    @property
    def whole(self) -> bool:
        """Whether it is at rest and holds all its pixel data."""
        return self.still and self.header is not None and self.header.incomplete is None


_Found = tuple[Path, _File]


@dataclass(frozen=True, slots=True)
class SeriesSeen:
    """One series as the folder shows it now.

    ``keys`` identify the content of its files; ``last_file`` is when the last one was written
    (seconds since the epoch). ``doubtful`` are files that came with it and are empty or end in
    their header, so that nobody knows whose they are.
    """

    info: SeriesInfo
    files: tuple[Path, ...]
    keys: frozenset[str]
    received: int
    expected: int | None
    phase: Phase
    message: str
    last_file: float
    doubtful: tuple[Path, ...] = ()

    @property
    def uids(self) -> tuple[str, str]:
        """Study and series UID."""
        return self.info.study_instance_uid, self.info.series_instance_uid


@dataclass(slots=True)
class Watcher:
    """Looks at folders; :meth:`scan` says what it sees. ``missing`` are folders not there now.

    ``arrivals`` is what a receiver that fills one of the folders knows of its senders.
    """

    folders: tuple[Path, ...]
    options: WatchOptions = field(default_factory=WatchOptions)
    ignore: tuple[Path, ...] = ()
    missing: tuple[Path, ...] = ()
    arrivals: Arrivals | None = None
    _files: dict[Path, _File] = field(default_factory=dict)
    _judged: dict[tuple[str, str], tuple[frozenset[str], str]] = field(default_factory=dict)

    def scan(self) -> tuple[SeriesSeen, ...]:
        """Look once and return every series with at least one readable header."""
        now = time.monotonic()
        self._look(now)
        self._read_headers()
        groups: dict[tuple[str, str], list[tuple[Path, _File]]] = defaultdict(list)
        for path, file in self._files.items():
            if file.header is not None:
                info = file.header.info
                groups[info.study_instance_uid, info.series_instance_uid].append((path, file))
        unknown = [
            (p, f) for p, f in self._files.items() if f.header is None and f.other != "not_dicom"
        ]
        return tuple(self._seen(uids, g, unknown, now) for uids, g in sorted(groups.items()))

    @property
    def busy(self) -> bool:
        """Whether some file is still changing or its header still unread (but not for ever)."""
        since = time.monotonic() - self.options.late_s
        return any(
            (not f.still or (f.header is None and not f.other)) and f.changed_at > since
            for f in self._files.values()
        )

    # ---- files ----------------------------------------------------------------------------

    def _look(self, now: float) -> None:
        """Compare every file with what it looked like last time."""
        missing: list[Path] = []
        present: set[Path] = set()
        for root in self.folders:
            try:
                for path, status in _walk(root, self.ignore):
                    present.add(path)
                    self._note(path, status, now)
            except OSError:
                # Gone, or gone half way through: believe nothing about what is below it.
                missing.append(root)
        self.missing = tuple(missing)
        for path in list(self._files):
            if path not in present and not any(path.is_relative_to(m) for m in missing):
                del self._files[path]

    def _note(self, path: Path, status: os.stat_result, now: float) -> None:
        old = self._files.get(path)
        if old is not None and (old.size, old.mtime_ns) == (status.st_size, status.st_mtime_ns):
            old.still = True
            return
        # The file's own time says more exactly when it changed, if the clocks agree.
        age = min(max(time.time() - status.st_mtime, 0.0), self.options.scan_s)
        self._files[path] = _File(status.st_size, status.st_mtime_ns, now - age)

    def _read_headers(self) -> None:
        until = time.monotonic() + self.options.header_budget_s
        for path, file in self._files.items():
            if not file.still or file.header is not None or file.other:
                continue
            if file.size == 0:
                file.other = "empty"
                continue
            try:
                file.header = read_header(path)
            except NotDicomError:
                file.other = "not_dicom"
            except CutHeaderError:
                file.other = "cut"
            except OSError:
                continue  # locked or just gone: the next look tries again
            except Exception:
                file.other = "not_dicom"  # one odd file must never stop the others
            if time.monotonic() > until:
                break

    def _beside(self, group: Sequence[_Found], unknown: Sequence[_Found]) -> list[_Found]:
        """Return the files that may yet turn out to be a slice of this series.

        One that has been cut or empty since long before belongs to something else, and an
        empty one with another ending is a mark that the export made.
        """
        folders, endings = {p.parent for p, _ in group}, {p.suffix for p, _ in group}
        times = [f.changed_at for _, f in group]
        first, last = min(times) - self.options.late_s, max(times) + self.options.late_s
        return [
            (path, file)
            for path, file in unknown
            if path.parent in folders
            and (not file.other or first <= file.changed_at <= last)
            and (file.other != "empty" or path.suffix in endings)
        ]

    # ---- series ---------------------------------------------------------------------------

    def _seen(
        self,
        uids: tuple[str, str],
        group: Sequence[_Found],
        unknown: Sequence[_Found],
        now: float,
    ) -> SeriesSeen:
        group = sorted(group, key=lambda item: item[0])
        headers = [f.header for _, f in group if f.header is not None]
        quiet = now - max(f.changed_at for _, f in group)
        newest_ns = max(f.mtime_ns for _, f in group)
        sent = self.arrivals is not None and self.arrivals.all_sent(uids, newest_ns)
        moving = any(not f.still for _, f in group) or (quiet < self.options.quiet_s and not sent)
        beside = self._beside(group, unknown)
        cut = any(not f.whole for _, f in group) or bool(beside)
        expected = max((h.expected for h in headers if h.expected), default=None)
        keys = frozenset(_key(h) for h in headers)
        files = tuple(p for p, _ in group)
        phase, message = self._phase(uids, files, keys, (quiet, moving, cut, expected))
        return SeriesSeen(
            info=headers[0].info,
            files=files,
            keys=keys,
            received=sum(f.whole for _, f in group),
            expected=expected,
            phase=phase,
            message=message,
            last_file=newest_ns / 1e9,
            doubtful=tuple(p for p, f in beside if f.other),
        )

    def _phase(
        self,
        uids: tuple[str, str],
        files: Sequence[Path],
        keys: frozenset[str],
        rest: tuple[float, bool, bool, int | None],
    ) -> tuple[Phase, str]:
        quiet, moving, cut, expected = rest
        if moving:
            return "SEEN", ""
        left = self.options.late_s - quiet
        if left <= 0:
            return "READY", ""
        if any(f.is_relative_to(m) for m in self.missing for f in files[:1]):
            return "SETTLING", "The folder is not connected"
        if cut:
            return "SETTLING", f"A file is not whole; judged in {left:.0f} s"
        if expected is not None and len(files) < expected:
            return "SETTLING", f"{expected - len(files)} slices to come; judged in {left:.0f} s"
        fault = self._fault(uids, files, keys)
        if fault:
            return "SETTLING", f"{fault}; judged in {left:.0f} s"
        return "READY", ""

    def _fault(self, uids: tuple[str, str], files: Sequence[Path], keys: frozenset[str]) -> str:
        """Return in words what a further file could mend, or nothing; asked once per content."""
        known = self._judged.get(uids)
        if known is None or known[0] != keys:
            known = keys, _open_fault(files)
            self._judged[uids] = known
        return known[1]


def _open_fault(files: Sequence[Path]) -> str:
    try:
        inventory = read_candidates(files)
    except PlaqueEdgeError as error:
        return error.reason.text
    if inventory.candidates:
        return ""
    reasons = [r for s in inventory.rejected for r in (s.reason, *s.also)]
    return next((r.text.rstrip(".") for r in reasons if r.code in MAY_STILL_COME), "")


def _key(header: Header) -> str:
    text = f"{header.sop_uid}|{header.size}|{header.mtime_ns}"
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _walk(root: Path, ignore: Iterable[Path]) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield files below ``root``; links to folders are not followed. Raises ``OSError``."""
    with os.scandir(root) as entries:
        for entry in entries:
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                if path.resolve() not in ignore:
                    try:
                        yield from _walk(path, ignore)
                    except FileNotFoundError:
                        if not root.exists():
                            raise
            elif entry.is_file():
                try:
                    yield path, entry.stat()
                except FileNotFoundError:
                    continue  # renamed or deleted since it was listed


class Waker:
    """File system events that bring the next look forward; works as well without any.

    On shares events often do not come; the periodic look makes up for it.
    """

    def __init__(self, folders: Sequence[Path], wake: threading.Event) -> None:
        self._folders, self._wake = folders, wake
        self._observer: object | None = None
        self._watched: set[Path] = set()

    def refresh(self) -> None:
        """Watch the folders that are there now; call again when one has come back."""
        there = {f for f in self._folders if f.is_dir()}
        if there == self._watched:
            return
        self.close()
        try:
            from watchdog.events import FileSystemEvent, FileSystemEventHandler
            from watchdog.observers import Observer

            wake = self._wake

            class Handler(FileSystemEventHandler):
                def on_closed(self, event: FileSystemEvent) -> None:
                    wake.set()

            observer = Observer()
            for folder in there:
                observer.schedule(Handler(), str(folder), recursive=True)
            observer.start()
        except (ImportError, OSError):
            return
        self._observer, self._watched = observer, there

    def close(self) -> None:
        """Stop listening."""
        observer, self._observer, self._watched = self._observer, None, set()
        if observer is not None:
            observer.stop()  # type: ignore[attr-defined]
            observer.join(timeout=2.0)  # type: ignore[attr-defined]
