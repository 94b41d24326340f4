"""Reformats, cross-sections, rasteriser and branch files against slow twins and exact shapes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import show_twins as twins
from scipy.spatial import cKDTree

from plaque_edge.export.overlay import Stack
from plaque_edge.segment.straighten import parallel_frames
from plaque_edge.show.branches import (
    BranchView,
    contour,
    nearest,
    of_mapped,
    read_branches,
    write_branches,
)
from plaque_edge.show.raster import Camera, Tubes, draw_tubes
from plaque_edge.show.reformat import (
    AIR_HU,
    chord_axes,
    cross_section,
    sample_lines,
    straightened,
    stretched,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SPACING, ORIGIN = (0.6, 0.4, 0.4), (-20.0, -15.0, -16.0)


def _branch(points: NDArray[np.float64], step_mm: float = 0.5) -> BranchView:
    _, u, v = parallel_frames(points)
    n = len(points)
    return BranchView(
        "LAD", "LAD", step_mm, points, u, v, np.ones((n, 2)), np.zeros((n, 3)),
        np.ones((n, 32)), np.full((n, 32), 1.5),
    )  # fmt: skip


def _random_stack(shape: tuple[int, int, int] = (40, 50, 60)) -> Stack:
    rng = np.random.default_rng(5)
    hu = rng.integers(-900, 1500, shape).astype(np.int16)
    return Stack(hu, rng.integers(0, 6, shape).astype(np.uint8), SPACING, ORIGIN)


def _arc(radius: float = 12.0) -> NDArray[np.float64]:
    angle = np.arange(0.0, math.pi * radius / 2, 0.5) / radius
    return np.stack(
        [-8 + radius * np.sin(angle), -6 + radius * (1 - np.cos(angle)), 0 * angle], axis=1
    )


def test_samples_are_scipys() -> None:
    stack, rng = _random_stack(), np.random.default_rng(1)
    base = rng.uniform(-25, 25, (30, 3))
    advance = rng.normal(0, 0.4, (30, 3))
    hu, labels = sample_lines(stack, base, advance, 25)
    points = base[:, None] + np.arange(25)[None, :, None] * advance[:, None]
    slow_hu, slow_labels = twins.sample(stack, points)
    assert (hu == AIR_HU).any()
    assert (hu != AIR_HU).any()
    assert np.abs(hu - slow_hu).max() <= 1  # halves may fall to either side
    assert np.mean(hu != slow_hu) < 0.01
    np.testing.assert_array_equal(labels, slow_labels)


def test_last_voxel_is_inside() -> None:
    stack = _random_stack((4, 4, 4))
    end = np.array(ORIGIN) + 3 * np.array(SPACING)
    hu, labels = sample_lines(stack, end[None], np.zeros((1, 3)), 1)
    assert hu[0, 0] == stack.hu[3, 3, 3]
    assert labels[0, 0] == stack.labels[3, 3, 3]


def test_straightened_pixels_lie_where_it_says() -> None:
    stack, branch = _random_stack(), _branch(_arc())
    made = straightened(stack, branch, 0.7, half_mm=3.0)
    steps = np.arange(len(branch))
    for column in (0, 17, made.hu.shape[1] - 1):
        centre = [np.interp(made.step[column], steps, branch.centers_mm[:, k]) for k in range(3)]
        rows = np.arange(made.hu.shape[0])[:, None] - made.row[column]
        points = np.array(centre) + rows * made.pixel_mm * made.direction[column]
        slow, _ = twins.sample(stack, points)
        assert np.abs(made.hu[:, column] - slow).max() <= 1
    np.testing.assert_allclose(np.linalg.norm(made.direction, axis=1), 1.0, atol=1e-9)


def test_a_tube_is_straight_when_straightened() -> None:
    """A bent tube of known radius shows the same width in every column."""
    points = _arc()
    grid = np.stack(np.meshgrid(*[np.arange(s) for s in (60, 90, 90)], indexing="ij"), -1)
    where = grid * np.array(SPACING) + ORIGIN
    gap = cKDTree(points).query(where)[0]
    edge = 400 * np.clip((2.0 - gap) / 0.5 + 0.5, 0, 1)  # partial volume at the surface
    stack = Stack(edge.astype(np.int16), np.zeros(edge.shape, np.uint8), SPACING, ORIGIN)
    made = straightened(stack, _branch(points), 0.0)
    width = (made.hu[:, 10:-10] > 200).sum(axis=0) * made.pixel_mm
    np.testing.assert_allclose(width, 4.0, atol=0.25)
    section, _ = cross_section(stack, _branch(points), 20.0)
    area = (section > 200).sum() * 0.15**2
    assert area == pytest.approx(math.pi * 4.0, rel=0.08)


def test_stretched_keeps_lengths() -> None:
    """On the unrolled surface the centerline is as long as the vessel, whatever the angle."""
    stack, points = _random_stack((60, 90, 90)), _arc()
    branch = _branch(points)
    for angle in (0.0, 0.6, 1.9, 4.0):
        made = stretched(stack, branch, angle, pixel_mm=0.1)
        ends = np.hypot(np.diff(made.row), 1.0).sum() * made.pixel_mm
        assert ends == pytest.approx(branch.length_mm, rel=0.02)
        column = made.hu.shape[1] // 2
        steps = np.arange(len(branch))
        centre = [np.interp(made.step[column], steps, points[:, k]) for k in range(3)]
        rows = np.arange(made.hu.shape[0])[:, None] - made.row[column]
        slow, _ = twins.sample(stack, np.array(centre) + rows * 0.1 * made.direction[column])
        assert np.abs(made.hu[:, column] - slow).max() <= 1


def test_chord_axes_are_perpendicular() -> None:
    points = _arc()
    first, second = chord_axes(points)
    chord = points[-1] - points[0]
    for value in (first @ chord, second @ chord, first @ second):
        assert value == pytest.approx(0.0, abs=1e-9)


def test_rasteriser_meets_the_same_spheres_as_its_twin() -> None:
    rng = np.random.default_rng(3)
    tubes = Tubes(
        rng.uniform(-6, 6, (25, 3)), rng.uniform(0.1, 3.0, 25), np.full(25, 0xFF8040C0, np.uint32)
    )
    camera = Camera((0.5, 0.0, -0.5), 2.2, 0.7, -0.4)
    made = draw_tubes(tubes, camera, (36, 44), 0xFF101010)
    np.testing.assert_array_equal(made.sphere, twins.spheres(tubes, camera, (36, 44)))
    assert (made.pixels[made.sphere < 0] == 0xFF101010).all()
    assert (made.pixels[made.sphere >= 0] >> 24 == 255).all()


def test_camera_looks_from_the_front() -> None:
    """Left of the patient is right on the screen, head is up, the front is near."""
    camera = Camera((0.0, 0.0, 0.0), 1.0)
    left, head, front = camera.project(
        np.array([[0, 0, 5.0], [5.0, 0, 0], [0, -5.0, 0]]), (100, 100)
    )
    assert left[0] == pytest.approx(55.0)
    assert head[1] == pytest.approx(45.0)
    assert front[2] == pytest.approx(5.0)
    turned = Camera((0.0, 0.0, 0.0), 1.0, 0.4, -0.8).matrix()
    np.testing.assert_allclose(turned @ turned.T, np.eye(3), atol=1e-12)


def test_a_sphere_is_lit_from_the_left_above() -> None:
    tubes = Tubes(np.zeros((1, 3)), np.array([20.0]), np.array([0xFFB0B0B0], np.uint32))
    made = draw_tubes(tubes, Camera((0, 0, 0), 1.0), (60, 60), 0xFF000000)
    assert (made.pixels[20, 20] & 0xFF) > (made.pixels[40, 40] & 0xFF)


def test_branches_survive_the_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    one = _branch(_arc())
    two = _branch(np.cumsum(rng.uniform(0, 0.4, (9, 3)), axis=0))
    write_branches([one, two], tmp_path / "b.npz")
    back = read_branches(tmp_path / "b.npz")
    assert [len(b) for b in back] == [len(one), 9]
    np.testing.assert_allclose(back[1].centers_mm, two.centers_mm, atol=1e-5)
    np.testing.assert_allclose(back[0].wall_mm, one.wall_mm)
    write_branches([], tmp_path / "none.npz")
    assert read_branches(tmp_path / "none.npz") == ()


def test_nearest_and_contour() -> None:
    branch = _branch(_arc())
    z, y, x = branch.centers_mm[7] + (0.0, 0.0, 1.0)
    assert nearest([branch], (z, y, x), 3.0) == (0, 7)
    assert nearest([branch], (90.0, 0.0, 0.0), 3.0) is None
    assert nearest([], (0.0, 0.0, 0.0), 3.0) is None
    points = contour(np.full(32, 2.0))
    np.testing.assert_allclose(np.hypot(*points.T), 2.0)
    assert points[8] == pytest.approx([0.0, 2.0], abs=1e-9)


def test_views_carry_what_was_measured() -> None:
    """Areas, contours and counted plaque of the tube scan: analytic truth."""
    import tube_scan

    from plaque_edge.quantify.measures import map_vessels, measure_mapped

    branches = tube_scan.tree().branches
    straight = tuple(tube_scan.straight(b) for b in branches)
    mapped = map_vessels(straight)
    views = of_mapped(mapped)
    total = sum(v.plaque_mm3.sum() for v in views)
    assert total == pytest.approx(
        measure_mapped(mapped, tube_scan.tree()).patient.plaque_mm3, rel=1e-6
    )
    lad = next(v for v in views if v.name == "LAD")
    healthy = len(lad) * 3 // 4
    assert lad.wall_mm[healthy] == pytest.approx(np.full(32, tube_scan.WALL_MM), abs=0.2)
    assert lad.lumen_mm[healthy] == pytest.approx(np.full(32, tube_scan.LUMEN_MM), abs=0.2)
    assert lad.area_mm2[healthy, 0] == pytest.approx(math.pi * tube_scan.LUMEN_MM**2, rel=0.05)
