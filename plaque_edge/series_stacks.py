"""One series by its UIDs becomes the stacks that lie in it: copies out, phases apart."""

from __future__ import annotations

import hashlib
import itertools
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from plaque_edge.dicom_pixels import can_decode
from plaque_edge.dicom_read import CT_CLASSES, Header
from plaque_edge.series_geometry import SAME_POSITION_MM, Slice, examine
from plaque_edge.types import Reason, RejectedSeries, SeriesFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from plaque_edge.dicom_values import FrameGeometry

MIN_SLICES = 3
"""Fewer slices aren't a volume; whether a volume covers a heart is asked later."""
_NEXT_EXPORT = "Export the whole series again."
_NEXT_CTA = "Export the axial reconstruction of the coronary CTA."
_PROJECTIONS = frozenset(
    "MIP MINIP MAX_IP MIN_IP MPR CPR VRT VR SSD REFORMATTED REFORMAT CURVED PERFUSION RENDERED "
    "PROJECTION SUBTRACTION VOLUME_RENDER VIRTUAL_NC IODINE".split()
) | {"PROJECTION IMAGE", "AVERAGE", "CSA MPR", "CSA PARALLEL", "3D"}
_SCREENS = frozenset({"SCREEN SAVE", "CSA BLACK IMAGE", "CSA RESULT", "REPORT", "OTHER"})


@dataclass(frozen=True, slots=True)
class Plane:
    """One slice: a file and the frame in it."""

    header: Header
    index: int

    @property
    def frame(self) -> FrameGeometry:
        """Return the geometry of this slice."""
        return self.header.frames[self.index]


@dataclass(slots=True)
class Built:
    """What one series came to; ``places`` says under which code each of its files ended."""

    candidates: list[SeriesFiles] = field(default_factory=list)
    rejected: list[RejectedSeries] = field(default_factory=list)
    places: dict[Path, str] = field(default_factory=dict)

    def reject(self, headers: Sequence[Header], reasons: Sequence[Reason]) -> None:
        """Reject some files of the series as one rejected series."""
        info = headers[0].info
        self.rejected.append(RejectedSeries(info, reasons[0], len(headers), tuple(reasons[1:])))
        for header in headers:
            self.places.setdefault(header.path, reasons[0].code)

    def accept(self, series: SeriesFiles) -> None:
        """Take a stack as a candidate; a file it shares with a rejected one counts here."""
        self.candidates.append(series)
        self.places.update(dict.fromkeys(series.files, "CANDIDATE"))

    def drop_copy(self, header: Header) -> None:
        """Leave out a file whose image is there already."""
        self.places.setdefault(header.path, "SERIES_SLICE_COPY")


def build_series(headers: Sequence[Header]) -> Built:
    """Turn the files of one (study, series) pair into candidates and rejected stacks."""
    built = Built()
    ordered = sorted(headers, key=lambda h: str(h.path))
    people = len({h.patient for h in ordered})
    if people > 1:
        text = f"One series holds images of {people} different patients."
        built.reject(ordered, [Reason("PATIENTS_MIXED", text, "Export each patient separately.")])
        return built
    if not (ordered[0].info.study_instance_uid and ordered[0].info.series_instance_uid):
        text = "The images carry no study or series UID, so they can't be told apart."
        built.reject(ordered, [Reason("UID_MISSING", text, _NEXT_EXPORT)])
        return built
    unfit: dict[str, list[Header]] = defaultdict(list)
    reasons: dict[str, Reason] = {}
    fit: list[Header] = []
    for header in _without_copies(ordered, built):
        reason = _kind_reason(header)
        if reason is None:
            fit.append(header)
        else:
            unfit[reason.code].append(header)
            reasons.setdefault(reason.code, reason)
    for code, group in unfit.items():
        built.reject(group, [reasons[code]])
    _add_stacks(fit, built, reasons.get("PIXELS_TRUNCATED"))
    return built


def _without_copies(headers: Sequence[Header], built: Built) -> list[Header]:
    """Drop files with the same SOP UID and the same pixels; of a cut and a whole one, the cut."""
    kept: list[Header] = []
    by_uid: dict[str, int] = {}
    for header in headers:
        at = by_uid.setdefault(header.sop_uid, len(kept)) if header.sop_uid else len(kept)
        if at == len(kept):
            kept.append(header)
        elif kept[at].incomplete and not header.incomplete:
            built.drop_copy(kept[at])
            kept[at] = header
        elif header.incomplete or _same_content(kept[at], header):
            built.drop_copy(header)
        else:
            kept.append(header)
    return kept


def _same_content(first: Header, second: Header) -> bool:
    return first.frames == second.frames and _digest(first) == _digest(second)


def _digest(header: Header) -> bytes:
    """Digest of the pixel data (or the whole file where they can't be found)."""
    with header.path.open("rb") as file:
        if header.pixels.kept == "native":
            file.seek(header.pixels.offset)
            size = header.pixels.frame_bytes * header.pixels.count
            return hashlib.sha256(file.read(size)).digest()
        return hashlib.file_digest(file, "sha256").digest()


def _kind_reason(header: Header) -> Reason | None:
    """Say why one file can't be part of a CT volume, by what kind of object it is."""
    kinds = {k for frame in header.frames for k in frame.image_type} | set(header.info.image_type)
    secondary = header.sop_class.startswith("1.2.840.10008.5.1.4.1.1.7")
    if secondary or kinds & _SCREENS:
        return Reason("SECONDARY_CAPTURE", "It is a screen capture, not a scan.", _NEXT_CTA)
    if header.info.modality != "CT" or header.sop_class not in CT_CLASSES:
        what = header.info.modality or "of no stated modality"
        return Reason("NOT_CT", f"It is not a CT image ({what}).", _NEXT_CTA)
    if header.incomplete and (header.pixels.rows == 0 or _position_reason(header)):
        return _cut_reason(header)
    if kinds & {"LOCALIZER", "SCOUT", "TOPOGRAM"}:
        return Reason("LOCALIZER", "It is a localizer (scout view).", _NEXT_CTA)
    return _pixel_reason(header) or _derived_reason(header, kinds) or _position_reason(header)


def _cut_reason(header: Header) -> Reason:
    text = f"{header.path.name} is cut short: {header.incomplete}"
    if header.frames and header.frames[0].position_mm:
        text += f" (z {header.frames[0].position_mm[2]:.2f} mm)"
    return Reason("PIXELS_TRUNCATED", text + ".", "Wait for the export or export it again.")


def _pixel_reason(header: Header) -> Reason | None:
    pixels = header.pixels
    if pixels.samples != 1 or pixels.photometric != "MONOCHROME2":
        return Reason("COLOUR", "Its pixels are colours, not Hounsfield units.", _NEXT_CTA)
    if pixels.bits_allocated != 16 or pixels.bits_stored <= 8:
        text = f"Its pixels have {pixels.bits_stored} bits, which cannot hold Hounsfield units."
        return Reason("PIXELS_8BIT", text, _NEXT_CTA)
    if pixels.invalid:
        text = f"{header.path.name} describes pixels that can't be: {pixels.invalid}."
        return Reason("PIXELS_INVALID", text, _NEXT_EXPORT)
    if not can_decode(pixels):
        text = f"{header.path.name} has a transfer syntax no maintained decoder reads."
        next_step = "Export the series without compression, or with JPEG-LS, JPEG 2000 or RLE."
        return Reason("SYNTAX_UNSUPPORTED", text, next_step)
    return None


def _derived_reason(header: Header, kinds: set[str]) -> Reason | None:
    if kinds & _PROJECTIONS or any("MIP" in k.split("_") for k in kinds):
        what = ", ".join(sorted(kinds & _PROJECTIONS)) or "MIP"
        return Reason("DERIVED_REFORMAT", f"It is computed from a scan ({what}).", _NEXT_CTA)
    kind = header.info.image_type[:2]
    if kind == ("DERIVED", "SECONDARY") and not header.lossy:
        return Reason("DERIVED_REFORMAT", "It is computed from a scan (secondary).", _NEXT_CTA)
    return None


def _position_reason(header: Header) -> Reason | None:
    if len(header.frames) != header.pixels.count:
        text = f"It describes {len(header.frames)} frames and holds {header.pixels.count}."
        return Reason("POSITION_MISSING", text, _NEXT_CTA)
    if not header.frames:
        return Reason("POSITION_MISSING", "It does not say where its slices lie.", _NEXT_CTA)
    for frame in header.frames:
        if frame.position_mm is None or frame.orientation is None or not _valid(frame.spacing_mm):
            return Reason("POSITION_MISSING", "It does not say where its slices lie.", _NEXT_CTA)
        if not frame.has_rescale:
            text = "It does not say how pixels become Hounsfield units."
            return Reason("RESCALE_MISSING", text, _NEXT_CTA)
    return None


def _valid(spacing: tuple[float, float] | None) -> bool:
    return spacing is not None and min(spacing) > 0.0


def _add_stacks(headers: list[Header], built: Built, cut: Reason | None) -> None:
    """Add every stack; ``cut`` is set when a cut file of the series can't be placed at all."""
    planes = [Plane(h, i) for h in headers for i in range(len(h.frames))]
    for group in _group(planes, _always):
        for stack in _apart(_without_same_pixels(group, built)):
            series, reasons = _stack(stack)
            if cut is not None:
                reasons.append(cut)
            if series is None or reasons:
                built.reject(_files(stack), reasons)
            else:
                built.accept(series)
    _note_copies(built)


def _files(planes: Iterable[Plane]) -> list[Header]:
    return list(dict.fromkeys(p.header for p in planes))


def _apart(group: list[Plane]) -> list[list[Plane]]:
    """Split slices that share positions by the first attribute that sets them all apart.

    Reconstructions of another slice thickness lie between each other as well as on each other.
    """
    thick = _group(group, _by_thickness)
    if len(thick) > 1 and all(len(part) >= MIN_SLICES for part in thick):
        return [stack for part in thick for stack in _apart(part)]
    if not _has_doubles(group):
        return [group]
    for key in (_by_time, _by_acquisition, _by_stack):
        parts = _group(group, key)
        whole = all(len(p) >= MIN_SLICES and not _has_doubles(p) for p in parts)
        if len(parts) > 1 and whole:
            return parts
    return [group]


def _group(planes: list[Plane], key: Callable[[Plane], object]) -> list[list[Plane]]:
    groups: dict[object, list[Plane]] = defaultdict(list)
    for plane in planes:
        groups[key(plane)].append(plane)
    return [groups[k] for k in sorted(groups, key=repr)]


def _always(plane: Plane) -> object:
    header, frame = plane.header, plane.frame
    orientation = tuple(round(v, 3) + 0.0 for v in frame.orientation or ())
    spacing = tuple(round(v, 4) for v in frame.spacing_mm or ())
    size = header.pixels.rows, header.pixels.columns
    technique = frame.phase_percent, frame.kernel, frame.image_type, header.info.kvp
    return orientation, spacing, size, technique, header.info.frame_of_reference_uid


def _by_thickness(plane: Plane) -> object:
    return plane.header.info.slice_thickness_mm


def _by_time(plane: Plane) -> object:
    return plane.header.time_stamp


def _by_acquisition(plane: Plane) -> object:
    return plane.header.acquisition


def _by_stack(plane: Plane) -> object:
    return plane.frame.stack, plane.header.info.series_description


def _has_doubles(planes: list[Plane]) -> bool:
    z = sorted(p.frame.position_mm[2] for p in planes if p.frame.position_mm)
    return any(b - a <= SAME_POSITION_MM for a, b in itertools.pairwise(z))


def _without_same_pixels(group: list[Plane], built: Built) -> list[Plane]:
    """Drop slices at one position with identical pixels under another SOP UID."""
    if not _has_doubles(group) or any(len(p.header.frames) > 1 for p in group):
        return group
    kept: list[Plane] = []
    by_place: dict[object, list[Plane]] = defaultdict(list)
    for plane in group:
        by_place[tuple(round(v, 2) for v in plane.frame.position_mm or ())].append(plane)
    for same in by_place.values():
        seen: set[bytes] = set()
        for plane in same:
            digest = _digest(plane.header) if len(same) > 1 else b""
            if digest in seen:
                built.drop_copy(plane.header)
            else:
                kept.append(plane)
            seen.add(digest)
    return kept


def _stack(planes: list[Plane]) -> tuple[SeriesFiles | None, list[Reason]]:
    """Return one geometric stack as a candidate, or why it isn't one."""
    if len(planes) < MIN_SLICES:
        count = f"{len(planes)} slice{'s' if len(planes) > 1 else ''}"
        reason = Reason("TOO_FEW_SLICES", f"It has only {count}.", _NEXT_CTA)
        return None, [reason]
    slices = [
        Slice(_name(p), p.frame.position_mm or (0.0, 0.0, 0.0), p.frame.orientation or ())
        for p in planes
    ]
    tilt = max(abs(p.header.tilt_deg) for p in planes)
    stack = examine(slices, tilt)
    cut = [_cut_reason(p.header) for p in planes if p.header.incomplete]
    if stack.reasons or cut:
        return None, [*cut[:1], *stack.reasons]
    ordered = [planes[i] for i in stack.order]
    first = ordered[0]
    files = _files(ordered)
    rows_mm, columns_mm = first.frame.spacing_mm or (0.0, 0.0)
    multi = any(len(h.frames) > 1 for h in files)
    place = {h: i for i, h in enumerate(files)}
    info = replace(
        first.header.info,
        phase_percent=first.frame.phase_percent,
        kernel=first.frame.kernel,
        image_type=first.frame.image_type,
    )
    series = SeriesFiles(
        info=info,
        files=tuple(h.path for h in files),
        shape_zyx=(len(ordered), first.header.pixels.rows, first.header.pixels.columns),
        spacing_zyx_mm=(stack.step_mm, rows_mm, columns_mm),
        sop_instance_uids=tuple(h.sop_uid for h in files),
        frames=tuple((place[p.header], p.index) for p in ordered) if multi else (),
        notes=_notes(files),
    )
    return series, []


def _name(plane: Plane) -> str:
    name = plane.header.path.name
    return f"{name} frame {plane.index + 1}" if len(plane.header.frames) > 1 else name


def _notes(files: list[Header]) -> tuple[Reason, ...]:
    notes = []
    if any(h.lossy for h in files):
        text = "The images were compressed with loss."
        notes.append(Reason("LOSSY_COMPRESSION", text, "Export without loss where possible."))
    expected = files[0].expected
    if expected is not None and expected > len(files):
        text = f"The header announces {expected} images; {len(files)} are in this stack."
        notes.append(Reason("SERIES_COUNT_DIFFERS", text, "Check that the export is complete."))
    if files[0].info.image_type[:1] == ("DERIVED",):
        text = "The header calls the images derived."
        notes.append(Reason("IMAGE_DERIVED", text, "Prefer the original reconstruction."))
    return tuple(notes)


def _note_copies(built: Built) -> None:
    copies = sum(code == "SERIES_SLICE_COPY" for code in built.places.values())
    if copies:
        text = f"{copies} file{'s are copies' if copies > 1 else ' is a copy'} of another image "
        text += "and left out."
        note = Reason("SERIES_SLICE_COPY", text, "Nothing to do.")
        built.candidates = [replace(c, notes=(*c.notes, note)) for c in built.candidates]
