"""``audit``, ``backup`` and ``restore``: what happened, a copy of it, and the way back."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from plaque_edge.errors import Refused
from plaque_edge.housekeeping import ANCHOR
from plaque_edge.store import Anchor, NewRequest, Store, ask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plaque_edge.store import AuditRow, Verdict


def me() -> str:
    """Return the name under which this user's requests and acts are kept."""
    return getpass.getuser()


def audit(argv: Sequence[str]) -> int:
    """Show the audit log, or prove it: exit 1 and every fault where it is not what was written."""
    parser = argparse.ArgumentParser(
        prog="plaque-edge audit",
        description="The audit log: every change of state, act and deletion, in a hash chain.",
        epilog="example: plaque-edge audit verify --out /data/results",
    )
    parser.add_argument("what", choices=["show", "verify"])
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--case", type=int, metavar="N", help="show: of this case only")
    parser.add_argument(
        "--anchor", action="append", default=[], metavar="NUMBER:HASH",
        help="verify: a row noted elsewhere, as an earlier verify printed it",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="for machines")
    options = parser.parse_args(argv)
    with Store(options.out, read_only=True) as store:
        if options.what == "verify":
            anchors = [*_kept(options.out), *(_anchor(text) for text in options.anchor)]
            return _tell(store.verify_audit(anchors), options.json)
        for row in store.audit(options.case):
            print(json.dumps(asdict(row), ensure_ascii=False) if options.json else _line(row))
    return 0


def backup(argv: Sequence[str]) -> int:
    """Copy the store while the service runs, and prove the copy."""
    from plaque_edge.store.backup import back_up

    parser = argparse.ArgumentParser(
        prog="plaque-edge backup",
        description="A proved copy of the store, also while the service runs.",
        epilog="example: plaque-edge backup /backup/plaque-edge.sqlite --out /data/results",
    )
    parser.add_argument("target", type=Path, metavar="FILE")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    options = parser.parse_args(argv)
    made = back_up(options.out, options.target)
    noted = {"file": made.path.name, "newest": made.newest.seq, "sha256": made.newest.sha256}
    ask(options.out, NewRequest("backup", me(), arguments=noted))
    print(
        f"{made.path}: {made.cases} cases, {made.size_bytes} bytes, proved. "
        f"Newest row of the audit log: {made.newest.seq}:{made.newest.sha256}"
    )
    return 0


def restore(argv: Sequence[str]) -> int:
    """Put a copy in the place of the store, while no service runs; what was there is kept."""
    from plaque_edge.service import lock_folder
    from plaque_edge.store.backup import restore as put_back

    parser = argparse.ArgumentParser(
        prog="plaque-edge restore",
        description="A backup takes the place of the store; the service must be stopped.",
        epilog="example: plaque-edge restore /backup/plaque-edge.sqlite --out /data/results",
    )
    parser.add_argument("source", type=Path, metavar="FILE")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    options = parser.parse_args(argv)
    if not options.source.is_file():
        raise Refused("BACKUP_MISSING", f"There is no file {options.source}.", "Name another.")
    with closing(lock_folder(options.out)):
        found, kept = put_back(options.source, options.out, me())
        (options.out / ANCHOR).unlink(missing_ok=True)  # of the store that was; see audit log
    where = f" What was there is kept as {kept.name}." if kept else ""
    print(f"restored {found.cases} cases.{where}")
    return 0


def _kept(out_dir: Path) -> list[Anchor]:
    try:
        data = json.loads((out_dir / ANCHOR).read_text(encoding="utf-8"))
        return [Anchor(int(data["seq"]), str(data["sha256"]))]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError):
        print(f"AUDIT_ANCHOR: {ANCHOR} cannot be read and is left out.", file=sys.stderr)
        return []


def _anchor(text: str) -> Anchor:
    number, _, sha256 = text.partition(":")
    if not number.isdecimal() or len(sha256) != 64:
        raise Refused(
            "AUDIT_ANCHOR", f"{text} is no anchor.", "Give number and hash as NUMBER:HASH."
        )
    return Anchor(int(number), sha256)


def _tell(verdict: Verdict, as_json: bool) -> int:
    if as_json:
        print(json.dumps(asdict(verdict)))
    else:
        for fault in verdict.faults:
            print(f"AUDIT_BROKEN: {fault.text}.")
        end = f"{verdict.last.seq}:{verdict.last.sha256}"
        how = f"{len(verdict.faults)} faults" if verdict.faults else "unbroken"
        print(f"{verdict.rows} rows, {how}. Newest: {end}")
    return 1 if verdict.faults else 0


def _line(row: AuditRow) -> str:
    who = f" by {row.person}" if row.person else ""
    case = "" if row.case_id is None else f" case {row.case_id}"
    detail = " ".join(f"{k}={v}" for k, v in row.detail.items() if v not in (None, "", {}))
    return f"{row.seq:>6} {row.at} {row.kind}{case}{who} {detail}".rstrip()
