"""The service and a correction: asked, measured, kept beside the analysis, signed, taken back."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import tube_scan
from test_service_choose import serve, states, turn_until  # noqa: F401 - a fixture

from plaque_edge.correct import edits as edit_data
from plaque_edge.correct import measured
from plaque_edge.correct.current import current
from plaque_edge.correct.edits import Contour, Edit
from plaque_edge.store import NewRequest, Store, ask

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from plaque_edge.service import Service
    from plaque_edge.store import CaseRow

INFO = tube_scan.info()
STUDY, UID = INFO.study_instance_uid, INFO.series_instance_uid


def wall(row: CaseRow, radius: float) -> Contour:
    assert row.result_dir is not None
    case = measured.read(row.result_dir / "view" / measured.FILE)
    at = next(i for i, s in enumerate(case.straight) if s.branch.name == "LAD")
    return Contour(at, "LAD", 60, "wall", (radius,) * 32, spread_mm=3.0)


def test_a_correction_from_request_to_signature_and_back(
    tmp_path: Path,
    serve: Callable[..., Service],  # noqa: F811
) -> None:
    tube_scan.write(tmp_path / "in" / "a")
    service, out = serve(), tmp_path / "out"
    turn_until(service, lambda: states(service).get(UID) == "DONE")
    row = service.store.latest(STUDY, UID)
    assert row is not None
    assert row.result_dir is not None
    assert row.result_sha256 is not None
    sha256, file = row.result_sha256, row.result_dir / "result.json"
    own = file.read_bytes()

    def request(kind: str, person: str = "Dr. Li", **arguments: Any) -> str | None:
        number = ask(out, NewRequest(kind, person, STUDY, UID, row.revision, arguments))
        turn_until(service, lambda: service.store.request(number).done_at is not None)
        reason = service.store.request(number).reason
        return None if reason is None else reason.code

    def correct(*edits: Edit, sha: str = sha256, uid: str = UID) -> str | None:
        return request("correct", document=edit_data.document(edits, uid, sha))

    def now() -> Any:
        return current(service.store.actions(row.case_id), row.result_dir, sha256)

    assert correct(wall(row, 3.4), sha="00") == "CORRECTION_OTHER_RESULT"
    assert correct(wall(row, 3.4), uid="9.9") == "CORRECTION_OTHER_RESULT"
    assert request("correct", document={"schema": "x"}) == "CORRECTION_INVALID"
    assert now().act is None
    assert request("accept") is None

    began = time.monotonic()
    assert correct(wall(row, 3.4)) is None
    first = now()
    assert time.monotonic() - began < 300
    data = json.loads((first.folder / "result.json").read_text())
    assert data["corrections"]["by"] == "Dr. Li"
    assert data["patient"]["plaque_mm3"] > json.loads(own)["patient"]["plaque_mm3"]
    assert file.read_bytes() == own, "the analysis's own result is never touched"
    assert (first.folder / "report.pdf").exists()
    assert service.store.case(row.case_id).result_sha256 == sha256

    assert request("retry") == "CORRECTION_STANDS"
    assert request("sign", result_sha256=sha256) == "REQUEST_OUTDATED"
    assert request("sign", result_sha256=first.sha256) is None
    assert service.store.actions(row.case_id)[-1].done.result_sha256 == first.sha256
    assert correct(wall(row, 3.0)) == "ACTION_NOT_NOW", "a signed result is rejected first"
    assert request("reject", reason="wall again") is None

    assert correct(wall(row, 3.2)) is None
    second = now()
    assert second.folder != first.folder
    assert second.sha256 != first.sha256
    assert first.folder.exists(), "earlier corrections are kept"
    assert request("sign") is None
    assert request("reject", reason="as analysed after all") is None
    assert correct() is None
    assert now().act is None
    assert now().sha256 == sha256

    kinds = [(a.kind, a.person) for a in service.store.audit(row.case_id)]
    assert kinds.count(("action.correct", "Dr. Li")) == 3
    asked = [a for a in service.store.audit(row.case_id) if a.kind == "correct"]
    done = [a for a in asked if a.detail["refused"] is None]
    assert [len(a.detail["arguments"]["document"]["edits"]) for a in done] == [1, 1, 0]
    assert len(asked) == 7
    assert service.store.verify_audit().faults == ()
    with Store(out, read_only=True) as store:
        assert [a.done.kind for a in store.actions(row.case_id)].count("correct") == 3


def test_a_correction_that_a_dead_process_did_not_finish_is_told(
    tmp_path: Path,
    serve: Callable[..., Service],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tube_scan.write(tmp_path / "in" / "a")
    service = serve()
    turn_until(service, lambda: states(service).get(UID) == "DONE")
    row = service.store.latest(STUDY, UID)
    assert row is not None
    corrector = service.corrections._corrector
    start = corrector._start

    def die_at_once() -> None:
        start()
        assert corrector._process is not None
        corrector._process.kill()

    monkeypatch.setattr(corrector, "_start", die_at_once)
    document = edit_data.document((wall(row, 3.4),), UID, str(row.result_sha256))
    new = NewRequest("correct", "Dr. Li", STUDY, UID, 1, {"document": document})
    number = ask(tmp_path / "out", new)
    turn_until(service, lambda: service.store.request(number).done_at is not None)
    reason = service.store.request(number).reason
    assert reason is not None
    assert reason.code == "CORRECTOR_DIED"
    assert current(service.store.actions(row.case_id), row.result_dir, None).act is None
    monkeypatch.undo()
    number = ask(tmp_path / "out", new)
    turn_until(service, lambda: service.store.request(number).done_at is not None)
    assert service.store.request(number).reason is None
