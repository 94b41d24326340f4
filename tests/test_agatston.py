"""Agatston's rule by hand, by an independent count, and per vessel."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.measure import label as sk_label
from skimage.measure import regionprops

from plaque_edge.calcium_series import calcium_series
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


def series(uid, frame="9.9", spacing=3.0):
    info = SeriesInfo("1", uid, frame_of_reference_uid=frame)
    return SeriesFiles(info, (), (40, 512, 512), (spacing, 0.4, 0.4))


def test_the_calcium_series_is_named_as_one_and_lies_in_the_same_coordinates():
    cta, score = series("1.1", spacing=0.5), series("1.2")
    named = (RejectedSeries(score.info, Reason("SLICES_TOO_THICK", ""), 40,
                            (Reason("CALCIUM_SCORE", ""),)),)  # fmt: skip
    other = (RejectedSeries(score.info, Reason("NOT_ENHANCED", ""), 40),)
    assert calcium_series([cta, score], named, cta) is score
    assert calcium_series([cta, score], other, cta) is None
    assert calcium_series([cta, series("1.2", frame="8")], named, cta) is None
    assert calcium_series([cta, series("1.2", spacing=5.0)], named, cta) is None


def test_a_score_raises_p_of_the_proposal():
    old = CadRads("2", "P1", ("HRP",), "CAD-RADS 2/P1/HRP", "", "")
    patient = PatientMeasures(segment_involvement_score=2, cad_rads=old)
    measures = PlaqueMeasures({}, patient, ())
    got = with_agatston(measures, Agatston(350.0, {}, "1.2", "")).patient
    assert got.cad_rads is not None
    assert got.cad_rads.text == "CAD-RADS 2/P3/HRP"
    assert got.agatston is not None
    assert with_agatston(measures, None) is measures
