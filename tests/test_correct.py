"""Corrections: contours, centres, segments and gaps as data, and the numbers that follow."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import pytest
import tube_scan

from plaque_edge.correct import contours, measured, official, tree
from plaque_edge.correct import edits as edit_data
from plaque_edge.correct.branch import USUAL_WALL_MM, edited, offsets_mm
from plaque_edge.correct.edits import Centre, Contour, Edit, Exclude, Relabel
from plaque_edge.correct.job import By, CorrectionJob
from plaque_edge.correct.result import corrected_result
from plaque_edge.correct.spread import shares
from plaque_edge.errors import Refused
from plaque_edge.export.result_json import SCHEMA_FILE, measured_parts, to_dict
from plaque_edge.pipeline import Analysis, AnalyzeOptions, analyze
from plaque_edge.publish import publish
from plaque_edge.quantify.hu_rules import FIXED
from plaque_edge.types import Branch, Gap, Reason, StraightBranch

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from plaque_edge.correct.measured import Measured

UID, SHA = "1.2.3", "ab" * 32


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    folder = tmp_path_factory.mktemp("scan")
    tube_scan.write(folder)
    return analyze([folder], AnalyzeOptions(), tube_scan.Engines, None, tube_scan.segmenter())


@pytest.fixture(scope="module")
def folder(analysis: Analysis, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("out") / "result"
    publish(analysis, place)
    return place


@pytest.fixture(scope="module")
def case(folder: Path) -> Measured:
    return measured.read(folder / "view" / measured.FILE)


def at(case: Measured, name: str) -> int:
    return next(i for i, s in enumerate(case.straight) if s.branch.name == name)


def circle(case: Measured, step: int, which: Any, radius: float, **more: Any) -> Contour:
    return Contour(at(case, "LAD"), "LAD", step, which, (radius,) * 32, **more)


# ---- without an edit nothing changes ------------------------------------------------------------


def test_without_an_edit_every_number_is_the_analysis_s_own(
    analysis: Analysis, case: Measured
) -> None:
    """From the file, exactly: summed anew, and as the quick way begins."""
    data = to_dict(analysis.result)
    found = tree.measure(case, ())
    again = measured_parts(found.measures, found.tree, analysis.result.risk)
    again.pop("intervals", None)
    for key, value in again.items():
        for item in (value, data[key]):
            _without_intervals(item)
        assert value == data[key], key
    quick = tree.Quick(case).measure(())
    assert quick.measures == found.measures
    assert all(
        np.array_equal(a.volume_mm3, b.volume_mm3)
        for a, b in zip(quick.mapped.profiles, found.mapped.profiles, strict=True)
    )


def _without_intervals(item: Any) -> None:
    """Intervals are made from the numbers later; they are no part of measuring again."""
    for part in [*item.values(), item] if isinstance(item, dict) else item or []:
        if isinstance(part, dict):
            part.pop("intervals_95", None)


def test_what_is_kept_is_what_was_measured(case: Measured, analysis: Analysis) -> None:
    assert analysis.view is not None
    kept = analysis.view.measured
    assert kept is not None
    assert kept.rules == case.rules
    for a, b in zip(kept.straight, case.straight, strict=True):
        for name in ("centers_mm", "u", "v", "fractions", "hu"):
            assert np.array_equal(getattr(a, name), getattr(b, name))
        assert (a.branch.name, a.branch.parent) == (b.branch.name, b.branch.parent)
        assert np.array_equal(a.branch.radius_mm, b.branch.radius_mm)


# ---- drawn contours: analytic truth -------------------------------------------------------------


def nothing_seen(n: int = 21) -> StraightBranch:
    """A straight branch in which the network saw background alone."""
    centers = np.zeros((n, 3))
    centers[:, 0] = 0.5 * np.arange(n)
    u, v = np.zeros((n, 3)), np.zeros((n, 3))
    u[:, 1] = v[:, 2] = 1.0
    fractions = np.zeros((7, n, 48, 48), np.uint8)
    fractions[0] = 255
    hu = np.full((n, 48, 48), 60.0, np.float32)
    branch = Branch("LAD", "LAD", None, centers, np.ones(n))
    return StraightBranch(branch, centers, u, v, 0.5, 0.25, fractions, hu)


def mm2(item: StraightBranch, step: int) -> NDArray[np.float64]:
    """Area of each class in one section."""
    soft = item.fractions[:, step].astype(np.float64)
    area: NDArray[np.float64] = (soft / soft.sum(axis=0)).sum(axis=(1, 2)) * item.pixel_mm**2
    return area


@pytest.mark.parametrize("pole", [(0.0, 0.0), (0.6, -0.35)])
@pytest.mark.parametrize(("lumen", "wall"), [(1.5, 2.6), (0.8, 2.0), (2.03, 3.4)])
def test_a_drawn_circle_is_a_circle(lumen: float, wall: float, pole: tuple[float, float]) -> None:
    """Lumen, vessel and wall within 1 %; what is thicker than a normal wall is plaque."""
    edits = [
        Contour(0, "LAD", 10, "lumen", (lumen,) * 32, pole),
        Contour(0, "LAD", 10, "wall", (wall,) * 32, pole),
    ]
    area = mm2(edited(nothing_seen(), edits, FIXED), 10)
    inner = wall - USUAL_WALL_MM
    assert area[2] == pytest.approx(np.pi * lumen**2, rel=0.01)
    assert area[2:].sum() == pytest.approx(np.pi * wall**2, rel=0.01)
    assert area[4] == pytest.approx(np.pi * (inner**2 - lumen**2), rel=0.02)
    assert area[3] == pytest.approx(np.pi * (wall**2 - inner**2), rel=0.02)
    assert area[5] + area[6] == 0.0


@pytest.mark.parametrize(("hu", "channel"), [(10.0, 5), (60.0, 4), (349.0, 4), (351.0, 6)])
def test_gained_plaque_is_of_the_kind_its_hu_says(hu: float, channel: int) -> None:
    item = nothing_seen()
    item.hu[:] = hu
    edits = [Contour(0, "LAD", 10, w, (r,) * 32) for w, r in (("lumen", 1.0), ("wall", 2.5))]
    area = mm2(edited(item, edits, FIXED), 10)
    assert area[channel] == area[4:].sum() > 5.0


def test_an_ellipse_has_an_ellipse_s_area() -> None:
    a, b = 2.4, 1.5
    t = 2 * np.pi * np.arange(32) / 32
    radii = a * b / np.hypot(b * np.cos(t), a * np.sin(t))
    assert contours.area_mm2(radii) == pytest.approx(np.pi * a * b, rel=0.002)
    share = contours.coverage(radii, (0.1, 0.2), (48, 48), 0.25)
    assert share.sum() * 0.0625 == pytest.approx(np.pi * a * b, rel=0.005)
    assert share.max() == 1.0
    assert share[0].max() == 0.0


def test_drag_moves_the_point_and_less_and_less_its_neighbours() -> None:
    radii = contours.dragged(np.full(32, 2.0), 5, 3.0)
    assert radii[5] == 3.0
    assert 2.0 < radii[3] < radii[4] < 3.0
    assert radii[5 - 3] == radii[5 + 3] == 2.0
    assert contours.dragged(np.full(32, 2.0), 0, 3.0)[31] == pytest.approx(radii[4])


def test_a_brush_pushes_only_what_it_touches() -> None:
    radii = contours.pushed(np.full(32, 2.0), (1.8, 0.0), 0.6, outwards=True)
    assert radii[0] == pytest.approx(2.4)
    assert radii[16] == 2.0
    back = contours.pushed(np.full(32, 2.0), (2.2, 0.0), 0.6, outwards=False)
    assert back[0] == pytest.approx(1.6)
    edge = contours.outline(radii)
    gone = np.hypot(edge[:, 0] - 1.8, edge[:, 1])
    assert gone.min() > 0.6 - 0.05


def test_shares_lie_between_two_edits_and_fade_beside_one() -> None:
    found = shares({4: 2.5, 7: 2.5}, 20)
    assert found[4].parts == ((4, 1.0),)
    assert found[5].weight == 1.0
    assert dict(found[5].parts) == pytest.approx({4: 2 / 3, 7: 1 / 3})
    assert found[8].weight == pytest.approx(0.6)
    assert set(found) == {2, 3, 4, 5, 6, 7, 8, 9}
    assert shares({4: 1.5, 7: 1.5}, 20)[5].parts == ((4, pytest.approx(1 / 3)),)


def test_edits_between_and_beside_leave_the_rest_untouched(case: Measured) -> None:
    item = case.straight[at(case, "LAD")]
    new = edited(item, [circle(case, 60, "lumen", 1.0)], FIXED)
    changed = (new.fractions != item.fractions).any(axis=(0, 2, 3))
    assert set(np.flatnonzero(changed)) == {59, 60, 61}
    assert edited(item, [], FIXED) is item


def test_growing_the_wall_adds_plaque_and_shrinking_the_lumen_too(case: Measured) -> None:
    item = case.straight[at(case, "LAD")]
    before = mm2(item, 20)
    wide = mm2(edited(item, [circle(case, 20, "wall", 3.2)], FIXED), 20)
    assert wide[2:].sum() == pytest.approx(np.pi * 3.2**2, rel=0.01)
    gain = np.pi * 3.2**2 - before[2:].sum()
    assert wide[3:].sum() - before[3:].sum() == pytest.approx(gain, rel=0.02)
    # Where the network's wall is a little thinner than a normal one, it is made up for.
    assert 0.0 <= wide[3] - before[3] < 0.05 * 2 * np.pi * 3.2
    tight = mm2(edited(item, [circle(case, 20, "lumen", 0.8)], FIXED), 20)
    assert tight[2] == pytest.approx(np.pi * 0.8**2, rel=0.01)
    assert tight[2:].sum() == pytest.approx(before[2:].sum(), rel=0.005)


# ---- centres ------------------------------------------------------------------------------------


def test_a_moved_centre_sees_the_same_tissue(case: Measured) -> None:
    """The line moves, the vessel stays: volumes change by no more than resampling."""
    branch = at(case, "LAD")
    edits = [Centre(branch, "LAD", 80, (0.5, -0.25))]
    new, old = tree.measure(case, edits), tree.measure(case, ())
    moved = new.mapped.profiles[branch].item.centers_mm - case.straight[branch].centers_mm
    assert moved[80] == pytest.approx(
        0.5 * case.straight[branch].u[80] - 0.25 * case.straight[branch].v[80]
    )
    assert np.abs(moved[:70]).max() == 0.0
    for name in ("plaque_mm3", "lumen_mm3", "vessel_mm3"):
        a, b = (getattr(x.measures.vessels["LAD"], name) for x in (new, old))
        assert a == pytest.approx(b, rel=0.01), name
    line = next(b for b in new.tree.branches if b.name == "LAD")
    assert np.array_equal(line.points_mm, new.mapped.profiles[branch].item.centers_mm)


def test_centres_fade_smoothly() -> None:
    out = offsets_mm([Centre(0, "LAD", 20, (1.0, 0.0))], 41, 0.5)
    assert out[20, 0] == 1.0
    assert out[15, 0] == pytest.approx(0.5)
    assert out[10, 0] == out[30, 0] == 0.0
    assert np.diff(out[10:21, 0]).min() > 0


# ---- segments and gaps --------------------------------------------------------------------------


def test_a_stretch_is_relabelled(case: Measured) -> None:
    branch = at(case, "LAD")
    edits = [Relabel(branch, "LAD", 0, 60, 6)]
    found = tree.measure(case, edits)
    own = next(p for p in found.measures.profiles if p.branch == "LAD")
    assert set(own.segment[:61]) == {6}
    patient, before = found.measures.patient, tree.measure(case, ()).measures.patient
    assert patient.plaque_mm3 == before.plaque_mm3
    segment = next(s for s in found.measures.segments if s.number == 6)
    assert segment.borders == "as a person marked it"


def test_a_branch_of_another_vessel_changes_its_vessel(case: Measured) -> None:
    branch = at(case, "D1")
    last = len(case.straight[branch].centers_mm) - 1
    before = tree.measure(case, ()).measures
    found = tree.measure(case, [Relabel(branch, "D1", 0, last, 12)]).measures
    assert {p.branch: p.vessel for p in found.profiles}["OM1"] == "LCX"
    for name in ("plaque_mm3", "lumen_mm3"):
        moved = getattr(before.vessels["LAD"], name) - getattr(found.vessels["LAD"], name)
        came = getattr(found.vessels["LCX"], name) - getattr(before.vessels["LCX"], name)
        assert moved == pytest.approx(came)
    with pytest.raises(Refused, match="CORRECTION_SEGMENT_VESSEL"):
        tree.measure(case, [Relabel(branch, "D1", 10, 20, 12)])


def test_an_excluded_stretch_is_measured_nowhere(case: Measured) -> None:
    branch = at(case, "LAD")
    before = tree.measure(case, ())
    found = tree.measure(case, [Exclude(branch, "LAD", 10, 49, "motion")])
    lad, was = found.measures.vessels["LAD"], before.measures.vessels["LAD"]
    assert lad.status == "partial"
    assert found.measures.patient.lower_bound
    assert lad.length_mm == pytest.approx((was.length_mm or 0.0) - 20.0)
    profile = before.mapped.profiles[branch]
    lumen = profile.volume_mm3[10:50, 0].sum()
    assert lad.lumen_mm3 == pytest.approx((was.lumen_mm3 or 0.0) - lumen, abs=1e-3)
    own = next(p for p in found.measures.profiles if p.branch == "LAD")
    assert all(np.isnan(v[10:50]).all() for v in own.values.values())
    assert [n.code for n in found.measures.notes] == ["CORRECTION_EXCLUDED"]
    assert "motion" in found.measures.notes[0].text
    assert not any(x.start_mm < 25.0 and x.end_mm > 5.0 for x in found.measures.lesions
                   if x.branch == "LAD")  # fmt: skip


def test_what_the_analysis_left_out_stays_out(case: Measured, tmp_path: Path) -> None:
    branch = at(case, "LAD")
    gap = Gap(branch, 10, 49, Reason("MOTION_IN_VESSEL", "LAD is smeared.", "Look."))
    ours = replace(case, rules=replace(case.rules, gaps=(gap,)))
    measured.write(ours, tmp_path / measured.FILE)
    back = measured.read(tmp_path / measured.FILE)
    assert back.rules == ours.rules
    by_hand = tree.measure(case, [Exclude(branch, "LAD", 10, 49, "motion")]).measures
    more = Exclude(branch, "LAD", 60, 61, "stent")
    for found in (tree.measure(back, ()), tree.Quick(back).measure(())):
        assert found.measures.vessels["LAD"].lumen_mm3 == by_hand.vessels["LAD"].lumen_mm3
        assert [n.code for n in found.measures.notes] == ["MOTION_IN_VESSEL"]
    both = tree.measure(back, [more]).measures
    assert [n.code for n in both.notes] == ["MOTION_IN_VESSEL", "CORRECTION_EXCLUDED"]


def test_a_whole_vessel_excluded_is_not_analysable_never_zero(case: Measured) -> None:
    branch = at(case, "RCA")
    last = len(case.straight[branch].centers_mm) - 1
    found = tree.measure(case, [Exclude(branch, "RCA", 0, last, "stent")]).measures
    assert found.vessels["RCA"].status == "not_analysable"
    assert found.vessels["RCA"].plaque_mm3 is None


# ---- quickly, and exactly -----------------------------------------------------------------------


def test_the_quick_way_gives_the_same_numbers(case: Measured) -> None:
    quick = tree.Quick(case)
    branch = at(case, "LAD")
    steps: list[tuple[Edit, ...]] = [
        (circle(case, 30, "lumen", 1.1),),
        (circle(case, 30, "lumen", 1.3), circle(case, 31, "wall", 3.1)),
        (circle(case, 31, "wall", 2.9), Centre(branch, "LAD", 100, (0.6, 0.2))),
        (Centre(branch, "LAD", 100, (0.6, 0.2)), Exclude(branch, "LAD", 60, 70, "step")),
        (),
    ]
    for edits in steps:
        fast, exact = quick.measure(edits).measures, tree.measure(case, edits).measures
        for vessel in ("LM", "LAD", "LCX", "RCA"):
            for name in ("plaque_mm3", "lumen_mm3", "vessel_mm3", "max_diameter_stenosis_percent"):
                a, b = (getattr(m.vessels[vessel], name) for m in (fast, exact))  # type: ignore[index]
                assert a == pytest.approx(b, abs=1e-3), (edits, vessel, name)


# ---- the document -------------------------------------------------------------------------------


def test_a_document_holds_the_edits_exactly(case: Measured) -> None:
    edits = (
        circle(case, 3, "wall", 2.5, pole_mm=(0.5, 0.25), spread_mm=2.0),
        Centre(0, "LM", 4, (0.5, -1.0)),
        Relabel(1, "D1", 3, 9, 9),
        Exclude(1, "D1", 3, 9, "blur"),
    )
    text = json.dumps(edit_data.document(edits, UID, SHA))
    assert edit_data.read(json.loads(text), UID, SHA) == edits
    assert edit_data.summary(edits) == {"contour": 1, "centre": 1, "relabel": 1, "exclude": 1}
    assert edit_data.as_words({"contour": 2, "exclude": 1}) == "2 contours, 1 stretch excluded"


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "magic"}, {"step": -1}, {"step": True}, {"step": 2.5}, {"branch": "LAD"},
        {"which": "media"}, {"radii_mm": [1.0] * 31}, {"radii_mm": [float("nan")] * 32},
        {"radii_mm": [99.0] * 32}, {"radii_mm": ["1"] * 32}, {"pole_mm": [0.0]},
        {"spread_mm": -1.0}, {"spread_mm": None}, {"extra": 1}, {"name": None},
    ],
)  # fmt: skip
def test_what_is_no_edit_is_refused(change: dict[str, Any]) -> None:
    data = edit_data.document((Contour(0, "LM", 1, "lumen", (1.0,) * 32),), UID, SHA)
    data["edits"][0] |= change
    with pytest.raises(Refused, match="CORRECTION_INVALID"):
        edit_data.read(data, UID, SHA)


def test_a_document_of_another_result_is_refused(case: Measured) -> None:
    data = edit_data.document((), UID, SHA)
    for uid, sha in (("9", SHA), (UID, "00")):
        with pytest.raises(Refused, match="CORRECTION_OTHER_RESULT"):
            edit_data.read(data, uid, sha)
    for bad in (None, [], {}, {**data, "schema": "x/2"}, {**data, "edits": {}}):
        with pytest.raises(Refused, match="CORRECTION_"):
            edit_data.read(bad, UID, SHA)
    for edit in (Centre(99, "LAD", 0, (0, 0)), Centre(0, "RCA", 0, (0, 0)),
                 Centre(at(case, "LAD"), "LAD", 10_000, (0, 0))):  # fmt: skip
        with pytest.raises(Refused, match="CORRECTION_INVALID"):
            edit_data.check([edit], case.straight)


def test_the_later_edit_of_a_contour_counts(case: Measured) -> None:
    first, second = circle(case, 3, "wall", 2.5), circle(case, 3, "wall", 2.7)
    other = circle(case, 3, "lumen", 1.0)
    assert edit_data.added(edit_data.added((first,), other), second) == (other, second)


# ---- the corrected result -----------------------------------------------------------------------


def test_the_corrected_result_keeps_the_analysis_s_numbers(
    case: Measured, folder: Path, analysis: Analysis
) -> None:
    assert analysis.result.info is not None
    _, original, sha256 = official.open_case(folder, case.series_uid)
    edits = (circle(case, 30, "wall", 3.4, spread_mm=4.0),)
    document = edit_data.document(edits, case.series_uid, sha256)
    by = By("Dr. Li", "2026-11-23T15:04:05.000Z", sha256, 7)
    written = official.write_corrected(CorrectionJob(folder, analysis.result.info, document, by))
    data = json.loads((written.draft / "result.json").read_text())
    jsonschema.validate(data, json.loads(SCHEMA_FILE.read_text()))
    kept = data["corrections"]
    assert (kept["by"], kept["request"], kept["summary"]) == ("Dr. Li", 7, {"contour": 1})
    assert kept["original"]["patient"]["plaque_mm3"] == original["patient"]["plaque_mm3"]
    assert data["patient"]["plaque_mm3"] > original["patient"]["plaque_mm3"] + 1.0
    assert edit_data.read(kept, case.series_uid, sha256) == edits
    assert data["reasons"][0]["code"] == "CORRECTED"
    assert "Dr. Li" in data["reasons"][0]["text"]
    assert data["risk"]["probability"] != original["risk"]["probability"]
    exact = tree.measure(case, edits)
    parts = measured_parts(exact.measures, exact.tree, None)
    assert data["patient"] == parts["patient"]
    labels = np.load(folder / "view" / "labels.npy")
    new = official.changed_labels(labels, written.draft / official.LABELS_FILE)
    assert 0 < (new != labels).sum() < 3000
    assert json.loads((folder / "result.json").read_text()) == original


def test_the_report_says_who_corrected_and_shows_both_numbers(
    case: Measured, folder: Path, analysis: Analysis
) -> None:
    from pypdf import PdfReader

    assert analysis.result.info is not None
    _, original, sha256 = official.open_case(folder, case.series_uid)
    document = edit_data.document((circle(case, 30, "wall", 3.4),), case.series_uid, sha256)
    by = By("Dr. Li", "2026-11-23T15:04:05.000Z", sha256, 8)
    written = official.write_corrected(CorrectionJob(folder, analysis.result.info, document, by))
    text = "\n".join(p.extract_text() for p in PdfReader(written.draft / "report.pdf").pages)
    assert "Corrected by Dr. Li, 2026-11-23 15:04 UTC: 1 contour." in text.replace("\n", " ")
    assert "Plaque: analysis" in text
    assert f"{original['patient']['plaque_mm3']:.0f} mm³" in text


def test_an_older_result_says_that_it_keeps_too_little(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_bytes((folder / "result.json").read_bytes())
    with pytest.raises(Refused, match="CORRECTION_NOT_KEPT"):
        official.open_case(tmp_path, "1.2.3")
    with pytest.raises(Refused, match="CORRECTION_OTHER_RESULT"):
        official.open_case(folder, "1.2.3")


def test_a_treated_patient_gets_no_risk_by_a_correction(case: Measured, folder: Path) -> None:
    _, original, sha256 = official.open_case(folder, case.series_uid)
    treated = {"code": "RISK_TREATED", "text": "Stent.", "next_step": "Ask."}
    old = {**original, "reasons": [*original["reasons"], treated], "risk": None}
    found = tree.measure(case, ())
    data = corrected_result(old, found, (), By("X", "2026-11-23T15:04:05Z", sha256))
    assert data["risk"] is None
    assert [r["code"] for r in data["reasons"]].count("RISK_TREATED") == 1
    assert data["covariates"] == original["covariates"]
    assert data["patient"] == {**old["patient"], "intervals_95": None}
