"""The measured side: result.json files found under a folder, or made from DICOM studies."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plaque_edge.analyze_process import analyze_command
from plaque_edge.errors import Failed, Refused
from plaque_edge.types import VESSELS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

PATIENT = "patient"
COMPONENTS = (
    "plaque_mm3",
    "calcified_mm3",
    "noncalcified_mm3",
    "low_attenuation_mm3",
    "lumen_mm3",
    "vessel_mm3",
    "max_diameter_stenosis_percent",
)


@dataclass(frozen=True, slots=True)
class Case:
    """One measured case. ``values[level][component]``; ``None`` was not measured."""

    name: str
    also: tuple[str, ...]
    """Its series and study UID: other names that a reference may use."""
    scanner: str
    model_sha256: str
    status: str
    reasons: tuple[str, ...]
    bounds: frozenset[str]
    """Levels (patient, vessels) of which only a part was measured."""
    values: dict[str, dict[str, float | None]]


def find_results(folder: Path) -> dict[str, Path]:
    """Return result.json by the name of its folder. Raises Refused FOLDER_MISSING or VALIDATE_*."""
    if not folder.is_dir():
        raise Refused("FOLDER_MISSING", f"{folder} is not there.", "Name a folder of results.")
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("result.json")):
        if path.parent.name.startswith("."):  # still being written
            continue
        name = path.parent.name
        if name in found:
            text = f"Two folders below {folder} are called {name}."
            raise Refused("VALIDATE_CASE_DUPLICATE", text, "Give every case a name of its own.")
        found[name] = path
    return found


def find_studies(folder: Path) -> dict[str, Path]:
    """Return the folders right below that hold files: one DICOM study each."""
    return {
        path.name: path
        for path in sorted(folder.iterdir())
        if path.is_dir() and any(p.is_file() for p in path.rglob("*"))
    }


def analyse(studies: dict[str, Path], out: Path, engine: str, say: Callable[[str], None]) -> None:
    """Write ``out/NAME/result.json`` for every study; those that are there are kept.

    Each runs as ``plaque-edge analyze`` in a process of its own. Raises Failed
    VALIDATE_NO_RESULT where not even a refusal was written.
    """
    for name, study in studies.items():
        target = out / name / "result.json"
        if target.is_file():
            say(f"{name}: kept from before")
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        command = analyze_command(study, target, engine)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not target.is_file():
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            text = f"{name} gave no result: {last}."
            raise Failed("VALIDATE_NO_RESULT", text, "Analyse it alone with --debug.")
        say(f"{name}: {json.loads(target.read_text(encoding='utf-8'))['status']}")


def read_cases(results: dict[str, Path]) -> list[Case]:
    """Read all results. Raises Refused VALIDATE_RESULT or VALIDATE_MODELS_MIXED."""
    cases = [_read(name, path) for name, path in results.items()]
    models = {c.model_sha256 for c in cases if c.status in ("ready", "review")}
    if len(models) > 1:
        text = f"The results come from {len(models)} different segmentation models."
        raise Refused("VALIDATE_MODELS_MIXED", text, "Analyse all cases again with one version.")
    return cases


def _read(name: str, path: Path) -> Case:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        series = data["series"]
        return Case(
            name,
            (series["series_instance_uid"], series["study_instance_uid"]),
            _scanner(data.get("scan") or {}),
            data["software"]["model"]["sha256"],
            data["status"],
            tuple(r["code"] for r in data["reasons"]),
            bounds_of(data["patient"], data["vessels"]),
            {PATIENT: values_of(data["patient"])}
            | {v: values_of(data["vessels"][v]) for v in VESSELS},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        text = f"The result of {name} can't be read."
        raise Refused("VALIDATE_RESULT", text, "Analyse this case again.") from error


def bounds_of(patient: dict[str, Any], vessels: dict[str, Any]) -> frozenset[str]:
    """Return the levels whose volumes are lower bounds: nothing to compare a whole with."""
    partial = {v for v in VESSELS if vessels[v].get("status") == "partial"}
    return frozenset(partial | ({PATIENT} if patient.get("lower_bound") else set()))


def values_of(data: dict[str, Any]) -> dict[str, float | None]:
    """Return every component of a patient or vessel; ``None`` was not measured."""
    return {c: None if data.get(c) is None else float(data[c]) for c in COMPONENTS}


def _scanner(scan: dict[str, Any]) -> str:
    words: Sequence[Any] = [scan.get(k) for k in ("manufacturer", "scanner_model", "kernel")]
    return " ".join(str(w) for w in words if w) or "not known"
