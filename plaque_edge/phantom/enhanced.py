"""Functional groups of an Enhanced CT image (DICOM PS3.3 A.38.1.4).

The writer hands over its ``Dataset``, so nothing here imports the DICOM library: a new
item is an instance of the very class of the dataset at hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plaque_edge.types import SeriesInfo


def functional_groups(
    ds: Any,
    info: SeriesInfo,
    spacing_zyx_mm: tuple[float, float, float],
    orientation: tuple[float, ...],
    positions_xyz_mm: list[tuple[float, float, float]],
) -> None:
    """Add the shared and per-frame functional groups sequences to ``ds``, in place.

    Frames lie at ``positions_xyz_mm`` (LPS) and share pixel spacing, orientation and
    acquisition. Rescale values are placeholders for the writer to set.
    """
    new = type(ds)
    shared = new()
    for keyword, values in _shared_groups(info, spacing_zyx_mm, orientation).items():
        setattr(shared, keyword, [_item(new, values)])
    _add_codes(new, shared)
    ds.CardiacSynchronizationTechnique = "PROSPECTIVE"
    ds.CardiacSignalSource = "ECG"
    ds.CardiacRRIntervalSpecified = 900.0
    ds.CardiacBeatRejectionTechnique = "NONE"
    for keyword in ("LowRRValue", "HighRRValue", "IntervalsAcquired", "IntervalsRejected"):
        setattr(ds, keyword, None)
    if info.contrast_agent:
        _add_contrast(new, ds, shared)
    ds.SharedFunctionalGroupsSequence = [shared]
    ds.PerFrameFunctionalGroupsSequence = [
        _frame(new, info, number, position)
        for number, position in enumerate(positions_xyz_mm, start=1)
    ]


def _item(new: Any, values: dict[str, Any]) -> Any:
    item = new()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _code(new: Any, value: str, scheme: str, meaning: str) -> Any:
    return _item(
        new, {"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning}
    )


def _frame(new: Any, info: SeriesInfo, number: int, position: tuple[float, ...]) -> Any:
    when = (info.study_date or "20260101") + (info.study_time or "120000")
    content = {
        "FrameAcquisitionNumber": 1,
        "FrameReferenceDateTime": when,
        "FrameAcquisitionDateTime": when,
        "FrameAcquisitionDuration": 250.0,
        "DimensionIndexValues": [number],
        "StackID": "1",
        "InStackPositionNumber": number,
    }
    frame = new()
    frame.FrameContentSequence = [_item(new, content)]
    place = {"ImagePositionPatient": [f"{v:.10g}" for v in position]}
    frame.PlanePositionSequence = [_item(new, place)]
    return frame


def _shared_groups(
    info: SeriesInfo, spacing_zyx_mm: tuple[float, float, float], orientation: tuple[float, ...]
) -> dict[str, dict[str, Any]]:
    dz, dy, dx = spacing_zyx_mm
    thickness = dz if info.slice_thickness_mm is None else info.slice_thickness_mm
    kind = info.image_type or ("ORIGINAL", "PRIMARY")
    return {
        "PixelMeasuresSequence": {
            "PixelSpacing": [f"{dy:.10g}", f"{dx:.10g}"],
            "SliceThickness": f"{thickness:.10g}",
        },
        "PlaneOrientationSequence": {"ImageOrientationPatient": [f"{v:.10g}" for v in orientation]},
        "PixelValueTransformationSequence": {
            "RescaleIntercept": "0",
            "RescaleSlope": "1",
            "RescaleType": "HU",
        },
        "CTImageFrameTypeSequence": {
            "FrameType": [*kind[:2], "VOLUME", "NONE"],
            "PixelPresentation": "MONOCHROME",
            "VolumetricProperties": "VOLUME",
            "VolumeBasedCalculationTechnique": "NONE",
        },
        "FrameVOILUTSequence": {"WindowCenter": "300", "WindowWidth": "800"},
        "FrameAnatomySequence": {"FrameLaterality": "U"},
        "IrradiationEventIdentificationSequence": {
            "IrradiationEventUID": f"{info.series_instance_uid}.1"[:64]
        },
        **_acquisition(info),
    }


def _acquisition(info: SeriesInfo) -> dict[str, dict[str, Any]]:
    """CT acquisition groups, required of an ORIGINAL frame (PS3.3 C.8.15.3)."""
    return {
        "CTAcquisitionTypeSequence": {
            "AcquisitionType": "SEQUENCED",
            "ConstantVolumeFlag": "NO",
            "FluoroscopyFlag": "NO",
        },
        "CTAcquisitionDetailsSequence": {
            "RotationDirection": "CW",
            "RevolutionTime": 0.25,
            "SingleCollimationWidth": 0.6,
            "TotalCollimationWidth": 38.4,
            "TableHeight": 0.0,
            "GantryDetectorTilt": 0.0,
            "DataCollectionDiameter": 500.0,
        },
        "CTTableDynamicsSequence": {},
        "CTPositionSequence": {
            "TablePosition": 0.0,
            "ReconstructionTargetCenterPatient": [0.0, 0.0, 0.0],
            "DataCollectionCenterPatient": [0.0, 0.0, 0.0],
        },
        "CTGeometrySequence": {
            "DistanceSourceToDetector": 1085.6,
            "DistanceSourceToDataCollectionCenter": 595.0,
        },
        "CTReconstructionSequence": {
            "ReconstructionAlgorithm": "ITERATIVE",
            "ConvolutionKernel": info.kernel or "Bv40",
            "ConvolutionKernelGroup": "SOFT_TISSUE",
            "ReconstructionDiameter": 200.0,
            "ReconstructionPixelSpacing": [0.4, 0.4],
            "ReconstructionAngle": 240.0,
            "ImageFilter": "NONE",
        },
        "CTExposureSequence": {
            "ExposureTimeInms": 250.0,
            "XRayTubeCurrentInmA": 500.0,
            "ExposureInmAs": 125.0,
            "ExposureModulationType": "NONE",
            "CTDIvol": 10.0,
        },
        "CTXRayDetailsSequence": {
            "KVP": f"{info.kvp or 120:g}",
            "FocalSpots": [0.6],
            "FilterType": "WEDGE",
            "FilterMaterial": "ALUMINUM",
        },
        "CardiacSynchronizationSequence": _synchronization(info),
    }


def _synchronization(info: SeriesInfo) -> dict[str, Any]:
    group: dict[str, Any] = {
        "NominalCardiacTriggerDelayTime": 600.0,
        "ActualCardiacTriggerDelayTime": 600.0,
        "RRIntervalTimeNominal": 900.0,
    }
    if info.phase_percent is not None:
        group["NominalPercentageOfCardiacPhase"] = float(info.phase_percent)
    return group


def _add_codes(new: Any, shared: Any) -> None:
    heart = _code(new, "80891009", "SCT", "Heart")
    shared.FrameAnatomySequence[0].AnatomicRegionSequence = [heart]
    phantom = _code(new, "113682", "DCM", "ACR Accreditation Phantom - CT")
    shared.CTExposureSequence[0].CTDIPhantomTypeCodeSequence = [phantom]


def _add_contrast(new: Any, ds: Any, shared: Any) -> None:
    """Add the Enhanced Contrast/Bolus module (PS3.3 C.7.6.4b) and its functional group."""
    agent = _code(new, "385420005", "SCT", "Contrast agent")
    agent.ContrastBolusAgentNumber = 1
    route = _code(new, "47625008", "SCT", "Intravenous route")
    agent.ContrastBolusAdministrationRouteSequence = [route]
    agent.ContrastBolusIngredientCodeSequence = [_code(new, "44588005", "SCT", "Iodine")]
    agent.ContrastBolusVolume = 70.0
    agent.ContrastBolusIngredientConcentration = 370.0
    ds.ContrastBolusAgentSequence = [agent]
    usage = {
        "ContrastBolusAgentNumber": 1,
        "ContrastBolusAgentAdministered": "YES",
        "ContrastBolusAgentDetected": "YES",
        "ContrastBolusAgentPhase": "ARTERIAL",
    }
    shared.ContrastBolusUsageSequence = [_item(new, usage)]
