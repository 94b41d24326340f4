"""Agatston's rule by hand, by an independent count, and per vessel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from skimage.measure import label as sk_label
from skimage.measure import regionprops

from plaque_edge import calcium_series as module
from plaque_edge.calcium_series import calcium_series, score_study
from plaque_edge.errors import Refused
from plaque_edge.quantify.calcium import agatston, pieces, weight
from plaque_edge.quantify.measures import with_agatston
from plaque_edge.types import (
    Agatston,
    Branch,
    CadRads,
    CoronaryTree,
    PatientMeasures,
    PlaqueMeasures,
    Reason,
    RejectedSeries,
    SeriesFiles,
    SeriesInfo,
    Volume,
)


def volume(hu, spacing=(3.0, 0.5, 0.5)):
    return Volume(np.ascontiguousarray(hu, dtype=np.int16), spacing, (0.0, 0.0, 0.0))


@pytest.mark.parametrize(
    ("hu", "expected"),
    [(130, 1), (199, 1), (200, 2), (299, 2), (300, 3), (399, 3), (400, 4), (2000, 4)],
)
def test_weights(hu, expected):
    assert weight(np.array([hu]))[0] == expected


def test_by_hand():
    hu = np.zeros((4, 40, 40))
    hu[1, 5:9, 5:9] = 150  # 16 px x 0.25 = 4 mm², weight 1: 4
    hu[2, 5:9, 5:9] = 150  # the same again, one pixel brighter than 400: 4 x 4 = 16
    hu[2, 6, 6] = 420
    hu[1, 20, 20] = 900  # 0.25 mm²: too small
    hu[1, 30:32, 30:32] = 250  # exactly 1 mm², weight 2: 2
    hu[1, 32, 32] = 130  # touches by its corner: 1.25 mm² in all, so 2.5
    score, _ = pieces(volume(hu))
    assert sorted(score.tolist()) == [2.5, 4.0, 16.0]
    thin, _ = pieces(volume(hu, (1.5, 0.5, 0.5)))
    assert sorted(thin.tolist()) == [1.25, 2.0, 8.0]


def test_random_volumes_are_those_of_scikit_image():
    rng = np.random.default_rng(8)
    hu = rng.normal(40, 90, (6, 50, 60)).round()
    hu[2, 10:20, 10:20] += 200
    expected = 0.0
    for plane in hu:
        for region in regionprops(sk_label(plane >= 130, connectivity=2), intensity_image=plane):
            area = region.num_pixels * 0.25
            if area >= 1.0:
                top = region.intensity_max
                factor = 4 if top >= 400 else 3 if top >= 300 else 2 if top >= 200 else 1
                expected += area * factor * (2.5 / 3.0)
    score, _ = pieces(volume(hu, (2.5, 0.5, 0.5)))
    assert score.sum() == pytest.approx(expected)


def test_each_piece_goes_to_the_nearest_vessel_and_far_ones_to_none():
    hu = np.zeros((10, 100, 100))
    hu[3, 20:24, 20:24] = 150  # 4, beside the LAD
    hu[5, 20:24, 60:64] = 350  # 12, beside the RCA
    hu[7, 80:84, 40:44] = 500  # 16 mm from either
    line = np.stack([np.linspace(0, 27, 60), np.full(60, 10.5), np.full(60, 10.0)], axis=1)
    other = line + np.array([0.0, 0.0, 20.0])
    tree = CoronaryTree(
        (
            Branch("LAD", "LAD", None, line, np.ones(60)),
            Branch("RCA", "RCA", None, other, np.ones(60)),
        )
    )
    got = agatston(volume(hu), tree, "1.2.3")
    assert got.vessels == {"LM": 0.0, "LAD": 4.0, "LCX": 0.0, "RCA": 12.0}
    assert got.total == 16.0
    assert got.series_instance_uid == "1.2.3"
    assert agatston(volume(np.zeros((3, 9, 8))), tree).total == 0.0


def series(uid, frame="9.9", spacing=3.0, **more):
    info = SeriesInfo("1", uid, frame_of_reference_uid=frame, **({"kvp": 120.0} | more))
    return SeriesFiles(info, (), (40, 512, 512), (spacing, 0.4, 0.4))


CTA = series("1.1", spacing=0.5, kvp=100.0)
TREE = CoronaryTree((Branch("LAD", "LAD", None, np.zeros((3, 3)), np.ones(3)),))


def named(*found, code="CALCIUM_SCORE"):
    also = (Reason(code, ""),)
    return tuple(RejectedSeries(s.info, Reason("SLICES_TOO_THICK", ""), 40, also) for s in found)


def test_the_calcium_series_is_named_as_one_and_of_the_same_study():
    score, thin = series("1.2"), series("1.3", spacing=2.5)
    both = (CTA, thin, score)
    assert calcium_series(both, named(thin, score), CTA) == (score, thin)
    assert calcium_series(both, named(score, code="NOT_ENHANCED"), CTA) == ()
    other = replace(score, info=replace(score.info, study_instance_uid="2"))
    assert calcium_series([CTA, other], named(other), CTA) == ()
    assert score_study((), CTA, TREE, treated=False) is None


def test_a_series_that_can_be_scored_goes_before_one_that_cannot():
    wrong, right = series("1.2", kvp=80.0), series("1.3", spacing=2.5)
    assert calcium_series([CTA, wrong, right], named(wrong, right), CTA) == (right, wrong)


@pytest.mark.parametrize(
    ("found", "treated", "why"),
    [
        (series("1.2", frame="8"), False, "same patient coordinates"),
        (series("1.2", frame=""), False, "same patient coordinates"),
        (series("1.2", spacing=5.0), False, "5.00 mm apart, not 2 to 3.5"),
        (series("1.2", kvp=100.0), False, "100 kVp, and the rule holds at 120"),
        (series("1.2", kvp=None), False, "unknown voltage"),
        (series("1.2", kernel="Br64"), False, "kernel Br64 is a sharp one"),
        (series("1.2", kernel="Qr36"), True, "metal of a stent"),
    ],
)
def test_what_breaks_the_rule_gives_no_score_and_says_so(found, treated, why):
    told = score_study((found,), CTA, TREE, treated=treated)
    assert isinstance(told, Reason)
    assert told.code == "CALCIUM_NOT_SCORED"
    assert why in told.text
    assert told.next_step


@pytest.mark.parametrize(("hu", "low", "scored"), [(45, 0.0, True), (300, 0.0, False),
                                                   (45, 500.0, False)])  # fmt: skip
def test_arteries_with_contrast_or_outside_are_not_scored(monkeypatch, hu, low, scored):
    made = Volume(np.full((4, 9, 9), hu, np.int16), (3.0, 0.5, 0.5), (low, 0.0, 0.0))
    monkeypatch.setattr(module, "load_volume", lambda _: made)
    found = score_study((series("1.2"),), CTA, TREE, treated=False)
    assert isinstance(found, Agatston) == scored


def test_a_series_that_cannot_be_read_says_why(monkeypatch):
    def broken(_):
        raise Refused("PIXELS_TRUNCATED", "A slice is cut short.", "Export again.")

    monkeypatch.setattr(module, "load_volume", broken)
    told = score_study((series("1.2"),), CTA, TREE, treated=False)
    assert told.text.endswith("not scored: A slice is cut short.")


def test_an_artery_that_was_not_traced_makes_it_a_lower_bound():
    tree = replace(TREE, missing={"LCX": Reason("VESSEL_NOT_FOUND", "")})
    made = volume(np.zeros((3, 9, 8)))
    assert "lower bound: LCX" in agatston(made, tree).text
    assert "lower bound" not in agatston(made, TREE).text


def test_a_score_raises_p_of_the_proposal():
    old = CadRads("2", "P1", ("HRP",), "CAD-RADS 2/P1/HRP", "", "")
    patient = PatientMeasures(segment_involvement_score=2, cad_rads=old)
    measures = PlaqueMeasures({}, patient, ())
    got = with_agatston(measures, Agatston(350.0, {}, "1.2", "")).patient
    assert got.cad_rads is not None
    assert got.cad_rads.text == "CAD-RADS 2/P3/HRP"
    assert got.agatston is not None
    assert with_agatston(measures, None) is measures
