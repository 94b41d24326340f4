"""What a site asks of the receiver, checked before anything is opened."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from plaque_edge.errors import Refused

if TYPE_CHECKING:
    from plaque_edge.config import ReceiveOptions

MAX_AET = 16


def check(options: ReceiveOptions) -> ssl.SSLContext | None:
    """Return the TLS context, if one is asked for. Raises ``Refused`` RECEIVE_*_INVALID."""
    if not 0 <= options.port <= 65535:
        raise Refused(
            "RECEIVE_PORT_INVALID",
            f"{options.port} is not a port.",
            "Give one from 1 to 65535; DICOM's own are 104 and 11112.",
        )
    for title in (options.aet, *options.allow):
        _check_aet(title)
    for name, value in (
        ("size of an object", options.max_object_bytes),
        ("number of associations", options.max_associations),
        ("idle time", options.idle_s),
        ("rate", 1 if options.max_bytes_per_s is None else options.max_bytes_per_s),
        ("connections a minute", 1 if options.max_per_minute is None else options.max_per_minute),
    ):
        if not value > 0:
            raise Refused(
                "RECEIVE_LIMIT_INVALID", f"The {name} must be above 0.", "Give a larger one."
            )
    return _tls(options)


def _check_aet(title: str) -> None:
    """Allow 1 to 16 printable ASCII characters, no backslash, no spaces around them."""
    good = 1 <= len(title) <= MAX_AET and title.isascii() and title.isprintable()
    if not good or "\\" in title or title != title.strip():
        raise Refused(
            "RECEIVE_AET_INVALID",
            f"{title!r} is not an AE title.",
            "Use 1 to 16 letters, digits, '_' or '-', as set at the scanner.",
        )


def _tls(options: ReceiveOptions) -> ssl.SSLContext | None:
    if options.tls_cert is None and options.tls_key is None and options.tls_ca is None:
        return None
    if options.tls_cert is None or options.tls_key is None:
        raise _tls_refused("TLS needs a certificate and its key.")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(options.tls_cert, options.tls_key, password=_no_passphrase)
    except (OSError, ValueError) as error:
        raise _tls_refused(f"Certificate and key cannot be used ({_words(error)}).") from error
    if options.tls_ca is not None:
        try:
            context.load_verify_locations(options.tls_ca)
        except (OSError, ValueError) as error:
            raise _tls_refused(f"The CA file cannot be used ({_words(error)}).") from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _no_passphrase() -> str:
    """Say so in place of asking: a service has nobody to ask."""
    raise ValueError("the key is locked with a passphrase")


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not PEM").replace("_", " ").lower()
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error)


def _tls_refused(text: str) -> Refused:
    return Refused(
        "RECEIVE_TLS_INVALID", text, "Give --tls-cert and --tls-key (and --tls-ca) as PEM files."
    )
