"""``torture``: proofs by force, and where their last results are kept."""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import plaque_edge
from plaque_edge.commands import writing

if TYPE_CHECKING:
    from collections.abc import Sequence

KINDS = {
    "kill": "plaque_edge.torture.kill",
    "disk": "plaque_edge.torture.disk",
    "fuzz": "plaque_edge.torture.fuzz",
    "load": "plaque_edge.torture.load",
    "share": "plaque_edge.torture.share",
    "real": "plaque_edge.torture.real",
}
"""Each module has ``run(count, seed, say)``, which returns figures with ``passed``."""
FED = ("fuzz", "real")
"""Those that also take folders with DICOM files: ``run(count, seed, say, folders)``."""


def main(argv: Sequence[str]) -> int:
    """Run one torture; exit 1 when something was lost."""
    parser = argparse.ArgumentParser(
        prog="plaque-edge torture",
        description="Proofs by force; research use only, not a medical device.",
        epilog="example: plaque-edge torture kill --count 500 --json torture_kill.json",
    )
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", help="fuzz, real: files")
    parser.add_argument("--count", type=int, default=20, metavar="N", help="how often")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE", help="figures with date and versions")
    parser.add_argument("--add", action="store_true", help="add to the figures the file has")
    options = parser.parse_args(argv)
    module = importlib.import_module(KINDS[options.kind])
    if options.folders and options.kind not in FED:
        parser.error(f"{options.kind} takes no folders")
    more = (options.folders,) if options.kind in FED else ()
    figures = module.run(options.count, options.seed, _say, *more)
    folders = "".join(f" {folder.name}" for folder in options.folders)
    data: dict[str, Any] = {
        "command": f"torture {options.kind}{folders} --count {options.count} --seed {options.seed}",
        "made": _versions(),
        "figures": figures,
    }
    if options.json:
        with writing():
            if options.add and options.json.exists():
                data = _together(json.loads(options.json.read_text(encoding="utf-8")), data)
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(figures, indent=1))
    return 0 if figures["passed"] else 1


def _together(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of both, and what each run was."""
    runs = old.get("runs") or [{k: old[k] for k in ("command", "made")}]
    this = {k: new[k] for k in ("command", "made")}
    return {"figures": _sum(old["figures"], new["figures"]), "runs": [*runs, this]}


def _sum(old: Any, new: Any) -> Any:
    if isinstance(new, dict):
        both = {**old, **new}
        return {k: _sum(old[k], new[k]) if k in old and k in new else v for k, v in both.items()}
    if isinstance(new, bool):
        return old and new
    if isinstance(new, str):
        return new
    return round(old + new, 3) if isinstance(new, float) else old + new


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _versions() -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "plaque_edge": plaque_edge.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }
