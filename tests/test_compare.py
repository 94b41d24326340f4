"""Two studies of one patient: whose they are, how they lie on each other, what changed."""

from __future__ import annotations

import copy
import hashlib
import json
import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from plaque_edge.cli import main
from plaque_edge.compare.change import (
    BY_HAND,
    NO_CHANGE,
    NOT_JUDGED,
    NOT_TOLD,
    compare,
    protocol_differences,
)
from plaque_edge.compare.register import register, rigid
from plaque_edge.compare.repeatability import (
    FACTOR,
    Repeatability,
    fit_sd,
    limit_mm3,
    load_table,
)
from plaque_edge.compare.repeatability_fit import (
    Measured,
    fitted_to,
    markdown,
    table_of,
    widening,
)
from plaque_edge.compare.study import COMPONENTS, Study, check_pair, read_study
from plaque_edge.compare_cmd import lines
from plaque_edge.errors import Refused
from plaque_edge.evaluate.kept import result_path
from plaque_edge.export.result_json import write_json
from plaque_edge.store import NewAction, NewCase, Store
from plaque_edge.types import SeriesInfo

STEP = 0.5
TABLE = Repeatability(
    {level: dict.fromkeys(COMPONENTS, (2.0, 0.05)) for level in ("patient", "vessel", "segment")},
    "a test",
    "a" * 64,
    {},
)


def curve(start, way, length, bend):
    """A gently bent line ``(n, 3)`` every 0.5 mm."""
    s = np.arange(0, length, STEP)
    way = np.array(way, float) / np.linalg.norm(way)
    side = np.cross(way, [0.3, 1.0, 0.2])
    side /= np.linalg.norm(side)
    return np.array(start, float) + s[:, None] * way + bend * np.sin(s / 15)[:, None] * side


LINES = {
    "LM": ("LM", curve((0, 0, 0), (1, 0, 0.2), 12, 0.5)),
    "LAD": ("LAD", curve((12, 0, 2), (1, 0.4, -1), 100, 4)),
    "D1": ("LAD", curve((35, 8, -18), (1, 1.0, -0.2), 40, 2)),
    "LCX": ("LCX", curve((12, 0, 2), (0.2, 1, 0.5), 70, 3)),
    "RCA": ("RCA", curve((-20, -10, 0), (-1, 0.6, -0.8), 110, 6)),
}


def result(plaque=None, turn=None, shift=(0, 0, 0), **scan):
    """A result with what comparing reads; ``plaque`` maps (branch, start mm, end mm) to mm³."""
    profiles = []
    for name, (vessel, points) in LINES.items():
        n = len(points)
        values = {c: np.zeros(n) for c in COMPONENTS}
        values["lumen_mm3"] += 2.0
        values["vessel_mm3"] += 3.0
        for (branch, low, high), mm3 in (plaque or {}).items():
            if branch == name:
                on = (np.arange(n) * STEP >= low) & (np.arange(n) * STEP < high)
                for c in ("plaque_mm3", "noncalcified_mm3", "fibrous_mm3"):
                    values[c] += on * mm3 / on.sum()
                values["vessel_mm3"] += on * mm3 / on.sum()
        moved = points @ turn.T if turn is not None else points
        segment = np.full(n, {"LM": 5, "LAD": 6, "D1": 9, "LCX": 11, "RCA": 1}[name])
        segment[n // 2 :] += {"LAD": 1, "RCA": 1}.get(name, 0)
        profiles.append(
            {
                "branch": name,
                "vessel": vessel,
                "step_mm": STEP,
                "points_lps_mm": (moved + shift).tolist(),
                "segment": segment.tolist(),
                **{c: v.tolist() for c, v in values.items()},
            }
        )
    return {
        "schema": "plaque-edge/result/1",
        "status": "ready",
        "identity": {"patient_id": "P1", "birth_date": "19600101"},
        "scan": {"study_date": "20240101", "kvp": 100, "kernel": "Bv40", "scanner_model": "X"}
        | scan,
        "series": {"series_instance_uid": "1.1", "spacing_zyx_mm": [0.5, 0.4, 0.4]},
        "software": {"model": {"sha256": "a" * 64}},
        "profiles": profiles,
    }


def later(**more):
    made = result(**({"study_date": "20260101"} | more))
    made["series"]["series_instance_uid"] = "1.2"
    return made


def pair(before, after):
    return read_study(before, "BEFORE"), read_study(after, "AFTER")


TURN = Rotation.from_euler("zyx", [12, -9, 6], degrees=True).as_matrix()


# ---- whose ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"patient_id": "P2"}, "COMPARE_PATIENT_DIFFERS"),
        ({"birth_date": "19600102"}, "COMPARE_PATIENT_DIFFERS"),
        ({"patient_id": " "}, "COMPARE_IDENTITY_MISSING"),
        ({"birth_date": None}, "COMPARE_IDENTITY_MISSING"),
    ],
)
def test_another_patient_is_refused_whatever_the_name(change, code):
    other = later()
    other["identity"] |= change
    other["identity"]["patient_name"] = "Same^Name"
    with pytest.raises(Refused) as error:
        compare(*pair(result(), other), TABLE)
    assert error.value.reason.code == code
    assert error.value.reason.next_step


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda r: r.update(schema="other"), "COMPARE_FILE_INVALID"),
        (lambda r: r.update(status="not_analysable"), "COMPARE_NOT_MEASURED"),
        (lambda r: r.pop("profiles"), "COMPARE_RESULT_OLD"),
        (lambda r: r.pop("identity"), "COMPARE_RESULT_OLD"),
        (lambda r: r["profiles"][1]["plaque_mm3"].pop(), "COMPARE_FILE_INVALID"),
        (lambda r: r["profiles"][1]["plaque_mm3"].__setitem__(3, None), "COMPARE_FILE_INVALID"),
        (lambda r: r["series"].update(series_instance_uid="1.1"), "COMPARE_SAME_SERIES"),
        (lambda r: r["scan"].update(study_date="20230101"), "COMPARE_ORDER"),
        (lambda r: r["software"]["model"].update(sha256="b" * 64), "COMPARE_SOFTWARE_DIFFERS"),
        (
            lambda r: r["software"]["model"].update(calibration={"gate_area_mm2": 9.0}),
            "COMPARE_SOFTWARE_DIFFERS",
        ),
    ],
)
def test_what_must_not_be_compared_is_refused(spoil, code):
    bad = later()
    spoil(bad)
    with pytest.raises(Refused) as error:
        check_pair(*pair(result(), bad))
    assert error.value.reason.code == code


def test_two_hearts_are_not_laid_on_each_other():
    other = later()
    rng = np.random.default_rng(1)
    for p in other["profiles"]:
        n = len(p["points_lps_mm"])
        p["points_lps_mm"] = curve(rng.normal(0, 80, 3), rng.normal(size=3), n * STEP, 9).tolist()
    with pytest.raises(Refused, match="COMPARE_NOT_REGISTERED"):
        compare(*pair(result(), other), TABLE)


# ---- registration ------------------------------------------------------------------------------


def test_rigid_is_scipys():
    rng = np.random.default_rng(3)
    a = rng.normal(size=(40, 3))
    b = a @ TURN.T + [1, 2, 3] + rng.normal(0, 0.1, (40, 3))
    r, t = rigid(a, b)
    expected, _ = Rotation.align_vectors(b - b.mean(0), a - a.mean(0))
    assert r == pytest.approx(expected.as_matrix(), abs=1e-6)
    assert t == pytest.approx(b.mean(0) - a.mean(0) @ r.T)


def test_a_turned_and_moved_tree_finds_its_places():
    before, after = pair(result(), later(turn=TURN, shift=(9, -30, 12)))
    pairs = register(before.courses, after.courses)
    assert len(pairs) == len(LINES)
    for p in pairs:
        assert p.distance_mm < 0.2
        assert np.abs(p.partner - np.arange(*p.after_steps)).max() <= 1


def test_a_renamed_side_branch_is_found_by_where_it_runs():
    other = later(turn=TURN)
    other["profiles"][2]["branch"] = "D2"
    before, after = pair(result(), other)
    assert any(p.before.branch == "D1" for p in register(before.courses, after.courses))


def test_only_the_common_stretch_is_compared():
    short = later(plaque={("LAD", 80, 90): 30.0})
    whole = result({("LAD", 80, 90): 30.0})
    for key, value in short["profiles"][1].items():
        if isinstance(value, list):
            short["profiles"][1][key] = value[: round(60 / STEP)]
    data = compare(*pair(whole, short), TABLE)
    assert data["patient"]["plaque_mm3"]["before_mm3"] == pytest.approx(0.0, abs=1e-6)
    assert data["patient"]["plaque_mm3"]["claim"] == NO_CHANGE


# ---- change ------------------------------------------------------------------------------------


def test_change_per_vessel_and_segment_and_year():
    before = result({("LAD", 10, 20): 40.0})
    after = later(plaque={("LAD", 10, 20): 100.0}, turn=TURN, shift=(5, 5, 5))
    data = compare(*pair(before, after), TABLE)
    lad = data["vessels"]["LAD"]["plaque_mm3"]
    assert lad["change_mm3"] == pytest.approx(60.0, abs=0.5)
    assert lad["per_year_mm3"] == pytest.approx(60.0 / data["years"], abs=0.3)
    assert lad["claim"] == "increase"
    assert lad["measurable_from_mm3"] == pytest.approx(FACTOR * math.hypot(2.0, 0.05 * 70), abs=0.1)
    assert data["vessels"]["RCA"]["plaque_mm3"]["claim"] == NO_CHANGE
    by_number = {s["number"]: s["changes"]["plaque_mm3"] for s in data["segments"]}
    assert by_number[6]["change_mm3"] == pytest.approx(60.0, abs=0.5)
    assert by_number[7]["change_mm3"] == pytest.approx(0.0, abs=0.5)
    total = sum(v["plaque_mm3"]["change_mm3"] for v in data["vessels"].values())
    assert data["patient"]["plaque_mm3"]["change_mm3"] == pytest.approx(total)
    assert sum(s["change_mm3"] for s in by_number.values()) == pytest.approx(total)


def test_inside_the_noise_there_is_no_measurable_change():
    data = compare(
        *pair(result({("LAD", 10, 20): 40.0}), later(plaque={("LAD", 10, 20): 44.0})), TABLE
    )
    assert data["vessels"]["LAD"]["plaque_mm3"]["claim"] == NO_CHANGE
    assert compare(*pair(result(), later()), None)["patient"]["plaque_mm3"]["claim"] == NOT_JUDGED


@pytest.mark.parametrize(
    "scan",
    [{"kernel": "Bv56"}, {"kvp": 120}, {"kvp": None}, {"scanner_model": "Y"}],
)
def test_another_protocol_lowers_the_claim_visibly(scan):
    data = compare(*pair(result(), later(plaque={("LAD", 10, 20): 90.0}, **scan)), TABLE)
    assert data["comparability"]["level"] == "lowered"
    assert data["vessels"]["LAD"]["plaque_mm3"]["claim"].startswith("possible increase")


@pytest.mark.parametrize("which", [(True, False), (False, True), (True, True)])
def test_low_attenuation_that_cannot_be_told_changes_nothing(which):
    """Whichever scan it is, and though both were made alike, as at 80 kVp."""
    both = [result(), later(plaque={("LAD", 10, 20): 90.0})]
    for data, doubtful in zip(both, which, strict=True):
        values = data["profiles"][1]
        values["low_attenuation_mm3"] = list(values["plaque_mm3"])
        reason = {"code": "LOW_ATTENUATION_DOUBTFUL", "text": "80 kVp.", "next_step": ""}
        data["plaque_rule"] = {"low_attenuation_doubt": reason if doubtful else None}
    told = compare(*pair(*both), TABLE)["vessels"]["LAD"]
    assert told["low_attenuation_mm3"]["claim"] == NOT_TOLD
    assert told["low_attenuation_mm3"]["measurable_from_mm3"] is None
    assert told["plaque_mm3"]["claim"] == "increase"
    both[0]["plaque_rule"] = both[1]["plaque_rule"] = {"low_attenuation_doubt": None}
    sure = compare(*pair(*both), TABLE)["vessels"]["LAD"]
    assert sure["low_attenuation_mm3"]["claim"] == "increase"


def test_spacing_counts_from_a_fifth_on():
    a, b = pair(result(), later())
    assert protocol_differences(a, b) == []
    near = copy.deepcopy(later())
    near["series"]["spacing_zyx_mm"] = [0.45, 0.4, 0.4]
    far = copy.deepcopy(later())
    far["series"]["spacing_zyx_mm"] = [0.7, 0.4, 0.4]
    assert protocol_differences(a, read_study(near, "x")) == []
    assert "spacing" in protocol_differences(a, read_study(far, "x"))[0]


def test_two_scans_close_in_time_give_no_rate():
    data = compare(*pair(result(study_date="20251201"), later()), TABLE)
    assert data["patient"]["plaque_mm3"]["per_year_mm3"] is None
    assert isinstance(read_study(later(study_date="x"), "a"), Study)


def test_what_is_not_judged_has_no_rate():
    """A rate of something that nobody can call a change would be read as one."""
    before, after = result({("LAD", 10, 20): 40.0}), later(plaque={("LAD", 10, 20): 140.0})
    told = compare(*pair(before, after), TABLE)["patient"]
    assert told["plaque_mm3"]["per_year_mm3"] > 40
    assert told["pav_percent"]["per_year"] > 0
    data = compare(*pair(before, after), None)
    for changes in (data["patient"], data["vessels"]["LAD"], data["segments"][0]["changes"]):
        assert [c.get("per_year_mm3", c.get("per_year")) for c in changes.values()] == (
            [None] * len(changes)
        )
    assert not any("a year" in line for line in lines(data))
    doubt = {"low_attenuation_doubt": {"code": "X", "text": "", "next_step": ""}}
    low = compare(*pair(before | {"plaque_rule": doubt}, after), TABLE)["patient"]
    assert low["low_attenuation_mm3"]["per_year_mm3"] is None
    assert low["plaque_mm3"]["per_year_mm3"] is not None


# ---- corrected by a person ---------------------------------------------------------------------

SAID = {"by": "Dr. Li", "at": "2026-01-05T10:11:12.000Z", "request": 3, "summary": {"exclude": 1}}


def excluded(made, branch, start_mm, end_mm):
    """Exclude a stretch as a correction writes it: no segment, no values."""
    steps = slice(round(start_mm / STEP), round(end_mm / STEP))
    profile = next(p for p in made["profiles"] if p["branch"] == branch)
    count = len(profile["segment"][steps])
    profile["segment"][steps] = [0] * count
    for name in COMPONENTS:
        profile[name][steps] = [None] * count
    return made | {"corrections": SAID}


@pytest.mark.parametrize("side", ["before", "after"])
def test_an_excluded_stretch_is_unmeasured_in_both(side):
    """What one study lacks is taken from the other as well, whichever it is."""
    before = result({("LAD", 10, 20): 40.0, ("LAD", 60, 70): 30.0})
    after = later(plaque={("LAD", 10, 20): 40.0, ("LAD", 60, 70): 150.0}, turn=TURN)
    one = excluded(before if side == "before" else after, "LAD", 58, 72)
    both = (one, after) if side == "before" else (before, one)
    data = compare(*pair(*both), TABLE)
    lad = data["vessels"]["LAD"]["plaque_mm3"]
    assert lad["before_mm3"] == pytest.approx(40.0, abs=0.5)
    assert lad["after_mm3"] == pytest.approx(40.0, abs=0.5)
    assert lad["claim"] == NO_CHANGE
    whole = compare(*pair(result(), later()), TABLE)["registration"]
    found = data["registration"]
    assert found["excluded"] == [{"study": side, "branch": "LAD", "length_mm": 14.0}]
    gone = whole["common_length_mm"] - found["common_length_mm"]
    assert gone == pytest.approx(14.0, abs=1.0)
    assert any("Excluded in the" in line and "LAD, 14 mm" in line for line in lines(data))


def test_what_was_excluded_as_a_whole_has_no_value_instead_of_zero():
    both = excluded(result(), "RCA", 0, 200), later(plaque={("RCA", 10, 20): 90.0})
    data = compare(*pair(*both), TABLE)
    assert data["vessels"]["RCA"] is None
    assert {s["number"] for s in data["segments"]}.isdisjoint({0, 1, 2})
    assert data["patient"]["plaque_mm3"]["after_mm3"] == pytest.approx(0.0)


def test_a_missing_value_that_nobody_excluded_is_refused():
    made = excluded(later(), "RCA", 10, 20)
    made["profiles"][4]["segment"] = [1] * len(made["profiles"][4]["segment"])
    with pytest.raises(Refused, match="COMPARE_FILE_INVALID"):
        read_study(made, "AFTER")


@pytest.mark.parametrize("side", ["before", "after"])
def test_corrected_numbers_are_named_and_lower_the_claim(side):
    made = {"before": result(), "after": later(plaque={("LAD", 10, 20): 90.0})}
    made[side] |= {"corrections": SAID}
    data = compare(*pair(made["before"], made["after"]), TABLE)
    other = {"before": "after", "after": "before"}[side]
    assert data[side]["corrected"] == SAID
    assert data[other]["corrected"] is None
    assert data["comparability"] == {"level": "lowered", "differences": [], "corrected": [side]}
    assert data["vessels"]["LAD"]["plaque_mm3"]["claim"] == f"possible increase: {BY_HAND}"
    word = {"before": "PRIOR", "after": "PRESENT"}[side]
    assert any(
        line.startswith(f"{word} STUDY: Corrected by Dr. Li, 2026-01-05 10:11")
        for line in lines(data)
    )


def corrected_store(out, made):
    """A store with one result, corrected twice, then as ``acts`` say; returns folder and store."""
    info = SeriesInfo(study_instance_uid="1", series_instance_uid="1.1", modality="CT")
    store = Store(out)
    folder = out / "1.1" / "r1"
    for name, data in {"": result(), "corrected-2": result(), **made}.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "result.json").write_text(json.dumps(data))
    case_id = store.open_case(NewCase(info, 1, 1))
    store.update(case_id, result_dir=folder, result_sha256="own")
    return folder, store, case_id


def test_compare_takes_what_counts_in_the_store(tmp_path, capsys):
    """The newest correction; the analysis's own when it was taken back; never an older one."""
    newest = result({("LAD", 10, 20): 55.0}) | {"corrections": SAID}
    folder, store, case_id = corrected_store(tmp_path / "out", {"corrected-5": newest})
    (tmp_path / "b.json").write_text(json.dumps(later()))
    command = ["compare", str(folder), str(tmp_path / "b.json"), "--json", str(tmp_path / "c.json")]

    def compared(path=folder):
        assert main(["compare", str(path), *command[2:]]) == 0
        data = json.loads((tmp_path / "c.json").read_text())
        return data["patient"]["plaque_mm3"]["before_mm3"], data["before"]

    def act(name):
        file = folder / name / "result.json" if name else None
        sha = hashlib.sha256(file.read_bytes()).hexdigest() if file else "own"
        store.record_action(
            case_id, NewAction("correct", "Dr. Li", {"folder": name, "sha256": sha})
        )
        return sha

    assert compared() == (0.0, compared()[1]) and compared()[1]["corrected"] is None
    act("corrected-2")
    sha = act("corrected-5")
    for path in (folder, folder / "result.json", folder / "corrected-5"):
        volume, side = compared(path)
        assert volume == pytest.approx(55.0, abs=0.5)
        assert (side["corrected"], side["result_sha256"]) == (SAID, sha)
    act(None)
    assert compared()[0] == 0.0
    act("corrected-5")
    (folder / "corrected-5" / "result.json").write_text(json.dumps(result()))
    assert main(command) == 2
    assert "not the one that the store knows" in capsys.readouterr().err
    store.close()


def test_without_a_store_corrections_are_not_guessed(tmp_path, capsys):
    newest = result({("LAD", 10, 20): 55.0}) | {"corrections": SAID}
    folder, store, _ = corrected_store(tmp_path / "out", {"corrected-5": newest})
    store.close()
    moved = tmp_path / "copy"
    folder.rename(moved)
    (tmp_path / "b.json").write_text(json.dumps(later()))
    assert main(["compare", str(moved), str(tmp_path / "b.json")]) == 2
    assert "COMPARE_CORRECTION_UNKNOWN" in capsys.readouterr().err
    assert main(["compare", str(moved / "corrected-5"), str(tmp_path / "b.json")]) == 0
    assert "Corrected by Dr. Li" in capsys.readouterr().out


# ---- repeatability -----------------------------------------------------------------------------


def test_planted_repeatability_comes_back():
    rng = np.random.default_rng(5)
    true = np.exp(rng.uniform(np.log(1), np.log(1000), 4000))
    sd = np.hypot(3.0, 0.08 * true)
    scans = true[:, None] + sd[:, None] * rng.normal(size=(4000, 2))
    fit = fit_sd([(float(a), float(b)) for a, b in scans])
    assert fit == pytest.approx((3.0, 0.08), rel=0.1)
    assert fit_sd([(1.0, 2.0)] * 4 + [(0.0, 0.0)] * 9) is None


def test_places_where_both_scans_find_nothing_dont_make_the_limit_small():
    rng = np.random.default_rng(6)
    scans = [(float(a), float(b)) for a, b in rng.normal(20, 3, (300, 2))]
    assert fit_sd(scans + [(0.0, 0.0)] * 600) == fit_sd(scans)


def hearts(rng, n, sd=3.0, cv=0.1):
    """Hearts measured twice: one patient, two vessels and three segments each."""
    counts = {"patient": 1, "vessel": 2, "segment": 3}

    def change():
        true = rng.uniform(10, 400)
        a, b = rng.normal(true, math.hypot(sd, cv * true), 2).clip(0)
        return {c: {"before_mm3": float(a), "after_mm3": float(b)} for c in COMPONENTS}

    return [
        Measured(i, {level: [change() for _ in range(k)] for level, k in counts.items()})
        for i in range(n)
    ]


def test_limits_from_few_hearts_hold_for_new_ones():
    """A new pair lies within them about as often as they say; unwidened ones fail by far."""
    rng, hits, bare = np.random.default_rng(3), [], []
    for _ in range(150):
        few = fitted_to(hearts(rng, 8), "patient", "plaque_mm3")
        (a, b), *_ = hearts(rng, 1)[0].pairs("patient", "plaque_mm3")
        hits.append(abs(a - b) <= limit_mm3(few, (a + b) / 2))
        bare.append(abs(a - b) <= limit_mm3(few, (a + b) / 2) / widening(8))
    assert 0.91 <= np.mean(hits) <= 0.99
    assert np.mean(bare) < 0.91
    assert widening(10_000) == pytest.approx(1.0, abs=1e-3)


MODEL = {"sha256": "a" * 64, "calibration": {"plaque_prior": 1.0}}


def test_the_table_holds_for_hearts_it_was_not_made_from(tmp_path):
    table = table_of(hearts(np.random.default_rng(7), 40), MODEL, "simulated", {"X_Y": 2})
    for level, count in (("patient", 40), ("vessel", 80), ("segment", 120)):
        part = table["levels"][level]["plaque_mm3"]
        assert part["pairs"] == count
        assert 0.87 <= part["held_out_within"] <= 0.99
    text = markdown(table)
    assert "Research use only" in text and "2 X_Y" in text
    path = tmp_path / "table.json"
    write_json(table, path)
    found = load_table("a" * 64, {"plaque_prior": 1.0}, path)
    part = table["levels"]["vessel"]["plaque_mm3"]
    assert found.limit_mm3("vessel", "plaque_mm3", 100.0) == pytest.approx(
        1.96 * math.sqrt(2 * (part["sd_mm3"] ** 2 + (100 * part["cv"]) ** 2)), rel=1e-5
    )
    with pytest.raises(Refused, match="REPEATABILITY_FEW"):
        table_of(hearts(np.random.default_rng(7), 4), MODEL, "simulated", {})


@pytest.mark.parametrize(
    ("spoil", "asked", "code"),
    [
        (None, MODEL, "REPEATABILITY_MISSING"),
        (lambda t: t, MODEL | {"sha256": "b" * 64}, "REPEATABILITY_OTHER_MODEL"),
        (lambda t: t, MODEL | {"calibration": {}}, "REPEATABILITY_OTHER_MODEL"),
        (lambda t: t | {"format": "x"}, MODEL, "REPEATABILITY_INVALID"),
        (lambda t: t | {"model_sha256": ""}, MODEL, "REPEATABILITY_INVALID"),
        (lambda t: t | {"levels": {"vessel": {"plaque_mm3": {"sd_mm3": -1, "cv": 0}}}}, MODEL,
         "REPEATABILITY_INVALID"),
    ],
)  # fmt: skip
def test_the_table_of_other_networks_judges_nothing(tmp_path, spoil, asked, code):
    path = tmp_path / "table.json"
    if spoil:
        table = table_of(hearts(np.random.default_rng(8), 6), MODEL, "simulated", {})
        path.write_text(json.dumps(spoil(table)))
    found = load_table(asked["sha256"], asked["calibration"], path)
    assert found.code == code
    data = compare(*pair(result(), later(plaque={("LAD", 10, 20): 90.0})), found)
    assert data["patient"]["plaque_mm3"]["claim"] == NOT_JUDGED
    assert data["not_judged"]["code"] == code and data["not_judged"]["next_step"]
    assert any(code in line for line in lines(data))


def keep(folder, seed, preset, made):
    """One kept row of the rescan family, and its result beside it unless ``made`` is empty."""
    key = f"rescan-{seed}-{preset}"
    row = {"key": key, "family": "rescan", "preset": preset, "seed": seed, "status": "ready",
           "truth": {}, "measured": {}, "vessels": {}, "model": MODEL}  # fmt: skip
    write_json(row, folder / f"{key}.json")
    if made:
        made["software"]["model"] = MODEL
        write_json(made, result_path(folder, key))


def test_command_makes_the_table_from_kept_pairs_and_compare_finds_it(tmp_path, capsys):
    rng = np.random.default_rng(9)
    for seed in range(2_000_500, 2_000_507):
        where = ("LAD", 10, 20)
        true = rng.uniform(30, 200)
        a, b = rng.normal(true, 5, 2)
        keep(tmp_path / "kept", seed, "test", result({where: a}))
        again = later(plaque={where: b}, turn=TURN)
        if seed == 2_000_506:
            again["status"] = "failed"
        keep(tmp_path / "kept", seed, "rescan", again)
    table, report = tmp_path / "table.json", tmp_path / "report.md"
    command = ["repeatability", str(tmp_path / "kept"), "--json", str(table)]
    assert main([*command, "--report", str(report)]) == 0
    data = json.loads(table.read_text())
    assert data["model_sha256"] == "a" * 64 and data["hearts"] == 6
    assert data["not_compared"] == {"COMPARE_NOT_MEASURED": 1}
    assert "validation seeds 2000500 to 2000506" in data["source"]
    part = data["levels"]["vessel"]["plaque_mm3"]
    # An SD of 5 mm³ from six hearts: its own 95 % interval is 0.6 to 1.5 times that.
    at_mean = math.hypot(part["sd_mm3"], part["cv"] * part["mean_mm3"]) / widening(6)
    assert 0.4 * 5 < at_mean < 1.6 * 5
    assert "calcified_mm3" not in data["levels"]["segment"], "nothing was found in any"
    assert "LAD" not in report.read_text() and "| patient | plaque |" in report.read_text()
    paths = [str(result_path(tmp_path / "kept", f"rescan-2000500-{p}")) for p in ("test", "rescan")]
    capsys.readouterr()
    assert main(["compare", *paths, "--repeatability", str(table)]) == 0
    assert NO_CHANGE in capsys.readouterr().out
    result_path(tmp_path / "kept", "rescan-2000500-test").unlink()
    assert main(command) == 2
    assert capsys.readouterr().err.startswith("EVALUATION_ROWS: ")


# ---- command ----------------------------------------------------------------------------------


def test_command_writes_json_and_refuses_with_a_code(tmp_path, capsys):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "result.json").write_text(json.dumps(result()))
    (tmp_path / "b.json").write_text(json.dumps(later(plaque={("RCA", 10, 30): 80.0})))
    out = tmp_path / "change.json"
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b.json"), "--json", str(out)]) == 0
    assert json.loads(out.read_text())["schema"] == "plaque-edge/compare/1"
    printed = capsys.readouterr().out
    assert "Research use only" in printed
    assert "P1" not in printed
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "none.json")]) == 2
    assert "COMPARE_FILE_INVALID" in capsys.readouterr().err
