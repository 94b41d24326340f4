"""The made-up arteries as the networks would see them: a case that can be corrected.

For pictures, tests and figures of the correction alone; nothing here is shown as an analysis.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from gui.sample import sample_branches, sample_result, write_result_folder
from plaque_edge.correct import edits as edit_data
from plaque_edge.correct import measured, tree
from plaque_edge.correct.contours import coverage
from plaque_edge.correct.edits import Contour, Exclude
from plaque_edge.correct.job import By, CorrectionJob
from plaque_edge.correct.official import open_case, write_corrected
from plaque_edge.export.result_json import measured_parts
from plaque_edge.publish import put_in_place
from plaque_edge.quantify.hu_rules import rules_for
from plaque_edge.quantify.options import Calibration, GateOptions
from plaque_edge.quantify.sections import ANGLES
from plaque_edge.segment.straighten import PIXEL_MM, WIDTH
from plaque_edge.show.branches import of_mapped, write_branches
from plaque_edge.store import NewAction
from plaque_edge.types import WALL_CLASSES, Branch, CoronaryTree, StraightBranch

if TYPE_CHECKING:
    from pathlib import Path

    from plaque_edge.correct.measured import Measured
    from plaque_edge.quantify.measures import Mapped
    from plaque_edge.show.branches import BranchView
    from plaque_edge.store import CaseRow
    from plaque_edge.types import SeriesInfo

WALL_MM = 0.4
HU = (-80.0, 300.0, 390.0, 40.0, 80.0, 15.0, 620.0)
"""Of each class, in the order of the network's."""
AORTA_HU = (400.0, 22.0)


def write_correctable(folder: Path, info: SeriesInfo, spacing_mm: float = 1.0) -> Path:
    """Write a result folder whose numbers are measured on what it keeps; return ``folder``."""
    case, mapped = _measured()
    found = tree.measure(case, ())
    parts = measured_parts(found.measures, found.tree, None)
    result: dict[str, Any] = {**sample_result(info), **parts}
    result["risk"] = sample_result(info)["risk"]
    write_result_folder(folder, json.loads(json.dumps(result)), spacing_mm)
    uid = info.series_instance_uid
    measured.write(replace(case, series_uid=uid), folder / "view" / measured.FILE)
    write_branches(of_mapped(mapped), folder / "view" / "branches.npz")
    return folder


@cache
def _measured() -> tuple[Measured, Mapped]:
    straight = [_straight(view) for view in sample_branches()]
    rules = measured.Rules(GateOptions(), Calibration(), rules_for(AORTA_HU, 100.0))
    mapped = measured.map_with(straight, rules)
    branches = tuple(s.branch for s in mapped.packed.branches)
    whole = CoronaryTree(branches, "right", aorta_hu=AORTA_HU)
    return measured.of_mapped("", mapped, whole, rules), mapped


def _straight(view: BranchView) -> StraightBranch:
    """Fill each section: lumen, normal wall at the outside, and plaque between the two."""
    n = len(view)
    fractions = np.zeros((len(WALL_CLASSES), n, WIDTH, WIDTH), np.float32)
    size, pole = (WIDTH, WIDTH), (0.0, 0.0)
    for i in range(n):
        lumen, outer, inner = (
            coverage(radii, pole, size, PIXEL_MM)
            for radii in (view.lumen_mm[i], view.wall_mm[i], view.wall_mm[i] - WALL_MM)
        )
        plaque = np.clip(inner - lumen, 0.0, None)
        fractions[2:4, i] = lumen, np.clip(outer - lumen - plaque, 0.0, None)
        fractions[4:, i] = np.array([0.6, 0.1, 0.3])[:, None, None] * plaque
        fractions[0, i] = 1.0 - outer
    hu = np.tensordot(np.array(HU, np.float32), fractions, axes=1).astype(np.float32)
    lines = view.centers_mm
    radius = np.sqrt(view.area_mm2[:, 0] / np.pi)
    branch = Branch(view.vessel, view.name, None, lines, radius)  # type: ignore[arg-type]
    stored = np.rint(255.0 * fractions).astype(np.uint8)
    return StraightBranch(branch, lines, view.u, view.v, view.step_mm, PIXEL_MM, stored, hu)


def correct_sample(row: CaseRow, person: str) -> NewAction:
    """Write a corrected result of such a case as the service does, and return the act of it."""
    assert row.result_dir is not None
    case, _, sha256 = open_case(row.result_dir, row.series_uid)
    lad = next(i for i, s in enumerate(case.straight) if s.branch.name == "LAD")
    edits = (
        Contour(lad, "LAD", 55, "wall", (3.4,) * ANGLES, spread_mm=6.0),
        Exclude(lad, "LAD", 100, 130, "Motion or step artefact"),
    )
    document = edit_data.document(edits, row.series_uid, sha256)
    by = By(person, "2026-11-23T15:04:05.000Z", sha256, 1)
    end = write_corrected(CorrectionJob(row.result_dir, row.info, document, by))
    put_in_place(end.draft, row.result_dir / end.name)
    return NewAction("correct", person, {"folder": end.name, "sha256": end.sha256})
