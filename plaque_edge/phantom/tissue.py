"""Everything in the chest that is not a coronary vessel, as signed distances on a coarse grid.

A structure is a signed distance field in mm (negative inside) sampled every 2 mm; the
scanner interpolates the *distance*, not the HU, so that edges stay sharp at any pixel size.
Later structures lie over earlier ones.
"""

# mypy: disallow-untyped-decorators=False
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter, zoom
from scipy.spatial import cKDTree

from plaque_edge.phantom.anatomy import APEX, LATERAL, STEP_MM, UP, Anatomy, HeartFrame, resample

Field = NDArray[np.float32]
GRID_MM = 2.0
FAR = 8.0


@dataclass(frozen=True, slots=True)
class Chest:
    """Structures in paint order: fields ``(k, z, y, x)``, HU: mean, of texture, gradient per mm."""

    names: tuple[str, ...]
    fields: Field
    hu: NDArray[np.float64]
    texture_hu: NDArray[np.float64]
    gradient: NDArray[np.float64]
    texture: Field
    origin_mm: NDArray[np.float64]

    def field(self, name: str) -> Field:
        """Signed distance of one structure."""
        return np.asarray(self.fields[self.names.index(name)])


@njit(cache=True)
def _splat(field: Any, origin: Any, points: Any, radius: Any) -> None:
    """Lower ``field`` to the distance to the samples minus their radius, near them only."""
    for i in range(points.shape[0]):
        reach = radius[i] + 8.0
        lo = np.empty(3, np.int64)
        hi = np.empty(3, np.int64)
        for a in range(3):
            lo[a] = max(0, int(np.ceil((points[i, a] - reach - origin[a]) / 2.0)))
            hi[a] = min(field.shape[a] - 1, int(np.floor((points[i, a] + reach - origin[a]) / 2.0)))
        for z in range(lo[0], hi[0] + 1):
            dz = origin[0] + 2.0 * z - points[i, 0]
            for y in range(lo[1], hi[1] + 1):
                dy = origin[1] + 2.0 * y - points[i, 1]
                for x in range(lo[2], hi[2] + 1):
                    dx = origin[2] + 2.0 * x - points[i, 2]
                    d = np.sqrt(dz * dz + dy * dy + dx * dx) - radius[i]
                    field[z, y, x] = min(field[z, y, x], d)


class Space:
    """The coarse grid: distances of ellipsoids and tubes in warped patient space."""

    def __init__(
        self,
        low_mm: NDArray[Any],
        high_mm: NDArray[Any],
        frame: HeartFrame,
        rng: np.random.Generator,
    ) -> None:
        self.origin = np.asarray(low_mm, float)
        self.shape = tuple(int(n) for n in np.ceil((np.asarray(high_mm) - low_mm) / GRID_MM) + 2)
        self.rng, self.frame = rng, frame
        axes = [self.origin[a] + GRID_MM * np.arange(self.shape[a]) for a in range(3)]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).astype(np.float32)
        canonical = (grid - frame.center_mm.astype(np.float32)) @ frame.rotation.astype(np.float32)
        self.grid = grid
        basis = np.stack([APEX, UP, LATERAL], axis=1).astype(np.float32)
        self.heart = canonical @ basis
        for a in range(3):
            self.heart[..., a] += self.noise(16, rng.uniform(0.5, 2.0))

    def noise(self, scale_mm: float, amplitude: float) -> Field:
        """Smooth random field with unit-free amplitude (SD) and wavelength about ``scale_mm``."""
        coarse = tuple(max(3, int(np.ceil(n * GRID_MM / scale_mm)) + 2) for n in self.shape)
        rough = self.rng.normal(size=coarse).astype(np.float32)
        factor = [n / c for n, c in zip(self.shape, coarse, strict=True)]
        return np.asarray(
            zoom(rough, factor, order=1, grid_mode=True, mode="nearest"), np.float32
        ) * np.float32(amplitude)

    def ellipsoid(self, coords: Field, center: Any, radii: Any) -> Field:
        """Approximate signed distance of an axis-parallel ellipsoid in ``coords``."""
        radii = np.asarray(radii, np.float32)
        q = (coords - np.asarray(center, np.float32)) / radii
        k0 = np.sqrt((q * q).sum(-1))
        k1 = np.sqrt(((q / radii) ** 2).sum(-1))
        return np.asarray(k0 * (k0 - 1) / np.maximum(k1, 1e-6), np.float32)

    def tube(self, points: Any, radius: Any) -> Field:
        """Signed distance of a tube through patient points."""
        field = np.full(self.shape, FAR, np.float32)
        points = np.asarray(points, float)
        _splat(
            field,
            self.origin,
            points,
            np.broadcast_to(np.asarray(radius, float), len(points)).copy(),
        )
        return field

    def heart_tube(self, controls: list[tuple[float, float, float]], radius: Any) -> Field:
        """Tube through control points given as (apex, up, lateral) mm."""
        points = [self.frame.to_patient(a * APEX + b * UP + c * LATERAL) for a, b, c in controls]
        return self.tube(curve(points), radius)


def curve(controls: Any, step_mm: float = 1.5) -> NDArray[np.float64]:
    """Cubic spline through control points, sampled at equal steps."""
    controls = np.asarray(controls, float)
    t = np.r_[0, np.cumsum(np.linalg.norm(np.diff(controls, axis=0), axis=1))]
    return resample(CubicSpline(t, controls)(np.linspace(0, t[-1], max(10, int(t[-1])))), step_mm)


def build_chest(
    anatomy: Anatomy,
    outer_mm: tuple[NDArray[np.float64], ...],
    low_mm: Any,
    high_mm: Any,
    blood_hu: float,
    rng: np.random.Generator,
) -> Chest:
    """Build one chest inside the box ``low_mm..high_mm``; ``blood_hu`` is the aorta's HU.

    ``outer_mm`` holds each tube's outer radius, plaque included: no chamber lies closer.
    """
    space = Space(np.asarray(low_mm), np.asarray(high_mm), anatomy.frame, rng)
    layers = Layers()
    trunk(space, layers.put)
    lungs(space, layers.put)
    bones(space, layers.put)
    _heart(space, anatomy, outer_mm, blood_hu, layers.put)
    return layers.chest(space, rng)


class Layers:
    """Structures in the order in which they are painted."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, Field, float, float, float]] = []

    def put(
        self, name: str, field: Field, hu: float, texture: float = 0.0, slope: float = 0.0
    ) -> None:
        """Add a structure: mean HU, HU of its texture, HU per mm of its gradient."""
        field = np.clip(field, -FAR, FAR).astype(np.float32)
        self.rows.append((name, field, hu, texture, slope))

    def chest(self, space: Space, rng: np.random.Generator) -> Chest:
        """Everything put so far, with textures and directions of gradients drawn."""
        names, fields, hu, texture, slope = zip(*self.rows, strict=True)
        ways = rng.normal(size=(len(names), 3))
        ways /= np.linalg.norm(ways, axis=1, keepdims=True)
        return Chest(
            names,
            np.stack(fields),
            np.array(hu),
            np.array(texture),
            ways * np.array(slope)[:, None],
            space.noise(7, 0.75) + space.noise(22, 0.5),
            space.origin,
        )


def trunk(space: Space, put: Any) -> None:
    """Subcutaneous fat and the muscles of the chest wall."""
    rng, g = space.rng, space.grid
    y0, x0 = 22 + rng.normal(0, 5), -14 + rng.normal(0, 5)
    big = rng.uniform(0.9, 1.12)
    body = np.sqrt(((g[..., 1] - y0) / (118 * big)) ** 2 + ((g[..., 2] - x0) / (172 * big)) ** 2)
    put("body", (body - 1) * 118 * big, rng.uniform(-110, -80), 10)
    muscle = np.sqrt(((g[..., 1] - y0) / (101 * big)) ** 2 + ((g[..., 2] - x0) / (146 * big)) ** 2)
    put("muscle", (muscle - 1) * 100 + space.noise(30, 3), rng.uniform(40, 65), 12)


def lungs(space: Space, put: Any) -> None:
    """Lungs with their vessels, mediastinum, liver, stomach, oesophagus."""
    rng, g = space.rng, space.grid
    top = rng.uniform(60, 95)
    cavity = space.ellipsoid(g, (top - 90, 16, -14), (185, 86, 128))
    put("lung", cavity + space.noise(24, 2), rng.uniform(-900, -820), 35)
    vessels = [
        curve(
            np.cumsum(
                np.vstack(
                    [
                        [
                            rng.uniform(-40, 50),
                            rng.uniform(-25, 55),
                            side * rng.uniform(55, 75) - 14,
                        ],
                        rng.normal(0, 9, (4, 3)) + np.array([0, 0, side * 9]),
                    ]
                ),
                axis=0,
            )
        )
        for side in (-1, 1)
        for _ in range(22)
    ]
    lines = np.vstack(vessels)
    sizes = np.concatenate([np.linspace(rng.uniform(1.5, 4), 1.0, len(v)) for v in vessels])
    put("lung vessels", space.tube(lines, sizes), rng.uniform(60, 420), 20)
    mid = space.ellipsoid(g, (30, 40, -12), (130, 62, rng.uniform(30, 44)))
    put("mediastinum", np.maximum(mid, cavity) + space.noise(14, 2), rng.uniform(-105, -70), 25)
    dome = rng.uniform(-52, -34)
    liver = space.ellipsoid(g, (dome - 62, 12, -55), (70, 88, 100)) + space.noise(30, 2)
    put("liver", liver, rng.uniform(55, 120), 10)
    put(
        "stomach",
        space.ellipsoid(g, (dome - 62, 10, 70), (56, 60, 60)),
        rng.choice([-300.0, 20.0, 40.0]),
        15,
    )
    put("oesophagus", space.tube(curve([(-80, 56, 4), (0, 50, -4), (90, 60, -14)]), 8.0), 35, 15)


def bones(space: Space, put: Any) -> None:
    """Spine, ribs and sternum, cortex over marrow."""
    rng = space.rng
    spine = space.tube(curve([(-110, 92, -14), (0, 86, -14), (110, 92, -14)]), rng.uniform(16, 20))
    put("spine cortex", spine + space.noise(12, 1), rng.uniform(350, 600), 90)
    put("spine marrow", spine + 3, rng.uniform(120, 240), 60)
    ribs = []
    for side in (-1, 1):
        for z in np.arange(-100, 110, rng.uniform(24, 30)):
            a = np.linspace(0.15, 2.75, 150)
            ribs.append(
                np.stack([z + 42 * np.cos(a), 18 + 92 * np.cos(a), -14 + side * 134 * np.sin(a)], 1)
            )
    rib = space.tube(np.vstack(ribs), 5.5)
    put("rib cortex", rib, rng.uniform(500, 900), 60)
    put("rib marrow", rib + 2.4, rng.uniform(100, 250), 40)
    sternum = space.ellipsoid(space.grid, (20, -80, -14), (90, 8, 17))
    put("sternum", sternum, rng.uniform(250, 450), 80)
    put("sternum marrow", sternum + 2.2, rng.uniform(80, 180), 40)


def _heart(
    space: Space,
    anatomy: Anatomy,
    outer_mm: tuple[NDArray[np.float64], ...],
    blood_hu: float,
    put: Any,
) -> None:
    rng, f, h = space.rng, anatomy.frame, space.heart
    k = f.up_mm / 40
    wall_rv, wall_lv = rng.uniform(2.5, 4.5), rng.uniform(8, 12) * k
    mass = np.maximum(
        space.ellipsoid(h, (0, 0, 0), (f.axis_mm, f.up_mm, f.lateral_mm)), -h[..., 0] - 4
    )
    la = space.ellipsoid(
        h, (-26 * k, 0, 15 * k), (21 * k * rng.uniform(0.85, 1.25), 25 * k, 30 * k)
    )
    ra = space.ellipsoid(
        h, (-18 * k, -6, -27 * k), (22 * k, 27 * k, 22 * k * rng.uniform(0.9, 1.2))
    )
    laa = space.heart_tube(
        [(-20 * k, 18 * k, 30 * k), (-10 * k, 30 * k, 34 * k), (2 * k, 35 * k, 30 * k)],
        rng.uniform(5, 10),
    )
    raa = space.heart_tube(
        [(-14 * k, 10 * k, -34 * k), (-6 * k, 24 * k, -34 * k), (0, 32 * k, -26 * k)],
        rng.uniform(6, 10),
    )
    pa = space.heart_tube(
        [
            (10 * k, 24 * k, -20 * k),
            (0, 36 * k, -14 * k),
            (-14 * k, 50 * k, 0),
            (-34 * k, 54 * k, 14 * k),
        ],
        rng.uniform(11.5, 15.5) * k,
    )
    right_pa = space.heart_tube(
        [(-34 * k, 54 * k, 14 * k), (-44 * k, 46 * k, -14 * k), (-44 * k, 40 * k, -50 * k)], 9.5 * k
    )
    svc = space.heart_tube(
        [(-18 * k, 5, -30 * k), (-36 * k, 40 * k, -40 * k), (-50 * k, 75 * k, -42 * k)], 9 * k
    )
    ivc = space.heart_tube(
        [(-14 * k, -16 * k, -26 * k), (-10 * k, -45 * k, -30 * k), (-8, -80, -30)], 12 * k
    )
    veins = np.minimum.reduce(
        [
            space.heart_tube(
                [(-30 * k, s * 12 * k, w * 26 * k), (-48 * k, s * 18 * k, w * 55 * k)], 6 * k
            )
            for s in (-1, 1)
            for w in (-0.9, 1)
        ]
    )
    root = space.tube(anatomy.root_mm, anatomy.root_radius_mm)
    near_root = np.where(root < FAR - 0.1, root - 2, np.float32(50))
    sac = np.minimum.reduce([mass, la, ra, near_root]) - rng.uniform(4, 10)
    la, laa = np.maximum(la, 1.5 - root), np.maximum(laa, 1.5 - root)
    put("pericardial fat", sac + space.noise(18, 2.0), rng.uniform(-115, -70), 14)
    sheath = _sheath(space, anatomy)
    muscle = rng.uniform(75, 145)
    put("atrial wall", np.minimum.reduce([la, ra, laa, raa]) - rng.uniform(1.0, 2.5), muscle, 12)
    put("myocardium", mass, muscle, 14)
    put(
        "great vessel wall",
        np.minimum.reduce([root, pa, right_pa, svc]) - rng.uniform(0.8, 2.0),
        rng.uniform(30, 80),
        10,
    )
    put("groove fat", sheath, rng.uniform(-110, -60), 14)
    blood = blood_hu
    right = rng.choice([rng.uniform(60, 160), rng.uniform(120, 320), rng.uniform(250, 520)])
    lv = np.maximum(
        space.ellipsoid(h, (4, 0, 14 * k), (f.axis_mm - 8, f.up_mm - 3, f.lateral_mm - 15 * k)),
        -h[..., 0] - 6,
    )
    cavity = lv + wall_lv + space.noise(6, rng.uniform(0.3, 1.4))
    rv = np.maximum.reduce([mass + wall_rv + space.noise(6, 0.6), -(lv - 1.0), -h[..., 0] - 3])
    beds, outside = _vessel_beds(space, anatomy, outer_mm)
    ra, la = np.maximum(ra, -outside), np.maximum(la, -outside)
    ra, la = np.minimum(ra, np.maximum(raa, -beds)), np.minimum(la, np.maximum(laa, -beds))
    rv, pa, right_pa, svc, ivc, veins = (
        np.maximum(x, -beds) for x in (rv, pa, right_pa, svc, ivc, veins)
    )
    put("svc", svc, np.clip(right * rng.uniform(0.8, 3.0), 60, 1400), 60)
    put("ivc", ivc, rng.uniform(70, 180), 25)
    put("pulmonary veins", veins, blood * rng.uniform(0.9, 1.1), 12)
    put("rv", rv, right * rng.uniform(0.85, 1.15), 25, 0.6)
    put("ra", ra, right * rng.uniform(0.8, 1.2), 35, 1.0)
    put("pa", np.minimum(pa, right_pa), np.clip(right * rng.uniform(0.9, 1.4), 60, 600), 15, 0.4)
    put("la", la, blood * rng.uniform(0.88, 1.12), 12, 0.3)
    put("lv", cavity, blood * rng.uniform(0.88, 1.08), 14, 0.4)
    put("aorta", root, blood, 6, 0.05)
    down = _descending_aorta(space, anatomy, rng.uniform(10, 14))
    put("descending wall", down - 1.5, rng.uniform(30, 80), 8)
    put("descending aorta", down, blood * rng.uniform(0.85, 1.02), 8)


def _descending_aorta(space: Space, anatomy: Anatomy, radius_mm: float) -> Field:
    """Beside the spine, and as far back as the heart's vessels need."""
    line = curve([(-110, 62, 12), (0, 56, 14), (70, 54, 16), (95, 40, 8)])
    heart = np.vstack([t.points_mm[::16] for t in anatomy.tubes])
    back = np.array([0.0, 1.0, 0.5])
    for _ in range(12):
        if cKDTree(line).query(heart)[0].min() > radius_mm + 6:
            break
        line = line + 2 * back
    return space.tube(line, radius_mm)


def _vessel_beds(
    space: Space, anatomy: Anatomy, outer_mm: tuple[NDArray[np.float64], ...]
) -> tuple[Field, Field]:
    """Where no blood of a chamber can be: the vessels with their beds; and these with all outside.

    Coronary vessels run on the outside of the heart. An appendage may lie over them and a thin
    wall against them (gap 0), but its blood doesn't flow round them; an atrium ends inside of
    them.
    """
    rng, frame = space.rng, anatomy.frame
    points, radii, out = [], [], []
    for tube, outer in zip(anatomy.tubes, outer_mm, strict=True):
        p, r = tube.points_mm[::4], outer[::4]
        gap = np.interp(np.arange(len(p)), np.linspace(0, len(p), 6), rng.uniform(-0.3, 2.5, 6))
        canonical = frame.to_canonical(p)
        way = canonical - (canonical @ APEX)[:, None] * APEX
        way /= np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1.0)
        points.append(p)
        radii.append(r + np.maximum(gap, 0))
        out.append(way @ frame.rotation.T)
    bed = space.tube(np.vstack(points), np.concatenate(radii))
    line, width, way = np.vstack(points), np.concatenate(radii), np.vstack(out)
    shells = [space.tube(line + d * way, width + 0.3 * d) for d in (3.0, 6.0, 9.0, 12.0)]
    return bed, np.minimum.reduce([bed, *shells])


def _sheath(space: Space, anatomy: Anatomy) -> Field:
    """Fat round the vessels in their grooves; thin or absent where a vessel lies on the muscle."""
    rng = space.rng
    points, radii = [], []
    for tube in anatomy.tubes:
        p, r = tube.points_mm[::4], tube.radius_mm[::4]
        wave = np.interp(np.arange(len(p)), np.linspace(0, len(p), 6), rng.uniform(-1.5, 4.5, 6))
        points.append(p + rng.normal(0, 0.6, 3))
        fat = np.clip(r + 0.8 + wave, 0.5, 7.5)
        if tube.buried_mm is not None:  # inside the muscle there is none
            arc = np.arange(len(p)) * 4 * STEP_MM
            fat[(arc > tube.buried_mm[0]) & (arc < tube.buried_mm[1])] = 0.3
        radii.append(fat)
    field = space.tube(np.vstack(points), np.concatenate(radii))
    return np.asarray(gaussian_filter(field, 0.4), np.float32)
