#!/usr/bin/env python3
"""The two commands: ``python3 run.py demo`` and ``python3 run.py test``.

Any other word goes on to ``plaque-edge WORD ...``. Standard library only: this file makes
``.venv`` beside itself, installs the pinned requirements into it and then steps aside.
"""

import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036  (the sentence is for those who have an older one)
    sys.exit("PYTHON_TOO_OLD: Python 3.11 or newer is needed. Start run.py with a newer python3.")

import ctypes.util
import hashlib
import json
import shutil
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
WINDOWS = os.name == "nt"
PYTHON = VENV / ("Scripts/python.exe" if WINDOWS else "bin/python")
STAMP = VENV / "plaque-edge.json"
QT_LIBRARIES = {
    "GL": "libgl1",
    "EGL": "libegl1",
    "xkbcommon": "libxkbcommon0",
    "dbus-1": "libdbus-1-3",
    "fontconfig": "libfontconfig1",
    "glib-2.0": "libglib2.0-0",
}
"""What Qt needs from the system (name of the library, package on Debian and Ubuntu)."""


class Stop(Exception):
    """The end of the run in a sentence: code, what happened, what to do."""


def main(arguments: list[str]) -> int:
    """Prepare the environment and run the command; return its exit code."""
    command = next((a for a in arguments if not a.startswith("-")), "")
    try:
        prepare({"test": ["test"], "train": ["train"]}.get(command, []))
        if command == "test":
            return run_tests(arguments[arguments.index("test") + 1 :])
        return call([str(PYTHON), "-m", "plaque_edge", *arguments])
    except Stop as stop:
        print(stop, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("INTERRUPTED: Stopped before the end. Start again.", file=sys.stderr)
        return 130


# ---- the environment -----------------------------------------------------------------------


def prepare(extras: list[str]) -> None:
    """Make ``.venv`` hold what ``requirements/run.txt`` and those of ``extras`` name."""
    stamp = read_stamp()
    wanted = {name: hash_of(name) for name in ["run", *extras]}
    missing = [name for name, digest in wanted.items() if stamp["installed"].get(name) != digest]
    if not missing and stamp["python"] == sys.version:
        return
    require_libraries()
    if stamp["python"] != sys.version:
        make_venv()
        stamp = {"python": sys.version, "installed": {}}
        missing = list(wanted)
    elif "run" in missing:
        stamp["installed"] = {}  # what was added to an older run time may not fit the new one
        missing = list(wanted)
    write_stamp({"python": sys.version, "installed": {}})  # nothing is good until all is
    for name in missing:
        install(name)
    write_stamp({**stamp, "installed": {**stamp["installed"], **wanted}})


def read_stamp() -> dict:
    """Return what is known to be installed; nothing where that is in doubt."""
    nothing = {"python": None, "installed": {}}
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
        good = PYTHON.exists() and isinstance(stamp["installed"], dict)
        return {"python": stamp["python"], "installed": stamp["installed"]} if good else nothing
    except (OSError, ValueError, KeyError, TypeError):
        return nothing


def write_stamp(stamp: dict) -> None:
    """Replace the stamp at once, so that a power cut leaves the old one or the new one."""
    draft = STAMP.with_suffix(".new")
    draft.write_text(json.dumps(stamp), encoding="utf-8")
    draft.replace(STAMP)


def hash_of(name: str) -> str:
    """Return the SHA-256 of one file of requirements."""
    return hashlib.sha256((ROOT / "requirements" / f"{name}.txt").read_bytes()).hexdigest()


def make_venv() -> None:
    """Make an empty ``.venv``; an older one goes, unless somebody else made it."""
    if VENV.exists() and not STAMP.exists() and any(VENV.iterdir()):
        raise Stop(
            f"VENV_FOREIGN: {VENV} exists and run.py did not make it. Move it away, start again."
        )
    if not has_module("ensurepip"):
        version = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        apt_install(["python3-venv", version], "Python's venv module is missing")
    say("making .venv")
    shutil.rmtree(VENV, ignore_errors=True)
    VENV.mkdir(parents=True)
    # The stamp comes first and names nothing: a half-made folder is known as ours and not good.
    write_stamp({"python": None, "installed": {}})
    code = subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=False).returncode
    if code or not PYTHON.exists():
        raise Stop("VENV_FAILED: Python could not make .venv. See the lines above.")


def install(name: str) -> None:
    """Install one pinned file of requirements."""
    say(f"installing requirements/{name}.txt (once; some minutes)")
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    file = ROOT / "requirements" / f"{name}.txt"
    began = time.monotonic()
    code = subprocess.run([*command, "--require-hashes", "-r", str(file)], check=False).returncode
    if code:
        hint = " On Linux, pip must find torch's processor build." if name == "train" else ""
        raise Stop(
            f"INSTALL_FAILED: pip could not install requirements/{name}.txt.{hint} "
            "See the lines above, check the network, start again."
        )
    say(f"installed in {time.monotonic() - began:.0f} s")


# ---- the system ----------------------------------------------------------------------------


def require_libraries() -> None:
    """Install the system libraries of Qt, or name the command that does."""
    if not sys.platform.startswith("linux"):
        return
    missing = [package for name, package in QT_LIBRARIES.items() if not has_library(name)]
    if missing:
        apt_install([*missing, "fonts-dejavu-core"], "System libraries of the console are missing")


def has_library(name: str) -> bool:
    """Say whether the loader finds this library, without a compiler or ``ldconfig``."""
    if ctypes.util.find_library(name):
        return True
    places = [
        Path("/usr/lib"),
        Path("/usr/lib64"),
        Path("/lib"),
        *Path("/usr/lib").glob("*-linux-gnu*"),
    ]
    return any(next(place.glob(f"lib{name}.so.*"), None) for place in places)


def apt_install(packages: list[str], why: str) -> None:
    """Install Debian packages as root; else end with the one command that does."""
    line = f"apt-get install -y {' '.join(packages)}"
    apt = shutil.which("apt-get")
    if apt is None:
        raise Stop(f"SYSTEM_PACKAGES: {why}. Install what Debian calls: {' '.join(packages)}.")
    if os.geteuid() != 0:
        raise Stop(f"SYSTEM_PACKAGES: {why}. Run: sudo {line}")
    say(f"installing with apt-get: {' '.join(packages)}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run([apt, "update", "-qq"], env=quiet, check=False)
    names = [current_name(package) for package in packages]
    command = [apt, "install", "-y", "-qq", "--no-install-recommends", *names]
    done = subprocess.run(command, env=quiet, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise Stop(f"SYSTEM_PACKAGES: {why}, and apt-get failed. Run: {line}")


def current_name(package: str) -> str:
    """Return the package's name on this system (Ubuntu 24.04 renamed some to ``...t64``)."""
    for name in (package, f"{package}t64"):
        found = subprocess.run(
            ["apt-cache", "show", "--no-all-versions", name],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        if found.returncode == 0:
            return name
    return package


def has_module(name: str) -> bool:
    """Say whether this Python has a module."""
    import importlib.util

    return importlib.util.find_spec(name) is not None


# ---- running -------------------------------------------------------------------------------


def environment() -> dict[str, str]:
    """Return the environment of the commands: this folder importable from any other."""
    path = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH", "")) if p)
    return {**os.environ, "PYTHONPATH": path}


def call(command: list[str], cwd: Path | None = None, **more: str) -> int:
    """Run a command in this terminal; return its exit code, 130 after Ctrl-C."""
    process = subprocess.Popen(command, cwd=cwd, env={**environment(), **more})
    interrupted = False
    while True:
        try:
            code = process.wait()
            return 130 if interrupted or code == -2 else code if code >= 0 else 128 - code
        except KeyboardInterrupt:
            interrupted = True  # the terminal told the command as well; it ends itself


def run_tests(pytest_arguments: list[str]) -> int:
    """Run every check, each named and timed, all of them even if one fails."""
    python, out = [str(PYTHON), "-m"], []
    linter = VENV / ("Scripts/lint-imports.exe" if WINDOWS else "bin/lint-imports")
    steps = {
        "ruff check": [*python, "ruff", "check", "."],
        "ruff format": [*python, "ruff", "format", "--check", "."],
        "mypy": [*python, "mypy"],
        "import-linter": [str(linter)],
        "pytest": [*python, "pytest", *pytest_arguments],
    }
    for name, command in steps.items():
        print(f"\n==== {name}", flush=True)
        began = time.monotonic()
        code = call(command, ROOT, QT_QPA_PLATFORM="offscreen")
        if code == 130:
            raise KeyboardInterrupt
        out.append((name, code))
        if name != "pytest":
            verdict = "passed" if code == 0 else f"FAILED ({code})"
            print(f"==== {name} {verdict} in {time.monotonic() - began:.1f} s", flush=True)
            continue
    failed = [name for name, code in out if code]
    if failed and failed != ["pytest"]:
        print(f"FAILED: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def say(text: str) -> None:
    """Tell what takes time, on the error stream: the output belongs to the command."""
    print(f"run.py: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
