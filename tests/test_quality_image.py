"""Checks of the image, each against something made with a known fault or a slow twin."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates, shift

from plaque_edge.errors import Refused
from plaque_edge.quality.blocks import Blocks, in_blocks
from plaque_edge.quality.exclude import smeared, without_stented
from plaque_edge.quality.grafts import grafts
from plaque_edge.quality.limits import DEFAULT, from_settings
from plaque_edge.quality.metal import metal, pieces
from plaque_edge.quality.motion import main_edges, motion
from plaque_edge.quality.polar import RAY_STEPS, RAYS, look_round
from plaque_edge.quality.stents import stents
from plaque_edge.quality.steps import displacements_mm, steps
from plaque_edge.series import read_candidates
from plaque_edge.types import Branch, CoronaryTree, QcCheck, StraightBranch, Volume
from plaque_edge.volume import load_volume

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOOD = 400.0


def vessel(
    n: int = 60,
    sigma: float = 0.4,
    ring: float = 0.0,
    name: str = "LAD",
    arc: bool = False,
    blood: float = BLOOD,
    plaque: float | None = None,
    of: str | None = None,
) -> StraightBranch:
    """A lumen of 1.6 mm in fat, blurred; in a ring of metal, an arc of calcium, or soft plaque."""
    axis = (np.arange(48) - 23.5) * 0.25
    radius = np.hypot(axis[:, None], axis[None, :])
    section = np.where(radius < 1.6, blood, -80.0)
    if plaque is not None:
        section = np.where((radius >= 1.6) & (radius < 2.6), plaque, section)
    around = (np.arctan2(axis[:, None], axis[None, :]) > 1.0) if arc else np.ones_like(radius, bool)
    section = np.where((radius > 1.4) & (radius < 1.9) & around & (ring > 0), ring, section)
    section = gaussian_filter(section, sigma / 0.25)
    hu = np.repeat(section[None], n, 0).astype(np.float32)
    hu += np.random.default_rng(1).normal(0, 15, hu.shape).astype(np.float32)
    points = np.zeros((n, 3))
    points[:, 0] = 0.5 * np.arange(n)
    u, v = np.zeros((n, 3)), np.zeros((n, 3))
    u[:, 1] = v[:, 2] = 1.0
    branch = Branch(of or name, name, None, points, np.full(n, 1.6))  # type: ignore[arg-type]
    return StraightBranch(branch, points, u, v, 0.5, 0.25, np.zeros((7, n, 48, 48), np.uint8), hu)


def test_rays_against_scipy() -> None:
    branch = vessel(3)
    seen = look_round(branch)
    angle, way = 2 * np.pi * np.arange(RAYS) / RAYS, np.arange(RAY_STEPS)
    at = [23.5 + np.cos(angle)[:, None] * way, 23.5 + np.sin(angle)[:, None] * way]
    for i in range(3):
        line = map_coordinates(branch.hu[i].astype(float), at, order=1)
        assert seen.center_hu[i] == pytest.approx(line[:, :3].mean(), abs=0.01)
        assert seen.line_hu[i] == pytest.approx(line, abs=0.01)


@pytest.mark.parametrize(("sigma", "level"), [(0.4, "pass"), (1.0, "warn")])
def test_one_smeared_vessel_among_sharp_ones(sigma: float, level: str) -> None:
    made = [vessel(), vessel(name="LCX"), vessel(sigma=sigma, name="RCA")]
    check, moved = told_of(made)
    assert check.level == level
    assert ("RCA" in check.text) == (level == "warn")
    assert moved == ((2,) if level == "warn" else ())


def told_of(made: list[StraightBranch], blood: float = BLOOD) -> tuple[QcCheck, tuple[int, ...]]:
    rays = [(b, look_round(b)) for b in made]
    edges = main_edges({r[0].branch.name: r for r in rays}, blood)
    return motion(rays, edges.sharpest_mm, blood, DEFAULT)


def with_sections(branch: StraightBranch, sections: NDArray[np.float32]) -> StraightBranch:
    """The same branch with other HU."""
    return StraightBranch(*(getattr(branch, f) for f in branch.__slots__[:-1]), sections)


def to_and_fro(branch: StraightBranch, mm: float, start: int, stop: int) -> StraightBranch:
    """A part of the branch as it looks when it went ``mm`` to both sides during the scan."""
    hu = branch.hu.copy()
    ways = [shift(hu[start:stop], (0, d, 0), order=1, mode="nearest") for d in (-mm, 0, mm)]
    hu[start:stop] = np.mean(ways, axis=0)
    return with_sections(branch, hu)


def test_motion_to_and_fro_is_seen_though_the_vessel_is_sharp_across_it() -> None:
    rest = [vessel(), vessel(name="LCX")]
    pixels = 1.2 / 0.25
    check, moved = told_of([*rest, to_and_fro(vessel(name="RCA"), pixels, 0, 60)])
    assert (check.level, moved) == ("warn", (2,))
    assert check.value is not None
    assert check.value > DEFAULT.blur_warn
    check, moved = told_of([*rest, to_and_fro(vessel(name="RCA"), pixels, 0, 20)])
    assert (check.level, moved) == ("pass", ()), "10 mm may be a fork"


def test_soft_plaque_on_one_side_is_no_motion() -> None:
    made = vessel(name="RCA", plaque=90.0)
    hu = made.hu.copy()
    hu[:, :, :24] = vessel().hu[:, :, :24]
    check, moved = told_of([vessel(), vessel(name="LCX"), with_sections(made, hu)])
    assert (check.level, moved) == ("pass", ())


def test_what_moved_is_left_out_and_with_a_main_vessel_its_branches() -> None:
    made = [vessel(), vessel(name="D1", of="LAD"), vessel(name="LCX"), vessel(name="OM1", of="LCX")]
    gaps = smeared(made, (0, 3))
    assert [(g.branch, g.start, g.end) for g in gaps] == [(0, 0, 59), (1, 0, 59), (3, 0, 59)]
    assert [g.reason.text.split()[0] for g in gaps] == ["LAD", "LAD", "OM1"]
    assert {g.reason.code for g in gaps} == {"MOTION_IN_VESSEL"}
    assert smeared(made, ()) == ()


@pytest.mark.parametrize("sigma", [0.4, 1.0])
def test_soft_plaque_beside_dark_blood_is_no_motion(sigma: float) -> None:
    """Blood of 290 HU: plaque of 150 HU lies at the height that an edge was once measured at."""
    dark = 290.0
    made = [vessel(name=n, blood=dark) for n in ("LCX", "RCA")]
    made.append(vessel(blood=dark, sigma=sigma, plaque=150.0 if sigma == 0.4 else None))
    check, moved = told_of(made, dark)
    assert moved == (), "soft all round may be plaque: told, not left out"
    assert check.level == ("pass" if sigma == 0.4 else "warn")
    assert ("LAD" in check.text) == (sigma == 1.0)


def test_motion_that_nobody_can_see_is_not_known() -> None:
    dark = vessel()
    dark = StraightBranch(*(getattr(dark, f) for f in dark.__slots__[:-1]), np.zeros_like(dark.hu))
    check, moved = told_of([dark])
    assert moved == ()
    assert (check.level, check.value) == ("warn", None)
    assert "not known" in check.text
    assert told_of([])[0].value is None


def found_in(branch: StraightBranch) -> tuple[str, tuple[str, ...]]:
    check, vessels = stents([(branch, look_round(branch))], BLOOD, DEFAULT)
    return check.level, vessels


def test_a_stent_is_a_ring_and_calcium_is_not() -> None:
    assert found_in(vessel()) == ("pass", ())
    assert found_in(vessel(ring=1400.0)) == ("warn", ("LAD",))
    assert found_in(vessel(ring=1400.0, arc=True)) == ("pass", ())
    assert found_in(vessel(n=7, ring=1400.0)) == ("pass", ()), "3.5 mm is too short to say"
    assert stents([], BLOOD, DEFAULT)[0].value is None
    tree = without_stented(CoronaryTree((vessel().branch,)), ("LAD",))
    assert tree.missing["LAD"].code == "STENT_IN_VESSEL"


def test_a_short_ring_is_a_doubt_that_leaves_no_vessel_out() -> None:
    short = vessel(n=60)
    short.hu[20:32] = vessel(n=12, ring=1400.0).hu
    assert found_in(short) == ("warn", ())
    check, _ = stents([(short, look_round(short))], BLOOD, DEFAULT)
    assert "LAD from 1" in check.text
    assert "measured as calcium" in check.text
    assert without_stented(CoronaryTree((short.branch,)), ()).missing == {}


def calcified(lumps: int, seed: int) -> StraightBranch:
    """A vessel with lumps of calcium all round its wall, each of its own depth and brightness."""
    rng = np.random.default_rng(seed)
    branch = vessel()
    axis = (np.arange(48) - 23.5) * 0.25
    place = np.stack(np.meshgrid(0.5 * np.arange(60), axis, axis, indexing="ij"))
    hu = np.where(np.hypot(place[1], place[2]) < 1.6, BLOOD, -80.0)
    for k in range(lumps):
        angle, out = 2 * np.pi * k / lumps + rng.normal(0, 0.2), rng.uniform(1.8, 2.2)
        middle = np.array([rng.uniform(13, 17), out * np.cos(angle), out * np.sin(angle)])
        half = np.array([rng.uniform(6, 9), *rng.uniform(0.8, 1.2, 2)])
        away = (((place - middle[:, None, None, None]) / half[:, None, None, None]) ** 2).sum(0)
        hu[away < 1] = rng.uniform(800, 1700)
    branch.hu[:] += gaussian_filter(hu, (1.0, 1.6, 1.6)).astype(np.float32) - vessel(60).hu
    branch.hu[:] += np.random.default_rng(seed).normal(0, 15, hu.shape).astype(np.float32)
    return branch


@pytest.mark.parametrize("seed", range(6))
def test_calcium_all_round_over_a_centimetre_is_no_stent(seed: int) -> None:
    """What once left a whole vessel out: a wall full of calcium, brighter than blood all round."""
    branch = calcified(7, seed)
    polar = look_round(branch)
    ring = polar.line_hu[26:34, :, 3:13].max(2)
    assert np.quantile(ring, 0.25) > BLOOD + 80, "it is bright all round"
    check, left_out = stents([(branch, look_round(branch))], BLOOD, DEFAULT)
    assert left_out == (), "the vessel is measured"
    assert check.level == "pass" or "A stent or calcium all round: LAD from" in check.text


def test_a_stent_that_calcium_hides_in_the_middle_is_found_by_its_ends() -> None:
    branch = vessel(ring=1400.0)
    branch.hu[22:38] = calcified(7, 0).hu[22:38]
    assert found_in(branch) == ("warn", ("LAD",))


def test_a_vessel_inside_something_brighter_holds_no_stent() -> None:
    """Beside the aorta it gets brighter outwards on every ray; the end of the ray is no ring."""
    branch = vessel()
    axis = (np.arange(48) - 23.5) * 0.25
    outwards = np.hypot(axis[:, None], axis[None, :])
    branch.hu[:] = BLOOD + 30 * outwards + np.random.default_rng(2).normal(0, 3, branch.hu.shape)
    assert found_in(branch) == ("pass", ())


@pytest.mark.parametrize(("rim", "left_out"), [(600.0, ()), (1400.0, ("LAD",))])
def test_the_rim_that_a_sharp_kernel_draws_is_told_but_leaves_no_vessel_out(
    rim: float, left_out: tuple[str, ...]
) -> None:
    branch = vessel(ring=1400.0)
    plain = vessel()
    share = rim / 1400.0
    branch.hu[:] = plain.hu + share * (branch.hu - plain.hu)
    level, vessels = found_in(branch)
    assert vessels == left_out
    assert level == "warn"


def body() -> np.ndarray:
    rng = np.random.default_rng(0)
    return gaussian_filter(rng.normal(0, 1, (60, 64, 64)), (4, 3, 3)).astype(np.float32) * 4000


@pytest.mark.parametrize("shift", [2, 4])
def test_a_step_is_found_where_it_is_and_about_as_large_as_it_is(shift: int) -> None:
    part = body()
    assert displacements_mm(part, 1.0).max() < 1.0
    part[30:] = np.roll(part[30:], shift, axis=2)
    found = displacements_mm(part, 1.0)
    assert int(found.argmax()) == 29
    assert found.max() == pytest.approx(shift, rel=0.5)


def test_brightness_between_slabs_is_no_step() -> None:
    part = body()
    part[30:] = 1.1 * part[30:] + 40
    assert displacements_mm(part, 1.0).max() < 1.0


def test_steps_in_too_little_heart_are_not_known() -> None:
    mean = body()[:8]
    blocks = Blocks(mean, mean.astype(np.int16), (0.5, 2.0, 2.0), np.zeros(3))
    check = steps(blocks, np.zeros(3), np.full(3, 100.0), DEFAULT)
    assert (check.level, check.value) == ("warn", None)


def test_blocks_against_numpy() -> None:
    hu = np.random.default_rng(2).integers(-1000, 3000, (3, 21, 25)).astype(np.int16)
    made = in_blocks(Volume(hu, (0.5, 0.5, 0.5), (10.0, 20.0, 30.0)))
    cut = hu[:, :20, :24].reshape(3, 5, 4, 6, 4).astype(float)
    assert np.allclose(made.mean, np.clip(cut, -200, 700).mean((2, 4)))
    assert (made.top == cut.max((2, 4))).all()
    assert made.origin_mm == pytest.approx([10.0, 20.75, 30.75])


def scan() -> np.ndarray:
    return np.full((200, 200, 200), 40, np.int16)


def judged(hu: np.ndarray) -> tuple[str, str]:
    """Levels of metal and graft: the heart lies between 40 and 160 mm, front is y 40."""
    blocks = in_blocks(Volume(hu, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)))
    low, high = np.full(3, 40.0), np.full(3, 160.0)
    found = pieces(blocks, 70.0, DEFAULT)
    graft = grafts(blocks, found, 40.0)
    return metal(found, low, high, DEFAULT.metal_hu).level, f"{graft.code} {graft.level}"


def test_metal_by_its_shape() -> None:
    assert judged(scan()) == ("pass", "QC_GRAFT_UNKNOWN warn"), "no breastbone in it"
    bone = scan()
    bone[:, 10:24, 80:120] = 250
    assert judged(bone) == ("pass", "QC_GRAFT pass")
    lead = bone.copy()
    lead[60:140, 99:101, 99:101] = 3071
    assert judged(lead) == ("warn", "QC_GRAFT pass")
    wires = bone.copy()
    for z in (40, 70, 100):
        wires[z : z + 3, 18:30, 85:115] = 3071
    assert judged(wires) == ("pass", "QC_GRAFT warn")
    clips = bone.copy()
    for z in (60, 90, 120):
        clips[z : z + 3, 100:103, 60:63] = 3071
    assert judged(clips) == ("pass", "QC_GRAFT warn")


CHEST = Path(__file__).parents[2] / "shared" / "data" / "tcia_chest_contrast"


@pytest.mark.real
@pytest.mark.skipif(not CHEST.is_dir(), reason="shared/data is not beside the repository")
def test_a_real_chest_without_metal_raises_no_alarm() -> None:
    """Ribs, calcium and contrast in the veins reach 2855 HU; the heart's box is its network's."""
    volume = load_volume(read_candidates([CHEST]).candidates[0])
    low, high = np.array([-194.5, -261.5, -52.5]), np.array([-14.5, -105.5, 103.5])
    blocks = in_blocks(volume)
    found = pieces(blocks, float(low[1] + 0.25 * (high[1] - low[1])), DEFAULT)
    assert metal(found, low, high, DEFAULT.metal_hu).level == "pass"
    assert not [p for p in found if p.kind in ("wire", "lead")]
    graft = grafts(blocks, found, float(low[1]))
    assert (graft.code, graft.level) in (("QC_GRAFT", "pass"), ("QC_GRAFT_UNKNOWN", "warn"))


@pytest.mark.parametrize(
    "table",
    [
        {"noise": 1.0},
        {"noise_warn_hu": "low"},
        {"noise_warn_hu": 60.0},
        {"aorta_pass_hu": [500, 300]},
        {"aorta_pass_hu": 300},
        {"field_refuse_mm": 150.0},
        {"step_warn_mm": True},
    ],
)
def test_settings_that_make_no_sense_are_refused(table: dict[str, object]) -> None:
    with pytest.raises(Refused, match="SETTINGS_INVALID"):
        from_settings(table)


def test_a_site_s_limits_are_named() -> None:
    own = from_settings({"noise_warn_hu": 40, "aorta_pass_hu": [280, 520]})
    assert own.changed() == {
        "noise_warn_hu": (35.0, 40.0),
        "aorta_pass_hu": ((300.0, 500.0), (280.0, 520.0)),
    }
