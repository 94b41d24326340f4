"""What becomes of one received object: the checks it has to pass, and the status if it doesn't."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from pydicom.dataset import Dataset

from plaque_edge.dicom_read import CutHeaderError, NotDicomError, inspect

if TYPE_CHECKING:
    from pathlib import Path

    from plaque_edge.dicom_read import Header
    from plaque_edge.receive.stream import Incoming

Answer: TypeAlias = Dataset
SUCCESS: Final = 0x0000
OUT_OF_RESOURCES: Final = 0xA700
MISMATCH: Final = 0xA900
CANNOT_UNDERSTAND: Final = 0xC000


class Turned(Exception):
    """An object that is not kept: the status for its sender, the code and words for the log."""

    def __init__(self, status: int, code: str, words: str) -> None:
        super().__init__(code)
        self.status, self.code, self.words = status, code, words


def troubled(incoming: Incoming) -> Turned:
    """Return why an object did not become a file."""
    trouble = incoming.trouble
    if trouble is None:
        return Turned(CANNOT_UNDERSTAND, "RECEIVE_MALFORMED", "it has no data set")
    if trouble.too_large:
        return Turned(OUT_OF_RESOURCES, "RECEIVE_TOO_LARGE", trouble.words)
    return disk(trouble.words)


def disk(words: str) -> Turned:
    """Return the refusal for what the disk did not take."""
    return Turned(OUT_OF_RESOURCES, "RECEIVE_DISK", f"it cannot be kept ({words})")


def checked(part: Path, announced: tuple[str, str], negotiated: str) -> Header:
    """Read the object's header; raises :class:`Turned`.

    ``announced`` are the SOP class and instance UID of the command, ``negotiated`` the class
    that was agreed upon.
    """
    try:
        header = inspect(part)
    except (CutHeaderError, NotDicomError) as error:
        raise _malformed("its header cannot be read") from error
    except OSError:
        raise  # the disk, not the object
    except Exception as error:  # the library raises many kinds on odd bytes
        raise _malformed(f"its header cannot be read ({type(error).__name__})") from error
    if header.incomplete:
        raise _malformed(header.incomplete)
    info = header.info
    if not (info.study_instance_uid and info.series_instance_uid and header.sop_uid):
        raise _malformed("it lacks study, series or instance UID")
    if (header.sop_class, header.sop_uid) != announced or header.sop_class != negotiated:
        words = "its data set is of another class or instance than announced"
        raise Turned(MISMATCH, "RECEIVE_MISMATCH", words)
    return header


def _malformed(words: str) -> Turned:
    return Turned(CANNOT_UNDERSTAND, "RECEIVE_MALFORMED", words)


def answer_of(status: int, comment: str = "") -> Answer:
    """Return the answer to a C-STORE."""
    answer = Answer()
    answer.Status = status
    if comment:
        answer.ErrorComment = comment
    return answer
