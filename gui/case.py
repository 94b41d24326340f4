"""One opened case, immutable, and the guard that keeps patients apart.

A case is loaded off the GUI thread. Before anything of it is shown, its result and its images
must carry the UIDs of the row that was selected; every painting widget asks the guard again at
each paint. What does not match is not painted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import Signal

from gui.background import Background
from gui.review import Review
from plaque_edge.correct.current import current
from plaque_edge.errors import PlaqueEdgeError
from plaque_edge.export.overlay import Stack
from plaque_edge.show.branches import BranchView, read_branches

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from plaque_edge.store import CaseRow

Key = tuple[int, str, int]
"""(case id, series UID, revision): what makes two cases the same."""


class IdentityError(Exception):
    """A result or an image belongs to another series than the one selected."""


def key_of(row: CaseRow) -> Key:
    """Return the identity of a row."""
    return row.case_id, row.series_uid, row.revision


@dataclass(frozen=True, slots=True)
class OpenCase:
    """A row with its result and images, all of one series; ``None`` where there is none."""

    row: CaseRow
    result: dict[str, Any] | None
    stack: Stack | None
    branches: tuple[BranchView, ...] = ()
    review: Review = field(default_factory=Review)
    original: dict[str, Any] | None = None
    """The analysis's own result where ``result`` is a corrected one."""
    sha256: str | None = None
    """Hash of the file that ``result`` was read from."""

    @property
    def analysed(self) -> dict[str, Any] | None:
        """What the analysis itself measured."""
        return self.result if self.original is None else self.original

    @property
    def key(self) -> Key:
        """The identity of the row it was loaded for."""
        return key_of(self.row)


def load_case(row: CaseRow) -> OpenCase:
    """Read ``result.json`` and map the view arrays of ``row``.

    Raises
    ------
    IdentityError
        When a UID in the folder is not the row's.
    OSError, ValueError
        When a file cannot be read.
    """
    if row.result_dir is None or not (row.result_dir / "result.json").exists():
        return OpenCase(row, None, None)
    result = json.loads((row.result_dir / "result.json").read_text(encoding="utf-8"))
    check_identity(row, result["series"])
    view = row.result_dir / "view"
    stack = _load_view(row, view)
    file = view / "branches.npz"
    measured = result["status"] in ("ready", "review") and stack is not None and file.exists()
    branches = read_branches(file) if measured else ()
    return OpenCase(row, result, stack, branches)


def check_identity(row: CaseRow, found: dict[str, Any]) -> None:
    """Raise :class:`IdentityError` unless the UIDs in ``found`` are those of ``row``."""
    if row.info.series_instance_uid != row.series_uid:
        raise IdentityError("the row's identity belongs to another series")
    for name, wanted in (
        ("series_instance_uid", row.series_uid),
        ("study_instance_uid", row.study_uid),
    ):
        if found.get(name) != wanted:
            raise IdentityError(f"{name} in the result folder is not that of the selected case")


def _load_view(row: CaseRow, folder: Path) -> Stack | None:
    if not (folder / "view.json").exists():
        return None
    place = json.loads((folder / "view.json").read_text(encoding="utf-8"))
    if place.get("series_instance_uid", row.series_uid) != row.series_uid:
        raise IdentityError("the images in the result folder are not of the selected case")
    hu = np.load(folder / "ct.npy", mmap_mode="r")
    labels = np.load(folder / "labels.npy", mmap_mode="r")
    if hu.shape != labels.shape or hu.ndim != 3 or hu.dtype != np.int16:
        raise ValueError("the images in the result folder do not fit together")
    z, y, x = (float(v) for v in place["spacing_zyx_mm"])
    oz, oy, ox = (float(v) for v in place["origin_zyx_mm"])
    return Stack(hu, labels, (z, y, x), (oz, oy, ox))


class Guard:
    """Knows which case is selected; nothing of another one may be painted."""

    def __init__(self) -> None:
        self.selected: Key | None = None
        self.on_paint: Callable[[Key | None, Key | None], None] | None = None

    def allows(self, case: OpenCase | None) -> bool:
        """Whether ``case`` may be painted now; blank it when this is false."""
        allowed = case is not None and case.key == self.selected
        if allowed and case is not None and self.on_paint is not None:
            self.on_paint(case.key, self.selected)
        return allowed

    def painted(self, key: Key | None) -> None:
        """Tell whose frame goes to the screen now (tests listen)."""
        if self.on_paint is not None:
            self.on_paint(key, self.selected)

    def require(self, case: OpenCase) -> None:
        """Raise :class:`IdentityError` when ``case`` is not the selected one."""
        if case.key != self.selected:
            raise IdentityError("this case is not the selected one")


class Loader(Background):
    """Loads cases and row summaries on two background threads; answers carry their key."""

    loaded = Signal(object)
    failed = Signal(object, str)
    summary = Signal(object, object)

    def __init__(
        self,
        load: Callable[[CaseRow], OpenCase] = load_case,
        review: Callable[[int], Review] | None = None,
    ) -> None:
        super().__init__("loader", threads=2)
        self._load, self._review = load, review

    def request(self, row: CaseRow) -> None:
        """Load ``row``; ``loaded`` or ``failed`` follows."""
        self.put(lambda: self._run(row))

    def request_summary(self, row: CaseRow) -> None:
        """Read the headline of ``row``; ``summary`` follows when there is one."""
        self.put(lambda: self._run_summary(row))

    def _run(self, row: CaseRow) -> None:
        from gui.edit_case import corrected_case

        try:
            case = self._load(row)
            if self._review is not None:
                case = corrected_case(replace(case, review=self._review(row.case_id)))
        except PlaqueEdgeError as error:
            self.tell(self.failed, key_of(row), str(error))
        except IdentityError as error:
            why = f"IDENTITY_MISMATCH: {error}. Nothing is shown."
            self.tell(self.failed, key_of(row), why)
        except (OSError, ValueError, KeyError) as error:
            self.tell(self.failed, key_of(row), f"RESULT_UNREADABLE: {type(error).__name__}.")
        else:
            self.tell(self.loaded, case)

    def _run_summary(self, row: CaseRow) -> None:
        try:
            acts = () if self._review is None else self._review(row.case_id).acts
            now = current(acts, row.result_dir, row.result_sha256)
            assert now.folder is not None
            text = (now.folder / "result.json").read_text(encoding="utf-8")
            result = json.loads(text)
            check_identity(row, result["series"])
        except (
            OSError, ValueError, KeyError, AssertionError, IdentityError, PlaqueEdgeError,
        ):  # fmt: skip
            return
        parts = ("status", "patient", "series", "software", "timing_ms")
        known = {name: result[name] for name in parts}
        known |= {"corrected": "corrections" in result, "sha256": now.sha256}
        self.tell(self.summary, key_of(row), known)
