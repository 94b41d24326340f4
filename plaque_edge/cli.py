"""The command line. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import plaque_edge
from plaque_edge import RESEARCH_USE
from plaque_edge.errors import PlaqueEdgeError, Refused
from plaque_edge.service_log import FORMAT, QuietFormatter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NOTICE = f"{RESEARCH_USE}."


class Command(NamedTuple):
    """One command: its help, an example, what adds its options, and where it runs."""

    help: str
    example: str
    add: Callable[[argparse.ArgumentParser], None]
    run: str


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 done, 1 failed, 2 refused, 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    passed = _pass_on(arguments)
    if passed is not None:
        return _guarded(passed, debug="--debug" in arguments)
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    level = logging.DEBUG if options.debug else logging.WARNING
    logging.basicConfig(level=level)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(QuietFormatter(FORMAT))
        handler.setLevel(level)  # the service's own file takes more
    for noisy in ("numba", "pydicom", "matplotlib", "PIL"):
        # pydicom's debug log quotes values, which may be a patient's.
        logging.getLogger(noisy).setLevel(logging.WARNING)
    run = _target(COMMANDS[options.command].run)
    return _guarded(lambda: int(run(options)), debug=options.debug)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with every command."""
    parser = argparse.ArgumentParser(
        prog="plaque-edge",
        description=f"Coronary plaque volumes and MACE risk beside the CT scanner. {NOTICE}",
    )
    parser.add_argument("--version", action="version", version=plaque_edge.__version__)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="tracebacks and a detailed log")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        sub = commands.add_parser(
            name,
            parents=[common],
            help=command.help,
            description=f"{command.help[0].upper()}{command.help[1:]}. {NOTICE}",
            epilog=f"example: plaque-edge {command.example}",
        )
        command.add(sub)
    for name, (help_text, _) in PASSED_ON.items():
        commands.add_parser(name, help=help_text, add_help=False)
    return parser


def _guarded(run: Callable[[], int], *, debug: bool) -> int:
    """Run and turn every error into one line and an exit code."""
    try:
        return run()
    except PlaqueEdgeError as error:
        if debug:
            raise
        print(f"{error}", file=sys.stderr)
        return 2 if isinstance(error, Refused) else 1
    except KeyboardInterrupt:
        print("INTERRUPTED: Stopped before the end. Start again.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 1
    except Exception as error:
        if debug:
            raise
        name = type(error).__name__
        print(f"INTERNAL: An unexpected {name}. Run again with --debug.", file=sys.stderr)
        return 1


def _target(name: str) -> Callable[..., Any]:
    module, function = name.split(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


def _pass_on(arguments: list[str]) -> Callable[[], int] | None:
    """Return the call of a command that reads its own arguments."""
    for words in (2, 1):
        name = " ".join(arguments[:words])
        if name in PASSED_ON:
            break
    else:
        return None
    rest = [a for a in arguments[words:] if a != "--debug"]
    target = PASSED_ON[name][1]
    return lambda: int(_target(target)(rest))


# ---- options of the commands ---------------------------------------------------------------


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--headless", action="store_true", help="no window: save screenshots")
    parser.add_argument("--out", type=Path, default=Path("demo-out"), metavar="DIR")
    parser.add_argument("--seed", type=int, default=7, metavar="N")
    parser.add_argument("--preset", default="standard", metavar="NAME")
    parser.add_argument(
        "--slices-per-second", type=float, default=40.0, metavar="N", help="the scanner's pace"
    )


def _analyze(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files or folders")
    parser.add_argument("--json", required=True, metavar="FILE", help="the result, - for stdout")
    parser.add_argument("--pdf", type=Path, metavar="FILE", help="the report")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder with all that is shown")
    parser.add_argument("--age", type=float, metavar="N", help="years, where the header is silent")
    parser.add_argument("--sex", choices=("F", "M"))
    parser.add_argument("--series", metavar="UID", help="this series and no other")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="limits of the quality gate")
    parser.add_argument("--engine", default="auto", metavar="NAME")
    parser.add_argument("--models", type=Path, metavar="DIR", help="the site's own networks")
    parser.add_argument("--risk-model", type=Path, metavar="FILE", help="the site's own risk model")
    parser.add_argument("--factory", help=argparse.SUPPRESS)


def _watch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="folders and their rules")
    parser.add_argument("--once", action="store_true", help="end when all that is there is done")
    parser.add_argument("--share", action="store_true", help="a network share: 5 s of rest")
    _service(parser)
    _receiver(parser, required=False)


def _receive(parser: argparse.ArgumentParser) -> None:
    _receiver(parser, required=True)
    parser.add_argument("--settings", type=Path, metavar="FILE", help="folders, quality limits")
    _service(parser)
    parser.set_defaults(folders=[], once=False, share=False)


def _service(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--quiet", type=float, metavar="S", help="seconds of rest (default 2)")
    parser.add_argument("--late", type=float, metavar="S", help="wait for missing slices (60)")
    parser.add_argument("--sibling", type=float, metavar="S", help="wait for other series (60)")
    parser.add_argument(
        "--no-head-start", action="store_true", help="analyse only once the quiet time is over"
    )
    parser.add_argument("--engine", default="auto", metavar="NAME")
    parser.add_argument("--models", type=Path, metavar="DIR", help="the site's own networks")
    parser.add_argument("--risk-model", type=Path, metavar="FILE", help="the site's own risk model")
    parser.add_argument("--factory", help=argparse.SUPPRESS)
    room = parser.add_argument_group("memory and disk (docs/store.md)").add_argument
    room("--memory-mb", type=int, metavar="N", help="an analysis may take so much (4096)")
    room("--warn-free-mb", type=int, metavar="N", help="warn below (10240)")
    room("--min-free-mb", type=int, metavar="N", help="take nothing in below (1024)")
    room("--keep-results-days", type=float, metavar="N", help="then delete (default: never)")
    room("--keep-received-days", type=float, metavar="N", help="then delete (default: never)")


def _receiver(parser: argparse.ArgumentParser, *, required: bool) -> None:
    group = parser.add_argument_group("DICOM receiver" if required else "DICOM receiver beside it")
    add = group.add_argument
    add("--port", type=int, required=required, metavar="N", help="listen here (0: any free port)")
    add("--aet", required=required, metavar="NAME", help="its own AE title")
    add("--allow", action="append", default=[], metavar="AET", help="who may send (default: all)")
    add("--bind", default="", metavar="ADDRESS", help="listen on this address only")
    add("--tls-cert", type=Path, metavar="FILE", help="encrypt: certificate, PEM")
    add("--tls-key", type=Path, metavar="FILE", help="its key, PEM")
    add("--tls-ca", type=Path, metavar="FILE", help="senders need a certificate signed by this CA")
    add("--max-object-mb", type=int, metavar="N", help="largest object (default 2048)")
    add("--max-associations", type=int, metavar="N", help="senders at one time (default 8)")
    add("--max-mb-per-s", type=float, metavar="N", help="take no faster (default: no limit)")
    add("--max-per-minute", type=int, metavar="N", help="connections of one address (no limit)")
    add("--idle", type=float, metavar="S", help="a sender may be silent so long (default 60)")


def _phantom(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--seed", type=int, required=True, metavar="N")
    parser.add_argument("--preset", default="standard", metavar="NAME")


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", metavar="FILE", help="figures for machines, - for stdout")


def _engine_json(parser: argparse.ArgumentParser) -> None:
    _json(parser)
    parser.add_argument("--engine", default="auto", metavar="NAME")


def _bench(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=["arrival", "engines", "look", "quantify", "read"])
    parser.add_argument("--repeat", type=int, default=3, metavar="N")
    _engine_json(parser)


def _engines(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=["list", "verify"])
    _engine_json(parser)


COMMANDS: dict[str, Command] = {
    "demo": Command(
        "simulated scanner export to result on screen",
        "demo --headless --out demo-out",
        _demo,
        "plaque_edge.demo:run",
    ),
    "analyze": Command(
        "one study, one result",
        "analyze study/ --json result.json --pdf report.pdf",
        _analyze,
        "plaque_edge.commands:analyze",
    ),
    "watch": Command(
        "the service: every series that arrives in a folder becomes a result",
        "watch /data/export --out /data/results",
        _watch,
        "plaque_edge.commands:watch",
    ),
    "receive": Command(
        "the service, fed by DICOM C-STORE from the scanner",
        "receive --port 11112 --aet PLAQUE --allow CT1 --out /data/results",
        _receive,
        "plaque_edge.commands:watch",
    ),
    "phantom": Command(
        "synthetic CCTA as DICOM, with truth.json",
        "phantom scan --seed 7",
        _phantom,
        "plaque_edge.commands:phantom",
    ),
    "prepare": Command(
        "make this computer ready: build plans, prove engines, compile kernels",
        "prepare",
        _engine_json,
        "plaque_edge.doctor:prepare",
    ),
    "doctor": Command(
        "say whether this computer is ready", "doctor", _engine_json, "plaque_edge.doctor:doctor"
    ),
    "info": Command("say what this is", "info --json -", _json, "plaque_edge.doctor:info"),
    "engines": Command(
        "which engines can be used here (list); prove them on this computer (verify)",
        "engines verify --json engines-verify.json",
        _engines,
        "plaque_edge.engines_cmd:run",
    ),
    "bench": Command(
        "speed of engines, kernels, reading and intake",
        "bench engines --json -",
        _bench,
        "plaque_edge.doctor:bench",
    ),
}
PASSED_ON: dict[str, tuple[str, str]] = {
    "bench console": ("frame times and memory of the console", "gui.bench:main"),
    "gui": ("the console on a results folder", "gui.__main__:run"),
    "selftest": (
        "a phantom through the whole line, expected against measured",
        "plaque_edge.selftest_cmd:main",
    ),
    "screens": ("every screen as PNG", "gui.screens:main"),
    "evaluate": ("figures on test phantoms", "plaque_edge.evaluate.command:main"),
    "calibrate-intervals": (
        "95 %% intervals of volumes, from evaluated phantoms",
        "plaque_edge.intervals_cmd:main",
    ),
    "compare": ("what changed between two studies", "plaque_edge.compare_cmd:main"),
    "repeatability": ("how far volumes move between two scans", "plaque_edge.repeat_cmd:main"),
    "choose": ("another series of a study: list, take", "plaque_edge.choose_cmd:main"),
    "evaluate-gate": ("how often the quality gate is right", "plaque_edge.evaluate_gate_cmd:main"),
    "jobs": ("the queue: list, urgent, cancel, retry", "plaque_edge.jobs_cmd:main"),
    "audit": ("what happened, in a hash chain: show, verify", "plaque_edge.store_cmd:audit"),
    "backup": ("a proved copy of the store, at any time", "plaque_edge.store_cmd:backup"),
    "restore": ("a backup takes the place of the store", "plaque_edge.store_cmd:restore"),
    "risk": ("the Cox model: show, fit, recalibrate, evaluate, apply", "plaque_edge.risk_cmd:main"),
    "torture": (
        "proofs by force: kill, disk, fuzz, load, share, real",
        "plaque_edge.torture_cmd:main",
    ),
    "train": ("train the networks", "engines.training.cli:main"),
    "validate": ("agreement with any reference", "plaque_edge.validate_cmd:main"),
}
"""Commands that read their own arguments: help text and ``module:function(argv)``."""
