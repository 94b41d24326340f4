"""Names and dominance: on a schematic heart, on drawn hearts, and whichever way the heart lies."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tree_bodies import anatomy, nameless

from plaque_edge.segment.naming import dominance_of, heart_axes, with_names
from plaque_edge.types import Branch, VesselName

HEARTS = range(60)


def names_of(branches: list[Branch]) -> list[str]:
    return [b.name for b in with_names(branches)]


def dominances(kind: str) -> Counter[str]:
    """What is said of the drawn hearts of one kind."""
    drawn = [anatomy(seed) for seed in HEARTS]
    return Counter(dominance_of(nameless(h)[0]) for h in drawn if h.dominance == kind)


# ---- a schematic heart: grooves are circles and meridians of a sphere ----------------------------

RADIUS = 40.0


def arc(
    vessel: VesselName, parent: int | None, angles: tuple[float, float], depths: tuple[float, float]
) -> Branch:
    """Points 0.5 mm apart from one (angle, depth) to another; the apex lies towards the feet."""
    phi, depth = (np.linspace(*ends, 400) for ends in (np.deg2rad(angles), depths))
    wide = np.sqrt(RADIUS**2 - np.minimum(depth, 38) ** 2)
    line = np.stack([-depth, -wide * np.cos(phi), wide * np.sin(phi)], 1)
    s = np.r_[0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))]
    even = np.stack([np.interp(np.arange(0, s[-1], 0.5), s, line[:, k]) for k in range(3)], 1)
    return Branch(vessel, vessel, parent, even, np.full(len(even), 1.5))


def schematic(left_to: float = 110.0, *side: Branch) -> list[Branch]:
    """LM, LAD, LCX and RCA, then side branches; 0 is the LAD's groove, 180 the posterior one."""
    return [
        arc("LM", None, (-15, 0), (-4, 0)),
        arc("LAD", 0, (0, 0), (0, 38)),
        arc("LCX", 0, (0, left_to), (0, 0)),
        arc("RCA", None, (-30, -178), (0, 0)),
        *side,
    ]


def test_axes_of_a_schematic_heart() -> None:
    axes = heart_axes(schematic(178.0))
    assert axes is not None
    assert np.allclose(axes.apex, [-1, 0, 0], atol=0.02)
    assert np.allclose(axes.front, [0, -1, 0], atol=0.02)
    for angle, depth in itertools.product((0, 45, 90, 135, 179), (0, 10, 30)):
        point = arc("RCA", None, (angle, angle + 1e-3), (depth, depth + 1)).points_mm[:1]
        assert axes.angle_deg(point)[0] == pytest.approx(angle, abs=3)
        assert axes.depth_mm(point)[0] == pytest.approx(depth, abs=1)


R_PDA = arc("RCA", 3, (180, 178), (0, 36))
L_PDA = arc("LCX", 2, (178, 176), (0, 36))


@pytest.mark.parametrize(
    ("branches", "expected"),
    [
        (schematic(110, R_PDA), "right"),
        (schematic(178, L_PDA), "left"),
        (schematic(178, L_PDA, R_PDA), "co"),
        (schematic(140, R_PDA), "co"),  # the posterolateral wall is the left one's
        (schematic(140, R_PDA, arc("RCA", 3, (172, 150), (0, 20))), "right"),
        (schematic(110), "unknown"),
        (schematic(110, arc("RCA", 3, (180, 178), (0, 10))), "unknown"),  # too short to be a PDA
        (schematic(110, arc("LCX", 2, (110, 105), (0, 36))), "unknown"),  # a marginal
        (schematic(110, arc("RCA", 3, (-90, -90), (0, 36))), "unknown"),  # an acute marginal
    ],
)
def test_who_gives_the_posterior_descending_is_dominant(
    branches: list[Branch], expected: str
) -> None:
    assert dominance_of(branches) == expected


@pytest.mark.parametrize("gone", ["LAD", "LCX", "RCA"])
def test_without_a_main_vessel_dominance_is_unknown(gone: str) -> None:
    branches, _ = nameless(anatomy(0))
    kept = [i for i, b in enumerate(branches) if b.vessel != gone]
    left = [
        replace(branches[i], parent=None if branches[i].parent is None else kept.index(p))
        for i in kept
        if (p := branches[i].parent) is None or p in kept
    ]
    assert len(left) > 3
    assert dominance_of(left) == "unknown"
    assert heart_axes(left) is None
    assert all(names_of(left))


def test_side_branches_of_a_schematic_heart_have_their_names() -> None:
    heart = schematic(
        110,
        arc("LAD", 1, (0, 40), (24, 34)),
        arc("LCX", 2, (80, 75), (0, 30)),
        arc("LAD", 1, (0, 45), (8, 30)),
        arc("LCX", 0, (0, 30), (0, 30)),
        arc("LCX", 2, (50, 45), (0, 30)),
        arc("RCA", 3, (-90, -88), (0, 30)),
        arc("RCA", 3, (180, 178), (0, 36)),
        arc("RCA", 3, (-178, -215), (0, 12)),
    )
    assert names_of(heart) == [
        *("LM", "LAD", "LCX", "RCA", "D2", "OM2", "D1", "RI", "OM1", "AM1", "R-PDA", "R-PLB")
    ]
    left = schematic(178, arc("LCX", 2, (60, 55), (0, 30)), L_PDA)
    assert names_of(left)[4:] == ["OM1", "L-PDA"]


# ---- drawn hearts ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["right", "left"])
def test_dominance_of_drawn_hearts(kind: str) -> None:
    said = dominances(kind)
    assert said.total() >= 5
    assert said[kind] / said.total() >= 0.97, said


def test_balanced_drawn_hearts_are_balanced() -> None:
    said = dominances("co")
    assert said.total() >= 3
    assert said["co"] / said.total() >= 0.9, said


@pytest.mark.parametrize("seed", [0, 2, 9])
def test_names_do_not_depend_on_how_the_heart_lies(seed: int) -> None:
    branches, _ = nameless(anatomy(seed))
    turn = Rotation.random(random_state=seed).as_matrix()
    moved = [replace(b, points_mm=b.points_mm @ turn.T + [30, -200, 7]) for b in branches]
    mirrored = [replace(b, points_mm=b.points_mm * [1, 1, -1]) for b in branches]
    for other in (moved, mirrored):
        assert names_of(other) == names_of(branches)
        assert dominance_of(other) == dominance_of(branches)


def is_posterior(name: str) -> bool:
    return name in ("R-PDA", "R-PLB", "L-PDA")


def test_names_of_drawn_hearts_are_the_drawn_ones() -> None:
    seen: Counter[str] = Counter()
    for seed in HEARTS:
        branches, true = nameless(anatomy(seed))
        got = names_of(branches)
        seen.update(a for a, b in zip(true, got, strict=True) if a == b)
        for a, b in zip(true, got, strict=True):
            assert a == b or (is_posterior(b) and a[:2] in ("R-", "OM")), (seed, true, got)
        assert [b.vessel for b in with_names(branches)] == [b.vessel for b in branches]
    assert min(seen[n] for n in ("RI", "D3", "OM3", "AM1", "L-PDA", "R-PLB")) >= 3, seen


def test_a_pda_is_called_so_and_lies_on_one_side() -> None:
    for seed in HEARTS:
        heart = anatomy(seed)
        branches, true = nameless(heart)
        got = names_of(branches)
        for a, b in zip(true, got, strict=True):
            if a.endswith("PDA"):
                assert b == a, seed
        if heart.dominance == "left":
            assert not {"R-PDA", "R-PLB"} & set(got)
        elif heart.dominance == "right":
            assert "L-PDA" not in got


@pytest.mark.parametrize(("kind", "name"), [("right", "R-PDA"), ("left", "L-PDA")])
def test_a_heart_has_one_posterior_descending(kind: str, name: str) -> None:
    for seed in HEARTS:
        heart = anatomy(seed)
        if heart.dominance == kind:
            assert names_of(nameless(heart)[0]).count(name) == 1, seed


def test_a_branch_of_an_acute_marginal_is_no_posterolateral() -> None:
    marginal = arc("RCA", 3, (-90, -90), (0, 30))
    twig = arc("RCA", 4, (-90, -75), (15, 28))
    names = names_of(schematic(110, marginal, twig))
    assert names[4] == "AM1"
    assert names[5] == "AM2"


def test_numbers_follow_the_order_along_the_parent() -> None:
    compared = 0
    for seed in HEARTS:
        branches, _ = nameless(anatomy(seed))
        named = with_names(branches)
        for stem, main in (("D", "LAD"), ("OM", "LCX"), ("AM", "RCA")):
            line = next(b for b in branches if b.vessel == main).points_mm
            way = {}
            for b in named:
                number = b.name.removeprefix(stem)
                if b.name.startswith(stem) and number.isdigit():
                    apart = np.linalg.norm(line - b.points_mm[0], axis=1)
                    way[int(number)] = float(np.argmin(apart))
            assert sorted(way) == list(range(1, len(way) + 1))
            in_order = [way[n] for n in sorted(way)]
            assert in_order == sorted(in_order)
            compared += max(0, len(way) - 1)
    assert compared > 50


def test_numbers_do_not_depend_on_the_order_in_which_branches_were_found() -> None:
    rng = np.random.default_rng(1)
    for seed in range(12):
        branches, true = nameless(anatomy(seed))
        main = [i for i, name in enumerate(true) if name in ("LM", "LAD", "LCX", "RCA")]
        side = [i for i in range(len(branches)) if i not in main]
        order = main + [int(i) for i in rng.permutation(side)]
        shuffled = [
            b if b.parent is None else replace(b, parent=order.index(b.parent))
            for b in (branches[i] for i in order)
        ]
        expected = names_of(branches)
        assert names_of(shuffled) == [expected[i] for i in order]


def test_a_ramus_leaves_the_left_main_and_is_not_counted_among_marginals() -> None:
    with_ramus = 0
    for seed in HEARTS:
        branches, true = nameless(anatomy(seed))
        got = names_of(branches)
        assert got.count("RI") == true.count("RI")
        if "RI" in true:
            with_ramus += 1
            ramus = branches[got.index("RI")]
            assert branches[ramus.parent].vessel == "LM"
            assert ramus.vessel == "LCX"
            without = [b for i, b in enumerate(branches) if i != true.index("RI")]
            after = true.index("RI")
            without = [
                replace(b, parent=b.parent - (b.parent > after)) if b.parent is not None else b
                for b in without
            ]
            assert names_of(without) == [n for n in got if n != "RI"]
    assert with_ramus >= 5
