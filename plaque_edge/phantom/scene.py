"""One synthetic patient: anatomy, plaques, scan and exact truth, from one seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from plaque_edge.phantom import kernels
from plaque_edge.phantom.anatomy import STEP_MM, Anatomy, make_anatomy
from plaque_edge.phantom.kernels import CELL_MM, Scene, fill_cells
from plaque_edge.phantom.lesions import N_BLOBS, Lesion, draw_burden_mm3, draw_lesions
from plaque_edge.phantom.presets import PRESETS, Preset
from plaque_edge.phantom.scanner_physics import ScanSettings, acquire
from plaque_edge.phantom.slabs import Slabs, whole
from plaque_edge.phantom.tissue import Chest, build_chest
from plaque_edge.phantom.visible import visible_shares
from plaque_edge.segment.straighten import parallel_frames
from plaque_edge.types import (
    VESSELS,
    Branch,
    CoronaryTree,
    SeriesInfo,
    VesselName,
    Volume,
    triple,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

TRAIN_SEEDS = range(1_000_000, 2_000_000)
VALIDATION_SEEDS = range(2_000_000, 3_000_000)
TEST_SEEDS = range(3_000_000, 4_000_000)
"""Seeds never cross: networks train on the first, choices are made on the second, figures
come from the third. Demo and unit tests use small seeds outside all three."""
SPLITS = {"validation": VALIDATION_SEEDS, "test": TEST_SEEDS}

TREE_CLASS = {"LM": 2, "LAD": 3, "LCX": 4, "RCA": 5}
AORTA_CLASS, VEIN_CLASS = 1, 6


@dataclass(frozen=True, slots=True)
class Patient:
    """Everything of a synthetic patient but the image: tubes in patient space, plaques, chest."""

    anatomy: Anatomy
    lesions: tuple[Lesion, ...]
    scene: Scene
    lumen_mm: tuple[NDArray[np.float64], ...]
    """Narrowed lumen radius per tube."""
    outer_mm: tuple[NDArray[np.float64], ...]
    """Largest outer radius per tube and sample, plaque and healthy wall included."""


@dataclass(frozen=True, slots=True)
class Phantom:
    """A scan with its truth.

    ``truth`` is what ``truth.json`` holds; the tree holds true lumen centres.
    """

    volume: Volume
    tree: CoronaryTree
    truth: dict[str, Any]
    info: SeriesInfo
    patient: Patient
    chest: Chest
    settings: ScanSettings = field(repr=False)
    slabs: Slabs = field(repr=False)


def make_phantom(
    seed: int,
    preset: str | Preset = "standard",
    burden_mm3: float | None = None,
    *,
    truth: bool = True,
) -> Phantom:
    """Draw a patient and scan them, as a preset (or the name of one) says.

    ``burden_mm3`` fixes the plaque volume aimed at; without ``truth`` volumes are not counted
    (training needs none).
    """
    p = PRESETS[preset] if isinstance(preset, str) else preset
    if p.wide is not None:
        from plaque_edge.phantom.wide import make_wide_phantom

        return make_wide_phantom(seed, p, burden_mm3, truth=truth)
    if p.rescan:
        from plaque_edge.phantom.rescan import rescan

        return rescan(seed, p.rescan, truth=truth)
    x = draw_first(seed, p, burden_mm3)
    hu = acquire(x.chest, x.patient.scene, x.shape, x.origin_mm, x.settings, x.rng)
    slabs = whole(float(x.origin_mm[0]))
    made = Made(x.patient, x.chest, x.settings, x.blood_hu, hu, x.origin_mm, slabs, {})
    return finish(seed, p, made, x.rng, truth=truth)


class First(NamedTuple):
    """A patient on the table, before the scan; ``rng`` is the stream the scan goes on with."""

    rng: np.random.Generator
    settings: ScanSettings
    shape: tuple[int, int, int]
    origin_mm: NDArray[np.float64]
    blood_hu: float
    patient: Patient
    chest: Chest


def draw_first(seed: int, p: Preset, burden_mm3: float | None = None) -> First:
    """Draw scan settings, patient and chest of an ordinary preset."""
    rng = np.random.default_rng(seed)
    settings = draw_settings(p, rng)
    shape, origin = _field_of_view(p, settings, rng)
    blood_hu = float(rng.uniform(250, 620))
    patient = draw_patient(rng, blood_hu, settings.motion, burden_mm3)
    high = origin + np.array(shape) * settings.spacing_zyx_mm
    chest = build_chest(patient.anatomy, patient.outer_mm, origin - 4, high + 4, blood_hu, rng)
    return First(rng, settings, shape, origin, blood_hu, patient, chest)


@dataclass(frozen=True, slots=True)
class Made:
    """A patient and their scan in scene coordinates; ``extra`` goes into the truth."""

    patient: Patient
    chest: Chest
    settings: ScanSettings
    blood_hu: float
    hu: NDArray[np.int16]
    origin_mm: NDArray[np.float64]
    slabs: Slabs
    extra: dict[str, Any]


def finish(seed: int, p: Preset, made: Made, rng: np.random.Generator, *, truth: bool) -> Phantom:
    """Put the scan somewhere in the scanner's coordinates, with tree, truth and header."""
    patient, settings = made.patient, made.settings
    offset = np.array([rng.uniform(-300, 300), rng.uniform(-190, -120), rng.uniform(-15, 15)])
    volume = Volume(made.hu, settings.spacing_zyx_mm, triple(made.origin_mm + offset))
    tree = true_tree(patient, offset, made.slabs)
    numbers: dict[str, Any] = {"aorta_hu": made.blood_hu}
    if truth:
        numbers = true_numbers(patient, tree, seed, made.blood_hu, settings) | made.extra
    info = draw_info(seed, p, settings, rng)
    return Phantom(volume, tree, numbers, info, patient, made.chest, settings, made.slabs)


def draw_settings(p: Preset, rng: np.random.Generator) -> ScanSettings:
    """Scan and reconstruction parameters."""
    pixel = rng.uniform(*p.pixel_mm)
    step = rng.uniform(*p.slice_mm)
    if p.wild and rng.random() < 0.5:
        psf, noise = rng.uniform(0.25, 1.05), rng.uniform(10, 50)
    else:
        psf, noise = rng.uniform(0.35, 0.75), rng.uniform(14, 34)
    sharp = rng.uniform(0.1, 0.5) if rng.random() < 0.25 else 0.0
    return ScanSettings(
        (step, pixel, pixel),
        psf,
        max(psf * 0.8, step * rng.uniform(0.7, 1.2)),
        noise,
        rng.uniform(0.5, 1.3),
        sharp,
        bool(rng.random() < (0.2 if p.wild else 0.15)),
    )


def _field_of_view(
    p: Preset, s: ScanSettings, rng: np.random.Generator
) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    bottom, top = -rng.uniform(*p.z_below_mm), rng.uniform(*p.z_above_mm)
    n = int((top - bottom) / s.spacing_zyx_mm[0])
    matrix = p.matrix or round(rng.uniform(158, 185) / s.spacing_zyx_mm[1])
    half = matrix * s.spacing_zyx_mm[1] / 2
    center = np.array([-5, 5]) + rng.normal(0, 5, 2)
    return (n, matrix, matrix), np.array([bottom, center[0] - half, center[1] - half])


def draw_patient(
    rng: np.random.Generator, blood_hu: float, motion: bool, burden_mm3: float | None = None
) -> Patient:
    """Anatomy, plaques and the flat scene of one patient."""
    anatomy = make_anatomy(rng)
    burden = draw_burden_mm3(rng) if burden_mm3 is None else burden_mm3
    return assemble(anatomy, draw_lesions(anatomy, burden, rng), blood_hu, float(motion), rng)


def assemble(
    anatomy: Anatomy,
    drawn: tuple[Lesion, ...],
    blood_hu: float,
    motion: float,
    rng: np.random.Generator,
) -> Patient:
    """Put plaques on a heart's vessels; ``motion`` scales how often and how far vessels move."""
    lesions = tuple(sorted(drawn, key=lambda x: x.tube))
    lumen = tuple(_narrowed(anatomy, lesions, i) for i in range(len(anatomy.tubes)))
    outer = tuple(_outer(lesions, i, lumen[i]) for i in range(len(anatomy.tubes)))
    scene = _flatten(anatomy, lesions, lumen, blood_hu, motion, rng)
    return Patient(anatomy, lesions, scene, lumen, outer)


def _narrowed(anatomy: Anatomy, lesions: tuple[Lesion, ...], tube: int) -> NDArray[np.float64]:
    radius = anatomy.tubes[tube].radius_mm
    s = np.arange(len(radius)) * STEP_MM
    keep = np.ones_like(radius)
    for x in lesions:
        if x.tube == tube:
            keep = np.minimum(keep, 1 - x.narrowing * x.along(s))
    return np.asarray(radius * keep)


def _outer(
    lesions: tuple[Lesion, ...], tube: int, lumen: NDArray[np.float64]
) -> NDArray[np.float64]:
    s = np.arange(len(lumen)) * STEP_MM
    plaque = np.zeros_like(lumen)
    for x in lesions:
        if x.tube == tube:
            plaque = np.maximum(plaque, x.peak_mm * x.along(s) ** x.along_power)
    return np.asarray(lumen + plaque + 0.5)


def _flatten(
    anatomy: Anatomy,
    lesions: tuple[Lesion, ...],
    lumen: tuple[NDArray[np.float64], ...],
    blood_hu: float,
    motion: float,
    rng: np.random.Generator,
) -> Scene:
    rows: dict[str, list[Any]] = {
        k: []
        for k in (
            "center",
            "tangent",
            "normal",
            "lumen",
            "oval",
            "wall",
            "reach",
            "arc",
            "tube",
            "hu",
            "shift",
        )
    }
    vein_hu = rng.choice([rng.uniform(40, 110), rng.uniform(90, 260)])
    thin = rng.uniform(0.3, 0.8)
    drop = rng.uniform(0, 0.3)
    for i, tube in enumerate(anatomy.tubes):
        points = tube.points_mm
        tangent, normal, _ = parallel_frames(points)
        n = len(points)
        s = np.arange(n) * STEP_MM
        most = max((x.peak_mm for x in lesions if x.tube == i), default=0.0)
        wall = np.full(n, 0.25 if tube.vein else thin * rng.uniform(0.85, 1.15)) * (
            0.6 + 0.4 * lumen[i] / lumen[i].max()
        )
        move = np.zeros(3)
        if motion and rng.random() < (0.6 if tube.name == "RCA" else 0.3) * motion:
            move = rng.normal(size=3)
            move *= rng.uniform(0.2, 1.0) / np.linalg.norm(move) * motion
        oval = np.stack([np.full(n, rng.uniform(0, 0.12)), rng.uniform(0, 6) + s / 12], 1)
        hu = (
            np.full(n, vein_hu * rng.uniform(0.85, 1.15))
            if tube.vein
            else blood_hu * rng.uniform(0.93, 1.02) * (1 - drop * np.clip(s / 140, 0, 1))
        )
        rows["center"].append(points)
        rows["tangent"].append(tangent)
        rows["normal"].append(normal)
        rows["lumen"].append(lumen[i])
        rows["oval"].append(oval)
        rows["wall"].append(wall)
        rows["reach"].append(lumen[i] * 1.13 + most + wall + np.linalg.norm(move) + 0.7)
        rows["arc"].append(s)
        rows["tube"].append(np.full(n, i))
        rows["hu"].append(hu)
        rows["shift"].append(np.tile(move, (n, 1)))
    flat = {k: np.ascontiguousarray(np.concatenate(v)) for k, v in rows.items()}
    first = np.searchsorted([x.tube for x in lesions], np.arange(len(anatomy.tubes) + 1)).astype(
        np.int32
    )
    table = np.array(
        [
            [
                x.center_mm,
                x.half_mm,
                x.peak_mm,
                x.theta,
                x.concentric,
                x.hu,
                x.along_power,
                x.around_power,
            ]
            for x in lesions
        ]
    ).reshape(-1, 8)
    blobs = np.array([x.blobs for x in lesions]).reshape(-1, N_BLOBS, 8)
    cells = _cells(flat["center"], flat["reach"])
    return Scene(
        flat["center"],
        flat["tangent"],
        flat["normal"],
        flat["lumen"],
        flat["oval"],
        flat["wall"],
        flat["reach"],
        flat["arc"],
        flat["tube"].astype(np.int32),
        flat["hu"],
        flat["shift"],
        rng.uniform(20, 95, len(anatomy.tubes)),
        np.array([t.vein for t in anatomy.tubes]),
        first,
        table,
        blobs,
        *cells,
    )


def _cells(center: NDArray[np.float64], reach: NDArray[np.float64]) -> tuple[Any, ...]:
    origin = center.min(0) - 8.0
    shape = (np.ceil((center.max(0) + 8.0 - origin) / CELL_MM)).astype(np.int64)
    first = np.zeros(int(np.prod(shape)) + 1, np.int64)
    fill_cells(center, reach, origin, shape, first, np.zeros(0, np.int32))
    first = np.cumsum(first)
    sample = np.zeros(int(first[-1]), np.int32)
    fill_cells(center, reach, origin, shape, first.copy(), sample)
    return first, sample, shape, origin


def true_tree(patient: Patient, offset: NDArray[np.float64], slabs: Slabs) -> CoronaryTree:
    """Return the true lumen centerlines every 0.5 mm where the image shows them."""
    branches = []
    for i, tube in enumerate(patient.anatomy.tubes):
        if tube.vessel is not None:
            branches.append(
                Branch(
                    tube.vessel,
                    tube.name,
                    tube.parent,
                    slabs.shown(tube.points_mm[::2]) + offset,
                    patient.lumen_mm[i][::2],
                )
            )
    dominance: Any = patient.anatomy.dominance
    return CoronaryTree(tuple(branches), dominance)


def true_numbers(
    patient: Patient, tree: CoronaryTree, seed: int, blood_hu: float, s: ScanSettings
) -> dict[str, Any]:
    """mm3 per vessel and component from a 0.2 mm lattice over the analytic scene; stenosis."""
    order = {name: i for i, name in enumerate(VESSELS)}
    vessel_of = np.array(
        [-1 if t.vessel is None else order[t.vessel] for t in patient.anatomy.tubes]
    )
    table = kernels.tally_volumes(patient.scene, 0.2, vessel_of)
    vessels = {
        name: components_mm3(table[i]) | _stenosis(patient, name) for i, name in enumerate(VESSELS)
    }
    for name, share in visible_shares(patient).items():
        vessels[name]["plaque_above_1mm2_mm3"] = share * vessels[name]["plaque_mm3"]
    above = sum(v["plaque_above_1mm2_mm3"] for v in vessels.values())
    return {
        "seed": seed,
        "generator": "plaque_edge.phantom",
        "vessels": vessels,
        "patient": components_mm3(table.sum(0)) | {"plaque_above_1mm2_mm3": above},
        "dominance": tree.dominance,
        "aorta_hu": blood_hu,
        "scan": {
            "psf_mm": s.psf_mm,
            "noise_hu": s.noise_hu,
            "motion": s.motion,
            "sharpen": s.sharpen,
        },
        "lesions": [
            {
                "branch": patient.anatomy.tubes[x.tube].name,
                "center_mm": x.center_mm,
                "half_length_mm": x.half_mm,
                "diameter_stenosis_percent": 100 * x.narrowing,
            }
            for x in patient.lesions
        ],
    }


def components_mm3(row: NDArray[np.float64]) -> dict[str, float]:
    """Volumes as ``truth.json`` names them, from mm3 per tissue code ``(7,)``."""
    lumen, wall, fibrous, low, calc = (float(row[c]) for c in (2, 3, 4, 5, 6))
    return {
        "plaque_mm3": fibrous + low + calc,
        "calcified_mm3": calc,
        "noncalcified_mm3": fibrous + low,
        "low_attenuation_mm3": low,
        "lumen_mm3": lumen,
        "wall_mm3": wall,
        "vessel_mm3": lumen + wall + fibrous + low + calc,
    }


def _stenosis(patient: Patient, vessel: VesselName) -> dict[str, float]:
    worst, length = 0.0, 0.0
    for tube, lumen in zip(patient.anatomy.tubes, patient.lumen_mm, strict=True):
        if tube.vessel == vessel:
            worst = max(worst, float(np.max(1 - lumen / tube.radius_mm)))
            length += len(lumen) * STEP_MM
    return {"max_diameter_stenosis_percent": 100 * worst, "length_mm": length}


def draw_info(seed: int, p: Preset, s: ScanSettings, rng: np.random.Generator) -> SeriesInfo:
    """Header of the synthetic series: a made-up patient, plainly marked as a phantom."""
    age = int(rng.integers(40, 84))
    sex = "F" if rng.random() < 0.45 else "M"
    base = f"2.25.{91_000_000_000_000 + seed}"
    return SeriesInfo(
        study_instance_uid=f"{base}.1",
        series_instance_uid=f"{base}.1.1",
        frame_of_reference_uid=f"{base}.9",
        patient_id=f"PHANTOM-{seed}",
        patient_name=f"Phantom^Seed {seed}",
        birth_date=f"{2026 - age}0101",
        sex=sex,
        age_years=float(age),
        study_date="20261124",
        study_time="101500",
        accession_number=f"P{seed}",
        study_description="CORONARY CTA (SYNTHETIC PHANTOM)",
        series_description=f"CTA 0.6 Bv40 75% {seed}",
        series_number=5,
        modality="CT",
        manufacturer="plaque-edge phantom",
        scanner_model="synthetic",
        kvp=float(rng.choice([80, 100, 120])),
        kernel="Bv40" if s.sharpen == 0 else "Bv48",
        slice_thickness_mm=round(max(s.psf_z_mm, s.spacing_zyx_mm[0]), 2),
        phase_percent=75.0,
        image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
        contrast_agent="Iodine (synthetic)",
        specific_character_set="ISO_IR 192",
    )


def tree_label_map(
    phantom: Phantom,
    spacing_mm: float,
    origin_mm: NDArray[np.float64],
    shape: tuple[int, int, int],
    offset: NDArray[np.float64] | None = None,
    pad_mm: float = -0.15,
) -> NDArray[np.uint8]:
    """Network A's classes on a grid: aorta, vessels, veins.

    The grid is in scene coordinates unless ``offset`` is given.
    """
    from scipy.ndimage import map_coordinates

    shift = np.zeros(3) if offset is None else offset
    labels = np.zeros(shape, np.uint8)
    grid = [(origin_mm[a] - shift[a]) + spacing_mm * np.arange(shape[a]) for a in range(3)]
    moved = phantom.slabs.shift_mm[phantom.slabs.of(grid[0])]
    mesh = np.stack(np.meshgrid(*grid, indexing="ij"))
    mesh = (mesh + moved.T[:, :, None, None] - phantom.chest.origin_mm[:, None, None, None]) / 2.0
    aorta = map_coordinates(phantom.chest.field("aorta"), mesh, order=1, mode="nearest")
    labels[aorta < 0] = AORTA_CLASS
    class_of = np.array(
        [
            VEIN_CLASS if t.vein else TREE_CLASS[t.vessel or "LM"]
            for t in phantom.patient.anatomy.tubes
        ],
        np.uint8,
    )
    kernels.tree_labels(
        phantom.patient.scene,
        class_of,
        labels,
        origin_mm - shift,
        spacing_mm,
        pad_mm,
        phantom.slabs.first_mm,
        phantom.slabs.shift_mm,
    )
    return labels


def volume_offset(phantom: Phantom) -> NDArray[np.float64]:
    """Return the translation from scene coordinates to the volume's patient coordinates, mm."""
    first = next(t for t in phantom.patient.anatomy.tubes if t.vessel)
    shown = phantom.slabs.shown(first.points_mm[:1])[0]
    return np.asarray(phantom.tree.branches[0].points_mm[0] - shown)


__all__ = [
    "PRESETS",
    "Patient",
    "Phantom",
    "Preset",
    "make_phantom",
    "tree_label_map",
    "volume_offset",
]
