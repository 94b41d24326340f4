"""From straightened fractions to mm³ per vessel and per patient.

The fractions of each branch are looked up on Cartesian voxels in which every point has one
owner branch, so that bends and bifurcations count once and the vessels add up to the
patient. See ``docs/quantify.md`` for the rules and their measured errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.quantify import kernels
from plaque_edge.quantify.lesions import Profile, find_lesions, gate
from plaque_edge.quantify.options import Calibration, GateOptions
from plaque_edge.quantify.pack import Packed, make_grid, pack, tight_grid
from plaque_edge.types import (
    VESSELS,
    WALL_CLASSES,
    Branch,
    CoronaryTree,
    Lesion,
    PatientMeasures,
    PlaqueMeasures,
    StraightBranch,
    VesselMeasures,
    VesselName,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

VOXEL_MM = 0.25
"""Edge of the Cartesian voxel in which volumes are summed."""
STAGE_LIMITS_MM3 = (0.0, 250.0, 750.0)
"""Plaque stages by total plaque volume: 0 / >0-250 / >250-750 / >750 mm³
(Min et al. 2022, doi:10.1016/j.jcct.2022.03.001)."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """Everything measured along all branches, before it is rolled up."""

    packed: Packed
    profiles: tuple[Profile, ...]
    gated: tuple[NDArray[np.bool_], ...]


def map_vessels(
    straight: Sequence[StraightBranch],
    gates: GateOptions | None = None,
    calibration: Calibration | None = None,
) -> Mapped:
    """Map all branches to Cartesian voxels once; feeds both the measures and the overlay."""
    gates = gates or GateOptions()
    packed = pack(straight, calibration or Calibration())
    if not packed.branches:
        return Mapped(packed, (), ())
    volume = kernels.accumulate(packed.tree, tight_grid(packed, VOXEL_MM))
    profiles = tuple(
        Profile(item, volume[packed.steps(i)], packed.area_mm2[packed.steps(i)], int(at))
        for i, (item, at) in enumerate(zip(packed.branches, packed.take_off, strict=True))
    )
    return Mapped(packed, profiles, tuple(gate(p, gates) for p in profiles))


def measure(
    straight: Sequence[StraightBranch],
    tree: CoronaryTree,
    gates: GateOptions | None = None,
    calibration: Calibration | None = None,
) -> PlaqueMeasures:
    """Plaque, lumen and vessel volumes per vessel and patient, stenosis, lesions.

    Plaque counts inside lesions only (``gates``); lumen and vessel over the whole analysed
    length, where vessel is lumen + wall + all plaque. A vessel that was not traced is
    ``not_analysable`` with ``None`` everywhere, never 0. The order of ``straight`` does not
    matter. Volumes in mm³, lengths in mm.
    """
    return measure_mapped(map_vessels(straight, gates, calibration), tree)


def measure_mapped(mapped: Mapped, tree: CoronaryTree) -> PlaqueMeasures:
    """Roll up what :func:`map_vessels` found, exactly as :func:`measure` does."""
    lesions = [
        find_lesions(p, inside) for p, inside in zip(mapped.profiles, mapped.gated, strict=True)
    ]
    vessels: dict[VesselName, VesselMeasures] = {}
    for name in VESSELS:
        own = [i for i, p in enumerate(mapped.profiles) if p.item.branch.vessel == name]
        wanted = sum(branch.vessel == name for branch in tree.branches)
        complete = name not in tree.missing and len(own) >= wanted
        vessels[name] = _vessel(
            [mapped.profiles[i] for i in own],
            [lesion for i in own for lesion in lesions[i]],
            complete,
        )
    return PlaqueMeasures(vessels, _patient(vessels), tuple(x for part in lesions for x in part))


def _vessel(
    profiles: Sequence[Profile], lesions: Sequence[Lesion], complete: bool
) -> VesselMeasures:
    if not profiles:
        return VesselMeasures("not_analysable")
    calcified = float(sum(x.calcified_mm3 for x in lesions))
    noncalcified = float(sum(x.noncalcified_mm3 for x in lesions))
    plaque = calcified + noncalcified
    lumen = float(sum(float(p.volume_mm3[:, 0].sum()) for p in profiles))
    vessel = float(sum(float(p.volume_mm3[:, :5].sum()) for p in profiles))
    return VesselMeasures(
        status="analysed" if complete else "partial",
        plaque_mm3=plaque,
        calcified_mm3=calcified,
        noncalcified_mm3=noncalcified,
        low_attenuation_mm3=float(sum(x.low_attenuation_mm3 for x in lesions)),
        vessel_mm3=vessel,
        lumen_mm3=lumen,
        pav_percent=_percent(plaque, vessel),
        length_mm=float(sum(p.length_mm for p in profiles)),
        max_diameter_stenosis_percent=_largest(x.diameter_stenosis_percent for x in lesions)
        if lesions
        else 0.0,
        remodeling_index=_largest(x.remodeling_index for x in lesions),
    )


def _percent(plaque: float, vessel: float) -> float | None:
    return min(100.0 * plaque / vessel, 100.0) if vessel > 0 else None


def _largest(values: Iterable[float | None]) -> float | None:
    return max((v for v in values if v is not None), default=None)


def _total(values: Iterable[float | None]) -> float:
    return float(sum(v for v in values if v is not None))


def plaque_stage(plaque_mm3: float) -> int:
    """Stage 0 to 3 of a total plaque volume in mm³ (:data:`STAGE_LIMITS_MM3`)."""
    return sum(plaque_mm3 > limit for limit in STAGE_LIMITS_MM3)


def _patient(vessels: dict[VesselName, VesselMeasures]) -> PatientMeasures:
    """Sum over the measured vessels, in the order of :data:`VESSELS`."""
    parts = [vessels[n] for n in VESSELS if vessels[n].status != "not_analysable"]
    lower_bound = any(vessels[n].status != "analysed" for n in VESSELS)
    if not parts:
        return PatientMeasures(lower_bound=True)
    plaque = _total(p.plaque_mm3 for p in parts)
    vessel = _total(p.vessel_mm3 for p in parts)
    return PatientMeasures(
        plaque_mm3=plaque,
        calcified_mm3=_total(p.calcified_mm3 for p in parts),
        noncalcified_mm3=_total(p.noncalcified_mm3 for p in parts),
        low_attenuation_mm3=_total(p.low_attenuation_mm3 for p in parts),
        vessel_mm3=vessel,
        lumen_mm3=_total(p.lumen_mm3 for p in parts),
        pav_percent=_percent(plaque, vessel),
        plaque_stage=plaque_stage(plaque),
        max_diameter_stenosis_percent=_largest(p.max_diameter_stenosis_percent for p in parts),
        lower_bound=lower_bound,
    )


def label_grid(
    straight: Sequence[StraightBranch],
    shape_zyx: tuple[int, int, int],
    spacing_zyx_mm: tuple[float, float, float],
    origin_zyx_mm: tuple[float, float, float],
    gates: GateOptions | None = None,
) -> NDArray[np.uint8]:
    """Labels on a CT grid for the overlay, uint8 ``(z, y, x)``.

    0 none, 1 lumen, 2 wall, 3 non-calcified, 4 low attenuation, 5 calcified. The same owner
    and gate as :func:`measure`: plaque that does not count is shown as wall.
    ``origin_zyx_mm`` is the centre of voxel (0, 0, 0).
    """
    return label_mapped(map_vessels(straight, gates), shape_zyx, spacing_zyx_mm, origin_zyx_mm)


def label_mapped(
    mapped: Mapped,
    shape_zyx: tuple[int, int, int],
    spacing_zyx_mm: tuple[float, float, float],
    origin_zyx_mm: tuple[float, float, float],
) -> NDArray[np.uint8]:
    """Paint what :func:`map_vessels` found, exactly as :func:`label_grid` does."""
    if not mapped.profiles:
        return np.zeros(shape_zyx, np.uint8)
    origin, spacing = np.asarray(origin_zyx_mm, float), np.asarray(spacing_zyx_mm, float)
    grid = make_grid(mapped.packed, origin, spacing, shape_zyx)
    labels: NDArray[np.uint8] = kernels.paint(
        mapped.packed.tree, grid, np.concatenate(mapped.gated)
    )
    return labels


def warm_up() -> None:
    """Compile or load every kernel on a tiny tube, so that no patient waits for it."""
    n, side = 9, 16
    centers = np.zeros((n, 3))
    centers[:, 0] = np.arange(n) * 0.5
    u, v = np.zeros((n, 3)), np.zeros((n, 3))
    u[:, 1], v[:, 2] = 1.0, 1.0
    fractions = np.zeros((len(WALL_CLASSES), n, side, side), np.uint8)
    fractions[0] = 255
    fractions[:, :, 4:12, 4:12] = 0
    fractions[2, :, 4:12, 4:12] = 255
    branch = Branch("LAD", "LAD", None, centers, np.ones(n))
    hu = np.zeros((n, side, side), np.float32)
    straight = StraightBranch(branch, centers, u, v, 0.5, 0.25, fractions, hu)
    mapped = map_vessels([straight])
    measure_mapped(mapped, CoronaryTree((branch,)))
    label_mapped(mapped, (4, 4, 4), (0.5, 0.5, 0.5), (0.0, 0.0, 0.0))
