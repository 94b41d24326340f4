"""The receiver: every object is whole on the disk before it is confirmed, and nothing gets lost."""

from __future__ import annotations

import errno
import itertools
import os
import re
import socket
import stat
import struct
import threading
import time
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from random import Random
from typing import IO, TYPE_CHECKING, Any

import pydicom
import pytest
import sender
from dicom_factory import cta, edit
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from sender import associate, receiver, send, slices, stored

from plaque_edge.arrivals import MIN_FRAMES, Arrivals
from plaque_edge.cli import main
from plaque_edge.config import ReceiveOptions, WatchOptions
from plaque_edge.dicom_pixels import readable_syntaxes, stored_frame
from plaque_edge.dicom_read import read_header
from plaque_edge.errors import Failed, Refused
from plaque_edge.phantom.dicom import SYNTAXES
from plaque_edge.private import short_hash
from plaque_edge.receive import pace
from plaque_edge.receive.landing import Landing, safe_name
from plaque_edge.receive.options import check
from plaque_edge.receive.server import shown
from plaque_edge.watch import Watcher

if TYPE_CHECKING:
    from pynetdicom.association import Association

MR, SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.7"
IMPLICIT = "1.2.840.10008.1.2"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def source(tmp_path: Path) -> list[Path]:
    return slices(tmp_path / "source", 4)


def raw(
    association: Association, data: bytes | None, uid: str = "1.2.3", wait: bool = True
) -> tuple[int, str]:
    """Send any bytes as a data set; return status and comment, 0xFFFF for no answer."""
    request = C_STORE()
    request.MessageID = 7
    request.AffectedSOPClassUID = sender.CT
    request.AffectedSOPInstanceUID = uid
    request.Priority = 0
    request.DataSet = None if data is None else BytesIO(data)
    context = next(c for c in association.accepted_contexts if c.abstract_syntax == sender.CT)
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, context.context_id or 1)
    answer: Any = association.dimse.get_msg(block=True)[1] if wait else None
    association._reactor_checkpoint.set()
    return (answer.Status, answer.ErrorComment or "") if answer else (0xFFFF, "")


def implicit(path: Path, **changes: Any) -> bytes:
    """The data set of a file in implicit VR, changed: what :func:`raw` sends."""
    data_set = pydicom.dcmread(path)
    for keyword, value in changes.items():
        with pydicom.config.disable_value_validation():
            setattr(data_set, keyword, value)
    with pydicom.config.disable_value_validation():
        encoded = encode(data_set, True, True)
    assert encoded is not None
    return encoded


def nothing_half_written(out: Path) -> bool:
    return not list((out / "receiving").iterdir())


# --- what is taken -------------------------------------------------------------------------


def test_objects_are_stored_as_received(out: Path, source: list[Path]) -> None:
    sent = implicit(source[0])
    uid = str(pydicom.dcmread(source[0]).SOPInstanceUID)
    with receiver(out) as scp:
        association = associate(scp.port, syntax=IMPLICIT)
        assert raw(association, sent, uid) == (0, "")
        association.release()
    (path,) = stored(out)
    assert sender.data_set_bytes(path) == sent
    meta = pydicom.dcmread(path).file_meta
    assert meta.TransferSyntaxUID == IMPLICIT
    assert meta.MediaStorageSOPClassUID == sender.CT
    assert meta.MediaStorageSOPInstanceUID == uid
    assert meta.SourceApplicationEntityTitle == "CT1"
    assert meta.FileMetaInformationVersion == b"\x00\x01"
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", list(SYNTAXES))
@pytest.mark.parametrize("enhanced", [False, True], ids=["ct", "enhanced"])
def test_every_syntax_arrives_unchanged(
    tmp_path: Path, out: Path, name: str, enhanced: bool
) -> None:
    files = slices(tmp_path / "source", 2, syntax=name, enhanced=enhanced)
    with receiver(out) as scp:
        assert send(scp.port, files, syntax=SYNTAXES[name]) == [0] * len(files)
    arrived = {read_header(p).sop_uid: p for p in stored(out)}
    assert len(arrived) == len(files)
    for path in files:
        header = read_header(path)
        other = read_header(arrived[header.sop_uid])
        assert other.pixels.syntax == SYNTAXES[name]
        for frame in (0, header.pixels.count - 1):
            first = stored_frame(path, header.pixels, frame)
            assert (first == stored_frame(other.path, other.pixels, frame)).all()


def test_every_readable_syntax_is_offered(out: Path) -> None:
    assert set(SYNTAXES.values()) <= set(readable_syntaxes())
    with receiver(out) as scp:
        for syntax in readable_syntaxes():
            association = associate(scp.port, classes=[sender.CT], syntax=syntax)
            assert [str(c.transfer_syntax[0]) for c in association.accepted_contexts] == [syntax]
            association.release()


def test_echo_is_answered_and_other_classes_are_refused_at_negotiation(out: Path) -> None:
    with receiver(out) as scp:
        association = associate(
            scp.port, classes=[sender.CT, MR, SECONDARY_CAPTURE, "1.2.840.10008.1.1"]
        )
        accepted = {c.abstract_syntax for c in association.accepted_contexts}
        assert accepted == {sender.CT, SECONDARY_CAPTURE, "1.2.840.10008.1.1"}
        assert association.send_c_echo().Status == 0
        association.release()


# --- twice ---------------------------------------------------------------------------------


def test_the_same_object_again_is_confirmed_and_kept_once(out: Path, source: list[Path]) -> None:
    with receiver(out) as scp:
        assert send(scp.port, source) == [0] * 4
        before = {p: p.stat().st_mtime_ns for p in stored(out)}
        assert send(scp.port, source, calling="CT2") == [0] * 4
    assert {p: p.stat().st_mtime_ns for p in stored(out)} == before
    assert not list((out / "superseded").rglob("*.dcm"))


def test_other_content_under_the_same_uid_is_kept_beside_the_first(
    out: Path, source: list[Path]
) -> None:
    said: list[str] = []
    with receiver(out, said) as scp:
        send(scp.port, source)
        first = {p: p.read_bytes() for p in stored(out)}
        for text in ("second", "third"):
            edit(source[0], SeriesDescription=text)
            assert send(scp.port, source) == [0] * 4
    changed = [p for p in stored(out) if p.read_bytes() != first[p]]
    assert len(stored(out)) == 4
    (path,) = changed
    assert pydicom.dcmread(path).SeriesDescription == "third"
    old = sorted((out / "superseded").rglob("*.dcm"))
    assert next(p.read_bytes() for p in old) == first[path]
    assert pydicom.dcmread(old[1]).SeriesDescription == "second"
    assert any("3 again, 1 revised" in line for line in said)


def test_several_associations_at_once(tmp_path: Path, out: Path) -> None:
    sets = [slices(tmp_path / n, 20, n) for n in "abc"]
    sets.append(sets[0])  # one series from two sides
    done: list[list[int]] = []
    with receiver(out) as scp:
        threads = [
            threading.Thread(target=lambda f=files: done.append(send(scp.port, f)))
            for files in sets
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
    assert done == [[0] * 20] * 4
    assert len(stored(out)) == 60
    assert nothing_half_written(out)
    assert not list((out / "superseded").rglob("*.dcm"))


# --- what goes wrong -----------------------------------------------------------------------


class FullDisk:
    """A file on a disk that has room for so many bytes."""

    def __init__(self, file: IO[bytes], room: int) -> None:
        self.file, self.room = file, room

    def write(self, data: bytes) -> int:
        self.room -= len(data)
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def test_full_disk_is_told_and_leaves_nothing(
    out: Path, source: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, count = Landing.begin, itertools.count()

    def begin(self: Landing) -> tuple[Path, Any]:
        path, file = real(self)
        return path, FullDisk(file, 9000) if next(count) == 1 else file

    monkeypatch.setattr(Landing, "begin", begin)
    said: list[str] = []
    with receiver(out, said) as scp:
        assert send(scp.port, source) == [0, 0xA700, 0, 0]
        assert nothing_half_written(out)
        assert len(stored(out)) == 3
        assert send(scp.port, source) == [0] * 4
    assert len(stored(out)) == 4
    assert any(line.startswith("RECEIVE_DISK: ") and "No space left" in line for line in said)


def test_full_disk_at_the_last_moment(
    out: Path, source: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with receiver(out) as scp:
        with monkeypatch.context() as patch:
            patch.setattr("plaque_edge.receive.stream.flush", no_room)
            assert send(scp.port, source[:1]) == [0xA700]
        with monkeypatch.context() as patch:
            patch.setattr(Landing, "land", no_room)
            assert send(scp.port, source[:1]) == [0xA700]
        assert nothing_half_written(out)
        assert stored(out) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounts a small disk")
def test_really_full_disk(tmp_path: Path, source: list[Path]) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = sender.run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk))
    if mounted.returncode:
        pytest.skip(f"no small disk here: {mounted.stderr.strip()}")
    try:
        with receiver(disk) as scp:
            statuses = send(scp.port, source)
            assert statuses[0] == 0
            assert statuses[-1] == 0xA700
            assert len(stored(disk)) == statuses.count(0)
            assert nothing_half_written(disk)
            for path in stored(disk):
                assert read_header(path).incomplete is None
    finally:
        sender.run("umount", str(disk))


def test_room_is_left_for_the_results(out: Path, source: list[Path]) -> None:
    with receiver(out, min_free_bytes=1 << 60) as scp:
        assert send(scp.port, source[:1]) == [0xA700]
    assert stored(out) == []


def test_malformed_data_sets_are_told(out: Path, source: list[Path]) -> None:
    good = implicit(source[0])
    uid = str(pydicom.dcmread(source[0]).SOPInstanceUID)
    bad = {
        "cut pixels": good[: len(good) - 500],
        "cut header": good[:300],
        "no pixels": good[: good.index(b"\xe0\x7f\x10\x00")],
        "noise": bytes(range(256)) * 20,
        "no series": implicit(source[0], SeriesInstanceUID=""),
    }
    said: list[str] = []
    with receiver(out, said) as scp:
        for name, data in bad.items():
            association = associate(scp.port, syntax=IMPLICIT)
            status, comment = raw(association, data, uid)
            assert 0xC000 <= status <= 0xCFFF, name
            assert comment == "RECEIVE_MALFORMED", name
            assert raw(association, good, uid) == (0, ""), name  # the association goes on
            association.release()
    assert len(stored(out)) == 1
    assert nothing_half_written(out)
    assert sum(line.startswith("RECEIVE_MALFORMED: ") for line in said) == len(bad)


def test_request_without_a_data_set_is_not_left_unanswered(out: Path, source: list[Path]) -> None:
    with receiver(out) as scp:
        association = associate(scp.port, syntax=IMPLICIT)
        status, _ = raw(association, None)
        assert 0xC000 <= status <= 0xCFFF
        association.release()
        assert send(scp.port, source) == [0] * 4


def test_another_object_than_announced_is_told(out: Path, source: list[Path]) -> None:
    with receiver(out) as scp:
        association = associate(scp.port, syntax=IMPLICIT)
        data = implicit(source[0])
        assert raw(association, data, "1.2.3") == (0xA900, "RECEIVE_MISMATCH")
        other = implicit(source[0], SOPClassUID=MR, SOPInstanceUID="1.2.3")
        assert raw(association, other, "1.2.3") == (0xA900, "RECEIVE_MISMATCH")
        association.release()
    assert stored(out) == []


def test_objects_above_the_limit_are_dropped_as_they_come(out: Path, source: list[Path]) -> None:
    size = source[0].stat().st_size
    with receiver(out, max_object_bytes=size + 1000) as scp:
        association = associate(scp.port, syntax=IMPLICIT)
        large = implicit(source[0]) + bytes(8 << 20)
        assert raw(association, large) == (0xA700, "RECEIVE_TOO_LARGE")
        assert nothing_half_written(out)
        association.release()
        assert send(scp.port, source) == [0] * 4


@pytest.mark.parametrize("uid", ["../../../evil", "/etc/evil", "..", ".", "1.2/3", "CON"])
def test_names_cannot_leave_the_folder(out: Path, source: list[Path], uid: str) -> None:
    around = {p for p in out.parent.rglob("*") if out not in p.parents}
    data = implicit(source[0], SOPInstanceUID=uid, SeriesInstanceUID=uid, StudyInstanceUID=uid)
    with receiver(out) as scp:
        association = associate(scp.port, syntax=IMPLICIT)
        assert raw(association, data, uid)[0] == 0
        association.release()
    (path,) = stored(out)
    assert re.fullmatch(r"x[0-9a-f]{32}\.dcm", path.name)
    assert {p for p in out.parent.rglob("*") if out not in p.parents} - around == {out}


@given(st.text(max_size=80))
def test_any_text_gives_a_safe_name(uid: str) -> None:
    name = safe_name(uid)
    assert re.fullmatch(r"[0-9]+(\.[0-9]+)*|x[0-9a-f]{32}", name)
    assert name == uid or name.startswith("x")
    assert len(name) <= 64


# --- who may send --------------------------------------------------------------------------


def test_only_the_allowed_may_send_and_only_to_this_title(out: Path) -> None:
    said: list[str] = []
    with receiver(out, said, allow=("CT1", "CT 2")) as scp:
        for calling in ("CT1", "CT 2"):
            association = associate(scp.port, calling)
            assert association.is_established
            association.release()
        stranger = associate(scp.port, "EVIL")
        assert stranger.is_rejected
        assert stranger.acceptor.primitive.diagnostic == 3  # calling AE title not recognised
        wrong = associate(scp.port, "CT1", "OTHER")
        assert wrong.is_rejected
        assert wrong.acceptor.primitive.diagnostic == 7  # called AE title not recognised
    refused = [line for line in said if line.startswith("RECEIVE_AET_REFUSED: ")]
    assert ["EVIL" in refused[0], "OTHER" in refused[1]] == [True, True]


def test_too_many_associations(out: Path) -> None:
    said: list[str] = []
    with receiver(out, said, max_associations=2) as scp:
        first = [associate(scp.port) for _ in range(2)]
        third = associate(scp.port)
        assert third.is_rejected
        assert third.acceptor.primitive.result == 2  # transient: try again
        for association in first:
            association.release()
        sender.wait_for(lambda: associate(scp.port).is_established)
    assert any(line.startswith("RECEIVE_BUSY: ") for line in said)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=sender.PATIENCE_S)


def closed_by_peer(connection: socket.socket) -> bool:
    try:
        while connection.recv(4096):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize(
    "first",
    [b"", b"\x01\x00\x00\x00", struct.pack(">BBL", 1, 0, 200) + bytes(50)],
    ids=["silent", "half a header", "half a request"],
)
def test_connections_that_say_nothing_are_closed(out: Path, first: bytes) -> None:
    with receiver(out, idle_s=0.7) as scp, connect(scp.port) as connection:
        connection.sendall(first)
        assert closed_by_peer(connection)
        association = associate(scp.port)
        assert association.is_established
        association.release()


def test_an_association_that_says_nothing_is_ended(out: Path) -> None:
    with receiver(out, idle_s=0.7) as scp:
        association = associate(scp.port)
        sender.wait_for(lambda: not association.is_established, sender.PATIENCE_S / 2)


@pytest.mark.parametrize("kind", [1, 4, 0x77])
def test_absurd_lengths_are_not_believed(out: Path, kind: int) -> None:
    with receiver(out, idle_s=1.0) as scp, connect(scp.port) as connection:
        connection.sendall(struct.pack(">BBL", kind, 0, 0xFFFFFFF0) + bytes(2000))
        assert closed_by_peer(connection)
        assert associate(scp.port).is_established


@pytest.mark.parametrize("piece", [b"", b"\x03", b"\x03" + bytes(40), b"\x01" + bytes(90000)])
def test_what_is_no_message_ends_the_association_alone(out: Path, piece: bytes) -> None:
    said: list[str] = []
    with receiver(out, said, idle_s=1.0) as scp:
        association, other = associate(scp.port), associate(scp.port)
        value = struct.pack(">LB", len(piece) + 1, 1) + piece
        pdu = struct.pack(">BBL", 4, 0, len(value)) + value
        association.dul.socket.socket.sendall(pdu)
        sender.wait_for(lambda: not association.is_established, sender.PATIENCE_S / 2)
        sender.wait_for(lambda: any("ABORTED: nothing" in line for line in said))
        assert other.send_c_echo().Status == 0
        other.release()


def a_request() -> bytes:
    """The bytes of a real association request."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        asker = threading.Thread(target=associate, args=(listener.getsockname()[1],))
        asker.start()
        connection, _ = listener.accept()
        with connection:
            request = connection.recv(1 << 16)
    asker.join()
    return request


def test_garbage_harms_nobody_else(
    out: Path, source: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: raised.append(args.exc_value))
    request, random = a_request(), Random(0)
    with receiver(out, idle_s=1.0) as scp:
        for _ in range(60):
            data = bytearray(request)
            for _ in range(random.randrange(5)):
                data[random.randrange(len(data))] = random.randrange(256)
            for _ in range(random.randrange(4)):
                body = random.randbytes(random.randrange(300))
                data += struct.pack(
                    ">BBL", random.choice([1, 2, 3, 4, 4, 4, 5, 6, 7]), 0, len(body)
                )
                data += body
            with connect(scp.port) as connection, suppress(OSError):
                connection.sendall(data)
                connection.settimeout(0.05)
                connection.recv(4096)
        sender.wait_for(lambda: scp._server._count == 0)
        assert not scp._tallies
        assert not scp.arrivals._open
        assert send(scp.port, source) == [0] * 4
    assert nothing_half_written(out)
    assert raised == []


def test_sender_that_does_not_wait_for_answers_is_cut_off(out: Path, source: list[Path]) -> None:
    data = implicit(source[0])
    with receiver(out, idle_s=60.0) as scp:
        association = associate(scp.port, syntax=IMPLICIT)
        with pytest.MonkeyPatch.context() as patch:
            held = threading.Event()
            patch.setattr(
                "plaque_edge.receive.server.checked", lambda *_a: held.wait(sender.PATIENCE_S)
            )
            for _ in range(8):
                raw(association, data, "1.2.3", wait=False)
            sender.wait_for(lambda: not association.is_established, sender.PATIENCE_S / 2)
            held.set()
            sender.wait_for(lambda: nothing_half_written(out))


# --- how it ends ---------------------------------------------------------------------------


def half_an_object(association: Association, data: bytes) -> None:
    """Begin a C-STORE and stop within the data set."""
    request = C_STORE()
    request.MessageID = 9
    request.AffectedSOPClassUID = sender.CT
    request.AffectedSOPInstanceUID = "1.2.3.4"
    request.Priority = 0
    request.DataSet = BytesIO(data)
    from pynetdicom.dimse_messages import C_STORE_RQ

    message = C_STORE_RQ()
    message.primitive_to_message(request)
    context = next(c for c in association.accepted_contexts if c.abstract_syntax == sender.CT)
    pieces = list(message.encode_msg(context.context_id or 1, 4096))
    for piece in pieces[: len(pieces) // 2]:
        association.dul.send_pdu(piece)


def receiving(out: Path) -> bool:
    return bool(list((out / "receiving").iterdir()))


def test_abort_within_an_object_leaves_nothing_of_it(out: Path, source: list[Path]) -> None:
    said: list[str] = []
    with receiver(out, said) as scp:
        association = associate(scp.port, syntax=IMPLICIT)
        assert raw(association, implicit(source[1]), str(pydicom.dcmread(source[1]).SOPInstanceUID))
        half_an_object(association, implicit(source[0]) + bytes(1 << 20))
        sender.wait_for(lambda: receiving(out))
        association.abort()
        sender.wait_for(lambda: nothing_half_written(out))
        sender.wait_for(lambda: any("ABORTED: 1 stored" in line for line in said))
    assert len(stored(out)) == 1


def test_release_within_an_object_is_no_good_end(out: Path, source: list[Path]) -> None:
    said: list[str] = []
    with receiver(out, said) as scp:
        association = associate(scp.port, syntax=IMPLICIT)
        half_an_object(association, implicit(source[0]) + bytes(1 << 20))
        sender.wait_for(lambda: receiving(out))
        association.release()
        sender.wait_for(lambda: any("ABORTED: nothing" in line for line in said))
        sender.wait_for(lambda: nothing_half_written(out))


def test_stop_within_an_object_loses_nothing_confirmed(out: Path, source: list[Path]) -> None:
    with receiver(out, idle_s=sender.PATIENCE_S) as scp:
        association = associate(scp.port, syntax=IMPLICIT)
        uid = str(pydicom.dcmread(source[1]).SOPInstanceUID)
        assert raw(association, implicit(source[1]), uid)[0] == 0
        half_an_object(association, implicit(source[0]) + bytes(1 << 20))
        sender.wait_for(lambda: receiving(out))
        before = time.monotonic()
        scp.close()
        assert time.monotonic() - before < sender.PATIENCE_S / 2
        assert nothing_half_written(out)
        with pytest.raises(OSError):
            connect(scp.port)
    assert len(stored(out)) == 1
    assert not [t for t in threading.enumerate() if t.name == "receiver"]
    sender.wait_for(lambda: not association.is_established)


def test_what_a_killed_receiver_left_is_cleared(out: Path) -> None:
    (out / "receiving").mkdir(parents=True)
    (out / "receiving" / "1.part").write_bytes(b"half")
    with receiver(out):
        assert nothing_half_written(out)


def test_no_patient_in_the_log(
    out: Path, source: list[Path], capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    with receiver(out, said) as scp:
        send(scp.port, source)
        association = associate(scp.port, syntax=IMPLICIT)
        raw(association, implicit(source[0])[:-300], str(pydicom.dcmread(source[0]).SOPInstanceUID))
        raw(association, implicit(source[0], PatientName="Ä\\" * 90, PatientBirthDate="Person"))
        half_an_object(association, implicit(source[1]))
        association.abort()
        sender.wait_for(lambda: nothing_half_written(out))
    text = "\n".join(said) + "".join(capfd.readouterr())
    data_set = pydicom.dcmread(source[0])
    for secret in ("Test", "Person", "19630512", "P1", data_set.SOPInstanceUID):
        assert str(secret) not in text
    assert short_hash(str(data_set.SOPInstanceUID)) in text


def test_titles_of_peers_are_made_safe_for_the_log() -> None:
    assert shown("A\nB\x1b[1m" + "x" * 40) == "A?B?[1mxxxxxxxxx"
    assert shown(None) == "None"


# --- how fast -------------------------------------------------------------------------------


def test_no_more_bytes_a_second_than_a_site_allows(out: Path, source: list[Path]) -> None:
    files = source[:10]
    size = sum(p.stat().st_size for p in files)
    with receiver(out, max_bytes_per_s=size / 2.0) as scp:
        began = time.monotonic()
        assert set(send(scp.port, files)) == {0}
        took = time.monotonic() - began
    assert took > 1.5, "2 s, but for what may come at once"


def test_pace_of_all_connections_together(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, waited = [0.0], []
    monkeypatch.setattr(pace.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(pace.time, "sleep", waited.append)
    bucket = pace.Pace(1000.0)
    for count in (1000, 500):
        bucket.wait(count)
    assert waited == [pytest.approx(1.0), pytest.approx(1.5)]
    clock[0] = 100.0
    bucket.wait(250)
    assert len(waited) == 2, "what was not used does not add up, but 0.25 s of it does"


def test_no_more_connections_a_minute_than_a_site_allows(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    with receiver(out, said, max_per_minute=3) as scp:
        good = [associate(scp.port).is_established for _ in range(5)]
    assert good == [True, True, True, False, False]
    assert any(line.startswith("RECEIVE_BUSY") for line in said)
    clock = [0.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: clock[0])
    gate = pace.Gate(2)
    assert [gate.lets_in(a) for a in ("x", "x", "x", "y")] == [True, True, False, True]
    clock[0] = 61.0
    assert gate.lets_in("x")


# --- the hint ------------------------------------------------------------------------------

UIDS = ("study", "series")
LATER = 1 << 62


def test_only_a_good_end_of_a_whole_batch_is_a_hint() -> None:
    arrivals = Arrivals()
    arrivals.opened(1, "CT1")
    arrivals.stored(1, UIDS, MIN_FRAMES)
    assert not arrivals.all_sent(UIDS, 0), "still open"
    arrivals.closed(1, in_order=True)
    assert arrivals.all_sent(UIDS, 0)
    assert not arrivals.all_sent(UIDS, LATER), "a file written after the end"
    assert not arrivals.all_sent(("study", "other"), 0)

    arrivals.opened(2, "CT1")
    assert not arrivals.all_sent(UIDS, 0), "the sender has opened another"
    arrivals.closed(2, in_order=True)
    assert arrivals.all_sent(UIDS, 0)

    arrivals.opened(3, "CT1")
    arrivals.stored(3, UIDS, 1)
    arrivals.closed(3, in_order=True)
    assert not arrivals.all_sent(UIDS, 0), "one association per image"

    arrivals.opened(4, "CT1")
    arrivals.stored(4, UIDS, MIN_FRAMES)
    arrivals.closed(4, in_order=False)
    arrivals.closed(4, in_order=True)
    assert not arrivals.all_sent(UIDS, 0), "aborted"


SLOW = WatchOptions(scan_s=0.05, quiet_s=600.0, late_s=900.0, header_budget_s=3600.0)


def phase(watcher: Watcher) -> str:
    return next((s.phase for s in watcher.scan()), "")


@pytest.mark.parametrize("end", ["release", "abort"])
def test_good_end_spares_the_quiet_time_and_an_abort_does_not(
    tmp_path: Path, out: Path, end: str
) -> None:
    files = cta(tmp_path / "source")
    with receiver(out) as scp:
        watcher = Watcher((scp.incoming,), SLOW, arrivals=scp.arrivals)
        association = associate(scp.port)
        for path in files:
            assert association.send_c_store(path).Status == 0
        assert phase(watcher) == ""
        assert phase(watcher) == "SEEN"
        getattr(association, end)()
        sender.wait_for(lambda: not scp.arrivals._open)
        assert phase(watcher) == ("READY" if end == "release" else "SEEN")
        if end == "release":  # a late slice is seen as ever
            edit(files[0], SeriesDescription="corrected")
            before = watcher.scan()[0].keys
            send(scp.port, files[:1])
            watcher.scan()
            (series,) = watcher.scan()
            assert not series.keys <= before
            assert series.phase == "SEEN"


def test_good_end_of_a_series_with_a_gap_still_waits(tmp_path: Path, out: Path) -> None:
    files = cta(tmp_path / "source")
    del files[20]
    with receiver(out) as scp:
        watcher = Watcher((scp.incoming,), SLOW, arrivals=scp.arrivals)
        assert set(send(scp.port, files)) == {0}
        watcher.scan()
        (series,) = watcher.scan()
        assert series.phase == "SETTLING"
        assert "missing" in series.message


# --- what a site asks for ------------------------------------------------------------------

GOOD = ReceiveOptions(11112, "PLAQUE")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"port": 70000}, "RECEIVE_PORT_INVALID"),
        ({"port": -1}, "RECEIVE_PORT_INVALID"),
        ({"aet": ""}, "RECEIVE_AET_INVALID"),
        ({"aet": "x" * 17}, "RECEIVE_AET_INVALID"),
        ({"aet": "A\\B"}, "RECEIVE_AET_INVALID"),
        ({"aet": "ÄTHER"}, "RECEIVE_AET_INVALID"),
        ({"allow": ("CT1", " CT2")}, "RECEIVE_AET_INVALID"),
        ({"max_object_bytes": 0}, "RECEIVE_LIMIT_INVALID"),
        ({"max_associations": 0}, "RECEIVE_LIMIT_INVALID"),
        ({"idle_s": 0.0}, "RECEIVE_LIMIT_INVALID"),
        ({"idle_s": float("nan")}, "RECEIVE_LIMIT_INVALID"),
        ({"max_bytes_per_s": 0.0}, "RECEIVE_LIMIT_INVALID"),
        ({"max_per_minute": 0}, "RECEIVE_LIMIT_INVALID"),
        ({"tls_cert": Path("c.pem")}, "RECEIVE_TLS_INVALID"),
        ({"tls_ca": Path("c.pem")}, "RECEIVE_TLS_INVALID"),
        ({"tls_cert": Path("no"), "tls_key": Path("no")}, "RECEIVE_TLS_INVALID"),
    ],
)
def test_bad_options_are_refused(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(Refused, match=rf"\A{code}: .+\. .+\.\Z"):
        check(replace(GOOD, **changes))


def test_files_for_tls_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    made = sender.certificates(tmp_path)
    good = replace(GOOD, tls_cert=made["scp"], tls_key=made["scp_key"], tls_ca=made["ca"])
    assert check(good) is not None
    locked = tmp_path / "locked.key"
    sender.run(
        sender.program("openssl"), "rsa", "-aes128", "-passout", "pass:secret",
        "-in", str(made["scp_key"]), "-out", str(locked),
    )  # fmt: skip
    (tmp_path / "text").write_text("no certificate")
    for changes in (
        {"tls_key": made["scu_key"]},
        {"tls_key": locked},
        {"tls_cert": tmp_path / "text"},
        {"tls_ca": tmp_path / "text"},
    ):
        with pytest.raises(Refused, match="RECEIVE_TLS_INVALID"):
            check(replace(good, **changes))


def test_port_in_use_and_foreign_address(out: Path) -> None:
    with receiver(out) as scp, pytest.raises(Failed, match="RECEIVE_PORT_IN_USE"):
        with receiver(out.with_name("other"), port=scp.port):
            pass
    for address in ("192.0.2.1", "no such host"):
        with pytest.raises(Refused, match="RECEIVE_ADDRESS_INVALID"), receiver(out, bind=address):
            pass


def test_command_line_refuses_in_one_line(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with receiver(out.with_name("other")) as scp:
        command = ["receive", "--out", str(out), "--bind", "127.0.0.1", "--port", str(scp.port)]
        for aet, code, line in (
            ("PLAQUE", 1, "RECEIVE_PORT_IN_USE: "),
            ("A\\B", 2, "RECEIVE_AET_INVALID: "),
            ("PLAQUE", 1, "RECEIVE_PORT_IN_USE: "),  # and not STORE_IN_USE: nothing is left open
        ):
            assert main([*command, "--aet", aet]) == code
            told = capsys.readouterr().err
            assert told.startswith(line)
            assert told.count("\n") == 1
    assert main(["watch", str(out), "--out", str(out), "--port", "0"]) == 2
    assert capsys.readouterr().err.startswith("RECEIVE_OPTION_MISSING: ")
