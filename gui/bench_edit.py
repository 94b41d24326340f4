"""How long a reader waits for the numbers of an edit: part of ``plaque-edge bench console``."""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from plaque_edge.correct.process import Changed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from PySide6.QtWidgets import QApplication

    from gui.viewer_panel import ViewerPanel
    from gui.window import MainWindow

MAX_WAIT_S = 120.0
GOAL_MS = 300.0


def corrections(
    app: QApplication, window: MainWindow, source: Any, folder: Path, count: int
) -> dict[str, Any]:
    """Edit an opened case ``count`` times in each way; from the wish to the numbers painted."""
    from gui.edit_sample import write_correctable
    from gui.sample import sample_info

    info = sample_info(78)
    place = write_correctable(folder, info, 1.0)
    done = next(r for r in source.cases() if r.state == "DONE")
    row = replace(done, case_id=901, info=info, series_uid=info.series_instance_uid,
                  study_uid=info.study_instance_uid, result_dir=place)  # fmt: skip
    source.replace_rows((row, *source.cases()))
    window.poll()
    window.open_row(row)
    panel = window.page.viewer
    _until(app, lambda: window.page.case is not None)
    began = time.perf_counter()
    window.page.correct()
    _until(app, lambda: _ready(panel))
    out: dict[str, Any] = {"open_ms": round(1000 * (time.perf_counter() - began), 1)}
    at = panel.scene.branch_at("LAD") or 0
    ways: dict[str, Callable[[int], object]] = {
        "contour": lambda i: panel.hand.nudge(0.1 if i % 2 else -0.1, whole=False),
        "centre": lambda i: panel.hand.move_centre(0.1 * math.cos(i), 0.1, more=False),
        "undo": lambda _i: panel.edit.undo(),
    }
    for name, edit in ways.items():
        waits, cpu = [], []
        for i in range(count):
            panel.scene.set_step(at, 40.0 + 3.0 * (i % 20), at)
            began = time.perf_counter()
            edit(i)
            _until(app, lambda: _ready(panel))
            waits.append(1000 * (time.perf_counter() - began))
            found = panel.edit.last.found if panel.edit.last is not None else None
            cpu.append(found.cpu_ms if isinstance(found, Changed) else 0.0)
        out[name] = _figures(waits) | {"cpu_p50_ms": round(statistics.median(cpu), 1)}
    out["goal_ms"] = GOAL_MS
    window.close_case()
    return out


def lines(data: dict[str, Any]) -> list[str]:
    """Put the figures into lines."""
    out = [f"correction: case ready in {data['open_ms']} ms; from an edit to its numbers:"]
    for name in ("contour", "centre", "undo"):
        item = data[name]
        out.append(
            f"  {name:<10} p50 {item['p50_ms']} ms, p95 {item['p95_ms']} ms, "
            f"of the processor {item['cpu_p50_ms']} ms"
        )
    return out


def _ready(panel: ViewerPanel) -> bool:
    edit = panel.edit
    return edit.last is not None and not edit.busy and edit.last.edits == edit.edits


def _until(app: QApplication, done: Callable[[], bool]) -> None:
    end = time.perf_counter() + MAX_WAIT_S
    while not done() and time.perf_counter() < end:
        app.processEvents()
        time.sleep(0.0005)


def _figures(times: list[float]) -> dict[str, Any]:
    ordered = sorted(times)
    return {
        "n": len(ordered),
        "p50_ms": round(statistics.median(ordered), 1),
        "p95_ms": round(ordered[int(0.95 * (len(ordered) - 1))], 1),
    }
