"""Start the console: ``python -m gui --out DIR``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gui.recorder import Recorder, exit_code

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gui.service_process import ServiceProcess
    from gui.settings import Settings
    from gui.source import StoreSource


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="plaque-edge gui",
        description="The console on one output folder. Research use only, not a medical device.",
        epilog="example: plaque-edge gui --out results",
    )
    parser.add_argument("--out", type=Path, default=Path("results"), metavar="DIR",
                        help="the folder the service writes its results to (results)")  # fmt: skip
    parser.add_argument("--screenshots", type=Path, metavar="DIR",
                        help="save pictures of the worklist and the result here")  # fmt: skip
    parser.add_argument("--exit-when-done", action="store_true",
                        help="leave once all is finished and shown")  # fmt: skip
    parser.add_argument("--watch", type=Path, action="append", default=[], metavar="FOLDER",
                        help="start the service on this folder unless one runs")  # fmt: skip
    parser.add_argument("--language", choices=("en", "zh"), help="instead of the settings'")
    parser.add_argument("--scale", type=int, metavar="PERCENT", help="instead of the settings'")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="instead of your own")
    parser.add_argument("--theme", choices=("dark", "light"), help="instead of the settings'")
    parser.add_argument("--light", dest="theme", action="store_const", const="light")
    parser.add_argument("--dark", dest="theme", action="store_const", const="dark")
    parser.add_argument("--size", type=_size, default=(1600, 900), metavar="WxH")
    return parser.parse_args(argv)


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError("expected WIDTHxHEIGHT, for example 1920x1080") from None
    return width, height


def _chosen(options: argparse.Namespace) -> Settings:
    """Return the settings, with what the command line says instead."""
    from gui import settings

    said = {name: getattr(options, name) for name in ("language", "scale", "theme")}
    return replace(
        settings.load(options.settings), **{k: v for k, v in said.items() if v is not None}
    )


def _service(options: argparse.Namespace, source: StoreSource) -> ServiceProcess:
    """Return the service's process; start it where that was asked for and none is alive."""
    from gui.service_process import ServiceProcess
    from gui.window import SILENT_AFTER_S

    service = ServiceProcess(options.watch, options.out)
    age = source.heartbeat_age_s()
    silent = age is None or age > SILENT_AFTER_S
    if silent and options.watch:
        service.start()
    return service


def main(argv: Sequence[str] | None = None) -> int:
    """Run the console; return 0, or 130 when interrupted.

    With ``--exit-when-done`` also 1 failed, 2 not analysable.
    """
    options = parse(sys.argv[1:] if argv is None else argv)
    no_display = sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    if no_display:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    chosen = _chosen(options)
    os.environ.setdefault("QT_SCALE_FACTOR", str(chosen.scale / 100))
    from PySide6.QtWidgets import QApplication

    from gui import i18n, theme
    from gui.source import StoreSource
    from gui.window import MainWindow, WindowOptions

    app = QApplication.instance() or QApplication(["plaque-edge"])
    assert isinstance(app, QApplication)
    i18n.use(chosen.language)
    theme.use_scheme(chosen.scheme)
    theme.apply(app, theme.LIGHT if chosen.theme == "light" else theme.DARK)
    source = StoreSource(options.out)
    window = MainWindow(
        source,
        options=WindowOptions(
            open_first=options.exit_when_done,
            out_dir=str(options.out),
            settings=chosen,
            settings_file=options.settings,
            service=_service(options, source),
        ),
    )
    window.resize(*options.size)
    window.show()
    recorder = Recorder(window, options.screenshots, leave=options.exit_when_done)
    interrupted: list[int] = []

    def leave(number: int, _frame: object) -> None:
        interrupted.append(number)
        app.quit()

    signal.signal(signal.SIGINT, leave)
    app.exec()
    window.close()
    if interrupted:
        return 130
    return exit_code(recorder.final) if options.exit_when_done else 0


def run(argv: Sequence[str] | None = None) -> int:
    """Run the console as a process's last act: :func:`main`, then leave what still draws."""
    from gui.background import leave

    return leave(main(argv))


if __name__ == "__main__":
    raise SystemExit(run())
