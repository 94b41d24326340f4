"""What lies in the watched folders now, against what lay there a moment ago.

Nothing is believed but a look: size and time of every file, compared with the look before. A
folder that can't be listed says nothing about what is in it. Files are only read.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from plaque_edge.dicom_read import CutHeaderError, Header, NotDicomError, read_header

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from plaque_edge.config import FolderRule

Uids = tuple[str, str]
"""Study and series UID."""


@dataclass(slots=True, eq=False)
class FileSeen:
    """One file as it looked last time. ``still`` is set by the second look that agrees.

    ``changed_at`` is when it was written, in seconds of the monotonic clock: neither a clock
    that jumps nor the clock of a share moves it. ``backlog``: it was there at the first look.
    """

    size: int
    mtime_ns: int
    changed_at: float
    rule: FolderRule
    backlog: bool = False
    still: bool = False
    header: Header | None = None
    locked: bool = False
    other: Literal["", "not_dicom", "cut", "empty", "old"] = ""

    @property
    def whole(self) -> bool:
        """Whether it is at rest and holds all its pixel data."""
        return self.still and self.header is not None and self.header.incomplete is None

    @property
    def placed(self) -> bool:
        """Whether it is known what it is: an image of some series, or nothing to look at."""
        return self.header is not None or self.other in ("not_dicom", "old")

    @property
    def pending(self) -> bool:
        """Whether nobody has looked into it yet, since it still moves or others come first."""
        return not (self.placed or self.other or self.locked)

    @property
    def uids(self) -> Uids | None:
        """Study and series UID, once the header was read."""
        if self.header is None:
            return None
        return self.header.info.study_instance_uid, self.header.info.series_instance_uid


@dataclass(slots=True)
class Beside:
    """Files of one folder that nobody can place.

    Of those not looked into yet the times alone, and whether one still moves; and those that
    can't be read.
    """

    first_ns: float = math.inf
    last_ns: float = -math.inf
    moves: bool = False
    doubtful: list[tuple[Path, FileSeen]] = field(default_factory=list)


@dataclass(slots=True)
class Folders:
    """The files below some roots, each root with its rule.

    ``missing`` are roots and folders that could not be listed. ``groups`` are the files of
    each series, ``unplaced`` those nobody can place yet, ``touched`` the series of which
    something changed since :meth:`untouch`. ``hurried``: headers are left for lack of time.
    ``returned_at`` is when a folder last came back.
    """

    rules: Mapping[Path, FolderRule]
    scan_s: float
    header_budget_s: float
    ignore: tuple[Path, ...] = ()
    missing: tuple[Path, ...] = ()
    returned_at: float = -math.inf
    hurried: bool = False
    groups: dict[Uids, dict[Path, FileSeen]] = field(default_factory=dict)
    unplaced: dict[Path, FileSeen] = field(default_factory=dict)
    touched: set[Uids] = field(default_factory=set)
    _files: dict[Path, FileSeen] = field(default_factory=dict)
    _unread: dict[Path, FileSeen] = field(default_factory=dict)
    _looked: bool = False

    def look(self, now: float) -> None:
        """Compare every file with what it looked like last time, then read some headers."""
        missing: list[Path] = []
        present: set[str] = set()
        for root, rule in self.rules.items():
            for entry, status in self._walk(root, rule, missing):
                present.add(entry)
                self._note(entry, status, rule, now)
        if set(self.missing) - set(missing):
            self.returned_at = now
        self.missing, self._looked = tuple(missing), self._looked or not missing
        for path in [p for p in self._files if os.fspath(p) not in present]:
            if not any(path.is_relative_to(m) for m in missing):
                self._forget(path)
        self._read_headers()

    def untouch(self) -> set[Uids]:
        """Return the series of which something changed, and begin anew."""
        touched, self.touched = self.touched, set()
        return touched

    def beside(self) -> dict[str, Beside]:
        """Return what of each folder nobody can place, by the folder's name."""
        found: dict[str, Beside] = {}
        for path, file in self.unplaced.items():
            one = found.setdefault(os.path.dirname(path), Beside())  # noqa: PTH120 - called often
            if file.pending:
                one.first_ns = min(one.first_ns, file.mtime_ns)
                one.last_ns = max(one.last_ns, file.mtime_ns)
                one.moves = one.moves or not file.still
            else:
                one.doubtful.append((path, file))
        return found

    def moving(self, since: float) -> bool:
        """Whether a file that changed after ``since`` is not at rest or not read yet."""
        return any(
            f.changed_at > since and not (f.still and f.other) for f in self.unplaced.values()
        )

    # ---- inside ---------------------------------------------------------------------------

    def _walk(
        self, root: Path, rule: FolderRule, missing: list[Path]
    ) -> Iterator[tuple[str, os.stat_result]]:
        """Yield files below ``root`` however deep; links to folders are not followed."""
        waiting = [os.fspath(root)]
        while waiting:
            folder = waiting.pop()
            try:
                with os.scandir(folder) as entries:
                    listed = list(entries)
            except OSError as error:
                # Gone, locked, or a share that dropped half way: nothing is known below it.
                if folder == os.fspath(root) or not _was_deleted(folder, error):
                    missing.append(Path(folder))
                continue
            for entry in listed:
                if any(fnmatch(entry.name, pattern) for pattern in rule.skip):
                    continue
                try:
                    if entry.is_dir(follow_symlinks=False):
                        if not self.ignore or Path(entry.path).resolve() not in self.ignore:
                            waiting.append(entry.path)
                    elif entry.is_file():
                        yield entry.path, entry.stat()
                except FileNotFoundError:
                    continue  # renamed or deleted since it was listed
                except OSError:
                    missing.append(Path(entry.path))

    def _note(self, name: str, status: os.stat_result, rule: FolderRule, now: float) -> None:
        path = Path(name)
        old = self._files.get(path)
        if old is not None and (old.size, old.mtime_ns) == (status.st_size, status.st_mtime_ns):
            if not old.still:
                old.still = True
                self._touch(old)
            return
        # The file's own time says more exactly when it changed, if the clocks agree.
        age = time.time() - status.st_mtime
        file = FileSeen(
            status.st_size,
            status.st_mtime_ns,
            now - min(max(age, 0.0), self.scan_s),
            rule,
            backlog=not self._looked,
        )
        if old is not None:
            self._forget(path)
        elif rule.max_age_h is not None and age > 3600.0 * rule.max_age_h:
            file.other = "old"
        self._files[path] = file
        if not file.other:
            self.unplaced[path] = self._unread[path] = file

    def _forget(self, path: Path) -> None:
        file = self._files.pop(path)
        self.unplaced.pop(path, None)
        self._unread.pop(path, None)
        self._touch(file)
        if file.uids is not None:
            group = self.groups[file.uids]
            del group[path]
            if not group:
                del self.groups[file.uids]

    def _touch(self, file: FileSeen) -> None:
        if file.uids is not None:
            self.touched.add(file.uids)

    def _read_headers(self) -> None:
        """Read what is at rest, the newest first: yesterday's files can wait for today's."""
        until = time.monotonic() + self.header_budget_s
        self.hurried = False
        still = [(f.mtime_ns, p) for p, f in self._unread.items() if f.still]
        for _, path in sorted(still, reverse=True):
            file = self._unread[path]
            file.locked = not _read(path, file)
            if file.locked:
                continue
            del self._unread[path]
            if file.placed:
                del self.unplaced[path]
            if file.uids is not None:
                self.groups.setdefault(file.uids, {})[path] = file
                self._touch(file)
            if time.monotonic() > until:
                self.hurried = True
                break


def _was_deleted(folder: str, error: OSError) -> bool:
    """Say whether a folder is gone from one that is there, which is no fault."""
    parent = os.path.dirname(folder)  # noqa: PTH120 - names may hold what Path can't print
    return isinstance(error, FileNotFoundError | NotADirectoryError) and os.path.isdir(parent)  # noqa: PTH112


def _read(path: Path, file: FileSeen) -> bool:
    """Find out what a file is; ``False`` when it can't be opened now."""
    if file.size == 0:
        file.other = "empty"
        return True
    try:
        file.header = read_header(path)
    except NotDicomError:
        file.other = "not_dicom"
    except CutHeaderError:
        file.other = "cut"
    except OSError:
        return False  # locked or just gone: the next look tries again
    except Exception:
        file.other = "cut"  # one odd file must never stop the others
    return True
