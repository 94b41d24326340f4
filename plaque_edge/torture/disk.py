"""``torture disk``: the disk of the results runs full, really, at a random stage of a case.

The results lie on a small disk of its own (tmpfs, which needs the right to mount), that is filled
to within some bytes and emptied again. The service must live on, the database stay valid, the
input stay as it is, and every scan must end with the right result once there is room.
"""

from __future__ import annotations

import random
import subprocess
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from plaque_edge.errors import PlaqueEdgeError, Refused
from plaque_edge.store import Store
from plaque_edge.torture.stream import MEASURED, Patterns, Scan, Servant, check_database, judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from plaque_edge.store import CaseRow

DISK_MB = 96
STAGES = ("running", "receiving", "before")
LEFT = (0, 4 << 10, 32 << 10, 128 << 10, 512 << 10, 1 << 20, 2 << 20)
"""Bytes left on the disk: some stages fit into what is left, the next does not."""
MET = ("STORE_FULL", "RESULT_DISK_FULL")
"""What the service says when it finds no room."""
HELD_S, PATIENCE_S = 60.0, 180.0


def run(count: int, seed: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Fill the disk ``count`` times. Raises ``Refused`` TORTURE_NO_MOUNT."""
    with TemporaryDirectory(prefix="plaque-edge-disk-") as name:
        disk = Path(name) / "disk"
        disk.mkdir()
        mount(disk, DISK_MB)
        try:
            return _Torture(Path(name), disk, random.Random(seed), say).run(count)
        finally:
            subprocess.run(["umount", str(disk)], check=False)


def mount(place: Path, size_mb: int) -> None:
    """Mount a small disk. Raises ``Refused`` TORTURE_NO_MOUNT."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=700", "tmpfs", str(place)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        text = "A small disk cannot be mounted here."
        raise Refused("TORTURE_NO_MOUNT", text, "Run it as root on Linux.") from error


class Ballast:
    """A file that takes all room but some bytes."""

    def __init__(self, disk: Path) -> None:
        self._path = disk / "ballast"

    def fill(self, left: int) -> None:
        """Write until the disk is full, then give ``left`` bytes back."""
        with self._path.open("wb", buffering=0) as file:
            for block in (1 << 20, 4 << 10):
                with suppress(OSError):
                    while True:
                        file.write(bytes(block))
            file.truncate(max(0, file.tell() - left))

    def drop(self) -> None:
        """Give all of it back."""
        self._path.unlink(missing_ok=True)


class _Torture:
    def __init__(
        self, place: Path, disk: Path, rng: random.Random, say: Callable[[str], None]
    ) -> None:
        self.rng, self.say, self.ballast = rng, say, Ballast(disk)
        self.folder, self.out_dir = place / "export", disk / "results"
        self.folder.mkdir()
        self.patterns = Patterns()
        self.patterns.learn(place / "reference")
        self.servant = Servant(self.folder, self.out_dir)
        self.scans: list[Scan] = []
        self.stages: Counter[str] = Counter()
        self.met: Counter[str] = Counter()
        self.faults: list[str] = []

    def run(self, count: int) -> dict[str, Any]:
        began = time.monotonic()
        refused = self._start_on_full_disk()
        if not refused.startswith("exit 1, STORE_"):
            self.faults.append(f"start on a full disk: {refused}")
        self.servant.start()
        for number in range(count):
            self._one(number)
            if number % 5 == 4:
                self.say(f"{number + 1} times full, {dict(self.met)}")
        exit_code = self.servant.stop()
        self._check("at the end")
        found = judge(self.patterns, self.scans, self.out_dir)
        bad = any(found[k] for k in ("lost", "duplicated", "wrong", "input_altered"))
        return {
            "times_full": count,
            "stages": dict(self.stages),
            "met": dict(self.met),
            "start_on_full_disk": refused,
            **found,
            "faults": self.faults,
            "exit_code_at_the_end": exit_code,
            "minutes": round((time.monotonic() - began) / 60, 1),
            "passed": not bad and not self.faults and exit_code == 0,
        }

    def _start_on_full_disk(self) -> str:
        """Say how the service ends that finds no room for its store."""
        self.ballast.fill(0)
        self.servant.start()
        assert self.servant.process is not None
        code = self.servant.process.wait(timeout=120)
        self.ballast.drop()
        said = self.servant.log.read_text(encoding="utf-8").strip().splitlines()
        return f"exit {code}, {said[-1] if said else 'silent'}"

    def _one(self, number: int) -> None:
        stage, left = STAGES[number % len(STAGES)], self.rng.choice(LEFT)
        self.stages[stage] += 1
        said = len(self.servant.log.read_text(encoding="utf-8"))
        if stage == "before":
            self.ballast.fill(left)
        sender = threading.Thread(target=self._send, args=(number,))
        sender.start()
        if stage == "receiving":
            time.sleep(self.rng.uniform(0.0, 0.7))
            self.ballast.fill(left)
        sender.join()
        if stage == "running":
            self._wait(number, lambda row: row.state == "RUNNING" or row.state in MEASURED)
            time.sleep(self.rng.uniform(0.0, 1.0))
            self.ballast.fill(left)
        self._hold(number, said)
        self.ballast.drop()
        if not self._wait(number, lambda row: row.state in MEASURED):
            self.faults.append(f"scan {number}: not finished with room ({stage}, {left})")

    def _send(self, number: int) -> None:
        self.scans.append(self.patterns.write(number, self.folder, pause_s=0.01))

    def _hold(self, number: int, said: int) -> None:
        """Keep the disk full until the service has met that, or the case is through."""
        end = time.monotonic() + HELD_S
        seen = "not met in time"
        while time.monotonic() < end and seen == "not met in time":
            time.sleep(0.1)
            news = self.servant.log.read_text(encoding="utf-8")[said:]
            row = self._row(number)
            if any(code in news for code in MET):
                seen = " ".join(code for code in MET if code in news)
            elif row is not None and row.state in MEASURED:
                seen = "it fitted"
        time.sleep(self.rng.uniform(0.0, 2.0))
        assert self.servant.process is not None
        if self.servant.process.poll() is not None:
            self.faults.append(f"scan {number}: the service ended")
            self.servant.start()
        self._check(f"scan {number}")
        self.met[seen] += 1

    def _check(self, when: str) -> None:
        try:
            check_database(self.out_dir)
        except Exception as error:
            self.faults.append(f"{when}: {type(error).__name__}: {error}")

    def _wait(self, number: int, wanted: Callable[[CaseRow], bool]) -> bool:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            row = self._row(number)
            if row is not None and wanted(row):
                return True
            time.sleep(0.05)
        return False

    def _row(self, number: int) -> CaseRow | None:
        try:
            with Store(self.out_dir, read_only=True) as store:
                return store.latest(*self.scans[number].uids)
        except PlaqueEdgeError:
            return None
