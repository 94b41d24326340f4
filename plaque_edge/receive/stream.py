"""One object on its way from the network to the disk; memory holds a block of it at most."""

from __future__ import annotations

import struct
import threading
from dataclasses import dataclass
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

from pynetdicom import PYNETDICOM_IMPLEMENTATION_UID
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import C_STORE_RQ, DIMSEMessage

from plaque_edge.receive.landing import Landing, flush

if TYPE_CHECKING:
    from pathlib import Path

    from pynetdicom.association import Association
    from pynetdicom.pdu_primitives import P_DATA

MAX_COMMAND_BYTES = 1 << 16
"""A C-STORE command has some 300 bytes."""
_INVALID_PDU = "Evt19"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why an object can't be kept: ``too_large`` or what the disk said."""

    too_large: bool
    words: str


class Incoming(BytesIO):
    """Stands in for the buffer in which pynetdicom collects a data set; writes a DICOM file.

    Trouble is noted, not raised: the rest of the object is taken and dropped, so that the
    sender gets a status it understands instead of a broken connection.
    """

    def __init__(
        self, message: DIMSEMessage, association: Association, landing: Landing, limit: int
    ) -> None:
        super().__init__()
        self.trouble: Trouble | None = None
        self.path: Path | None = None
        self._message, self._association = message, association
        self._landing, self._left = landing, limit
        self._file: IO[bytes] | None = None
        self._lock = threading.Lock()
        self._dropped = False

    def write(self, data: Any) -> int:
        """Take the next fragment."""
        with self._lock:
            self._left -= len(data)
            if self._left < 0 and self.trouble is None:
                self.trouble = Trouble(True, "larger than this receiver takes")
                self._remove()
            if self.trouble is None and not self._dropped:
                try:
                    self._put(data)
                except OSError as error:
                    self.trouble = Trouble(False, error.strerror or type(error).__name__)
                    self._remove()
        return len(data)

    def finish(self) -> Path | None:
        """Flush to the disk and hand the file over; ``None`` when there is trouble or no data."""
        with self._lock:
            if self._file is None or self._dropped:
                return None
            try:
                flush(self._file)
                self._file.close()
            except OSError as error:
                self.trouble = Trouble(False, error.strerror or type(error).__name__)
                self._remove()
                return None
            path, self.path = self.path, None
            return path

    def drop(self) -> None:
        """Remove what is left of it; a file that was handed over stays."""
        with self._lock:
            self._dropped = True
            self._remove()

    def _put(self, data: bytes) -> None:
        if not isinstance(self._message, C_STORE_RQ):
            return  # some other request, whose data nobody wants
        if self._file is None:
            self.path, self._file = self._landing.begin()
            self._file.write(file_head(self._message, self._association))
        self._file.write(data)

    def _remove(self) -> None:
        if self._file is not None:
            try:
                self._file.close()
            except OSError:
                pass  # what it could not write is removed just now
            self._file = None
        if self.path is not None:
            self.path.unlink(missing_ok=True)
            self.path = None


class Intake(DIMSEServiceProvider):
    """pynetdicom's collector of messages, with data sets on disk and bounds on everything."""

    def __init__(self, association: Association, landing: Landing, limit: int) -> None:
        super().__init__(association)
        self._landing, self._limit = landing, limit
        self._objects: list[Incoming] = []

    @property
    def empty(self) -> bool:
        """Whether no message is half-received or waits to be answered."""
        return self.message is None and self.msg_queue.empty()

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take the next piece of a message; end the association when it breaks the bounds."""
        if self.message is None:
            self.message = DIMSEMessage()
            made = Incoming(self.message, self.assoc, self._landing, self._limit)
            self.message.data_set = made
            self._objects = [o for o in self._objects if o.path is not None] + [made]
        command = self.message.encoded_command_set
        try:
            super().receive_primitive(primitive)
        except Exception:
            # Not a message at all. Left to itself, the library would not even close the socket.
            self.dul.event_queue.put(_INVALID_PDU)
            return
        # A sender waits for its answer; one that doesn't, or whose command never ends, could
        # fill memory or disk. Two may meet for a moment: the answer to the first is on its way.
        if command.tell() > MAX_COMMAND_BYTES or self.msg_queue.qsize() > 2:
            self.dul.event_queue.put(_INVALID_PDU)

    def drop_all(self) -> None:
        """Remove everything that was not received whole."""
        for item in self._objects:
            item.drop()


def file_head(message: DIMSEMessage, association: Association) -> bytes:
    """Return preamble and meta group of the file, from the command and the association.

    Written by hand, since a library would validate UIDs and warn with their values.
    """
    command = message.command_set
    syntax = ""
    for context in association.accepted_contexts:
        if context.context_id == message.context_id:
            syntax = str(context.transfer_syntax[0])
    elements = b"".join(
        [
            struct.pack("<HH2sHI", 2, 1, b"OB", 0, 2) + b"\x00\x01",
            _element(0x0002, b"UI", str(command.AffectedSOPClassUID)),
            _element(0x0003, b"UI", str(command.AffectedSOPInstanceUID)),
            _element(0x0010, b"UI", syntax),
            _element(0x0012, b"UI", str(PYNETDICOM_IMPLEMENTATION_UID)),
            _element(0x0013, b"SH", "PLAQUE_EDGE"),
            _element(0x0016, b"AE", association.requestor.ae_title),
            _element(0x0018, b"AE", association.acceptor.ae_title),
        ]
    )
    length = struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(elements))
    return bytes(128) + b"DICM" + length + elements


def _element(number: int, kind: bytes, text: str) -> bytes:
    value = text.encode("ascii", "replace")
    if len(value) % 2:
        value += b"\x00" if kind == b"UI" else b" "
    return struct.pack("<HH2sH", 2, number, kind, len(value)) + value
