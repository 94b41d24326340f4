"""How fast a scan of 300 slices is read and assembled, beside SimpleITK and plain pydicom."""

from __future__ import annotations

import importlib
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.commands import put_json
from plaque_edge.dicom_pixels import warm_up
from plaque_edge.dicom_read import forget_headers
from plaque_edge.errors import Failed
from plaque_edge.export.result_json import write_json
from plaque_edge.phantom.dicom import WriteOptions, write_series
from plaque_edge.series import read_candidates
from plaque_edge.torture import tubes
from plaque_edge.types import Volume
from plaque_edge.volume import load_volume

if TYPE_CHECKING:
    import argparse

    from numpy.typing import NDArray

SHAPE = (300, 512, 512)
SYNTAXES = ("explicit", "jpeg_ls")


def bench(options: argparse.Namespace) -> int:
    """Time all readers in turn on the same files and print medians and ratios."""
    rows = [row for syntax in SYNTAXES for row in time_readers(syntax, SHAPE, options.repeat)]
    data = {"shape_zyx": list(SHAPE), "repeat": options.repeat, "rows": rows}
    if options.json:
        put_json(data, options.json, write_json)
    if options.json != "-":
        for row in rows:
            print(
                f"{row['syntax']:<9} {row['reader']:<11} {row['median_s']:7.2f} s "
                f"{row['times_ours']:5.1f} x ours"
            )
    return 0


def time_readers(syntax: str, shape: tuple[int, int, int], repeat: int) -> list[dict[str, Any]]:
    """Return a row for each reader. Raises ``Failed`` BENCH_DIFFERS when voxels are not equal.

    The readers take turns, so that whatever else the computer does meets all alike; headers
    are read anew each time, and files come from the system's memory, after one turn to warm.
    """
    readers = {"plaque-edge": _ours, "SimpleITK": _simpleitk, "pydicom": _pydicom}
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    with TemporaryDirectory(prefix="plaque-edge-bench-") as name:
        folder = Path(name)
        hu = _scan(shape)
        how = WriteOptions(syntax=syntax, order="shuffled", names="random")  # type: ignore[arg-type]
        write_series(
            Volume(hu, (0.5, 0.4, 0.4), (0.0, 0.0, 0.0)), tubes.header("bench"), folder, how
        )
        warm_up()
        for turn in range(max(1, repeat) + 1):
            for reader, read in readers.items():
                start = time.perf_counter()
                voxels = read(folder)
                took = time.perf_counter() - start
                if turn == 0 and not np.array_equal(voxels, hu):
                    text = f"{reader} reads other voxels than were written."
                    raise Failed("BENCH_DIFFERS", text, "Report this fault.")
                del voxels
                if turn:
                    seconds[reader].append(took)
    ours = median(seconds["plaque-edge"])
    return [
        {
            "syntax": syntax,
            "reader": reader,
            "median_s": round(median(times), 3),
            "times_ours": round(median(times) / ours, 2),
        }
        for reader, times in seconds.items()
    ]


def _scan(shape: tuple[int, int, int]) -> NDArray[np.int16]:
    rng = np.random.default_rng(0)
    hu = rng.normal(0.0, 25.0, shape).astype(np.float32)
    hu += 300.0 * np.hanning(shape[2]).astype(np.float32)
    return hu.astype(np.int16)


def _ours(folder: Path) -> NDArray[np.int16]:
    forget_headers()
    (series,) = read_candidates([folder]).candidates
    return load_volume(series).hu


def _simpleitk(folder: Path) -> Any:
    sitk = _library("SimpleITK")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return sitk.GetArrayFromImage(reader.Execute())


def _pydicom(folder: Path) -> NDArray[np.int16]:
    pydicom = _library("pydicom")
    slices = sorted(
        (pydicom.dcmread(path) for path in folder.iterdir()),
        key=lambda ds: float(ds.ImagePositionPatient[2]),
    )
    stack = [
        ds.pixel_array * np.float32(ds.RescaleSlope) + np.float32(ds.RescaleIntercept)
        for ds in slices
    ]
    return np.stack(stack).astype(np.int16)


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        text = f"{name} is not installed."
        raise Failed(
            "BENCH_LIBRARY_MISSING", text, "Run it in the environment of the tests."
        ) from error
