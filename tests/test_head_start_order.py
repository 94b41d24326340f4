"""Which series get a head start, and who comes before them; the worker is a stand-in."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from dicom_factory import cta, edit, info, volume
from test_head_start import Verdict
from test_watch import FAST, only

from plaque_edge import dispatch, watch
from plaque_edge.arrivals import Arrivals
from plaque_edge.config import RetentionOptions, ServiceOptions, WatchOptions
from plaque_edge.errors import Failed
from plaque_edge.job_messages import Died, Ended, Job, Message, Stopped
from plaque_edge.phantom.dicom import encode_instances, make_uid
from plaque_edge.service import Service
from plaque_edge.store import NewRequest, ask
from plaque_edge.types import Reason
from plaque_edge.watch import Watcher

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SLOW = replace(FAST, quiet_s=1e6, late_s=1e6, header_budget_s=1e6)
VOLUME = volume(64, spacing=1.0, size=96)


@dataclass
class Hands:
    """A worker whose jobs end when the test says so."""

    options: Any = None
    warm: bool = True
    job: Job | None = None
    pid: int | None = None
    begun: list[Job] = field(default_factory=list)
    said: list[Message] = field(default_factory=list)

    @property
    def idle(self) -> bool:
        return self.job is None

    def submit(self, job: Job) -> None:
        assert self.idle
        self.job = job
        self.begun.append(job)

    def stop_job(self, within_s: float | None = None) -> None:
        assert self.job is not None
        self.said.append(Stopped(self.job.case_id))
        self.job = None

    def end(self, status: Any = "ready", *codes: str) -> None:
        assert self.job is not None
        draft = self.job.folder.with_name(f".{self.job.folder.name}.1.part")
        draft.mkdir()
        (draft / "result.json").write_text(json.dumps({"timing_ms": {}}))
        reason = Reason(codes[0], "Text.") if codes else None
        self.said.append(Ended(self.job.case_id, status, reason, draft, codes, "0" * 64, {}))
        self.job = None

    def die(self) -> None:
        case_id, self.job = (self.job.case_id if self.job else None), None
        self.said.append(Died(case_id, Reason("WORKER_DIED", "Text.")))

    def poll(self, timeout_s: float = 0.0) -> list[Message]:
        time.sleep(min(timeout_s, 0.01))
        said, self.said = self.said, []
        return said

    def read_ahead(self, files: object) -> None:
        pass

    def close(self) -> None:
        pass


class Desk:
    """A service that does a turn when it is told to."""

    def __init__(self, place: Path, look: WatchOptions) -> None:
        self.folder, self.out, self.place = place / "in", place / "out", place
        self.folder.mkdir()
        room = RetentionOptions(min_free_mb=0, warn_free_mb=0)
        options = ServiceOptions((self.folder,), self.out, look, retention=room)
        self.said: list[str] = []
        self.service = Service(options, self.said.append)
        self.service._look_at, self.service._looks = 0.0, 0
        self.hands: Hands = self.service.queue.worker  # type: ignore[assignment]
        self.verdict = self.service.watcher.arrivals = Over()
        self.turns(3)  # what comes now is new

    def turns(self, count: int = 8) -> None:
        for _ in range(count):
            self.service._look_at = 0.0
            self.service._turn()

    def send(self, name: str, study: str = "", most: int = 64) -> tuple[str, str]:
        """Send the first images of a series, of its own study or another's."""
        made = info(name, study_instance_uid=make_uid("study", study or name))
        (self.folder / name).mkdir(exist_ok=True)
        files = list(encode_instances(VOLUME, made))
        for file_name, data in files[:most]:
            path = self.folder / name / file_name
            if not path.exists():
                path.write_bytes(data)
        self.names = [file_name for file_name, _ in files]
        return made.study_instance_uid, made.series_instance_uid

    def state(self, uids: tuple[str, str]) -> str:
        row = self.service.ledger.row(uids)
        return row.state if row is not None else ""

    def acts(self) -> list[str]:
        rows = [r.detail for r in self.service.store.audit() if r.kind == "head_start"]
        return [f"{d['what']} {d['why']}" if "why" in d else d["what"] for d in rows]

    def drafts(self) -> list[Path]:
        return list(self.out.glob(".*.part"))

    def running(self) -> str:
        return self.hands.job.series_uid if self.hands.job is not None else ""


class Over(Verdict):
    """The quiet time is over for the series named in ``ready``."""

    def __init__(self) -> None:
        super().__init__()
        self.ready: set[tuple[str, str]] = set()

    def all_sent(self, uids: tuple[str, str], newest_ns: int) -> bool:
        return uids in self.ready


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(dispatch, "Worker", Hands)
    made = Desk(tmp_path, SLOW)
    yield made
    made.service.close()


def test_runs_is_taken_and_done(desk: Desk) -> None:
    uids = desk.send("a")
    desk.turns()
    assert (desk.state(uids), desk.running(), desk.acts()) == ("SEEN", uids[1], ["begun"])
    assert desk.hands.job is not None
    assert desk.hands.job.head_start
    desk.verdict.ready.add(uids)
    desk.turns()
    assert (desk.state(uids), desk.acts()) == ("RUNNING", ["begun", "taken"])
    desk.hands.end()
    desk.turns()
    assert (desk.state(uids), len(desk.hands.begun)) == ("DONE", 1)


def test_a_sibling_that_grows_is_not_beaten_by_it(desk: Desk) -> None:
    first = desk.send("a")
    desk.turns()
    desk.hands.end()
    desk.turns()
    assert len(desk.drafts()) == 1
    second = desk.send("b", study="a", most=30)
    hole = desk.folder / "b" / desk.names[10]
    late = hole.read_bytes()
    hole.unlink()
    desk.turns()
    assert desk.acts() == ["begun", "dropped its study changed"]
    assert desk.drafts() == []
    desk.verdict.ready.add(first)
    desk.turns()
    assert (desk.state(first), desk.running()) == ("READY", ""), "waits for the other"
    desk.send("b", study="a")
    hole.write_bytes(late)
    desk.turns()
    assert (desk.state(first), desk.running()) == ("READY", second[1]), "a head start for that"
    desk.verdict.ready.add(second)
    desk.turns()
    assert (desk.state(first), desk.state(second)) == ("READY", "RUNNING")
    desk.hands.end()
    desk.turns()
    assert (desk.state(first), desk.state(second)) == ("RUNNING", "DONE")
    assert [len(job.files) for job in desk.hands.begun] == [64, 128, 128], "both are weighed"
    assert desk.acts()[2:] == ["begun", "taken"]


def test_both_series_look_complete_one_head_start_weighs_both(desk: Desk) -> None:
    first, second = desk.send("a"), desk.send("b", study="a")
    desk.turns()
    assert desk.hands.job is not None
    assert len(desk.hands.job.files) == 128
    begun = desk.hands.job.series_uid
    desk.hands.end()
    desk.turns()
    desk.verdict.ready |= {first, second}
    desk.turns()
    assert desk.acts()[:2] == ["begun", "taken"]
    assert {desk.state(first), desk.state(second)} == {"DONE", "RUNNING"}
    assert desk.running() != begun


def test_a_complete_series_displaces_it_unless_it_is_urgent(desk: Desk) -> None:
    first = desk.send("a")
    desk.turns()
    second = desk.send("b")
    desk.verdict.ready.add(second)
    desk.turns()
    assert (desk.state(second), desk.running()) == ("RUNNING", second[1])
    assert desk.acts() == ["begun", "dropped another comes first"]
    ask(desk.out, NewRequest("urgent", "tester", *first))
    desk.hands.end()
    desk.turns()
    assert (desk.running(), desk.acts()[2:]) == (first[1], ["begun"])
    third = desk.send("c")
    desk.verdict.ready.add(third)
    desk.turns()
    assert (desk.state(third), desk.running()) == ("READY", first[1])
    ask(desk.out, NewRequest("urgent", "tester", *third))
    desk.turns()
    assert (desk.state(third), desk.running()) == ("RUNNING", third[1])


def test_what_ended_is_published_while_the_worker_does_another(desk: Desk) -> None:
    first = desk.send("a")
    desk.turns()
    desk.hands.end()
    second = desk.send("b")
    desk.verdict.ready.add(second)
    desk.turns()
    assert desk.running() == second[1]
    desk.verdict.ready.add(first)
    desk.turns()
    assert (desk.state(first), desk.state(second)) == ("DONE", "RUNNING")
    ask(desk.out, NewRequest("cancel", "tester", *first))
    desk.turns()
    assert desk.running() == second[1], "the running one is not meant"


def test_a_single_slice_beside_it_holds_a_study_for_seconds_only(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "FEW_S", 1e6)
    scout = desk.send("b", study="a", most=1)
    first = desk.send("a")
    desk.verdict.ready |= {first, scout}
    desk.turns()
    assert (desk.state(scout), desk.state(first), desk.running()) == ("SETTLING", "READY", "")
    monkeypatch.setattr(watch, "FEW_S", 0.0)
    desk.turns()
    assert desk.running() == first[1]


def test_folder_that_is_away_is_a_lamp_and_no_verdict(desk: Desk) -> None:
    uids = desk.send("a")
    desk.turns()
    away = desk.folder.with_name("away")
    desk.folder.rename(away)
    desk.verdict.ready.add(uids)
    desk.turns()
    (lamp,) = desk.service.store.conditions()
    assert (lamp.code, str(desk.folder) in lamp.text) == ("FOLDER_AWAY", True)
    assert desk.state(uids) in ("SEEN", "SETTLING", "READY"), "not judged"
    away.rename(desk.folder)
    desk.turns()
    assert desk.service.store.conditions() == ()
    assert (desk.state(uids), desk.acts()) == ("RUNNING", ["begun", "taken"])


def test_files_that_were_taken_away_and_come_back_are_a_new_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "Worker", Hands)
    desk = Desk(tmp_path, replace(SLOW, late_s=0.3, head_start=False))
    uids = desk.send("a")
    desk.turns()
    (desk.folder / "a").rename(tmp_path / "a")
    desk.turns()
    time.sleep(0.4)
    desk.turns()
    row = desk.service.ledger.row(uids)
    assert row is not None
    assert row.reason is not None
    assert (row.state, row.reason.code) == ("NOT_ANALYSABLE", "FILE_VANISHED")
    (tmp_path / "a").rename(desk.folder / "a")
    desk.verdict.ready.add(uids)
    desk.turns()
    row = desk.service.ledger.row(uids)
    assert row is not None
    assert (row.state, row.revision) == ("RUNNING", 2)
    desk.service.close()


@pytest.mark.parametrize("end", ["failed", "RESULT_DISK_FULL", "worker"])
def test_what_proves_nothing_of_the_scan_is_not_taken(desk: Desk, end: str) -> None:
    uids = desk.send("a")
    desk.turns()
    if end == "worker":  # it ended, and its draft goes with the worker
        desk.hands.end()
        desk.turns(2)
        desk.hands.die()
    elif end == "failed":
        desk.hands.end("failed", "ENGINE_FAILED")
    else:
        desk.hands.end("not_analysable", end)
    desk.turns(2)
    desk.verdict.ready.add(uids)
    desk.turns()
    assert desk.acts()[1].startswith("dropped")
    assert (desk.state(uids), "taken" in desk.acts()) == ("RUNNING", len(desk.acts()) == 4)
    assert desk.drafts() == []


def test_store_that_is_full_at_the_verdict_loses_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    uids = desk.send("a")
    desk.turns()
    desk.hands.end()
    desk.turns()
    desk.verdict.ready.add(uids)

    def full(*_: object) -> None:
        raise Failed("STORE_FULL", "Full.", "Free some.")

    with monkeypatch.context() as patch:
        patch.setattr(desk.service.store, "note", full)
        with pytest.raises(Failed, match="STORE_FULL"):
            desk.turns()
    desk.service.ledger.read_again()
    assert desk.state(uids) == "READY"
    desk.turns()
    assert (desk.state(uids), desk.acts()) == ("DONE", ["begun", "taken"])
    assert len(desk.hands.begun) == 1


def test_a_series_that_comes_in_pieces_is_tried_three_times(desk: Desk) -> None:
    uids = desk.send("a", most=60)
    for most in (61, 62, 63, 64):
        desk.turns()
        desk.send("a", most=most)
    desk.turns()
    assert desk.acts() == ["begun", "dropped its study changed"] * 3
    desk.verdict.ready.add(uids)
    desk.turns()
    assert desk.state(uids) == "RUNNING"
    assert desk.hands.job is not None
    assert not desk.hands.job.head_start


def test_what_a_person_asks_meanwhile_counts(desk: Desk) -> None:
    uids = desk.send("a")
    desk.turns()
    ask(desk.out, NewRequest("choose", "tester", *uids, arguments={"take_uid": "1.2.9"}))
    desk.turns(2)
    desk.verdict.ready.add(uids)
    desk.turns()
    assert desk.acts() == ["begun", "dropped the study is not what it was"]
    assert desk.hands.job is not None
    assert desk.hands.job.take_uid == "1.2.9"


def test_stop_of_the_service_leaves_nothing_of_it(desk: Desk) -> None:
    uids = desk.send("a")
    desk.turns()
    desk.hands.end()
    desk.turns()
    state, acts = desk.state(uids), desk.acts()
    desk.service.close()
    assert (state, acts) == ("SEEN", ["begun"])
    assert desk.drafts() == []
    assert "dropped, the service stops" in desk.said[-1]


def test_without_head_start_nothing_begins_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "Worker", Hands)
    desk = Desk(tmp_path, replace(SLOW, head_start=False))
    desk.send("a")
    desk.turns()
    assert (desk.running(), desk.acts()) == ("", [])
    desk.service.close()


# --- which series look complete -------------------------------------------------------------


def looked(tmp_path: Path, arrivals: Arrivals | None = None) -> Watcher:
    (tmp_path / "in").mkdir()
    watcher = Watcher((tmp_path / "in",), SLOW, arrivals=arrivals)
    watcher.scan()  # what is there now would be old
    return watcher


def test_whole_geometry_looks_complete_at_rest_and_a_gap_does_not(tmp_path: Path) -> None:
    watcher = looked(tmp_path)
    files = cta(tmp_path / "in")
    gap = files[20].read_bytes()
    files[20].unlink()
    watcher.scan()
    assert not only(watcher).closed
    files[20].write_bytes(gap)
    assert not only(watcher).closed, "it may still be written"
    assert (only(watcher).closed, only(watcher).fits) == (True, True)
    assert only(watcher).phase == "SEEN"


def test_fewer_than_the_header_announces_or_too_few_do_not(tmp_path: Path) -> None:
    watcher = looked(tmp_path)
    files = cta(tmp_path / "in")
    for path in files:
        edit(path, NumberOfSeriesRelatedInstances=65)
    watcher.scan()
    assert not only(watcher).closed
    for path in files[10:]:
        path.unlink()
    for path in files[:10]:
        edit(path, NumberOfSeriesRelatedInstances=10)
    watcher.scan()
    assert (only(watcher).closed, only(watcher).fits) == (True, False), "too short for a heart"


def test_what_was_there_at_the_start_never_does(tmp_path: Path) -> None:
    cta(tmp_path)
    watcher = Watcher((tmp_path,), SLOW)
    watcher.scan()
    assert (only(watcher).closed, only(watcher).backlog) == (False, True)


def test_not_while_its_sender_is_still_connected(tmp_path: Path) -> None:
    arrivals = Arrivals()
    watcher = looked(tmp_path, arrivals)
    cta(tmp_path / "in")
    watcher.scan()
    uids = only(watcher).uids
    arrivals.opened(1, "CT1")
    arrivals.stored(1, uids, 64)
    assert not only(watcher).closed
    arrivals.closed(1, in_order=False)
    assert only(watcher).closed
