"""A volume in Hounsfield units as a DICOM series: CT Image Storage or Enhanced CT.

What is written carries every type 1 and type 2 attribute of the CT Image IOD
(DICOM PS3.3 A.3) or of the Enhanced CT Image IOD (A.38), so that it can stand in for a
scanner's export in tests, in the demo and in training. UIDs are made from the series
UID and the slice number: the same input writes the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders.base import get_encoder
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)
from pydicom.valuerep import format_number_as_ds

from plaque_edge.phantom.enhanced import functional_groups

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from plaque_edge.types import SeriesInfo, Volume

Syntax = Literal["explicit", "implicit", "big_endian", "deflated", "rle", "jpeg_ls", "jpeg_2000"]
SYNTAXES: dict[str, UID] = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "big_endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "rle": RLELossless,
    "jpeg_ls": JPEGLSLossless,
    "jpeg_2000": JPEG2000Lossless,
}
"""Transfer syntaxes that can be written; all of them are lossless."""

SOFTWARE = "plaque-edge phantom"
_NAMESPACE = uuid.UUID("6d9bd2a4-58c1-4a0e-9a27-0b6f6c1f7f0e")


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How a series is written. The defaults are what most scanners export.

    ``order`` is the order in which files are made, ``names`` how they are called.
    ``flip_row`` and ``flip_column`` store the image mirrored, with the matching
    ImageOrientationPatient, as prone and feet-first exports do. ``slope`` and
    ``intercept`` give HU = slope x stored + intercept.
    """

    syntax: Syntax = "explicit"
    order: Literal["feet_first", "head_first", "shuffled"] = "head_first"
    names: Literal["scanner", "uid", "random"] = "scanner"
    enhanced: bool = False
    signed: bool = False
    slope: float = 1.0
    intercept: float = -1024.0
    flip_row: bool = False
    flip_column: bool = False
    patient_position: str = "HFS"
    acquisition_number: int = 1
    padding: int | None = None


def write_series(
    volume: Volume, info: SeriesInfo, folder: Path, options: WriteOptions | None = None
) -> list[Path]:
    """Write one series below ``folder`` (made when absent) and return its files in writing order.

    Raises ``FileExistsError`` rather than writing over a file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, data in encode_instances(volume, info, options):
        path = folder / name
        with path.open("xb") as file:
            file.write(data)
        written.append(path)
    return written


def encode_instances(
    volume: Volume, info: SeriesInfo, options: WriteOptions | None = None
) -> Iterator[tuple[str, bytes]]:
    """Yield (file name, bytes) of each DICOM file, made one at a time."""
    how = options or WriteOptions()
    if how.enhanced:
        dataset = _enhanced_dataset(volume, info, how)
        yield (
            _file_name(info, 0, how, dataset.SOPInstanceUID),
            _to_bytes(dataset, _stored_values(volume.hu, how), how),
        )
        return
    dataset = _common(volume, info, how)
    _add_classic(dataset, info, how)
    for index in _writing_order(volume.hu.shape[0], info, how):
        _set_slice(dataset, volume, info, how, index)
        pixels = _stored_values(volume.hu[index : index + 1], how)
        yield _file_name(info, index, how, dataset.SOPInstanceUID), _to_bytes(dataset, pixels, how)


def make_uid(*parts: object) -> str:
    """Return a UID under 2.25 (DICOM PS3.5 B.2), the same for the same parts."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, '|'.join(map(str, parts))).int}"


def _writing_order(count: int, info: SeriesInfo, how: WriteOptions) -> list[int]:
    order = list(range(count))
    if how.order == "head_first":
        order.reverse()
    elif how.order == "shuffled":
        order.sort(key=lambda i: _digest(info.series_instance_uid, "order", i))
    return order


def _digest(*parts: object) -> str:
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()


def _file_name(info: SeriesInfo, index: int, how: WriteOptions, sop_uid: str) -> str:
    if how.names == "uid":
        return f"{sop_uid}.dcm"
    if how.names == "random":
        return _digest(info.series_instance_uid, "name", index)[:16].upper()
    return f"IM-{info.series_number or 1:04d}-{index + 1:04d}.dcm"


def _stored_values(hu: NDArray[np.int16], how: WriteOptions) -> NDArray[Any]:
    """Return stored pixel values of HU, mirrored as the options ask, clipped to range."""
    image = hu[:, :: -1 if how.flip_column else 1, :: -1 if how.flip_row else 1]
    kind: Any = np.int16 if how.signed else np.uint16
    limits = np.iinfo(kind)
    if how.slope == 1.0 and float(how.intercept).is_integer():
        values: NDArray[Any] = image.astype(np.int32) - int(how.intercept)
    else:
        values = np.rint((image.astype(np.float64) - how.intercept) / how.slope)
    stored: NDArray[Any] = np.clip(values, limits.min, limits.max).astype(kind)
    return stored


def _common(volume: Volume, info: SeriesInfo, how: WriteOptions) -> Dataset:
    """Attributes that both IODs share (PS3.3 C.7.1 to C.7.6 and C.12.1)."""
    ds = Dataset()
    ds.SpecificCharacterSet = info.specific_character_set or "ISO_IR 192"
    ds.PatientName = info.patient_name or "Phantom^Synthetic"
    ds.PatientID = info.patient_id or "PHANTOM"
    ds.PatientBirthDate = info.birth_date
    ds.PatientSex = info.sex or ""
    if info.age_years is not None:
        ds.PatientAge = f"{int(info.age_years):03d}Y"
    ds.StudyInstanceUID = info.study_instance_uid
    ds.StudyDate = info.study_date
    ds.StudyTime = info.study_time
    ds.ReferringPhysicianName = ""
    ds.StudyID = "1"
    ds.AccessionNumber = info.accession_number
    ds.StudyDescription = info.study_description or "Synthetic CCTA"
    ds.Modality = info.modality or "CT"
    ds.SeriesInstanceUID = info.series_instance_uid
    ds.SeriesNumber = info.series_number or 1
    ds.SeriesDescription = info.series_description or "Synthetic CCTA, research use only"
    ds.SeriesDate, ds.SeriesTime = info.study_date, info.study_time
    ds.BodyPartExamined = "HEART"
    ds.PatientPosition = how.patient_position
    ds.FrameOfReferenceUID = info.frame_of_reference_uid or make_uid(
        info.study_instance_uid, "frame of reference"
    )
    ds.PositionReferenceIndicator = ""
    ds.Manufacturer = info.manufacturer or SOFTWARE
    ds.ManufacturerModelName = info.scanner_model or SOFTWARE
    ds.DeviceSerialNumber = "0"
    ds.SoftwareVersions = "1"
    ds.ContentDate, ds.ContentTime = info.study_date, info.study_time
    ds.AcquisitionNumber = how.acquisition_number
    ds.AcquisitionDate, ds.AcquisitionTime = info.study_date, info.study_time
    ds.ImageType = list(info.image_type or ("ORIGINAL", "PRIMARY", "AXIAL"))
    ds.BurnedInAnnotation = "NO"
    if info.contrast_agent:
        ds.ContrastBolusAgent = info.contrast_agent
    _add_pixel_module(ds, volume, how)
    return ds


def _add_pixel_module(ds: Dataset, volume: Volume, how: WriteOptions) -> None:
    _, ds.Rows, ds.Columns = volume.shape_zyx
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = int(how.signed)
    if how.padding is not None:
        ds.add_new(0x00280120, "SS" if how.signed else "US", how.padding)


def _add_classic(ds: Dataset, info: SeriesInfo, how: WriteOptions) -> None:
    ds.SOPClassUID = CTImageStorage
    ds.KVP = None if info.kvp is None else _ds(info.kvp)
    if info.kernel:
        ds.ConvolutionKernel = info.kernel
    if info.phase_percent is not None:
        ds.NominalPercentageOfCardiacPhase = float(info.phase_percent)
    ds.GantryDetectorTilt = "0"
    ds.RescaleIntercept, ds.RescaleSlope = _ds(how.intercept), _ds(how.slope)
    ds.RescaleType = "HU"
    ds.WindowCenter, ds.WindowWidth = "300", "800"
    ds.ImageOrientationPatient = list(_orientation(how))


def _set_slice(
    ds: Dataset, volume: Volume, info: SeriesInfo, how: WriteOptions, index: int
) -> None:
    dz, dy, dx = volume.spacing_zyx_mm
    position = _position(volume, how, index)
    ds.SOPInstanceUID = make_uid(info.series_instance_uid, "slice", index)
    ds.InstanceNumber = volume.shape_zyx[0] - index if how.order == "head_first" else index + 1
    ds.ImagePositionPatient = [_ds(v) for v in position]
    ds.SliceLocation = _ds(position[2])
    ds.PixelSpacing = [_ds(dy), _ds(dx)]
    ds.SliceThickness = _ds(dz if info.slice_thickness_mm is None else info.slice_thickness_mm)


def _orientation(how: WriteOptions) -> tuple[float, ...]:
    return (-1.0 if how.flip_row else 1.0, 0, 0, 0, -1.0 if how.flip_column else 1.0, 0)


def _position(volume: Volume, how: WriteOptions, index: int) -> tuple[float, float, float]:
    """(x, y, z) in mm of the first stored voxel of a slice."""
    _, rows, columns = volume.shape_zyx
    corner = (index, rows - 1 if how.flip_column else 0, columns - 1 if how.flip_row else 0)
    z, y, x = volume.to_mm(np.array(corner))
    return float(x), float(y), float(z)


def _ds(value: float) -> str:
    return format_number_as_ds(round(float(value), 6))


def _enhanced_dataset(volume: Volume, info: SeriesInfo, how: WriteOptions) -> Dataset:
    ds = _common(volume, info, how)
    ds.SOPClassUID = EnhancedCTImageStorage
    ds.SOPInstanceUID = make_uid(info.series_instance_uid, "enhanced")
    ds.InstanceNumber = 1
    ds.NumberOfFrames = volume.shape_zyx[0]
    ds.ImageType = [*ds.ImageType[:2], "VOLUME", "NONE"]
    ds.AcquisitionDateTime = (info.study_date or "20260101") + (info.study_time or "120000")
    ds.AcquisitionDuration = 5.0
    ds.ContentQualification = "RESEARCH"
    ds.PixelPresentation = "MONOCHROME"
    ds.VolumetricProperties = "VOLUME"
    ds.VolumeBasedCalculationTechnique = "NONE"
    ds.PresentationLUTShape = "IDENTITY"
    ds.LossyImageCompression = "00"
    ds.AcquisitionContextSequence = Sequence([])
    for keyword in (
        "PixelPaddingValue",
        "AcquisitionDate",
        "AcquisitionTime",
        "ContrastBolusAgent",
    ):
        if keyword in ds:
            delattr(ds, keyword)
    organization = Dataset()
    organization.DimensionOrganizationUID = make_uid(info.series_instance_uid, "dimension")
    index = Dataset()
    index.DimensionOrganizationUID = organization.DimensionOrganizationUID
    index.DimensionIndexPointer = 0x00200032
    index.FunctionalGroupPointer = 0x00209113
    ds.DimensionOrganizationSequence = Sequence([organization])
    ds.DimensionIndexSequence = Sequence([index])
    positions = [_position(volume, how, i) for i in range(volume.shape_zyx[0])]
    functional_groups(ds, info, volume.spacing_zyx_mm, _orientation(how), positions)
    transform = ds.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence[0]
    transform.RescaleIntercept, transform.RescaleSlope = _ds(how.intercept), _ds(how.slope)
    return ds


def _to_bytes(ds: Dataset, pixels: NDArray[Any], how: WriteOptions) -> bytes:
    """Encode the frames ``(n, rows, columns)`` and the dataset as a DICOM Part 10 file."""
    syntax = SYNTAXES[how.syntax]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    ds.file_meta = meta
    if syntax.is_compressed and syntax != DeflatedExplicitVRLittleEndian:
        ds.PixelData = encapsulate([_compress(ds, frame, syntax) for frame in pixels])
        ds["PixelData"].is_undefined_length = True
    else:
        kind = pixels.dtype.newbyteorder("<" if syntax.is_little_endian else ">")
        ds.PixelData = pixels.astype(kind).tobytes()
        ds["PixelData"].is_undefined_length = False
    ds["PixelData"].VR = "OB" if syntax.is_encapsulated else "OW"
    buffer = io.BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def _compress(ds: Dataset, frame: NDArray[Any], syntax: UID) -> bytes:
    return get_encoder(syntax).encode(
        frame,
        rows=int(ds.Rows),
        columns=int(ds.Columns),
        samples_per_pixel=1,
        number_of_frames=1,
        bits_allocated=16,
        bits_stored=16,
        pixel_representation=int(ds.PixelRepresentation),
        photometric_interpretation="MONOCHROME2",
    )
