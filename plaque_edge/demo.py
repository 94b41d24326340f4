"""``plaque-edge demo``: a simulated scanner's export becomes a result on the screen.

Three real processes meet in one folder, as on a site: the scanner writes DICOM slice by slice
(here), the service watches (its own process), the console shows (its own process).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from plaque_edge.errors import Failed

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

LIMIT_S = 600.0
"""A demo that has not come to an end by then has failed."""


def run(options: argparse.Namespace) -> int:
    """Run the demo; 0 when a result was shown and written, else 1."""
    out: Path = options.out
    export, results = _fresh(out)
    headless = options.headless or not _has_display()
    print("Making a synthetic CCTA (not a patient) ...", flush=True)
    from plaque_edge.phantom.scanner import export as write_slowly
    from plaque_edge.phantom.scene import make_phantom

    with _running(_watch_command(export, results), out / "service.log") as service:
        # The service warms its engines while the scan is made, as it would overnight.
        phantom = make_phantom(options.seed, options.preset, truth=False)
        _wait_for_warm(service, out / "service.log")
        with _running(_console_command(results, out, headless), out / "console.log") as console:
            print(f"Scanner exports {phantom.volume.shape_zyx[0]} slices ...", flush=True)
            write_slowly(phantom.volume, phantom.info, export, options.slices_per_second)
            result = _wait_for_result(results, service, console)
            _tell(result, results, headless)
            code = _wait_for_console(console, out, headless)
    return 0 if code == 0 and result["status"] in ("ready", "review") else 1


class _running:
    """A child process with its words in a file, ended with the block."""

    def __init__(self, command: list[str], log: Path) -> None:
        self._log = log.open("wb")
        self._process = subprocess.Popen(
            command, stdout=self._log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )

    def __enter__(self) -> subprocess.Popen[bytes]:
        return self._process

    def __exit__(self, *_error: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._log.close()


def _fresh(out: Path) -> tuple[Path, Path]:
    """Make the folders of this run. Only what a demo made before is taken away."""
    mark = out / "made-by-demo"
    if out.exists() and any(out.iterdir()) and not mark.exists():
        raise Failed("DEMO_FOLDER_IN_USE", f"{out} has other files in it.", "Choose another --out.")
    export, results = out / "export", out / "results"
    for folder in (export, results, out / "screenshots"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    mark.write_text("Made by plaque-edge demo; the next demo clears this folder.\n")
    return export, results


def _watch_command(export: Path, results: Path) -> list[str]:
    return [sys.executable, "-m", "plaque_edge", "watch", str(export), "--out", str(results)]


def _console_command(results: Path, out: Path, headless: bool) -> list[str]:
    command = [sys.executable, "-m", "gui", "--out", str(results)]
    if headless:
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
        command += ["--screenshots", str(out / "screenshots"), "--exit-when-done"]
    return command


def _has_display() -> bool:
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _wait_for_warm(service: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + LIMIT_S
    while b"worker ready" not in log.read_bytes():
        _must_run(service, log)
        if time.monotonic() > end:
            raise Failed("DEMO_TIMEOUT", "The engines did not get ready.", f"See {log}.")
        time.sleep(0.1)


def _must_run(process: subprocess.Popen[bytes], log: Path) -> None:
    if process.poll() is not None:
        words = log.read_text(errors="replace").strip().splitlines()
        raise Failed("DEMO_STOPPED", f"A part ended: {words[-1] if words else log}", f"See {log}.")


def _wait_for_result(
    results: Path, service: subprocess.Popen[bytes], console: subprocess.Popen[bytes]
) -> dict[str, object]:
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        found = sorted(results.glob("[!.]*/result.json"))
        if found:
            data: dict[str, object] = json.loads(found[0].read_text(encoding="utf-8"))
            return data
        _must_run(service, results.parent / "service.log")
        if console.poll() not in (None, 0):
            _must_run(console, results.parent / "console.log")
        time.sleep(0.1)
    raise Failed("DEMO_TIMEOUT", "No result came.", f"See {results.parent / 'service.log'}.")


def _tell(result: dict[str, object], results: Path, headless: bool) -> None:
    timing = result["timing_ms"]
    assert isinstance(timing, dict)
    folder = next(p.parent for p in results.glob("[!.]*/result.json"))
    print(f"status: {result['status']}")
    print(f"last file to result: {timing['last_file_to_result'] / 1000:.1f} s")
    print(f"result: {folder / 'result.json'}\nreport: {folder / 'report.pdf'}", flush=True)
    if not headless:
        print("Close the console to end the demo.", flush=True)


def _wait_for_console(console: subprocess.Popen[bytes], out: Path, headless: bool) -> int:
    try:
        code = console.wait(timeout=120 if headless else None)
    except subprocess.TimeoutExpired:
        raise Failed(
            "DEMO_TIMEOUT", "The console did not show the result.", f"See {out / 'console.log'}."
        ) from None
    if headless:
        shots = sorted((out / "screenshots").glob("*.png"))
        if not shots:
            raise Failed("DEMO_NO_SCREENSHOT", "No screenshot was saved.", "See console.log.")
        print("screenshots: " + ", ".join(str(s) for s in shots), flush=True)
    return code
