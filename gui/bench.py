"""``plaque-edge bench console``: frame times, case opening, switching, and memory over 500 cases.

A frame's time runs from the wish (a wheel notch, a step of the angle) until the new picture has
been painted: waiting for the drawing thread included. Drawn with Qt's raster engine, no OpenGL.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gui import bench_edit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PySide6.QtWidgets import QApplication

    from gui.bench_day import Stopwatch
    from gui.frame_view import FrameView
    from gui.window import MainWindow
    from plaque_edge.store import CaseRow

SHAPE_ZYX = (400, 512, 512)
MAX_WAIT_S = 5.0


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="plaque-edge bench console",
        description="Frame times and memory of the console on a 512 x 512 x 400 volume. "
        "Research use only, not a medical device.",
        epilog="example: plaque-edge bench console --json -",
    )
    parser.add_argument("--frames", type=int, default=150, metavar="N", help="per movement (150)")
    parser.add_argument("--cases", type=int, default=500, metavar="N", help="for memory (500)")
    parser.add_argument("--days", type=int, default=3, metavar="N", help="click-throughs (3)")
    parser.add_argument("--edits", type=int, default=60, metavar="N", help="of each kind (60)")
    parser.add_argument("--json", metavar="FILE", help="figures for machines, - for stdout")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print the table."""
    from plaque_edge.commands import put_json
    from plaque_edge.export.result_json import write_json

    options = parse(sys.argv[1:] if argv is None else argv)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    with tempfile.TemporaryDirectory(prefix="plaque-edge-bench-") as folder:
        counts = (options.frames, options.cases, options.days, options.edits)
        data = measure(Path(folder), *counts)
    if options.json:
        put_json(data, options.json, write_json)
    if options.json != "-":
        for line in table(data):
            print(line)
    return 0


def table(data: dict[str, Any]) -> list[str]:
    """Put the figures into lines."""
    lines = [f"{'movement':<26}{'p50 ms':>8}{'p95 ms':>8}{'CPU p50 ms':>12}{'frames/s':>10}"]
    for name, item in data["movements"].items():
        lines.append(
            f"{name:<26}{item['p50_ms']:>8.1f}{item['p95_ms']:>8.1f}{item['cpu_p50_ms']:>12.1f}"
            f"{1000 / item['p50_ms']:>10.0f}"
        )
    gui = data["gui_thread"]
    lines.append(
        f"moving through images, pieces on the GUI thread: p99 {gui['p99_cpu_ms']} ms of CPU, "
        f"longest {gui['longest_cpu_ms']} ms"
    )
    day = data["day"]
    worst = day["worst"][0]
    lines.append(
        f"a day's click-through: {day['pieces']} pieces on the GUI thread, longest "
        f"{day['longest_cpu_ms']} ms of CPU ({worst['step']}), {day['above']} "
        f"above {day['limit_ms']:.0f} ms; longest by the clock {day['longest_wall_ms']} ms"
    )
    open_ = data["opening"]
    lines.append(f"opening a case: p50 {open_['p50_ms']} ms, p95 {open_['p95_ms']} ms")
    memory = data["memory"]
    lines.append(
        f"memory over {memory['cases']} cases: {memory['after_first_mb']} MB after the first 20, "
        f"{memory['at_end_mb']} MB at the end"
    )
    lines += bench_edit.lines(data["correction"])
    rows = data["worklist"]
    lines.append(
        f"{rows['rows']} rows: scroll p50 {rows['p50_ms']} ms, p95 {rows['p95_ms']} ms; taking a "
        f"changed list {rows['take_ms']} ms, searching {rows['search_ms']} ms"
    )
    return lines


def measure(folder: Path, frames: int, cases: int, days: int, edits: int) -> dict[str, Any]:
    """Return every figure; ``folder`` is scratch space of about 400 MB."""
    from PySide6.QtWidgets import QApplication

    from gui import theme
    from gui.bench_day import Stopwatch, day
    from gui.bench_edit import corrections
    from gui.sample import SampleSource
    from gui.window import MainWindow

    app = QApplication.instance() or QApplication(["plaque-edge"])
    assert isinstance(app, QApplication)
    theme.apply(app, theme.DARK)
    source = SampleSource(folder / "small", spacing_mm=2.0)
    window = MainWindow(source)
    window.resize(1920, 1080)
    window.show()
    window.poll()
    source.add_prior()
    row = _large_case(folder / "large", source)
    source.replace_rows((row, *source.cases()))
    window.poll()
    opening = [_open(app, window, row) for _ in range(8)]
    clicked = day(app, window, source, days)
    window.open_row(row)
    window.page.show_full(True)
    _settle(app, window)
    watch = Stopwatch()
    movements = _movements(app, window, frames, watch)
    data = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "versions": _versions(),
        "shape_zyx": SHAPE_ZYX,
        "window": [1920, 1080],
        "movements": movements,
        "gui_thread": watch.figures(),
        "day": clicked.figures(),
        "opening": _figures(opening[1:]),
        "memory": _memory(app, window, source, cases),
        "correction": corrections(app, window, source, folder / "edit", edits),
        "worklist": _worklist(app, window, source),
        "note": "Measured without OpenGL on an invented volume; other programs ran meanwhile.",
    }
    window.close()
    return data


def _versions() -> dict[str, Any]:
    import numba
    import PySide6

    import plaque_edge

    return {
        "plaque_edge": plaque_edge.__version__, "python": platform.python_version(),
        "PySide6": PySide6.__version__, "numba": numba.__version__,
        "system": f"{platform.system()} {platform.machine()}", "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }  # fmt: skip


def _large_case(folder: Path, source: Any) -> CaseRow:
    """Write a case with a full-size volume: the invented heart, enlarged by repetition."""
    import json
    from dataclasses import replace

    import numpy as np

    from gui.sample import sample_info, sample_result, write_result_folder

    info = sample_info(77)
    place = write_result_folder(folder, sample_result(info), 2.0)
    small = np.load(place / "view" / "ct.npy"), np.load(place / "view" / "labels.npy")
    index = [np.arange(n) * k // n for n, k in zip(SHAPE_ZYX, small[0].shape, strict=True)]
    for name, array in zip(("ct", "labels"), small, strict=True):
        np.save(place / "view" / f"{name}.npy", array[np.ix_(*index)])
    file = place / "view" / "view.json"
    known = json.loads(file.read_text(encoding="utf-8"))
    spacing = [2.0 * k / n for n, k in zip(SHAPE_ZYX, small[0].shape, strict=True)]
    file.write_text(json.dumps({**known, "spacing_zyx_mm": spacing}), encoding="utf-8")
    done = next(r for r in source.cases() if r.state == "DONE")
    return replace(done, case_id=900, info=info, series_uid=info.series_instance_uid,
                   study_uid=info.study_instance_uid, result_dir=place)  # fmt: skip


def _movements(
    app: QApplication, window: MainWindow, frames: int, watch: Stopwatch
) -> dict[str, Any]:
    """Move one thing at a time through the full viewer, as a reader does."""
    panel = window.page.viewer
    scene = panel.scene
    steps: dict[str, tuple[FrameView, Callable[[int], object]]] = {
        "axial slices": (panel.axial, lambda i: panel.axial.set_slice(100 + i)),
        "coronal slices": (panel.coronal, lambda i: panel.coronal.set_slice(100 + i)),
        "sagittal slices": (panel.sagittal, lambda i: panel.sagittal.set_slice(100 + i)),
        "curved MPR, turning": (panel.stretched, lambda i: scene.turn(0.05 * (i + 1))),
        "straightened, turning": (panel.straight, lambda i: scene.turn(0.05 * (i + 1.5))),
        "along the vessel": (panel.section, lambda i: scene.set_step(1, 1.0 + i % 120)),
        "tree, turning": (panel.tree, lambda _i: panel.tree.turn_by_degrees(3.0)),
    }
    out = {}
    for name, (view, step) in steps.items():
        times = [_frame(app, view, lambda i=i, s=step: s(i), watch) for i in range(frames)]
        cpu = statistics.median(used for _, used in times)
        out[name] = _figures([clock for clock, _ in times]) | {"cpu_p50_ms": round(cpu, 2)}
    return out


def _frame(
    app: QApplication, view: FrameView, move: Callable[[], object], watch: Stopwatch
) -> tuple[float, float]:
    """Move, wait until ``view`` has painted; return milliseconds of the clock and of CPU.

    The CPU's are of all threads, the waiting included: an upper bound that other programs on the
    computer do not change.
    """
    before, began, used = view.frames_painted, time.perf_counter(), time.process_time()
    move()
    while view.frames_painted == before and time.perf_counter() - began < MAX_WAIT_S:
        watch.turn(app)
        time.sleep(0.001)
    return 1000 * (time.perf_counter() - began), 1000 * (time.process_time() - used)


def _open(app: QApplication, window: MainWindow, row: CaseRow) -> float:
    """Open a case; return the milliseconds until numbers and the large view are painted."""
    window.close_case()
    app.processEvents()
    began = time.perf_counter()
    window.open_row(row)
    view = window.page.viewer.axial
    while time.perf_counter() - began < MAX_WAIT_S:
        app.processEvents()
        if window.page.case is not None and view.case is not None:
            break
        time.sleep(0.0002)
    return 1000 * (time.perf_counter() - began)


def _memory(app: QApplication, window: MainWindow, source: Any, cases: int) -> dict[str, Any]:
    """Open ``cases`` cases one after the other; compare memory after 20 and at the end."""
    import psutil

    window.page.show_full(False)
    rows = [r for r in source.cases() if r.state in ("DONE", "REVIEW") and r.case_id != 900]
    process, marks = psutil.Process(), {}
    for number in range(cases):
        _open(app, window, rows[number % len(rows)])
        if number + 1 in (20, cases // 2, cases):
            _settle(app, window)
            marks[number + 1] = round(process.memory_info().rss / 1e6, 1)
    half, end = marks.get(cases // 2), marks.get(cases)
    return {"cases": cases, "after_first_mb": marks.get(20), "at_half_mb": half, "at_end_mb": end}


def _worklist(app: QApplication, window: MainWindow, source: Any) -> dict[str, Any]:
    """Scroll through 10,000 rows, take a list in which one changed, search."""
    from dataclasses import replace

    window.close_case()
    some = [r for r in source.cases() if r.case_id != 900]
    rows = [
        replace(some[i % len(some)], case_id=20_000 - i, series_uid=f"1.2.{i}")
        for i in range(9_999)
    ]
    window.worklist.set_rows(rows)
    _settle(app, window)
    bar, times = window.worklist.table.verticalScrollBar(), []
    for at in range(200):
        began = time.perf_counter()
        bar.setValue(37 * at)
        app.processEvents()
        times.append(1000 * (time.perf_counter() - began))
    rows[5] = replace(rows[5], progress=0.5, message="changed")
    began = time.perf_counter()
    window.worklist.set_rows(rows)
    take_ms = 1000 * (time.perf_counter() - began)
    began = time.perf_counter()
    window.worklist.search.setText("okafor")
    search_ms = 1000 * (time.perf_counter() - began)
    window.worklist.search.clear()
    extra = {"rows": len(rows), "take_ms": round(take_ms, 1), "search_ms": round(search_ms, 1)}
    return _figures(times) | extra


def _figures(times: list[float]) -> dict[str, Any]:
    ordered = sorted(times)
    return {
        "n": len(ordered),
        "p50_ms": round(statistics.median(ordered), 2),
        "p95_ms": round(ordered[int(0.95 * (len(ordered) - 1))], 2),
    }


def _settle(app: QApplication, window: MainWindow) -> None:
    from gui.screens import settle

    settle(app, window)


if __name__ == "__main__":
    raise SystemExit(main())
