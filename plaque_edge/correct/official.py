"""A correction written down: the corrected result in a folder of its own inside the result's.

``corrected-N/`` holds ``result.json``, ``report.pdf``, ``branches.npz`` and the voxels whose label
changed; N is the number of the request. The analysis's own files are never touched.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from plaque_edge.correct import edits as edit_data
from plaque_edge.correct import measured, tree
from plaque_edge.correct.job import Written
from plaque_edge.correct.result import corrected_result
from plaque_edge.errors import Refused
from plaque_edge.export.overlay import Stack, report_images
from plaque_edge.export.report_pdf import write_pdf
from plaque_edge.export.result_json import write_json
from plaque_edge.publish import not_written
from plaque_edge.quantify.measures import label_mapped
from plaque_edge.show.branches import of_mapped, write_branches
from plaque_edge.types import Covariates

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from plaque_edge.correct.job import CorrectionJob
    from plaque_edge.correct.measured import Measured

LABELS_FILE: Final = "labels_changed.npz"


def open_case(folder: Path, series_uid: str) -> tuple[Measured, dict[str, Any], str]:
    """Read what was measured, the result and the hash of its file.

    Raises ``Refused`` CORRECTION_NOT_KEPT, CORRECTION_OTHER_RESULT.
    """
    file = folder / "view" / measured.FILE
    try:
        text = (folder / "result.json").read_bytes()
        original = json.loads(text)
        case = measured.read(file)
    except (OSError, ValueError, KeyError) as error:
        raise Refused(
            "CORRECTION_NOT_KEPT",
            "This result keeps too little to be corrected: it was written by an earlier version, "
            "or can't be read.",
            "Analyse the scan again.",
        ) from error
    if {series_uid} != {case.series_uid, original["series"]["series_instance_uid"]}:
        raise Refused(
            "CORRECTION_OTHER_RESULT",
            "The corrections were made on another result.",
            "Open the result again and correct what it shows.",
        )
    return case, original, hashlib.sha256(text).hexdigest()


def write_corrected(job: CorrectionJob) -> Written:
    """Measure the case with its edits and write the draft. Raises ``Refused``, ``Failed``."""
    uid = job.info.series_instance_uid
    case, original, sha256 = open_case(job.folder, uid)
    edits = edit_data.read(job.document, uid, sha256)
    edit_data.check(edits, case.straight)
    found = tree.measure(case, edits)
    known = _known(original, job.covariates)
    data = corrected_result(original, found, edits, job.by, known, job.risk_model)
    name = f"corrected-{job.by.request}"
    draft = job.folder / f".{name}.{os.getpid()}.part"
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        write_json(data, draft / "result.json")
        write_branches(of_mapped(found.mapped), draft / "branches.npz")
        stack = _labels(job.folder / "view", found, draft)
        images = {} if stack is None else dict(report_images(data, stack))
        write_pdf(data, job.info, draft / "report.pdf", images)
        for path in draft.iterdir():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
        done = hashlib.sha256((draft / "result.json").read_bytes()).hexdigest()
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise not_written(error) from error
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return Written(draft, name, done, edit_data.summary(edits))


def _known(original: dict[str, Any], said: Covariates) -> Covariates:
    """Return what is known of the patient: what people have said, else what the analysis knew."""
    old = original["covariates"]
    return Covariates(**{n: old[n] if getattr(said, n) is None else getattr(said, n) for n in old})


def _labels(view: Path, found: tree.Corrected, draft: Path) -> Stack | None:
    """Paint the labels anew and keep the voxels that changed; return the images for the report."""
    if not (view / "view.json").exists():
        return None
    place = json.loads((view / "view.json").read_text(encoding="utf-8"))
    hu = np.load(view / "ct.npy", mmap_mode="r")
    before = np.load(view / "labels.npy", mmap_mode="r")
    spacing, origin = tuple(place["spacing_zyx_mm"]), tuple(place["origin_zyx_mm"])
    after = label_mapped(found.mapped, before.shape, spacing, origin)
    at = np.flatnonzero(after != before)
    np.savez_compressed(draft / LABELS_FILE, at=at.astype(np.int64), label=after.ravel()[at])
    return Stack(hu, after, spacing, origin)


def changed_labels(labels: NDArray[np.uint8], file: Path) -> NDArray[np.uint8]:
    """Return a copy of the labels with the voxels of a correction. Raises OSError, ValueError."""
    out = np.array(labels)
    with np.load(file, allow_pickle=False) as changed:
        out.reshape(-1)[changed["at"]] = changed["label"]
    return out
