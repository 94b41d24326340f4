"""A print job goes over as JSON and comes out equal; nothing else comes out of anything."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gui.print_job import PrintJob, Study
from gui.print_wire import from_bytes, to_bytes
from gui.review import Review
from plaque_edge.cases import CaseRow
from plaque_edge.store.action_table import Action, NewAction
from plaque_edge.types import Reason, SeriesInfo


def job() -> PrintJob:
    info = SeriesInfo("1.2", "1.2.3", "1.2.9", patient_name="Müller^Ä", image_type=("A", "B"))
    row = CaseRow(
        1, "1.2.3", "1.2", 0, "review", "done", 1.0, "", Reason("A", "b.", "c."), info,
        3, None, "2026-01-01T00:00:00", "2026-01-01T00:00:01", Path("/results/a"),
    )  # fmt: skip
    acts = (Action(1, 1, "2026-01-01", NewAction("sign", "Dr", {"age": 61.5, "sex": None}, 4)),)
    present = Study(row, Review(acts), (2, 1.5, 0.25))
    change = {"vessels": [{"name": "LAD", "change": None}], 3: (1, 2)}
    return PrintJob(present, "Dr", "de", "plain", file="x.pdf", prior=present, change=change)


def test_a_job_comes_out_equal():
    assert from_bytes(to_bytes(job())) == job()
    assert from_bytes(to_bytes(replace(job(), prior=None, change=None))).prior is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[1]",
        b"\xff\xfe",
        json.dumps({"_kind": "Path", "of": "/"}).encode(),
        json.dumps({"_kind": "os.system", "of": {"command": "true"}}).encode(),
        json.dumps({"_kind": "PrintJob", "of": {"nothing": 1}}).encode(),
        json.dumps(
            {"_kind": "Reason", "of": {"code": "A", "text": "b", "next_step": "c"}}
        ).encode(),
    ],
)
def test_anything_else_is_refused(data):
    with pytest.raises(ValueError):
        from_bytes(data)


def test_what_is_not_listed_can_not_go():
    with pytest.raises(TypeError, match="object"):
        to_bytes(replace(job(), change={"a": object()}))
