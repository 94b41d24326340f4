"""What lies in the watched folders now, against what lay there a moment ago.

Nothing is believed but a look: size and time of a file, compared with the look before
(:mod:`plaque_edge.folder_tree`). A folder that can't be listed says nothing about what is in it.
Files are only read.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from plaque_edge.dicom_read import CutHeaderError, Header, NotDicomError, read_header
from plaque_edge.folder_tree import Tree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plaque_edge.config import FolderRule

Uids = tuple[str, str]
"""Study and series UID."""
FRESH_S = 60.0
"""How long a file is asked after at every look once it was seen to change."""
OLD_S = 3600.0
"""A file that is older by its own time when it is first seen is no longer being written."""


@dataclass(slots=True, eq=False)
class FileSeen:
    """One file as it looked last time. ``still`` is set by the second look that agrees.

    ``changed_at`` is when it was written, in seconds of the monotonic clock: neither a clock
    that jumps nor the clock of a share moves it. ``backlog``: it was there at the first look.
    ``fresh_until``, of the same clock, is from when on it is asked after in turn only.
    """

    path: Path
    size: int
    mtime_ns: int
    changed_at: float
    rule: FolderRule
    fresh_until: float = 0.0
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
    _files: dict[str, FileSeen] = field(default_factory=dict)
    _unread: dict[Path, FileSeen] = field(default_factory=dict)
    _trees: dict[Path, Tree] = field(init=False)
    _looked: bool = False

    def __post_init__(self) -> None:
        self._trees = {
            root: Tree(root, rule.skip, self.ignore) for root, rule in self.rules.items()
        }

    def look(self, now: float) -> None:
        """Compare files with what they looked like last time, then read some headers."""
        missing: list[Path] = []
        for root, tree in self._trees.items():
            for path, status in tree.look(now, lambda name: self._at_rest(name, now)):
                if status is None:
                    self._forget(path)
                else:
                    self._note(path, status, self.rules[root], now)
            missing += (Path(name) for name in tree.missing)
        if set(self.missing) - set(missing):
            self.returned_at = now
        self.missing, self._looked = tuple(missing), self._looked or not missing
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

    def _at_rest(self, name: str, now: float) -> bool:
        """Whether nothing more is expected of a file: it need not be asked after at each look."""
        file = self._files.get(name)
        if file is None or not (file.still and file.placed):
            return False
        return now >= file.fresh_until and (file.whole or file.header is None)

    def _note(self, name: str, status: os.stat_result, rule: FolderRule, now: float) -> None:
        old = self._files.get(name)
        if old is not None and (old.size, old.mtime_ns) == (status.st_size, status.st_mtime_ns):
            if not old.still:
                old.still = True
                self._touch(old)
            return
        # The file's own time says more exactly when it changed, if the clocks agree.
        age = time.time() - status.st_mtime
        file = FileSeen(
            Path(name),
            status.st_size,
            status.st_mtime_ns,
            now - min(max(age, 0.0), self.scan_s),
            rule,
            now if age > OLD_S else now + FRESH_S,
            backlog=not self._looked,
        )
        if old is not None:
            self._forget(name)
        elif rule.max_age_h is not None and age > 3600.0 * rule.max_age_h:
            file.other = "old"
        self._files[name] = file
        if not file.other:
            self.unplaced[file.path] = self._unread[file.path] = file

    def _forget(self, name: str) -> None:
        file = self._files.pop(name, None)
        if file is None:
            return
        path = file.path
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
