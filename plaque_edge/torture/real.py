"""``torture real FOLDER...``: real files are read right, or refused with the right code.

Every file is read alone. What is decoded is compared pixel by pixel with a second decoder
(SimpleITK, which brings its own GDCM); what is refused must be refused with a code. Files are
named by their folder and path in it.
"""

from __future__ import annotations

import importlib
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.decode_ahead import decode_slice, flips
from plaque_edge.dicom_read import CT_CLASSES, read_header
from plaque_edge.errors import PlaqueEdgeError
from plaque_edge.series import read_candidates
from plaque_edge.torture.sources import pydicom_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

LOSSY_HU = 1.0
"""Two decoders of a lossy image may round differently by this much."""


def run(
    _count: int, _seed: int, say: Callable[[str], None], folders: Sequence[Path] = ()
) -> dict[str, Any]:
    """Read every file of the folders and of pydicom's own, and return a row for each."""
    homes = [*folders, *([home] if (home := pydicom_folder()) else [])]
    rows = []
    for home in homes:
        for path in sorted(p for p in home.rglob("*") if p.is_file()):
            if path.suffix in (".py", ".pyc") or "__pycache__" in path.parts:
                continue
            rows.append({"file": f"{home.name}/{path.relative_to(home).as_posix()}", **_one(path)})
        say(f"{home.name}: {len(rows)} files so far")
    verdicts = Counter(str(r["verdict"]) for r in rows)
    return {
        "files": len(rows),
        "verdicts": dict(verdicts.most_common()),
        "codes": dict(Counter(str(r["code"]) for r in rows).most_common()),
        "rows": rows,
        "passed": not verdicts.keys() & {"differs", "fault"} and verdicts["equal"] > 0,
    }


def _one(path: Path) -> dict[str, Any]:
    """Return code, verdict and largest difference in HU for one file."""
    try:
        inventory = read_candidates([path])
        (code,) = [c for c, files in inventory.buckets.items() if path in files]
        header = read_header(path)
    except PlaqueEdgeError as error:
        return {"code": error.reason.code, "verdict": "refused"}
    except Exception as error:
        known = {"NotDicomError", "CutHeaderError", "InvalidHeaderError"}
        named = type(error).__name__
        verdict = "refused" if named in known else "fault"
        return {"code": code if verdict == "refused" else named, "verdict": verdict}
    pixels = header.pixels
    ours = pixels.samples == 1 and pixels.bits_allocated == 16 and header.sop_class in CT_CLASSES
    if not ours or header.incomplete or pixels.invalid or not header.frames:
        return {"code": code, "verdict": "refused"}
    out = np.empty((pixels.rows, pixels.columns), np.int16)
    try:
        decode_slice(header, 0, out)
    except PlaqueEdgeError as error:
        return {"code": error.reason.code, "verdict": "refused"}
    other = _second(path)
    if other is None:
        return {"code": code, "verdict": "unchecked"}
    flip_row, flip_column = flips(header, 0)  # ours is on canonical axes
    other = other[:: -1 if flip_column else 1, :: -1 if flip_row else 1]
    most = float(np.abs(np.clip(other, -1024, 32767) - out).max())
    allowed = LOSSY_HU if header.lossy else 0.5  # rounding of a fractional slope
    verdict = "equal" if most <= allowed else "differs"
    return {"code": code, "verdict": verdict, "largest_difference_hu": most}


def _second(path: Path) -> NDArray[np.float64] | None:
    """Return the first frame in HU as SimpleITK reads it, ``None`` when it does not."""
    sitk: Any = importlib.import_module("SimpleITK")
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        image = reader.Execute()
    except RuntimeError:
        return None
    voxels = np.asarray(sitk.GetArrayFromImage(image), np.float64)
    return voxels[0] if voxels.ndim == 3 else None
