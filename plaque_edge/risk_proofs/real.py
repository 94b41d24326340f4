"""Real follow-up, not ours and not of coronary CT: fit on two thirds, evaluate on the rest.

The tables come from the package SurvSet (GPL-3), which is installed by hand for this and not
part of the product; nothing of them is kept in the repository but the figures.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.errors import Refused

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Study:
    """One real table: where its columns come from and what is fitted to it."""

    dataset: str
    endpoint: str
    population: str
    columns: dict[str, str]
    terms: str
    horizons: str


STUDIES = {
    "smart": Study(
        "smarto",
        "cardiovascular death, infarction or stroke, as the table has it",
        "SMART: 3,873 patients with arterial disease, Utrecht",
        {
            "age_years": "num_age",
            "sex": "fac_sex",
            "diabetes": "fac_diabetes",
            "cerebral": "fac_cerebral",
            "aaa": "fac_aaa",
            "periph": "fac_periph",
            "carotid_stenosis": "fac_stenosis",
            "hdl": "num_hdl",
            "creatinine": "num_creat",
            "imt_mm": "num_imt",
            "packyears": "num_packyrs",
        },
        "age_years/10, male, diabetes, cerebral, aaa, periph, carotid_stenosis, hdl, "
        "log1p(creatinine/100), imt_mm, packyears/10",
        "1,3,5",
    ),
    "framingham": Study(
        "Framingham",
        "coronary heart disease, as the table has it",
        "Framingham: 4,699 people free of coronary disease",
        {
            "age_years": "num_age",
            "sex": "fac_sex",
            "sbp": "num_sbp",
            "cholesterol": "num_scl",
            "bmi": "num_bmi",
        },
        "age_years/10, male, sbp/10, cholesterol/10, bmi",
        "5,10,20",
    ),
}


def write_tables(study: Study, folder: Path, seed: int = 0) -> tuple[Path, Path]:
    """Write development (2/3) and evaluation (1/3) as CSV. Raises Refused SURVSET_MISSING."""
    rows = _rows(study)
    order = np.random.default_rng(seed).permutation(len(rows))
    cut = 2 * len(rows) // 3
    paths = folder / "development.csv", folder / "evaluation.csv"
    for path, part in zip(paths, (order[:cut], order[cut:]), strict=True):
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows[i] for i in sorted(part))
    return paths


CTAMACE = {
    "sis": "SIS_refact",
    "sss": "SSS_refact",
    "cad_rads": "CAD_RADS_refact",
    "calcium_score": "Calcium_score",
}
"""Scores of real coronary CT with MACE yes or no within two years (hedayatbehnam/ctamace, MIT)."""
_CLASSES = {"4A": "4", "4B-5": "5", "8-9": "8", "10-13": "10", "10-25": "10"}
"""Classes by their lower end: only the order counts for an AUC."""


def write_ctamace(source: Path, target: Path) -> None:
    """Write ``df_test.csv`` of that repository in our form."""
    try:
        with source.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        text = f"{source} can't be read."
        raise Refused("TABLE_UNREADABLE", text, "Name df_test.csv with --data.") from error
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["patient_id", "event", *CTAMACE])
        for i, row in enumerate(rows):
            cells = [_CLASSES.get(row[c], row[c]) for c in CTAMACE.values()]
            writer.writerow([i, row["Total_MACE"], *cells])


def _rows(study: Study) -> list[dict[str, Any]]:
    try:
        from SurvSet.data import SurvLoader  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        text = "The tables of SurvSet are not installed."
        next_step = "Install the package survset into the environment for this proof."
        raise Refused("SURVSET_MISSING", text, next_step) from error
    table = SurvLoader().load_dataset(study.dataset)["df"]
    return [
        {"patient_id": row["pid"], "time_days": row["time"], "event": row["event"]}
        | {ours: _cell(ours, row[theirs]) for ours, theirs in study.columns.items()}
        for row in table.to_dict("records")
    ]


def _cell(name: str, value: Any) -> Any:
    if value is None or value != value or str(value).lower() in ("missing", "nan"):
        return ""
    if name == "sex":
        return {"1": "M", "2": "F", "male": "M", "female": "F"}[str(value).lower()]
    return value
