"""Which of several good series is taken, why, and how a person takes another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_factory import cta, edit, info
from scipy import ndimage

from plaque_edge import series_choice
from plaque_edge.phantom.dicom import WriteOptions, make_uid
from plaque_edge.series import Choice, SeriesRefused, choose, read_candidates
from plaque_edge.series_content import Content, small_vessels
from plaque_edge.series_points import criteria, phase_share
from plaque_edge.types import Candidate, SeriesFiles

GOOD = Content(400.0, 20.0, 0.5, 100.0, 900.0)
BLURRED = replace(GOOD, edge_mm=1.1)
SERIES = SeriesFiles(info(), (Path("a"),), (256, 512, 512), (0.5, 0.4, 0.4))


def chosen(folder: Path, wanted: str | None = None) -> Choice:
    return choose(read_candidates([folder]), wanted)


def points(content: Content = GOOD, **changes: Any) -> dict[str, float]:
    own = {k: v for k, v in changes.items() if hasattr(SERIES, k)}
    rest = {k: v for k, v in changes.items() if k not in own}
    made = replace(SERIES, info=info(**rest), **own)
    return {c.what: c.points for c in criteria(made, content)}


# --- points --------------------------------------------------------------------------------


def test_points_are_at_most_100_and_each_says_why() -> None:
    perfect = criteria(replace(SERIES, spacing_zyx_mm=(0.5, 0.3, 0.3)), replace(GOOD, edge_mm=0.3))
    assert sum(c.most for c in perfect) == 100
    assert 90 < sum(c.points for c in perfect) <= 100
    for content in (GOOD, Content(None), Content(250.0, 70.0, 3.0, 5000.0, 0.0)):
        for one in criteria(SERIES, content):
            assert 0 <= one.points <= one.most
            assert one.text


@pytest.mark.parametrize(
    ("what", "better", "worse"),
    [
        ("slices", {"slice_thickness_mm": 0.5}, {"slice_thickness_mm": 0.8}),
        ("slices", {}, {"spacing_zyx_mm": (0.9, 0.4, 0.4)}),
        ("kernel", {"kernel": "Bv40"}, {"kernel": ""}),
        ("kernel", {"kernel": ""}, {"kernel": "Bv59"}),
        ("phase", {"phase_percent": 75.0}, {"phase_percent": 40.0}),
        ("phase", {"phase_percent": 40.0}, {"phase_percent": 55.0}),
        ("contrast", {"contrast_agent": "Iodine"}, {"contrast_agent": ""}),
        ("contrast", {}, {"content": replace(GOOD, blood_hu=240.0)}),
        ("contrast", {}, {"content": replace(GOOD, blood_hu=680.0)}),
        ("noise", {}, {"content": replace(GOOD, noise_hu=40.0)}),
        ("noise", {}, {"content": replace(GOOD, noise_hu=None)}),
        ("sharpness", {}, {"content": replace(GOOD, edge_mm=0.9)}),
        ("sharpness", {"content": replace(GOOD, edge_mm=None)}, {"content": BLURRED}),
        ("coverage", {}, {"content": replace(GOOD, feet_mm2=3000.0)}),
        ("coverage", {}, {"content": replace(GOOD, head_mm2=0.0)}),
        ("coverage", {}, {"shape_zyx": (150, 512, 512)}),
        ("pixel", {}, {"spacing_zyx_mm": (0.5, 0.5, 0.5)}),
        ("original", {}, {"image_type": ("DERIVED", "PRIMARY", "AXIAL")}),
    ],
)  # fmt: skip
def test_better_earns_more(what: str, better: dict[str, Any], worse: dict[str, Any]) -> None:
    assert points(**better)[what] > points(**worse)[what]


def test_phase_prefers_diastole_then_systole() -> None:
    assert phase_share(75, "") > phase_share(None, "BestDiast 74 %") > phase_share(40, "")
    assert phase_share(40, "") > phase_share(None, "BestSyst") > phase_share(None, "")
    assert phase_share(None, "") > phase_share(0, "")


# --- content -------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma_mm", [0.3, 0.5, 0.8])
def test_edges_of_small_vessels_against_the_blur_they_were_made_with(sigma_mm: float) -> None:
    pixel = 0.1
    y, x = np.mgrid[-40:41, -40:41] * pixel
    disc = np.where(y * y + x * x < 1.8**2, 420.0, 0.0)
    image = np.full((400, 400), -80.0)
    for row in range(100, 400, 100):
        for column in range(100, 400, 100):
            image[row - 40 : row + 41, column - 40 : column + 41] += disc
    blurred = ndimage.gaussian_filter(image, sigma_mm / pixel)
    found = [s.edge_mm for s in small_vessels(blurred.astype(np.int16), pixel, 340.0)]
    assert len(found) == 9
    # The edge of a half-plane blurred so spreads 1.349 sigma from 25 to 75 %.
    assert np.median(found) == pytest.approx(1.349 * sigma_mm, rel=0.2)


def test_edges_leave_out_what_is_no_coronary_artery() -> None:
    image = np.full((200, 200), -800, np.int16)  # lung
    image[50:58, 50:58] = 400
    assert small_vessels(image, 0.4, 400.0) == []
    image[:] = -80
    image[20:28, 20:90] = 400  # cut along
    image[100:180, 100:180] = 400  # a chamber
    image[0:6, 150:156] = 400  # at the border
    assert small_vessels(image, 0.4, 400.0) == []


# --- several series ------------------------------------------------------------------------


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"kernel": "Bv40"}, {"kernel": "Bv59"}),
        ({"phase_percent": 75.0}, {"phase_percent": 40.0}),
        ({"contrast_agent": "Iodine"}, {"contrast_agent": ""}),
    ],
)
def test_better_series_wins_whatever_its_number(
    tmp_path: Path, better: dict[str, Any], worse: dict[str, Any], swap: bool
) -> None:
    plain = {"series_description": "CTA"}
    numbers = (1, 2) if swap else (2, 1)
    cta(tmp_path / "1", "x", series_number=numbers[0], **{**plain, **better})
    cta(tmp_path / "2", "y", series_number=numbers[1], **{**plain, **worse})
    choice = chosen(tmp_path)
    assert choice.series.info.series_instance_uid == info("x").series_instance_uid
    assert "best of 2 series" in choice.because
    assert [c.chosen for c in choice.candidates] == [True, False]
    (other,) = choice.rejected
    what = {"kernel": "kernel", "phase_percent": "phase", "contrast_agent": "contrast"}
    assert what[next(iter(better))] + ": " in other.reason.text, "it says what is worse"
    assert info("y").series_instance_uid in other.reason.next_step


def test_tie_goes_to_the_lower_series_number(tmp_path: Path) -> None:
    cta(tmp_path / "1", "x", series_number=9)
    cta(tmp_path / "2", "y", series_number=4)
    choice = chosen(tmp_path)
    assert choice.series.info.series_number == 4
    assert "equal in all respects" in choice.rejected[0].reason.text


def test_content_decides_where_tags_are_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cta(tmp_path / "1", "x", series_number=1)
    cta(tmp_path / "2", "y", series_number=2)
    moved = info("x").series_instance_uid

    def look(series: SeriesFiles) -> Content:
        still = series.info.series_instance_uid != moved
        return GOOD if still else replace(GOOD, edge_mm=1.1)

    monkeypatch.setattr(series_choice, "look_at", look)
    choice = chosen(tmp_path)
    assert choice.series.info.series_number == 2
    assert "sharpness: edges of small vessels 1.10 mm" in choice.rejected[0].reason.text


def test_a_person_takes_another_series(tmp_path: Path) -> None:
    cta(tmp_path / "1")
    cta(tmp_path / "2", "b", kernel="Bv59")
    assert chosen(tmp_path).series.info.kernel == "Bv40"
    taken = chosen(tmp_path, info("b").series_instance_uid)
    assert taken.series.info.kernel == "Bv59"
    assert "taken by a person, number 2 of 2" in taken.because
    assert [(c.info.kernel, c.chosen) for c in taken.candidates] == [
        ("Bv40", False),
        ("Bv59", True),
    ]
    with pytest.raises(SeriesRefused) as error:
        chosen(tmp_path, "1.2.3")
    assert error.value.reason.code == "SERIES_NOT_FOUND"
    assert len(error.value.candidates) == 2, "what could be taken instead"


def test_series_of_another_patient_are_no_alternative(tmp_path: Path) -> None:
    cta(tmp_path / "1")
    cta(tmp_path / "2", "b", patient_id="P2", study_instance_uid=make_uid("study 2"))
    choice = chosen(tmp_path, info("b").series_instance_uid)
    assert [c.info.patient_id for c in choice.candidates] == ["P2"]


def test_a_person_takes_another_phase_of_the_same_series(tmp_path: Path) -> None:
    cta(tmp_path / "dias")
    for path in cta(tmp_path / "syst", options=WriteOptions(acquisition_number=2)):
        edit(path, NominalPercentageOfCardiacPhase=40.0, SOPInstanceUID=make_uid(path))
    choice = chosen(tmp_path)
    assert [c.info.phase_percent for c in choice.candidates] == [75.0, 40.0]
    uids = [c.uid for c in choice.candidates]
    assert len(set(uids)) == 2
    taken = chosen(tmp_path, uids[1])
    assert taken.series.info.phase_percent == 40.0
    assert chosen(tmp_path, info().series_instance_uid).series.info.phase_percent == 75.0


def test_reconstructions_of_two_thicknesses_in_one_series(tmp_path: Path) -> None:
    cta(tmp_path / "thin")
    for path in cta(tmp_path / "thick"):
        pixels = pydicom.dcmread(path).PixelData  # a thicker slice never has the same pixels
        new = make_uid("thick", path)
        edit(path, SliceThickness=0.9, SOPInstanceUID=new, PixelData=bytes(200) + pixels[200:])
    found = read_candidates([tmp_path]).candidates
    assert sorted(s.info.slice_thickness_mm or 0 for s in found) == [0.6, 0.9]
    for one in chosen(tmp_path).candidates:
        taken = chosen(tmp_path, one.uid).series.info
        assert taken.slice_thickness_mm == one.info.slice_thickness_mm


def test_the_same_folder_gives_the_same_choice(tmp_path: Path) -> None:
    for number in range(3):
        cta(tmp_path / str(number), str(number), series_number=7)

    def ranking() -> list[Candidate]:
        inventory = read_candidates([tmp_path])
        forth = choose(inventory).candidates
        back = choose(replace(inventory, candidates=inventory.candidates[::-1])).candidates
        assert forth == back
        return list(forth)

    assert ranking() == ranking()
