"""Minimal-cost paths against other implementations of the same thing and against drawn tubes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_cdt, distance_transform_edt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from skimage.graph import MCP_Geometric

from plaque_edge.segment.paths import (
    REACH_VOXELS,
    SUSPECTED,
    Field,
    Reached,
    depth_inside,
    leaves,
    make_field,
    walk,
)

NEVER, SOURCE = -2, -1


def random_field(seed: int, shape: tuple[int, int, int] = (7, 8, 9), shut: float = 0.3) -> Field:
    """Costs over three decades, a share of the voxels without a way through."""
    rng = np.random.default_rng(seed)
    artery = rng.random(shape).astype(np.float32)
    cost = (10 ** rng.uniform(-1, 2, shape)).astype(np.float32)
    cost[rng.random(shape) < shut] = np.inf
    return Field(artery, np.zeros(shape, np.float32), cost)


def open_voxels(field: Field, seed: int, n: int) -> np.ndarray:
    flat = np.flatnonzero(np.isfinite(field.cost))
    return np.random.default_rng(seed).choice(flat, n, replace=False)


def graph_of(field: Field) -> csr_array:
    """26 neighbours; an edge costs half the sum of its ends times its length."""
    shape, cost = field.cost.shape, field.cost.ravel().astype(float)
    rows, columns, weights = [], [], []
    for at in np.ndindex(shape):
        i = np.ravel_multi_index(at, shape)
        for step in itertools.product((-1, 0, 1), repeat=3):
            to = np.add(at, step)
            if step == (0, 0, 0) or (to < 0).any() or (to >= shape).any():
                continue
            j = np.ravel_multi_index(tuple(to), shape)
            if np.isfinite(cost[i]) and np.isfinite(cost[j]):
                rows.append(i)
                columns.append(j)
                weights.append(np.linalg.norm(step) * (cost[i] + cost[j]) / 2)
    return csr_array((weights, (rows, columns)), shape=(cost.size, cost.size))


def steps_of(path: list[int], shape: tuple[int, ...]) -> np.ndarray:
    return np.linalg.norm(np.diff(np.stack(np.unravel_index(path, shape), 1), axis=0), axis=1)


def cost_of(path: list[int], field: Field) -> float:
    cost = field.cost.ravel()[path].astype(float)
    return float((steps_of(path, field.cost.shape) * (cost[1:] + cost[:-1]) / 2).sum())


@pytest.mark.parametrize("seed", range(6))
def test_paths_from_several_sources_cost_the_least_possible(seed: int) -> None:
    field = random_field(seed)
    sources = open_voxels(field, seed, 1 + seed % 3)
    reached = walk(field, sources)
    least = dijkstra(graph_of(field), indices=sources, min_only=True)
    assert (np.isfinite(least) == (reached.before != NEVER)).all()
    assert np.isfinite(least).sum() > 150
    for voxel in np.flatnonzero(np.isfinite(least)):
        path = reached.path(int(voxel))
        assert path[-1] in sources
        assert steps_of(path, field.cost.shape).max(initial=0) < 1.8  # neighbour to neighbour
        assert cost_of(path, field) == pytest.approx(least[voxel], rel=1e-5, abs=1e-9)
    assert (reached.before[sources] == SOURCE).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.2, 0.5]))
def test_paths_from_one_source_cost_what_skimage_finds(seed: int, shut: float) -> None:
    field = random_field(seed, (6, 5, 9), shut)
    source = open_voxels(field, seed, 1)
    reached = walk(field, source)
    start = np.unravel_index(source[0], field.cost.shape)
    least, _ = MCP_Geometric(field.cost.astype(float), fully_connected=True).find_costs([start])
    least = least.ravel()
    for voxel in range(least.size):
        if voxel != source[0] and np.isfinite(least[voxel]):
            path = reached.path(voxel)
            assert cost_of(path, field) == pytest.approx(least[voxel], rel=1e-5)
        elif voxel != source[0]:
            assert reached.before[voxel] == NEVER


@pytest.mark.parametrize("seed", range(4))
def test_length_is_that_of_the_path(seed: int) -> None:
    field = random_field(seed + 50)
    reached = walk(field, open_voxels(field, seed, 2))
    for voxel in np.flatnonzero(reached.before != NEVER):
        path = reached.path(int(voxel))
        assert reached.length[voxel] == pytest.approx(steps_of(path, field.cost.shape).sum(), 1e-5)
    assert (reached.length[reached.before == NEVER] == 0).all()


def test_a_closed_wall_is_crossed_at_its_hole_alone() -> None:
    field = random_field(9, (9, 12, 9), shut=0.0)
    wall = np.zeros(field.cost.shape, bool)
    wall[:, 6] = True
    hole = (4, 6, 7)
    wall[hole] = False
    source = np.array([np.ravel_multi_index((4, 0, 1), wall.shape)])
    before = walk(field, source)
    reached = walk(field.closed(wall), source)
    beyond = np.flatnonzero((np.arange(12) > 6)[None, :, None] & np.ones(wall.shape, bool))
    for voxel in beyond:
        path = np.array(reached.path(int(voxel)))
        assert np.ravel_multi_index(hole, wall.shape) in path
        assert not wall.ravel()[path].any()
    assert (reached.before[wall.ravel()] == NEVER).all()
    assert (before.before != NEVER).all()  # the open field is left as it was
    assert np.isfinite(field.cost).all()


def test_behind_a_wall_without_hole_nothing_is_reached() -> None:
    field = random_field(3, (8, 9, 8), shut=0.0)
    wall = np.zeros(field.cost.shape, bool)
    wall[:, 4] = True
    reached = walk(field.closed(wall), np.array([0]))
    came = (reached.before != NEVER).reshape(wall.shape)
    assert came[:, :4].all()
    assert not came[:, 4:].any()


def test_a_source_in_a_closed_place_still_lets_paths_out() -> None:
    field = random_field(4, (5, 6, 7), shut=0.0)
    wall = np.zeros(field.cost.shape, bool)
    wall[0] = True
    source = np.ravel_multi_index((0, 3, 3), wall.shape)
    reached = walk(field.closed(wall), np.array([source]))
    came = (reached.before != NEVER).reshape(wall.shape)
    assert came[1:].all()
    assert came[0].sum() == 1
    for voxel in np.flatnonzero(came):
        assert reached.path(int(voxel))[-1] == source


def test_without_sources_nothing_is_reached() -> None:
    field = random_field(5)
    reached = walk(field, np.zeros(0, np.int64))
    assert (reached.before == NEVER).all()
    assert leaves(reached, field, 0.5, 2.0) == []


# ---- depth -------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.02, 0.98))
def test_depth_is_scipys_distance_from_the_outside(seed: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((9, 10, 11)) < share
    mask[0, 0, 0] = False
    assert np.allclose(depth_inside(mask), distance_transform_edt(mask), atol=1e-5)


def test_depth_of_thick_bodies() -> None:
    z, y, x = np.ogrid[:30, :31, :32]
    ball = (z - 14) ** 2 + (y - 15) ** 2 + (x - 16) ** 2 < 100
    bar = (y > 4) & (y < 13) & (x < 6) & (z >= 0)  # touches the edges of the grid
    for mask in (ball, bar, ball | bar):
        assert np.allclose(depth_inside(mask), distance_transform_edt(mask), atol=1e-5)
    assert depth_inside(ball).max() > 9
    assert not depth_inside(np.zeros((4, 4, 4), bool)).any()


# ---- drawn tubes -------------------------------------------------------------------------------


def tube(shape: tuple[int, int, int], lines: list[np.ndarray], radius: float = 2.2) -> np.ndarray:
    """Voxels within ``radius`` of any of some polylines."""
    at = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1).astype(float)
    inside = np.zeros(shape, bool)
    for line in lines:
        for a, b in itertools.pairwise(np.asarray(line, float)):
            t = np.clip((at - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
            inside |= np.linalg.norm(at - (a + t[..., None] * (b - a)), axis=-1) <= radius
    return inside


def certain_field(artery: np.ndarray) -> Field:
    artery = artery.astype(np.float32)
    return make_field(artery, np.zeros_like(artery))


def from_point(field: Field, point: tuple[int, int, int]) -> Reached:
    return walk(field, np.array([np.ravel_multi_index(point, field.cost.shape)]))


def points_of(voxels: list[int], field: Field) -> np.ndarray:
    return np.stack(np.unravel_index(voxels, field.cost.shape), 1)


BASE, FORK = (4, 24, 14), (26, 24, 14)
LONG_TIP, SHORT_TIP = (58, 8, 14), (48, 40, 14)
SHAPE = (64, 48, 28)


def test_a_fork_has_two_ends_the_longer_first() -> None:
    field = certain_field(tube(SHAPE, [np.array([BASE, FORK, LONG_TIP]), [FORK, SHORT_TIP]]))
    reached = from_point(field, BASE)
    ends = leaves(reached, field, 0.6, 8.0)
    assert len(ends) == 2
    found = points_of(ends, field)
    assert np.linalg.norm(found[0] - LONG_TIP) < 3.5
    assert np.linalg.norm(found[1] - SHORT_TIP) < 3.5
    first, second = (set(reached.path(e)) for e in ends)
    shared = points_of(sorted(first & second), field)
    assert abs(shared[:, 0].max() - FORK[0]) < 4  # they run together up to the fork


@pytest.mark.parametrize(("least", "ends"), [(3.0, 2), (9.0, 1)])
def test_a_stub_counts_by_its_own_length(least: float, ends: int) -> None:
    field = certain_field(
        tube(SHAPE, [np.array([BASE, (56, 24, 14)]), [(30, 24, 14), (30, 33, 14)]])
    )
    assert len(leaves(from_point(field, BASE), field, 0.6, least)) == ends


def test_an_end_lies_where_the_artery_is_certain() -> None:
    artery = tube(SHAPE, [np.array([BASE, (58, 24, 14)])]).astype(np.float32)
    artery[40:] *= np.float32(0.55)
    field = certain_field(artery)
    reached = from_point(field, BASE)
    (end,) = leaves(reached, field, 0.6, 8.0)
    assert points_of([end], field)[0, 0] == 39
    (end,) = leaves(reached, field, 0.5, 8.0)
    assert points_of([end], field)[0, 0] > 57


def test_what_no_path_reaches_is_no_end() -> None:
    far = tube(SHAPE, [np.array([(10, 6, 6), (50, 6, 6)])])
    field = certain_field(tube(SHAPE, [np.array([BASE, (56, 40, 20)])]) | far)
    ends = points_of(leaves(from_point(field, BASE), field, 0.6, 8.0), field)
    assert len(ends) == 1
    assert np.linalg.norm(ends[0] - (56, 40, 20)) < 3.5


def test_paths_run_in_the_middle_of_a_bent_tube() -> None:
    t = np.linspace(0, np.pi, 40)
    line = np.stack([8 + 46 * t / np.pi, 24 + 12 * np.sin(t), 14 + 5 * np.sin(2 * t)], 1)
    field = certain_field(tube(SHAPE, [line], 3.2))
    reached = from_point(field, tuple(np.round(line[0]).astype(int)))
    path = points_of(reached.path(np.ravel_multi_index((54, 24, 14), SHAPE)), field)
    off = np.linalg.norm(path[:, None] - line[None], axis=-1).min(1)
    assert len(path) > 40
    assert off.mean() < 0.7
    assert off.max() < 1.6


def test_a_gap_is_bridged() -> None:
    artery = tube(SHAPE, [np.array([BASE, (58, 24, 14)])])
    artery[30:35] = False
    field = certain_field(artery)
    reached = from_point(field, BASE)
    (end,) = leaves(reached, field, 0.6, 8.0)
    assert points_of([end], field)[0, 0] > 57


def test_paths_keep_near_what_is_suspected() -> None:
    rng = np.random.default_rng(2)
    artery = np.where(rng.random((20, 22, 24)) < 0.002, 0.4, 0.02).astype(np.float32)
    field = make_field(artery, np.ones_like(artery))
    steps = distance_transform_cdt(artery <= SUSPECTED, metric="taxicab")
    assert (np.isfinite(field.cost) == (steps <= REACH_VOXELS)).all()
    assert 0.1 < np.isfinite(field.cost).mean() < 0.9


def test_what_looks_like_an_artery_is_cheaper() -> None:
    artery = tube(SHAPE, [np.array([BASE, (58, 24, 14)])], 3.0).astype(np.float32)
    artery[30:36] = 0.0
    bright = np.zeros(SHAPE, np.float32)
    bright[30:36, :24] = 1.0
    field = make_field(artery, bright)
    middle, edge, outside = field.cost[20, 24, 14], field.cost[20, 26, 14], field.cost[20, 29, 14]
    assert middle < edge < outside
    assert field.cost[32, 23, 14] < field.cost[32, 25, 14]  # in a gap, blood is preferred
    assert (field.cost > 0).all()
