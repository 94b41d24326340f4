"""A site's risk model in analyze and the service: used, named in the result, or refused first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import tube_scan

from plaque_edge.cli import main
from plaque_edge.errors import Refused
from plaque_edge.risk.model import DEFAULT_MODEL, load_model
from plaque_edge.risk_choice import networks_sha256, risk_model
from plaque_edge.segment.run import Engines
from plaque_edge.settings import read_risk_model

if TYPE_CHECKING:
    from pathlib import Path

TUBES = ["--factory", "tube_scan:factory"]


def site_model(folder: Path, segmenter: str | None, name: str = "site.json") -> Path:
    """The shipped model under another name, bound to a segmenter."""
    data = json.loads(DEFAULT_MODEL.read_text(encoding="utf-8"))
    path = folder / name
    path.write_text(json.dumps(data | {"name": "a site's", "segmenter_sha256": segmenter}))
    return path


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scan")
    tube_scan.write(folder)
    return folder


def analysed(scan: Path, model: Path, *more: str) -> tuple[int, dict[str, Any]]:
    target = model.parent / "result.json"
    words = ["analyze", str(scan), "--json", str(target), "--age", "61", "--sex", "M"]
    code = main([*words, *more, *TUBES])
    return code, json.loads(target.read_text(encoding="utf-8"))


def test_the_sites_model_gives_the_risk_and_is_named(scan: Path, tmp_path: Path) -> None:
    model = site_model(tmp_path, tube_scan.MODEL.sha256)
    code, data = analysed(scan, model, "--risk-model", str(model))
    assert code == 0
    assert data["software"]["risk_model"]["name"] == "a site's"
    assert data["software"]["risk_model"]["sha256"] == load_model(model).sha256
    (tmp_path / "site.toml").write_text('[risk]\nmodel = "site.json"\n')
    _, again = analysed(scan, model, "--settings", str(tmp_path / "site.toml"))
    assert again["risk"] == data["risk"] and data["risk"] is not None


def test_a_model_for_other_networks_gives_volumes_but_no_risk(scan: Path, tmp_path: Path) -> None:
    model = site_model(tmp_path, "b" * 64)
    _, data = analysed(scan, model, "--risk-model", str(model))
    assert data["patient"]["plaque_mm3"] > 0
    assert data["risk"] is None
    (reason,) = (r for r in data["reasons"] if r["code"].startswith("RISK_"))
    assert reason["code"] == "RISK_SEGMENTER_MISMATCH" and reason["next_step"]


@pytest.mark.parametrize("command", ["analyze", "watch", "receive"])
@pytest.mark.parametrize(("content", "code"), [(None, "RISK_SEGMENTER_MISMATCH"), ("{}", "RISK_")])
def test_what_cant_be_used_is_refused_before_the_first_patient(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, content: str, code: str
) -> None:
    model = site_model(tmp_path, "b" * 64)
    if content:
        model.write_text(content)
    words = {
        "analyze": ["analyze", str(tmp_path), "--json", str(tmp_path / "result.json")],
        "watch": ["watch", str(tmp_path), "--out", str(tmp_path / "out")],
        "receive": ["receive", "--port", "0", "--aet", "X", "--out", str(tmp_path / "out")],
    }[command]
    assert main([*words, "--risk-model", str(model)]) == 2
    assert capsys.readouterr().err.startswith(code)
    assert not (tmp_path / "result.json").exists() and not (tmp_path / "out").exists()


def test_the_option_goes_before_the_settings(tmp_path: Path) -> None:
    first, second = (site_model(tmp_path, None, n) for n in ("a.json", "b.json"))
    settings = tmp_path / "site.toml"
    settings.write_text('[risk]\nmodel = "a.json"\n')
    assert risk_model(None, settings, None) == first
    assert risk_model(second, settings, None) == second
    assert risk_model(None, None, None) is None


@pytest.mark.parametrize("text", ["risk = 3", "[risk]\nmodel = 3", '[risk]\nfile = "a"'])
def test_settings_that_mean_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "site.toml"
    path.write_text(text)
    with pytest.raises(Refused, match="SETTINGS_INVALID"):
        read_risk_model(path)


def test_the_hash_is_the_one_that_results_carry(tmp_path: Path) -> None:
    with Engines() as engines:
        assert networks_sha256(None) == engines.info().sha256
    assert risk_model(site_model(tmp_path, networks_sha256(None)), None, None) is not None
