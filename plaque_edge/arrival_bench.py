"""From the last file to the result: a whole service, with and without a head start, in turn."""

from __future__ import annotations

import json
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from plaque_edge.cases import FINISHED
from plaque_edge.commands import put_json
from plaque_edge.config import RetentionOptions, ServiceOptions, WatchOptions, WorkerOptions
from plaque_edge.errors import Failed
from plaque_edge.export.result_json import write_json
from plaque_edge.phantom.dicom import encode_instances, make_uid
from plaque_edge.phantom.scene import make_phantom
from plaque_edge.service import Service

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from plaque_edge.phantom.scene import Phantom
    from plaque_edge.store import CaseRow

SEED: Final = 1
FILES_PER_S: Final = 40.0
PATIENCE_S: Final = 600.0


def bench(options: argparse.Namespace) -> int:
    """Send one scan again and again and print what each way took."""
    data = time_arrivals(options.engine, options.repeat)
    if options.json:
        put_json(data, options.json, write_json)
    if options.json != "-":
        for row in data["rows"]:
            how = "with" if row["head_start"] else "without"
            print(
                f"{how:<8} head start: {row['last_file_to_result_s']} s after the last file "
                f"({row['beyond_analysis_s']} s beyond the analysis itself)"
            )
    return 0


def time_arrivals(engine: str, repeat: int, worker: WorkerOptions | None = None) -> dict[str, Any]:
    """Return the medians of both ways. Raises ``Failed`` BENCH_NO_RESULT.

    Each file comes alone, as from a scanner that writes :data:`FILES_PER_S`; the quiet time is
    the default.
    """
    phantom = make_phantom(SEED, "standard")
    options = worker or WorkerOptions(engine=engine)
    timings: dict[bool, list[dict[str, float]]] = {False: [], True: []}
    with ExitStack() as stack:
        sites = {way: stack.enter_context(_site(options, way)) for way in timings}
        for number in range(max(1, repeat)):
            for way, (service, folder) in sites.items():
                timings[way].append(_send(service, folder, phantom, number))
    return {
        "slices": int(phantom.volume.hu.shape[0]), "files_per_s": FILES_PER_S,
        "quiet_s": WatchOptions().quiet_s, "repeat": max(1, repeat),
        "rows": [_row(way, found) for way, found in timings.items()],
    }  # fmt: skip


@contextmanager
def _site(worker: WorkerOptions, head_start: bool) -> Iterator[tuple[Service, Path]]:
    """Run a warm service and give it with the folder it looks at."""
    with TemporaryDirectory(prefix="plaque-edge-arrival-") as name:
        folder, stop = Path(name) / "export", threading.Event()
        folder.mkdir()
        look = replace(WatchOptions(), head_start=head_start)
        room = RetentionOptions(warn_free_mb=0, min_free_mb=0)
        out_dir = Path(name) / "results"
        service = Service(ServiceOptions((folder,), out_dir, look, worker, retention=room))
        thread = threading.Thread(target=service.run, kwargs={"stop": stop})
        thread.start()
        try:
            _until(lambda: service.queue.worker.warm)
            yield service, folder
        finally:
            stop.set()
            thread.join()
            service.close()


def _row(head_start: bool, timings: list[dict[str, float]]) -> dict[str, Any]:
    """Return the medians; what an analysis takes itself differs with what else is at work."""
    waits = [t["last_file_to_result"] / 1000.0 for t in timings]
    own = [t["total"] / 1000.0 for t in timings]
    beyond = [wait - took for wait, took in zip(waits, own, strict=True)]
    return {
        "head_start": head_start,
        "last_file_to_result_s": round(median(waits), 2),
        "each_s": [round(w, 2) for w in waits],
        "analysis_s": round(median(own), 2),
        "beyond_analysis_s": round(median(beyond), 2),
    }


def _send(service: Service, folder: Path, phantom: Phantom, number: int) -> dict[str, float]:
    """Write one scan file by file and return the timing of its result."""
    info = replace(
        phantom.info,
        study_instance_uid=make_uid("arrival", "study", str(number)),
        series_instance_uid=make_uid("arrival", "series", str(number)),
    )
    home = folder / str(number)
    home.mkdir()
    began = time.monotonic()
    for count, (name, data) in enumerate(encode_instances(phantom.volume, info), start=1):
        (home / name).write_bytes(data)
        time.sleep(max(0.0, began + count / FILES_PER_S - time.monotonic()))

    def ended() -> CaseRow | None:
        found = [r for r in service.rows() if r.series_uid == info.series_instance_uid]
        return found[0] if found and found[0].state in FINISHED else None

    row = _until(ended)
    if row.result_dir is None:
        raise Failed("BENCH_NO_RESULT", "The scan gave no result.", "Run the self-test.")
    data = json.loads((row.result_dir / "result.json").read_text(encoding="utf-8"))
    timing: dict[str, float] = data["timing_ms"]
    return timing


def _until(what: Any) -> Any:
    end = time.monotonic() + PATIENCE_S
    while not (found := what()):
        if time.monotonic() > end:
            text = f"There was no result within {PATIENCE_S:.0f} s."
            raise Failed("BENCH_NO_RESULT", text, "Run it when the computer is less busy.")
        time.sleep(0.02)
    return found
