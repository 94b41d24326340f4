"""``engines list`` and ``engines verify``; and what ``doctor`` says of GPU and engines."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from plaque_edge import RESEARCH_USE
from plaque_edge.doctor import check, put

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from engines.status import Status

REPORT = "engines-verify.json"


def run(options: argparse.Namespace) -> int:
    """Do ``engines list`` or ``engines verify``."""
    return _verify(options) if options.what == "verify" else _list(options)


def say(text: str) -> None:
    """Tell on stderr what takes time."""
    print(text, file=sys.stderr, flush=True)


def _list(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from engines.status import engine_states

    states = [s for s in engine_states() if options.engine in ("auto", s.engine)]
    if options.json:
        put({"notice": RESEARCH_USE, "engines": [asdict(state) for state in states]}, options.json)
    if options.json != "-":
        for state in states:
            yes = "yes" if state.usable else "no"
            print(f"{state.engine:<9} {yes:<4} {_words(state)} {_step(state)}".rstrip())
        print(f"{RESEARCH_USE}.")
    return 0 if any(state.usable for state in states) else 1


def _words(state: Status) -> str:
    if not state.usable:
        return state.reason
    proven = "gives the reference's result" if state.proven else "not yet compared with it"
    if state.engine == "cpu":
        proven = "the reference that the others are compared with"
    return f"{state.library} {state.version}, {proven}."


def _step(state: Status) -> str:
    if state.usable and not state.proven:
        return "Run plaque-edge prepare."
    return state.next_step


def _verify(options: argparse.Namespace) -> int:
    from engines.verify import verify_engines

    report = {"notice": RESEARCH_USE, **verify_engines(options.engine, say=say)}
    target = options.json or REPORT
    put(report, target)
    if target != "-":
        for row in report["results"]:
            print(f"{row['engine']:<9} {row['model']:<6} {_outcome(row)}")
        verdict = "Passed" if report["passed"] else "NOT passed"
        print(f"{verdict}. The report is in {target}; it holds no names and no patient data.")
        print(f"{RESEARCH_USE}.")
    return 0 if report["passed"] else 1


def _outcome(row: dict[str, Any]) -> str:
    if row["error"]:
        return str(row["error"])
    if not row["good"]:
        return f"not used: {row['verdict']['reason']}"
    agreement = 100 * row["verdict"]["agreement"]
    return f"{agreement:.3f} % of voxels agree, {row['timing_ms']['per_window_of_1']:.1f} ms"


def engine_checks() -> list[dict[str, str]]:
    """Return ``doctor``'s lines: GPU, every engine with the reason why not, plans, wheels."""
    from engines.status import engine_states

    states, gpu = engine_states(), _gpu_line()
    return [gpu, *_provider_lines(states), *_plans_line(), *_wheels_line(), *_file_lines()]


def _provider_lines(states: Sequence[Status]) -> list[dict[str, str]]:
    """One line per engine; what this computer can't or needn't have is nothing to warn of."""
    from engines.keys import ON_GPU

    served, lines = any(s.usable and s.engine in ON_GPU for s in states), []
    for state in states:
        text, level = f"{state.engine}: {_words(state)}", "pass" if state.usable else "warn"
        if state.engine in ON_GPU and not state.usable and _no_gpu():
            lines.append(check("PROVIDER", "pass", f"{state.engine}: needs an NVIDIA GPU."))
        elif state.engine in ON_GPU and served and not state.installed:
            lines.append(check("PROVIDER", "pass", f"{text} Another engine uses the GPU."))
        else:
            lines.append(check("PROVIDER", level, text, _step(state)))
    return lines


def _no_gpu() -> bool:
    from engines import EngineError
    from engines.gpu import probe

    try:
        probe()
    except EngineError as error:
        return error.code == "ENGINE_GPU_MISSING"
    return False


def _gpu_line() -> dict[str, str]:
    from engines import EngineError
    from engines.gpu import probe

    try:
        gpu = probe()
    except EngineError as error:
        level = "pass" if error.code == "ENGINE_GPU_MISSING" else "warn"
        return check("GPU", level, f"None is used. {error.text}", error.next_step)
    text = (
        f"{gpu.name}, compute capability {gpu.compute_capability}, "
        f"{gpu.memory_bytes / 2**30:.1f} GB, driver {gpu.driver} (CUDA {gpu.cuda})."
    )
    return check("GPU", "pass", text)


def _plans_line() -> list[dict[str, str]]:
    from engines.private import cache_folder

    sizes = [path.stat().st_size for path in cache_folder().glob("*.plan")]
    if not sizes:
        return []
    text = f"{len(sizes)} plans, {sum(sizes) / 1e6:.0f} MB in {cache_folder()}."
    return [check("PLANS", "pass", text)]


def _wheels_line() -> list[dict[str, str]]:
    from engines.verify import installed_packages

    if not {"onnxruntime", "onnxruntime-gpu"} <= installed_packages().keys():
        return []
    text = (
        "onnxruntime and onnxruntime-gpu are both installed, and the later one has overwritten "
        "the other."
    )
    step = "Uninstall both, then install the one you want."
    return [check("ENGINE_WHEELS_BOTH", "warn", text, step)]


def _file_lines() -> list[dict[str, str]]:
    """Verify every network's file, in every precision, and name what is fastest here."""
    from engines import EngineError, read_manifest
    from engines.choice import read_choice
    from engines.manifest import SHIPPED, read_weights
    from engines.variants import IN_FILES, in_precision, read_variants

    lines = []
    for name in SHIPPED:
        try:
            manifest = read_manifest(name)
            found = ["f32", *(p for p in IN_FILES if p in read_variants(manifest))]
            for precision in found:
                read_weights(in_precision(manifest, precision))
        except EngineError as error:
            lines.append(check("MODEL", "refuse", error.text, error.next_step))
            continue
        text = f"{name} {manifest.version}: {', '.join(found)} are the files their lists name."
        lines.append(check("MODEL", "pass", text))
        choice = read_choice(manifest)
        if choice:
            first = choice[0]
            took = f"{first.ms:.0f} ms a window"
            text = f"{name}: fastest here is {first.engine} {first.precision}, {took}."
            lines.append(check("CHOICE", "pass", text))
        else:
            step = "Run plaque-edge prepare."
            text = f"{name}: which engine is fastest here was not measured yet."
            lines.append(check("CHOICE", "warn", text, step))
    return lines
