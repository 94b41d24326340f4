"""One DICOM file's header: read once, checked, remembered while the file stays unchanged.

Only the header is read, but the length of the pixel data is verified against the size of
the file, since a half-copied CT reads without any error. Files are opened read-only.
"""

from __future__ import annotations

import logging
import os
import warnings
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydicom.errors import InvalidDicomError
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless

from plaque_edge.dicom_header import forget_values, read_fields
from plaque_edge.dicom_layout import PixelLayout, locate
from plaque_edge.dicom_values import (
    FrameGeometry,
    frames_of,
    info_of,
    number_or_none,
    text,
)
from plaque_edge.errors import Refused

if TYPE_CHECKING:
    from plaque_edge.types import SeriesInfo

MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
ENHANCED_CT = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")
"""Enhanced CT Image Storage and Legacy Converted Enhanced CT Image Storage."""
CT_CLASSES = ("1.2.840.10008.5.1.4.1.1.2", *ENHANCED_CT)

LOSSY = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless)
"""Transfer syntaxes that always lose something. JPEG 2000 says so in another attribute."""
_UNREADABLE = (
    InvalidDicomError,
    EOFError,
    ValueError,
    KeyError,
    NotImplementedError,
    zlib.error,
)
_REMEMBERED = 20_000
"""Headers kept in memory, some 2 kB each; a day's folder on a busy scanner."""
_RETIRED_START = (b"\x08\x00", b"\x02\x00")
"""First group numbers of a data set that was stored without the 128-byte preamble."""


@dataclass(frozen=True, slots=True, eq=False)
class Header:
    """What this program needs to know of one DICOM file.

    ``patient`` identifies the person for comparison only. ``incomplete`` is the reason why
    the file's pixel data can't be used now (cut short, or none at all), else ``None``.
    ``pixels.invalid`` says what of them can never be.
    """

    path: Path
    size: int
    mtime_ns: int
    info: SeriesInfo
    patient: tuple[str, str, str]
    sop_class: str
    sop_uid: str
    frames: tuple[FrameGeometry, ...]
    pixels: PixelLayout
    acquisition: str
    time_stamp: str
    tilt_deg: float
    expected: int | None
    lossy: bool
    incomplete: str | None


# The library logs the values it finds odd, and warns of them; a value may be a patient's name.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)
warnings.filterwarnings("ignore", module=r"pydicom\b")


class NotDicomError(Exception):
    """The file is not DICOM, or not of a kind that holds images to look at."""


class CutHeaderError(Exception):
    """The file begins as DICOM and ends, or makes no sense, before the header does."""


class InvalidHeaderError(CutHeaderError):
    """The header is damaged, or larger or nested deeper than any real one."""


def read_header(path: Path) -> Header:
    """Read and remember the header of one file.

    Raises :class:`NotDicomError` for anything that is not DICOM or is a DICOMDIR,
    :class:`CutHeaderError` and :class:`InvalidHeaderError` for a header that ends early or is
    beyond all measure, and ``OSError`` for a file that cannot be opened or is gone. A file
    that changes while it is read is reported as incomplete.
    """
    status = path.stat()
    header = _read(os.fspath(path), status.st_size, status.st_mtime_ns)
    after = path.stat()
    if (after.st_size, after.st_mtime_ns) != (status.st_size, status.st_mtime_ns):
        _read.cache_clear()
        return _read(os.fspath(path), after.st_size, after.st_mtime_ns)
    return header


def inspect(path: Path) -> Header:
    """Read a header once, without remembering it: the file is about to get another name.

    Raises as :func:`read_header` does.
    """
    status = path.stat()
    return _read.__wrapped__(os.fspath(path), status.st_size, status.st_mtime_ns)


def forget_headers() -> None:
    """Forget every header; the next reading is from the files."""
    _read.cache_clear()
    forget_values()


def check_unchanged(header: Header) -> None:
    """Raise ``Refused`` FILE_VANISHED or FILE_CHANGED when the file isn't as it was read."""
    name = header.path.name
    try:
        status = header.path.stat()
    except OSError as error:
        raise vanished(name) from error
    if (status.st_size, status.st_mtime_ns) != (header.size, header.mtime_ns):
        raise Refused(
            "FILE_CHANGED",
            f"{name} changed while the series was being read.",
            "Wait until the export has finished, then start again.",
        )


def vanished(name: str) -> Refused:
    """Return the refusal for a file that disappeared while the series was being read."""
    return Refused(
        "FILE_VANISHED",
        f"{name} disappeared or can no longer be read.",
        "Check that the folder is still connected, then start again.",
    )


@lru_cache(maxsize=_REMEMBERED)
def _read(name: str, size: int, mtime_ns: int) -> Header:
    path = Path(name)
    with path.open("rb") as file:
        if path.name.upper() == "DICOMDIR":
            raise NotDicomError(path.name)
        start = file.read(132)
        has_preamble = start[128:] == b"DICM"
        if not has_preamble and start[:2] not in _RETIRED_START:
            raise NotDicomError(path.name)
        file.seek(0)
        try:
            with warnings.catch_warnings():
                # The library's warnings quote values, which may be a patient's.
                warnings.simplefilter("ignore")
                return _parse(path, file, size, mtime_ns, preamble=has_preamble)
        except (NotDicomError, CutHeaderError):
            raise
        except (*_UNREADABLE, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk's; the library's own, for a sequence that is cut, has no number
            # A cut inside the header, or bytes that merely look like DICOM.
            raise (CutHeaderError if has_preamble else NotDicomError)(path.name) from error
        except Exception as error:  # beyond all limits, or what no reader foresees
            raise (InvalidHeaderError if has_preamble else NotDicomError)(path.name) from error


def _parse(path: Path, file: Any, size: int, mtime_ns: int, *, preamble: bool) -> Header:
    ds, origin = read_fields(file, size, preamble=preamble)
    sop_class = text(ds, "SOPClassUID")
    if not sop_class:
        raise (CutHeaderError if preamble else NotDicomError)(path.name)
    if sop_class == MEDIA_DIRECTORY:
        raise NotDicomError(path.name)
    frames = frames_of(ds, enhanced=sop_class in ENHANCED_CT)
    layout, incomplete = locate(ds, origin, size)
    info = info_of(ds, frames)
    if incomplete and not (info.study_instance_uid and info.series_instance_uid):
        # A cut between two elements reads without an error, and would be nobody's image.
        raise CutHeaderError(path.name)
    return Header(
        path=path,
        size=size,
        mtime_ns=mtime_ns,
        info=info,
        patient=_patient_key(ds),
        sop_class=sop_class,
        sop_uid=text(ds, "SOPInstanceUID"),
        frames=frames,
        pixels=layout,
        acquisition=text(ds, "AcquisitionNumber"),
        time_stamp=text(ds, "TemporalPositionIdentifier") or text(ds, "TriggerTime"),
        tilt_deg=number_or_none(ds, "GantryDetectorTilt") or 0.0,
        expected=_expected(ds),
        lossy=text(ds, "LossyImageCompression") == "01" or origin.syntax in LOSSY,
        incomplete=incomplete,
    )


def _patient_key(ds: Any) -> tuple[str, str, str]:
    """ID, name and birth date, without differences of case and padding."""
    name = " ".join(text(ds, "PatientName").upper().replace("^", " ").replace("=", " ").split())
    return text(ds, "PatientID").upper(), name, text(ds, "PatientBirthDate")


def _expected(ds: Any) -> int | None:
    """How many instances the series should have, where the header says so (PS3.3 C.7.3)."""
    count = number_or_none(ds, "NumberOfSeriesRelatedInstances")
    return int(count) if count else None
