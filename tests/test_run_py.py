"""``run.py`` without a network: what it asks for, what it says, and when it leaves ``.venv`` be."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A fresh ``run.py`` whose ``.venv`` and requirements lie in a folder of the test."""
    spec = importlib.util.spec_from_file_location("run_under_test", ROOT / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    venv = tmp_path / ".venv"
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "VENV", venv)
    monkeypatch.setattr(module, "PYTHON", venv / "bin" / "python")
    monkeypatch.setattr(module, "STAMP", venv / "plaque-edge.json")
    (tmp_path / "requirements").mkdir()
    for name in ("run", "test", "train"):
        (tmp_path / "requirements" / f"{name}.txt").write_text(f"{name}==1\n")
    return module


@pytest.fixture
def ready(run: ModuleType) -> ModuleType:
    """``run.py`` beside a ``.venv`` that holds the run time."""
    run.PYTHON.parent.mkdir(parents=True)
    run.PYTHON.touch()
    run.write_stamp({"python": sys.version, "installed": {"run": run.hash_of("run")}})
    return run


@pytest.fixture
def did(run: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What ``prepare`` did, in order; nothing of it is really done."""
    done: list[str] = []

    def make() -> None:
        done.append("venv")
        run.PYTHON.parent.mkdir(parents=True, exist_ok=True)
        run.PYTHON.touch()

    monkeypatch.setattr(run, "require_system", lambda fresh: done.append(f"system {fresh}"))
    monkeypatch.setattr(run, "make_venv", make)
    monkeypatch.setattr(run, "install", done.append)
    monkeypatch.setattr(run, "require_torch_python", lambda: None)
    return done


def installed(run: ModuleType) -> set[str]:
    stamp: dict[str, dict[str, str]] = json.loads(run.STAMP.read_text())
    return set(stamp["installed"])


# ---- the stamp -----------------------------------------------------------------------------


@pytest.mark.parametrize("text", [None, "", "{", "[]", '"x"', "{}", '{"python": "3", "x": 1}'])
def test_a_stamp_in_doubt_counts_as_nothing(ready: ModuleType, text: str | None) -> None:
    if text is None:
        ready.STAMP.unlink()
    else:
        ready.STAMP.write_text(text)
    assert ready.read_stamp() == {"python": None, "installed": {}}


def test_a_stamp_without_its_python_counts_as_nothing(ready: ModuleType) -> None:
    assert ready.read_stamp()["python"] == sys.version
    ready.PYTHON.unlink()
    assert ready.read_stamp()["python"] is None


def test_writing_the_stamp_leaves_no_draft(ready: ModuleType) -> None:
    assert [p.name for p in ready.VENV.iterdir() if p.is_file()] == ["plaque-edge.json"]


def test_an_update_of_the_same_python_keeps_the_environment(run: ModuleType) -> None:
    major, minor = sys.version_info[:2]
    assert run.same_python(f"{major}.{minor}.99 (main, another day)")
    assert not run.same_python(f"{major}.{minor + 1}.0 (main)")
    assert not run.same_python(None)


# ---- what is installed when ----------------------------------------------------------------


def test_first_start_makes_all_and_second_nothing(run: ModuleType, did: list[str]) -> None:
    run.prepare([])
    assert did == ["system True", "venv", "run"]
    did.clear()
    run.prepare([])
    assert did == []


def test_an_extra_is_added_to_what_is_there(ready: ModuleType, did: list[str]) -> None:
    ready.prepare(["test"])
    assert did == ["system False", "test"]
    assert installed(ready) == {"run", "test"}


def test_new_requirements_are_installed_and_what_was_beside_them_is_in_doubt(
    ready: ModuleType, did: list[str]
) -> None:
    ready.prepare(["train"])
    (ready.ROOT / "requirements" / "run.txt").write_text("run==2\n")
    did.clear()
    ready.prepare(["test"])
    assert did == ["system False", "run", "test"]
    assert installed(ready) == {"run", "test"}


def test_another_python_makes_the_environment_anew(ready: ModuleType, did: list[str]) -> None:
    ready.write_stamp({"python": "2.7.18", "installed": {"run": ready.hash_of("run")}})
    ready.prepare([])
    assert did == ["system True", "venv", "run"]


def test_a_failed_extra_leaves_the_run_time_good(
    ready: ModuleType, did: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> None:
        raise ready.Stop(f"INSTALL_FAILED: {name}")

    monkeypatch.setattr(ready, "install", fail)
    with pytest.raises(ready.Stop):
        ready.prepare(["train"])
    assert installed(ready) == {"run"}


def test_somebody_elses_venv_stays(run: ModuleType) -> None:
    run.VENV.mkdir()
    (run.VENV / "pyvenv.cfg").write_text("mine")
    with pytest.raises(run.Stop, match="VENV_FOREIGN"):
        run.make_venv()
    assert (run.VENV / "pyvenv.cfg").read_text() == "mine"


@pytest.mark.parametrize("name", ["run", "test", "train"])
def test_what_pip_says_no_to_is_a_sentence(
    ready: ModuleType, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def pip(command: list[str], **_more: Any) -> SimpleNamespace:
        commands.append(command)
        return SimpleNamespace(returncode=1)

    monkeypatch.setattr(ready.subprocess, "run", pip)
    with pytest.raises(ready.Stop, match=rf"INSTALL_FAILED: .*{name}\.txt.* start again\."):
        ready.install(name)
    assert "--require-hashes" in commands[0]


@pytest.mark.parametrize("minor", [10, 12, 14])
def test_training_names_the_python_it_is_pinned_to(
    run: ModuleType, minor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "is_x86_linux", lambda: True)
    monkeypatch.setattr(run, "sys", SimpleNamespace(version_info=(3, minor, 1)))
    with pytest.raises(
        run.Stop, match=rf"INSTALL_FAILED: .*Python 3\.11; this is Python 3\.{minor}"
    ):
        run.require_torch_python()
    monkeypatch.setattr(run, "is_x86_linux", lambda: False)
    run.require_torch_python()


# ---- the system ----------------------------------------------------------------------------


def test_has_library(run: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run.ctypes.util, "find_library", lambda name: "libGL.so.1")
    assert run.has_library("GL")
    monkeypatch.setattr(run.ctypes.util, "find_library", lambda name: None)
    assert not run.has_library("no-such-library")
    if sys.platform.startswith("linux"):
        assert run.has_library("m")  # found by looking, where the loader's list is not to be had


def test_current_name_follows_a_renamed_package(
    run: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def known(*names: str) -> None:
        def ask(command: list[str], **_more: Any) -> SimpleNamespace:
            return SimpleNamespace(returncode=0 if command[-1] in names else 100)

        monkeypatch.setattr(run.subprocess, "run", ask)

    known("libglib2.0-0", "libglib2.0-0t64")
    assert run.current_name("libglib2.0-0") == "libglib2.0-0"
    known("libglib2.0-0t64")
    assert run.current_name("libglib2.0-0") == "libglib2.0-0t64"
    known()
    assert run.current_name("libglib2.0-0") == "libglib2.0-0"


@pytest.mark.parametrize("apt", [True, False])
def test_who_is_not_root_is_told_one_command_for_all(
    run: ModuleType, apt: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "missing_libraries", lambda: ["libgl1", "fonts-dejavu-core"])
    monkeypatch.setattr(run, "current_name", lambda name: name)
    monkeypatch.setattr(run.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(run.shutil, "which", lambda name: "/usr/bin/apt-get" if apt else None)
    monkeypatch.setattr(run.os, "geteuid", lambda: 1000, raising=False)
    with pytest.raises(run.Stop) as caught:
        run.require_system(True)
    text = str(caught.value)
    venv = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    assert text.startswith("SYSTEM_PACKAGES: ")
    assert all(name in text for name in ("libgl1", "fonts-dejavu-core", venv))
    assert text.count("apt-get install") == (1 if apt else 0)


def test_a_whole_system_needs_nothing(run: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "has_library", lambda name: True)
    monkeypatch.setattr(run, "apt_install", lambda packages: pytest.fail(str(packages)))
    run.require_system(False)


# ---- arguments and the end -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "extras"),
    [
        (["demo", "--headless"], []),
        (["--debug", "train", "smoke"], ["train"]),
        (["analyze", "test", "--json", "-"], []),
        ([], []),
    ],
)
def test_words_go_on_unchanged(
    run: ModuleType, words: list[str], extras: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(run, "prepare", asked.append)
    monkeypatch.setattr(run, "become", lambda command: asked.append(command) or 7)
    assert run.main(words) == 7
    assert asked == [extras, [str(run.PYTHON), "-m", "plaque_edge", *words]]


def test_test_hands_its_words_to_pytest(run: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(run, "prepare", lambda extras: None)
    monkeypatch.setattr(run, "call", lambda command, *_, **__: ran.append(command) or 0)
    assert run.main(["test", "-k", "name"]) == 0
    assert len(ran) == 5
    assert ran[-1] == [str(run.PYTHON), "-m", "pytest", "-k", "name"]


def without_line(run: ModuleType, monkeypatch: pytest.MonkeyPatch, code: str) -> list[list[str]]:
    """Let ``code`` run in the place of the longest part; return what was asked of it."""
    asked: list[list[str]] = []
    real = run.beside

    def beside(command: list[str]) -> object:
        asked.append(command)
        return real([sys.executable, "-c", code])

    monkeypatch.setattr(run, "beside", beside)
    return asked


def test_the_whole_suite_runs_in_parts_that_leave_no_test_out(
    run: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(run, "call", lambda command, *_, **__: ran.append(command) or 0)
    asked = without_line(run, monkeypatch, "print('words of the line')")
    assert run.run_tests([]) == 0
    *parts, rest = (command[3:] for command in [*ran[4:], *asked])
    assert rest == [f"--ignore={part[0]}" for part in parts]
    assert parts == [["tests/engines"], ["tests/gui"], ["tests/scans"]]
    out = capsys.readouterr().out
    assert out.index("pytest scans passed") < out.index("words of the line")


@pytest.mark.parametrize(
    ("code", "ending"),
    [
        ("raise SystemExit(2)", "exit code 2"),
        pytest.param(
            "import os; os.kill(os.getpid(), 9)",
            "exit code 137, SIGKILL",
            marks=pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX here"),
        ),
    ],
)
def test_a_line_that_fails_or_dies_fails_the_whole(
    run: ModuleType,
    code: str,
    ending: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(run, "call", lambda *_, **__: 0)
    without_line(run, monkeypatch, code)
    assert run.run_tests([]) == 1
    assert f"FAILED: pytest line ({ending})" in capsys.readouterr().err


def test_one_failed_step_fails_and_the_others_still_run(
    run: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = iter([0, 1, 0, 0, 0, 128 + 11, 0])
    without_line(run, monkeypatch, "")
    monkeypatch.setattr(run, "call", lambda *_, **__: next(codes))
    assert run.run_tests([]) == 1
    assert next(codes, None) is None
    out, err = capsys.readouterr()
    assert "ruff format FAILED (exit code 1)" in out
    assert "FAILED: ruff format (exit code 1), pytest gui (exit code 139, SIGSEGV)" in err


@pytest.mark.parametrize(
    ("error", "code", "word"),
    [
        (KeyboardInterrupt(), 130, "INTERRUPTED: "),
        (PermissionError(13, "Permission denied", ".venv"), 1, "VENV_FAILED: Permission denied"),
    ],
)
def test_every_end_is_a_code_and_a_sentence(
    run: ModuleType,
    error: BaseException,
    code: int,
    word: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(_extras: list[str]) -> None:
        raise error

    monkeypatch.setattr(run, "prepare", stop)
    assert run.main(["info"]) == code
    assert capsys.readouterr().err.startswith(word)


def test_call_returns_the_commands_exit_code(run: ModuleType) -> None:
    code = "import os, sys; sys.exit(3 if os.environ['WORD'] == 'x' else 4)"
    assert run.call([sys.executable, "-c", code], WORD="x") == 3


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX here")
def test_call_returns_what_a_shell_would_for_a_signal(run: ModuleType) -> None:
    kill = "import os, signal; os.kill(os.getpid(), signal.{})"
    assert run.call([sys.executable, "-c", kill.format("SIGTERM")]) == 143


@pytest.mark.skipif(sys.platform == "win32", reason="run.py waits for the command there")
def test_run_py_becomes_the_command_and_imports_nothing_from_the_folder_it_is_in(
    tmp_path: Path,
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('imported from here')")
    (tmp_path / "probe.py").write_text("import json, os, sys; print(os.getpid()); sys.exit(5)")
    code = (
        "import importlib.util as i, os, sys; print(os.getpid(), flush=True);"
        f"s = i.spec_from_file_location('r', {str(ROOT / 'run.py')!r});"
        "m = i.module_from_spec(s); s.loader.exec_module(m);"
        "m.become([sys.executable, '-c', open('probe.py').read()])"
    )
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 5, done.stderr
    assert len(set(done.stdout.split())) == 1
