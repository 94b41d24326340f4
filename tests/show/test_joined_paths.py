"""Left main and what goes on from it, as one line: against a tube that was never cut."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from plaque_edge.segment.straighten import parallel_frames
from plaque_edge.show.branches import BranchView, contour
from plaque_edge.show.paths import paths_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEP_MM = 0.5


def _whole() -> BranchView:
    """An arc with an egg-shaped contour that turns along it."""
    angle = np.arange(0.0, 60.0, STEP_MM) / 40.0
    points = 40.0 * np.stack([np.cos(angle), np.sin(angle), 0.1 * angle], axis=1)
    points *= STEP_MM / float(np.linalg.norm(points[1] - points[0]))
    _, u, v = parallel_frames(points)
    n = len(points)
    turn = 2 * np.pi * np.arange(64) / 64
    lumen = 1.5 + 0.4 * np.cos(turn[None] - np.linspace(0, 2, n)[:, None])
    area = np.stack([np.arange(n), 2.0 * np.arange(n)], axis=1).astype(float)
    plaque = np.ones((n, 3)) * np.arange(n)[:, None]
    return BranchView("LAD", "LAD", STEP_MM, points, u, v, area, plaque, lumen, lumen + 0.5)


def _cut(whole: BranchView, first: int, last: int, name: str, turn: float) -> BranchView:
    """Sections ``first`` to ``last`` with axes turned by ``turn`` and contours turned back."""
    names = ("centers_mm", "u", "v", "area_mm2", "plaque_mm3", "lumen_mm", "wall_mm")
    part = {key: getattr(whole, key)[first:last] for key in names}
    u, v = part["u"], part["v"]
    part["u"] = np.cos(turn) * u + np.sin(turn) * v
    part["v"] = np.cos(turn) * v - np.sin(turn) * u
    steps = round(turn / (2 * np.pi) * 64)
    for key in ("lumen_mm", "wall_mm"):
        part[key] = np.roll(part[key], -steps, axis=1)
    return replace(whole, vessel=name, name=name, **part)


def _outline(branch: BranchView, step: int) -> NDArray[np.float64]:
    """Lumen contour in space."""
    points = contour(branch.lumen_mm[step])
    return branch.centers_mm[step] + points @ np.stack([branch.u[step], branch.v[step]])


@pytest.mark.parametrize("turned", [0, 5, 23, 40])
def test_a_cut_tube_is_whole_again(turned: int) -> None:
    whole = _whole()
    turn = 2 * np.pi * turned / 64
    branches = (_cut(whole, 0, 31, "LM", turn), _cut(whole, 30, len(whole), "LAD", 0.0))
    stem, path = paths_of(branches)
    assert stem.view is branches[0]
    assert len(path.view) == len(whole)
    for name in ("centers_mm", "area_mm2", "plaque_mm3"):
        assert getattr(path.view, name) == pytest.approx(getattr(whole, name), abs=1e-9)
    for name in ("u", "v"):  # the bend between two sections turns nothing worth a thousandth
        assert getattr(path.view, name) == pytest.approx(getattr(whole, name), abs=1e-3)
    for step in (0, 12, 29):
        found, wanted = _outline(path.view, step), _outline(branches[0], step)
        far = np.linalg.norm(found[:, None] - wanted[None], axis=2).min(axis=1)
        assert far.max() < 1e-3


def test_places_are_inverse() -> None:
    whole = _whole()
    branches = (_cut(whole, 0, 31, "LM", 0.3), _cut(whole, 30, len(whole), "LAD", 0.0))
    path = paths_of(branches)[1]
    for step in range(len(path.view)):
        branch, own = path.place(float(step))
        assert path.step_of(branch, own) == step
        assert branches[branch].centers_mm[int(own)] == pytest.approx(path.view.centers_mm[step])
    assert path.place(-3.0) == (0, 0.0)
    assert path.place(1e6) == (1, len(branches[1]) - 1.0)
    assert path.step_of(0, 30.0) is None  # the section that the LAD begins with
    assert path.step_of(7, 0.0) is None


def test_only_what_leaves_the_left_main_is_joined() -> None:
    whole = _whole()
    stem = _cut(whole, 0, 31, "LM", 0.0)
    far = replace(_cut(whole, 60, 100, "LCX", 0.0))
    right = replace(_cut(whole, 30, 60, "RCA", 0.0), centers_mm=whole.centers_mm[30:60] + 40.0)
    side = replace(_cut(whole, 30, 60, "LAD", 0.0), name="D1")
    ramus = replace(_cut(whole, 30, 60, "LCX", 0.0), name="RI")
    found = paths_of((stem, far, right, side, ramus))
    assert [len(p.parts) for p in found] == [1, 1, 1, 1, 2]
    assert [p.parts[-1].branch for p in found] == [0, 1, 2, 3, 4]
    assert [len(p.parts) for p in paths_of((far, right))] == [1, 1]
    assert paths_of(()) == ()


def test_a_branch_that_begins_inside_the_left_main_cuts_it() -> None:
    whole = _whole()
    branches = (_cut(whole, 0, 31, "LM", 0.0), _cut(whole, 20, len(whole), "LCX", 0.0))
    path = paths_of(branches)[1]
    assert path.view.centers_mm == pytest.approx(whole.centers_mm, abs=1e-9)
    assert path.parts[0].count == 20
