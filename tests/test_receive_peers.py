"""The receiver and real senders: dcmtk's storescu and dcmsend, Orthanc, and a real process."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pydicom
import pytest
import sender
import tube_scan
from dicom_factory import cta, edit
from sender import Orthanc, associate, program, receiver, run, send, slices, stored

from plaque_edge.config import ReceiveOptions, ServiceOptions, WatchOptions, WorkerOptions
from plaque_edge.dicom_pixels import stored_frame
from plaque_edge.dicom_read import read_header
from plaque_edge.phantom.dicom import SYNTAXES
from plaque_edge.service import Service
from plaque_edge.store import CaseRow, Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

ROOT = Path(__file__).parent.parent
PROPOSE = {
    "explicit": "-xe", "implicit": "-xi", "big_endian": "-xb", "deflated": "-xd",
    "rle": "-xr", "jpeg_ls": "-xt", "jpeg_2000": "-xv",
}  # fmt: skip


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def storescu(port: int, folder: Path, *more: str, aet: str = "CT1") -> list[str]:
    command = [program("storescu"), "-aet", aet, "-aec", "PLAQUE", *more]
    return [*command, "+sd", "+r", "127.0.0.1", str(port), str(folder)]


def pixels(path: Path) -> tuple[str, NDArray[Any]]:
    header = read_header(path)
    frames = [stored_frame(path, header.pixels, i) for i in range(header.pixels.count)]
    return header.sop_uid, np.stack(frames)


def same_pixels(source: list[Path], out: Path) -> bool:
    wanted, got = dict(map(pixels, source)), dict(map(pixels, stored(out)))
    return wanted.keys() == got.keys() and all((wanted[k] == got[k]).all() for k in wanted)


def test_a_missing_sender_is_a_failure_in_ci_and_a_skip_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for in_ci, outcome in ((True, pytest.fail.Exception), (False, pytest.skip.Exception)):
        monkeypatch.setattr(sender, "REAL_PEERS", in_ci)
        with pytest.raises(outcome, match="no-such-sender is not installed"):
            program("no-such-sender")


# --- dcmtk ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(PROPOSE))
@pytest.mark.parametrize("enhanced", [False, True], ids=["ct", "enhanced"])
def test_storescu_in_every_syntax(tmp_path: Path, out: Path, name: str, enhanced: bool) -> None:
    files = slices(tmp_path / "source", 64, syntax=name, enhanced=enhanced)
    for path in files[3:]:
        path.unlink()
    with receiver(out) as scp:
        done = run(*storescu(scp.port, tmp_path / "source", PROPOSE[name]))
    assert done.returncode == 0, done.stderr
    assert same_pixels(files[:3], out)
    assert {read_header(p).pixels.syntax for p in stored(out)} == {SYNTAXES[name]}
    assert {pydicom.dcmread(p).file_meta.SourceApplicationEntityTitle for p in stored(out)} == {
        "CT1"
    }


def test_dcmsend_and_echoscu(tmp_path: Path, out: Path) -> None:
    files = cta(tmp_path / "source")
    with receiver(out) as scp:
        echo = [program("echoscu"), "-aec", "PLAQUE", "127.0.0.1", str(scp.port)]
        assert run(*echo).returncode == 0
        target = ["127.0.0.1", str(scp.port), str(tmp_path / "source")]
        done = run(program("dcmsend"), "-aec", "PLAQUE", "+sd", *target)
        assert done.returncode == 0, done.stderr
        multi = run(program("dcmsend"), "-aec", "PLAQUE", "+ma", "+sd", *target)
        assert multi.returncode == 0, multi.stderr
    assert same_pixels(files, out)


def test_four_storescu_at_once(tmp_path: Path, out: Path) -> None:
    files = [cta(tmp_path / name, name) for name in "abcd"]
    with receiver(out) as scp:
        running = [
            subprocess.Popen(storescu(scp.port, tmp_path / name, aet=f"CT{name}"))
            for name in "abcd"
        ]
        assert [p.wait(timeout=sender.PATIENCE_S) for p in running] == [0] * 4
    assert same_pixels([p for group in files for p in group], out)


def test_storescu_is_told_when_it_may_not_send(tmp_path: Path, out: Path) -> None:
    slices(tmp_path / "source", 2)
    with receiver(out, allow=("CT1",)) as scp:
        wrong = run(*storescu(scp.port, tmp_path / "source", aet="CT9"))
        assert wrong.returncode != 0
        assert "Calling AE Title Not Recognized" in wrong.stderr
        assert stored(out) == []
        assert run(*storescu(scp.port, tmp_path / "source")).returncode == 0


def test_storescu_that_aborts_or_is_killed(tmp_path: Path, out: Path) -> None:
    files = cta(tmp_path / "source")
    said: list[str] = []
    with receiver(out, said) as scp:
        assert run(*storescu(scp.port, tmp_path / "source", "--abort")).returncode == 0
        sender.wait_for(lambda: any("ABORTED: 64 stored" in line for line in said))
        info = read_header(files[0]).info
        uids = info.study_instance_uid, info.series_instance_uid
        assert not scp.arrivals.all_sent(uids, 0)
        shutil.rmtree(out / "incoming")
        (out / "incoming").mkdir()
        victim = subprocess.Popen(storescu(scp.port, tmp_path / "source"))
        sender.wait_for(lambda: len(stored(out)) > 5)
        victim.kill()
        victim.wait()
        sender.wait_for(lambda: not list((out / "receiving").iterdir()))
        assert run(*storescu(scp.port, tmp_path / "source")).returncode == 0
        sender.wait_for(lambda: scp.arrivals.all_sent(uids, 0))
    assert same_pixels(files, out)


def test_storescu_over_tls(tmp_path: Path, out: Path) -> None:
    made = sender.certificates(tmp_path)
    files = slices(tmp_path / "source", 64)
    tls = {"tls_cert": made["scp"], "tls_key": made["scp_key"], "tls_ca": made["ca"]}
    trust = ["+cf", str(made["ca"])]
    ours = ["+tls", str(made["scu_key"]), str(made["scu"]), *trust]
    said: list[str] = []
    with receiver(out, said, idle_s=5.0, **tls) as scp:
        with socket.create_connection(("127.0.0.1", scp.port), timeout=sender.PATIENCE_S) as silent:
            done = run(*storescu(scp.port, tmp_path / "source", *ours))  # nobody is held up
            with suppress(ConnectionError):
                assert silent.recv(1) == b""
        assert done.returncode == 0, done.stderr
        assert same_pixels(files, out)
        anonymous = run(*storescu(scp.port, tmp_path / "source", "+tla", *trust))
        assert anonymous.returncode != 0, "mutual TLS: a certificate is needed"
        plain = run(*storescu(scp.port, tmp_path / "source"))
        assert plain.returncode != 0
        assert run(*storescu(scp.port, tmp_path / "source", *ours)).returncode == 0
    assert any(line.startswith("RECEIVE_TLS_REFUSED: ") for line in said)
    with receiver(out, **(tls | {"tls_ca": None})) as scp:
        assert run(*storescu(scp.port, tmp_path / "source", "+tla", *trust)).returncode == 0


# --- Orthanc -------------------------------------------------------------------------------


def test_orthanc_sends_a_series(tmp_path: Path, out: Path) -> None:
    files = cta(tmp_path / "source") + slices(tmp_path / "jpeg", 64, "b", syntax="jpeg_ls")
    said: list[str] = []
    with receiver(out, said, allow=("ORTHANC",)) as scp:
        orthanc = Orthanc(tmp_path / "orthanc", scp.port)
        try:
            for path in files:
                orthanc.ask("/instances", path.read_bytes())
            for series in orthanc.ask("/series"):
                done = orthanc.ask("/modalities/plaque/store", series.encode())
                assert done["FailedInstancesCount"] == 0
        finally:
            orthanc.close()
        info = read_header(files[0]).info
        uids = info.study_instance_uid, info.series_instance_uid
        sender.wait_for(lambda: scp.arrivals.all_sent(uids, 0))
    assert same_pixels(files, out)
    assert sum("ORTHANC ended: 64 stored" in line for line in said) == 2


# --- the service ---------------------------------------------------------------------------


def until(service: Service, state: str, revision: int, limit_s: float = 240.0) -> CaseRow:
    stop = threading.Event()
    end = time.monotonic() + limit_s

    def watch() -> None:
        while time.monotonic() < end:
            row = next(iter(service.rows()), None)
            if row is not None and (row.state, row.revision) == (state, revision):
                break
            time.sleep(0.05)
        stop.set()

    threading.Thread(target=watch).start()
    service.run(stop=stop)
    (row,) = service.rows()
    assert (row.state, row.revision) == (state, revision)
    return row


def test_a_pushed_series_becomes_a_result_at_once_and_a_late_slice_a_revision(
    tmp_path: Path, out: Path
) -> None:
    files = tube_scan.write(tmp_path / "source")
    service = Service(
        ServiceOptions(
            (),
            out,
            WatchOptions(scan_s=0.05, quiet_s=3600.0, late_s=7200.0),
            WorkerOptions(factory="tube_scan:factory", stall_s=120.0),
            ReceiveOptions(0, "PLAQUE", bind="127.0.0.1", min_free_bytes=0),
        ),
        say=lambda _text: None,
    )
    try:
        assert service.receiver is not None
        port = service.receiver.port
        assert set(send(port, files[1:])) == {0}
        assert until(service, "DONE", 1).received == len(files) - 1
        edit(files[5], SeriesDescription="corrected at the scanner")
        assert set(send(port, files)) == {0}
        row = until(service, "DONE", 2)
        assert row.received == len(files)
        states = {(r.revision, r.state) for r in service.store.cases(everything=True)}
        assert states == {(1, "OUTDATED"), (2, "DONE")}
    finally:
        service.close()


@contextmanager
def process(out: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The real command; yields it and its port."""
    command = [sys.executable, "-m", "plaque_edge", *(words or ("receive",))]
    command += ["--port", "0", "--aet", "PLAQUE"]
    command += ["--bind", "127.0.0.1", "--out", str(out), "--factory", "tube_scan:factory"]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    running = subprocess.Popen(
        command, env=env, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert running.stdout is not None
        line = running.stdout.readline()
        found = re.search(r"listens on port (\d+)", line)
        assert found, line + (running.stderr.read() if running.stderr else "")
        yield running, int(found[1])
    finally:
        if running.poll() is None:
            running.kill()
        running.communicate()


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_signal_within_an_association_loses_nothing_confirmed(
    tmp_path: Path, out: Path, number: signal.Signals, code: int
) -> None:
    files = cta(tmp_path / "source")
    edit(files[0], PatientBirthDate="Person", PatientName="Secret^Name")
    with process(out) as (running, port):
        association = associate(port)
        confirmed = set()
        for at, path in enumerate(files):
            if at == 20:
                running.send_signal(number)
                association.dimse_timeout = 2.0  # pynetdicom's sender may overlook the abort
            try:
                answer = association.send_c_store(path)
            except RuntimeError:
                break  # aborted
            if answer.get("Status") == 0:
                confirmed.add(read_header(path).sop_uid)
        told, errors = running.communicate(timeout=sender.PATIENCE_S)
        assert running.returncode == code, errors
    assert 20 <= len(confirmed) <= 64
    kept = {read_header(p).sop_uid for p in stored(out)}
    assert confirmed <= kept
    assert not list((out / "receiving").iterdir())
    for path in stored(out):
        assert read_header(path).incomplete is None
    for text in ("Traceback", "Secret", "Person", "19630512"):
        assert text not in told + errors
    with Store(out, read_only=True) as store:
        assert all(row.state in ("SEEN", "SETTLING", "READY") for row in store.cases())


def seen(out: Path) -> dict[str, int]:
    with Store(out, read_only=True) as store:
        return {row.series_uid: row.received for row in store.cases(everything=True)}


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_watch_receives_as_well_and_goes_on_without(tmp_path: Path, out: Path) -> None:
    pushed, exported = cta(tmp_path / "source", "a"), cta(tmp_path / "export", "b")
    both = {read_header(f[0]).info.series_instance_uid: 64 for f in (pushed, exported)}
    watch = ("watch", str(tmp_path / "export"), "--quiet", "3600")
    with process(out, *watch) as (running, port):
        assert set(send(port, pushed[:40])) == {0}
        sender.wait_for(lambda: sorted(seen(out).values()) == [40, 64])
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=sender.PATIENCE_S) == 0
    for path in pushed[40:]:  # as if the last ones had come just before the end
        shutil.copy(path, stored(out)[0].parent / f"{path.name}.dcm")
    service = Service(
        ServiceOptions(
            (tmp_path / "export",),
            out,
            WatchOptions(scan_s=0.05, quiet_s=3600.0, header_budget_s=3600.0),
        ),
        say=lambda _text: None,
    )
    try:
        service.look()
        service.look()
        assert seen(out) == both
    finally:
        service.close()


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_killed_receiver_keeps_what_it_confirmed(tmp_path: Path, out: Path) -> None:
    files = cta(tmp_path / "source")
    with process(out) as (running, port):
        association = associate(port)
        confirmed = {
            read_header(p).sop_uid for p in files[:20] if association.send_c_store(p).Status == 0
        }
        running.kill()
        running.wait()
        association.abort()
    assert len(confirmed) == 20
    with process(out) as (running, port):
        assert confirmed == {read_header(p).sop_uid for p in stored(out)}
        assert set(send(port, files)) == {0}
        assert len(stored(out)) == 64
