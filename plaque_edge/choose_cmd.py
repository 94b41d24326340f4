"""``choose``: what else of a study could be analysed, with points and reasons; take another."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plaque_edge.errors import Refused
from plaque_edge.jobs_cmd import ALIVE_S, wait_for_answer
from plaque_edge.store import NewRequest, Store, ask
from plaque_edge.store_cmd import me

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from plaque_edge.store import CaseRow


def main(argv: Sequence[str]) -> int:
    """Print the candidates of every study that has several, or take one of them."""
    parser = argparse.ArgumentParser(
        prog="plaque-edge choose",
        description="Another series of a study: list what there is, or take one.",
        epilog="example: plaque-edge choose --out /data/results 1.2.840.1.2.3",
    )
    parser.add_argument("take_uid", nargs="?", metavar="TAKE_UID", help="take this one")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    options = parser.parse_args(argv)
    with Store(options.out, read_only=True) as store:
        found = list(_candidates(store))
        if options.take_uid is None:
            for row, candidates in found:
                print(_study(row, candidates))
            return 0
        return _take(store, options.out, options.take_uid, found)


def _candidates(store: Store) -> Iterator[tuple[CaseRow, list[dict[str, Any]]]]:
    """Yield the newest result of each study that has more than one candidate."""
    seen: set[str] = set()
    for row in store.cases(everything=True):
        if row.study_uid in seen or row.result_dir is None or row.state == "OUTDATED":
            continue
        path = row.result_dir / "result.json"
        if path.is_file():
            series = json.loads(path.read_text(encoding="utf-8"))["series"]
            candidates = series.get("candidates", [])
            if len(candidates) > 1:
                seen.add(row.study_uid)
                yield row, candidates


def _study(row: CaseRow, candidates: list[dict[str, Any]]) -> str:
    lines = [f"case {row.case_id}: {len(candidates)} candidates"]
    for one in candidates:
        mark = "*" if one["chosen"] else " "
        lines.append(f"{mark} {one['points']:5.1f} of 100  {one['take_uid']}")
        lines += [
            f"       {c['what']:<10} {c['points']:4.1f} of {c['most']:<2}  {c['text']}"
            for c in one["criteria"]
        ]
    return "\n".join(lines)


def _take(
    store: Store, out: Path, uid: str, found: list[tuple[CaseRow, list[dict[str, Any]]]]
) -> int:
    for row, candidates in found:
        for one in candidates:
            if uid != one["take_uid"]:
                continue
            series = one["series_instance_uid"]
            new = NewRequest("choose", me(), row.study_uid, series, None, {"take_uid": uid})
            number = ask(out, new)
            age = store.heartbeat_age_s()
            if age is None or age > ALIVE_S:
                print("No service is running: it is done when one starts.", file=sys.stderr)
                return 0
            request = wait_for_answer(store, number)
            if request.reason is not None:
                reason = request.reason
                raise Refused(reason.code, reason.text, reason.next_step)
            print("taken: it is analysed now")
            return 0
    text = "No result names this as a candidate."
    raise Refused("SERIES_NOT_FOUND", text, "List them with 'choose --out DIR'.")
