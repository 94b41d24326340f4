"""``plaque-edge train variants``: from f32 to f16 and int8 files, and what each precision moves.

Everything comes from ``engines/models/*/model.onnx``; give the command again after a training.
Calibration uses windows that the product's own line makes of two phantoms; what a precision
moves is measured on others (:mod:`engines.training.moved`).
"""

from __future__ import annotations

import hashlib
import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from engines import read_manifest
from engines.manifest import SHIPPED
from engines.prepare import Row, prepare_engines
from engines.training.any_size import free_sizes
from engines.training.moved import Measured, measure, moved
from engines.training.quantise import quantise
from plaque_edge.phantom.scene import make_phantom
from plaque_edge.segment.run import Engines, segment

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

CALIBRATION_SEEDS = (2_000_100, 2_000_101)
"""Not among those that the loss is measured on."""
FIRST_SEED = 2_000_102
WINDOWS = {"heart": 4, "tree": 8, "wall": 40}
"""Windows of phantoms that the largest activations are looked for in."""
MEASURED = ("f16", "int8", "bf16")
BYTES_LIMIT = 40_000_000


def run(data: Path, first: int, count: int, only: tuple[str, ...] = MEASURED) -> int:
    """Make all files, measure them on ``count`` phantoms, write lists and cards."""
    make_files()
    rows = prepare_engines("openvino", say=print, precisions=("f32", *only), fresh=True)
    refused = {r.precision: _why(r) for r in rows if not r.good}
    seeds = range(first, first + count)
    reference = [measure(data, seed, "f32") for seed in seeds]
    results: dict[str, Measured] = {}
    for precision in only:
        if precision in refused:  # the product would not run it either
            results[precision] = {"moved_percent": 100.0, "refused": refused[precision]}
            continue
        tested = [measure(data, seed, precision) for seed in seeds]
        results[precision] = moved(reference, tested, seeds)
        print(precision, json.dumps(results[precision]), flush=True)
    for network in SHIPPED:
        write_list(network, results)
    return 0


def _why(row: Row) -> str:
    return f"{row.model}: {row.verdict.reason if row.verdict else row.error}"


# ---- files ---------------------------------------------------------------------------------


def make_files() -> None:
    """Write ``model.f16.onnx`` and ``model.int8.onnx`` of every network."""
    for network in SHIPPED:
        _free(network)
    windows = calibration_windows()
    total = 0
    for network in SHIPPED:
        manifest = read_manifest(network)
        half, eighth = (manifest.folder / f"model.{p}.onnx" for p in ("f16", "int8"))
        to_f16(manifest.onnx, half)
        onnx.save(quantise(manifest, windows[network], print), str(eighth))
        total += sum(path.stat().st_size for path in (manifest.onnx, half, eighth))
        write_list(network, {})
    if total > BYTES_LIMIT:
        raise ValueError(f"all files together have {total} bytes, more than {BYTES_LIMIT}")


def _free(network: str) -> None:
    """Open the sizes of an older export, and write its new hash into ``model.toml``."""
    manifest = read_manifest(network)
    free_sizes(manifest.onnx)
    path = manifest.folder / "model.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(manifest.sha256, sha256(manifest.onnx)), encoding="utf-8")


def to_f16(source: Path, target: Path) -> None:
    """Round weights and activations to half precision; input, output and softmax stay f32."""
    model = convert_float_to_float16(
        onnx.load(str(source)), keep_io_types=True, op_block_list=["Softmax"]
    )
    ordered = OnnxModel(model)
    ordered.topological_sort()  # the converter puts its casts last
    onnx.checker.check_model(ordered.model)
    onnx.save(ordered.model, str(target))


def calibration_windows() -> dict[str, NDArray[np.float32]]:
    """Return windows that the product itself makes of the phantoms, a spread of each network's."""
    seen: dict[str, list[NDArray[np.float32]]] = {name: [] for name in SHIPPED}
    for seed in CALIBRATION_SEEDS:
        with Engines("openvino:f32") as engines, ExitStack() as stack:
            for name in SHIPPED:
                stack.enter_context(_Overheard(getattr(engines, name), seen[name]))
            segment(make_phantom(seed, "test", truth=False).volume, engines)
    return {name: _spread(seen[name], WINDOWS[name]) for name in SHIPPED}


class _Overheard:
    """Keeps what an engine is fed, as windows of the network's own size."""

    def __init__(self, engine: Any, kept: list[NDArray[np.float32]]) -> None:
        self._engine, self._kept, self._run = engine, kept, engine.run

    def __enter__(self) -> None:
        def run(x: NDArray[np.float32]) -> NDArray[np.float32]:
            self._kept.extend(w for one in x for w in _cut(one, self._engine.manifest.shape))
            out: NDArray[np.float32] = self._run(x)
            return out

        self._engine.run = run

    def __exit__(self, *_: object) -> None:
        self._engine.run = self._run


def _cut(x: NDArray[np.float32], shape: tuple[int, int, int]) -> list[NDArray[np.float32]]:
    """Cut ``(c, z, y, x)`` into whole windows of ``shape``, from its first corner on."""
    counts = [n // s for n, s in zip(x.shape[1:], shape, strict=True)]
    starts = np.ndindex(*counts)
    return [
        x[(slice(None), *(slice(i * s, (i + 1) * s) for i, s in zip(at, shape, strict=True)))]
        for at in starts
    ]


def _spread(windows: list[NDArray[np.float32]], count: int) -> NDArray[np.float32]:
    """Take ``count`` of them at even distances."""
    at = np.linspace(0, len(windows) - 1, min(count, len(windows))).astype(int)
    return np.stack([windows[i] for i in at])


def sha256(path: Path) -> str:
    """Return the hash of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


# ---- lists and cards -----------------------------------------------------------------------


def write_list(network: str, results: dict[str, Measured]) -> None:
    """Write ``variants.toml``; what was not measured is in it as moving too much to be taken."""
    manifest = read_manifest(network)
    lines = [
        "# Made by `plaque-edge train variants`; holds for one model.onnx. All three networks",
        "# in this precision against all three in f32, on phantoms of the validation seeds.",
        f'source_sha256 = "{manifest.sha256}"',
    ]
    for precision in MEASURED:
        lines += ["", f"[{precision}]"]
        path = manifest.folder / f"model.{precision}.onnx"
        if precision != "bf16":
            lines += [f'onnx = "{path.name}"', f'sha256 = "{sha256(path)}"']
        found = results.get(precision, {"moved_percent": 100.0})
        lines += [f"[{precision}.measured]", *(f"{k} = {json.dumps(v)}" for k, v in found.items())]
    (manifest.folder / "variants.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if results:
        card = manifest.folder / "README.md"
        if card.is_file():
            text = card.read_text(encoding="utf-8")
            card.write_text(with_section(text, _section(results)), encoding="utf-8")


TITLE = "## Precisions"


def with_section(text: str, section: str) -> str:
    """Put ``section`` in place of the one with its title, or before the first other section."""
    start = text.find(TITLE)
    if start < 0:
        start = stop = text.find("## ")
    else:
        stop = text.find("\n## ", start) + 1 or len(text)
    return f"{text[:start]}{section}\n{text[stop:]}"


def _with_truth(m: Measured) -> str:
    if "icc_with_truth" not in m:
        return "too few phantoms"
    return f"{m['icc_with_truth']:.3f} ({m['icc_f32_with_truth']:.3f})"


def _section(results: dict[str, Measured]) -> str:
    measured = {name: m for name, m in results.items() if "refused" not in m}
    first = next(iter(measured.values()), {"phantoms": 0, "first_seed": "none"})
    lines = [
        TITLE,
        f"All three networks in this precision against all three in f32, on {first['phantoms']} "
        f"phantoms of the validation seeds from {first['first_seed']} on, not on patients "
        "(`python3 run.py train variants`). A precision that moves plaque or lumen by more than "
        "1 % on average, or was measured on fewer than six phantoms, is never taken unasked; one "
        "that the parity gate refuses is never taken.",
        "",
        "| precision | plaque moved (mean) | lumen moved (mean) | plaque, mm3 (mean, most) "
        "| ICC with f32, vessels | ICC with truth, patients (f32) |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {m['plaque_moved_percent']:.2f} % | {m['lumen_moved_percent']:.2f} % "
        f"| {m['plaque_moved_mm3_mean']:.2f}, {m['plaque_moved_mm3_max']:.2f} "
        f"| {m['icc_with_f32']:.4f} | {_with_truth(m)} |"
        for name, m in measured.items()
    ]
    lines += [
        f"| {name} | refused on this CPU by the gate ({m['refused']}) | | | | |"
        for name, m in results.items()
        if "refused" in m
    ]
    return "\n".join(lines) + "\n"
