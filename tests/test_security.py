"""What no file may do: reach out, run code, take all memory, or write where it likes."""

from __future__ import annotations

import ast
import os
import random
import socket
import struct
import subprocess
import sys
import time
import tracemalloc
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import sender
import tube_scan
from dicom_factory import cta, edit, info, volume

from plaque_edge.decode_ahead import decode_slice
from plaque_edge.dicom_header import Inflated
from plaque_edge.dicom_read import InvalidHeaderError, read_header
from plaque_edge.dicom_rle import decode_rle
from plaque_edge.errors import Refused
from plaque_edge.phantom.dicom import WriteOptions, write_series
from plaque_edge.publish import folder_name
from plaque_edge.series import SeriesRefused, choose, read_candidates
from plaque_edge.torture import mutate as damage
from plaque_edge.types import SeriesFiles
from plaque_edge.volume import load_volume

ROOT = Path(__file__).parents[1]
CALLS = {"eval", "exec", "__import__"}
"""``compile`` is not among them: re.compile and torch.compile are harmless."""
MODULES = {"pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle"}


def sources() -> list[Path]:
    return [p for name in ("plaque_edge", "engines", "gui") for p in (ROOT / name).rglob("*.py")]


def unsafe(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            found.append(str(node.module))
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in CALLS or name in ("os.system", "os.popen", "subprocess.getoutput"):
                found.append(name)
            for word in node.keywords:
                true = isinstance(word.value, ast.Constant) and word.value.value is True
                if word.arg in ("shell", "allow_pickle") and true:
                    found.append(f"{name}({word.arg}=True)")
                if name == "torch.load" and word.arg == "weights_only" and not true:
                    found.append("torch.load(weights_only=False)")
    return found


def test_no_pickle_no_eval_no_shell() -> None:
    found = {p.relative_to(ROOT): unsafe(ast.parse(p.read_text("utf-8"))) for p in sources()}
    assert {str(p): what for p, what in found.items() if what} == {}
    assert len(found) > 100


@pytest.mark.parametrize(
    "line",
    ["import pickle", "from pickle import loads", "eval('1')", "import os; os.system('ls')",
     "subprocess.run('ls', shell=True)", "numpy.load(p, allow_pickle=True)"],
)  # fmt: skip
def test_the_search_for_them_finds_them(line: str) -> None:
    assert unsafe(ast.parse(line))


@pytest.mark.parametrize(
    "uid",
    ["../../etc/passwd", "..\\..\\windows", "/etc/x", "C:\\x", "", ".", "..", "a\0b", "CON",
     "1.2.3/../../..", "\u202e1.2", "1" * 5000, "~root", "$(reboot)", "1.2\n3", "测试"],
)  # fmt: skip
def test_uids_cannot_leave_the_output_folder(uid: str, tmp_path: Path) -> None:
    name = folder_name(uid, 1)
    assert (tmp_path / name).resolve().parent == tmp_path.resolve()
    assert len(name) < 80
    (tmp_path / name).mkdir()


# ---- bombs ---------------------------------------------------------------------------------


def peak_mb(act: object) -> float:
    tracemalloc.start()
    try:
        act()  # type: ignore[operator]
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak / 2**20


def slice_of(folder: Path, **how: object) -> Path:
    return write_series(volume(3), info(), folder, WriteOptions(**how))[0]  # type: ignore[arg-type]


def bucket(path: Path) -> str:
    (code,) = read_candidates([path]).buckets
    return code


@pytest.mark.parametrize(
    "changes",
    [{"Rows": 65535, "Columns": 65535}, {"NumberOfFrames": 10**9}, {"BitsAllocated": 24},
     {"HighBit": 63}, {"BitsStored": 0}, {"SamplesPerPixel": 255}],
)  # fmt: skip
def test_impossible_pixels_are_refused_before_room_is_made(
    changes: dict[str, int], tmp_path: Path
) -> None:
    path = slice_of(tmp_path)
    edit(path, **changes)
    assert peak_mb(lambda: read_candidates([path])) < 8
    assert bucket(path) in ("PIXELS_INVALID", "COLOUR", "PIXELS_8BIT")
    assert read_header(path).pixels.invalid


@pytest.mark.parametrize("depth", [1000, 3000])
def test_header_nested_without_end(depth: int, tmp_path: Path) -> None:
    path = slice_of(tmp_path)
    data = path.read_bytes()
    place = next(e for e in damage.elements(data) if e.tag > 0x00090000).start
    deep = b"\x09\x00\x10\x10SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * depth
    path.write_bytes(data[:place] + deep + data[place:])
    with pytest.raises(InvalidHeaderError):
        read_header(path)
    assert bucket(path) == "HEADER_INVALID"


def test_element_that_claims_gigabytes(tmp_path: Path) -> None:
    path = slice_of(tmp_path)
    data = path.read_bytes()
    place = next(e for e in damage.elements(data) if e.tag > 0x00090000).start
    lie = b"\x09\x00\x11\x10OB\0\0" + struct.pack("<L", 0x7FFFFFF0)
    path.write_bytes(data[:place] + lie + data[place:])
    assert peak_mb(lambda: read_candidates([path])) < 8


def test_deflated_bomb(tmp_path: Path) -> None:
    path = slice_of(tmp_path, syntax="deflated")
    header = path.read_bytes()
    start = next(e for e in damage.elements(header) if e.tag == 0x00020010).end
    pack = zlib.compressobj(9, wbits=-15)
    lie = b"\x09\x00\x11\x10OB\0\0" + struct.pack("<L", 0x7FFFFFF0)
    first = pack.compress(lie) + pack.flush(zlib.Z_FULL_FLUSH)
    block = pack.compress(bytes(1 << 20)) + pack.flush(zlib.Z_FULL_FLUSH)
    path.write_bytes(header[:start] + first + 3000 * block)
    assert path.stat().st_size < 5 << 20
    assert peak_mb(lambda: read_candidates([path])) < 200
    assert bucket(path) in ("HEADER_INVALID", "FILE_TRUNCATED")


def test_inflated_is_what_zlib_gives(tmp_path: Path) -> None:
    data = np.random.default_rng(1).integers(0, 4, 300_000, np.uint8).tobytes()
    pack = zlib.compressobj(wbits=-15)
    (tmp_path / "x").write_bytes(pack.compress(data) + pack.flush())
    with (tmp_path / "x").open("rb") as file:
        source = Inflated(file)
        assert source.read(1000) == data[:1000]
        assert source.seek(-500, 1) == 500
        assert source.read(100_000) == data[500:100_500]
    with (tmp_path / "x").open("rb") as file:
        assert Inflated(file).take(123_456, 70_000) == data[123_456:193_456]
    with (tmp_path / "x").open("rb") as file:
        assert Inflated(file).skip(10**9) == len(data)


def bombed(tmp_path: Path, act: object) -> Path:
    path = slice_of(tmp_path)
    path.write_bytes(act(path.read_bytes(), [], random.Random(1)))  # type: ignore[operator]
    return path


@pytest.mark.parametrize("act", [damage.rle_bomb, damage.j2k_bomb])
def test_compressed_image_larger_than_its_header_says(act: object, tmp_path: Path) -> None:
    path = bombed(tmp_path, act)
    header = read_header(path)
    assert header.pixels.kept == "encapsulated"
    out = np.empty((header.pixels.rows, header.pixels.columns), np.int16)

    def decode() -> None:
        with pytest.raises(Refused, match="PIXELS_UNREADABLE"):
            decode_slice(header, 0, out)

    assert peak_mb(decode) < 16


def test_far_too_much_compressed_data(tmp_path: Path) -> None:
    path = slice_of(tmp_path, syntax="rle")
    data = path.read_bytes()
    at = data.rindex(b"\xfe\xff\xdd\xe0")
    path.write_bytes(
        data[:at] + b"\xfe\xff\x00\xe0" + struct.pack("<L", 10**6) + bytes(10**6) + data[at:]
    )
    assert bucket(path) == "PIXELS_INVALID"


def test_rle_against_pydicom() -> None:
    from pydicom.pixels.decoders.rle import _rle_decode_frame
    from pydicom.pixels.encoders.native import _encode_frame

    class Runner:
        samples_per_pixel, bits_allocated, rows, columns = 1, 16, 37, 51
        byteorder = "<"

        def get_option(self, _name: str, default: object = None) -> object:
            return default

    image = np.random.default_rng(2).integers(0, 9, (37, 51)).astype("<u2") * 257
    encoded = bytes(_encode_frame(image.tobytes(), Runner()))  # type: ignore[arg-type]
    slow = bytes(_rle_decode_frame(encoded, 37, 51, 1, 16, segment_order=">"))
    fast = decode_rle(encoded, 37 * 51, 2)
    assert fast is not None
    assert np.ascontiguousarray(fast.T).tobytes() == slow
    assert decode_rle(encoded[:-40], 37 * 51, 2) is None
    assert decode_rle(encoded, 37 * 50, 2) is None


def test_series_that_fills_the_memory_is_refused() -> None:
    huge = SeriesFiles(info(), (), (10_000, 4096, 4096), (0.5, 0.4, 0.4))
    with pytest.raises(Refused, match="SERIES_TOO_LARGE"):
        load_volume(huge)


def test_damaged_file_beside_a_series_refuses_it(tmp_path: Path) -> None:
    paths = cta(tmp_path)
    data = paths[5].read_bytes()
    place = next(e for e in damage.elements(data) if e.tag > 0x00090000).start
    deep = b"\x09\x00\x10\x10SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 2000
    paths[0].write_bytes(data[:place] + deep + data[place:])
    with pytest.raises(SeriesRefused, match="HEADER_INVALID"):
        choose(read_candidates([tmp_path]))


# ---- network -------------------------------------------------------------------------------

DENIED = """
import socket, sys
real = socket.socket
class Denied(real):
    def __init__(self, family=-1, *rest, **more):
        if family != socket.AF_UNIX:
            raise PermissionError("network")
        super().__init__(family, *rest, **more)
socket.socket = Denied
def no(*_a, **_k):
    raise PermissionError("network")
for name in ("create_connection", "getaddrinfo", "gethostbyname", "create_server"):
    setattr(socket, name, no)
def watch(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto"):
        where = arguments[-1]
        if not isinstance(where, (str, bytes)):
            print("NETWORK", event, where, file=sys.stderr, flush=True)
            raise PermissionError("network")
sys.addaudithook(watch)
"""


def test_a_whole_case_without_network(tmp_path: Path) -> None:
    """Every process of the service runs with every socket but local pipes denied."""
    (tmp_path / "sitecustomize.py").write_text(DENIED)
    tube_scan.write(tmp_path / "in")
    path = os.pathsep.join([str(tmp_path), str(ROOT), str(ROOT / "tests")])
    words = ["watch", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--once"]
    words += ["--quiet", "0.3", "--factory", "tube_scan:factory"]
    done = subprocess.run(
        [sys.executable, "-m", "plaque_edge", *words],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "NETWORK" not in done.stderr
    assert len(list((tmp_path / "out").glob("*/result.json"))) == 1
    proof = "import socket; socket.create_connection(('127.0.0.1', 9))"
    denied = subprocess.run(
        [sys.executable, "-c", proof], env={**os.environ, "PYTHONPATH": path}, capture_output=True,
        text=True,
    )  # fmt: skip
    assert "PermissionError: network" in denied.stderr


ONE_PORT = """
import os, sys
WORDS = "connect bind sendto sendmsg getaddrinfo gethostbyname".split()
own = ("127.0.0.1", int(os.environ["PLAQUE_EDGE_TEST_PORT"]))
def watch(event, arguments):
    if not event.startswith("socket."):
        return
    word, where = event[7:], arguments[1] if len(arguments) > 1 else arguments
    if word in ("connect", "bind") and isinstance(where, (str, bytes)):
        return  # a local pipe
    fine = (word == "bind" and where == own) or arguments[:1] == own[:1]
    if word in WORDS and not fine:
        print("NETWORK", event, where, file=sys.stderr, flush=True)
        raise PermissionError("network")
sys.addaudithook(watch)
"""


def test_a_receiver_has_its_own_port_and_nothing_else(tmp_path: Path) -> None:
    """Every other socket of every process is denied; a scan is pushed and becomes a result."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "sitecustomize.py").write_text(ONE_PORT)
    path = os.pathsep.join([str(tmp_path), str(ROOT), str(ROOT / "tests")])
    env = {**os.environ, "PYTHONPATH": path, "PLAQUE_EDGE_TEST_PORT": str(port)}
    words = ["receive", "--port", str(port), "--bind", "127.0.0.1", "--aet", "PLAQUE"]
    words += ["--out", str(tmp_path / "out"), "--quiet", "0.3", "--factory", "tube_scan:factory"]
    service = subprocess.Popen(
        [sys.executable, "-m", "plaque_edge", *words, "--min-free-mb", "0"],
        env=env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    files = tube_scan.write(tmp_path / "in")
    end, sent = time.monotonic() + 300, False
    results: list[Path] = []
    while time.monotonic() < end and service.poll() is None and not results:
        time.sleep(0.2)
        with suppress(AssertionError):  # not listening yet
            sent = sent or set(sender.send(port, files)) == {0}
        results = list((tmp_path / "out").glob("*/result.json"))
    service.terminate()
    told = service.communicate(timeout=120)[1]
    assert "NETWORK" not in told
    assert (sent, len(results), service.returncode) == (True, 1, 0), told
    proof = f"import socket; socket.create_connection(('127.0.0.1', {port}))"
    denied = subprocess.run([sys.executable, "-c", proof], env=env, capture_output=True, text=True)
    assert "PermissionError: network" in denied.stderr
