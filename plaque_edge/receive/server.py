"""The application entity: who may send, what is taken, and what the sender is told.

Success is told only after the object lies whole and flushed in the incoming folder. What is
logged names senders (AE titles) and hashes of UIDs, nothing of a patient.
"""

from __future__ import annotations

import errno
import logging
import socket
import threading
import time
import warnings
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pynetdicom import _config, evt
from pynetdicom.pdu_primitives import A_RELEASE

from plaque_edge.arrivals import Arrivals
from plaque_edge.errors import Failed, Refused
from plaque_edge.private import short_hash
from plaque_edge.receive.connections import Server
from plaque_edge.receive.landing import Landing
from plaque_edge.receive.options import check
from plaque_edge.receive.stream import Incoming, Intake
from plaque_edge.receive.verdict import (
    CANNOT_UNDERSTAND,
    OUT_OF_RESOURCES,
    SUCCESS,
    Answer,
    Turned,
    answer_of,
    checked,
    disk,
    troubled,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from plaque_edge.config import ReceiveOptions

_CLOSE_S = 5.0
_config.LOG_HANDLER_LEVEL = "none"
# pynetdicom quotes what it receives, also in its errors.
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)


@dataclass(slots=True)
class _Tally:
    """What one association brought."""

    sender: str
    since: float = field(default_factory=time.monotonic)
    counts: Counter[str] = field(default_factory=Counter)


class Receiver:
    """Listens from the moment it is made until :meth:`close`.

    ``ended`` is called whenever an association has. Raises ``Refused`` RECEIVE_*_INVALID,
    ``Failed`` RECEIVE_PORT_IN_USE, RECEIVE_PORT_DENIED, RECEIVE_FOLDER.
    """

    def __init__(
        self,
        options: ReceiveOptions,
        out_dir: Path,
        say: Callable[[str], None],
        ended: Callable[[], object] = lambda: None,
    ) -> None:
        tls = check(options)
        # What is parsed in several threads can't be hushed for a moment in each of them.
        warnings.filterwarnings("ignore", module=r"(pydicom|pynetdicom)\b")
        self.options, self.say, self.arrivals = options, say, Arrivals()
        self._ended = ended
        self._landing = _land(out_dir, options)
        self.incoming = self._landing.incoming
        self._closing = False
        self._busy = 0
        self._idle = threading.Condition()
        self._tallies: dict[int, _Tally] = {}
        self._server = self._listen()
        self._server.tls, self._server.say, self._server.landing = tls, say, self._landing
        self._server.gone = self._gone
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="receiver", daemon=True
        )
        self._thread.start()
        self._greet(tls is not None)

    @property
    def port(self) -> int:
        """The port it listens on; chosen by the system when 0 was asked for."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop: no new association, the object in hand is finished, the rest is aborted."""
        if self._closing:
            return
        self._closing = True
        self._server.shutdown()
        with self._idle:
            self._idle.wait_for(lambda: self._busy == 0, timeout=_CLOSE_S)
        left = self._server.active_associations
        enders = [threading.Thread(target=a.abort, daemon=True) for a in left]
        for ender in enders:
            ender.start()
        _join(enders, 1.0)
        for association in left:
            transport = association.dul.socket
            if transport is not None and transport.socket is not None:
                with suppress(OSError):  # wakes a thread that waits for the rest of a PDU
                    transport.socket.shutdown(socket.SHUT_RDWR)
        _join(enders, 2.0)
        for association in left:
            self._drop(association)

    # ---- associations -----------------------------------------------------------------------

    def _listen(self) -> Server:
        handlers: list[Any] = [
            (evt.EVT_ACCEPTED, self._accepted),
            (evt.EVT_REJECTED, self._rejected),
            (evt.EVT_ACSE_RECV, self._acse),
            (evt.EVT_C_STORE, self._store),
        ]
        try:
            return Server(self.options, handlers)
        except (OSError, ValueError) as error:
            raise _not_listening(self.options, error) from error

    def _greet(self, encrypted: bool) -> None:
        how = "with TLS" if encrypted else "without TLS"
        self.say(f"receiver: {self.options.aet} listens on port {self.port} {how}")
        if not self.options.allow:
            self.say("receiver: any AE title may send; name yours with --allow")

    def _accepted(self, event: evt.Event) -> None:
        sender = shown(event.assoc.requestor.ae_title)
        self._tallies[id(event.assoc)] = _Tally(sender)
        self.arrivals.opened(id(event.assoc), sender)

    def _rejected(self, event: evt.Event) -> None:
        sender = event.assoc.requestor.ae_title
        called = getattr(event.assoc.requestor.primitive, "called_ae_title", "")
        if self.options.allow and sender not in self.options.allow:
            code = f"RECEIVE_AET_REFUSED: {shown(sender)} is not among those that may send"
        elif called != self.options.aet:
            code = f"RECEIVE_AET_REFUSED: {shown(sender)} calls {shown(called)}, not this receiver"
        else:
            code = f"RECEIVE_BUSY: {shown(sender)} was turned away, too many associations"
        self.say(code)

    def _acse(self, event: evt.Event) -> None:
        """Note that the sender wants to end in good order, before it is answered."""
        if isinstance(event.primitive, A_RELEASE):  # type: ignore[attr-defined]
            intake = event.assoc.dimse
            self._end(event.assoc, in_order=isinstance(intake, Intake) and intake.empty)

    def _gone(self, association: Any) -> None:
        self._drop(association)
        self._end(association, in_order=False)

    def _end(self, association: Any, *, in_order: bool) -> None:
        self.arrivals.closed(id(association), in_order=in_order)
        tally = self._tallies.pop(id(association), None)
        if tally is None:
            return
        if tally.counts or not in_order:
            how = "ended" if in_order else "was ABORTED"
            what = ", ".join(f"{n} {name}" for name, n in sorted(tally.counts.items()))
            seconds = time.monotonic() - tally.since
            self.say(f"receiver: {tally.sender} {how}: {what or 'nothing'} in {seconds:.1f} s")
        self._ended()

    @staticmethod
    def _drop(association: Any) -> None:
        if isinstance(association.dimse, Intake):
            association.dimse.drop_all()

    # ---- objects ----------------------------------------------------------------------------

    def _store(self, event: evt.Event) -> Answer:
        """Answer one C-STORE."""
        with self._idle:
            self._busy += 1
        tally = self._tallies.get(id(event.assoc)) or _Tally("?")
        try:
            tally.counts[self._take(event)] += 1
            return answer_of(SUCCESS)
        except Turned as turned:
            tally.counts["refused"] += 1
            uid = short_hash(str(event.request.AffectedSOPInstanceUID))  # type: ignore[union-attr]
            self.say(f"{turned.code}: object {uid} of {tally.sender}: {turned.words}")
            return answer_of(turned.status, turned.code)
        except Exception as error:  # the sender must get an answer whatever happens
            tally.counts["refused"] += 1
            self.say(f"RECEIVE_FAILED: an object of {tally.sender}: {type(error).__name__}")
            return answer_of(CANNOT_UNDERSTAND, "RECEIVE_FAILED")
        finally:
            with self._idle:
                self._busy -= 1
                self._idle.notify_all()

    def _take(self, event: evt.Event) -> str:
        """Bring one object to its place and say whether it is new. Raises :class:`Turned`."""
        incoming = event.request.DataSet  # type: ignore[union-attr]
        assert isinstance(incoming, Incoming)
        if self._closing:
            incoming.drop()
            raise Turned(OUT_OF_RESOURCES, "RECEIVE_STOPPING", "the receiver is being stopped")
        part = incoming.finish()
        if part is None:
            raise troubled(incoming)
        request = event.request
        announced = str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID)  # type: ignore[union-attr]
        try:
            header = checked(part, announced, str(event.context.abstract_syntax))
            outcome = self._landing.land(part, header)
        except OSError as error:
            raise disk(error.strerror or type(error).__name__) from error
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
        uids = header.info.study_instance_uid, header.info.series_instance_uid
        self.arrivals.stored(id(event.assoc), uids, max(1, len(header.frames)))
        return outcome


def _land(out_dir: Path, options: ReceiveOptions) -> Landing:
    try:
        return Landing(out_dir, options.min_free_bytes)
    except OSError as error:
        raise Failed(
            "RECEIVE_FOLDER",
            f"The incoming folder cannot be made ({error.strerror or type(error).__name__}).",
            "Check the access rights and the free space of the output folder.",
        ) from error


def _not_listening(options: ReceiveOptions, error: Exception) -> Failed | Refused:
    if isinstance(error, PermissionError):
        text = f"This account may not listen on port {options.port}."
        return Failed("RECEIVE_PORT_DENIED", text, "Use a port above 1023, such as 11112.")
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, (socket.gaierror, ValueError)) or number == errno.EADDRNOTAVAIL:
        text = f"{options.bind} is not an address of this computer."
        return Refused("RECEIVE_ADDRESS_INVALID", text, "Leave --bind out to listen on all.")
    text = f"Port {options.port} is in use or not available."
    return Failed("RECEIVE_PORT_IN_USE", text, "Stop the other program, or choose another --port.")


def _join(threads: Sequence[threading.Thread], seconds: float) -> None:
    until = time.monotonic() + seconds
    for thread in threads:
        thread.join(timeout=max(0.0, until - time.monotonic()))


def shown(aet: object) -> str:
    """Return a peer's AE title fit for a log line."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in str(aet))[:16] or "?"
