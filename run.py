#!/usr/bin/env python3
"""The two commands: ``python3 run.py demo`` and ``python3 run.py test``.

Any other word goes on to ``plaque-edge WORD ...``. Standard library only: this file makes
``.venv`` beside itself, installs the pinned requirements into it and then steps aside.
"""

import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036  (the sentence is for those who have an older one)
    sys.exit("PYTHON_TOO_OLD: Python 3.11 or newer is needed. Start run.py with a newer python3.")

import contextlib
import ctypes.util
import hashlib
import importlib.util
import json
import platform
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
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
    # A window on X11, then on Wayland.
    "xcb-cursor": "libxcb-cursor0",
    "xcb-icccm": "libxcb-icccm4",
    "xcb-image": "libxcb-image0",
    "xcb-keysyms": "libxcb-keysyms1",
    "xcb-render-util": "libxcb-render-util0",
    "xcb-shape": "libxcb-shape0",
    "xcb-xkb": "libxcb-xkb1",
    "xkbcommon-x11": "libxkbcommon-x11-0",
    "wayland-cursor": "libwayland-cursor0",
    "wayland-egl": "libwayland-egl1",
}
"""What Qt needs from the system (name of the library, package on Debian and Ubuntu)."""
PARTS = ("engines", "gui", "scans")
"""Folders of tests that run one after the other, beside the rest of the tests."""
TORCH_PYTHON = (3, 11)
"""The one Python for which ``requirements/torch.txt`` pins torch on x86-64 Linux."""
TORCH_HINT = (
    "Set PIP_FIND_LINKS to the folder or page that holds torch's processor build (+cpu), "
    "if the lines above say that torch was not found."
)


class Stop(Exception):
    """The end of the run in a sentence: code, what happened, what to do."""


def main(arguments: list[str]) -> int:
    """Prepare the environment and run the command; return its exit code."""
    command = next((a for a in arguments if not a.startswith("-")), "")
    try:
        wanted = {"test": ["test"], "train": ["train"], "risk": risk_extra(arguments)}
        prepare(wanted.get(command, []))
        if command == "test":
            return run_tests(arguments[arguments.index("test") + 1 :])
        return become([str(PYTHON), "-m", "plaque_edge", *arguments])
    except Stop as stop:
        print(stop, file=sys.stderr)
        return 1
    except OSError as error:
        text = f"VENV_FAILED: {error.strerror or error} ({error.filename or VENV})."
        print(f"{text} Check the access rights and the free space.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("INTERRUPTED: Stopped before the end. Start again.", file=sys.stderr)
        return 130


def risk_extra(arguments: list[str]) -> list[str]:
    """Return what the words after ``risk`` need: showing and applying need nothing more."""
    fits = {"fit", "recalibrate", "evaluate", "prove"} & set(arguments)
    return ["risk"] if fits else []


# ---- the environment -----------------------------------------------------------------------


def prepare(extras: list[str]) -> None:
    """Make ``.venv`` hold what ``requirements/run.txt`` and those of ``extras`` name."""
    wanted = {name: hash_of(name) for name in ["run", *extras]}
    if not missing_of(wanted, read_stamp()):
        return
    with alone():
        stamp = read_stamp()  # another start may have done it meanwhile
        missing = missing_of(wanted, stamp)
        if not missing:
            return
        if "train" in missing:
            require_torch_python()
        fresh = not same_python(stamp["python"])
        require_system(fresh)
        if fresh:
            make_venv()
        # What was added to an older run time may not fit the new one.
        kept = {} if "run" in missing else stamp["installed"]
        good = {name: digest for name, digest in kept.items() if name not in missing}
        write_stamp({"python": sys.version, "installed": good})
        for name in missing:
            install(name)
            good[name] = wanted[name]
            write_stamp({"python": sys.version, "installed": good})


def missing_of(wanted: dict[str, str], stamp: dict) -> list[str]:
    """Return which files of requirements are to be installed; a new run time renews them all."""
    installed = stamp["installed"] if same_python(stamp["python"]) else {}
    if installed.get("run") != wanted["run"]:
        return list(wanted)
    return [name for name, digest in wanted.items() if installed.get(name) != digest]


def same_python(recorded: object) -> bool:
    """Say whether ``.venv`` is of this Python; a system's update within 3.11 changes nothing."""
    return isinstance(recorded, str) and recorded.split(".")[:2] == sys.version.split(".")[:2]


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Let a second start wait: service and console may start together after an update."""
    if WINDOWS:
        yield
        return
    import fcntl

    with Path(__file__).open("rb") as file:
        with contextlib.suppress(OSError):  # a share that has no locks
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


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
        hint = f" {TORCH_HINT}" if name == "train" and is_x86_linux() else ""
        raise Stop(
            f"INSTALL_FAILED: pip could not install requirements/{name}.txt.{hint} "
            "See the lines above, check the network and the free space, start again."
        )
    say(f"installed in {time.monotonic() - began:.0f} s")


def require_torch_python() -> None:
    """Say before anything is fetched that this Python has no pinned torch."""
    here = tuple(sys.version_info[:2])
    if is_x86_linux() and here != TORCH_PYTHON:
        wanted = ".".join(map(str, TORCH_PYTHON))
        raise Stop(
            f"INSTALL_FAILED: On Linux, training is pinned to torch for Python {wanted}; this is "
            f"Python {here[0]}.{here[1]}. Start it with python{wanted} run.py train. "
            "Everything else runs on this Python too."
        )


def is_x86_linux() -> bool:
    """Say whether requirements/torch.txt asks for torch's processor build here."""
    return sys.platform.startswith("linux") and platform.machine() == "x86_64"


# ---- the system ----------------------------------------------------------------------------


def require_system(new_venv: bool) -> None:
    """Install what is missing of the system, or name the one command that does."""
    packages = missing_libraries()
    if new_venv and importlib.util.find_spec("ensurepip") is None:
        packages.append(f"python{sys.version_info.major}.{sys.version_info.minor}-venv")
    if packages:
        apt_install(packages)


def missing_libraries() -> list[str]:
    """Return the packages whose libraries Qt would miss."""
    if not sys.platform.startswith("linux"):
        return []
    missing = [package for name, package in QT_LIBRARIES.items() if not has_library(name)]
    return [*missing, "fonts-dejavu-core"] if missing else []


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


def apt_install(packages: list[str]) -> None:
    """Install Debian packages as root; else end with the one command that does."""
    why = "SYSTEM_PACKAGES: Packages of the system are missing"
    apt = shutil.which("apt-get")
    if apt is None:
        raise Stop(f"{why}. Install what Debian calls: {' '.join(packages)}.")
    if os.geteuid() != 0:
        names = " ".join(current_name(package) for package in packages)
        raise Stop(f"{why}. Run: sudo apt-get update && sudo apt-get install -y {names}")
    say(f"installing with apt-get: {' '.join(packages)}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run([apt, "update", "-qq"], env=quiet, check=False)
    names = [current_name(package) for package in packages]
    command = [apt, "install", "-y", "-qq", "--no-install-recommends", *names]
    done = subprocess.run(command, env=quiet, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        line = f"apt-get update && apt-get install -y {' '.join(names)}"
        raise Stop(f"{why}, and apt-get failed: see the lines above. Run: {line}")


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


# ---- running -------------------------------------------------------------------------------


def environment() -> dict[str, str]:
    """Return the environment of the commands: this folder importable from any other."""
    path = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH", "")) if p)
    return {**os.environ, "PYTHONPATH": path}


def become(command: list[str]) -> int:
    """Step aside for the command: signals and the exit code are its own.

    The folder one stands in may hold anybody's files, so nothing is imported from there.
    """
    if WINDOWS:  # where a program can't be replaced by another
        return call(command, PYTHONSAFEPATH="1")
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], command, {**environment(), "PYTHONSAFEPATH": "1"})


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
    """Run every check, each named and timed, all of them even if one fails.

    The whole suite runs in processes of its own parts: engines and console each load native
    libraries of many megabytes, and one that dies takes neither the others' verdicts nor its name
    with it. The longest part runs beside all others, its words are printed at the end.
    """
    python, out = [str(PYTHON), "-m"], []
    pytest = [*python, "pytest"]
    linter = "from importlinter.cli import lint_imports_command as run; run()"
    steps = {
        "ruff check": [*python, "ruff", "check", "."],
        "ruff format": [*python, "ruff", "format", "--check", "."],
        "mypy": [*python, "mypy"],
        "import-linter": [str(PYTHON), "-c", linter],
    }
    if pytest_arguments:
        steps["pytest"] = [*pytest, *pytest_arguments]
        out += [(name, step(name, command)) for name, command in steps.items()]
    else:
        steps |= {f"pytest {part}": [*pytest, f"tests/{part}"] for part in PARTS}
        with beside([*pytest, *(f"--ignore=tests/{part}" for part in PARTS)]) as line:
            out += [(name, step(name, command)) for name, command in steps.items()]
            out.append(("pytest line", step("pytest line", line)))
    failed = [f"{name} ({ending(code)})" for name, code in out if code]
    if failed:
        print(f"FAILED: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def step(name: str, command: list[str] | Callable[[], int]) -> int:
    """Run one check under its name; return its exit code. Ctrl-C ends all."""
    print(f"\n==== {name}", flush=True)
    began = time.monotonic()
    code = command() if callable(command) else call(command, ROOT, QT_QPA_PLATFORM="offscreen")
    if code == 130:
        raise KeyboardInterrupt
    verdict = "passed" if code == 0 else f"FAILED ({ending(code)})"
    print(f"==== {name} {verdict} in {time.monotonic() - began:.1f} s", flush=True)
    return code


@contextlib.contextmanager
def beside(command: list[str]) -> Iterator[Callable[[], int]]:
    """Run a command meanwhile; what is yielded waits for it, prints its words, gives its code."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "words.txt"
        env = {**environment(), "QT_QPA_PLATFORM": "offscreen"}
        with path.open("wb") as words:
            process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=words, stderr=words)

        def finish() -> int:
            with path.open(encoding="utf-8", errors="replace") as told:
                while (code := process.poll()) is None:
                    shutil.copyfileobj(told, sys.stdout)
                    sys.stdout.flush()
                    time.sleep(0.2)
                shutil.copyfileobj(told, sys.stdout)
            return code if code >= 0 else 128 - code

        try:
            yield finish
        finally:
            process.terminate()
            process.wait()


def ending(code: int) -> str:
    """Say how a process ended: by itself, or by which signal."""
    if code <= 128:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"exit code {code}, {signal.Signals(code - 128).name}"
    return f"exit code {code}"


def say(text: str) -> None:
    """Tell what takes time, on the error stream: the output belongs to the command."""
    print(f"run.py: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
