"""The quality gate: each limit from both sides, and a clean scan that passes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_factory import info

from plaque_edge.kernels import classify
from plaque_edge.quality import (
    check_coverage,
    check_header,
    check_image,
    limiting,
    verdict,
)
from plaque_edge.quality.limits import DEFAULT, ENHANCED_HU, from_settings
from plaque_edge.types import (
    Branch,
    CoronaryTree,
    QcCheck,
    Reason,
    SeriesFiles,
    VesselName,
    Volume,
)

CLEAN = SeriesFiles(info(), (Path("a"),), (256, 512, 512), (0.5, 0.4, 0.4))
BOX = Volume(np.zeros((300, 400, 400), np.int16), (0.5, 0.4, 0.4), (0.0, 0.0, 0.0))


def levels(checks: tuple[QcCheck, ...]) -> dict[str, str]:
    return {c.code: c.level for c in checks}


def header(**changes: Any) -> dict[str, str]:
    own = {k: v for k, v in changes.items() if hasattr(CLEAN, k)}
    rest = {k: v for k, v in changes.items() if k not in own}
    return levels(check_header(replace(CLEAN, info=info(**rest), **own)))


def branch(vessel: VesselName, length: float = 120.0, start: float = 20.0) -> Branch:
    count = int(length / 0.5) + 1
    points = np.full((count, 3), 60.0)
    points[:, 2] = start + 0.5 * np.arange(count)
    return Branch(vessel, vessel, None, points, np.full(count, 1.5))


def tree(*vessels: VesselName, length: float = 120.0, start: float = 20.0) -> CoronaryTree:
    return CoronaryTree(tuple(branch(v, length, start) for v in vessels))


FULL = tree("LM", "LAD", "LCX", "RCA", "LCX")


@pytest.mark.parametrize(
    ("spacing", "codes"),
    [
        ((0.05, 0.04, 0.04), {"QC_FIELD", "QC_COVERAGE"}),  # all in cm
        ((0.5, 0.04, 0.04), {"QC_FIELD"}),  # pixels in cm
        ((0.05, 0.4, 0.4), {"QC_COVERAGE"}),  # slices in cm
        ((5.0, 4.0, 4.0), {"QC_SPACING", "QC_PIXEL"}),  # tenths of mm
        ((500.0, 400.0, 400.0), {"QC_SPACING", "QC_PIXEL"}),  # micrometres
    ],
)
def test_a_geometry_in_another_unit_is_refused(spacing, codes) -> None:
    found = header(spacing_zyx_mm=spacing)
    assert {code for code, level in found.items() if level == "refuse"} == codes


def test_a_clean_scan_passes_everything() -> None:
    checks = (*check_header(CLEAN), *check_image(BOX, FULL, (400.0, 25.0)), check_coverage({}))
    assert {c.level for c in checks} == {"pass"}
    assert verdict(checks) == "diagnostic"
    assert len({c.code for c in checks}) == len(checks)


def test_a_good_scan_with_usual_deviations_stays_diagnostic() -> None:
    series = replace(CLEAN, info=info(kvp=90.0))
    checks = (*check_header(series), *check_image(BOX, FULL, (560.0, 30.0)))
    assert sum(c.level == "warn" for c in checks) == 2
    assert verdict(checks) == "diagnostic"


SPACING = "spacing_zyx_mm"


@pytest.mark.parametrize(
    ("code", "changes", "level"),
    [
        ("QC_SPACING", {SPACING: (0.75, 0.4, 0.4)}, "pass"),
        ("QC_SPACING", {SPACING: (0.8, 0.4, 0.4)}, "warn"),
        ("QC_SPACING", {SPACING: (1.0, 0.4, 0.4)}, "warn"),
        ("QC_SPACING", {SPACING: (1.1, 0.4, 0.4)}, "refuse"),
        ("QC_THICKNESS", {"slice_thickness_mm": 0.9}, "warn"),
        ("QC_THICKNESS", {"slice_thickness_mm": 1.5}, "refuse"),
        ("QC_THICKNESS", {"slice_thickness_mm": None}, "warn"),
        ("QC_PIXEL", {SPACING: (0.5, 0.4, 0.45)}, "pass"),
        ("QC_PIXEL", {SPACING: (0.5, 0.4, 0.5)}, "warn"),
        ("QC_PIXEL", {SPACING: (0.5, 0.7, 0.4)}, "refuse"),
        ("QC_FIELD", {"shape_zyx": (256, 512, 300)}, "warn"),
        ("QC_FIELD", {"shape_zyx": (256, 512, 200)}, "refuse"),
        ("QC_COVERAGE", {"shape_zyx": (150, 512, 512)}, "warn"),
        ("QC_COVERAGE", {"shape_zyx": (100, 512, 512)}, "refuse"),
        ("QC_KERNEL", {"kernel": "Bv40"}, "pass"),
        ("QC_KERNEL", {"kernel": "Bv59"}, "warn"),
        ("QC_KERNEL", {"kernel": "LUNG"}, "refuse"),
        ("QC_KERNEL_UNKNOWN", {"kernel": ""}, "warn"),
        ("QC_KVP", {"kvp": 100.0}, "pass"),
        ("QC_KVP", {"kvp": 70.0}, "warn"),
        ("QC_KVP", {"kvp": None}, "warn"),
        ("QC_KVP", {"kvp": 40.0}, "refuse"),
        ("QC_PHASE", {"phase_percent": None, "series_description": "CTA"}, "warn"),
        ("QC_PHASE", {"phase_percent": None, "series_description": "BestDiast"}, "pass"),
        ("LOSSY_COMPRESSION", {"notes": (Reason("LOSSY_COMPRESSION", "x"),)}, "warn"),
        ("SERIES_SLICE_COPY", {"notes": (Reason("SERIES_SLICE_COPY", "x"),)}, "pass"),
    ],
)
def test_header_limits(code: str, changes: dict[str, Any], level: str) -> None:
    assert header(**changes)[code] == level


@pytest.mark.parametrize(
    ("aorta", "contrast", "noise"),
    [
        ((300.0, 35.0), "pass", "pass"),
        ((500.0, 35.1), "pass", "warn"),
        ((250.0, 50.1), "warn", "refuse"),
        ((199.0, 20.0), "refuse", "pass"),
        ((650.0, 20.0), "warn", "pass"),
        ((750.0, 20.0), "warn", "pass"),
        (None, "warn", "warn"),
    ],
)
def test_image_limits(aorta: tuple[float, float] | None, contrast: str, noise: str) -> None:
    found = check_image(BOX, None, aorta)
    assert levels(found) == {"QC_CONTRAST": contrast, "QC_NOISE": noise}
    if aorta is None:
        assert [c.value for c in found] == [None, None], "not measured is never 0"


def test_tree_limits() -> None:
    def of(made: CoronaryTree) -> dict[str, str]:
        return levels(check_image(BOX, made, (400.0, 20.0)))

    assert of(FULL)["QC_TREE_VESSELS"] == "pass"
    assert of(tree("LM", "LAD", "RCA"))["QC_TREE_VESSELS"] == "warn"
    assert of(tree("RCA"))["QC_TREE_VESSELS"] == "refuse"
    missing = replace(FULL, missing={"RCA": Reason("X", "y")})
    assert of(missing)["QC_TREE_VESSELS"] == "warn"
    assert of(FULL)["QC_TREE_LENGTH"] == "pass"
    assert of(tree("LM", "LAD", "LCX", "RCA", length=50.0))["QC_TREE_LENGTH"] == "warn"
    assert of(tree("LM", "LAD", "LCX", "RCA", length=20.0))["QC_TREE_LENGTH"] == "refuse"
    assert of(tree("LM", "LAD", "LCX", "RCA", start=0.5))["QC_TREE_EDGE"] == "warn"


def line(code: str, level: Any, value: float | None = None) -> QcCheck:
    return QcCheck(code, level, value)


def test_verdict_is_the_worst() -> None:
    assert verdict([]) == "diagnostic"
    assert verdict([line("QC_NOISE", "warn")]) == "limited"
    assert verdict([line("QC_NOISE", "warn"), line("QC_PIXEL", "refuse")]) == "non_diagnostic"
    minor = [line(c, "warn") for c in ("QC_PHASE", "QC_KVP", "QC_CONTRAST")]
    assert verdict(minor[:2]) == "diagnostic"
    assert verdict(minor) == "limited"
    assert limiting(minor) == tuple(minor)
    assert limiting([*minor[:2], line("QC_NOISE", "warn")]) == (line("QC_NOISE", "warn"),)


def test_warnings_of_one_cause_count_once() -> None:
    kv, phase = line("QC_KVP", "warn", 80.0), line("QC_PHASE", "warn")
    bright, dark = line("QC_CONTRAST", "warn", 560.0), line("QC_CONTRAST", "warn", 250.0)
    assert verdict([kv, bright, phase]) == "diagnostic"  # a low voltage makes iodine bright
    assert verdict([kv, dark, phase]) == "limited"
    assert verdict([line("QC_KVP", "warn", 130.0), bright, phase]) == "limited"
    thick = [line("QC_SPACING", "warn"), line("QC_THICKNESS", "warn")]
    assert verdict([*thick, phase]) == "diagnostic"
    assert verdict([*thick, phase, line("QC_PIXEL", "warn")]) == "limited"


def test_an_unknown_history_is_told_and_limits_nothing() -> None:
    unknown = line("QC_GRAFT_UNKNOWN", "warn")
    assert verdict([unknown, line("QC_KVP", "warn"), line("QC_PHASE", "warn")]) == "diagnostic"
    assert verdict([line("QC_GRAFT", "warn")]) == "limited"


def test_heart_cut_by_the_scan() -> None:
    whole = check_coverage({"head": 14.0})  # every scan ends in the great vessels
    assert (whole.level, whole.value) == ("pass", 0.0)
    fat = check_coverage({"feet": 0.0, "left": 3.0})
    assert fat.level == "pass"
    assert "fat round the heart at: feet, left" in fat.text
    cut = check_coverage({"head": 14.0, "feet": 25.0, "left": 3.1, "right": 0.0})
    assert (cut.level, cut.value) == ("warn", 25.0)
    assert "feet (25 cm2), left (3 cm2)" in cut.text
    assert check_coverage({"feet": 3.1}, replace(DEFAULT, heart_cut_warn_cm2=5.0)).level == "pass"


def test_every_line_that_is_not_in_order_says_what_to_do() -> None:
    bad = replace(CLEAN, info=info(kernel="B70f", kvp=60.0), spacing_zyx_mm=(2.0, 0.9, 0.9))
    for check in (*check_header(bad), *check_image(BOX, tree("RCA"), (100.0, 90.0))):
        assert check.level == "pass" or check.next_step
        assert check.text
        assert check.limits


@pytest.mark.parametrize(
    ("kernel", "kind"),
    [
        ("Bv36d\\3", "vascular"), ("Bv40", "vascular"), ("Bv44f", "vascular"), ("B26f", "vascular"),
        ("I26f/2", "vascular"), ("Bv48", "vascular"), ("STANDARD", "vascular"), ("XCB", "vascular"),
        ("FC03", "vascular"), ("SOFT", "vascular"), ("Qr40", "vascular"), ("STD+", "vascular"),
        ("Bv56", "sharp"), ("Bv60", "sharp"), ("DETAIL", "sharp"), ("XCD", "sharp"),
        ("B70f", "lung_bone"), ("Bl57", "lung_bone"), ("LUNG", "lung_bone"),
        ("BONEPLUS", "lung_bone"),
        ("FC51", "lung_bone"), ("FC30", "lung_bone"), ("", "unknown"), ("XYZZY", "unknown"),
    ],
)  # fmt: skip
def test_kernel_classes(kernel: str, kind: str) -> None:
    assert classify(kernel) == kind


def test_shipped_limits_are_in_order() -> None:
    assert from_settings({}) == DEFAULT
    assert DEFAULT.aorta_limit_hu[0] < DEFAULT.aorta_pass_hu[0] < DEFAULT.aorta_pass_hu[1]
    assert ENHANCED_HU <= DEFAULT.aorta_limit_hu[0]
