"""A made-up patient list with results and images: for the `screens` command and the tests.

Simple geometry, not a phantom: a heart of ellipsoids with three curved arteries and plaques on
them, so that every screen can be drawn in a second without a network or a scan. All names and
numbers are invented; nothing here is ever shown as an analysis.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gui.review import Review
from plaque_edge.review import refusal
from plaque_edge.risk.model import load_model
from plaque_edge.segment.straighten import even_points, parallel_frames
from plaque_edge.show.branches import BranchView, write_branches
from plaque_edge.store import Action, CaseRow, NewAction, NewRequest, Request
from plaque_edge.types import Reason, SeriesInfo

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

ORIGIN_ZYX_MM = (-120.0, -180.0, -60.0)
FIELD_ZYX_MM = (120.0, 150.0, 150.0)
MODEL = {"name": "plaque-edge tree+wall", "version": "1.0.0", "sha256": "9c1f" * 16}


def sample_info(number: int, **changes: Any) -> SeriesInfo:
    """Return the header of invented patient ``number``."""
    names = (
        "Lindqvist^Astrid",
        "Okafor^Chidi",
        "Yamada^Tarou=山田^太郎",
        "Müller-Lüdenscheidt^Anna Katharina Elisabeth",
        "Νικολάου^Ελένη",
        "Петров^Иван",
        "Garcia^Lucía",
        "Tremblay^Noé",
    )
    info = SeriesInfo(
        study_instance_uid=f"1.2.826.0.1.3680043.10.999.{number}.1",
        series_instance_uid=f"1.2.826.0.1.3680043.10.999.{number}.2",
        patient_id=f"PX-{10000 + 37 * number}",
        patient_name=names[number % len(names)],
        birth_date=f"19{50 + number % 40:02d}0{1 + number % 9}1{number % 10}",
        sex="FMM"[number % 3],
        age_years=float(76 - number % 40),
        study_date="20261123",
        study_time=f"{14 - number // 10:02d}{(57 - 5 * number) % 60:02d}11",
        accession_number=f"A{240000 + number}",
        study_description="CT Coronary Angiography",
        series_description="CorCTA 0.6 Bv40 75 %",
        series_number=5,
        modality="CT",
        kvp=100.0,
        kernel="Bv40",
        slice_thickness_mm=0.6,
        phase_percent=75.0,
    )
    return replace(info, **changes)


def sample_result(info: SeriesInfo, kind: str = "ready") -> dict[str, Any]:
    """Return a schema-valid result.

    ``kind`` is ``ready``, ``review``, ``clean`` (no plaque), ``not_analysable`` or ``failed``.
    """
    makers = {
        "ready": _measured,
        "review": _review,
        "clean": _clean,
        "not_analysable": _refused,
        "failed": _failed,
    }
    return makers[kind](_frame(info))


def _frame(info: SeriesInfo) -> dict[str, Any]:
    return {
        "schema": "plaque-edge/result/1",
        "status": "ready",
        "reasons": [],
        "identity": {"patient_id": info.patient_id, "birth_date": info.birth_date},
        "scan": {
            "study_date": info.study_date,
            "scanner_model": "Invented CT",
            "kvp": info.kvp,
            "kernel": info.kernel,
        },
        "series": {
            "study_instance_uid": info.study_instance_uid,
            "series_instance_uid": info.series_instance_uid,
            "instances": 320,
            "shape_zyx": [320, 512, 512],
            "spacing_zyx_mm": [0.4, 0.35, 0.35],
            "chosen_because": "only contrast series with full coverage; 0.6 mm, 75 % phase",
            "rejected_series": [
                {"series_instance_uid": info.series_instance_uid + "9", "code": "SERIES_LOCALIZER"}
            ],
        },
        "software": {
            "version": "0.1.0",
            "model": dict(MODEL),
            "provider": "OpenVINO CPU",
            "precision": "int8",
            "risk_model": {"name": "default", "version": "v0", "sha256": "71aa" * 16},
        },
        "qc": {"verdict": "diagnostic", "checks": _checks()},
        "vessels": {},
        "patient": {},
        "intervals": {
            "coverage": 0.95,
            "scans": 94,
            "made_on": "2026-01-01",
            "sha256": "3e0b" * 16,
            "reason": None,
        },
        "lesions": [],
        "risk": None,
        "timing_ms": {"read": 10, "volume": 900, "segment": 4100, "quantify": 600, "total": 6100},
    }


def _checks() -> list[dict[str, Any]]:
    return [
        {"code": "QC_SPACING", "level": "pass", "value": 0.4, "limits": "<= 0.75 mm",
         "text": "Slice spacing 0.4 mm"},
        {"code": "QC_KERNEL", "level": "pass", "value": "Bv40", "limits": "",
         "text": "Kernel Bv40"},
        {"code": "QC_CONTRAST", "level": "pass", "value": 412.0, "limits": "300 to 500 HU",
         "text": "Aortic contrast 412 HU"},
        {"code": "QC_NOISE", "level": "pass", "value": 27.0, "limits": "<= 35 HU",
         "text": "Noise 27 HU"},
        {"code": "QC_PHASE", "level": "pass", "value": 75.0, "limits": "", "text": "Phase 75 %"},
        {"code": "QC_KVP", "level": "pass", "value": 100.0, "limits": "100 to 120 kVp",
         "text": "100 kVp"},
        {"code": "QC_COVERAGE", "level": "pass", "value": "complete", "limits": "",
         "text": "Heart fully covered"},
    ]  # fmt: skip


def _vessel(c: float, n: float, low: float, lumen: float, *more: float) -> dict[str, Any]:
    length_mm, stenosis, remodeling = more
    wall = 0.35 * lumen
    vessel = lumen + wall + c + n
    volumes = {
        "plaque_mm3": c + n,
        "calcified_mm3": c,
        "noncalcified_mm3": n,
        "low_attenuation_mm3": low,
        "vessel_mm3": vessel,
        "lumen_mm3": lumen,
    }
    return {
        "status": "analysed",
        **volumes,
        "intervals_95": _intervals(volumes),
        "pav_percent": 100 * (c + n) / vessel,
        "length_mm": length_mm,
        "max_diameter_stenosis_percent": stenosis,
        "remodeling_index": remodeling,
    }


def _intervals(volumes: dict[str, float]) -> dict[str, list[float]]:
    """Return invented intervals, about as wide as those of phantoms."""
    half = {name: 4.0 * v**0.5 for name, v in volumes.items()}
    return {name: [max(v - half[name], 0.0), v + half[name] + 2.0] for name, v in volumes.items()}


_SUMMED = ("plaque", "calcified", "noncalcified", "low_attenuation", "vessel", "lumen")


def _patient(vessels: dict[str, dict[str, Any]]) -> dict[str, Any]:
    known = [v for v in vessels.values() if v["plaque_mm3"] is not None]
    total: dict[str, Any] = {f"{k}_mm3": sum(v[f"{k}_mm3"] for v in known) for k in _SUMMED}
    pav = 100 * total["plaque_mm3"] / total["vessel_mm3"]
    tpv = total["plaque_mm3"]
    total["pav_percent"] = pav
    total["plaque_stage"] = 0 if tpv == 0 else 1 if tpv <= 250 else 2 if tpv <= 750 else 3
    total["max_diameter_stenosis_percent"] = max(v["max_diameter_stenosis_percent"] for v in known)
    total["lower_bound"] = len(known) < 4
    volumes = {f"{k}_mm3": total[f"{k}_mm3"] for k in _SUMMED}
    total["intervals_95"] = None if total["lower_bound"] else _intervals(volumes)
    total["segment_involvement_score"], total["segment_stenosis_score"] = 6, 9
    total["cad_rads"] = {
        "category": "3", "plaque": "P3", "modifiers": ["HRP"], "text": "CAD-RADS 3/P3/HRP",
        "plaque_basis": "segment involvement score 6", "because": "LAD 62 %, at least 50 %",
    }  # fmt: skip
    return total


def _lesion(
    branch: str, span: tuple[float, float], c: float, n: float, *more: float
) -> dict[str, Any]:
    low, stenosis, index = more
    vessel = {"D1": "LAD", "OM1": "LCX"}.get(branch, branch)
    z, y, x = sample_centerline(vessel)[int(index)]
    return {
        "vessel": vessel, "branch": branch, "start_mm": span[0], "end_mm": span[1],
        "plaque_mm3": c + n, "calcified_mm3": c, "noncalcified_mm3": n,
        "low_attenuation_mm3": low, "diameter_stenosis_percent": stenosis,
        "remodeling_index": 1.14, "worst_point_lps_mm": [x, y, z],
        "features": [
            {"name": name, "present": present, "value": value, "rule": "invented",
             "cross_section": int(index), "point_lps_mm": [x, y, z]}
            for name, present, value in (
                ("low_attenuation", low > 10, low), ("positive_remodeling", stenosis > 50, 1.14),
            )
        ],
    }  # fmt: skip


def _measured(result: dict[str, Any]) -> dict[str, Any]:
    result["vessels"] = {
        "LM": _vessel(2.1, 10.0, 0.0, 180.0, 12.0, 12.0, 1.02),
        "LAD": _vessel(62.0, 152.0, 24.0, 840.0, 168.0, 62.0, 1.14),
        "LCX": _vessel(8.0, 53.0, 3.0, 590.0, 131.0, 28.0, 1.05),
        "RCA": _vessel(41.0, 55.0, 4.0, 1010.0, 154.0, 36.0, 1.08),
    }
    result["patient"] = _patient(result["vessels"])
    result["lesions"] = [
        _lesion("LAD", (18.0, 41.0), 48.0, 118.0, 21.0, 62.0, 60),
        _lesion("RCA", (52.0, 70.0), 41.0, 55.0, 4.0, 36.0, 120),
        _lesion("LCX", (9.0, 22.0), 8.0, 53.0, 3.0, 28.0, 80),
        _lesion("D1", (4.0, 11.0), 14.0, 34.0, 3.0, 31.0, 130),
        _lesion("LM", (5.0, 10.0), 2.1, 10.0, 0.0, 12.0, 12),
    ]
    result["risk"] = _risk((0.021, 0.041, 0.061, 0.080, 0.099))
    result["covariates"] = {"age_years": 72.0, "sex": "M", "diabetes": None, "hypertension": True}
    result["risk"]["warnings"] = [
        {"code": "RISK_DIABETES_UNKNOWN",
         "text": "Diabetes is unknown: the average of the model (0.15) is used.",
         "next_step": "Enter diabetes for a personal estimate."}
    ]  # fmt: skip
    result["series"]["candidates"] = _candidates(result["series"]["series_instance_uid"])
    return result


def _candidates(uid: str) -> list[dict[str, Any]]:
    criteria = [
        {"what": "slices", "points": 16.0, "most": 20, "text": "0.6 mm thick"},
        {"what": "phase", "points": 15.0, "most": 15, "text": "75 % of the RR interval"},
    ]
    first = {"take_uid": uid, "series_instance_uid": uid, "series_number": 5, "instances": 320,
             "description": "CorCTA 0.6 Bv40 75 %", "chosen": True, "points": 88.0,
             "criteria": criteria}  # fmt: skip
    other = {**first, "take_uid": f"{uid}8", "series_instance_uid": f"{uid}8", "series_number": 6,
             "description": "CorCTA 0.6 Bv40 40 %", "chosen": False, "points": 79.5}  # fmt: skip
    return [first, other]


def _risk(probability: tuple[float, ...]) -> dict[str, Any]:
    return {
        "endpoint": load_model().endpoint,
        "horizons_years": [1, 2, 3, 4, 5],
        "probability": list(probability),
        "lower": [0.55 * p for p in probability],
        "upper": [min(1.0, 1.75 * p) for p in probability],
        "relative_to_no_plaque": 2.9,
        "model_name": "default",
        "model_version": "v0",
        "limits": list(load_model().limits),
        "warnings": [],
    }


def _review(result: dict[str, Any]) -> dict[str, Any]:
    result = _measured(result)
    result["status"] = "review"
    result["vessels"]["LCX"] = {
        **dict.fromkeys(result["vessels"]["LCX"]),
        "status": "not_analysable",
    }
    result["vessels"]["RCA"] |= {"status": "partial", "intervals_95": None}
    result["patient"] = _patient(result["vessels"])
    result["lesions"] = [item for item in result["lesions"] if item["vessel"] != "LCX"]
    result["risk"] = None
    result["reasons"] = [
        {"code": "LCX_NOT_FOUND", "text": "LCX was not found from its origin.",
         "next_step": "Look at the circumflex in the axial view; a ramus may stand for it."},
        {"code": "RISK_AGE_MISSING", "text": "The risk was not estimated: the header has no age.",
         "next_step": "Enter the age and analyse again."},
    ]  # fmt: skip
    result["qc"]["verdict"] = "limited"
    result["qc"]["checks"][3].update(
        level="warn", value=43.0, text="Noise 43 HU in the aortic root",
        next_step="Read small and low-attenuation plaque with care.",
    )  # fmt: skip
    return result


def _clean(result: dict[str, Any]) -> dict[str, Any]:
    result["vessels"] = {
        name: _vessel(0.0, 0.0, 0.0, lumen, 130.0, 0.0, 1.0)
        for name, lumen in (("LM", 170.0), ("LAD", 800.0), ("LCX", 560.0), ("RCA", 900.0))
    }
    result["patient"] = _patient(result["vessels"])
    result["risk"] = _risk((0.005, 0.010, 0.015, 0.020, 0.025))
    return result


_VESSEL_KEYS = (
    *(f"{k}_mm3" for k in _SUMMED),
    "pav_percent",
    "length_mm",
    "max_diameter_stenosis_percent",
)


def _unmeasured(result: dict[str, Any]) -> dict[str, Any]:
    empty: dict[str, Any] = dict.fromkeys(_VESSEL_KEYS)
    result["vessels"] = {
        name: {**empty, "status": "not_analysable"} for name in ("LM", "LAD", "LCX", "RCA")
    }
    result["patient"] = {**empty, "plaque_stage": None, "lower_bound": False}
    del result["patient"]["length_mm"]
    return result


def _refused(result: dict[str, Any]) -> dict[str, Any]:
    result = _unmeasured(result)
    result["status"] = "not_analysable"
    result["reasons"] = [
        {"code": "SERIES_SLICE_MISSING",
         "text": "Slices are missing: a gap of 1.2 mm after slice 118 (z = -62.4 mm).",
         "next_step": "Export the series again, all slices."},
        {"code": "NOT_ENHANCED", "text": "The aortic root has 46 HU: no contrast agent.",
         "next_step": "Choose the contrast series of this study."},
    ]  # fmt: skip
    result["qc"]["verdict"] = "non_diagnostic"
    result["qc"]["checks"][2].update(
        level="refuse", value=46.0, text="Aortic contrast 46 HU", next_step="Use a contrast series."
    )
    return result


def _failed(result: dict[str, Any]) -> dict[str, Any]:
    result = _unmeasured(result)
    result["status"] = "failed"
    result["reasons"] = [
        {"code": "DISK_FULL", "text": "The result could not be written: the disk is full.",
         "next_step": "Free 2 GB on the output disk; the case is tried again by itself."},
    ]  # fmt: skip
    return result


def sample_centerline(vessel: str) -> NDArray[np.float64]:
    """Return ``(180, 3)`` points (z, y, x) in mm of an invented artery."""
    t = np.linspace(0.0, 1.0, 180)
    z0, y0, x0 = (o + f / 2 for o, f in zip(ORIGIN_ZYX_MM, FIELD_ZYX_MM, strict=True))
    if vessel == "LM":
        y, x, z = y0 - 14 - 4 * t, x0 + 16 + 9 * t, z0 + 30 - 2 * t
    elif vessel == "LAD":
        y, x, z = y0 - 18 - 32 * np.sin(1.4 * t), x0 + 25 + 14 * t, z0 + 28 - 70 * t
    elif vessel == "LCX":
        y, x, z = y0 - 18 + 52 * t, x0 + 25 + 26 * np.sin(2.2 * t), z0 + 28 - 34 * t
    else:
        y, x, z = y0 - 20 + 42 * t, x0 - 14 - 36 * np.sin(2.6 * t), z0 + 26 - 60 * t
    return np.stack([z, y, x], axis=1)


def sample_branches() -> tuple[BranchView, ...]:
    """Return the invented arteries with areas, contours and plaque like the drawn ones."""
    return tuple(_sample_branch(name) for name in ("LM", "LAD", "LCX", "RCA"))


def _sample_branch(vessel: str) -> BranchView:
    line = sample_centerline(vessel)
    points = even_points(line)
    _, u, v = parallel_frames(points)
    index = np.linspace(0, len(line) - 1, len(points))
    radius = 2.2 - index / len(line)
    plaque = (np.abs(index - 60) < 16) | (np.abs(index - 120) < 12)
    angle = 2 * np.pi * np.arange(32) / 32
    lumen = np.repeat(np.where(plaque, 0.62, 1.0)[:, None] * radius[:, None], 32, axis=1)
    wall = radius[:, None] + np.where(plaque[:, None], 1.1 + 0.5 * np.cos(angle), 0.5)
    area = np.stack([np.mean(np.pi * r**2, axis=1) for r in (lumen, wall)], axis=1)
    share = np.array((0.25, 0.55, 0.2)) * 0.5 * 5.0 * plaque[:, None]
    return BranchView(vessel, vessel, 0.5, points, u, v, area, share, lumen, wall)


def sample_profiles(plaque: float = 1.0) -> list[dict[str, Any]]:
    """Return the arteries' cross-sections as a result has them, with ``plaque`` times as much."""
    numbers = {"LM": 5, "LAD": 6, "LCX": 11, "RCA": 1}
    profiles = []
    for branch in sample_branches():
        n, share = len(branch), plaque * branch.plaque_mm3
        lumen, wall = (branch.area_mm2 * branch.step_mm).T
        values = {
            "plaque_mm3": share.sum(axis=1), "calcified_mm3": share[:, 0],
            "noncalcified_mm3": share[:, 1:].sum(axis=1), "low_attenuation_mm3": share[:, 2],
            "fibro_fatty_mm3": 0.5 * share[:, 1], "fibrous_mm3": 0.5 * share[:, 1],
            "lumen_mm3": lumen, "vessel_mm3": wall,
        }  # fmt: skip
        segment = numbers[branch.name] + (np.arange(n) > n // 2) * (branch.name in ("LAD", "RCA"))
        profiles.append(
            {"branch": branch.name, "vessel": branch.vessel, "step_mm": branch.step_mm,
             "points_lps_mm": branch.centers_mm[:, ::-1].round(3).tolist(),
             "segment": segment.tolist(),
             **{name: v.round(4).tolist() for name, v in values.items()}}
        )  # fmt: skip
    return profiles


def sample_view(spacing_mm: float = 1.0) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """Return HU ``int16`` and overlay labels ``uint8``, both (z, y, x), isotropic."""
    shape = tuple(int(f / spacing_mm) for f in FIELD_ZYX_MM)
    axes = [
        o + spacing_mm * np.arange(n, dtype=np.float32)
        for o, n in zip(ORIGIN_ZYX_MM, shape, strict=True)
    ]
    grid = np.meshgrid(*axes, indexing="ij", sparse=True)
    middle = [o + f / 2 for o, f in zip(ORIGIN_ZYX_MM, FIELD_ZYX_MM, strict=True)]
    hu = np.full(shape, -850.0, np.float32)
    labels = np.zeros(shape, np.uint8)
    for radii, offset, level in _BODIES:
        inside = sum(
            ((g - m - d) / r) ** 2 for g, m, d, r in zip(grid, middle, offset, radii, strict=True)
        )
        hu[inside <= 1.0] = level
    for vessel in ("LM", "LAD", "LCX", "RCA"):
        _draw_vessel(hu, labels, sample_centerline(vessel), spacing_mm)
    rng = np.random.default_rng(7)
    noise = rng.normal(0.0, 60.0, shape).astype(np.float32)
    for axis in range(3):
        noise = _smooth(noise, axis, 1.0)
        hu = _smooth(hu, axis, 2.0)
    return (hu + 2.2 * noise).astype(np.int16), labels


def _smooth(array: NDArray[np.float32], axis: int, middle: float) -> NDArray[np.float32]:
    around = np.roll(array, 1, axis) + np.roll(array, -1, axis)
    return ((middle * array + around) / (middle + 2)).astype(np.float32)


_BODIES: tuple[tuple[tuple[float, ...], tuple[float, ...], float], ...] = (
    ((200.0, 72.0, 90.0), (0.0, 4.0, 0.0), -90.0),
    ((200.0, 62.0, 30.0), (0.0, 10.0, -62.0), -850.0),
    ((200.0, 66.0, 22.0), (0.0, 20.0, 66.0), -840.0),
    ((58.0, 56.0, 56.0), (0.0, 0.0, 2.0), -85.0),
    ((50.0, 44.0, 42.0), (-10.0, 2.0, 8.0), 115.0),
    ((42.0, 24.0, 20.0), (-14.0, 8.0, 22.0), 395.0),
    ((44.0, 20.0, 17.0), (-14.0, -12.0, -10.0), 215.0),
    ((24.0, 18.0, 27.0), (24.0, 24.0, 4.0), 380.0),
    ((26.0, 20.0, 16.0), (12.0, 6.0, -32.0), 240.0),
    ((48.0, 15.0, 15.0), (36.0, -10.0, 2.0), 420.0),
    ((200.0, 12.0, 12.0), (0.0, 60.0, 20.0), 400.0),
    ((200.0, 18.0, 19.0), (0.0, 76.0, -8.0), 320.0),
)


def _draw_vessel(
    hu: NDArray[np.float32], labels: NDArray[np.uint8], line: NDArray[np.float64], spacing: float
) -> None:
    """Paint wall, lumen and a plaque of three components round every point of ``line``."""
    reach = int(4.2 / spacing) + 1
    near = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 3, indexing="ij"), -1)
    near = near.reshape(-1, 3)
    for index, point in enumerate(line):
        radius = 2.2 - 1.0 * index / len(line)
        plaque = abs(index - 60) < 16 or abs(index - 120) < 12
        center = (point - ORIGIN_ZYX_MM) / spacing
        cells = np.rint(center).astype(int) + near
        cells = cells[((cells >= 0) & (cells < hu.shape)).all(axis=1)]
        offset = (cells - center) * spacing
        distance = np.linalg.norm(offset, axis=1)
        eccentric = np.linalg.norm(offset + np.array((0, 0.5, 0)), axis=1) if plaque else distance
        lumen_radius = 0.62 * radius if plaque else radius
        _fill(hu, labels, cells[eccentric <= radius + (1.4 if plaque else 0.5)], 60.0, 2)
        if plaque:
            ring = cells[(eccentric <= radius + 1.1) & (distance > lumen_radius)]
            _fill(hu, labels, ring, 80.0, 3)
            side = offset[(eccentric <= radius + 1.1) & (distance > lumen_radius)]
            _fill(hu, labels, ring[side[:, 1] < -1.3], 850.0, 5)
            _fill(hu, labels, ring[side[:, 2] > 1.3], 15.0, 4)
        _fill(hu, labels, cells[distance <= lumen_radius], 390.0, 1)


def _fill(
    hu: NDArray[np.float32], labels: NDArray[np.uint8], cells: NDArray[Any], level: float, code: int
) -> None:
    """Paint cells; a later, weaker class never overwrites lumen, nor wall a plaque."""
    at = tuple(cells.T)
    strength = np.array([0, 6, 1, 2, 4, 5], np.uint8)
    free = strength[labels[at]] < strength[code]
    cells = tuple(cells[free].T)  # type: ignore[assignment]
    hu[cells], labels[cells] = level, code


def write_result_folder(folder: Path, result: dict[str, Any], spacing_mm: float = 1.0) -> Path:
    """Write ``result.json`` and the ``view`` folder as the pipeline does; return ``folder``."""
    view = folder / "view"
    folder.mkdir(parents=True, exist_ok=True)
    if result["status"] in ("ready", "review"):
        result = {"profiles": sample_profiles(), **result}
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
    if result["status"] not in ("ready", "review"):
        return folder
    view.mkdir(exist_ok=True)
    hu, labels = sample_view(spacing_mm)
    np.save(view / "ct.npy", hu)
    np.save(view / "labels.npy", labels)
    write_branches(sample_branches(), view / "branches.npz")
    place = {
        "spacing_zyx_mm": [spacing_mm] * 3,
        "origin_zyx_mm": list(ORIGIN_ZYX_MM),
        "series_instance_uid": result["series"]["series_instance_uid"],
    }
    (view / "view.json").write_text(json.dumps(place), encoding="utf-8")
    return folder


_STATES = (
    "RUNNING", "SEEN", "SETTLING", "READY", "DONE", "REVIEW", "NOT_ANALYSABLE", "FAILED",
    "OUTDATED", "DONE", "DONE", "DONE",
)  # fmt: skip
_KINDS = {
    "DONE": "ready",
    "REVIEW": "review",
    "NOT_ANALYSABLE": "not_analysable",
    "FAILED": "failed",
    "OUTDATED": "ready",
}


class SampleSource:
    """A made-up store: twelve rows, one in every state, with result folders on disk."""

    def __init__(self, folder: Path, spacing_mm: float = 1.5) -> None:
        self._folder, self._spacing_mm = folder, spacing_mm
        self.age: float | None = 0.4
        self.wrong: tuple[Reason, ...] = ()
        self.asked: list[NewRequest] = []
        self._answers: dict[int, Request] = {}
        self._acts: dict[int, list[Action]] = {}
        self._version = 0
        self._rows = tuple(self._make(n, state) for n, state in enumerate(_STATES))
        self._original = self._rows

    def reset(self) -> None:
        """Take back every change."""
        self._rows, self.age, self.wrong = self._original, 0.4, ()
        self.asked, self._answers, self._acts = [], {}, {}
        self._version += 1

    def clear(self) -> None:
        """Drop all rows."""
        self.replace_rows(())

    def finish_one(self) -> None:
        """Let the running case finish."""
        self.replace_rows(
            (
                replace(self._rows[0], state="DONE", result_dir=self._rows[4].result_dir),
                *self._rows[1:],
            )
        )

    def add_prior(self, kernel: str = "Bv36", present: int = 4, **changes: Any) -> CaseRow:
        """Add an earlier study of the patient of row ``present`` and return its row."""
        uid = f"1.2.826.0.1.3680043.10.998.{present}"
        earlier = {"study_date": "20250518", "kernel": kernel, "accession_number": "A231180",
                   "study_instance_uid": f"{uid}.1", "series_instance_uid": f"{uid}.2",
                   "series_description": f"CorCTA 0.6 {kernel} 75 %", **changes}  # fmt: skip
        info = sample_info(present, **earlier)
        result = sample_result(info)
        result["profiles"] = sample_profiles(0.7)
        place = self._folder / f"prior-{kernel}-{info.birth_date}"
        if not place.exists():
            write_result_folder(place, result, self._spacing_mm)
        row = replace(self._rows[present], case_id=40, series_uid=info.series_instance_uid,
                      study_uid=info.study_instance_uid, state="DONE", info=info,
                      result_dir=place)  # fmt: skip
        self.replace_rows((*self._rows, row))
        return row

    def add_act(self, row: CaseRow, done: NewAction) -> None:
        """Let somebody have done something to a case."""
        acts = self._acts.setdefault(row.case_id, [])
        acts.append(Action(900 + len(acts), row.case_id, "2026-11-23T15:04:05.000Z", done))
        self._version += 1

    def replace_rows(self, rows: tuple[CaseRow, ...]) -> None:
        """Show other rows."""
        self._rows = rows
        self._version += 1

    def cases(self) -> tuple[CaseRow, ...]:
        """Return all rows, newest first."""
        return self._rows

    def data_version(self) -> int:
        """Return the number of changes so far."""
        return self._version

    def heartbeat_age_s(self) -> float | None:
        """Return the made-up age of the service's last sign of life."""
        return self.age

    def conditions(self) -> tuple[Reason, ...]:
        """Return what is wrong, made up."""
        return self.wrong

    def acknowledged(self) -> frozenset[int]:
        """Return the cases whose failure was acknowledged."""
        seen = (
            i for i, acts in self._acts.items() if any(a.done.kind == "acknowledge" for a in acts)
        )
        return frozenset(seen)

    def free_gb(self) -> float:
        """Return a made-up free space."""
        return 214.0

    def review(self, case_id: int) -> Review:
        """Return what was done to a case here."""
        return Review(tuple(self._acts.get(case_id, ())))

    def ask(self, new: NewRequest) -> int:
        """Do at once what the service would do, as far as acts on results go."""
        self.asked.append(new)
        number = len(self.asked)
        row = next((r for r in self._rows if r.series_uid == new.series_uid), None)
        reason = None
        if new.kind in ("accept", "reject", "sign", "covariates", "acknowledge") and row:
            acts = self._acts.setdefault(row.case_id, [])
            if new.kind != "acknowledge":
                reason = refusal(new.kind, Review(tuple(acts)).standing, new.arguments)
            if reason is None:
                done = NewAction(new.kind, new.person, new.arguments, number)
                acts.append(Action(number, row.case_id, "2026-11-23T15:04:05.000Z", done))
        elif new.kind == "urgent" and row:
            on = bool(new.arguments["on"])
            self._rows = tuple(replace(r, urgent=on) if r is row else r for r in self._rows)
        self._answers[number] = Request(number, new, "", "2026-11-23T15:04:05.000Z", reason)
        self._version += 1
        return number

    def request(self, number: int) -> Request:
        """Return a request with its answer."""
        return self._answers[number]

    def _make(self, number: int, state: str) -> CaseRow:
        info = sample_info(number)
        kind = "clean" if number == 10 else _KINDS.get(state)
        result = sample_result(info, kind) if kind else None
        reason = None
        if result is not None and result["reasons"]:
            reason = Reason(**result["reasons"][0])
        place = None
        if result is not None:
            place = write_result_folder(self._folder / str(number), result, self._spacing_mm)
        return CaseRow(
            case_id=100 - number,
            series_uid=info.series_instance_uid,
            study_uid=info.study_instance_uid,
            revision=1,
            state=state,  # type: ignore[arg-type]
            step={"RUNNING": "segment", "SEEN": "watch", "SETTLING": "series"}.get(state, "show"),  # type: ignore[arg-type]
            progress=0.4 if state == "RUNNING" else 0.0,
            message="about 3 s left" if state == "RUNNING" else "",
            reason=reason,
            info=info,
            received=212 if state == "SEEN" else 320,
            expected=320,
            created_at=f"2026-11-23T14:{59 - 4 * number:02d}:02Z",
            updated_at=f"2026-11-23T14:{59 - 4 * number:02d}:11Z",
            result_dir=place,
        )


SELFTEST = {
    "passed": True,
    "provider": "OpenVINO CPU",
    "seconds": 11.4,
    "lines": [
        {"what": "status", "expected": "ready or review", "measured": "ready", "ok": True},
        {"what": "plaque LM", "expected": "0 ± 5 mm³, true 0", "measured": "0 mm³", "ok": True},
        {"what": "plaque LAD", "expected": "61 ± 5 mm³, true 140", "measured": "61 mm³",
         "ok": True},
        {"what": "plaque LCX", "expected": "14 ± 5 mm³, true 70", "measured": "14 mm³",
         "ok": True},
        {"what": "plaque RCA", "expected": "80 ± 5 mm³, true 77", "measured": "80 mm³",
         "ok": True},
        {"what": "plaque of the patient", "expected": "155 ± 8 mm³, true 287",
         "measured": "155 mm³", "ok": True},
    ],
}  # fmt: skip
"""Invented, like everything here."""
