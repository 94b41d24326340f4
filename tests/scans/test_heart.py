"""Finding the heart: on a phantom with exact truth, and on two real heart CTs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engines import open_engine
from plaque_edge.errors import Refused
from plaque_edge.phantom.scene import volume_offset
from plaque_edge.segment.heart import find_heart
from plaque_edge.segment.network import Network
from plaque_edge.types import Volume

DATA = Path(__file__).parents[3] / "shared" / "data" / "totalsegmentator_cta_heart"


def read_volume(path: Path) -> Volume:
    """A NIfTI scan on our axes: index grows to head, back and the patient's left; LPS mm."""
    import nibabel

    image = nibabel.as_closest_canonical(nibabel.load(path))
    array = np.ascontiguousarray(np.transpose(np.asarray(image.dataobj), (2, 1, 0))[:, ::-1, ::-1])
    last = image.affine @ [image.shape[0] - 1, image.shape[1] - 1, 0, 1]  # RAS of our first voxel
    sx, sy, sz = (float(s) for s in image.header.get_zooms()[:3])
    return Volume(
        array.astype(np.int16), (sz, sy, sx), (float(last[2]), -float(last[1]), -float(last[0]))
    )


def mask_points(path: Path) -> np.ndarray:
    """Points (z, y, x) in LPS mm of a NIfTI mask, which may lie on a grid of its own."""
    mask = read_volume(path)
    return mask.to_mm(np.argwhere(mask.hu > 0))


@pytest.fixture(scope="module")
def network():
    with open_engine("heart") as opened:
        yield Network(opened, "heart")


def test_box_holds_every_coronary_and_blood_is_measured(network, phantom) -> None:
    box = find_heart(phantom.volume, network)
    points = np.concatenate([b.points_mm for b in phantom.tree.branches])
    scan_low = np.array(phantom.volume.origin_zyx_mm)
    scan_high = scan_low + np.array(phantom.volume.shape_zyx) * phantom.volume.spacing_zyx_mm
    scanned = ((points > scan_low) & (points < scan_high)).all(1)
    inside = ((points > box.low_mm) & (points < box.high_mm)).all(1)
    assert inside[scanned].mean() > 0.99
    assert box.aorta_hu[0] == pytest.approx(phantom.truth["aorta_hu"], rel=0.06)


def test_muscle_that_the_scan_cuts_is_measured_and_fat_is_not(network, phantom) -> None:
    """Against the area that the scene's muscle and chambers have in the plane where it ends."""
    whole = find_heart(phantom.volume, network).cut_cm2
    assert whole.get("feet", 0.0) < 1.0
    chest, dz = phantom.chest, phantom.volume.spacing_zyx_mm[0]
    names = ("myocardium", "atrial wall", "rv", "ra", "la", "lv")
    inside = np.any([chest.field(n) < 0 for n in names], axis=0)
    scene_z = phantom.volume.origin_zyx_mm[0] - volume_offset(phantom)[0]
    true_cm2 = inside.sum((1, 2)) * 0.04
    plane = int(np.argmax(true_cm2 > 25.0))
    first = round((chest.origin_mm[0] + 2.0 * plane - scene_z) / dz)
    z, y, x = phantom.volume.origin_zyx_mm
    cut = Volume(phantom.volume.hu[first:], phantom.volume.spacing_zyx_mm, (z + first * dz, y, x))
    assert find_heart(cut, network).cut_cm2["feet"] == pytest.approx(true_cm2[plane], abs=8.0)


def test_a_chest_without_heart_is_refused(network) -> None:
    rng = np.random.default_rng(0)
    volume = Volume(rng.normal(40, 20, (120, 150, 150)).astype(np.int16), (1, 1, 1), (0, 0, 0))
    with pytest.raises(Refused, match=r"HEART_NOT_FOUND|AORTA_NOT_FOUND"):
        find_heart(volume, network)


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason="shared/data is not beside the repository")
@pytest.mark.parametrize(
    ("name", "landmark"),
    [("aorta_report", "annulus_proper"), ("aorta_report", "sinotubular_junction")],
)
def test_real_heart_ct_gives_heart_and_aortic_root(network, name: str, landmark: str) -> None:
    mark = mask_points(DATA / name / f"{landmark}.nii.gz")
    box = find_heart(read_volume(DATA / name / "ct_cropped.nii.gz"), network)
    assert ((mark > box.low_mm) & (mark < box.high_mm)).all()
    assert 400 < box.heart_ml < 1800
    assert box.aorta_hu[0] == pytest.approx(487, abs=60)


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason="shared/data is not beside the repository")
def test_real_heart_mask_lies_in_the_box(network) -> None:
    heart = mask_points(DATA / "pulmonary_report" / "heart.nii.gz")
    box = find_heart(read_volume(DATA / "pulmonary_report" / "ct_cropped.nii.gz"), network)
    inside = ((heart > box.low_mm) & (heart < box.high_mm)).all(1)
    assert inside.mean() > 0.97
