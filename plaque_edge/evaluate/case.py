"""One scan end to end: phantom to DICOM, ``plaque-edge analyze`` in a process, against truth.

The process is a new one each time, as a user would run it, so that seconds and peak memory are
the product's.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.analyze_process import analyze_command
from plaque_edge.evaluate.rotterdam import judge
from plaque_edge.evaluate.tree_metrics import compare_trees
from plaque_edge.export.result_json import write_json
from plaque_edge.phantom.dicom import write_series
from plaque_edge.phantom.scene import Phantom, make_phantom
from plaque_edge.phantom.second.scan import SecondPhantom, make_second_phantom
from plaque_edge.types import VESSELS, Branch, CoronaryTree

if TYPE_CHECKING:
    from plaque_edge.evaluate.families import Scan

Made = Phantom | SecondPhantom


def make(scan: Scan) -> Made:
    """Make the phantom of a scan."""
    if scan.generator == "second":
        return make_second_phantom(scan.seed)
    return make_phantom(scan.seed, scan.preset)


def evaluate_one(scan: Scan, engine: str, keep: Path | None = None) -> dict[str, Any]:
    """Write one phantom as DICOM, analyse it in a new process, compare with its truth.

    The whole result goes to ``keep`` where a file is named.
    """
    phantom = make(scan)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_series(phantom.volume, phantom.info, folder / "dicom")
        out = folder / "result.json"
        began = time.perf_counter()
        code, peak_mb = _run(analyze_command(folder / "dicom", out, engine))
        seconds = time.perf_counter() - began
        result = json.loads(out.read_text(encoding="utf-8"))
        if keep is not None:
            write_json(result, keep)
    return {
        "key": scan.key,
        "family": scan.family,
        "preset": scan.preset,
        "generator": scan.generator,
        "seed": scan.seed,
        **compare(phantom, result),
        "exit": code,
        "seconds": round(seconds, 2),
        "peak_mb": round(peak_mb),
    }


def _run(command: list[str]) -> tuple[int, float]:
    """Exit code and peak resident memory in MB of a command and its children."""
    import psutil

    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    watched, peak = psutil.Process(process.pid), 0.0
    while process.poll() is None:
        try:
            family = [watched, *watched.children(recursive=True)]
            peak = max(peak, sum(p.memory_info().rss for p in family) / 2**20)
        except psutil.Error:
            pass
        time.sleep(0.05)
    return process.returncode, peak


def compare(phantom: Made, result: dict[str, Any]) -> dict[str, Any]:
    """Measured against true volumes and centerlines of one phantom."""
    truth = phantom.truth
    row: dict[str, Any] = {
        "status": result["status"],
        "reasons": [r["code"] for r in result["reasons"]],
        "truth": truth["patient"],
        "measured": result["patient"],
        "vessels": {
            v: {
                "truth": truth["vessels"][v],
                "measured": {k: x for k, x in result["vessels"][v].items() if k != "centerlines"},
            }
            for v in VESSELS
        },
        "timing_ms": result["timing_ms"],
        "model": result["software"]["model"],
        "quality": result["quality"],
        "scan": truth["scan"]
        | {"slice_mm": phantom.volume.spacing_zyx_mm[0], "aorta_hu": truth["aorta_hu"]},
    }
    if result["status"] in ("ready", "review"):
        tree = tree_of(result)
        row["tree"] = compare_trees(phantom.tree, tree).as_dict()
        row["rotterdam"] = {k: o.as_dict() for k, o in judge(phantom.tree, tree).items()}
    return row


def tree_of(result: dict[str, Any]) -> CoronaryTree:
    """Return the measured tree of a result's JSON; parents are not in it."""
    branches = []
    for name in VESSELS:
        for line in result["vessels"][name].get("centerlines", []):
            points = np.array(line, float)
            branches.append(
                Branch(name, name, None, np.ascontiguousarray(points[:, 2::-1]), points[:, 3])
            )
    return CoronaryTree(tuple(branches), result.get("dominance") or "unknown")
