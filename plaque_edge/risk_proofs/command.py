"""``plaque-edge risk prove r | planted | smart | framingham``: run a proof, keep its figures."""

from __future__ import annotations

import datetime
import json
import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

import plaque_edge
from plaque_edge.commands import put_json
from plaque_edge.export.result_json import write_json
from plaque_edge.risk_proofs import planted, r_survival
from plaque_edge.risk_proofs.real import CTAMACE, STUDIES, write_ctamace, write_tables

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path


def run(options: argparse.Namespace, risk: Callable[[list[str]], int]) -> int:
    """Run one proof; 0 when it holds. ``risk`` runs the other commands of risk."""
    if options.proof == "r":
        data = against_r()
    elif options.proof == "planted":
        data = planted.repeat(options.repetitions, 1500)
        low, high = data["chance_of_99_9"]
        data["holds"] = all(low <= c <= high for c in data["coverage"].values())
    elif options.proof == "ctamace":
        data = ctamace(options.data, options.out, risk)
    else:
        data = real(options.proof, options.out, risk)
    data = {"date": datetime.date.today().isoformat(), "versions": versions()} | data
    put_json(data, options.json or "-", write_json)
    return 0 if data.get("holds", True) else 1


def versions() -> dict[str, str]:
    """Return what computed a proof."""
    names = ("lifelines", "numpy", "scipy")
    return {
        "plaque-edge": plaque_edge.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in names},
    }


def against_r() -> dict[str, Any]:
    """Compare with R on simulated cohorts with and without ties, and on lifelines' tables."""
    out: dict[str, Any] = {"r": r_survival.versions(), "tolerance": r_survival.TOLERANCE}
    out["largest_difference"] = {
        name: r_survival.compare(*table) for name, table in r_tables().items()
    }
    worst = max(max(d.values()) for d in out["largest_difference"].values())
    return out | {"worst": worst, "holds": worst < r_survival.TOLERANCE}


def r_tables() -> dict[str, tuple[Any, Any, Any, Any]]:
    """Return (terms, time, event, horizons): tables of lifelines, and simulated ones."""
    from plaque_edge.risk.regression import lifelines_table

    rossi = lifelines_table("load_rossi")
    lung = lifelines_table("load_lung")
    cohort = planted.draw(np.random.default_rng(1), 800)
    z = planted.terms(*(cohort[k] for k in list(cohort)[:4]))
    time, event = cohort["time_years"], cohort["event"] == 1
    horizons = np.array([1.0, 3.0, 5.0])
    return {
        "rossi (lifelines)": (
            np.column_stack([rossi[k] for k in ("fin", "age", "prio", "paro")]),
            rossi["week"],
            rossi["arrest"] == 1,
            np.array([20.0, 40.0, 51.0]),
        ),
        "lung (lifelines)": (
            np.column_stack([lung[k] for k in ("age", "sex", "ph.ecog")]),
            lung["time"],
            lung["status"] == 1,
            np.array([180.0, 365.0, 540.0]),
        ),
        "simulated": (z, time, event, horizons),
        "simulated, months (ties)": (z, np.ceil(time * 12) / 12, event, horizons),
    }


def real(name: str, out: Path, risk: Callable[[list[str]], int]) -> dict[str, Any]:
    """Fit on two thirds of a real table and evaluate on the rest, with the commands themselves."""
    study = STUDIES[name]
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    development, evaluation = write_tables(study, folder)
    model, words = folder / "model.json", ["--horizons", study.horizons]
    words += ["--population", study.population, "--endpoint", study.endpoint]
    fit = [*words, "--data", str(development), "--terms", study.terms, "--out", str(model)]
    judge = [*words, "--data", str(evaluation), "--model", str(model)]
    source = (
        f"Real follow-up, not ours and not of coronary CT: {study.population}; a third of the "
        "patients, drawn by chance, which the model did not see."
    )
    judge += ["--source", source, "--report", str(folder / "report.html")]
    codes = [
        risk(["fit", *fit, "--json", str(folder / "fit.json")]),
        risk(["evaluate", *judge, "--json", str(folder / "evaluation.json")]),
    ]
    return {
        "study": study.population,
        "source": "PyPI package survset " + version("survset"),
        "terms": study.terms,
        "fit": _read(folder / "fit.json"),
        "evaluation": _read(folder / "evaluation.json"),
        "holds": not any(codes),
    }


def ctamace(source: Path, out: Path, risk: Callable[[list[str]], int]) -> dict[str, Any]:
    """Judge the scores that doctors read from real coronary CT; few events, so wide intervals."""
    out.mkdir(parents=True, exist_ok=True)
    table = out / "ctamace.csv"
    write_ctamace(source, table)
    said = (
        "Real coronary CT scores read by doctors (ctamace, MIT), MACE yes or no within two years, "
        "very few events. No plaque volume, no model and no image of ours is judged here."
    )
    found, codes = {}, []
    for score in CTAMACE:
        judge = ["evaluate", "--data", str(table), "--score", score, "--outcome-at", "2"]
        judge += ["--source", said, "--endpoint", "MACE within two years"]
        judge += ["--report", str(out / f"{score}.html"), "--bootstrap", "1000"]
        codes.append(risk([*judge, "--json", str(out / f"{score}.json")]))
        found[score] = _read(out / f"{score}.json")
    return {"source": said, "scores": found, "holds": not any(codes)}


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
