"""Choosing the calibration: the setting that is right for both generators, written to its table."""

import tomllib

import pytest

from engines.training.calibrate import SETTINGS, Setting, choose, validation_scans, write_table
from engines.training.cli import main  # noqa: F401  the command must import
from plaque_edge.phantom.scene import VALIDATION_SEEDS


def test_the_setting_that_errs_least_on_both_generators_wins():
    right, greedy = Setting(1.5, 1.0), Setting(2.0, 0.6)
    found = []
    for i, scan in enumerate(validation_scans(0, 4, 4)):
        true = 100.0 * (i % 4 + 1)
        plaque = dict.fromkeys(SETTINGS, true * 1.5)
        plaque[right] = true * 1.05
        plaque[greedy] = true if scan.generator == "first" else true * 2
        found.append((scan, true, plaque))
    result = choose(found)
    assert result["chosen"] == right.as_dict()
    row = next(r for r in result["table"] if r["plaque_prior"] == 1.5 and r["gate_area_mm2"] == 1.0)
    assert row["generators"]["second"]["slope"] == pytest.approx(1.05)


def test_only_validation_seeds_choose():
    assert all(s.seed in VALIDATION_SEEDS for s in validation_scans(100, 20, 10))


def test_the_table_is_replaced_and_the_rest_stays(tmp_path):
    file = tmp_path / "model.toml"
    file.write_text('name = "wall"\n[file]\nonnx = "m"\n\n[calibration]\n# old\nplaque_prior = 9\n')
    write_table(file, Setting(1.25, 0.6).as_dict(), "why")
    data = tomllib.loads(file.read_text())
    assert data["name"] == "wall"
    assert data["calibration"] == Setting(1.25, 0.6).as_dict()
