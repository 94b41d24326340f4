"""Every page as PNG: dark and light, both sizes, 100 and 150 %, English and Chinese.

The size of everything is a property of a whole Qt process, so each scale is a process of its own.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from PySide6.QtWidgets import QApplication, QWidget

    from gui.sample import SampleSource
    from gui.window import MainWindow

SIZES = ((1920, 1080), (1366, 768))
SCALES = (100, 150, 175, 200)
IDLE_S = 60.0
"""For a first drawing, which compiles."""
COMPARE_S = 120.0
"""A comparison is a process of its own, and the computer may be busy."""


class Look(NamedTuple):
    """One way to draw all pages; ``size`` is of the screen, before scaling."""

    theme: str
    size: tuple[int, int]
    language: str = "en"
    scale: int = 100

    def name(self, page: str) -> str:
        """Return the file name of a page in this look."""
        width, height = self.size
        return f"{page}-{self.theme}-{width}x{height}-{self.scale}-{self.language}.png"


def all_looks(scale: int) -> list[Look]:
    """Every theme and size in English, and two of them in Chinese, at one scale."""
    english = [Look(theme, size, "en", scale) for theme in ("dark", "light") for size in SIZES]
    chinese = [Look("dark", SIZES[0], "zh", scale), Look("light", SIZES[1], "zh", scale)]
    return english + chinese


def render_all(
    out_dir: Path, data: SampleSource, looks: Iterable[Look], pages: Sequence[str] = ()
) -> list[Path]:
    """Save the pages of ``data`` (all, or the named ones) under ``out_dir``; return the files."""
    from PySide6.QtWidgets import QApplication

    from gui import i18n, theme

    out_dir.mkdir(parents=True, exist_ok=True)
    app = QApplication.instance() or QApplication(["plaque-edge"])
    assert isinstance(app, QApplication)
    files: list[Path] = []
    for look in looks:
        i18n.use(look.language)
        theme.apply(app, theme.LIGHT if look.theme == "light" else theme.DARK)
        for name in pages or PAGES:
            file = out_dir / look.name(name)
            _render(app, data, look, PAGES[name], file)
            files.append(file)
    i18n.use("en")
    return files


def _render(
    app: QApplication,
    data: SampleSource,
    look: Look,
    prepare: Callable[[MainWindow, SampleSource], QWidget | None],
    file: Path,
) -> None:
    from PySide6.QtCore import QCoreApplication, QEvent

    from gui.settings import Settings
    from gui.window import MainWindow, WindowOptions

    data.reset()
    chosen = Settings(person="Dr. Li", role="physician", theme=look.theme, language=look.language)
    options = WindowOptions(out_dir="results", settings=chosen, settings_file=Path(os.devnull))
    window = MainWindow(data, options=options)
    window.resize(*(round(side * 100 / look.scale) for side in look.size))
    window.show()
    window.poller.stop()  # from here on the store is looked at by hand
    window.poll()
    settle(app, window)
    beside = prepare(window, data)
    settle(app, window)
    picture = window.grab()
    if beside is not None:
        _put_over(picture, beside)
    _save(picture.toImage(), file)
    window.close()
    window.deleteLater()
    del window
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()


def _put_over(picture: object, dialog: QWidget) -> None:
    """Draw a dialog in the middle of its window, which a grab of the window leaves out."""
    from PySide6.QtCore import QPointF, QRectF
    from PySide6.QtGui import QColor, QPainter, QPixmap

    from gui import theme

    assert isinstance(picture, QPixmap)
    over, ratio = dialog.grab(), picture.devicePixelRatio()
    with QPainter(picture) as painter:
        x = (picture.width() / ratio - dialog.width()) / 2
        y = (picture.height() / ratio - dialog.height()) / 2
        painter.drawPixmap(QPointF(x, y), over)
        painter.setPen(QColor(theme.current().accent))
        painter.drawRect(QRectF(x, y, dialog.width(), dialog.height()))
    dialog.close()


def _save(image: object, file: Path) -> None:
    """Save with a palette of 256 colours: a third of the size; colours may be off by a little."""
    from PIL import Image
    from PySide6.QtGui import QImage

    assert isinstance(image, QImage)
    flat = image.convertToFormat(QImage.Format.Format_RGBA8888)
    picture = Image.frombytes("RGBA", (flat.width(), flat.height()), bytes(flat.constBits()))
    small = picture.convert("RGB").quantize(256, kmeans=2, dither=Image.Dither.NONE)
    small.save(file, "PNG", optimize=True)


def settle(app: QApplication, window: MainWindow) -> None:
    """Let loads, requests, frames and repaints finish."""
    for _ in range(3):
        app.processEvents()
        window.loader.wait(IDLE_S)
        window.desk.wait(IDLE_S)
        app.processEvents()
        window.page.viewer.frames.wait(IDLE_S)
        app.processEvents()
        end = time.monotonic() + COMPARE_S
        while window.serial.comparison.running and time.monotonic() < end:
            app.processEvents()
            time.sleep(0.01)


def _open(kind: str) -> Callable[[MainWindow, SampleSource], QWidget | None]:
    def prepare(window: MainWindow, data: SampleSource) -> None:
        window.open_row(next(r for r in data.cases() if r.state == kind))
        _settle(window)

    return prepare


def _settle(window: MainWindow) -> None:
    from PySide6.QtWidgets import QApplication

    app = QApplication.instance()
    assert isinstance(app, QApplication)
    settle(app, window)


def _empty(window: MainWindow, data: SampleSource) -> None:
    data.clear()
    window.poll()


def _chosen(window: MainWindow, data: SampleSource) -> None:
    from plaque_edge.types import Reason

    data.wrong = (Reason("DISK_LOW", "Only 12 GB are free on the results disk.", "Make room."),)
    window.poll()
    window.worklist.table.selectRow(7)


def _toast(window: MainWindow, data: SampleSource) -> None:
    _open("DONE")(window, data)
    data.finish_one()
    window.poll()


def _risk_page(page: int) -> Callable[[MainWindow, SampleSource], QWidget | None]:
    def prepare(window: MainWindow, data: SampleSource) -> None:
        _open("DONE")(window, data)
        window.page.risk.turn_to(page)
        window.page.viewer.show_tab(3 if page == 1 else 4)
        window.page.viewer.next_window()

    return prepare


def _viewer(colors: int) -> Callable[[MainWindow, SampleSource], QWidget | None]:
    def prepare(window: MainWindow, data: SampleSource) -> None:
        _open("DONE")(window, data)
        window.page.show_full(True)
        for _ in range(colors):
            window.page.viewer.next_colors()
        window.page.viewer.scene.turn(0.5)

    return prepare


def _correctable(window: MainWindow, data: SampleSource) -> None:
    """Open a case that can be corrected, at its plaque."""
    from dataclasses import replace

    from gui.edit_sample import write_correctable
    from gui.sample import sample_info

    info = sample_info(4)
    done = next(r for r in data.cases() if r.state == "DONE")
    if done.result_dir is None:
        return
    place = write_correctable(done.result_dir.parent / "correct", info)
    row = replace(done, case_id=600, info=info, series_uid=info.series_instance_uid,
                  study_uid=info.study_instance_uid, result_dir=place)  # fmt: skip
    data.replace_rows((row, *data.cases()))
    window.poll()
    window.open_row(row)
    _settle(window)


def _wait_for_numbers(window: MainWindow) -> None:
    edit, end = window.page.viewer.edit, time.monotonic() + COMPARE_S
    while time.monotonic() < end:
        _settle(window)
        if edit.last is not None and not edit.busy and edit.last.edits == edit.edits:
            break
        time.sleep(0.05)
    _settle(window)


def _correct(tool: str) -> Callable[[MainWindow, SampleSource], QWidget | None]:
    def prepare(window: MainWindow, data: SampleSource) -> None:
        _correctable(window, data)
        panel = window.page.viewer
        window.page.correct()
        lad = panel.scene.branch_at("LAD")
        if lad is None:
            return
        panel.scene.set_step(lad, 55.0, lad)
        _wait_for_numbers(window)
        panel.hand.choose(which="wall")
        panel.hand.handle = 6
        for _ in range(8):
            panel.hand.nudge(0.1, whole=False)
        if tool == "stretch":
            panel.hand.choose(tool="stretch")
            panel.hand.mark(lad, 96, 124)
            panel.hand.exclude("Motion or step artefact")
            panel.hand.mark(lad, 60, 80)
        _wait_for_numbers(window)

    return prepare


def _corrected(window: MainWindow, data: SampleSource) -> None:
    """Show a case that a person corrected before: its folder and its act, made here."""
    from gui.edit_sample import correct_sample

    _correctable(window, data)
    row = data.cases()[0]
    data.add_act(row, correct_sample(row, "Dr. Li"))
    window.close_case()
    window.open_row(row)
    _settle(window)


def _answer(window: MainWindow) -> None:
    """Give the page its comparison at once: made here, not in a process for every picture."""
    from PySide6.QtWidgets import QApplication

    from gui.comparison import counted
    from plaque_edge.compare.change import compare
    from plaque_edge.compare.repeatability import Repeatability
    from plaque_edge.compare.study import COMPONENTS
    from plaque_edge.compare_cmd import read

    serial = window.serial
    app = QApplication.instance()
    assert app is not None
    for _ in range(2):
        app.processEvents()
        window.loader.wait(COMPARE_S)
    app.processEvents()
    before, case = serial.prior.scene.case, serial.case
    if before is None or case is None:
        return
    first, second = counted(before).folder, counted(case).folder
    assert first is not None and second is not None
    serial.comparison.stop()
    sd = {"patient": (9.0, 0.05), "vessel": (6.0, 0.06), "segment": (5.0, 0.08)}
    limits = {level: dict.fromkeys(COMPONENTS, limit) for level, limit in sd.items()}
    table = Repeatability(limits, "invented", "", {})
    data = compare(read(first, "PRIOR"), read(second, "PRESENT"), table)
    serial.comparison.done.emit((before.key, case.key), data)


def _open_serial(window: MainWindow, data: SampleSource) -> None:
    """Open the serial page of the done study, answered and drawn, some way along the vessel."""
    _open("DONE")(window, data)
    window.open_serial()
    _answer(window)
    _settle(window)
    window.serial.present.scene.set_path_step(1, 60.0)


def _serial(kernel: str, **changes: str) -> Callable[[MainWindow, SampleSource], QWidget | None]:
    def prepare(window: MainWindow, data: SampleSource) -> None:
        row = data.add_prior(kernel, **changes)
        window.poll()
        _open_serial(window, data)
        assert changes or window.serial.prior_row == row

    return prepare


def _serial_corrected(window: MainWindow, data: SampleSource) -> None:
    """Show two studies of which a person corrected the earlier one."""
    from dataclasses import replace

    from gui.edit_sample import correct_sample, write_correctable

    prior = data.add_prior("Bv40")
    assert prior.result_dir is not None
    place = write_correctable(prior.result_dir.parent / "prior-corrected", prior.info)
    row = replace(prior, result_dir=place)
    data.replace_rows(tuple(row if r is prior else r for r in data.cases()))
    data.add_act(row, correct_sample(row, "Dr. Li"))
    window.poll()
    _open_serial(window, data)


def _signed(window: MainWindow, data: SampleSource) -> None:
    _open("DONE")(window, data)
    row = next(r for r in data.cases() if r.state == "DONE")
    window.desk.ask("sign", "Dr. Li", row)
    _settle(window)
    window.toast.hide()


def _dialog(kind: str) -> Callable[[MainWindow, SampleSource], QWidget | None]:
    def prepare(window: MainWindow, data: SampleSource) -> QWidget | None:
        from gui.dialogs import Ask

        _open("DONE")(window, data)
        window.ask(kind, next(r for r in data.cases() if r.state == "DONE"))
        _settle(window)
        return next(iter(window.findChildren(Ask)), None)

    return prepare


def _page(name: str) -> Callable[[MainWindow, SampleSource], QWidget | None]:
    def prepare(window: MainWindow, data: SampleSource) -> None:
        window.show_page(name)

    return prepare


def _service(window: MainWindow, data: SampleSource) -> None:
    """Show the service's settings, with a folder that nobody saved."""
    window.show_page("settings")
    window.settings_page.turn_to(1)
    window.settings_page.site.file.wait()
    _settle(window)
    window.settings_page.site.add_folder("/data/export")
    there = {"name": "PACS", "host": "192.0.2.7", "port": 104, "aet": "ARCHIVE"}
    window.settings_page.site.destinations.add(there)


def _selftest(window: MainWindow, data: SampleSource) -> None:
    from gui.sample import SELFTEST

    window.show_page("selftest")
    window.selftest.show_result(SELFTEST)


def _keys(window: MainWindow, data: SampleSource) -> QWidget | None:
    from gui.shortcuts import Sheet

    window.show_page("keys")
    _settle(window)
    return next(iter(window.findChildren(Sheet)), None)


def _silent(window: MainWindow, data: SampleSource) -> None:
    data.age = 74.0
    window.poll()


def _nothing(window: MainWindow, data: SampleSource) -> None:
    """Show the worklist as it opens."""


PAGES: dict[str, Callable[[MainWindow, SampleSource], QWidget | None]] = {
    "worklist": _nothing,
    "worklist-empty": _empty,
    "worklist-chosen": _chosen,
    "worklist-service-silent": _silent,
    "result": _open("DONE"),
    "result-event-free": _risk_page(1),
    "result-limits": _risk_page(2),
    "result-review": _open("REVIEW"),
    "result-signed": _signed,
    "result-not-analysable": _open("NOT_ANALYSABLE"),
    "result-failed": _open("FAILED"),
    "result-running": _open("RUNNING"),
    "result-outdated": _open("OUTDATED"),
    "result-toast": _toast,
    "serial": _serial("Bv40"),
    "serial-lowered": _serial("Bv36"),
    "serial-corrected": _serial_corrected,
    "serial-none": _serial("Bv40", birth_date="19010101"),
    "viewer-vessel": _viewer(0),
    "viewer-plaque": _viewer(1),
    "viewer-stenosis": _viewer(2),
    "correct": _correct("points"),
    "correct-stretch": _correct("stretch"),
    "result-corrected": _corrected,
    "ask-covariates": _dialog("covariates"),
    "ask-reject": _dialog("reject"),
    "ask-sign": _dialog("sign"),
    "ask-series": _dialog("choose"),
    "settings": _page("settings"),
    "settings-service": _service,
    "selftest": _selftest,
    "about": _page("about"),
    "keys": _keys,
}


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="plaque-edge screens",
        description="Every page of the console as PNG, with an invented patient list.",
        epilog="example: plaque-edge screens --out screens",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--page", action="append", default=[], choices=sorted(PAGES),
                        help="only this page (may be repeated)")  # fmt: skip
    parser.add_argument("--scale", type=int, choices=SCALES, help="only this size of everything")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Render the pages of the made-up patient list."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    options = parse(arguments)
    if options.scale is None:
        for scale in SCALES:
            subprocess.run(
                [sys.executable, "-m", "gui.screens", *arguments, "--scale", str(scale)], check=True
            )
        return 0
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    os.environ["QT_SCALE_FACTOR"] = str(options.scale / 100)
    from gui.sample import SampleSource

    with tempfile.TemporaryDirectory() as folder:
        data = SampleSource(Path(folder), spacing_mm=0.5)
        files = render_all(options.out, data, all_looks(options.scale), options.page)
    print(f"{len(files)} pages at {options.scale} % in {options.out}")
    return 0


if __name__ == "__main__":
    from gui.background import leave

    raise SystemExit(leave(main()))
