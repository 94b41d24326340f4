"""``jobs``: the queue as the store knows it, and what may be asked of it while the service runs."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plaque_edge.errors import Failed, Refused
from plaque_edge.private import short_hash
from plaque_edge.store import FINISHED, NewRequest, Store, ask
from plaque_edge.store_cmd import me

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plaque_edge.store import CaseRow, Request

WAIT_S = 10.0
"""How long a command waits for the service's answer."""
ALIVE_S = 15.0
"""A service that has given no sign of life for so long is taken to be down."""


def main(argv: Sequence[str]) -> int:
    """Print the queue, or ask for something and wait for the answer."""
    options = _options(argv)
    if options.what == "list":
        with Store(options.out, read_only=True) as store:
            rows = [r for r in store.cases(everything=True) if options.all or _open(r)]
            conditions = store.conditions()
        if options.json:
            print(json.dumps([_data(r) for r in rows]))
            return 0
        for condition in conditions:
            print(f"{condition.code}: {condition.text} {condition.next_step}")
        for row in rows:
            print(_line(row))
        return 0
    if options.case is None:
        raise Refused("REQUEST_NO_CASE", "No case is named.", "Name one of 'jobs list'.")
    return _ask(options)


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="plaque-edge jobs",
        description="The queue of a running service: list it, hurry, cancel or retry a case.",
        epilog="example: plaque-edge jobs urgent 12 --out /data/results",
    )
    parser.add_argument("what", choices=["list", "urgent", "cancel", "retry"])
    parser.add_argument("case", nargs="?", type=int, metavar="CASE", help="number of the case")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--all", action="store_true", help="list: those that have ended as well")
    parser.add_argument("--off", action="store_true", help="urgent: no longer")
    parser.add_argument("--json", action="store_true", help="list: for machines")
    return parser.parse_args(argv)


def _ask(options: argparse.Namespace) -> int:
    with Store(options.out, read_only=True) as store:
        try:
            row = store.case(options.case)
        except KeyError:
            text = f"There is no case {options.case}."
            raise Refused("REQUEST_NO_CASE", text, "List them with 'jobs list --all'.") from None
        arguments = {"on": not options.off} if options.what == "urgent" else {}
        new = NewRequest(options.what, me(), row.study_uid, row.series_uid, row.revision, arguments)
        number = ask(options.out, new)
        age = store.heartbeat_age_s()
        if age is None or age > ALIVE_S:
            print("No service is running: it will be done when one starts.", file=sys.stderr)
            return 0
        return _tell(wait_for_answer(store, number), options)


def wait_for_answer(store: Store, number: int) -> Request:
    """Wait for the answer. Raises ``Failed`` REQUEST_UNANSWERED."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        request = store.request(number)
        if request.done_at is not None:
            return request
        time.sleep(0.05)
    raise Failed(
        "REQUEST_UNANSWERED",
        f"The service has not answered within {WAIT_S:.0f} s.",
        "It stays asked; see the case with 'jobs list'.",
    )


def _tell(request: Request, options: argparse.Namespace) -> int:
    if request.reason is None:
        print(f"case {options.case}: {options.what} done")
        return 0
    raise Refused(request.reason.code, request.reason.text, request.reason.next_step)


def _open(row: CaseRow) -> bool:
    return row.state not in FINISHED


def _data(row: CaseRow) -> dict[str, Any]:
    return {
        "case": row.case_id, "revision": row.revision, "series": short_hash(row.series_uid),
        "state": row.state, "step": row.step, "progress": round(row.progress, 3),
        "urgent": row.urgent, "attempts": row.attempts, "slices": row.received,
        "reason": row.reason.code if row.reason else None, "updated_at": row.updated_at,
    }  # fmt: skip


def _line(row: CaseRow) -> str:
    share = f" {row.step} {100 * row.progress:.0f} %" if row.state == "RUNNING" else ""
    marks = " URGENT" * row.urgent + (f" attempt {row.attempts}" if row.attempts > 1 else "")
    reason = f" {row.reason.code}" if row.reason else ""
    return (
        f"case {row.case_id:>4} r{row.revision} series {short_hash(row.series_uid)} "
        f"{row.state}{share}{marks}{reason} ({row.received} slices, {row.updated_at})"
    )
