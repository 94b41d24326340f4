"""How far the volumes of one precision lie from those of f32, and from the truth.

Every phantom goes from DICOM on disk through ``plaque-edge analyze``; phantoms and results are
kept, so that an interrupted run goes on, and new weights need new results alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from engines import models_sha256, read_manifest
from engines.manifest import SHIPPED
from plaque_edge.agreement import icc_a1
from plaque_edge.analyze_process import analyze_command
from plaque_edge.phantom.scene import VALIDATION_SEEDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Case = dict[str, Any]
Measured = dict[str, Any]
LEAST_MM3 = 20.0
"""Percentages of a smaller volume say nothing: there they are of this one."""


def measure(data: Path, seed: int, precision: str) -> Case:
    """Return ``truth`` and ``result`` of one phantom, analysed by OpenVINO in ``precision``."""
    if seed not in VALIDATION_SEEDS:
        raise ValueError("only validation seeds may be looked at before the end")
    folder = data / str(seed)
    if not (folder / "truth.json").is_file():
        phantom = [sys.executable, "-m", "plaque_edge", "phantom", str(folder)]
        _run([*phantom, "--seed", str(seed), "--preset", "test"])
    weights = models_sha256([read_manifest(name) for name in SHIPPED])
    path = folder / f"result-{weights[:12]}-{precision}.json"
    if not path.is_file():
        draft = path.with_suffix(".new")
        # A phantom that is refused (exit 2) has its result too: one without volumes.
        _run(analyze_command(folder / "dicom", draft, f"openvino:{precision}"), may_be=(0, 2))
        draft.replace(path)
    return {
        "truth": json.loads((folder / "truth.json").read_text(encoding="utf-8")),
        "result": json.loads(path.read_text(encoding="utf-8")),
    }


def _run(command: list[str], may_be: tuple[int, ...] = (0,)) -> None:
    code = subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode
    if code not in may_be:
        raise subprocess.CalledProcessError(code, command)


def moved(reference: Sequence[Case], tested: Sequence[Case], seeds: Sequence[int]) -> Measured:
    """Compare a precision with f32, case by case; volumes of patients and of vessels."""
    a, b = (_column(cases, "result", "plaque_mm3") for cases in (reference, tested))
    lumen = [_column(cases, "result", "lumen_mm3") for cases in (reference, tested)]
    truth = _column(reference, "truth", "plaque_mm3")
    vessels = [_vessels(cases) for cases in (reference, tested)]
    both = np.isfinite(vessels[0]) & np.isfinite(vessels[1])
    plaque_percent, lumen_percent = _percent(a, b), _percent(*lumen)
    with_truth = {"icc_with_truth": _icc(b, truth), "icc_f32_with_truth": _icc(a, truth)}
    return {
        "phantoms": len(seeds),
        "first_seed": min(seeds),
        "moved_percent": round(max(plaque_percent, lumen_percent), 3),
        "plaque_moved_percent": round(plaque_percent, 3),
        "lumen_moved_percent": round(lumen_percent, 3),
        "plaque_moved_mm3_mean": round(float(np.nanmean(np.abs(b - a))), 3),
        "plaque_moved_mm3_max": round(float(np.nanmax(np.abs(b - a))), 3),
        "plaque_bias_mm3": round(float(np.nanmean(b - a)), 3),
        "vessels_lost": int((np.isfinite(vessels[0]) & ~np.isfinite(vessels[1])).sum()),
        "icc_with_f32": round(_icc(vessels[0][both], vessels[1][both]), 5),
        **{k: round(v, 4) for k, v in with_truth.items() if np.isfinite(v)},  # of 3 at least
    }


def _column(cases: Sequence[Case], side: str, part: str) -> Any:
    found = [case[side]["patient"][part] for case in cases]
    return np.array([np.nan if v is None else v for v in found], float)


def _vessels(cases: Sequence[Case]) -> Any:
    found = [v["plaque_mm3"] for case in cases for v in case["result"]["vessels"].values()]
    return np.array([np.nan if v is None else v for v in found], float)


def _percent(a: Any, b: Any) -> float:
    """Mean absolute change in percent; a patient that lost its result counts as all of it."""
    a, b = a[np.isfinite(a)], b[np.isfinite(a)]
    change = np.abs(b - a) / np.maximum(a, LEAST_MM3)
    return float(100 * np.nan_to_num(change, nan=1.0).mean())


def _icc(a: Any, b: Any) -> float:
    good = np.isfinite(a) & np.isfinite(b)
    return float(icc_a1(np.stack([a[good], b[good]], 1)).value)
