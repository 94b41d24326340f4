"""Figures of the quality gate: counted by hand on a few rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tree_bodies import unscanned

from plaque_edge.evaluate.gate_breaks import BREAKS, CLEAN
from plaque_edge.evaluate.gate_figures import figures, table
from plaque_edge.evaluate_gate_cmd import cut_cm2


def row(kind: str, seed: int = 1, moved: float = 2.0, **levels: str) -> dict[str, Any]:
    bad = [f"QC_{k}" for k, v in levels.items() if v != "pass"]
    refused = "refuse" in levels.values()
    return {
        "kind": kind,
        "seed": seed,
        "made_as": kind,
        "verdict": "non_diagnostic" if refused else "limited" if bad else "diagnostic",
        "limiting": bad,
        "left_out": ["LAD"] if levels.get("STENT") == "warn" else [],
        "checks": {f"QC_{k}": [v, 1.0] for k, v in levels.items()},
        "true": {"moved_mm": moved, "step_mm": moved},
        "seconds": 0.1,
    }


ROWS = [
    row("ordinary", MOTION="pass", STENT="pass"),
    row("heavy calcium", MOTION="pass", STENT="warn"),
    row("soft kernel", MOTION="refuse", STENT="pass", THICKNESS="warn"),
    row("motion", MOTION="warn", STENT="pass"),
    row("motion", seed=2, MOTION="pass", STENT="pass"),
    row("motion", seed=3, moved=0.4, MOTION="pass", STENT="warn"),
    row("stent", MOTION="pass", STENT="warn"),
]


def test_what_was_found_and_what_was_told_wrongly() -> None:
    found = figures(ROWS)["checks"]
    motion, stent = found["QC_MOTION"], found["QC_STENT"]
    assert (motion["broken"], motion["found"], motion["sensitivity"]) == (2, 1, 0.5)
    assert (motion["whole"], motion["false_alarms"], motion["false_refusals"]) == (4, 1, 1)
    assert (stent["broken"], stent["found"], stent["whole"]) == (1, 1, 6)
    assert stent["false_alarms_in"] == {"heavy calcium": 1, "motion": 1}
    assert found["QC_THICKNESS"]["false_alarms"] == 0, "a soft kernel is thick: it is right"
    assert found["QC_THICKNESS"]["sensitivity"] is None, "not broken here is not found always"


def test_a_heart_that_reaches_out_of_its_scan_by_chance_is_no_false_alarm() -> None:
    cut, whole = row("ordinary", HEART_CUT="warn"), row("ordinary", seed=2, HEART_CUT="warn")
    cut["true"]["cut_cm2"], whole["true"]["cut_cm2"] = 5.0, 0.0
    found = figures([cut, whole])["checks"]["QC_HEART_CUT"]
    assert (found["whole"], found["false_alarms"]) == (1, 1)


def test_muscle_in_the_last_plane_is_that_of_the_drawn_heart() -> None:
    phantom = unscanned(31)
    assert cut_cm2(phantom) == 0.0
    volume, (z, y, x) = phantom.volume, phantom.volume.origin_zyx_mm
    higher = replace(volume, origin_zyx_mm=(z + 60.0, y, x))
    moved = replace(phantom, volume=higher)
    assert 40.0 < cut_cm2(moved) < 160.0


def test_clean_scans_by_verdict_and_vessels_left_out() -> None:
    clean = figures(ROWS)["clean"]
    assert (clean["of"], clean["diagnostic"], clean["limited"]) == (3, 1, 1)
    assert clean["vessels_left_out"] == 1
    assert clean["limited_by"]["QC_STENT"] == 1
    assert figures(ROWS)["broken"]["motion"] == {
        "of": 2, "refuse": 0, "warn": 1, "pass": 1, "too_little": 1,
    }  # fmt: skip
    assert "| QC_MOTION | 1 of 2 | 1 of 4 | 1 | soft kernel 1 |" in table(figures(ROWS))


def test_every_kind_breaks_one_rule_or_none() -> None:
    assert all(kind.code == "" for kind in CLEAN.values())
    codes = [kind.code for kind in BREAKS.values()]
    assert len(set(codes)) == len(codes)
    assert BREAKS["heart cut"].may_speak("QC_TREE_EDGE")
    assert not BREAKS["heart cut"].may_speak("QC_STENT")
