"""A service that the console starts itself (``gui --watch FOLDER``) and ends with itself."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class ServiceProcess:
    """``plaque-edge watch`` as a process of its own; its words go to ``service.log``."""

    def __init__(self, folders: Sequence[Path], out_dir: Path) -> None:
        self._out = out_dir
        self._command = [
            sys.executable, "-m", "plaque_edge", "watch", *map(str, folders), "--out", str(out_dir),
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it unless it runs."""
        if not self.ended():
            return
        self._out.mkdir(parents=True, exist_ok=True)
        with (self._out / "service.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )

    def ended(self) -> bool:
        """Whether it does not run now."""
        return self._process is None or self._process.poll() is not None

    @property
    def pid(self) -> int | None:
        """Its process number while it runs."""
        return None if self._process is None or self.ended() else self._process.pid

    def stop(self) -> None:
        """End it; a running analysis is done again at the next start."""
        if self._process is None or self.ended():
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=10.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
