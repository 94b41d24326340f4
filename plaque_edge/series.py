"""From files in any order to whole series, and the rule that chooses one of them.

Everything found below the given paths ends in exactly one bucket: part of a candidate, part
of a rejected series, or left out with a code. Two patients are never mixed. One bad file
never stops the reading of the others.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from plaque_edge.dicom_read import (
    CutHeaderError,
    Header,
    InvalidHeaderError,
    NotDicomError,
    read_header,
)
from plaque_edge.errors import Refused
from plaque_edge.quality.limits import DEFAULT, Limits
from plaque_edge.series_choice import Choice, SeriesRefused, choose_among
from plaque_edge.series_stacks import Built, build_series
from plaque_edge.types import Reason, RejectedSeries, SeriesFiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Choice", "Inventory", "SeriesRefused", "choose", "read_candidates"]

_BUCKET_TEXT = {
    "NOT_DICOM": ("not DICOM images", "Nothing to do: they were left out."),
    "FILE_EMPTY": ("empty", "Wait until the export has finished, or export again."),
    "FILE_UNREADABLE": (
        "locked or not readable",
        "Check the access rights of the folder, then start again.",
    ),
    "FILE_VANISHED": ("gone since the folder was listed", "Check that the folder is connected."),
    "FILE_TRUNCATED": ("cut short inside the header", "Wait for the export or export again."),
    "HEADER_INVALID": (
        "damaged, or too large or too deeply nested, in the header",
        "Export the series again, without private attributes where possible.",
    ),
    "SERIES_SLICE_COPY": ("copies of others", "Nothing to do: they were left out."),
}
_DOUBTFUL = ("FILE_TRUNCATED", "FILE_EMPTY", "FILE_UNREADABLE", "FILE_VANISHED", "HEADER_INVALID")


@dataclass(frozen=True, slots=True)
class Inventory:
    """All series found. ``buckets`` maps a code to the files that ended under it.

    The buckets are ``CANDIDATE``, the code of a rejected series, and the codes of files left
    out; every file is in one of them and none is in two. ``problems`` says in words what was
    left out.
    """

    candidates: tuple[SeriesFiles, ...]
    rejected: tuple[RejectedSeries, ...]
    problems: tuple[Reason, ...]
    buckets: dict[str, tuple[Path, ...]] = field(default_factory=dict)
    patients: int = 0

    @property
    def study_uids(self) -> tuple[str, ...]:
        """Return the UIDs of all studies with an image series, sorted."""
        infos = [s.info for s in self.candidates] + [s.info for s in self.rejected]
        return tuple(sorted({i.study_instance_uid for i in infos}))

    def only_study(self, study_uid: str) -> Inventory:
        """Return the part of the inventory that belongs to one study."""
        return Inventory(
            tuple(s for s in self.candidates if s.info.study_instance_uid == study_uid),
            tuple(s for s in self.rejected if s.info.study_instance_uid == study_uid),
            self.problems,
            self.buckets,
            patients=min(self.patients, 1),
        )


def read_candidates(paths: Sequence[Path]) -> Inventory:
    """Read the headers of all files at and below ``paths`` and sort them into series.

    Raises ``Refused`` FOLDER_MISSING when a path does not exist, before or after reading.
    Reads headers only, and verifies that each file holds all of its pixel data.
    """
    buckets: dict[str, list[Path]] = defaultdict(list)
    headers: list[Header] = []
    for path in _walk(paths):
        bucket, header = _read_one(path)
        if header is None:
            buckets[bucket].append(path)
        else:
            headers.append(header)
    for path in paths:
        _must_exist(path)
    built = _build_all(headers)
    for one in built:
        for path, code in one.places.items():
            buckets[code].append(path)
    return Inventory(
        candidates=tuple(c for one in built for c in one.candidates),
        rejected=tuple(r for one in built for r in one.rejected),
        problems=_problems(buckets),
        buckets={code: tuple(files) for code, files in sorted(buckets.items())},
        patients=len({h.patient for h in headers}),
    )


def choose(inventory: Inventory, wanted_uid: str | None = None, limits: Limits = DEFAULT) -> Choice:
    """Return the best coronary CTA of an inventory by the rule in ``docs/series-choice.md``.

    Raises :class:`SeriesRefused`: NO_DICOM, PATIENTS_SEVERAL, STUDIES_SEVERAL,
    SERIES_NOT_FOUND, NO_CORONARY_CTA, the code of the fault (such as SERIES_SLICE_MISSING)
    that spoils an otherwise fitting series, or FILE_TRUNCATED, FILE_EMPTY, FILE_UNREADABLE,
    FILE_VANISHED, HEADER_INVALID when such a file may belong to the chosen series.
    """
    if not inventory.candidates and not inventory.rejected:
        reason = Reason(
            "NO_DICOM",
            "There are no CT images in the folder.",
            "Export the coronary CTA as DICOM into this folder.",
        )
        raise SeriesRefused((reason, *inventory.problems))
    if wanted_uid is None:
        _refuse_several(inventory)
    try:
        choice = choose_among(inventory.candidates, inventory.rejected, wanted_uid, limits)
    except SeriesRefused as error:
        doubtful = [p for p in inventory.problems if p.code in _DOUBTFUL]
        raise SeriesRefused(
            (*error.reasons, *doubtful), error.rejected, error.candidates
        ) from error
    _refuse_doubtful(inventory, choice)
    return choice


def _refuse_doubtful(inventory: Inventory, choice: Choice) -> None:
    """Refuse a series beside which lies a file that may be one of its slices, but can't be read.

    A slice lost at either end leaves no gap, so nothing else would tell.
    """
    homes = {(path.parent, path.suffix) for path in choice.series.files}
    for code in _DOUBTFUL:
        beside = [p for p in inventory.buckets.get(code, ()) if (p.parent, p.suffix) in homes]
        if beside:
            what, next_step = _BUCKET_TEXT[code]
            text = f"{len(beside)} file(s) beside the series are {what}: {beside[0].name}."
            raise SeriesRefused((Reason(code, text, next_step),), choice.rejected)


def _refuse_several(inventory: Inventory) -> None:
    next_step = "Give one study, or name the series with --series UID."
    studies = len(inventory.study_uids)
    owners = {(s.info.patient_id, s.info.birth_date) for s in inventory.candidates}
    if len(owners) > 1 or (inventory.patients > 1 and not _mixed_only(inventory)):
        text = f"The folder holds images of {max(len(owners), inventory.patients)} patients."
        raise SeriesRefused((Reason("PATIENTS_SEVERAL", text, next_step),), inventory.rejected)
    if studies > 1:
        text = f"The folder holds {studies} studies."
        raise SeriesRefused((Reason("STUDIES_SEVERAL", text, next_step),), inventory.rejected)


def _mixed_only(inventory: Inventory) -> bool:
    """Say whether the patients met inside one series, which has its own, graver code."""
    return any(r.reason.code == "PATIENTS_MIXED" for r in inventory.rejected)


def _walk(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield every file once, in a fixed order, without following links to folders."""
    seen: set[Path] = set()
    for path in paths:
        _must_exist(path)
        if path.is_file():
            found = [path]
        else:
            found = [
                Path(folder) / name
                for folder, _, names in sorted(os.walk(path))
                for name in sorted(names)
            ]
        for file in found:
            if file not in seen:
                seen.add(file)
                yield file


def _must_exist(path: Path) -> None:
    if not path.exists():
        raise Refused(
            "FOLDER_MISSING",
            f"{path} does not exist or is no longer connected.",
            "Check the path and the network drive, then start again.",
        )


def _read_one(path: Path) -> tuple[str, Header | None]:
    """Read one header; return the bucket of a file that has none."""
    try:
        if path.stat().st_size == 0:
            return "FILE_EMPTY", None
        return "", read_header(path)
    except NotDicomError:
        return "NOT_DICOM", None
    except InvalidHeaderError:
        return "HEADER_INVALID", None
    except CutHeaderError:
        return "FILE_TRUNCATED", None
    except FileNotFoundError:
        return "FILE_VANISHED", None
    except OSError:
        return "FILE_UNREADABLE", None
    except Exception:  # one odd file must never stop the others; the parser may raise anything
        return "FILE_UNREADABLE", None


def _build_all(headers: list[Header]) -> list[Built]:
    groups: dict[tuple[str, str], list[Header]] = defaultdict(list)
    for header in headers:
        key = header.info.study_instance_uid, header.info.series_instance_uid
        groups[key].append(header)
    return [build_series(group) for _, group in sorted(groups.items())]


def _problems(buckets: dict[str, list[Path]]) -> tuple[Reason, ...]:
    counts = Counter({code: len(buckets[code]) for code in _BUCKET_TEXT if code in buckets})
    return tuple(
        Reason(
            code,
            f"{count} file{'s are' if count > 1 else ' is'} {_BUCKET_TEXT[code][0]}.",
            _BUCKET_TEXT[code][1],
        )
        for code, count in sorted(counts.items())
    )
