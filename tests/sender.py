"""Senders for tests of the receiver: pynetdicom as SCU, dcmtk, Orthanc, and certificates."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from dicom_factory import cta
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage, EnhancedCTImageStorage, Verification

from plaque_edge.config import ReceiveOptions
from plaque_edge.receive.server import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pydicom
    from pynetdicom.association import Association

    from plaque_edge.phantom.dicom import WriteOptions

REAL_PEERS = os.environ.get("PLAQUE_EDGE_REAL_PEERS") == "1"
"""Set by CI: there a missing program is a failure, elsewhere a skip that says so."""
CT = str(CTImageStorage)
PATIENCE_S = 120.0
"""How long a sender or a wait stays patient: other work may have the computer meanwhile."""


def program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin")
    if found is None:
        text = f"{name} is not installed (Debian: dcmtk, orthanc, openssl)"
        pytest.fail(text) if REAL_PEERS else pytest.skip(text)
    return found


@contextmanager
def receiver(out: Path, said: list[str] | None = None, **options: Any) -> Iterator[Receiver]:
    lines = [] if said is None else said
    defaults: dict[str, Any] = {"port": 0, "aet": "PLAQUE", "bind": "127.0.0.1", "idle_s": 5.0}
    made = Receiver(
        ReceiveOptions(**(defaults | {"min_free_bytes": 0} | options)), out, lines.append
    )
    try:
        yield made
    finally:
        made.close()


def associate(
    port: int,
    calling: str = "CT1",
    called: str = "PLAQUE",
    classes: Sequence[str] = (CT, str(EnhancedCTImageStorage), str(Verification)),
    syntax: str | None = None,
    **more: Any,
) -> Association:
    entity = AE(calling)
    for name in classes:
        entity.add_requested_context(name, *([syntax] if syntax else []))
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = PATIENCE_S
    return entity.associate("127.0.0.1", port, ae_title=called, **more)


def send(port: int, files: Sequence[Path | pydicom.Dataset], **more: Any) -> list[int]:
    """Send in one association, released at the end; return the statuses."""
    association = associate(port, **more)
    assert association.is_established
    statuses = [association.send_c_store(f).get("Status", -1) for f in files]
    association.release()
    return statuses


def stored(out: Path) -> list[Path]:
    return sorted((out / "incoming").rglob("*.dcm"))


def data_set_bytes(path: Path) -> bytes:
    """What follows the meta group, byte for byte."""
    data = path.read_bytes()
    assert data[128:132] == b"DICM"
    return data[144 + int.from_bytes(data[140:144], "little") :]


def slices(folder: Path, count: int, name: str = "a", **options: Any) -> list[Path]:
    from plaque_edge.phantom.dicom import WriteOptions

    made: WriteOptions = WriteOptions(**options)
    return cta(folder, name, made)[:count]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Any, limit_s: float = PATIENCE_S) -> None:
    until = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until, "not in time"
        time.sleep(0.02)


def run(*command: str, timeout_s: float = PATIENCE_S) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)


def certificates(folder: Path) -> dict[str, Path]:
    """Make a CA and two certificates signed by it: ``ca``, ``scp``, ``scp_key``, ``scu`` ..."""
    openssl = program("openssl")
    new = [openssl, "req", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    ca, ca_key = folder / "ca.pem", folder / "ca.key"
    made = run(*new, "-x509", "-subj", "/CN=test-ca", "-keyout", str(ca_key), "-out", str(ca))
    assert made.returncode == 0, made.stderr
    found = {"ca": ca}
    for name in ("scp", "scu"):
        request, key, cert = (folder / f"{name}.{e}" for e in ("csr", "key", "pem"))
        run(*new, "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(request))
        signed = [openssl, "x509", "-req", "-in", str(request), "-CA", str(ca), "-CAkey"]
        run(*signed, str(ca_key), "-CAcreateserial", "-days", "2", "-out", str(cert))
        assert cert.exists()
        found |= {name: cert, f"{name}_key": key}
    return found


class Orthanc:
    """A real Orthanc of our own: temporary folder, free ports, ended with the test."""

    def __init__(self, folder: Path, target_port: int, aet: str = "PLAQUE") -> None:
        self.port = free_port()
        settings = {
            "Name": "test",
            "StorageDirectory": str(folder / "db"),
            "IndexDirectory": str(folder / "db"),
            "HttpPort": self.port,
            "HttpServerEnabled": True,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomServerEnabled": False,
            "DicomPort": free_port(),
            "DicomAet": "ORTHANC",
            "Plugins": [],
            "DicomModalities": {"plaque": [aet, "127.0.0.1", target_port]},
        }
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "orthanc.json").write_text(json.dumps(settings))
        with (folder / "log").open("w") as log:
            self.process = subprocess.Popen(
                [program("Orthanc"), str(folder / "orthanc.json")], stdout=log, stderr=log
            )
        wait_for(self._answers)

    def _answers(self) -> bool:
        assert self.process.poll() is None, "Orthanc ended"
        try:
            return bool(self.ask("/system"))
        except OSError:
            return False

    def ask(self, path: str, body: bytes | None = None) -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=body)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return json.loads(answer.read())

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
