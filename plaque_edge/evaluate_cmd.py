"""``plaque-edge evaluate``: figures on test phantoms, from DICOM on disk to the result's JSON.

Every phantom is written as DICOM and analysed by ``plaque-edge analyze`` in a process of its
own, as a user would run it, so that seconds and peak memory are the product's. Seeds come
from the test range, which neither training nor choices ever see.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from plaque_edge.agreement import agreement
from plaque_edge.phantom.dicom import write_series
from plaque_edge.phantom.scene import TEST_SEEDS, VALIDATION_SEEDS, Phantom, make_phantom
from plaque_edge.phantom.second.scan import SecondPhantom, make_second_phantom
from plaque_edge.tree_metrics import compare_trees
from plaque_edge.types import VESSELS, Branch, CoronaryTree

NOTE = "Measured on synthetic phantoms of plaque_edge.phantom, not on patients."


def main(argv: list[str]) -> int:
    """Evaluate on phantoms; exit 0 when every phantom ended in a result or a refusal."""
    parser = argparse.ArgumentParser(
        "plaque-edge evaluate",
        epilog="example: plaque-edge evaluate --count 20 --json docs/results/evaluation.json",
    )
    parser.add_argument("--count", type=int, default=20, help="phantoms (default 20)")
    parser.add_argument("--first", type=int, default=0, help="index of the first seed in its range")
    parser.add_argument("--split", choices=["test", "validation"], default="test")
    parser.add_argument("--preset", default="test", help="phantom preset (default test)")
    parser.add_argument(
        "--generator",
        choices=["first", "second"],
        default="first",
        help="second: made on other principles, never trained on (validation seeds only)",
    )
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--json", default="-", help="file for the figures, - for the screen")
    parser.add_argument("--keep", type=Path, help="folder to keep results and truths in")
    args = parser.parse_args(argv)
    second = args.generator == "second"
    split = "validation" if second else args.split
    seeds = (TEST_SEEDS if split == "test" else VALIDATION_SEEDS)[
        args.first : args.first + args.count
    ]
    rows = []
    for seed in seeds:
        phantom = make_second_phantom(seed) if second else make_phantom(seed, args.preset)
        rows.append(evaluate_one(seed, phantom, args.engine, args.keep))
        print(_line(rows[-1]), file=sys.stderr, flush=True)
    figures = summarise(rows) | {
        "split": split,
        "first_seed": seeds[0],
        "preset": args.preset,
        "generator": args.generator,
    }
    text = json.dumps(
        {"figures": figures, "cases": rows}, indent=1, allow_nan=False, default=_plain
    )
    if args.json == "-":
        print(text)
    else:
        Path(args.json).parent.mkdir(parents=True, exist_ok=True)
        Path(args.json).write_text(text, encoding="utf-8")
    print(table(figures), file=sys.stderr)
    return 0 if all(r["status"] != "failed" for r in rows) else 1


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


def evaluate_one(
    seed: int, phantom: Phantom | SecondPhantom, engine: str, keep: Path | None
) -> dict[str, Any]:
    """Write one phantom as DICOM, analyse it in a new process, compare with its truth."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_series(phantom.volume, phantom.info, folder / "dicom")
        out = folder / "result.json"
        command = [
            sys.executable,
            "-m",
            "plaque_edge",
            "analyze",
            str(folder / "dicom"),
            "--json",
            str(out),
            "--engine",
            engine,
        ]
        began = time.perf_counter()
        code, peak_mb = _run(command)
        seconds = time.perf_counter() - began
        result = json.loads(out.read_text(encoding="utf-8"))
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / f"{seed}.json").write_text(
            json.dumps({"truth": phantom.truth, "result": result}), encoding="utf-8"
        )
    return compare(phantom, result) | {
        "seed": seed,
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
            peak = max(
                peak,
                sum(p.memory_info().rss for p in [watched, *watched.children(recursive=True)])
                / 2**20,
            )
        except psutil.Error:
            pass
        time.sleep(0.05)
    return process.returncode, peak


def compare(phantom: Phantom | SecondPhantom, result: dict[str, Any]) -> dict[str, Any]:
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
        "motion": truth["scan"]["motion"],
    }
    if result["status"] in ("ready", "review"):
        row["tree"] = compare_trees(phantom.tree, tree_of(result)).as_dict()
    return row


def tree_of(result: dict[str, Any]) -> CoronaryTree:
    """Return the measured tree of a result's JSON."""
    branches = []
    for name in VESSELS:
        for line in result["vessels"][name].get("centerlines", []):
            points = np.array(line, float)
            branches.append(
                Branch(name, name, None, np.ascontiguousarray(points[:, 2::-1]), points[:, 3])
            )
    return CoronaryTree(tuple(branches), result.get("dominance", "unknown"))


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Work out the figures of the README from the cases' rows."""
    done = [
        r
        for r in rows
        if r["status"] in ("ready", "review") and r["measured"]["plaque_mm3"] is not None
    ]
    out: dict[str, Any] = {
        "note": NOTE,
        "phantoms": len(rows),
        "analysed_without_a_person": len(done) / len(rows),
        "ready": sum(r["status"] == "ready" for r in rows) / len(rows),
        "seconds_median": float(np.median([r["seconds"] for r in rows])),
        "seconds_max": max(r["seconds"] for r in rows),
        "peak_mb_max": max(r["peak_mb"] for r in rows),
    }
    if len(done) < 3:
        return out
    for key in done[0]["tree"]:
        values = [r["tree"][key] for r in done if r["tree"][key] is not None]
        out[f"tree_{key}"] = float(np.mean(values)) if values else None
    for part in (
        "plaque_mm3",
        "calcified_mm3",
        "noncalcified_mm3",
        "low_attenuation_mm3",
        "lumen_mm3",
        "vessel_mm3",
    ):
        pairs = np.array([[r["measured"][part], r["truth"][part]] for r in done], float)
        out[f"patient_{part}"] = agreement(pairs[:, 0], pairs[:, 1]).as_dict()
        each = np.array(
            [
                [v["measured"][part], v["truth"][part]]
                for r in done
                for v in r["vessels"].values()
                if v["measured"][part] is not None
            ],
            float,
        )
        out[f"vessel_{part}"] = agreement(each[:, 0], each[:, 1]).as_dict()
    free = [r["measured"]["plaque_mm3"] for r in done if r["truth"]["plaque_mm3"] < 1]
    out["plaque_free"] = {
        "patients": len(free),
        "false_mm3_median": float(np.median(free)) if free else None,
        "false_mm3_max": float(max(free)) if free else None,
    }
    stenosis = np.array(
        [
            [
                v["measured"]["max_diameter_stenosis_percent"],
                v["truth"]["max_diameter_stenosis_percent"],
            ]
            for r in done
            for v in r["vessels"].values()
            if v["measured"]["max_diameter_stenosis_percent"] is not None
        ],
        float,
    )
    if len(stenosis) > 2:
        out["vessel_stenosis_percent"] = agreement(stenosis[:, 0], stenosis[:, 1]).as_dict()
    return out


def table(f: dict[str, Any]) -> str:
    """Write the figures as a Markdown table."""
    rows = [
        ("analysed without a person", f"{100 * f['analysed_without_a_person']:.0f} %"),
        ("status ready", f"{100 * f['ready']:.0f} %"),
    ]
    for key, value in f.items():
        if key.startswith("tree_") and value is not None:
            rows.append((key.replace("_", " "), f"{value:.3f}"))
        if isinstance(value, dict) and "icc_a1" in value:
            rows.append(
                (
                    key.replace("_", " "),
                    f"ICC(A,1) {value['icc_a1']:.3f} "
                    f"({value['icc_a1_lower']:.3f} to {value['icc_a1_upper']:.3f}), "
                    f"bias {value['bias']:+.1f}, "
                    f"limits {value['loa_lower']:+.0f} to {value['loa_upper']:+.0f}, "
                    f"slope {value['slope']:.2f}, intercept {value['intercept']:+.1f}, "
                    f"n {value['n']:.0f}",
                )
            )
    if "plaque_free" in f and f["plaque_free"]["patients"]:
        p = f["plaque_free"]
        rows.append(
            (
                f"false plaque in {p['patients']} plaque-free patients",
                f"median {p['false_mm3_median']:.1f}, most {p['false_mm3_max']:.1f} mm3",
            )
        )
    rows.append(("seconds (median, most)", f"{f['seconds_median']:.1f}, {f['seconds_max']:.1f}"))
    rows.append(("peak memory", f"{f['peak_mb_max'] / 1024:.2f} GB"))
    head = (
        f"{f['phantoms']} phantoms of seeds {f.get('first_seed')}... "
        f"({f.get('split')}, {f.get('generator')} generator); "
        f"{f['note']}\n\n| figure | value |\n|---|---|\n"
    )
    return head + "\n".join(f"| {a} | {b} |" for a, b in rows)


def _line(row: dict[str, Any]) -> str:
    return (
        f"{row['seed']} {row['status']} plaque {row['measured']['plaque_mm3']} "
        f"(true {row['truth']['plaque_mm3']:.0f}) "
        f"{row['seconds']} s {row['peak_mb']} MB {' '.join(row['reasons'])}"
    )
