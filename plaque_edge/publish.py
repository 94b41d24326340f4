"""One result folder: ``result.json``, ``report.pdf`` and ``view/``, whole or not there at all."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import shutil
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.correct import measured
from plaque_edge.errors import Failed
from plaque_edge.export.result_json import to_dict, write_json
from plaque_edge.private import sync_folder
from plaque_edge.show.branches import write_branches

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from plaque_edge.pipeline import Analysis, ViewData


_DRAFT = ".part"
"""How the name of a folder ends that is still being written."""


def folder_name(series_uid: str, revision: int, study_uid: str = "") -> str:
    """Return the name of a result's folder: safe on every file system, and short.

    ``study_uid`` is given where another study has a series of the same UID.
    """
    safe = re.sub(r"[^0-9A-Za-z.]", "_", series_uid) or "unknown"
    if safe != series_uid or len(safe) > 64 or study_uid:
        whole = f"{study_uid}|{series_uid}" if study_uid else series_uid
        safe = f"{safe[:40]}-{hashlib.sha256(whole.encode()).hexdigest()[:12]}"
    return f"{safe}_r{revision}"


@dataclass(frozen=True, slots=True)
class Draft:
    """A whole result folder beside its place: ``data`` and hash are of its ``result.json``."""

    folder: Path
    data: dict[str, Any]
    sha256: str


def publish(analysis: Analysis, folder: Path) -> dict[str, Any]:
    """Write everything of one analysis into ``folder`` and return the JSON's content.

    The folder appears in one step. Raises ``Failed`` RESULT_NOT_WRITTEN, RESULT_DISK_FULL.
    """
    draft = write_draft(analysis, folder)
    put_in_place(draft.folder, folder)
    return draft.data


def write_draft(analysis: Analysis, folder: Path, last_file: float | None = None) -> Draft:
    """Write everything of one analysis beside ``folder``, flushed to the disk.

    ``last_file`` is when the last file of the series was written (seconds of the
    monotonic clock, which every process of this computer shares).
    Raises ``Failed`` RESULT_NOT_WRITTEN, RESULT_DISK_FULL.
    """
    part = folder.with_name(f".{folder.name}.{os.getpid()}{_DRAFT}")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        timing = dict(analysis.result.timing_ms)
        start = time.perf_counter()
        if analysis.view is not None and analysis.result.info is not None:
            write_view(analysis.view, part / "view", analysis.result.info.series_instance_uid)
        timing["store"] = _ms(start)
        start = time.perf_counter()
        write_report(analysis, part / "report.pdf")
        timing["export"] = _ms(start)
        timing["total"] = round(timing.get("total", 0.0) + timing["store"] + timing["export"], 1)
        if last_file is not None:
            timing["last_file_to_result"] = round(1000.0 * (time.monotonic() - last_file), 1)
        data = to_dict(replace(analysis.result, timing_ms=timing))
        write_json(data, part / "result.json")
        for path in part.rglob("*"):
            _flush(path)
        sha256 = hashlib.sha256((part / "result.json").read_bytes()).hexdigest()
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise not_written(error) from error
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return Draft(part, data, sha256)


def stamp(draft: Path, last_file: float) -> tuple[str, dict[str, float]]:
    """Say in a draft that waited that it becomes a result only now; return hash and timing.

    Raises ``Failed`` as :func:`write_draft`.
    """
    path = draft / "result.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        data["timing_ms"]["last_file_to_result"] = round(1000.0 * (time.monotonic() - last_file), 1)
        write_json(data, path)
        _flush(path)
        return hashlib.sha256(path.read_bytes()).hexdigest(), data["timing_ms"]
    except OSError as error:
        raise not_written(error) from error


def put_in_place(draft: Path, folder: Path) -> None:
    """Give a draft its name; done before, nothing happens. Raises ``Failed`` as above.

    What bore that name is moved aside first and only then deleted, so that there is never half
    of it, and it comes back where the draft can't take its place. Names are flushed to the disk
    like the files: no power cut leaves a case that is done without its folder.
    """
    if not draft.exists() and folder.exists():
        return
    before = folder.with_name(f".{folder.name}.before{_DRAFT}")
    try:
        for inside in (draft, *(p for p in draft.rglob("*") if p.is_dir())):
            sync_folder(inside)
        shutil.rmtree(before, ignore_errors=True)
        if folder.exists():
            folder.replace(before)
        try:
            draft.replace(folder)
        except OSError:
            if before.exists():
                before.replace(folder)
            raise
        sync_folder(folder.parent)
    except OSError as error:
        raise not_written(error) from error
    shutil.rmtree(before, ignore_errors=True)


def remove_drafts(out_dir: Path) -> None:
    """Remove what workers left that died while they wrote; only while none is at work."""
    for part in out_dir.glob(f".*{_DRAFT}"):
        shutil.rmtree(part, ignore_errors=True)


def remove_corrections(out_dir: Path) -> None:
    """Remove half-written corrections of a service that was killed; only at its start."""
    for part in out_dir.glob(f"*/.corrected-*{_DRAFT}"):
        shutil.rmtree(part, ignore_errors=True)


def _flush(path: Path) -> None:
    """Write a file through to the disk; SQLite would know of it before it is there otherwise."""
    if path.is_file():
        with path.open("rb+") as file:
            os.fsync(file.fileno())


def not_written(error: OSError) -> Failed:
    """Return the failure for a result that the disk did not take."""
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return Failed(
            "RESULT_DISK_FULL",
            "The result could not be written: the disk is full.",
            "Free some space on the disk of the output folder.",
        )
    return Failed(
        "RESULT_NOT_WRITTEN",
        f"The result could not be written ({error.strerror or type(error).__name__}).",
        "Check the free space and the access rights of the output folder.",
    )


def write_view(view: ViewData, folder: Path, series_uid: str) -> None:
    """Write what the screen draws: CT and labels of the heart, where they lie, the branches."""
    folder.mkdir(parents=True, exist_ok=True)
    write_branches(view.branches, folder / "branches.npz")
    if view.measured is not None:
        measured.write(view.measured, folder / measured.FILE)
    _save(folder / "ct.npy", view.hu)
    _save(folder / "labels.npy", view.labels)
    place = {
        "spacing_zyx_mm": list(view.spacing_zyx_mm),
        "origin_zyx_mm": list(view.origin_zyx_mm),
        "series_instance_uid": series_uid,
    }
    (folder / "view.json").write_text(json.dumps(place), encoding="utf-8")


def _save(path: Path, array: NDArray[Any]) -> None:
    """Write an array; numpy itself would not say that the disk is full, only that it failed."""
    data = io.BytesIO()
    np.save(data, array)
    path.write_bytes(data.getbuffer())


def write_report(analysis: Analysis, path: Path) -> None:
    """Write the PDF report; without a header (nothing was DICOM) there is none."""
    from plaque_edge.export.overlay import Stack, report_images
    from plaque_edge.export.report_pdf import write_pdf

    info, view = analysis.result.info, analysis.view
    if info is None:
        return
    data = to_dict(analysis.result)
    images: dict[str, Any] = {}
    if view is not None:
        stack = Stack(view.hu, view.labels, view.spacing_zyx_mm, view.origin_zyx_mm)
        images = dict(report_images(data, stack))
    write_pdf(data, info, path, images)


def _ms(start: float) -> float:
    return round(1000.0 * (time.perf_counter() - start), 1)
