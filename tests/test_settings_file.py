"""The settings file as the console writes it: what is written is what the service reads."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from plaque_edge.cli import main
from plaque_edge.config import FolderRule, ReceiveOptions
from plaque_edge.errors import Failed, Refused
from plaque_edge.settings import (
    FILE_NAME,
    read_limits,
    read_receiver,
    read_settings,
    read_signers,
)
from plaque_edge.settings_file import as_toml, load_file, save_file

if TYPE_CHECKING:
    from collections.abc import Callable

WHOLE: dict[str, Any] = {
    "folder": [
        {"path": '/data/ex"port\\\x7f 扫描 😀', "share": True, "late_s": 90.5, "skip": ["*.tmp"]},
        {"path": "in"},
    ],
    "receiver": {"port": 11112, "aet": "PLAQUE", "allow": ["CT1", "CT 2"], "bind": "127.0.0.1"},
    "quality": {"noise_warn_hu": 40.0, "kvp_pass": [90.0, 120.0]},
    "roles": {"sign": ["Dr. Li", "Müller"]},
}


def test_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "settings.toml"
    save_file(file, WHOLE)
    assert load_file(file) == WHOLE
    rules = read_settings(file)
    assert rules[file.parent / "in"] == FolderRule()
    assert rules[Path(WHOLE["folder"][0]["path"])] == FolderRule(5.0, 90.5, False, None, ("*.tmp",))
    assert read_receiver(file) == ReceiveOptions(11112, "PLAQUE", ("CT1", "CT 2"), "127.0.0.1")
    assert read_limits(file).kvp_pass == (90.0, 120.0)
    assert read_signers(file) == ("Dr. Li", "Müller")
    assert [p.name for p in file.parent.iterdir()] == ["settings.toml"]


def test_the_one_before_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    save_file(file, {"folder": [{"path": "a"}]})
    save_file(file, {"folder": [{"path": "b"}]})
    assert load_file(tmp_path / "settings.toml.before")["folder"][0]["path"] == "a"
    assert load_file(tmp_path / "none.toml") == {}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d["receiver"].update(port=70000),
        lambda d: d["receiver"].update(port=True),
        lambda d: d["receiver"].pop("port"),
        lambda d: d["receiver"].update(aet=""),
        lambda d: d["receiver"].update(aet="MORE_THAN_SIXTEEN"),
        lambda d: d["receiver"].update(aet="ÄRZTE"),
        lambda d: d["receiver"].update(allow=["A\\B"]),
        lambda d: d["receiver"].update(allow="CT1"),
        lambda d: d["receiver"].update(tls_cert="c.pem"),
        lambda d: d["receiver"].update(speed=1),
        lambda d: d["quality"].update(noise_warn_hu=90.0),
        lambda d: d["quality"].update(noise_warn_hu="high"),
        lambda d: d["quality"].update(nonsense=1.0),
        lambda d: d["roles"].update(sign=[""]),
        lambda d: d["roles"].update(admin=["x"]),
        lambda d: d["folder"].append({"path": "in"}),
        lambda d: d["folder"].append({"path": ""}),
        lambda d: d.clear(),
    ],
)
def test_what_the_service_would_refuse_is_never_written(
    spoil: Callable[[dict[str, Any]], object], tmp_path: Path
) -> None:
    file = tmp_path / "settings.toml"
    save_file(file, WHOLE)
    before = file.read_bytes()
    data = {k: [dict(t) for t in v] if isinstance(v, list) else dict(v) for k, v in WHOLE.items()}
    spoil(data)
    with pytest.raises(Refused, match="SETTINGS_INVALID"):
        save_file(file, data)
    assert file.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["settings.toml"]


def test_a_place_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Failed, match="SETTINGS_NOT_WRITTEN"):
        save_file(tmp_path / "file" / "settings.toml", WHOLE)
    assert stat.S_ISREG((tmp_path / "file").stat().st_mode)


def test_no_table_no_receiver(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text(as_toml({"folder": [{"path": "a"}]}))
    assert read_receiver(file) is None
    assert read_receiver(None) is None
    assert read_signers(file) == read_signers(None) == ()


def _started(monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    """Return the options with which the command starts its service; nothing is run."""
    seen: list[Any] = []

    class Stop(Exception):
        pass

    def service(options: Any, **_: Any) -> None:
        seen.append(options)
        raise Stop

    monkeypatch.setattr("plaque_edge.service.Service", service)
    with pytest.raises(Stop):
        main([*words, "--debug"])
    return seen[0]


def test_the_service_reads_the_file_in_its_results_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    save_file(out / FILE_NAME, WHOLE)
    words = ("watch", "--out", str(out), "--min-free-mb", "7", "--factory", "none")
    options = _started(monkeypatch, *words)
    assert options.folders == tuple(read_settings(out / FILE_NAME))
    assert options.signers == ("Dr. Li", "Müller")
    assert options.worker.limits.noise_warn_hu == 40.0
    assert (options.receive.port, options.receive.aet) == (11112, "PLAQUE")
    assert options.receive.min_free_bytes == 7 << 20
    other = _started(monkeypatch, *words, "--port", "104", "--aet", "X")
    assert (other.receive.port, other.receive.allow) == (104, ())
    save_file(tmp_path / "site.toml", {"folder": [{"path": "there"}]})
    third = _started(monkeypatch, *words, "--settings", str(tmp_path / "site.toml"))
    assert third.folders == (tmp_path / "there",)
    assert third.receive is None
    assert third.signers == ()


def test_a_file_that_means_nothing_stops_the_service(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / FILE_NAME).write_text("[receiver]\nport = 1\n")
    assert main(["watch", "--out", str(tmp_path), "--once"]) == 2
    assert capsys.readouterr().err.startswith("SETTINGS_INVALID: ")
