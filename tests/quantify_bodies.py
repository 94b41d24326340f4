"""Analytic vessels as straightened soft fractions, and slow numpy twins of the kernels."""

from __future__ import annotations

import numpy as np

from plaque_edge.quantify import sections
from plaque_edge.types import Branch, StraightBranch

STEP = 0.5
PIXEL = 0.25
WINDOW = 48
SOFT = 0.25


def resample(points, step=STEP):
    points = np.asarray(points, float)
    s = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    n = round(s[-1] / step)
    at = np.linspace(0, s[-1], n + 1)
    return np.stack([np.interp(at, s, points[:, d]) for d in range(3)], axis=1)


def frames(points):
    """Rotation-minimising frames by projecting the last normal (Bishop)."""
    tangent = np.gradient(points, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1)[:, None]
    start = np.eye(3)[np.argmin(np.abs(tangent[0]))]
    us = []
    for t in tangent:
        start = start - t * (start @ t)
        start = start / np.linalg.norm(start)
        us.append(start)
    u = np.array(us)
    return u, np.cross(tangent, u)


def straighten(body, points, vessel="LAD", name=None, parent=None, radius=1.5):
    """Sample ``body(points) -> (7, ...)`` in the cross-sections along a polyline."""
    centers = resample(points)
    u, v = frames(centers)
    offset = (np.arange(WINDOW) - (WINDOW - 1) / 2) * PIXEL
    where = (
        centers[:, None, None]
        + offset[None, :, None, None] * u[:, None, None]
        + offset[None, None, :, None] * v[:, None, None]
    )
    fractions = np.clip(np.rint(255 * body(where)), 0, 255).astype(np.uint8)
    branch = Branch(vessel, name or vessel, parent, centers, np.full(len(centers), radius))
    hu = np.zeros(fractions.shape[1:], np.float32)
    return StraightBranch(branch, centers, u, v, STEP, PIXEL, fractions, hu)


def soft(distance):
    """Share of a pixel inside a surface at signed distance (negative inside)."""
    return np.clip(0.5 - distance / SOFT, 0.0, 1.0)


def layered(lumen, outer, plaque=None, component=4, wall_mm=0.0):
    """Seven fractions from signed distances: lumen inside outer, plaque between, wall the rest."""
    lumen = soft(lumen)
    inside = np.maximum(soft(outer), lumen)
    out = np.zeros((7, *lumen.shape))
    out[0] = 1 - inside
    out[2] = lumen
    ring = inside - lumen
    share = 0.0 if plaque is None else plaque
    out[component] = ring * share
    out[3] = ring * (1 - share)
    return out


def to_segment(points, a, b):
    """Distance to the segment a-b."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    t = np.clip(((points - a) @ (b - a)) / ((b - a) @ (b - a)), 0, 1)
    return np.linalg.norm(points - a - t[..., None] * (b - a), axis=-1)


def slow_profile(packed, grid, columns=6):
    """The twin of ``kernels.accumulate``: every voxel, every step, plain numpy."""
    tree = packed.tree
    total = np.zeros((len(tree.centers), columns))
    axes = [grid.origin[d] + np.arange(grid.shape[d]) * grid.spacing[d] for d in range(3)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    views = [slow_view(packed, b, points) for b in range(len(packed.branches))]
    for p in range(len(points)):
        seen = [(view, p) for view in views if view["ok"][p]]
        if not seen:
            continue
        view, _ = min(
            seen, key=lambda s: (s[0]["depth"][p], tree.depth[s[0]["branch"]], s[0]["branch"])
        )
        f = view["f"][p].copy()
        clear = max([s["f"][p, 2] for s, _ in seen if s["depth"][p] <= 0], default=0.0)
        if clear > 0.5 and clear > f[2]:
            f *= (1 - clear) / (1 - f[2])
            f[2] = clear
        add = np.zeros(columns)
        add[:5] = f[2:]
        add[5] = f[4:].sum() > f[:4].max()
        i, t = view["low"][p], view["t"][p]
        total[i] += (1 - t) * add
        total[i + 1] += t * add
    return total * np.prod(grid.spacing)


def slow_view(packed, b, points):
    """What branch ``b`` sees at each point."""
    from scipy.ndimage import map_coordinates
    from scipy.spatial import cKDTree

    tree, item, steps = packed.tree, packed.branches[b], packed.steps(b)
    c, u, v = tree.centers[steps], tree.u[steps], tree.v[steps]
    normal = tree.normal[steps]
    near = cKDTree(c).query(points)[1]
    height = np.einsum("ij,ij->i", points - c[near], normal[near])
    low = np.where(height >= 0, near, near - 1)
    ok = (low >= 0) & (low < len(c) - 1)
    low = np.clip(low, 0, len(c) - 2)
    below = np.einsum("ij,ij->i", points - c[low], normal[low])
    above = np.einsum("ij,ij->i", points - c[low + 1], normal[low + 1])
    t = np.clip(below / (below - above), 0, 1)[:, None]

    def between(x):
        return (1 - t) * x[low] + t * x[low + 1]

    uu, vv, d = between(u), between(v), points - between(c)
    a = np.einsum("ij,ij->i", d, uu / np.linalg.norm(uu, axis=1)[:, None])
    bb = np.einsum("ij,ij->i", d, vv / np.linalg.norm(vv, axis=1)[:, None])
    r = np.hypot(a, bb)
    angles = tree.reach.shape[1]
    direction = np.floor(np.arctan2(bb, a) / (2 * np.pi) * angles + 0.5).astype(int) % angles
    at = np.where(t[:, 0] < 0.5, low, low + 1)
    ok &= r <= tree.reach[steps][at, direction]
    h, w = item.fractions.shape[2:]
    where = [low + t[:, 0], a / item.pixel_mm + (h - 1) / 2, bb / item.pixel_mm + (w - 1) / 2]
    f = np.stack([map_coordinates(x.astype(float), where, order=1) for x in item.fractions], 1)
    total = f.sum(axis=1)
    f = f / np.where(total > 0, total, 1)[:, None]
    ok &= (total > 0) & (f[:, 1] <= 0.5)
    depth = r - between(tree.radius[steps][:, None])[:, 0]
    return {"branch": b, "ok": ok, "depth": depth, "f": f, "low": low + steps.start, "t": t[:, 0]}


def slow_rays(inside, pixel_mm):
    """The twin of ``sections.ray_lengths``."""
    from scipy.ndimage import map_coordinates

    n, h, w = inside.shape
    count = sections.ANGLES
    out = np.zeros((n, count))
    half = 0.5 * np.hypot(h, w) * pixel_mm
    r = np.arange(0, half, sections.RAY_MM)
    for i in range(n):
        for a in range(count):
            angle = 2 * np.pi * a / count
            where = [
                (h - 1) / 2 + r * np.cos(angle) / pixel_mm,
                (w - 1) / 2 + r * np.sin(angle) / pixel_mm,
            ]
            f = map_coordinates(inside[i].astype(float), where, order=1, cval=0.0)
            for k in range(len(r)):
                if f[k] >= 0.5:
                    out[i, a] = r[k]
                elif k and f[k - 1] >= 0.5:
                    out[i, a] = r[k - 1] + sections.RAY_MM * (f[k - 1] - 0.5) / (f[k - 1] - f[k])
                elif r[k] - out[i, a] > (
                    sections.GAP_MM if out[i, a] > 0 else sections.OFF_CENTRE_MM
                ):
                    break
    return out


def slow_area(share, pixel_mm, reach):
    """The twin of ``sections.area``."""
    _, h, w = share.shape
    a, b = np.meshgrid((np.arange(h) - (h - 1) / 2), (np.arange(w) - (w - 1) / 2), indexing="ij")
    count = reach.shape[1]
    direction = np.floor(np.arctan2(b, a) / (2 * np.pi) * count + 0.5).astype(int) % count
    near = np.hypot(a, b)[None] * pixel_mm <= reach[:, direction]
    return (share * near).sum(axis=(1, 2)) * pixel_mm**2
