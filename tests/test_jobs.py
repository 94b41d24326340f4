"""The worker and the queue: crashes, stalls, memory, cancel, urgent, retry, a stop half way."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from service_site import worker_of

from plaque_edge.cli import main
from plaque_edge.store import NewRequest, Store, ask

if TYPE_CHECKING:
    from pathlib import Path

    from service_site import Site


@pytest.mark.parametrize(
    ("mode", "code", "limits"),
    [
        ("segfault", "WORKER_DIED", {}),
        ("silent", "WORKER_STALLED", {"stall_s": 12.0}),
        ("memory", "WORKER_MEMORY", {"memory_mb": 700}),
    ],
)
def test_worker_that_goes_wrong_is_replaced_and_the_reason_kept(
    site: Site, mode: str, code: str, limits: dict[str, Any]
) -> None:
    site.mode(mode)
    uids = site.send(0)
    service = site.start(**limits)
    row = site.wait(uids, "READY", "RUNNING", reason=code)
    first = site.reasons(row.case_id)
    assert first[0] == code
    site.mode("")  # the next attempt is well
    row = site.wait(uids, "DONE", "REVIEW")
    assert row.attempts >= 2
    assert worker_of(service).is_running()
    if mode == "segfault" and os.name == "posix":
        assert any("SIGSEGV" in text for text in site.said)


def test_kill_of_the_worker_counts_and_three_fail_the_case_until_a_person_retries(
    site: Site,
) -> None:
    site.mode("slow")
    uids = site.send(0)
    service = site.start()
    for _ in range(3):
        site.wait_inside()
        site.mode_file.with_suffix(".in").unlink()
        worker_of(service).kill()
    row = site.wait(uids, "FAILED")
    assert row.reason is not None
    assert site.reasons(row.case_id) == [row.reason.code] * 3
    assert row.reason.code == ("WORKER_KILLED" if os.name == "posix" else "WORKER_DIED")
    site.mode("")
    assert site.asked("retry", uids) is None
    row = site.wait(uids, "DONE", "REVIEW")
    assert (row.attempts, row.revision) == (1, 1)


def test_urgent_overtakes_and_queued_and_running_cases_can_be_cancelled(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.mode("slow")
    first = site.send(0)
    service = site.start()
    site.wait_inside()
    second, third, fourth = (site.send(n) for n in (1, 2, 3))
    ids = {uids: site.wait(uids, "READY").case_id for uids in (second, third, fourth)}
    at = ["--out", str(site.out)]
    assert main(["jobs", "urgent", str(ids[fourth]), *at]) == 0
    assert main(["jobs", "cancel", str(ids[third]), *at]) == 0
    cancelled = site.wait(third, "FAILED", reason="CANCELLED")
    pid = service.queue.worker.pid
    running = site.wait(first, "RUNNING")
    assert main(["jobs", "cancel", str(running.case_id), *at]) == 0
    site.wait(first, "FAILED", reason="CANCELLED")
    assert service.queue.worker.pid == pid, "a job that is left does not cost the warm worker"
    site.wait(fourth, "RUNNING")
    capsys.readouterr()
    assert main(["jobs", "list", *at]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert any("RUNNING" in line and "URGENT" in line for line in lines)
    assert not any(uid in line for line in lines for uids in ids for uid in uids)
    site.mode("")
    site.wait(fourth, "DONE", "REVIEW")
    site.wait(second, "DONE", "REVIEW")
    assert main(["jobs", "cancel", str(ids[second]), *at]) == 2
    assert "REQUEST_NOT_NOW" in capsys.readouterr().err
    assert main(["jobs", "retry", str(cancelled.case_id), *at]) == 0
    assert site.wait(third, "DONE", "REVIEW").revision == 1
    assert main(["jobs", "retry", "999", *at]) == 2


def test_worker_that_does_not_listen_is_ended_on_cancel(site: Site) -> None:
    site.mode("deaf")
    uids = site.send(0)
    service = site.start(stop_s=0.5)
    site.wait_inside()
    pid = service.queue.worker.pid
    assert site.asked("cancel", uids) is None
    site.wait(uids, "FAILED", reason="CANCELLED")
    assert service.queue.worker.pid != pid


def test_stop_lets_a_case_end_or_gives_it_back_without_counting(site: Site) -> None:
    site.mode("slow")
    uids = site.send(0)
    site.start()
    site.wait_inside()
    threading.Timer(0.5, site.mode, [""]).start()
    site.stop(within_s=60.0)
    assert site.wait(uids, "DONE", "REVIEW").attempts == 1
    site.mode("slow")
    other = site.send(1)
    site.start()
    site.wait_inside()
    site.stop(within_s=0.3)
    row = site.wait(other, "READY", reason="SERVICE_STOPPED")
    assert row.attempts == 0
    site.mode("")
    site.start()
    assert site.wait(other, "DONE", "REVIEW").attempts == 1


def test_worker_ends_with_a_killed_parent(tmp_path: Path) -> None:
    import subprocess
    import sys

    program = (
        "import time\n"
        "from plaque_edge.config import WorkerOptions\n"
        "from plaque_edge.jobs import Worker\n"
        "if __name__ == '__main__':\n"
        "    w = Worker(WorkerOptions(factory='plaque_edge.torture.tubes:factory'))\n"
        "    print(w.pid, flush=True)\n"
        "    time.sleep(600)\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(program)
    path = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, env=path)
    assert parent.stdout is not None
    worker = psutil.Process(int(parent.stdout.readline()))
    time.sleep(1.0)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert psutil.wait_procs([worker], timeout=120)[1] == []


def test_only_who_is_named_may_sign(site: Site) -> None:
    uids = site.send(0)
    site.options = replace(site.options, signers=("Dr. Li",))
    site.start()
    site.wait(uids, "DONE", "REVIEW")
    assert site.asked("sign", uids) == "ACTION_ROLE_MISSING"
    assert site.asked("accept", uids) is None
    site.service.options = replace(site.options, signers=("Dr. Li", "tester"))
    assert site.asked("sign", uids) is None


def test_accept_reject_sign_and_covariates_are_acts_on_one_revision(site: Site) -> None:
    uids = site.send(0)
    site.start()
    row = site.wait(uids, "DONE", "REVIEW")
    assert site.asked("reject", uids) == "ACTION_REASON_MISSING"
    assert site.asked("reject", uids, reason="motion") is None
    assert site.asked("sign", uids) == "ACTION_NOT_NOW"
    assert site.asked("accept", uids) is None
    assert site.asked("covariates", uids, shoe_size=44) == "REQUEST_INVALID"
    assert site.asked("covariates", uids, age_years=71.0) is None
    assert site.asked("sign", uids) is None
    assert site.asked("covariates", uids, age_years=17.0) == "ACTION_NOT_NOW"
    assert site.asked("accept", ("1", "2")) == "REQUEST_NO_CASE"
    with Store(site.out, read_only=True) as store:
        acts = [a.done for a in store.actions(row.case_id)]
        log = store.audit(row.case_id)
    assert [a.kind for a in acts] == ["reject", "accept", "covariates", "sign"]
    assert {a.result_sha256 for a in acts} == {row.result_sha256}
    assert {a.person for a in acts} == {"tester"}
    refused = [r.detail["refused"] for r in log if r.detail.get("refused")]
    assert refused == [
        "ACTION_REASON_MISSING",
        "ACTION_NOT_NOW",
        "REQUEST_INVALID",
        "ACTION_NOT_NOW",
    ]
    assert site.asked("retry", uids) is None
    again = site.wait(uids, "DONE", "REVIEW")
    assert again.revision == 2
    assert again.result_dir is not None
    import json

    result = json.loads((again.result_dir / "result.json").read_text())
    assert result["covariates"]["age_years"] == 71.0
    with Store(site.out, read_only=True) as store:
        assert store.actions(again.case_id) == ()
        assert store.case(row.case_id).state == "OUTDATED"
    number = ask(site.out, NewRequest("sign", "tester", *uids, revision=1))
    site.asked("urgent", uids)
    with Store(site.out, read_only=True) as store:
        reason = store.request(number).reason
    assert reason is not None
    assert reason.code == "REQUEST_OUTDATED"


def test_faces_can_only_ask(site: Site) -> None:
    import sqlite3

    from plaque_edge.store import request_table

    Store(site.out).close()
    with pytest.raises(ValueError, match="kind"):
        ask(site.out, NewRequest("delete", "me"))
    with pytest.raises(ValueError, match="name"):
        ask(site.out, NewRequest("backup", " "))
    db = request_table.connect(site.out / request_table.DATABASE, "rw")
    db.set_authorizer(request_table._may_only_ask)
    for sql in (
        "INSERT INTO meta VALUES ('x', 'y')",
        "DELETE FROM requests",
        "UPDATE cases SET state = 'DONE'",
        "INSERT INTO audit (at) VALUES ('x')",
        "DROP TABLE requests",
        "DROP TRIGGER audit_no_update",
        "PRAGMA writable_schema = 1",
        "ATTACH ':memory:' AS other",
    ):
        with pytest.raises(sqlite3.DatabaseError, match=r"not authorized|prohibited"):
            db.execute(sql)
    db.close()


@pytest.mark.skipif(os.name != "posix", reason="SIGTERM")
def test_signal_stops_the_command_and_gives_the_case_back(site: Site) -> None:
    import subprocess
    import sys

    site.mode("slow")
    uids = site.send(0)
    command = [sys.executable, "-m", "plaque_edge", "watch", str(site.folder), "--out"]
    command += [str(site.out), "--quiet", "0.2", "--factory", "job_factories:factory"]
    command += ["--min-free-mb", "0"]
    process = subprocess.Popen(
        command,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    site.wait_inside()
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert process.poll() is None, "a running case gets its time"
    process.send_signal(signal.SIGTERM)  # asked twice: at once
    assert process.wait(timeout=120) == 0
    row = site.wait(uids, "READY", reason="SERVICE_STOPPED")
    assert row.attempts == 0
    with Store(site.out, read_only=True) as store:
        assert store.heartbeat_age_s() is None
