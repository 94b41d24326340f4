"""Small DICOM series for tests: a bright cylinder in soft tissue, written by the real writer."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from plaque_edge.phantom.dicom import WriteOptions, encode_instances, make_uid
from plaque_edge.types import SeriesInfo, Volume

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def info(name: str = "a", **changes: Any) -> SeriesInfo:
    base = SeriesInfo(
        study_instance_uid=make_uid("study"),
        series_instance_uid=make_uid("series", name),
        frame_of_reference_uid=make_uid("frame"),
        patient_id="P1",
        patient_name="Test^Person",
        birth_date="19630512",
        sex="F",
        age_years=63.0,
        study_date="20260601",
        study_time="101500",
        series_description="CTA 0.6 Bv40 75 %",
        series_number=5,
        modality="CT",
        kvp=120.0,
        kernel="Bv40",
        slice_thickness_mm=0.6,
        phase_percent=75.0,
        image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
        contrast_agent="Iodine",
    )
    return replace(base, **changes)


def volume(count: int = 40, blood: float = 400.0, spacing: float = 2.5, size: int = 48) -> Volume:
    """A cylinder of blood with a marker in one corner, so that every flip shows.

    The default spacing is coarse, to keep the number of files small.
    """
    y, x = np.mgrid[0:size, 0:size]
    hu = np.full((count, size, size), 40.0)
    hu[:, (y - size / 2) ** 2 + (x - size / 2) ** 2 < (size / 3) ** 2] = blood
    hu[:, :5, :3] = 900.0
    hu += np.arange(count)[:, None, None] + np.random.default_rng(0).normal(0, 8, hu.shape)
    return Volume(hu.astype(np.int16), (spacing, 0.6, 0.5), (-120.0, -33.0, 12.5))


def cta(
    folder: Path, name: str = "a", options: WriteOptions | None = None, **changes: Any
) -> list[Path]:
    """Write a series that passes every rule: 64 slices of 1 mm, a field of 58 x 48 mm."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for file_name, data in _encoded(info(name, **changes), options or WriteOptions()):
        paths.append(folder / file_name)
        paths[-1].write_bytes(data)
    return paths


@cache
def _encoded(made: SeriesInfo, options: WriteOptions) -> list[tuple[str, bytes]]:
    return list(encode_instances(volume(64, spacing=1.0, size=96), made, options))


def edit(path: Path, **changes: Any) -> None:
    dataset = pydicom.dcmread(path)
    for keyword, value in changes.items():
        with pydicom.config.disable_value_validation():
            setattr(dataset, keyword, value)
    dataset.save_as(path)


def cut(path: Path, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }
