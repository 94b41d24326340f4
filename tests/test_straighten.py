"""Straightened vessels, resampling and tiling against obvious twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from plaque_edge.segment.straighten import (
    PIXEL_MM,
    WIDTH,
    even_points,
    parallel_frames,
    sample_sections,
)
from plaque_edge.segment.tree_maps import resample_volume, tile_starts
from plaque_edge.segment.wall import WINDOW_STEPS, window_starts
from plaque_edge.types import Volume


def helix(n: int = 200) -> np.ndarray:
    t = np.linspace(0, 3, n)
    return np.stack([8 * t, 10 * np.cos(t), 10 * np.sin(t)], 1) + 20


def test_frames_are_orthonormal_and_do_not_twist() -> None:
    points = even_points(helix())
    t, u, v = parallel_frames(points)
    for a in (t, u, v):
        assert np.allclose(np.linalg.norm(a, axis=1), 1, atol=1e-6)
    assert np.abs((t * u).sum(1)).max() < 1e-6
    assert np.allclose(np.cross(t, u), v, atol=1e-6)
    turn = np.abs((np.diff(u, axis=0) * v[:-1]).sum(1))  # rotation about the tangent, per step
    assert turn.max() < 2e-3


def test_a_planar_curve_keeps_its_normal_out_of_plane() -> None:
    a = np.linspace(0, np.pi, 300)
    points = np.stack([np.zeros_like(a), 12 * np.cos(a), 12 * np.sin(a)], 1)
    _, u, v = parallel_frames(points)
    axis = np.array([1.0, 0, 0])
    assert np.ptp(u @ axis) < 0.02
    assert np.ptp(v @ axis) < 0.02


def test_sections_equal_scipy_on_noise() -> None:
    rng = np.random.default_rng(0)
    hu = rng.integers(-1000, 1500, (60, 70, 80)).astype(np.int16)
    origin, spacing = np.array([-3.0, 2.0, 1.0]), np.array([0.7, 0.6, 0.6])
    points = even_points(helix(60) * 0.6 + 2)
    _, u, v = parallel_frames(points)
    got = sample_sections(hu, origin, spacing, points, u, v)
    axis = (np.arange(WIDTH) - (WIDTH - 1) / 2) * PIXEL_MM
    where = (
        points[:, None, None]
        + axis[:, None, None] * u[:, None, None]
        + axis[None, :, None] * v[:, None, None]
    )
    index = (where - origin) / spacing
    expected = map_coordinates(
        hu.astype(np.float32), np.moveaxis(index, -1, 0), order=1, cval=np.nan
    )
    inside = ((index > 0) & (index < np.array(hu.shape) - 1.001)).all(-1)
    assert inside.mean() > 0.5
    assert np.abs(got - expected)[inside].max() < 0.5
    outside = ((index < -1) | (index > np.array(hu.shape))).any(-1)
    assert (got[outside] == -1024).all()


def test_coarse_resampling_averages_and_keeps_positions() -> None:
    z, y, x = np.meshgrid(*[np.arange(n) for n in (40, 50, 50)], indexing="ij")
    volume = Volume((10 * z + 3 * y - 2 * x).astype(np.int16), (0.4, 0.4, 0.4), (5.0, -3.0, 2.0))
    low = np.array([8.0, 0.0, 5.0])
    got = resample_volume(volume, low, 0.8, (8, 8, 8))
    index = np.stack(
        np.meshgrid(*[low[a] + 0.8 * np.arange(8) for a in range(3)], indexing="ij"), -1
    )
    f = volume.to_index(index)
    expected = 10 * f[..., 0] + 3 * f[..., 1] - 2 * f[..., 2]
    assert np.abs(got - expected).max() <= 8  # two averaged samples lie half a voxel apart


def test_outside_the_scan_is_air() -> None:
    volume = Volume(np.full((10, 10, 10), 300, np.int16), (1, 1, 1), (0, 0, 0))
    got = resample_volume(volume, np.array([-20.0, 0, 0]), 1.0, (30, 10, 10))
    assert (got[:19] == -1024).all()
    assert (got[21:29] == 300).all()


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 400), st.integers(32, 128))
def test_tiles_cover_everything_with_overlap(size: int, tile: int) -> None:
    starts = tile_starts(size, tile, 16)
    covered = np.zeros(max(size, tile), bool)
    for s in starts:
        assert s >= 0
        covered[s : s + tile] = True
    assert covered[:size].all()
    if len(starts) > 1:
        assert max(np.diff(starts)) <= tile - 16 + 1


@pytest.mark.parametrize("n", [1, 63, 64, 65, 100, 333])
def test_windows_cover_every_section(n: int) -> None:
    covered = np.zeros(max(n, WINDOW_STEPS), bool)
    for s in window_starts(n):
        covered[s : s + WINDOW_STEPS] = True
    assert covered[:n].all()
