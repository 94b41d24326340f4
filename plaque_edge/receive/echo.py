"""Ask another DICOM program whether it answers: C-ECHO, within seconds, told in plain words."""

from __future__ import annotations

import socket
from contextlib import suppress

from pynetdicom import AE

from plaque_edge.errors import Failed

CONNECT_S, ANSWER_S = 5.0, 5.0
"""Whoever does not answer a shake of hands in this time will not take a result either."""
VERIFICATION = "1.2.840.10008.1.1"
_ADDRESS_STEP = "Check address and port, that the other program runs, and the firewalls between."


def echo(host: str, port: int, aet: str, own_aet: str) -> None:
    """Send one C-ECHO from ``own_aet`` to ``aet``; returns when it was answered with success.

    Raises ``Failed`` DESTINATION_UNREACHABLE (nobody listens there), DESTINATION_REFUSED (the
    association was rejected: mostly an AE title it does not know) or DESTINATION_NO_ANSWER.
    """
    try:
        with socket.create_connection((host, port), timeout=CONNECT_S):
            pass
    except OSError as error:
        why = "no answer in time" if isinstance(error, TimeoutError) else error.strerror
        text = f"{host}, port {port} can't be reached ({why or type(error).__name__})."
        raise Failed("DESTINATION_UNREACHABLE", text, _ADDRESS_STEP) from error
    caller = AE(ae_title=own_aet)
    caller.connection_timeout, caller.acse_timeout = CONNECT_S, ANSWER_S
    caller.dimse_timeout = caller.network_timeout = ANSWER_S
    caller.add_requested_context(VERIFICATION)
    link = caller.associate(host, port, ae_title=aet)
    if not link.is_established:
        if link.is_rejected:
            text = f"{host} answers, but takes nothing from {own_aet!r} for {aet!r}."
            step = "Enter this console's AE title there, and check the AE title written here."
            raise Failed("DESTINATION_REFUSED", text, step)
        text = f"{host}, port {port} answers, but not as a DICOM program does."
        raise Failed("DESTINATION_NO_ANSWER", text, _ADDRESS_STEP)
    try:
        status = link.send_c_echo()
    finally:
        with suppress(OSError):
            link.release()
    if not status or status.Status != 0:
        text = f"{aet!r} took the connection but did not answer the test."
        raise Failed("DESTINATION_NO_ANSWER", text, "Ask who looks after it whether C-ECHO is on.")
