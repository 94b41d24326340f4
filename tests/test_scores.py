"""SIS, SSS, CAD-RADS and stages: by the rule, and against tables of real patients."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from plaque_edge.quantify.scores import (
    Grade,
    cad_rads,
    category,
    pav_stage,
    plaque_category,
    segment_involvement,
    segment_stenosis,
)

REAL = Path(__file__).parents[2] / "shared" / "data" / "ccta_mace_ctamace" / "df_test.csv"


def grades(**stenosis):
    """One segment with plaque per vessel: ``grades(LAD=60)``."""
    return [Grade(vessel, True, float(value)) for vessel, value in stenosis.items()]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], "0"),
        ([Grade("LAD", True, 0.0)], "1"),
        ([Grade("LAD", True, None)], "1"),
        (grades(LAD=24.9), "1"),
        (grades(LAD=25), "2"),
        (grades(LAD=49.9), "2"),
        (grades(RCA=50), "3"),
        (grades(RCA=69.9), "3"),
        (grades(RCA=70), "4A"),
        (grades(RCA=80, LAD=90), "4A"),
        (grades(RCA=80, LAD=90, LCX=70), "4B"),
        (grades(LM=50), "4B"),
        (grades(LM=49, LAD=99), "4A"),
        (grades(LCX=100), "5"),
    ],
)
def test_category_at_every_limit(found, expected):
    assert category(found)[0] == expected


@pytest.mark.parametrize(
    ("sis", "score", "expected"),
    [
        (0, None, None), (1, None, "P1"), (2, None, "P1"), (3, None, "P2"), (5, None, "P3"),
        (8, None, "P4"), (0, 1, "P1"), (1, 101, "P2"), (1, 301, "P3"), (1, 1000, "P4"),
        (8, 0, "P4"), (0, 0, None), (0, 0.8, "P1"), (1, 100.4, "P1"), (1, 100.6, "P2"),
    ],
)  # fmt: skip
def test_plaque_category_is_the_higher_of_both(sis, score, expected):
    assert plaque_category(sis, score)[0] == expected


def test_what_could_not_be_read_is_never_called_free():
    free = cad_rads([], complete=False, high_risk_plaque=False)
    assert free.category == "N"
    assert "not all segments" in free.because
    severe = cad_rads(grades(LAD=80), complete=False, high_risk_plaque=True)
    assert severe.text == "CAD-RADS 4A/P1/N/HRP"
    assert cad_rads([], complete=True, high_risk_plaque=False).text == "CAD-RADS 0"


def test_scores_count_segments():
    found = [Grade("LAD", True, 10.0), Grade("LAD", True, 60.0), Grade("RCA", True, 80.0)]
    found += [Grade("LCX", False, 0.0), Grade("LCX", True, None)]
    assert segment_involvement(found) == 4
    assert segment_stenosis(found) == 1 + 2 + 3 + 0 + 1


@pytest.mark.parametrize(("pav", "stage"), [(0, 0), (0.1, 1), (5, 1), (5.1, 2), (15, 2), (15.1, 3)])
def test_stage_by_pav(pav, stage):
    assert pav_stage(pav) == stage


# ---- real patients (hedayatbehnam/ctamace, MIT) -----------------------------------------------

SEGMENTS = (
    ("LMCAStenosisPercentage", "LM_type_plaque", "LM"),
    ("LAD_Proximal_StenosisPercentage", "LAD_prox__type_plaque", "LAD"),
    ("Mid_LAD_StenosisPercentage", "LAD_mid_type_plaque", "LAD"),
    ("LAD_DistalLADStenosisPercentage", "LAD_dist__type_plaque", "LAD"),
    ("D1StenosisPercentage", "D_1__type_plaque", "LAD"),
    ("D2Stenosis_Percentage", "D_2__type_plaque", "LAD"),
    ("Ramus_StenosisPercentag", "Ramus__type_plaque", "LCX"),
    ("LCXProximal_StenosisPercentage", "prox_LCX__type_plaque", "LCX"),
    ("DistalLCXStenosisPercentage", "dist_LCX__type_plaque", "LCX"),
    ("OM1StenosisPercentage", "OM1__type_plaque", "LCX"),
    ("OM2StenosisPercentage", "OM2__type_plaque", "LCX"),
    ("ProximalRCAStenosisPercentag", "prox_RCA__type_plaque", "RCA"),
    ("mid_RCAStenosisPercentag", "mid_RCA__type_plaque", "RCA"),
    ("DistalRCAStenosisPercentag", "dist_RCA__type_plaque", "RCA"),
    ("PDAStenosis_Percentage", "PDA__type_plaque", "RCA"),
    ("PLBStenosis_Percentage", "PLB__type_plaque", "RCA"),
)
PERCENT = {"normal": 0.0, "minimal": 10.0, "mild": 35.0, "moderate": 60.0, "modearte": 60.0,
           "severe": 80.0, "occluded": 100.0}  # fmt: skip
NOT_IN_THEIR_SSS = {
    "LAD_Proximal_StenosisPercentage",
    "Mid_LAD_StenosisPercentage",
    "DistalLCXStenosisPercentage",
}
"""Their score leaves these columns out, and counts no minimal stenosis: found by least squares,
with which it is 1, 2 and 3 points for mild, moderate and severe to the last patient."""


def patients():
    if not REAL.exists():
        pytest.skip(f"{REAL} is not here")
    with REAL.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def graded(row, leave_out=()):
    return [
        Grade(vessel, row[plaque] != "0", PERCENT[row[stenosis]])
        for stenosis, plaque, vessel in SEGMENTS
        if stenosis not in leave_out
    ]


@pytest.mark.real
def test_involvement_of_real_patients():
    same = sum(
        str(segment_involvement(graded(row))) == row["SIS_refact"]
        or (row["SIS_refact"] == "10-13" and 10 <= segment_involvement(graded(row)) <= 13)
        for row in patients()
    )
    assert same >= 116  # of 124; the other eight rows contradict their own columns


@pytest.mark.real
def test_category_of_real_patients():
    ours = [category(graded(row))[0] for row in patients()]
    theirs = [row["CAD_RADS_refact"] for row in patients()]
    merged = {"4B": "4B-5", "5": "4B-5"}
    assert sum(merged.get(a, a) == b for a, b in zip(ours, theirs, strict=True)) >= 120


@pytest.mark.real
def test_stenosis_score_of_real_patients():
    same, counted = 0, 0
    for row in patients():
        if "-" in row["SSS_refact"]:
            continue
        seen = [
            Grade(g.vessel, g.stenosis >= 25, g.stenosis if g.stenosis >= 25 else 0.0)
            for g in graded(row, NOT_IN_THEIR_SSS)
        ]
        counted += 1
        same += str(segment_stenosis(seen)) == row["SSS_refact"]
    assert counted > 100
    assert same == counted
