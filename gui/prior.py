"""Which earlier studies of the same patient can be laid beside a result. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plaque_edge.store import CaseRow

VALID = frozenset({"DONE", "REVIEW"})


def same_patient(one: CaseRow, other: CaseRow) -> bool:
    """Whether patient ID and birth date are there and agree; the name proves nothing."""
    a, b = ((r.info.patient_id.strip(), (r.info.birth_date or "").strip()) for r in (one, other))
    return all(a) and a == b


def priors_of(row: CaseRow, rows: Iterable[CaseRow]) -> tuple[CaseRow, ...]:
    """Return measured results of earlier studies of the patient of ``row``, newest first.

    Outdated revisions and other series of the same study are none; neither is a study without
    a date, since nothing says that it is earlier.
    """
    found = [
        r
        for r in rows
        if r.study_uid != row.study_uid
        and r.state in VALID
        and r.result_dir is not None
        and same_patient(row, r)
        and "" < _when(r)[0]
        and _when(r) < _when(row)
    ]
    return tuple(sorted(found, key=_when, reverse=True))


def _when(row: CaseRow) -> tuple[str, str]:
    return row.info.study_date.strip(), row.info.study_time.strip()
