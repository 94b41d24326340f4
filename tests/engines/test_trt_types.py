"""The TensorRT code is type-checked against what the bindings of every known release say."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import make_trt_stubs
import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "engines" / "trt").glob("*.py"))
RELEASES = ("tensorrt-10.16.1.11", "tensorrt-11.4.0.106", "rtx-1.7.1.116")
SETTINGS = """
[mypy]
strict = true
warn_unused_ignores = false
follow_imports = silent
[mypy-tensorrt]
disallow_any_generics = false
"""
ALSO_OF_OTHERS = {"__init__", "code", "logger", "name", "nbytes"}
"""Members that our own errors, libraries and arrays have as well."""
WHEELS = sorted(Path(os.environ.get("TENSORRT_WHEELS", "/nonexistent")).glob("*.whl"))


class Checked:
    """A copy of the engines and of one release's stub, which a test may change."""

    def __init__(self, folder: Path, cache: Path, release: str) -> None:
        self._folder, self._cache = folder, cache
        shutil.copytree(ROOT / "engines", folder / "engines", ignore=_only_python)
        self.trt = folder / "engines" / "trt"
        self.stub = folder / "stubs" / "tensorrt" / "__init__.pyi"
        shutil.copytree(make_trt_stubs.FOLDER / release, folder / "stubs")
        (folder / "mypy.ini").write_text(SETTINGS)

    def errors(self) -> list[str]:
        """What mypy says of ``engines.trt``."""
        cache = ["--cache-dir", str(self._cache), "--config-file", "mypy.ini"]
        done = subprocess.run(
            [sys.executable, "-m", "mypy", *cache, "-p", "engines.trt"],
            cwd=self._folder,
            env={**os.environ, "MYPYPATH": str(self._folder / "stubs")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 1), done.stdout + done.stderr
        lines = [line for line in done.stdout.splitlines() if ": error: " in line]
        assert bool(lines) == bool(done.returncode)
        return lines


def _only_python(folder: str, names: list[str]) -> list[str]:
    path = Path(folder)
    return [n for n in names if n == "training" or not ((path / n).is_dir() or n.endswith(".py"))]


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("mypy")


def test_every_known_release_has_a_stub() -> None:
    assert sorted(p.name for p in make_trt_stubs.FOLDER.iterdir()) == sorted(RELEASES)


@pytest.mark.parametrize("release", RELEASES)
def test_the_code_fits_the_release(tmp_path, cache, release: str) -> None:
    assert Checked(tmp_path, cache, release).errors() == []


@pytest.mark.parametrize("release", RELEASES)
def test_every_call_is_checked(tmp_path, cache, release: str) -> None:
    """Without the names that the code uses, mypy misses every one of them."""
    names = _attributes() - ALSO_OF_OTHERS
    missed = _missed(tmp_path / "1", cache, release, names)
    assert len(names - missed) > 25
    # What is called on the result of a call that is gone has no type then: on its own it has.
    assert _missed(tmp_path / "2", cache, release, missed) == set()


def _missed(folder: Path, cache: Path, release: str, names: set[str]) -> set[str]:
    """Return which members, taken out of the stub, mypy does not miss."""
    checked = Checked(folder, cache, release)
    text, gone = _without(checked.stub.read_text(), names)
    checked.stub.write_text(text)
    told = "\n".join(checked.errors())
    return {name for name in gone if f'has no attribute "{name}"' not in told}


@pytest.mark.parametrize("release", RELEASES)
def test_wrong_calls_are_found(tmp_path, cache, release: str) -> None:
    wrong = [
        ("trt.Builder(library.logger)", "trt.Builder()", "Missing positional argument"),
        ("config.clear_flag(trt.BuilderFlag.TF32)", "config.clear_flag('TF32')", "clear_flag"),
        ("timings.read()), False)", "timings.read()))", "Missing positional argument"),
        ("parser.parse(weights)", "parser.parse(manifest)", '"parse" of "OnnxParser"'),
        ("parser.get_error(i).desc()", "parser.get_error(i).text()", 'no attribute "text"'),
    ]
    checked = Checked(tmp_path, cache, release)
    for old, new, _ in wrong:
        _replace(checked.trt / "build.py", old, new)
    errors = checked.errors()
    assert len(errors) == len(wrong)
    assert all(any(told in line for line in errors) for _, _, told in wrong)


def test_what_only_the_older_release_has_fails_on_the_newer(tmp_path, cache) -> None:
    found = {}
    for release in RELEASES[:2]:
        checked = Checked(tmp_path / release, cache, release)
        flag = "config.clear_flag(trt.BuilderFlag.TF32)"
        _replace(checked.trt / "build.py", flag, "config.set_flag(trt.BuilderFlag.FP16)")
        found[release] = checked.errors()
    assert found[RELEASES[0]] == []
    assert ['no attribute "FP16"' in line for line in found[RELEASES[1]]] == [True]


@pytest.mark.parametrize("release", RELEASES)
def test_what_the_library_calls_back_takes_what_it_gives(release: str) -> None:
    """mypy does not look into a class whose base is known at run time alone."""
    stub = (make_trt_stubs.FOLDER / release / "tensorrt" / "__init__.pyi").read_text()
    theirs = {n.name: n for n in ast.parse(stub).body if isinstance(n, ast.ClassDef)}
    for path, name, base in (
        ("build.py", "Monitor", "IProgressMonitor"),
        ("library.py", "Quiet", "ILogger"),
    ):
        tree = ast.parse((ROOT / "engines" / "trt" / path).read_text())
        (ours,) = (n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == name)
        wanted = _methods(theirs[base])
        assert wanted and {n: _methods(ours)[n] for n in wanted} == wanted


def _methods(found: ast.ClassDef) -> dict[str, int]:
    defined = (n for n in found.body if isinstance(n, ast.FunctionDef) and n.name != "__init__")
    return {n.name: len(n.args.args) for n in defined}


def test_the_stub_of_rtx_is_that_of_the_installed_one() -> None:
    bindings = pytest.importorskip("tensorrt_rtx_bindings")
    kept = make_trt_stubs.FOLDER / RELEASES[2] / "tensorrt" / "__init__.pyi"
    assert bindings.__version__ in RELEASES[2]
    assert make_trt_stubs.stub(bindings) == kept.read_text()


@pytest.mark.skipif(not WHEELS, reason="TENSORRT_WHEELS names no folder with bindings")
@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc makes the stand-in libraries")
@pytest.mark.parametrize("wheel", WHEELS, ids=str)
def test_the_stubs_are_those_of_the_real_bindings(wheel: Path) -> None:
    name = f"tensorrt-{make_trt_stubs.version_of(wheel)}"
    kept = make_trt_stubs.FOLDER / name / "tensorrt" / "__init__.pyi"
    assert make_trt_stubs.stub_of_wheel(wheel) == kept.read_text()


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def _attributes() -> set[str]:
    """Every ``.name`` in the TensorRT code."""
    trees = (ast.parse(path.read_text()) for path in SOURCES)
    return {n.attr for tree in trees for n in ast.walk(tree) if isinstance(n, ast.Attribute)}


def _without(text: str, names: set[str]) -> tuple[str, set[str]]:
    """Take members of these names out of a stub; return which were there."""
    gone, kept = set(), []
    tree = ast.parse(text)
    for top in (n for n in tree.body if isinstance(n, ast.ClassDef)):
        for member in top.body:
            name = getattr(member, "name", None) or getattr(
                getattr(member, "target", None), "id", ""
            )
            if name in names and not isinstance(member, ast.ClassDef):
                gone.add(name)
            else:
                kept.append(member)
        top.body = [m for m in top.body if m in kept] or [ast.Pass()]
    return ast.unparse(tree), gone
