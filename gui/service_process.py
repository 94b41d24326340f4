"""A service that the console starts itself (``gui --watch FOLDER``) and ends with itself."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

from plaque_edge.settings import FILE_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class ServiceProcess:
    """``plaque-edge watch`` as a process of its own; its words go to ``service.log``."""

    def __init__(self, folders: Sequence[Path], out_dir: Path) -> None:
        self._out, self._folders = out_dir, tuple(folders)
        self.started = False
        self._told: tuple[object, str] = (None, "")
        self._command = [
            sys.executable, "-m", "plaque_edge", "watch", *map(str, folders), "--out", str(out_dir),
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it unless it runs."""
        if not self.ended():
            return
        self.started = True
        self._out.mkdir(parents=True, exist_ok=True)
        with (self._out / "service.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )

    def why_ended(self) -> str:
        """Return the line with a code that it ended with; empty while it runs or went well."""
        process = self._process
        if process is None or process.poll() in (None, 0) or process is self._told[0]:
            return self._told[1] if process is self._told[0] else ""
        try:
            said = (self._out / "service.log").read_bytes()[-2000:].decode("utf-8", "replace")
        except OSError:
            said = ""
        coded = [line for line in said.splitlines() if re.match("[A-Z]+(_[A-Z]+)+: ", line)]
        self._told = (process, coded[-1] if coded else "")
        return self._told[1]

    def can_start(self) -> bool:
        """Whether a folder is named, here or in the service's own settings."""
        return bool(self._folders) or (self._out / FILE_NAME).is_file()

    def restart(self) -> None:
        """End it without waiting, and start it anew with what its settings say now."""
        threading.Thread(target=self._anew, name="restart", daemon=True).start()

    def _anew(self) -> None:
        self.stop()
        self.start()

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
