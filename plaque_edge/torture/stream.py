"""A stream of scans for the tortures: they come one after another; what each must give."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plaque_edge.cases import FINISHED, TRANSITIONS
from plaque_edge.export.result_json import to_dict
from plaque_edge.housekeeping import ANCHOR
from plaque_edge.phantom.dicom import encode_instances
from plaque_edge.pipeline import AnalyzeOptions, analyze
from plaque_edge.store import DATABASE, Anchor, Store
from plaque_edge.store.backup import prove
from plaque_edge.torture import tubes

if TYPE_CHECKING:
    from plaque_edge.store import CaseRow

FACTORY = "plaque_edge.torture.tubes:factory"
MEASURED = frozenset({"DONE", "REVIEW"})
_OWN = ("series", "timing_ms")
"""What differs between two scans of one pattern."""


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan of the stream: its UIDs, its pattern and the hash of every file."""

    uids: tuple[str, str]
    pattern: int
    files: dict[Path, str]


class Patterns:
    """Encoded files of each pattern, and what an undisturbed analysis of it gives."""

    def __init__(self) -> None:
        self._volumes = [tubes.small(k).volume() for k in range(tubes.PATTERNS)]
        self.results: dict[int, dict[str, Any]] = {}

    def write(self, number: int, folder: Path, pause_s: float = 0.0) -> Scan:
        """Write scan ``number`` file by file, as a scanner does."""
        pattern = number % tubes.PATTERNS
        info = tubes.header(f"torture-{number}", slice_thickness_mm=1.0)
        place = folder / f"{number:04}"
        place.mkdir(parents=True)
        files = {}
        for name, data in encode_instances(self._volumes[pattern], info):
            (place / name).write_bytes(data)
            files[place / name] = hashlib.sha256(data).hexdigest()
            time.sleep(pause_s)
        return Scan((info.study_instance_uid, info.series_instance_uid), pattern, files)

    def learn(self, folder: Path) -> None:
        """Have a place to analyse each pattern undisturbed, once it is asked for."""
        self._reference = folder

    def right(self, pattern: int) -> dict[str, Any]:
        """Return the undisturbed result. Raises ``RuntimeError`` where it is not right itself.

        It is held against the analytic truth of the tubes.
        """
        if pattern not in self.results:
            opener, segment = tubes.factory()
            scan = self.write(pattern, self._reference)
            found = analyze(list(scan.files), AnalyzeOptions(), opener, None, segment).result
            true = tubes.small(pattern).plaque_mm3()
            measured = found.measures.patient.plaque_mm3 if found.measures else None
            if measured is None or abs(measured - true) > 0.01 * true:
                raise RuntimeError(f"pattern {pattern}: {measured} mm3 measured, {true} true")
            self.results[pattern] = _plain(to_dict(found))
        return self.results[pattern]

    def wrong(self, scan: Scan, row: CaseRow) -> str:
        """Say what is wrong with a result, nothing when it is exactly the right one."""
        if row.result_dir is None:
            return "no result folder"
        path = row.result_dir / "result.json"
        try:
            text = path.read_bytes()
            data = json.loads(text)
        except (OSError, ValueError) as error:
            return f"result cannot be read: {type(error).__name__}"
        if hashlib.sha256(text).hexdigest() != row.result_sha256:
            return "the store knows another result.json"
        series = data["series"]
        if (series["study_instance_uid"], series["series_instance_uid"]) != scan.uids:
            return "another scan's result"
        got, right = _plain(data), self.right(scan.pattern)
        if got != right:
            return f"not as undisturbed: {[k for k in right if got.get(k) != right[k]]}"
        names = {p.name for p in row.result_dir.iterdir()}
        return "" if names == {"result.json", "report.pdf", "view"} else f"files {sorted(names)}"


class Sender(threading.Thread):
    """Sends scans one by one while fewer than ``ahead`` are unfinished."""

    def __init__(self, patterns: Patterns, folder: Path, out_dir: Path, ahead: int = 3) -> None:
        super().__init__(daemon=True)
        self.scans: list[Scan] = []
        self.stop = threading.Event()
        self._patterns, self._folder, self._out_dir, self.ahead = patterns, folder, out_dir, ahead

    def run(self) -> None:
        """Send until asked to stop; the scan on its way is sent to its end."""
        while not self.stop.is_set():
            if len(self.scans) - self._finished() >= self.ahead:
                self.stop.wait(0.1)
                continue
            self.scans.append(self._patterns.write(len(self.scans), self._folder, pause_s=0.005))

    def _finished(self) -> int:
        try:
            with Store(self._out_dir, read_only=True) as store:
                return sum(r.state in FINISHED for r in store.cases(everything=True))
        except Exception:  # not there yet, or just being opened
            return 0


@dataclass
class Servant:
    """The service as a process of its own."""

    folder: Path
    out_dir: Path
    more: tuple[str, ...] = ()
    quiet_s: float = 0.3
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """Where it says what it does."""
        return self.folder.parent / "service.txt"

    def start(self) -> None:
        """Start it."""
        command = [sys.executable, "-m", "plaque_edge", "watch", str(self.folder)]
        command += ["--out", str(self.out_dir), "--factory", FACTORY]
        command += ["--quiet", str(self.quiet_s)]
        command += ["--late", "20", "--min-free-mb", "0", "--warn-free-mb", "0", *self.more]
        root = Path(__file__).parents[2]
        env = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=root, env=env, stdout=log, stderr=log)

    def stop(self) -> int:
        """End it in good order and return its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout=120)


def check_database(out_dir: Path) -> None:
    """Prove every page, reference and row of the audit log. Raises ``Failed``, ``RuntimeError``."""
    path = out_dir / DATABASE
    if not path.exists():
        return
    prove(path)
    with Store(out_dir, read_only=True) as store:
        anchors = []
        if (out_dir / ANCHOR).exists():
            data = json.loads((out_dir / ANCHOR).read_text(encoding="utf-8"))
            anchors = [Anchor(data["seq"], data["sha256"])]
        faults = store.verify_audit(anchors).faults
        if faults:
            raise RuntimeError(f"audit log: {faults[0].text}")
        was: dict[int, Any] = {}
        for event in store.events():
            before = was.get(event.case_id)
            legal = before is None if event.state_from is None else (
                event.state_from == before and event.state_to in TRANSITIONS[before]
            )  # fmt: skip
            if not legal:
                raise RuntimeError(f"case {event.case_id}: {before} to {event.state_to}")
            was[event.case_id] = event.state_to
        for row in store.cases(everything=True):
            if was[row.case_id] != row.state:
                raise RuntimeError(f"case {row.case_id}: {row.state} without a journal")


def judge(patterns: Patterns, scans: list[Scan], out_dir: Path) -> dict[str, Any]:
    """Count what was lost, doubled, wrong or altered, with the first examples in words."""
    with Store(out_dir, read_only=True) as store:
        rows = store.cases(everything=True)
        ends = [e.case_id for e in store.events() if e.state_to in MEASURED]
    by_uids: dict[tuple[str, str], list[CaseRow]] = {}
    for row in rows:
        by_uids.setdefault((row.study_uid, row.series_uid), []).append(row)
    faults: dict[str, list[str]] = {"lost": [], "duplicated": [], "wrong": [], "input_altered": []}
    for number, scan in enumerate(scans):
        mine = by_uids.get(scan.uids, [])
        if not mine or mine[0].state not in MEASURED:
            faults["lost"].append(f"scan {number}: {mine[0].state if mine else 'no case'}")
            continue
        if len(mine) > 1 or ends.count(mine[0].case_id) != 1:
            faults["duplicated"].append(f"scan {number}: {len(mine)} revisions")
        what = patterns.wrong(scan, mine[0])
        if what:
            faults["wrong"].append(f"scan {number}: {what}")
        for path, sha256 in scan.files.items():
            if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
                faults["input_altered"].append(path.name)
    results = {r.result_dir for r in rows if r.result_dir is not None}
    folders = {p.parent for p in out_dir.glob("*/result.json")}
    faults["duplicated"] += [f"{f.name}: nobody's folder" for f in folders - results]
    left = [p.name for p in out_dir.glob(".*.part")]
    return {
        "scans": len(scans),
        "results": len(ends),
        **{name: len(found) for name, found in faults.items()},
        "drafts_left": len(left),
        "examples": [text for found in faults.values() for text in found[:5]],
    }


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    """Return a result without what differs between scans and runs, as JSON gives it back."""
    kept: dict[str, Any] = json.loads(json.dumps(data))
    return {k: v for k, v in kept.items() if k not in _OWN}
