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
from plaque_edge.evaluate.kept import model_of, read_kept
from plaque_edge.export.result_json import write_json
from plaque_edge.validation.cases import (
    COMPONENTS,
    PATIENT,
    analyse,
    find_results,
    find_studies,
    read_cases,
)
from plaque_edge.validation.kept import SETS, cases_of, paired, paper_markdown
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
    from collections.abc import Mapping, Sequence

    from plaque_edge.evaluate.kept import Row
    from plaque_edge.validation.cases import Case
    from plaque_edge.validation.pairing import Pair

EXAMPLE = """examples:
  plaque-edge validate results/ --reference core-lab.csv --out agreement
  plaque-edge validate studies/ --reference core-lab.csv --out agreement  # DICOM, one folder each
  plaque-edge evaluate --full --first 300 --keep kept --json evaluation.json
  plaque-edge validate --phantoms kept --out docs/results/validation"""


def main(argv: Sequence[str]) -> int:
    """Write the tables; 0 done, 2 refused."""
    options = _parser().parse_args(argv)
    if options.phantoms:
        return write_paper(options.out, read_kept(options.phantoms))
    folder, reference = options.folder, options.reference
    if folder is None or reference is None:
        text = "There is nothing to compare."
        raise Refused("VALIDATE_OPTION", text, "Give FOLDER and --reference, or --phantoms.")
    rows = read_reference(reference)  # what is wrong with it is told before hours of analysis
    results, source = find_results(folder), f"{folder.name} against {reference.name}"
    if not results:
        analyse(find_studies(folder), options.out / "cases", options.engine, _say)
        results = find_results(options.out / "cases") if options.out.is_dir() else {}
    cases = read_cases(results)
    write_all(options.out, pair(cases, rows), source, cases)
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
    text = "instead of FOLDER: the paper's four tables, of phantoms that evaluate --keep has kept"
    add("--phantoms", type=Path, metavar="KEPT", help=text)
    return parser


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def write_all(out: Path, pairs: Pairs, source: str, cases: Sequence[Case]) -> None:
    """Write figures.json, tables.md, pairs.csv and the plots."""
    figures = _head(source, cases) | all_figures(pairs)
    text = markdown(figures, source)
    with writing():
        write_json(figures, out / "figures.json")
        (out / "tables.md").write_text(text, encoding="utf-8")
        _write_pairs({"": pairs}, out / "pairs.csv")
        for name, plot in _plots(pairs, COMPONENTS):
            (out / f"{name}.svg").write_text(plot, encoding="utf-8")
    print(text)


def write_paper(out: Path, rows: Sequence[Row]) -> int:
    """Write the paper's four tables from kept rows: the same files, plots of plaque alone."""
    seeds = [r["seed"] for r in rows]
    source = (
        f"Phantoms of our own generator, not patients: seeds {min(seeds)} to {max(seeds)}, "
        f"networks {model_of(rows).get('version', 'unknown')}"
    )
    found = {s: paired(s, rows) for s in SETS}
    pairs = {s.name: p for s, p in found.items()}
    figures = _head(source, cases_of(rows)) | {
        "sets": {s.name: {"title": s.title, **all_figures(p)} for s, p in found.items()}
    }
    text = paper_markdown(figures)
    with writing():
        write_json(figures, out / "figures.json")
        (out / "tables.md").write_text(text, encoding="utf-8")
        _write_pairs(pairs, out / "pairs.csv")
        for name, own in pairs.items():
            for plot_name, plot in _plots(own, COMPONENTS[:1]):
                (out / f"{name}-{plot_name}.svg").write_text(plot, encoding="utf-8")
    print(text)
    return 0


def _head(source: str, cases: Sequence[Case]) -> dict[str, Any]:
    return {
        "notice": NOTICE,
        "source": source,
        "date": datetime.date.today().isoformat(),
        "version": plaque_edge.__version__,
        "model_sha256": next((c.model_sha256 for c in cases if c.model_sha256), ""),
        "cases": len(cases),
    }


def _write_pairs(sets: Mapping[str, Pairs], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        names = ["kind", "case", "vessel", "component", "measured", "reference", "scanner"]
        writer.writerow(["set", *names])
        for name, pairs in sets.items():
            for kind, rows in (("reference", pairs.against), ("repeat", pairs.repeats)):
                for p in rows:
                    values = [p.case, p.level, p.component, p.measured, p.reference, p.scanner]
                    writer.writerow([name, kind, *values])


def _plots(pairs: Pairs, components: Sequence[str]) -> list[tuple[str, str]]:
    """Return (name, SVG): scatter and Bland-Altman per component, of patients and of vessels."""
    out = []
    for kind, rows in (("reference", pairs.against), ("repeat", pairs.repeats)):
        for component in components:
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
