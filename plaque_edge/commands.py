"""The commands that work on scans: analyze, watch and receive, phantom."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from plaque_edge import RESEARCH_USE
from plaque_edge.errors import Refused

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from plaque_edge.config import ReceiveOptions, RetentionOptions
    from plaque_edge.pipeline import Analysis
    from plaque_edge.types import CaseResult

CLOSE_S = 15.0
"""How long a running case may still take when the service is asked to stop."""
EXIT = {"ready": 0, "review": 0, "not_analysable": 2, "failed": 1}


def analyze(options: argparse.Namespace) -> int:
    """Analyse one study; the JSON is written however it ends."""
    from plaque_edge.config import WorkerOptions
    from plaque_edge.export.result_json import to_dict, write_json
    from plaque_edge.pipeline import AnalyzeOptions
    from plaque_edge.pipeline import analyze as run
    from plaque_edge.risk_choice import risk_model
    from plaque_edge.settings import read_limits
    from plaque_edge.store.database import DATABASE
    from plaque_edge.types import Covariates
    from plaque_edge.worker import open_all, warm_everything

    if options.out and (options.out / DATABASE).exists():
        text = f"{options.out} holds the results of a service; its store would not know of this."
        raise Refused("OUT_IS_STORE", text, "Choose another folder with --out.")
    wanted = AnalyzeOptions(
        series_uid=options.series,
        covariates=Covariates(age_years=options.age, sex=options.sex),
        debug=options.debug,
        view=bool(options.out or options.pdf),
        limits=read_limits(options.settings),
        risk_model=risk_model(
            options.risk_model, options.settings, options.models, stand_in=bool(options.factory)
        ),
    )
    engines, segmenter = open_all(
        WorkerOptions(engine=options.engine, factory=options.factory, models=options.models)
    )
    with ThreadPoolExecutor(1) as pool:
        # Engines open while the files are read.
        opening = pool.submit(warm_everything, engines)

        def opened() -> Any:
            opening.exception()  # waits; what went wrong is raised again by the next line
            return engines()

        analysis = run(options.paths, wanted, opened, progress_line(), segmenter)
    data = to_dict(analysis.result)
    try:
        if options.out:
            data = _publish(analysis, options.out)
        if options.pdf:
            _write_pdf(analysis, options.pdf)
    finally:
        put_json(data, options.json, write_json)
        _summary(analysis.result)
    return EXIT[analysis.result.status]


def _publish(analysis: Analysis, out: Path) -> dict[str, Any]:
    from plaque_edge.publish import folder_name, publish

    info = analysis.result.info
    uid = info.series_instance_uid if info else "no-series"
    return publish(analysis, out / folder_name(uid, 1))


def _write_pdf(analysis: Analysis, path: Path) -> None:
    from plaque_edge.publish import write_report

    with writing():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_report(analysis, path)


@contextmanager
def writing() -> Iterator[None]:
    """Turn what the disk says no to into ``Failed`` RESULT_NOT_WRITTEN."""
    try:
        yield
    except OSError as error:
        from plaque_edge.publish import not_written

        raise not_written(error) from error


def _summary(result: CaseResult) -> None:
    """Say on stderr how it ended: reasons as ``CODE: sentence. Next step.``."""
    for reason in result.reasons:
        print(f"{reason.code}: {reason.text} {reason.next_step}".strip(), file=sys.stderr)
    if result.measures is not None:
        patient = result.measures.patient
        volume = "not measured" if patient.plaque_mm3 is None else f"{patient.plaque_mm3:.0f} mm3"
        seconds = result.timing_ms.get("total", 0.0) / 1000
        networks = result.timing_ms.get("networks", 0.0) / 1000
        took = f"{seconds:.1f} s, {networks:.1f} s of it in the networks"
        print(f"{result.status}: plaque {volume} in {took}", file=sys.stderr)
        print(f"{RESEARCH_USE}.", file=sys.stderr)


def watch(options: argparse.Namespace) -> int:
    """Watch, receive, or both, until interrupted, or with ``--once`` until all is done."""
    from plaque_edge.config import (
        SHARE_QUIET_S,
        RetentionOptions,
        ServiceOptions,
        WatchOptions,
        WorkerOptions,
    )
    from plaque_edge.private import OWNER_ONLY
    from plaque_edge.risk_choice import risk_model
    from plaque_edge.service import Service
    from plaque_edge.settings import (
        FILE_NAME,
        read_limits,
        read_receiver,
        read_settings,
        read_signers,
    )

    os.umask(OWNER_ONLY)
    defaults = WatchOptions()
    quiet = SHARE_QUIET_S if options.share else defaults.quiet_s
    look = WatchOptions(
        quiet_s=quiet if options.quiet is None else options.quiet,
        late_s=defaults.late_s if options.late is None else options.late,
        sibling_s=defaults.sibling_s if options.sibling is None else options.sibling,
        events=not options.share,
        head_start=not options.no_head_start,
    )
    own = options.out / FILE_NAME
    site = options.settings or (own if own.is_file() else None)
    rules = read_settings(site) if site else {}
    known = read_receiver(site) if options.port is None else None
    folders = tuple(dict.fromkeys((*options.folders, *rules)))
    if not folders and options.port is None and known is None:
        text = "There is no folder to watch."
        raise Refused("FOLDER_NOT_NAMED", text, "Name a folder, or a file with --settings.")
    for folder in folders:
        if not folder.is_dir():
            print(
                f"FOLDER_MISSING: {folder} is not there. It is watched for all the same.",
                file=sys.stderr,
            )
    worker = WorkerOptions(
        engine=options.engine,
        models=options.models,
        factory=options.factory,
        debug=options.debug,
        limits=read_limits(site),
        risk_model=risk_model(
            options.risk_model, site, options.models, stand_in=bool(options.factory)
        ),
        **_given(options, "memory_mb"),
    )
    room = RetentionOptions(
        **_given(options, "warn_free_mb", "min_free_mb", "keep_results_days", "keep_received_days")
    )
    receive = receive_options(options, room)
    if receive is None and known is not None:
        receive = replace(known, min_free_bytes=room.min_free_mb << 20)
    signers = read_signers(site)
    service = Service(
        ServiceOptions(
            folders, options.out, look, worker, receive, room, rules=rules, signers=signers
        ),
        say=lambda text: print(text, flush=True),
    )
    stop = threading.Event()
    interrupted = threading.Event()

    def end(number: int, _frame: object) -> None:
        interrupted.set() if number == signal.SIGINT else None
        service.hurry.set() if stop.is_set() else None  # asked twice: don't wait for the case
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    where = ", ".join(map(str, service.watcher.folders))
    print(f"watching {where}; results in {options.out}", flush=True)
    print(f"{RESEARCH_USE}.", flush=True)
    try:
        service.run(once=options.once, stop=stop)
    finally:
        rows = service.rows()
        service.close(within_s=CLOSE_S)
    if interrupted.is_set():
        return 130
    return 1 if options.once and any(r.state == "FAILED" for r in rows) else 0


def _given(options: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Return the options that were given; the others keep the default of their settings."""
    return {n: getattr(options, n) for n in names if getattr(options, n, None) is not None}


def receive_options(options: argparse.Namespace, room: RetentionOptions) -> ReceiveOptions | None:
    """Return how to receive, or ``None`` where nothing is to be. Raises ``Refused``."""
    from plaque_edge.config import ReceiveOptions

    if options.port is None or options.aet is None:
        if options.port is not None or options.aet is not None or options.allow or options.tls_cert:
            raise Refused(
                "RECEIVE_OPTION_MISSING",
                "A receiver needs a port and an AE title.",
                "Give both --port and --aet.",
            )
        return None
    given = {
        "max_object_bytes": options.max_object_mb and options.max_object_mb << 20,
        "max_associations": options.max_associations,
        "max_bytes_per_s": options.max_mb_per_s and options.max_mb_per_s * (1 << 20),
        "max_per_minute": options.max_per_minute,
        "idle_s": options.idle,
    }
    return ReceiveOptions(
        port=options.port,
        aet=options.aet,
        allow=tuple(options.allow),
        bind=options.bind,
        tls_cert=options.tls_cert,
        tls_key=options.tls_key,
        tls_ca=options.tls_ca,
        min_free_bytes=room.min_free_mb << 20,
        **{name: value for name, value in given.items() if value is not None},
    )


def phantom(options: argparse.Namespace) -> int:
    """Write a synthetic CCTA as DICOM, and its truth beside it."""
    from plaque_edge.export.result_json import write_json
    from plaque_edge.phantom.dicom import write_series
    from plaque_edge.phantom.scene import PRESETS, make_phantom

    if options.preset not in PRESETS:
        text = f"There is no preset {options.preset}."
        raise Refused("PRESET_UNKNOWN", text, f"Choose one of {', '.join(PRESETS)}.")
    folder = options.out / "dicom"
    if folder.exists() and any(folder.iterdir()):
        raise Refused("FOLDER_NOT_EMPTY", f"{folder} has files in it.", "Choose another folder.")
    made = make_phantom(options.seed, options.preset)
    files = write_series(made.volume, made.info, folder)
    write_json(made.truth, options.out / "truth.json")
    print(f"{len(files)} files in {folder}, truth in {options.out / 'truth.json'}")
    return 0


def put_json(
    data: dict[str, Any], target: str, write: Callable[[dict[str, Any], Path], None]
) -> None:
    """Write JSON to a file, or to standard output for ``-``. Raises ``Failed``."""
    from pathlib import Path

    if target == "-":
        print(json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False))
    else:
        with writing():
            write(data, Path(target))


def progress_line() -> Callable[[str, float], None]:
    """Return a reporter: one moving line on a terminal, one line per step elsewhere."""
    terminal = sys.stderr.isatty()
    last = [""]

    def report(step: str, share: float) -> None:
        if terminal:
            end = "\n" if share >= 0.95 else ""
            print(f"\r{step:<9} {100 * share:3.0f} %", end=end, file=sys.stderr, flush=True)
        elif step != last[0]:
            print(f"{step} ...", file=sys.stderr, flush=True)
        last[0] = step

    return report
