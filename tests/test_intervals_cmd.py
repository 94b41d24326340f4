"""From kept rows of an evaluation to the intervals' file, and what is refused on the way."""

import json
import math

import numpy as np
import pytest

from plaque_edge.errors import Refused
from plaque_edge.evaluate import intervals
from plaque_edge.intervals_cmd import main, read_rows
from plaque_edge.phantom.scene import VALIDATION_SEEDS
from plaque_edge.quantify.intervals import IntervalModel, intervals_of
from plaque_edge.quantify.intervals_file import NAME, load_for
from plaque_edge.quantify.softness import GATED, PARTS
from plaque_edge.types import VESSELS, ModelInfo

MODEL = {"name": "net", "version": "1", "sha256": "a" * 64, "calibration": {"gate_area_mm2": 1.5}}


def volumes(rng, noise):
    """Measured and true volumes of one vessel: roots differ by a normal error of the noise."""
    measured, truth, soft = {}, {}, {}
    for part in PARTS:
        v = 0.0 if rng.random() < 0.2 else min(rng.lognormal(4, 1), 400.0)
        measured[f"{part}_mm3"] = v
        root = math.sqrt(v) + noise / 30 * rng.standard_normal()
        truth[f"{part}_mm3"] = max(root, 0.0) ** 2
        soft[f"{part}_inside_mm3"] = 0.2 * v
        if part in GATED:
            soft |= {f"{part}_outside_mm3": rng.uniform(0, 4), f"{part}_left_out_mm3": 1.0}
    more = {"softness": soft, "length_mm": rng.uniform(60, 160), "intervals_95": None}
    return {"measured": measured | more, "truth": truth}


def row(seed, **changes):
    rng = np.random.default_rng(seed)
    noise = rng.uniform(12, 45)
    vessels = {name: volumes(rng, noise) for name in VESSELS}
    for v in vessels.values():
        v["measured"]["status"] = "analysed"
    whole = volumes(rng, noise)
    whole["measured"]["lower_bound"] = False
    return {
        "key": f"standard-{seed}-test", "family": "standard", "preset": "test",
        "generator": "first", "seed": seed, "status": "ready", "reasons": [], **whole,
        "vessels": vessels, "model": MODEL,
        "quality": {"noise_hu": noise, "blood_hu": rng.uniform(300, 550), "edge_mm": 0.6,
                    "motion": rng.uniform(1, 2), "slice_mm": 0.5, "pixel_mm": 0.4,
                    "kernel": "vascular", "verdict": "diagnostic"},
    } | changes  # fmt: skip


def rows(first=VALIDATION_SEEDS[300], count=70):
    return [row(seed) for seed in range(first, first + count)]


def keep(folder, found):
    folder.mkdir(exist_ok=True)
    for r in found:
        (folder / f"{r['key']}.json").write_text(json.dumps(r))
    return folder


def info(folder, sha256="a" * 64):
    return ModelInfo("", "", sha256, "", "", tuple(MODEL["calibration"].items()), folder)


def counted(new, level, part):
    """The same count again, row by row."""
    n = held = 0
    for r in new:
        for item in [r] if level == "patient" else r["vessels"].values():
            a, b = item["measured"]["intervals_95"][f"{part}_mm3"]
            n, held = n + 1, held + (a <= item["truth"][f"{part}_mm3"] <= b)
    return held / n, n


def test_rows_become_a_file_that_covers_new_rows(tmp_path, capsys):
    folder = keep(tmp_path / "rows", rows())
    assert main([str(folder), "--to", str(tmp_path / NAME)]) == 0
    said = capsys.readouterr().err
    assert "70 scans" in said
    assert "low attenuation per vessel" in said
    assert len([line for line in said.splitlines() if "patients, held" in line]) >= 12
    model = load_for(info(tmp_path))
    assert isinstance(model, IntervalModel)
    assert model.scans == 70
    assert load_for(info(tmp_path, "b" * 64)).code == "INTERVALS_OTHER_MODEL"
    new = rows(VALIDATION_SEEDS[5000], 150)
    for r in new:
        for level, items in (("patient", [r]), ("vessel", r["vessels"].values())):
            for item in items:
                item["measured"]["intervals_95"] = intervals_of(
                    model.levels[level], item["measured"], r["quality"]
                )
    found = intervals.coverage(new, model)
    for part in PARTS:
        assert 0.90 <= found["vessel"][part]["all"]["held"]["value"] <= 0.99, part
        assert 0.88 <= found["patient"][part]["all"]["held"]["value"] <= 1.0, part
        for level in ("patient", "vessel"):
            held = found[level][part]["all"]["held"]
            assert (held["value"], held["n"]) == counted(new, level, part)
        sizes = found["vessel"][part]["classes"]
        assert len(sizes) >= 3
        assert sum(c["held"]["n"] + c["without"] for c in sizes) == 600
    text = intervals.table(found)
    assert len(text) > 40
    assert any("plaque per vessel | below 1 |" in line for line in text)


def test_lower_bounds_doubt_and_refusals_are_left_out():
    found = rows(count=60)
    found[0]["measured"]["lower_bound"] = True
    found[1]["vessels"]["LAD"]["measured"]["status"] = "partial"
    found[2]["reasons"] = ["LOW_ATTENUATION_DOUBTFUL"]
    found[3]["vessels"]["RCA"]["measured"] |= {"plaque_mm3": None, "status": "not_analysable"}
    assert len(intervals.samples(found, "patient", "plaque")) == 59
    assert len(intervals.samples(found, "vessel", "plaque")) == 4 * 60 - 2
    assert len(intervals.samples(found, "patient", "low_attenuation")) == 58
    assert len(intervals.samples(found, "vessel", "low_attenuation")) == 4 * 60 - 6
    refused = row(VALIDATION_SEEDS[999], status="not_analysable", quality=None)
    assert intervals.fit_model([*found, refused]).scans == 60


def test_scans_of_one_patient_stay_together():
    both = [row(VALIDATION_SEEDS[300]), row(VALIDATION_SEEDS[300], preset="rescan")]
    other = row(VALIDATION_SEEDS[300], generator="second")
    names = {s.patient for r in both for s in intervals.samples([r], "vessel", "plaque")}
    assert len(names) == 1
    assert {s.patient for s in intervals.samples([other], "vessel", "plaque")} != names


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda r: r.update(seed=3_000_000), "INTERVALS_SEEDS"),
        (lambda r: r.update(seed=7), "INTERVALS_SEEDS"),
        (lambda r: r.update(model=MODEL | {"sha256": "b" * 64}), "EVALUATION_MIXED"),
        (lambda r: r.update(model=MODEL | {"calibration": {}}), "EVALUATION_MIXED"),
        (lambda r: r.pop("truth"), "EVALUATION_ROWS"),
        (lambda r: r.pop("quality"), "INTERVALS_ROWS"),
    ],
)
def test_rows_that_must_not_be_used(tmp_path, change, code):
    found = rows(count=3)
    change(found[1])
    folder = keep(tmp_path / "rows", found)
    with pytest.raises(Refused) as error:
        main([str(folder), "--to", str(tmp_path / NAME)])
    assert error.value.reason.code == code
    assert error.value.reason.next_step
    assert not (tmp_path / NAME).exists()


def test_a_folder_named_twice_is_refused(tmp_path):
    folder = keep(tmp_path / "rows", rows(count=60))
    with pytest.raises(Refused, match="twice") as error:
        main([str(folder), str(folder), "--to", str(tmp_path / NAME)])
    assert error.value.reason.code == "INTERVALS_ROWS"
    same = [r | {"generator": "second"} for r in rows(count=60)]  # other scans under the same keys
    assert len(read_rows([folder, keep(tmp_path / "second", same)])) == 120


def test_too_few_and_none(tmp_path):
    for found, code in (([], "EVALUATION_ROWS"), (rows(count=12), "INTERVALS_FEW")):
        folder = keep(tmp_path / f"rows{len(found)}", found)
        with pytest.raises(Refused) as error:
            main([str(folder), "--to", str(tmp_path / NAME)])
        assert error.value.reason.code == code
