"""``plaque-edge risk show | fit | recalibrate | evaluate | apply | prove``."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.commands import put_json, writing
from plaque_edge.errors import Refused
from plaque_edge.export.result_json import write_json
from plaque_edge.risk.model import load_model
from plaque_edge.risk.show import NOTICE, describe_estimate, describe_model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plaque_edge.risk.evaluate import Evaluation
    from plaque_edge.risk.fit import About
    from plaque_edge.risk.report import Told

EXAMPLES = """examples:
  plaque-edge risk show
  plaque-edge risk fit --data follow-up.csv --terms "log1p(plaque_mm3/50), age_years/10, male"
      --endpoint "death or infarction" --population "our clinic, 2015-2020" --out site.json
  plaque-edge risk recalibrate --data follow-up.csv --population "our clinic" --out site.json
  plaque-edge risk evaluate --data others.csv --model site.json --report report.html
  plaque-edge risk apply results/1.2.3-r1/result.json --age 61 --sex M"""


def main(argv: Sequence[str]) -> int:
    """Run one of them; 0 done, 2 refused."""
    options = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = options.run
    return run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "plaque-edge risk",
        description=f"The Cox model of MACE risk. {NOTICE}",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="WHAT")

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> Any:
        sub = commands.add_parser(name, help=text, description=f"{text}. {NOTICE}")
        sub.set_defaults(run=run)
        sub.add_argument("--json", metavar="FILE", help="figures for machines, - for stdout")
        return sub.add_argument

    model = {"type": Path, "metavar": "FILE", "help": "default: the shipped model"}
    option = add("show", _show, "coefficients, sources, limits")
    option("--model", **model)
    option = add("fit", _fit, "new coefficients from a site's follow-up")
    option("--terms", required=True, metavar="LIST", help='e.g. "age_years/10, male"')
    option("--penalty", type=float, metavar="X", help="ridge penalty; default: the best of 5 folds")
    option("--bootstrap", type=int, default=200, metavar="N", help="samples for the optimism")
    _new_model(option)
    option = add("recalibrate", _recalibrate, "the level (and slope) of a model at a site")
    option("--model", **model)
    _new_model(option)
    option = add("evaluate", _evaluate, "how well a model or a score foretells a table's events")
    option("--model", **model)
    option("--score", metavar="COLUMN", help="judge this column instead of a model")
    option("--outcome-at", type=float, metavar="YEARS", help="event is yes or no by then, no times")
    option("--source", default="", help="what the table is, printed on top of the report")
    option("--report", type=Path, metavar="FILE", help="the report, HTML")
    option("--bootstrap", type=int, default=200, metavar="N", help="samples for the intervals")
    _table_options(option)
    option = add("apply", _apply, "the risk of one patient")
    option("result", type=Path, nargs="?", metavar="RESULT", help="result.json of an analysis")
    option("--model", **model)
    option("--age", type=float, metavar="N")
    option("--sex", choices=("F", "M"))
    option("--diabetes", choices=("yes", "no"))
    option("--hypertension", choices=("yes", "no"))
    option("--value", action="append", default=[], metavar="INPUT=NUMBER", help="any other input")
    option = add("prove", _prove, "the risk code against R, simulation or real follow-up")
    option("proof", choices=("r", "planted", "smart", "framingham", "ctamace"))
    option("--data", type=Path, default=Path("df_test.csv"), metavar="CSV", help="of ctamace")
    option("--repetitions", type=int, default=400, metavar="N", help="of planted (default 400)")
    option("--out", type=Path, default=Path("risk-proof"), metavar="DIR", help="tables, reports")
    return parser


def _table_options(option: Callable[..., Any]) -> None:
    option("--data", type=Path, required=True, metavar="CSV", help="one row per patient")
    option("--horizons", default="1,2,3,4,5", metavar="YEARS", help="default 1,2,3,4,5")
    option("--population", default="", help="who the patients are")
    option("--endpoint", default="", help="what an event is; default: the model's")


def _new_model(option: Callable[..., Any]) -> None:
    _table_options(option)
    option("--out", type=Path, required=True, metavar="FILE", help="the model, JSON")
    option("--name", help="default: the name of the file")
    option("--segmenter", metavar="SHA256", help="the networks that measured")


def _show(options: argparse.Namespace) -> int:
    model = load_model(options.model)
    if options.json:
        put_json(asdict(model), options.json, write_json)
    if options.json != "-":
        print("\n".join(describe_model(model)))
    return 0


def _fit(options: argparse.Namespace) -> int:
    from plaque_edge.risk.cohort import read_cohort
    from plaque_edge.risk.fit import FitOptions, fit_model
    from plaque_edge.risk.terms import inputs_of, parse_terms

    terms = parse_terms(options.terms)
    cohort = read_cohort(options.data, inputs_of(terms))
    chosen = FitOptions(penalty=options.penalty, draws=options.bootstrap)
    return _keep(fit_model(cohort, terms, _about(options, ""), chosen), options)


def _recalibrate(options: argparse.Namespace) -> int:
    from plaque_edge.risk.cohort import read_cohort
    from plaque_edge.risk.recalibrate import recalibrate
    from plaque_edge.risk.terms import inputs_of

    model = load_model(options.model)
    cohort = read_cohort(options.data, inputs_of(model.terms))
    return _keep(recalibrate(model, cohort, _about(options, model.endpoint)), options)


def _about(options: argparse.Namespace, endpoint: str) -> About:
    from plaque_edge.risk.fit import About

    words = {"--endpoint": options.endpoint or endpoint, "--population": options.population}
    for name, given in words.items():
        if not given.strip():
            text = f"A model without {name[2:]} can't be read by anybody else."
            raise Refused("RISK_WORDS_MISSING", text, f"Say it with {name}.")
    return About(
        options.name or options.out.stem,
        words["--endpoint"],
        options.population,
        _horizons(options.horizons),
        options.segmenter,
    )


def _horizons(text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(x) for x in text.split(","))
    except ValueError:
        found = ()
    if not found or min(found) <= 0 or list(found) != sorted(set(found)):
        said = f"{text!r} are not horizons."
        raise Refused("RISK_HORIZONS", said, "Give rising years above zero, as in 1,3,5.")
    return found


def _keep(data: dict[str, Any], options: argparse.Namespace) -> int:
    """Write a new model, read it back as anybody will, and say what it is."""
    with writing():
        write_json(data, options.out)
    model = load_model(options.out)
    if options.json:
        put_json(data["fit"] | {"model_sha256": model.sha256}, options.json, write_json)
    if options.json != "-":
        print("\n".join(describe_model(model)))
        print("Fit:")
        for name, value in data["fit"].items():
            print(f"  {name.replace('_', ' ')}: {_short(value)}")
    return 0


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(_short(v) for v in value) if isinstance(value, list) else str(value)


def _evaluate(options: argparse.Namespace) -> int:
    from plaque_edge.risk.evaluate import evaluate
    from plaque_edge.risk.judged import judged
    from plaque_edge.risk.report import html, summary_rows

    horizons = (options.outcome_at,) if options.outcome_at else _horizons(options.horizons)
    cohort, given, told = judged(options, horizons)
    found = evaluate(cohort, given, options.bootstrap)
    if options.report:
        with writing():
            options.report.parent.mkdir(parents=True, exist_ok=True)
            options.report.write_text(html(found, told), encoding="utf-8")
    if options.json:
        put_json(as_json(found, told), options.json, write_json)
    if options.json != "-":
        _print_evaluation(found, told, summary_rows(found, told))
    return 0


def _print_evaluation(found: Evaluation, told: Told, rows: Sequence[tuple[str, str]]) -> None:
    from plaque_edge.risk.report import horizon_rows, subgroup_rows

    print(f"{NOTICE} {told.source}".strip())
    for note in told.notes:
        print(note)
    for name, value in rows:
        print(f"  {name}: {value}")
    for r in horizon_rows(found):
        print(f"  {r[0]} years: AUC {r[3]}; O/E {r[4]}; Brier {r[5]}; IPA {r[6]}; ICI {r[7]}")
    for r in subgroup_rows(found):
        print(f"  {r[0]} ({r[1]}, {r[2]} events): C {r[3]}; O/E {r[4]}")


def as_json(found: Evaluation, told: Told) -> dict[str, Any]:
    """Return all figures as plain JSON; curves at 101 points."""
    from plaque_edge.agreement.summary import known

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return value[np.linspace(0, len(value) - 1, 101).round().astype(int)].tolist()
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items()}
        return [plain(v) for v in value] if isinstance(value, (list, tuple)) else value

    data: dict[str, Any] = known(plain(asdict(found)))
    return {"notice": NOTICE, "source": told.source, "notes": list(told.notes)} | data


def _prove(options: argparse.Namespace) -> int:
    from plaque_edge.risk_proofs.command import run

    return run(options, main)


def _apply(options: argparse.Namespace) -> int:
    from plaque_edge.risk.apply import apply_to

    result = None
    if options.result:
        try:
            result = json.loads(options.result.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            text = f"{options.result.name} is not a result."
            raise Refused("RESULT_UNREADABLE", text, "Give the result.json of an analysis.") from (
                error
            )
    given = {
        "age_years": options.age,
        "male": None if options.sex is None else float(options.sex == "M"),
        "diabetes": None if options.diabetes is None else float(options.diabetes == "yes"),
        "hypertension": None
        if options.hypertension is None
        else float(options.hypertension == "yes"),
    }
    risk = apply_to(load_model(options.model), result, given, options.value)
    if options.json:
        put_json(asdict(risk), options.json, write_json)
    if options.json != "-":
        print("\n".join(describe_estimate(risk)))
    return 0
