"""From the rows of all scans to the figures, each with its 95 % interval.

Means and percentiles carry a bootstrap interval over patients, shares Wilson's, agreement what
``plaque_edge.agreement`` gives. Vessels of one patient count as if they were independent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.agreement import agreement, repeatability
from plaque_edge.agreement.summary import known
from plaque_edge.evaluate.intervals import coverage, shipped_for
from plaque_edge.evaluate.shares import bootstrapped, mean, share, spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from plaque_edge.evaluate.shares import Figure

NOTE = "Measured on synthetic phantoms of plaque_edge.phantom, not on patients."
COMPONENTS = ("plaque", "calcified", "noncalcified", "low_attenuation", "lumen", "vessel")
VISIBLE = "plaque_above_1mm2"
"""True plaque in cross-sections that hold more than 1 mm2 of it (``phantom.visible``)."""
LEAST_MM3 = 50.0
"""Relative errors are of volumes above this."""
FREE_MM3 = 1.0
"""A patient with less true plaque than this is free of it."""
Row = dict[str, Any]


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """Work out every figure. Second scans of a patient count for repeatability only."""
    firsts = [r for r in rows if r["preset"] != "rescan"]
    done = [r for r in firsts if analysed(r)]
    out: dict[str, Any] = {
        "note": NOTE,
        "patients": len(firsts),
        "scans": len(rows),
        "analysed_without_a_person": share([analysed(r) for r in rows]),
        "ready": share([r["status"] == "ready" for r in rows]),
        "seconds": spread([r["seconds"] for r in rows]),
        "peak_mb_max": max(r["peak_mb"] for r in rows),
    }
    if len(done) < 3:
        return out
    out["tree"] = {key: mean([r["tree"][key] for r in done]) for key in done[0]["tree"]}
    out["rotterdam"] = _rotterdam(done)
    for part in COMPONENTS:
        out[f"patient_{part}_mm3"] = agreed(patient_pairs(done, part))
        out[f"vessel_{part}_mm3"] = agreed(vessel_pairs(done, f"{part}_mm3"))
    out[f"patient_{VISIBLE}_mm3"] = agreed(visible_pairs(done))
    out[f"vessel_{VISIBLE}_mm3"] = agreed(
        visible_pairs(v for r in done for v in r["vessels"].values())
    )
    whole = [r for r in done if not r["measured"]["lower_bound"]]
    out["measured_whole"] = share([r in whole for r in done])
    out["patient_plaque_whole_mm3"] = agreed(patient_pairs(whole, "plaque"))
    out["relative_error_percent"] = {
        "patient": relative_error(patient_pairs(done, "plaque")),
        "vessel": relative_error(vessel_pairs(done, "plaque_mm3")),
    }
    out["plaque_free"] = plaque_free(done)
    out["stenosis"] = stenosis(done)
    out["intervals"] = coverage(done, shipped_for(done))
    out["families"] = {f: _family(done, f) for f in dict.fromkeys(r["family"] for r in done)}
    out["rescan"] = rescan(rows)
    named: dict[str, Any] = known(out)
    return named


def analysed(row: Row) -> bool:
    """Whether a scan ended in a plaque volume without a person."""
    return row["status"] in ("ready", "review") and row["measured"]["plaque_mm3"] is not None


def patient_pairs(rows: Sequence[Row], part: str) -> list[tuple[float, float]]:
    """(measured, true) mm3 of each patient."""
    return [(r["measured"][f"{part}_mm3"], r["truth"][f"{part}_mm3"]) for r in rows]


def vessel_pairs(rows: Sequence[Row], key: str) -> list[tuple[float, float]]:
    """(measured, true) of each vessel that was measured."""
    both = [v for r in rows for v in r["vessels"].values()]
    return [(v["measured"][key], v["truth"][key]) for v in both if v["measured"][key] is not None]


def visible_pairs(parts: Iterable[Row]) -> list[tuple[float, float]]:
    """(measured plaque, true plaque where it is thick enough to be called a lesion), mm3.

    Of patients or vessels that were measured and whose generator knows.
    """
    both = [(p["measured"]["plaque_mm3"], p["truth"].get(f"{VISIBLE}_mm3")) for p in parts]
    return [(m, t) for m, t in both if m is not None and t is not None]


def agreed(pairs: Sequence[tuple[float, float]]) -> Figure | None:
    """Agreement figures; ``None`` of fewer than 3 pairs."""
    if len(pairs) < 3:
        return None
    a = np.array(pairs, float)
    return agreement(a[:, 0], a[:, 1]).as_dict()


def relative_error(pairs: Sequence[tuple[float, float]]) -> Figure:
    """Mean of abs(measured - true) / true in percent, of true volumes above 50 mm3."""
    return mean([100 * abs(m - t) / t for m, t in pairs if t > LEAST_MM3])


def plaque_free(rows: Sequence[Row]) -> Figure:
    """Sum up false plaque in patients without any; what was left out can't be false."""
    false = [r["measured"]["plaque_mm3"] for r in rows if r["truth"]["plaque_mm3"] < FREE_MM3]
    if not false:
        return {"patients": 0}
    return {
        "patients": len(false),
        "median_mm3": float(np.median(false)),
        "p95_mm3": bootstrapped(false, lambda x: float(np.percentile(x, 95))),
        "most_mm3": max(false),
    }


def stenosis(rows: Sequence[Row]) -> Figure:
    """Worst diameter stenosis per vessel: error in points, and the right side of 50 %."""
    pairs = vessel_pairs(rows, "max_diameter_stenosis_percent")
    worst = [(m, t) for m, t in pairs if t >= 25 or m >= 25]
    return {
        "vessels": len(pairs),
        "error_points": mean([abs(m - t) for m, t in pairs]),
        "error_points_where_narrowed": mean([abs(m - t) for m, t in worst]),
        "right_side_of_50": share([(m >= 50) == (t >= 50) for m, t in pairs]),
        "agreement": agreed(pairs),
    }


def rescan(rows: Sequence[Row]) -> Figure | None:
    """Repeatability of patients scanned twice, and how many pairs could not be measured."""
    twice = [r for r in rows if r["family"] == "rescan"]  # other families may scan a patient too
    by_seed = {s: [r for r in twice if r["seed"] == s] for s in {r["seed"] for r in twice}}
    pairs = [both for both in by_seed.values() if len(both) == 2]
    good = [
        (a["measured"]["plaque_mm3"], b["measured"]["plaque_mm3"])
        for a, b in pairs
        if analysed(a) and analysed(b)
    ]
    if len(good) < 3:
        return None
    x = np.array(good, float)
    heavy = x[x.mean(1) > LEAST_MM3]
    found = repeatability(x[:, 0], x[:, 1])
    return {
        "pairs": len(good),
        "not_measured": len(pairs) - len(good),
        "agreement": agreement(x[:, 0], x[:, 1]).as_dict(),
        "within_sd_mm3": found.within_sd,
        "cv_percent": found.cv_percent,
        "cv_percent_interval": found.cv_percent_interval,
        "cv_percent_above_50_mm3": (
            repeatability(heavy[:, 0], heavy[:, 1]).cv_percent if len(heavy) > 2 else None
        ),
    }


def _family(rows: Sequence[Row], family: str) -> Figure:
    mine = [r for r in rows if r["family"] == family]
    pairs = patient_pairs(mine, "plaque")
    return {
        "patients": len(mine),
        "plaque_mm3": agreed(pairs),
        "relative_error_percent": relative_error(pairs),
        "recall": mean([r["tree"]["recall"] for r in mine]),
        "precision": mean([r["tree"]["precision"] for r in mine]),
        "right_side_of_50": stenosis(mine)["right_side_of_50"],
    }


def _rotterdam(rows: Sequence[Row]) -> Figure:
    """Each measure per vessel and over all of them."""
    names = dict.fromkeys(n for r in rows for n in r["rotterdam"])
    keys = ("overlap", "until_first_error", "relevant", "inside_mm")
    groups = {n: [r["rotterdam"][n] for r in rows if n in r["rotterdam"]] for n in names}
    groups["all"] = [o for r in rows for o in r["rotterdam"].values()]
    return {n: {k: mean([o[k] for o in all_of]) for k in keys} for n, all_of in groups.items()}
