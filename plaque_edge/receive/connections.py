"""Sockets of the receiver: bounded, timed, and encrypted where a site wants it.

pynetdicom shakes hands inside its accept loop, waits for ever within a PDU, believes any length
a PDU claims, and some bytes end its threads with a traceback and an open socket: one silent or
hostile peer would stop it for all. Here each connection has its own thread from the first byte
to the last, a deadline per PDU and a limit to its length.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

from pynetdicom import AE
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from plaque_edge.dicom_pixels import readable_syntaxes
from plaque_edge.receive.pace import Gate, Pace
from plaque_edge.receive.stream import Intake

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from pynetdicom.association import Association

    from plaque_edge.config import ReceiveOptions
    from plaque_edge.receive.landing import Landing

VERIFICATION: Final = "1.2.840.10008.1.1"
IMAGES: Final = (
    "1.2.840.10008.5.1.4.1.1.2",  # CT; localizers are of this class too
    "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT
    "1.2.840.10008.5.1.4.1.1.2.2",  # Legacy Converted Enhanced CT
    "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture, then its multi-frame kinds
    "1.2.840.10008.5.1.4.1.1.7.1",
    "1.2.840.10008.5.1.4.1.1.7.2",
    "1.2.840.10008.5.1.4.1.1.7.3",
    "1.2.840.10008.5.1.4.1.1.7.4",
)
"""What comes along with a coronary CTA. Other classes are refused when the association starts."""

EVERY_ADDRESS: Final = "0.0.0.0"
MAX_PDU_BYTES = 128 << 10
"""What is offered to senders; larger is faster, and dcmtk goes no further."""
_MAX_CLAIM_BYTES = 1 << 20
"""The longest an association request can sensibly be; nothing else is longer."""
_HANDSHAKE_S = 10.0
_SPARE_CONNECTIONS = 8
"""Beyond the associations: those are told that there are too many, more are just closed."""


class Server(ThreadedAssociationServer):
    """Listens. Its attributes are set before it serves. Raises ``OSError``.

    ``gone`` is called with every association that is over, however it ended.
    """

    daemon_threads = True
    allow_reuse_port = False
    landing: Landing
    tls: ssl.SSLContext | None
    say: Callable[[str], None]
    gone: Callable[[Association], None]

    def __init__(self, options: ReceiveOptions, handlers: list[Any]) -> None:
        self.options = options
        self._count = 0
        self._count_lock = threading.Lock()
        self.pace, self._gate = Pace(options.max_bytes_per_s), Gate(options.max_per_minute)
        entity = _entity(options)
        address = options.bind or EVERY_ADDRESS, options.port
        contexts = entity.supported_contexts
        super().__init__(entity, address, options.aet, contexts, None, handlers, Connection)
        entity._servers.append(self)  # where its associations are counted

    def server_bind(self) -> None:
        """Take the address; on Windows alone, where "reuse" would let two programs share it."""
        assert self.socket is not None
        if os.name == "nt":
            option = socket.SO_EXCLUSIVEADDRUSE  # type: ignore[attr-defined,unused-ignore]
        else:
            option = socket.SO_REUSEADDR
        self.socket.setsockopt(socket.SOL_SOCKET, option, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Close a connection at once when there are far too many, now or in this minute."""
        if not self._gate.lets_in(str(client_address[0])):
            self.say("RECEIVE_BUSY: a connection was closed, too many within a minute")
            return False
        with self._count_lock:
            return self._count < self.options.max_associations + _SPARE_CONNECTIONS

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Shake hands, then see the association through; in a thread of this connection."""
        with self._count_lock:
            self._count += 1
        try:
            if self.tls is not None:
                request.settimeout(min(self.options.idle_s, _HANDSHAKE_S))
                request = self.tls.wrap_socket(request, server_side=True)
            request.settimeout(self.options.idle_s)
            super().process_request_thread(request, client_address)
        except (OSError, ValueError) as error:
            self.say(f"RECEIVE_TLS_REFUSED: a connection's handshake failed ({_short(error)})")
            self.shutdown_request(request)
        finally:
            with self._count_lock:
                self._count -= 1

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: the base class prints a traceback, and the peer is gone."""


class Connection(RequestHandler):
    """Makes the association of one connection, with our bounds in it, and stays to its end."""

    _association: Association | None = None

    def handle(self) -> None:
        """Start the association, wait until it is over, and leave nothing of it behind."""
        super().handle()
        association = self._association
        if association is None:
            return
        association.join()
        association.dul.kill_dul()
        association.dul.join(timeout=_HANDSHAKE_S)
        with suppress(OSError):
            cast("socket.socket", self.request).close()
        cast("Server", self.server).gone(association)

    def _guarded(self, run: Callable[[], None]) -> Callable[[], None]:
        """Return what a thread runs, with a line in place of a traceback."""

        def guarded() -> None:
            try:
                run()
            except Exception as error:
                name = type(error).__name__
                cast("Server", self.server).say(f"RECEIVE_PROTOCOL: a connection broke off: {name}")

        return guarded

    def _create_association(self) -> Association:
        association = super()._create_association()
        server = cast("Server", self.server)
        options = server.options
        association.dimse = Intake(association, server.landing, options.max_object_bytes)
        transport: Any = association.dul.socket
        request = cast("socket.socket", self.request)
        transport.recv = bounded_reader(request, options.idle_s, server.pace)
        for thread in (association, association.dul):
            thread.run = self._guarded(thread.run)  # type: ignore[method-assign]
        self._association = association
        return association


def _entity(options: ReceiveOptions) -> AE:
    entity = AE(options.aet)
    entity.require_called_aet = True
    entity.require_calling_aet = list(options.allow)
    entity.maximum_associations = options.max_associations
    entity.maximum_pdu_size = MAX_PDU_BYTES
    entity.network_timeout = options.idle_s
    entity.acse_timeout = entity.dimse_timeout = options.idle_s
    entity.add_supported_context(VERIFICATION)
    syntaxes = readable_syntaxes()
    for storage_class in IMAGES:
        entity.add_supported_context(storage_class, syntaxes)
    return entity


def bounded_reader(
    request: socket.socket, seconds: float, pace: Pace
) -> Callable[[int], bytearray]:
    """Return a function that reads so many bytes from the peer in time, or raises ``OSError``."""

    def read(count: int) -> bytearray:
        if count > _MAX_CLAIM_BYTES:
            raise OSError("a PDU claims an absurd length")
        data = bytearray(count)
        got, until = 0, time.monotonic() + seconds
        with memoryview(data) as view:
            while got < count:
                new = request.recv_into(view[got:])
                if not new:
                    break
                got += new
                if got < count and time.monotonic() > until:
                    raise TimeoutError("a PDU took too long")
        pace.wait(got)
        return data[:got] if got < count else data

    return read


def _short(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return str(reason).replace("_", " ").lower() if reason else type(error).__name__
