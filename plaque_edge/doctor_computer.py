"""What ``doctor`` says of the computer: processor, folders, screen, clock."""

from __future__ import annotations

import importlib
import os
import platform
import re
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Line = dict[str, str]
FEATURES = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
"""No clock of a computer that runs this release is before it."""


def computer_checks() -> list[Line]:
    """Return the lines, each with a next step where there is something to do."""
    from engines.private import cache_folder

    folder = cache_folder()
    return [
        _cpu(_flags()),
        _folder(Path.cwd(), "this folder", needed=False),
        _folder(Path(tempfile.gettempdir()), "the folder of temporary files", needed=True),
        _folder(folder if folder.is_dir() else _nearest(folder), "the cache", needed=False),
        _qt(),
        _clock(datetime.now(UTC)),
    ]


def _line(code: str, level: str, text: str, step: str = "") -> Line:
    return {"code": code, "level": level, "text": text, "next_step": step}


def _flags() -> set[str] | None:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    return set(found[1].split()) if found else None


def _cpu(flags: set[str] | None) -> Line:
    if flags is None or platform.machine().lower() not in ("x86_64", "amd64"):
        return _line("CPU", "pass", f"{platform.machine()}, {os.cpu_count()} cores")
    here = [name for name in FEATURES if name in flags]
    text = f"{os.cpu_count()} cores with {', '.join(here) or 'no vector unit that counts'}"
    if "avx2" in flags:
        return _line("CPU", "pass", text)
    return _line("CPU", "warn", text, "Without AVX2 a case takes minutes: use a newer processor.")


def _nearest(folder: Path) -> Path:
    return next((parent for parent in folder.parents if parent.is_dir()), folder)


def _folder(folder: Path, name: str, *, needed: bool) -> Line:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return _line("FOLDER", "pass", f"{name} can be written to ({folder})")
    except OSError as error:
        text = f"{name} cannot be written to ({folder}: {error.strerror})"
        level = "refuse" if needed else "warn"
        return _line("FOLDER", level, text, "Give this user the right to write there.")


def _qt() -> Line:
    """Load the console's library, which is what fails where one of the system's is missing."""
    try:
        importlib.import_module("PySide6.QtWidgets")
    except ImportError as error:
        text = f"the console cannot start: {error}"
        return _line("QT", "warn", text, "Start python3 run.py gui, which names what is missing.")
    if sys.platform.startswith("linux") and not _has_display():
        return _line("QT", "pass", "the console's library loads; there is no display here")
    return _line("QT", "pass", "the console's library loads")


def _has_display() -> bool:
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _clock(now: Any) -> Line:
    zone = time.strftime("%Z")
    if now < EARLIEST:
        step = "Set the clock: results carry its time."
        return _line("CLOCK", "warn", f"{now:%Y-%m-%d %H:%M} UTC cannot be right", step)
    return _line("CLOCK", "pass", f"{now:%Y-%m-%d %H:%M} UTC, time zone {zone}")
