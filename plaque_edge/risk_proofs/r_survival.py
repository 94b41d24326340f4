"""Ours against R's survival on the same tables: every figure with its largest difference."""

from __future__ import annotations

import csv
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from plaque_edge.errors import Refused
from plaque_edge.risk.regression import baseline, cox
from plaque_edge.risk.survival import (
    Z95,
    auc_at,
    brier_at,
    harrell_c,
    kaplan_meier,
    uno_c,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SCRIPT = Path(__file__).with_name("survival.R")
TOLERANCE = 1e-6


def versions() -> str:
    """Return the versions of R and of its survival."""
    line = 'cat(R.version.string, "survival", as.character(packageVersion("survival")))'
    return _run(["-e", line]).strip()


def compare(
    z: Floats, time: Floats, event: NDArray[np.bool_], horizons: Floats
) -> dict[str, float]:
    """Return the largest absolute difference from R per figure. Raises Refused R_MISSING."""
    theirs = ask_r(z, time, event, horizons)
    mine = figures(z, time, event, horizons)
    return {
        name: float(np.abs(np.ravel(values) - theirs[name]).max()) for name, values in mine.items()
    }


def figures(
    z: Floats, time: Floats, event: NDArray[np.bool_], horizons: Floats
) -> dict[str, Floats | float]:
    """Return what the R script prints, computed by this package."""
    fit = cox(z, time, event)
    base = baseline(fit, z, time, event, horizons)
    lp = z @ fit.coefficients
    curve = kaplan_meier(time, event)
    who = np.append(z[0], 1.0)
    half = Z95 * np.sqrt(np.einsum("i,hij,j->h", who, base.covariances, who))

    def risk(shift: Floats | float) -> Floats:
        return np.asarray(-np.expm1(-base.hazard * np.exp(lp[0] + shift)))

    return {
        "coefficients": fit.coefficients,
        "covariance": fit.covariance,
        "log_likelihood": fit.log_likelihood,
        "baseline": base.hazard,
        "risk": risk(0.0),
        "risk_lower": risk(-half),
        "risk_upper": risk(half),
        "harrell": harrell_c(time, event, lp),
        "uno": uno_c(time, event, lp, float(horizons.max())),
        "survival": curve.at(horizons),
        "survival_lower": np.array([curve.interval(h)[0] for h in horizons]),
        "survival_upper": np.array([curve.interval(h)[1] for h in horizons]),
        "brier": np.array(
            [
                brier_at(time, event, -np.expm1(-b * np.exp(lp)), h)
                for h, b in zip(horizons, base.hazard, strict=True)
            ]
        ),
        "auc": np.array([auc_at(time, event, lp, h) for h in horizons]),
    }


def ask_r(z: Floats, time: Floats, event: NDArray[np.bool_], horizons: Floats) -> dict[str, Floats]:
    """Return R's figures by name. Raises Refused R_MISSING or R_FAILED."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "table.csv")
        with table.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["time", "event", *(f"z{i}" for i in range(z.shape[1]))])
            for t, e, row in zip(time, event, z, strict=True):
                writer.writerow([repr(float(t)), int(e), *(repr(float(v)) for v in row)])
        said = _run([str(SCRIPT), str(table), ",".join(repr(float(h)) for h in horizons)])
    lines = [line.split() for line in said.splitlines()]
    return {words[0]: np.array(words[1:], float) for words in lines}


def _run(arguments: list[str]) -> str:
    program = shutil.which("Rscript")
    if program is None:
        text = "R is not installed."
        raise Refused("R_MISSING", text, "Install r-base-core and r-cran-survival (Debian).")
    command = [program, "--vanilla", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        text = f"R ended with: {last}."
        raise Refused("R_FAILED", text, "Install r-cran-survival (Debian).")
    return done.stdout
