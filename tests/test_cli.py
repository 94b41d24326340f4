"""The command line as users and scripts meet it: exit codes, streams, files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import tube_scan

from plaque_edge.cli import COMMANDS, PASSED_ON, main
from plaque_edge.export.result_json import SCHEMA_FILE

ROOT = Path(__file__).parent.parent
SCHEMA = json.loads(SCHEMA_FILE.read_text())
CHEST = ROOT.parent / "shared" / "data" / "tcia_chest_contrast"
TUBES = ["--factory", "tube_scan:factory"]


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    tube_scan.write(folder, age_years=None, birth_date="", sex=None)
    return folder


def read(path: Path) -> dict[str, object]:
    data: dict[str, object] = json.loads(path.read_text())
    jsonschema.validate(data, SCHEMA)
    return data


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help_with_an_example(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "example: plaque-edge" in text
    assert "Research use only" in text


def test_commands_of_the_contract_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    listed = capsys.readouterr().out.replace("\n", " ")
    for name in [*COMMANDS, *PASSED_ON]:
        assert f" {name} " in listed


def test_analyze_writes_all_it_is_asked_for(scan: Path, tmp_path: Path) -> None:
    target, pdf, out = tmp_path / "a" / "r.json", tmp_path / "r.pdf", tmp_path / "out"
    command = ["analyze", str(scan), "--json", str(target), "--pdf", str(pdf), "--out", str(out)]
    assert main([*command, "--age", "61", "--sex", "M", *TUBES]) == 0
    data = read(target)
    assert data["status"] == "ready"
    assert data["covariates"] == {
        "age_years": 61.0, "sex": "M", "diabetes": None, "hypertension": None,
    }  # fmt: skip
    assert data["risk"] is not None
    assert pdf.read_bytes().startswith(b"%PDF")
    (folder,) = out.iterdir()
    assert {p.name for p in folder.iterdir()} == {"result.json", "report.pdf", "view"}
    assert read(folder / "result.json") == data


def test_json_on_stdout_is_json_alone(scan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyze", str(scan), "--json", "-", *TUBES]) == 0
    out, err = capsys.readouterr()
    jsonschema.validate(json.loads(out), SCHEMA)
    assert "RISK_AGE_MISSING:" in err


def test_watch_once(scan: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "plaque_edge", "watch", str(scan), "--once", "--quiet", "0.3"]
    command += ["--out", str(tmp_path), *TUBES]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "DONE" in done.stdout
    assert "Tube" not in done.stdout + done.stderr
    (result,) = tmp_path.glob("*/result.json")
    assert read(result)["status"] == "ready"


def test_info_starts_fast_and_is_for_machines_too(tmp_path: Path) -> None:
    code = (
        "import sys; from plaque_edge.cli import main; main(['info', '--json', '-']);"
        "heavy = {'numba', 'scipy', 'PySide6', 'onnxruntime', 'pydicom'} & set(sys.modules);"
        "sys.exit(3 if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["name"] == "plaque-edge"


def test_risk_show(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["risk", "show"]) == 0
    assert "Endpoint" in capsys.readouterr().out
    assert main(["risk", "show", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["horizons_years"]
    (tmp_path / "bad.json").write_text("{}")
    assert main(["risk", "show", "--model", str(tmp_path / "bad.json")]) == 2
    assert capsys.readouterr().err.startswith("RISK_MODEL_INVALID: ")


def test_phantom_refuses_an_unknown_preset_and_a_full_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["phantom", str(tmp_path), "--seed", "1", "--preset", "nonsense"]) == 2
    assert "PRESET_UNKNOWN: " in capsys.readouterr().err
    (tmp_path / "dicom").mkdir()
    (tmp_path / "dicom" / "mine").write_text("x")
    assert main(["phantom", str(tmp_path), "--seed", "1"]) == 2
    assert "FOLDER_NOT_EMPTY: " in capsys.readouterr().err


def test_demo_never_clears_a_folder_it_did_not_make(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "scan").write_text("precious")
    assert main(["demo", "--headless", "--out", str(tmp_path)]) == 1
    assert "DEMO_FOLDER_IN_USE: " in capsys.readouterr().err
    assert (tmp_path / "export" / "scan").read_text() == "precious"


def test_interrupt_is_130(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import plaque_edge.commands

    def stop(_options: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(plaque_edge.commands, "phantom", stop)
    assert main(["phantom", str(tmp_path), "--seed", "1"]) == 130
