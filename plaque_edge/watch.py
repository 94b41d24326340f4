"""Watch export folders: which series have come, and which of them are complete.

The periodic look at the folders is the truth (:mod:`plaque_edge.folders`); events of the file
system only bring the next look forward. Nothing is remembered but what each file looked like
last time, so a folder that vanishes and comes back, or a service that starts anew, changes
nothing.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from plaque_edge.config import FolderRule, WatchOptions
from plaque_edge.errors import PlaqueEdgeError
from plaque_edge.folders import Beside, FileSeen, Folders, Uids
from plaque_edge.series import read_candidates
from plaque_edge.series_choice import technique_reasons

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from plaque_edge.arrivals import Arrivals
    from plaque_edge.dicom_read import Header
    from plaque_edge.types import SeriesInfo

Phase = Literal["SEEN", "SETTLING", "READY"]
MAY_STILL_COME = frozenset(
    "SERIES_SLICE_MISSING SERIES_SPACING_UNEVEN PIXELS_TRUNCATED TOO_FEW_SLICES".split()
)
"""Faults that the next file may mend; the series waits :attr:`FolderRule.late_s` for it."""

FEW, FEW_S = 3, 10.0
"""A series of fewer images (a scout, a timing slice) that rested so long no longer grows."""
_SAME_EXPORT_NS = 3600 * 10**9
_Found = tuple["Path", FileSeen]


@dataclass(frozen=True, slots=True)
class SeriesSeen:
    """One series as the folder shows it now.

    ``keys`` identify the content of its files; ``last_file`` is when the last one was written
    (seconds of the monotonic clock). ``doubtful`` are files that came with it and are empty or
    end in their header, so that nobody knows whose they are. ``backlog``: all of it was there
    when the service began, so that newer scans go first. ``closed``: SEEN, and nothing is lacking
    but the end of the quiet time; ``fits``: by its headers it may be a coronary CTA.
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
    backlog: bool = False
    closed: bool = False
    fits: bool = False

    @property
    def uids(self) -> Uids:
        """Study and series UID."""
        return self.info.study_instance_uid, self.info.series_instance_uid

    def grows(self, now: float) -> bool:
        """Say whether more may come, so that its study is not yet what it will be."""
        if self.phase == "SETTLING" and self.received < FEW:
            return now - self.last_file < FEW_S
        return self.phase != "READY"


class _Rest(NamedTuple):
    """How the files of a series lie there: seconds of quiet, and what speaks against rest."""

    quiet_s: float
    rule: FolderRule
    moving: bool
    cut: bool
    sent: bool
    expected: int | None


class _Judged(NamedTuple):
    """What the headers of these files give: a fault that may be mended, and whether it fits."""

    keys: frozenset[str]
    fault: str
    fits: bool


@dataclass(slots=True)
class Watcher:
    """Looks at folders; :meth:`scan` says what it sees. ``missing`` are folders not there now.

    ``rules`` hold for single folders, ``options`` for the others. ``arrivals`` is what a
    receiver that fills one of the folders knows of its senders.
    """

    folders: tuple[Path, ...]
    options: WatchOptions = field(default_factory=WatchOptions)
    ignore: tuple[Path, ...] = ()
    arrivals: Arrivals | None = None
    rules: Mapping[Path, FolderRule] = field(default_factory=dict)
    _look: Folders = field(init=False)
    _settled: dict[Uids, SeriesSeen] = field(default_factory=dict)
    _homes: dict[Uids, frozenset[str]] = field(default_factory=dict)
    _judged: dict[Uids, _Judged] = field(default_factory=dict)

    def __post_init__(self) -> None:
        default = FolderRule(self.options.quiet_s, self.options.late_s, self.options.events)
        rules = {folder: self.rules.get(folder, default) for folder in self.folders}
        self._look = Folders(rules, self.options.scan_s, self.options.header_budget_s, self.ignore)

    def scan(self) -> tuple[SeriesSeen, ...]:
        """Look once and return every series with at least one readable header."""
        now = time.monotonic()
        look = self._look
        look.look(now)
        for uids in look.untouch():
            self._settled.pop(uids, None)
            self._homes.pop(uids, None)
        beside = look.beside()
        seen = []
        for uids, group in sorted(look.groups.items()):
            known = self._settled.get(uids)
            homes = self._homes_of(uids, group) if beside else ()
            near = [beside[home] for home in homes if home in beside]
            if known is None or near:
                known = self._seen(uids, group, near, now)
                if known.phase == "READY":
                    self._settled[uids] = known
            seen.append(known)
        return tuple(seen)

    def with_events(self) -> tuple[Path, ...]:
        """Return the folders whose events are worth listening to."""
        return tuple(folder for folder, rule in self._look.rules.items() if rule.events)

    @property
    def missing(self) -> tuple[Path, ...]:
        """Folders that could not be listed at the last look."""
        return self._look.missing

    @property
    def unread_soon(self) -> bool:
        """Whether headers are left that the last look had no time for."""
        return self._look.hurried

    @property
    def busy(self) -> bool:
        """Whether some file is still changing or its header still unread (but not for ever)."""
        late_s = max(rule.late_s for rule in self._look.rules.values())
        return self._look.moving(time.monotonic() - late_s)

    def _homes_of(self, uids: Uids, group: Mapping[Path, FileSeen]) -> frozenset[str]:
        """Return the folders in which files of a series lie."""
        if uids not in self._homes:
            self._homes[uids] = frozenset(os.path.dirname(path) for path in group)  # noqa: PTH120
        return self._homes[uids]

    # ---- series ---------------------------------------------------------------------------

    def _seen(
        self, uids: Uids, files: Mapping[Path, FileSeen], near: Sequence[Beside], now: float
    ) -> SeriesSeen:
        group = sorted(files.items())
        headers = [f.header for _, f in group if f.header is not None]
        last = max(f.changed_at for _, f in group)
        newest_ns = max(f.mtime_ns for _, f in group)
        beside = _doubtful(group, near)
        rest = _Rest(
            # What a sender could not write while the folder was away may come now.
            quiet_s=now - max(last, self._look.returned_at),
            rule=max((f.rule for _, f in group), key=lambda r: (r.quiet_s, r.late_s)),
            moving=any(not f.still for _, f in group) or _pending(group, near),
            cut=any(not f.whole for _, f in group) or bool(beside),
            sent=self.arrivals is not None and self.arrivals.all_sent(uids, newest_ns),
            expected=max((h.expected for h in headers if h.expected), default=None),
        )
        keys = frozenset(_key(h) for h in headers)
        paths = tuple(p for p, _ in group)
        backlog = all(f.backlog for _, f in group)
        phase, message = self._phase(uids, paths, keys, rest)
        closed = phase == "SEEN" and not backlog and self._closed(uids, paths, keys, rest)
        return SeriesSeen(
            info=headers[0].info,
            files=paths,
            keys=keys,
            received=sum(f.whole for _, f in group),
            expected=rest.expected,
            phase=phase,
            message=message,
            last_file=last,
            doubtful=tuple(p for p, f in beside if f.other),
            backlog=backlog,
            closed=closed,
            fits=closed and self._judged[uids].fits,
        )

    def _phase(
        self, uids: Uids, files: Sequence[Path], keys: frozenset[str], rest: _Rest
    ) -> tuple[Phase, str]:
        """Return the phase, and in words what is waited for."""
        if rest.moving or (rest.quiet_s < rest.rule.quiet_s and not rest.sent):
            return "SEEN", ""
        left = rest.rule.late_s - rest.quiet_s
        lack = self._lack(uids, files, keys, rest) if left > 0 else ""
        if not lack:
            return "READY", ""
        away = "not connected" in lack
        return "SETTLING", lack if away else f"{lack}; judged in {left:.0f} s"

    def _closed(self, uids: Uids, files: Sequence[Path], keys: frozenset[str], rest: _Rest) -> bool:
        """Say whether all but the quiet time says that it is whole."""
        if rest.moving or (self.arrivals is not None and self.arrivals.sending(uids)):
            return False
        return not self._lack(uids, files, keys, rest)

    def _lack(self, uids: Uids, files: Sequence[Path], keys: frozenset[str], rest: _Rest) -> str:
        """Return in words what a further file could mend, or nothing."""
        if any(f.is_relative_to(m) for m in self.missing for f in files[:1]):
            return "The folder is not connected"
        if rest.cut:
            return "A file is not whole"
        if rest.expected is not None and len(files) < rest.expected:
            return f"{rest.expected - len(files)} slices to come"
        known = self._judged.get(uids)
        if known is None or known.keys != keys:
            known = self._judged[uids] = _judge(keys, files)
        return known.fault


def _pending(group: Sequence[_Found], near: Sequence[Beside]) -> bool:
    """Say whether a file nobody has looked into yet may be a slice of this series.

    One that was written hours before or after is not; those are read in their turn.
    """
    times = [f.mtime_ns for _, f in group]
    first, last = min(times) - _SAME_EXPORT_NS, max(times) + _SAME_EXPORT_NS
    return any(b.moves or (b.first_ns <= last and b.last_ns >= first) for b in near)


def _doubtful(group: Sequence[_Found], near: Sequence[Beside]) -> list[_Found]:
    """Return the files that can't be read and may be a slice of this series.

    One that came long before or after belongs to something else, and an empty one with
    another ending is a mark that the export made.
    """
    times, endings = [f.changed_at for _, f in group], {p.suffix for p, _ in group}
    late_s = max(f.rule.late_s for _, f in group)
    first, last = min(times) - late_s, max(times) + late_s
    return [
        (path, file)
        for one in near
        for path, file in one.doubtful
        if first <= file.changed_at <= last and (file.other != "empty" or path.suffix in endings)
    ]


def _judge(keys: frozenset[str], files: Sequence[Path]) -> _Judged:
    try:
        inventory = read_candidates(files)
    except PlaqueEdgeError as error:
        return _Judged(keys, error.reason.text, False)
    if inventory.candidates:
        fits = any(not technique_reasons(series) for series in inventory.candidates)
        return _Judged(keys, "", fits)
    reasons = [r for s in inventory.rejected for r in (s.reason, *s.also)]
    fault = next((r.text.rstrip(".") for r in reasons if r.code in MAY_STILL_COME), "")
    return _Judged(keys, fault, False)


def _key(header: Header) -> str:
    text = f"{header.sop_uid}|{header.size}|{header.mtime_ns}"
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
