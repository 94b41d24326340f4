"""One result folder: ``result.json``, ``report.pdf`` and ``view/``, whole or not there at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.errors import Failed
from plaque_edge.export.result_json import to_dict, write_json
from plaque_edge.show.branches import write_branches

if TYPE_CHECKING:
    from pathlib import Path

    from plaque_edge.pipeline import Analysis, ViewData


def folder_name(series_uid: str, revision: int) -> str:
    """Return the name of a result's folder: safe on every file system, and short."""
    safe = re.sub(r"[^0-9A-Za-z.]", "_", series_uid) or "unknown"
    if safe != series_uid or len(safe) > 64:
        safe = f"{safe[:40]}-{hashlib.sha256(series_uid.encode()).hexdigest()[:12]}"
    return f"{safe}_r{revision}"


def publish(analysis: Analysis, folder: Path, last_file: float | None = None) -> dict[str, Any]:
    """Write everything of one analysis into ``folder`` and return the JSON's content.

    ``last_file`` is when the last file of the series was written (seconds since the epoch).
    The folder appears in one step. Raises ``Failed`` RESULT_NOT_WRITTEN.
    """
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
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
            timing["last_file_to_result"] = round(1000.0 * (time.time() - last_file), 1)
        data = to_dict(replace(analysis.result, timing_ms=timing))
        write_json(data, part / "result.json")
        shutil.rmtree(folder, ignore_errors=True)
        part.replace(folder)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise not_written(error) from error
    return data


def not_written(error: OSError) -> Failed:
    """Return the failure for a result that the disk did not take."""
    return Failed(
        "RESULT_NOT_WRITTEN",
        f"The result could not be written ({error.strerror or type(error).__name__}).",
        "Check the free space and the access rights of the output folder.",
    )


def write_view(view: ViewData, folder: Path, series_uid: str) -> None:
    """Write what the screen draws: CT and labels of the heart, where they lie, the branches."""
    folder.mkdir(parents=True, exist_ok=True)
    write_branches(view.branches, folder / "branches.npz")
    np.save(folder / "ct.npy", view.hu)
    np.save(folder / "labels.npy", view.labels)
    place = {
        "spacing_zyx_mm": list(view.spacing_zyx_mm),
        "origin_zyx_mm": list(view.origin_zyx_mm),
        "series_instance_uid": series_uid,
    }
    (folder / "view.json").write_text(json.dumps(place), encoding="utf-8")


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
