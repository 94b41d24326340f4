"""Every screen as PNG, dark and light, at both sizes: ``python -m gui.screens --out DIR``."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PySide6.QtWidgets import QApplication

    from gui.sample import SampleSource
    from gui.window import MainWindow

SIZES = ((1920, 1080), (1366, 768))


def render_all(
    out_dir: Path, data: SampleSource, sizes: Sequence[tuple[int, int]] = SIZES
) -> list[Path]:
    """Save every screen of ``data`` under ``out_dir``; return the files."""
    from PySide6.QtWidgets import QApplication

    from gui import theme

    out_dir.mkdir(parents=True, exist_ok=True)
    app = QApplication.instance() or QApplication(["plaque-edge"])
    assert isinstance(app, QApplication)
    files: list[Path] = []
    for palette in (theme.DARK, theme.LIGHT):
        theme.apply(app, palette)
        for size in sizes:
            for name, prepare in _SCREENS.items():
                file = out_dir / f"{name}-{palette.name}-{size[0]}x{size[1]}.png"
                _render(app, data, size, prepare, file)
                files.append(file)
    return files


def _render(
    app: QApplication,
    data: SampleSource,
    size: tuple[int, int],
    prepare: Callable[[MainWindow, SampleSource], None],
    file: Path,
) -> None:
    from gui.window import MainWindow, WindowOptions

    data.reset()
    window = MainWindow(data, options=WindowOptions(out_dir="results"))
    window.resize(*size)
    window.show()
    settle(app, window)
    prepare(window, data)
    settle(app, window)
    window.grab().save(str(file))
    window.close()
    window.deleteLater()


def settle(app: QApplication, window: MainWindow) -> None:
    """Let loads and repaints finish."""
    for _ in range(3):
        app.processEvents()
        window.loader.wait()
        app.processEvents()
        window.page.viewer.frames.wait()
        app.processEvents()


def _open(kind: str) -> Callable[[MainWindow, SampleSource], None]:
    def prepare(window: MainWindow, data: SampleSource) -> None:
        window.open_row(next(r for r in data.cases() if r.state == kind))

    return prepare


def _empty(window: MainWindow, data: SampleSource) -> None:
    data.clear()
    window.poll()


def _toast(window: MainWindow, data: SampleSource) -> None:
    _open("DONE")(window, data)
    from PySide6.QtCore import QCoreApplication

    QCoreApplication.processEvents()
    data.finish_one()
    window.poll()


def _limits(window: MainWindow, data: SampleSource) -> None:
    from PySide6.QtWidgets import QApplication

    _open("DONE")(window, data)
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    settle(app, window)
    window.page.risk.swap.click()
    window.page.viewer.next_window()


def _silent(window: MainWindow, data: SampleSource) -> None:
    data.age = 74.0
    window.poll()


def _nothing(window: MainWindow, data: SampleSource) -> None:
    """Show the worklist as it opens."""


_SCREENS: dict[str, Callable[[MainWindow, SampleSource], None]] = {
    "worklist": _nothing,
    "worklist-empty": _empty,
    "worklist-service-silent": _silent,
    "result": _open("DONE"),
    "result-limits": _limits,
    "result-review": _open("REVIEW"),
    "result-not-analysable": _open("NOT_ANALYSABLE"),
    "result-failed": _open("FAILED"),
    "result-running": _open("RUNNING"),
    "result-outdated": _open("OUTDATED"),
    "result-toast": _toast,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Render all screens of the made-up patient list."""
    parser = argparse.ArgumentParser(prog="plaque-edge screens", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    options = parser.parse_args(sys.argv[1:] if argv is None else argv)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from gui.sample import SampleSource

    with tempfile.TemporaryDirectory() as folder:
        files = render_all(options.out, SampleSource(Path(folder), spacing_mm=0.5))
    print(f"{len(files)} screens in {options.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
