"""``plaque-edge validate``: any set of cases against reference measurements; tables and plots."""

from __future__ import annotations

import argparse
import csv
import datetime
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import plaque_edge
from plaque_edge.agreement import Paired, bland_altman_plot, percent_limits, scatter_plot
from plaque_edge.commands import writing
from plaque_edge.errors import Refused
from plaque_edge.export.result_json import write_json
from plaque_edge.validation.cases import (
    COMPONENTS,
    PATIENT,
    analyse,
    find_results,
    find_studies,
    read_cases,
)
from plaque_edge.validation.pairing import Pairs, pair
from plaque_edge.validation.reference import read_reference
from plaque_edge.validation.tables import (
    FEWEST,
    LEVELS,
    NOTICE,
    all_figures,
    markdown,
    select,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plaque_edge.validation.cases import Case
    from plaque_edge.validation.pairing import Pair

EXAMPLE = """examples:
  plaque-edge validate results/ --reference core-lab.csv --out agreement
  plaque-edge validate studies/ --reference core-lab.csv --out agreement  # DICOM, one folder each
  plaque-edge validate --phantoms photon --split validation --first 0 --count 10 --out agreement"""


def main(argv: Sequence[str]) -> int:
    """Write the tables; 0 done, 2 refused."""
    options = _parser().parse_args(argv)
    if options.phantoms:
        folder, reference, source = _phantoms(options)
        results = find_results(folder)
    else:
        folder, reference = options.folder, options.reference
        if folder is None or reference is None:
            text = "There is nothing to compare."
            raise Refused("VALIDATE_OPTION", text, "Give FOLDER and --reference, or --phantoms.")
        read_reference(reference)  # what is wrong with it is told before hours of analysis
        results, source = find_results(folder), f"{folder.name} against {reference.name}"
        if not results:
            analyse(find_studies(folder), options.out / "cases", options.engine, _say)
            results = find_results(options.out / "cases") if options.out.is_dir() else {}
    cases = read_cases(results)
    pairs = pair(cases, read_reference(reference))
    write_all(options.out, pairs, source, cases)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "plaque-edge validate",
        description=f"Agreement with reference measurements. {NOTICE}",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("folder", type=Path, nargs="?", metavar="FOLDER", help="of results, or of DICOM studies")
    add("--reference", type=Path, metavar="CSV", help="docs/validate.md says its columns")
    add("--out", type=Path, required=True, metavar="DIR", help="tables, plots, pairs")
    add("--engine", default="auto", metavar="NAME")
    group = parser.add_argument_group("instead of FOLDER: phantoms, with exact truth")
    group.add_argument("--phantoms", choices=("ivus", "scanners", "repeat", "photon"))
    group.add_argument("--split", choices=("validation", "test"), default="validation")
    group.add_argument("--first", type=int, default=0, metavar="N", help="index of the first seed")
    group.add_argument("--count", type=int, default=10, metavar="N", help="patients")
    return parser


def _phantoms(options: argparse.Namespace) -> tuple[Path, Path, str]:
    from plaque_edge.phantom.scene import SPLITS
    from plaque_edge.validation.phantoms import Study, make

    study = Study(options.phantoms, options.split, options.first, options.count)
    folder, reference = make(study, options.out, options.engine, _say)
    seeds = SPLITS[study.split][study.first : study.first + study.count]
    source = (
        f"Phantoms of our own generator, not patients: set {study.name}, "
        f"{study.split} seeds {seeds[0]} to {seeds[-1]}"
    )
    return folder, reference, source


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def write_all(out: Path, pairs: Pairs, source: str, cases: Sequence[Case]) -> dict[str, Any]:
    """Write figures.json, tables.md, pairs.csv and the plots; return the figures."""
    figures = {
        "notice": NOTICE,
        "source": source,
        "date": datetime.date.today().isoformat(),
        "version": plaque_edge.__version__,
        "model_sha256": next((c.model_sha256 for c in cases if c.model_sha256), ""),
        "cases": len(cases),
    } | all_figures(pairs)
    text = markdown(figures, source)
    with writing():
        out.mkdir(parents=True, exist_ok=True)
        write_json(figures, out / "figures.json")
        (out / "tables.md").write_text(text, encoding="utf-8")
        _write_pairs(pairs, out / "pairs.csv")
        for name, plot in _plots(pairs):
            (out / f"{name}.svg").write_text(plot, encoding="utf-8")
    print(text)
    return figures


def _write_pairs(pairs: Pairs, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        head = ["kind", "case", "vessel", "component", "measured", "reference", "scanner"]
        writer.writerow(head)
        for kind, rows in (("reference", pairs.against), ("repeat", pairs.repeats)):
            for p in rows:
                values = [p.case, p.level, p.component, p.measured, p.reference, p.scanner]
                writer.writerow([kind, *values])


def _plots(pairs: Pairs) -> list[tuple[str, str]]:
    """Return (name, SVG): scatter and Bland-Altman per component, of patients and of vessels."""
    out = []
    for kind, rows in (("reference", pairs.against), ("repeat", pairs.repeats)):
        for component in COMPONENTS:
            for level in LEVELS[:2]:
                chosen = select(rows, component, level)
                if len(chosen) >= FEWEST:
                    out += _plot(chosen, kind, level)
    return out


def _plot(chosen: list[Pair], kind: str, level: str) -> list[tuple[str, str]]:
    component = chosen[0].component
    name = f"{kind}-{component.split('_mm3')[0]}-{level.split()[-1]}"
    groups = None if level == PATIENT else [p.level for p in chosen]
    data = Paired(
        [p.measured for p in chosen],
        [p.reference for p in chosen],
        f"{words(component)}, {level}",
        unit="%" if component.endswith("percent") else "mm³",
        against="reference" if kind == "reference" else "first scan",
        groups=groups,
    )
    out = [
        (f"{name}-scatter", scatter_plot(data)),
        (f"{name}-bland-altman", bland_altman_plot(data)),
    ]
    if percent_limits(data.measured, data.reference) is not None:
        out.append((f"{name}-bland-altman-percent", bland_altman_plot(data, percent=True)))
    return out
