"""Which files lie below a folder, found without asking after every one of them each time.

A look lists a folder only where the folder's own time has changed, or may have, and asks after
the files that came of late. Of those at rest it asks after some, in turn, so that all are asked
after within seconds: folder times that a share does not keep, and files rewritten in place, are
found then.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Found = tuple[str, "os.stat_result | None"]
"""A file and its status now, ``None`` when it is gone."""
BITE: Final = 1000
"""Files at rest that one look asks after."""
SURE_S: Final = 3.0
"""The coarsest folder times (FAT, some shares) are of 2 s: a folder that changed so lately is
listed whatever its time says."""
LIST_S: Final = 10.0
"""Every folder is listed so often at least."""


@dataclass(slots=True, eq=False)
class _Folder:
    """What a folder held when it was listed. ``since``: when its time was first seen as it is."""

    device: int
    inode: int
    mtime_ns: int
    since: float
    listed_at: float
    files: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    restless: set[str] = field(default_factory=set)


class Tree:
    """The files below ``root``, however deep; links to folders are not followed.

    ``skip`` are names that are not looked at, ``ignore`` folders. ``missing`` are folders and
    files of which the last look could learn nothing.
    """

    def __init__(self, root: Path, skip: tuple[str, ...] = (), ignore: Iterable[Path] = ()) -> None:
        self.root = os.fspath(root)
        self.missing: list[str] = []
        self._skip, self._ignore = skip, frozenset(ignore)
        self._folders: dict[str, _Folder] = {}
        self._returned: set[str] = set()
        self._round: Iterator[tuple[str, str]] = iter(())

    def look(self, now: float, at_rest: Callable[[str], bool]) -> Iterator[Found]:
        """Yield what is new, gone, not at rest, or due; ``at_rest`` is asked after each."""
        away, self.missing = set(self.missing), []
        waiting = [self.root]
        while waiting:
            path = waiting.pop()
            try:
                folder, gone, again = self._listed(path, now, came_back=path in away)
            except OSError as error:
                # Gone, locked, or a share that dropped half way: nothing is known below it.
                if path == self.root or not was_deleted(path, error):
                    self.missing.append(path)
                else:
                    yield from self._forget(path)
                continue
            yield from gone
            waiting += (os.path.join(path, name) for name in folder.folders)  # noqa: PTH118
            folder.restless = {
                name
                for name in (folder.files if again else folder.restless)
                if again or not at_rest(os.path.join(path, name))  # noqa: PTH118
            }
            for name in sorted(folder.restless):
                yield from self._ask(os.path.join(path, name))  # noqa: PTH118
        if not self.missing:
            yield from self._bite(at_rest)

    # ---- inside ---------------------------------------------------------------------------

    def _listed(
        self, path: str, now: float, *, came_back: bool
    ) -> tuple[_Folder, list[Found], bool]:
        """Return a folder as it is now, what is gone from it, and whether to ask after all."""
        status = os.stat(path)  # noqa: PTH116 - called often
        known = self._folders.get(path)
        same = known is not None and (known.device, known.inode) == (status.st_dev, status.st_ino)
        if known is not None and same and not came_back and _sure(known, status, now):
            return known, [], False
        files, folders = self._entries(path)
        if known is None:
            known = _Folder(status.st_dev, status.st_ino, status.st_mtime_ns, now, now)
            self._folders[path] = known
        elif status.st_dev != known.device and path == self.root and not (files or folders):
            # The bare place where a share was connected: its files are not gone.
            raise OSError("not connected")
        gone: list[Found] = [(os.path.join(path, n), None) for n in known.files - files]  # noqa: PTH118
        for name in known.folders - folders:
            gone += self._forget(os.path.join(path, name))  # noqa: PTH118
        if known.mtime_ns != status.st_mtime_ns or not same:
            known.since = now
        known.restless = (known.restless & files) | (files - known.files)
        known.files, known.folders, known.listed_at = files, folders, now
        known.device, known.inode = status.st_dev, status.st_ino
        known.mtime_ns = status.st_mtime_ns
        return known, gone, came_back or not same

    def _entries(self, path: str) -> tuple[set[str], set[str]]:
        files, folders = set(), set()
        with os.scandir(path) as entries:
            for entry in entries:
                if any(fnmatch(entry.name, pattern) for pattern in self._skip):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if not self._ignore or Path(entry.path).resolve() not in self._ignore:
                        folders.add(entry.name)
                elif entry.is_file():
                    files.add(entry.name)
        return files, folders

    def _ask(self, path: str) -> Iterator[Found]:
        try:
            status = os.stat(path)  # noqa: PTH116 - called often
        except OSError as error:
            if was_deleted(path, error):
                yield path, None
            else:
                self.missing.append(path)
            return
        yield path, status

    def _bite(self, at_rest: Callable[[str], bool]) -> Iterator[Found]:
        """Ask after the next files at rest; a round begins anew with the look after its end."""
        few = list(islice(self._round, BITE))
        if not few:
            self._round = self._all()
            few = list(islice(self._round, BITE))
        for path, name in few:
            folder = self._folders.get(path)
            if folder is None or name not in folder.files or name in folder.restless:
                continue
            file = os.path.join(path, name)  # noqa: PTH118
            yield from self._ask(file)
            if not at_rest(file):
                folder.restless.add(name)

    def _all(self) -> Iterator[tuple[str, str]]:
        for path in list(self._folders):
            folder = self._folders.get(path)
            for name in list(folder.files) if folder is not None else ():
                yield path, name

    def _forget(self, path: str) -> Iterator[Found]:
        """Yield everything below a folder that is no more."""
        waiting = [path]
        while waiting:
            folder = self._folders.pop(path := waiting.pop(), None)
            if folder is not None:
                yield from ((os.path.join(path, name), None) for name in folder.files)  # noqa: PTH118
                waiting += (os.path.join(path, name) for name in folder.folders)  # noqa: PTH118


def _sure(folder: _Folder, status: os.stat_result, now: float) -> bool:
    """Say whether a folder holds what it held when it was listed last."""
    calm = now - folder.since >= SURE_S and now - folder.listed_at < LIST_S
    return calm and status.st_mtime_ns == folder.mtime_ns


def was_deleted(path: str, error: OSError) -> bool:
    """Say whether something is gone from a folder that is there, which is no fault."""
    parent = os.path.dirname(path)  # noqa: PTH120 - names may hold what Path can't print
    return isinstance(error, FileNotFoundError | NotADirectoryError) and os.path.isdir(parent)  # noqa: PTH112
