"""Take the names of a real TensorRT from its bindings, on a computer without it or a GPU.

    python3 -m pip download --no-deps tensorrt-cu13-bindings==11.4.0.106
    python3 tests/engines/api_snapshot.py tensorrt_cu13_bindings-11.4.0.106-*.whl

The bindings load three libraries, each asked for a few functions only; gcc makes stand-ins whose
functions return nothing. What is printed is kept as ``tests/engines/trt_names/VERSION.json``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

LIBRARIES = ("nvinfer", "nvonnxparser", "nvinfer_plugin")
FUNCTIONS = (
    "createInferBuilder_INTERNAL",
    "createInferRefitter_INTERNAL",
    "createInferRuntime_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL",
    "createNvOnnxParser_INTERNAL",
    "getBuilderPluginRegistry",
    "getNvOnnxParserVersion",
    "getPluginRegistry",
    "initLibNvInferPlugins",
)
FOLDER = Path(__file__).parent / "trt_names"


def version_of(wheel: Path) -> str:
    """Return the version in a wheel's file name."""
    return wheel.name.split("-")[1]


def snapshot(wheel: Path) -> dict[str, list[str]]:
    """Return the names by class in ``wheel``, of this Python's version."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        zipfile.ZipFile(wheel).extractall(folder)
        beside = folder / "tensorrt_bindings"
        _make_stubs(beside, version_of(wheel).split(".")[0])
        more = {"PYTHONPATH": name, "LD_LIBRARY_PATH": str(beside)}
        script = str(Path(__file__).with_name("api_names.py"))
        done = subprocess.run(
            [sys.executable, script, "tensorrt_bindings"],
            env={**os.environ, **more},
            capture_output=True,
            text=True,
            check=True,
        )
        names: dict[str, list[str]] = json.loads(done.stdout)
        return names


def _make_stubs(folder: Path, major: str) -> None:
    source = folder / "stubs.c"
    source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in FUNCTIONS))
    for name in LIBRARIES:
        file = f"lib{name}.so.{major}"
        command = ["gcc", "-shared", "-fPIC", f"-Wl,-soname,{file}", "-o", str(folder / file)]
        subprocess.run([*command, str(source)], check=True)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        path = Path(argument)
        FOLDER.mkdir(exist_ok=True)
        target = FOLDER / f"{version_of(path)}.json"
        lines = (f' "{c}": {json.dumps(n)}' for c, n in snapshot(path).items())
        target.write_text("{\n" + ",\n".join(lines) + "\n}\n")
        print(target)
