"""Make type stubs of a real TensorRT from its bindings, on a computer without it or a GPU.

    python3 -m pip download --no-deps tensorrt-cu13-bindings==11.4.0.106
    python3 tests/engines/make_trt_stubs.py tensorrt_cu13_bindings-11.4.0.106-*.whl
    python3 tests/engines/make_trt_stubs.py tensorrt_rtx_bindings        (installed; loads as it is)

Writes ``tests/engines/trt_stubs/VERSION/tensorrt/__init__.pyi``: names and signatures of the
classes that the engines use, as the bindings state them; no text, code or values of NVIDIA's.
The bindings load three libraries, each asked for a few functions only; gcc makes stand-ins whose
functions return nothing.
"""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from operator import attrgetter
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "trt_stubs"
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
CLASSES = (
    "Builder",
    "BuilderFlag",
    "DataType",
    "Dims",
    "IBuilderConfig",
    "ICudaEngine",
    "IExecutionContext",
    "IHostMemory",
    "ILayer",
    "ILogger",
    "ILogger.Severity",
    "INetworkDefinition",
    "IProgressMonitor",
    "ITensor",
    "ITimingCache",
    "MemoryPoolType",
    "OnnxParser",
    "ParserError",
    "Runtime",
    "TensorIOMode",
)
"""What is not among them becomes Any."""
SEQUENCE = ("__len__", "__getitem__")
HEAD = '''"""{name} {version}: what its bindings say of the classes that the engines use.

Made by tests/engines/make_trt_stubs.py; not for editing. Names and signatures alone: nothing
else of NVIDIA's is in it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, SupportsInt, overload

from typing_extensions import Buffer

__version__: str
'''


def stub(module: Any) -> str:
    """Return the stub of an imported module."""
    name = module.__name__.removesuffix("_bindings")
    parts = [HEAD.format(name=name, version=module.__version__)]
    parts += [_class(attrgetter(c)(module), c) for c in CLASSES if "." not in c]
    return "\n".join(parts)


def stub_of_wheel(wheel: Path) -> str:
    """Return the stub of the bindings in ``wheel``, which is of this Python's version."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        zipfile.ZipFile(wheel).extractall(folder)
        beside = folder / "tensorrt_bindings"
        _make_libraries(beside, version_of(wheel).split(".")[0])
        more = {"PYTHONPATH": name, "LD_LIBRARY_PATH": str(beside)}
        done = subprocess.run(
            [sys.executable, __file__, "--print", "tensorrt_bindings"],
            env={**os.environ, **more},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout


def version_of(wheel: Path) -> str:
    """Return the version in a wheel's file name."""
    return wheel.name.split("-")[1]


def _make_libraries(folder: Path, major: str) -> None:
    source = folder / "stand_in.c"
    source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in FUNCTIONS))
    for name in LIBRARIES:
        file = f"lib{name}.so.{major}"
        command = ["gcc", "-shared", "-fPIC", f"-Wl,-soname,{file}", "-o", str(folder / file)]
        subprocess.run([*command, str(source)], check=True)


# ---- one class ------------------------------------------------------------------------------


def _class(found: Any, name: str) -> str:
    body: list[str] = []
    for inner in (c for c in CLASSES if c.rpartition(".")[0] == name):
        body += _class(attrgetter(inner.rpartition(".")[2])(found), inner).splitlines()
    for member, value in vars(found).items():
        if type(value) is found:
            body.append(f"{member}: {name}")
        elif isinstance(value, property) and member[0] != "_":
            body += _property(member, value)
        elif member in (*SEQUENCE, "__init__") or (_is_method(value) and member[0] != "_"):
            body += _function(member, value)
    if all(n in vars(found) for n in SEQUENCE):  # Python iterates by these two; mypy does not
        body.append("def __iter__(self) -> Iterator[int]: ...")
    if "buffer protocol" in (found.__doc__ or ""):
        body.append("def __buffer__(self, flags: int, /) -> memoryview: ...")
    body = body or ["..."]
    return (
        "\n".join([f"class {name.rpartition('.')[2]}:", *(f"    {line}" for line in body)]) + "\n"
    )


def _is_method(value: Any) -> bool:
    return callable(value) and not isinstance(value, type)


def _property(name: str, value: property) -> list[str]:
    read = _signatures(name, value.fget.__doc__)
    kind = read[0].rpartition(" -> ")[2].removesuffix(": ...") if read else "Any"
    lines = ["@property", f"def {name}(self) -> {kind}: ..."]
    if value.fset is not None:
        written = ast.parse(_signatures(name, value.fset.__doc__)[0]).body[0]
        assert isinstance(written, ast.FunctionDef)
        taken = written.args.args[-1].annotation
        kind = ast.unparse(taken) if taken else "Any"
        lines += [f"@{name}.setter", f"def {name}(self, value: {kind}) -> None: ..."]
    return lines


def _function(name: str, value: Any) -> list[str]:
    found = _signatures(name, value.__doc__)
    if not found:
        # ``__init__`` of a class that only TensorRT makes states nothing: nobody may call it.
        return (
            []
            if name == "__init__"
            else [f"def {name}(self, *args: Any, **kwargs: Any) -> Any: ..."]
        )
    mark = ["@overload"] if len(found) > 1 else []
    return [line for signature in found for line in (*mark, signature)]


def _signatures(name: str, doc: str | None) -> list[str]:
    """Return ``def`` lines from a docstring of pybind11; none where it states nothing."""
    pattern = rf"^(?:\d+\. )?(?:{name})?(\(.*\) -> .+)$"
    lines = [m[1] for m in re.finditer(pattern, doc or "", re.MULTILINE)]
    return [line for text in lines if (line := _defined(name, text))]


def _defined(name: str, text: str) -> str:
    text = re.sub(r" = <[^>]*>| = [^,)]+", " = ...", text)
    text = re.sub(r"\(self: [\w. ]+(, /)?|\(arg0: [\w.]+", "(self", text, count=1)
    text = re.sub(r"\b(typing|typing_extensions|collections\.abc)\.", "", text)
    text = re.sub(r"\btensorrt\w*\.tensorrt\w*\.|\bnvinfer1::(?:\w+::)*|\bnvonnxparser::", "", text)
    text = text.replace("IParserError", "ParserError")  # registered after its first use
    try:
        parsed = ast.parse(f"def {name}{text}: ...").body[0]
    except SyntaxError:
        return ""
    assert isinstance(parsed, ast.FunctionDef)
    for argument in parsed.args.args:
        if argument.annotation is not None:
            kind = _known(argument.annotation)
            # The bindings make Dims of any sequence, which their signatures leave out.
            kind = kind.replace("Dims", "Dims | Sequence[int]") if kind == "Dims" else kind
            argument.annotation = ast.parse(kind, mode="eval").body
    if parsed.returns is not None:
        parsed.returns = ast.parse(_known(parsed.returns), mode="eval").body
    return ast.unparse(parsed).replace(":\n    ...", ": ...")


KNOWN = {"Any", "Buffer", "Callable", "Iterator", "None", "Sequence", "SupportsInt"}
PLAIN = {"bool", "bytes", "dict", "float", "int", "list", "object", "set", "slice", "str", "tuple"}


def _known(annotation: ast.expr) -> str:
    """Return an annotation in which what the stub does not hold is Any."""

    class Unknown(ast.NodeTransformer):
        def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
            return node if ast.unparse(node) in CLASSES else ast.Name("Any")

        def visit_Name(self, node: ast.Name) -> ast.expr:
            return node if node.id in {*CLASSES, *KNOWN, *PLAIN} else ast.Name("Any")

    return ast.unparse(Unknown().visit(annotation))


def main(arguments: list[str]) -> None:
    """Write the stub of every wheel and installed module that is named."""
    for argument in arguments:
        path = Path(argument)
        text = (
            stub_of_wheel(path)
            if path.suffix == ".whl"
            else stub(importlib.import_module(argument))
        )
        name, version = re.match(r'"""(\S+) ([\d.]+):', text).groups()  # type: ignore[union-attr]
        target = FOLDER / f"{name.replace('tensorrt_', '')}-{version}" / "tensorrt" / "__init__.pyi"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        print(target)


if __name__ == "__main__":
    if sys.argv[1] == "--print":
        print(stub(importlib.import_module(sys.argv[2])), end="")
    else:
        main(sys.argv[1:])
