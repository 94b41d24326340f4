"""The service's answers to what people ask (``docs/store.md``): effect and answer in one step."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from plaque_edge.correct import edits as edit_data
from plaque_edge.correct.current import correction, current
from plaque_edge.correct.job import By, CorrectionJob
from plaque_edge.dispatch import CANCELLED
from plaque_edge.errors import Failed, Refused
from plaque_edge.publish import put_in_place
from plaque_edge.review import refusal, standing
from plaque_edge.store import FINISHED, NewAction
from plaque_edge.types import Covariates, Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from plaque_edge.service import Service
    from plaque_edge.store import CaseRow, Request

MEASURED: Final = frozenset({"DONE", "REVIEW"})
WITHOUT_VALUE: Final = frozenset({"FAILED", "NOT_ANALYSABLE"})
COVARIATES: Final = frozenset(f.name for f in fields(Covariates))
NO_CASE = Reason("REQUEST_NO_CASE", "There is no such case.", "List them with 'jobs list'.")

FILES_GONE = Reason(
    "REQUEST_FILES_GONE",
    "The files of the series are no longer in the watched folders.",
    "Export the series again.",
)
STANDS = Reason(
    "CORRECTION_STANDS",
    "The result was corrected by a person; analysing it again would lose that.",
    "Take the corrections back first.",
)
REPLACED: Final = frozenset({"RUNNING", "DONE", "REVIEW"})
"""States of other series of a study whose result no longer counts once a person takes one."""


class NotYet(Exception):
    """The answer has to wait; the request stays open."""


def answer_requests(service: Service) -> None:
    """Answer everything that is open; what was asked twice is answered twice."""
    for request in service.store.requests():
        row = _row(service, request)
        try:
            with service.store.together():
                reason = _answer(service, row, request)
                service.store.answer(request, reason, row.case_id if row else None)
        except NotYet:
            continue
        said = f"refused, {reason.code}" if reason else "done"
        where = f"case {row.case_id}: " if row else ""
        service.say(f"{where}request {request.request_id} ({request.asked.kind}): {said}")


def _row(service: Service, request: Request) -> CaseRow | None:
    asked = request.asked
    return service.store.latest(asked.study_uid, asked.series_uid)


def _answer(service: Service, row: CaseRow | None, request: Request) -> Reason | None:
    asked = request.asked
    if asked.kind in WITHOUT_CASE:
        return None
    if row is None:
        return NO_CASE
    if asked.revision is not None and asked.revision != row.revision:
        text = f"Revision {row.revision} has come since; the one asked about is outdated."
        return Reason("REQUEST_OUTDATED", text, "Look at the newest revision, then ask again.")
    answer = ANSWERS.get(asked.kind)
    if answer is None:
        return Reason("REQUEST_UNKNOWN", "The service does not know this request.", "Update it.")
    return answer(service, row, request)


def _urgent(service: Service, row: CaseRow, request: Request) -> Reason | None:
    if row.state in FINISHED:
        return _not_now(row, "It is not in the queue.")
    service.ledger.update(row.case_id, urgent=bool(request.asked.arguments.get("on", True)))
    return None


def _cancel(service: Service, row: CaseRow, _request: Request) -> Reason | None:
    if row.reason is not None and row.reason.code == CANCELLED.code and row.state == "FAILED":
        return None
    if row.state == "READY":
        service.ledger.move(row.case_id, "FAILED", CANCELLED, message=CANCELLED.text)
        return None
    if row.state == "RUNNING":
        service.queue.stop(row.case_id)
        raise NotYet
    return _not_now(row, "It is neither queued nor running.")


def _retry(service: Service, row: CaseRow, _request: Request) -> Reason | None:
    if row.state == "FAILED":
        service.ledger.move(
            row.case_id, "READY", step="series", progress=0.0, attempts=0, message="Tried again"
        )
        return None
    if row.state not in FINISHED:
        return _not_now(row, "It has not ended yet.")
    if correction(service.store.actions(row.case_id)) is not None:
        return STANDS
    series = service.seen.get((row.study_uid, row.series_uid))
    if series is None:
        return FILES_GONE
    service.next_revision(row, series, "Analysed again")
    return None


def _choose(service: Service, row: CaseRow, request: Request) -> Reason | None:
    """Take this series of the study from now on, or the stack of it that ``take_uid`` names."""
    taken = request.asked.arguments.get("take_uid", row.series_uid)
    if not isinstance(taken, str) or not taken:
        text = "What is to be taken is not named."
        return Reason("REQUEST_INVALID", text, "Name a take_uid of the result's candidates.")
    if row.state == "RUNNING":
        return _not_now(row, "It is running.")
    series = service.seen.get((row.study_uid, row.series_uid))
    if series is None:
        return FILES_GONE
    for (study, uid), other in service.ledger:
        if study == row.study_uid and uid != row.series_uid and other.state in REPLACED:
            service.ledger.move(other.case_id, "OUTDATED", message="Another series was taken")
    if row.state in FINISHED:
        service.next_revision(row, series, "Taken by a person")
    return None


def _act(service: Service, row: CaseRow, request: Request) -> Reason | None:
    asked = request.asked
    if row.state not in MEASURED or row.result_sha256 is None:
        return _not_now(row, "It has no result.")
    unknown = set(asked.arguments) - COVARIATES
    if asked.kind == "covariates" and (unknown or not asked.arguments):
        return Reason(
            "REQUEST_INVALID",
            "These are no covariates of the risk model.",
            f"Possible: {', '.join(sorted(COVARIATES))}.",
        )
    signers = service.options.signers
    if asked.kind == "sign" and signers and asked.person not in signers:
        text = "This person is not among those who may sign here."
        return Reason("ACTION_ROLE_MISSING", text, "See [roles] of the service's settings.")
    acts = service.store.actions(row.case_id)
    now = current(acts, row.result_dir, row.result_sha256)
    seen = asked.arguments.get("result_sha256", now.sha256)
    if asked.kind != "covariates" and seen != now.sha256:
        text = "The result was corrected since."
        return Reason("REQUEST_OUTDATED", text, "Look at the corrected result, then ask again.")
    reason = refusal(asked.kind, standing(a.done.kind for a in acts), asked.arguments)
    if reason is None:
        action = NewAction(
            asked.kind, asked.person, asked.arguments, request.request_id, now.sha256
        )
        service.store.record_action(row.case_id, action)
    return reason


def _correct(service: Service, row: CaseRow, request: Request) -> Reason | None:
    """Write the corrected result; without edits the analysis's own numbers count again."""
    asked = request.asked
    if row.state not in MEASURED or row.result_sha256 is None or row.result_dir is None:
        return _not_now(row, "It has no result.")
    acts = service.store.actions(row.case_id)
    reason = refusal("correct", standing(a.done.kind for a in acts), asked.arguments)
    if reason is not None:
        return reason
    document = asked.arguments.get("document")
    try:
        edits = edit_data.read(document, row.series_uid, row.result_sha256)
    except Refused as error:
        return error.reason
    assert isinstance(document, dict)
    done: dict[str, Any] = {"edits": 0, "folder": None, "sha256": row.result_sha256}
    if edits:
        end = service.corrections.outcome(request.request_id)
        if end is None:
            by = By(asked.person, request.asked_at, row.result_sha256, request.request_id)
            known = service.store.covariates(row.study_uid)
            model = service.options.worker.risk_model
            job = CorrectionJob(row.result_dir, row.info, document, by, known, model)
            service.corrections.submit(request.request_id, job)
            raise NotYet
        if isinstance(end, Reason):
            return end
        try:
            put_in_place(end.draft, row.result_dir / end.name)
        except Failed as error:
            return error.reason
        done = {"edits": len(edits), "folder": end.name, "sha256": end.sha256, **end.summary}
    action = NewAction("correct", asked.person, done, request.request_id, row.result_sha256)
    service.store.record_action(row.case_id, action)
    return None


def _acknowledge(service: Service, row: CaseRow, request: Request) -> Reason | None:
    if row.state not in WITHOUT_VALUE:
        return _not_now(row, "There is nothing to acknowledge.")
    action = NewAction("acknowledge", request.asked.person, {}, request.request_id)
    service.store.record_action(row.case_id, action)
    return None


def _not_now(row: CaseRow, why: str) -> Reason:
    text = f"The case is {row.state}. {why}"
    return Reason("REQUEST_NOT_NOW", text, "Look at its state and ask again.")


ANSWERS: Final[dict[str, Callable[[Service, CaseRow, Request], Reason | None]]] = {
    "urgent": _urgent,
    "cancel": _cancel,
    "retry": _retry,
    "choose": _choose,
    "acknowledge": _acknowledge,
    "accept": _act,
    "reject": _act,
    "sign": _act,
    "covariates": _act,
    "correct": _correct,
}
"""An answer gets the newest revision of the series; it returns why it refuses, or ``None``."""
WITHOUT_CASE: Final = frozenset({"backup", "settings", "print"})
"""Requests that only go into the audit log."""
