"""The service: a study waits for its series, and a person takes another of them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
import tube_scan

from plaque_edge.config import ServiceOptions, WatchOptions, WorkerOptions
from plaque_edge.service import Service
from plaque_edge.store import CaseRow, NewRequest, ask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

STUDY = tube_scan.info().study_instance_uid
SYSTOLE = {"series_instance_uid": "1.2.3.4", "phase_percent": 40.0, "series_number": 9}


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    running: list[Service] = []

    def start(sibling_s: float = 60.0) -> Service:
        look = WatchOptions(
            scan_s=0.05, quiet_s=0.2, late_s=30.0, events=False, sibling_s=sibling_s
        )
        worker = WorkerOptions(factory="tube_scan:factory", stall_s=60.0)
        options = ServiceOptions((tmp_path / "in",), tmp_path / "out", look, worker)
        running.append(Service(options, say=lambda _text: None))
        return running[-1]

    (tmp_path / "in").mkdir()
    yield start
    for service in running:
        service.close()


def turn_until(service: Service, done: Callable[[], bool], limit_s: float = 120.0) -> None:
    service._look_at, service._looks = 0.0, 0
    end = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < end, [(r.state, r.message) for r in service.rows()]
        service._turn()


def states(service: Service) -> dict[str, str]:
    return {r.series_uid: r.state for r in service.rows()}


def row(service: Service, uid: str) -> CaseRow:
    found = service.store.latest(STUDY, uid)
    assert found is not None
    return found


def test_a_study_waits_for_its_growing_series_then_a_person_takes_another(
    tmp_path: Path, serve: Callable[..., Service]
) -> None:
    best = tube_scan.info().series_instance_uid
    tube_scan.write(tmp_path / "in" / "a")
    other = tube_scan.write(tmp_path / "in" / "b", **SYSTOLE)
    late = other[50].read_bytes()
    other[50].unlink()  # a gap: this series still grows
    service = serve()
    turn_until(service, lambda: "another series" in row_message(service, best))
    assert states(service)[best] == "READY", "it does not start while its sibling grows"
    other[50].write_bytes(late)
    turn_until(service, lambda: states(service)[best] == "DONE")
    turn_until(service, lambda: states(service)["1.2.3.4"] == "NOT_ANALYSABLE")
    assert row(service, "1.2.3.4").reason.code == "OTHER_CHOSEN"  # type: ignore[union-attr]

    ask(tmp_path / "out", NewRequest("choose", "mta", STUDY, "1.2.3.4"))
    turn_until(service, lambda: states(service)["1.2.3.4"] == "DONE")
    assert states(service)[best] == "OUTDATED"
    folder = row(service, "1.2.3.4").result_dir
    assert folder is not None
    series = json.loads((folder / "result.json").read_text())["series"]
    assert "taken by a person, number 2 of 2" in series["chosen_because"]
    assert [c["chosen"] for c in series["candidates"]] == [False, True]

    ask(tmp_path / "out", NewRequest("choose", "mta", STUDY, best))
    turn_until(service, lambda: states(service)[best] == "DONE")
    assert (row(service, best).revision, states(service)["1.2.3.4"]) == (2, "OUTDATED")


def row_message(service: Service, uid: str) -> str:
    found = service.store.latest(STUDY, uid)
    return found.message if found else ""


def test_the_wait_for_a_sibling_has_a_limit(tmp_path: Path, serve: Callable[..., Service]) -> None:
    tube_scan.write(tmp_path / "in" / "a")
    other = tube_scan.write(tmp_path / "in" / "b", **SYSTOLE)
    other[50].unlink()
    service = serve(sibling_s=0.5)
    best = tube_scan.info().series_instance_uid
    turn_until(service, lambda: states(service).get(best) == "DONE")
    assert states(service)["1.2.3.4"] == "SETTLING"
