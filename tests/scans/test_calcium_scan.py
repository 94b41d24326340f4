"""A study of two series, contrast and calcium scan: from the DICOM folder to result and report.

The truth is the rule itself, counted by scikit-image on the same scan without noise, in planes of
which only the true arteries' surroundings are looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.spatial import cKDTree
from skimage.measure import label, regionprops

from plaque_edge.quantify.calcium import agatston
from plaque_edge.types import VESSELS

if TYPE_CHECKING:
    from plaque_edge.types import CoronaryTree, Volume


def counted(volume: Volume, tree: CoronaryTree, near_mm: float) -> dict[str, float]:
    """Agatston's rule once more, slow: every piece by its pixels, to the vessel nearest to any."""
    lines = [(b.vessel, p) for b in tree.branches for p in b.points_mm]
    index = cKDTree(np.array([p for _, p in lines]))
    score = dict.fromkeys(VESSELS, 0.0)
    dz, dy, dx = volume.spacing_zyx_mm
    for z, plane in enumerate(volume.hu):
        for region in regionprops(label(plane >= 130, connectivity=2), intensity_image=plane):
            area = region.num_pixels * dy * dx
            pixels = np.insert(region.coords.astype(float), 0, z, axis=1)
            distance, nearest = index.query(volume.to_mm(pixels))
            if area < 1.0 or distance.min() > near_mm:
                continue
            top = region.intensity_max
            factor = 4 if top >= 400 else 3 if top >= 300 else 2 if top >= 200 else 1
            score[lines[nearest[distance.argmin()]][0]] += area * factor * dz / 3.0
    return score


def test_the_scan_is_without_contrast_and_in_the_same_place(phantom, scan):
    points = np.concatenate([b.points_mm for b in phantom.tree.branches if b.vessel])
    z, y, x = np.round(scan.volume.to_index(points)).astype(int).T
    inside = (z >= 0) & (z < scan.volume.shape_zyx[0])
    assert inside.mean() > 0.95
    blood = scan.volume.hu[z[inside], y[inside], x[inside]]
    assert -20 < np.median(blood) < 80
    assert scan.volume.spacing_zyx_mm[0] == 3.0
    assert scan.info.frame_of_reference_uid == phantom.info.frame_of_reference_uid
    assert scan.info.series_instance_uid != phantom.info.series_instance_uid
    noise = (scan.volume.hu - scan.clean.hu.astype(float)).std()
    assert 15 < noise < 21


def test_the_score_near_the_true_arteries_is_the_rules(phantom, scan):
    """The slow count measures from each pixel, the score from each piece's middle: 0.5 mm apart."""
    found, expected = agatston(scan.volume, phantom.tree), counted(scan.volume, phantom.tree, 4.5)
    assert expected["LAD"] > 10
    for vessel in VESSELS:
        assert found.vessels[vessel] == pytest.approx(expected[vessel], rel=0.1, abs=2.0)


def test_noise_and_place_change_the_score_little(phantom, scan):
    clean = agatston(scan.clean, phantom.tree).total
    assert agatston(scan.volume, phantom.tree).total == pytest.approx(clean, rel=0.15)


def test_analyze_scores_the_calcium_scan_and_chooses_the_contrast_scan(analysed, phantom, scan):
    result, report, _ = analysed
    assert result["series"]["series_instance_uid"] == phantom.info.series_instance_uid
    score = result["patient"]["agatston"]
    assert score["series_instance_uid"] == scan.info.series_instance_uid
    truth = sum(counted(scan.clean, phantom.tree, 4.5).values())
    assert score["total"] == pytest.approx(truth, rel=0.2, abs=5.0)
    assert score["total"] == pytest.approx(sum(score["vessels"].values()))
    proposal = result["patient"]["cad_rads"]
    assert f"Agatston score {score['total']:.0f}" in proposal["plaque_basis"]
    assert "Calcium score" in report
    assert f"{score['total']:.0f} (" in report
    assert "Research use only" in report
