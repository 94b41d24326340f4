"""The frozen dataclasses that travel along the straight line.

watch -> series -> volume -> segment -> quantify -> risk -> store -> show / export

Inside the program every array has the axis order (z, y, x) and every point is
``(z, y, x)`` in millimetres of the DICOM patient system (LPS: x to the patient's
left, y to the back, z to the head). :func:`zyx_to_lps` turns points round at the
border; nothing else does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

VesselName = Literal["LM", "LAD", "LCX", "RCA"]
VESSELS: tuple[VesselName, ...] = ("LM", "LAD", "LCX", "RCA")
"""Roll-up names of the result. Side branches count to their parent: diagonals to
LAD, obtuse marginals and ramus to LCX, posterior descending and posterolateral to
the artery they come from."""

WALL_CLASSES = (
    "background",
    "other_vessel",
    "lumen",
    "wall",
    "noncalcified",
    "low_attenuation",
    "calcified",
)
"""Channel order of network B and of every ``fractions`` array. ``noncalcified`` here is
non-calcified plaque *without* its low-attenuation part; results add the two."""

Status = Literal["ready", "review", "not_analysable", "failed"]
Level = Literal["pass", "warn", "refuse"]


def zyx_to_lps(points_zyx_mm: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Turn ``(..., 3)`` points from (z, y, x) to DICOM's (x, y, z) order, both in mm."""
    return np.ascontiguousarray(np.asarray(points_zyx_mm, dtype=np.float64)[..., ::-1])


def triple(values: NDArray[np.floating[Any]]) -> tuple[float, float, float]:
    """Return three numbers of an array as plain floats, for the dataclasses."""
    return float(values[0]), float(values[1]), float(values[2])


@dataclass(frozen=True, slots=True)
class Reason:
    """A coded sentence: why something was refused, flagged or left out."""

    code: str
    text: str
    next_step: str = ""

    def __post_init__(self) -> None:
        # The name of a file may hold bytes of no script, which no database takes.
        plain = self.text.encode("utf-8", "backslashreplace").decode()
        object.__setattr__(self, "text", plain)


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """What the DICOM header says of one series, with no pixel in it.

    ``None`` means the header does not say. ``age_years`` and ``sex`` ("F" or "M") feed
    the risk model and are never guessed.
    """

    study_instance_uid: str
    series_instance_uid: str
    frame_of_reference_uid: str = ""
    patient_id: str = ""
    patient_name: str = ""
    birth_date: str = ""
    sex: str | None = None
    age_years: float | None = None
    study_date: str = ""
    study_time: str = ""
    accession_number: str = ""
    study_description: str = ""
    series_description: str = ""
    series_number: int | None = None
    modality: str = ""
    manufacturer: str = ""
    scanner_model: str = ""
    kvp: float | None = None
    kernel: str = ""
    slice_thickness_mm: float | None = None
    phase_percent: float | None = None
    image_type: tuple[str, ...] = ()
    contrast_agent: str = ""
    specific_character_set: str = ""


@dataclass(frozen=True, slots=True)
class SeriesFiles:
    """One candidate series: the files of one geometric stack, in order from feet to head.

    ``frames`` is empty where each file holds one slice; else it names, slice by slice, the
    (file, frame) indices of a multi-frame series. ``notes`` is what a person should know
    about the files (copies left out, lossy compression, ...), none of it a refusal.
    """

    info: SeriesInfo
    files: tuple[Path, ...]
    shape_zyx: tuple[int, int, int]
    spacing_zyx_mm: tuple[float, float, float]
    sop_instance_uids: tuple[str, ...] = ()
    frames: tuple[tuple[int, int], ...] = ()
    notes: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class RejectedSeries:
    """A series that was not chosen, with the first reason and any others in ``also``."""

    info: SeriesInfo
    reason: Reason
    instances: int = 0
    also: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Criterion:
    """What a series earns in one respect: ``points`` of ``most``, and why in a few words."""

    what: str
    points: float
    most: int
    text: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A series, or a stack of it, that could be analysed, as the choice ranked it.

    ``uid`` is what a person names to take it: the series UID, or the SOP Instance UID of its
    first image where the series holds several stacks.
    """

    uid: str
    info: SeriesInfo
    instances: int
    shape_zyx: tuple[int, int, int]
    spacing_zyx_mm: tuple[float, float, float]
    points: float
    criteria: tuple[Criterion, ...]
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Volume:
    """Hounsfield units on an axis-aligned grid.

    ``hu`` is int16 ``(z, y, x)``; index (0, 0, 0) is the voxel whose *centre* lies at
    ``origin_zyx_mm`` and the index grows towards head, back and the patient's left.
    """

    hu: NDArray[np.int16]
    spacing_zyx_mm: tuple[float, float, float]
    origin_zyx_mm: tuple[float, float, float]

    @property
    def shape_zyx(self) -> tuple[int, int, int]:
        """Number of voxels along (z, y, x)."""
        z, y, x = self.hu.shape
        return int(z), int(y), int(x)

    def to_index(self, points_mm: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Fractional voxel index ``(..., 3)`` of points (z, y, x) in mm."""
        return (np.asarray(points_mm, float) - self.origin_zyx_mm) / self.spacing_zyx_mm

    def to_mm(self, index: NDArray[Any]) -> NDArray[np.float64]:
        """Points (z, y, x) in mm of fractional voxel indices ``(..., 3)``."""
        return np.asarray(index, float) * self.spacing_zyx_mm + self.origin_zyx_mm


@dataclass(frozen=True, slots=True)
class Branch:
    """One coronary branch as a polyline.

    ``points_mm`` is float64 ``(n, 3)`` in (z, y, x) mm, 0.5 mm apart, from the ostium or the
    parent's centerline to the distal end. ``radius_mm`` is the lumen radius ``(n,)``.
    ``vessel`` is the roll-up name; ``name`` the anatomical one (LM, LAD, D1, LCX, OM1, RI,
    RCA, R-PDA, R-PLB, L-PDA, ...). ``parent`` is an index into the tree's branches.
    """

    vessel: VesselName
    name: str
    parent: int | None
    points_mm: NDArray[np.float64]
    radius_mm: NDArray[np.float64]

    @property
    def length_mm(self) -> float:
        """Arc length in mm."""
        return float(np.linalg.norm(np.diff(self.points_mm, axis=0), axis=1).sum())


@dataclass(frozen=True, slots=True)
class CoronaryTree:
    """All branches of one patient, parents before children.

    ``missing`` names each main vessel that was not found and why: it becomes
    "not analysable", never zero. ``aorta_hu`` is mean and SD in the aortic root.
    """

    branches: tuple[Branch, ...]
    dominance: Literal["right", "left", "co", "unknown"] = "unknown"
    missing: dict[VesselName, Reason] = field(default_factory=dict)
    aorta_hu: tuple[float, float] | None = None
    warnings: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class StraightBranch:
    """One branch resampled into a straightened volume and classified by network B.

    Step ``i``, row ``j``, column ``k`` lies at
    ``centers_mm[i] + (j - (h-1)/2) * pixel_mm * u[i] + (k - (w-1)/2) * pixel_mm * v[i]``.
    ``centers_mm, u, v`` are float64 ``(n, 3)`` in (z, y, x); steps are ``step_mm`` apart.
    ``fractions`` is uint8 ``(7, n, h, w)``: 255 x the soft fraction, in the order of
    :data:`WALL_CLASSES`. ``hu`` is float32 ``(n, h, w)``.
    """

    branch: Branch
    centers_mm: NDArray[np.float64]
    u: NDArray[np.float64]
    v: NDArray[np.float64]
    step_mm: float
    pixel_mm: float
    fractions: NDArray[np.uint8]
    hu: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Gap:
    """Steps ``start`` to ``end`` of a branch, both included, that are not measured, and why."""

    branch: int
    start: int
    end: int
    reason: Reason


Intervals = dict[str, tuple[float, float]]
"""95 % interval in mm³ of each volume by its field's name, such as ``plaque_mm3``."""
Softness = dict[str, float]
"""How undecided the network is, mm³ by part and place (see ``quantify/softness.py``)."""


@dataclass(frozen=True, slots=True)
class Composition:
    """Plaque of one vessel or patient split by one rule, mm³; the parts add up to the plaque.

    ``noncalcified_mm3`` is low attenuation + fibro-fatty + fibrous.
    """

    rule: Literal["network", "fixed", "adapted"]
    calcified_mm3: float
    noncalcified_mm3: float
    low_attenuation_mm3: float
    fibro_fatty_mm3: float
    fibrous_mm3: float


@dataclass(frozen=True, slots=True)
class HuRule:
    """Limits in HU between low-attenuation, fibro-fatty, fibrous and calcified plaque.

    ``text`` says in a sentence where they come from.
    """

    name: Literal["fixed", "adapted"]
    low_attenuation_below: float
    fibrous_from: float
    calcified_from: float
    text: str


@dataclass(frozen=True, slots=True)
class VesselMeasures:
    """What was measured of one vessel with its side branches. ``None`` is not measured, never 0.

    Stenosis, lumen and reference are those of cross-sections inside lesions whose healthy
    diameter is 1.5 mm or more. ``max_burden_percent`` is the largest share of a
    cross-section inside the outer wall that is not lumen.
    """

    status: Literal["analysed", "partial", "not_analysable"]
    plaque_mm3: float | None = None
    calcified_mm3: float | None = None
    noncalcified_mm3: float | None = None
    low_attenuation_mm3: float | None = None
    vessel_mm3: float | None = None
    lumen_mm3: float | None = None
    pav_percent: float | None = None
    length_mm: float | None = None
    max_diameter_stenosis_percent: float | None = None
    remodeling_index: float | None = None
    fibro_fatty_mm3: float | None = None
    fibrous_mm3: float | None = None
    max_burden_percent: float | None = None
    max_area_stenosis_percent: float | None = None
    minimal_lumen_area_mm2: float | None = None
    minimal_lumen_diameter_mm: float | None = None
    reference_diameter_mm: float | None = None
    intervals_95: Intervals | None = None
    compositions: tuple[Composition, ...] = ()
    softness: Softness | None = None


@dataclass(frozen=True, slots=True)
class SegmentMeasures(VesselMeasures):
    """The same of one segment of the 18-segment model (SCCT 2014).

    ``stretches`` are the parts of branches that make it up: (branch, start mm, end mm).
    ``borders`` says by which landmark, or stand-in for it, the segment ends.
    """

    number: int = 0
    name: str = ""
    vessel: VesselName = "LM"
    stretches: tuple[tuple[str, float, float], ...] = ()
    borders: str = ""


@dataclass(frozen=True, slots=True)
class HighRiskFeature:
    """One high-risk feature of a lesion, and where to look.

    ``present`` is ``None`` where the image cannot tell. ``rule`` is the rule in words, with
    its limit. ``cross_section`` counts the branch's cross-sections from its start, 0.5 mm
    apart; ``point_mm`` is its centre, (z, y, x).
    """

    name: Literal["low_attenuation", "positive_remodeling", "spotty_calcification", "napkin_ring"]
    present: bool | None
    value: float | None
    rule: str
    cross_section: int
    point_mm: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Lesion:
    """A stretch of one branch with plaque; ``start_mm`` and ``end_mm`` run along the branch."""

    vessel: VesselName
    branch: str
    start_mm: float
    end_mm: float
    plaque_mm3: float
    calcified_mm3: float
    noncalcified_mm3: float
    low_attenuation_mm3: float
    diameter_stenosis_percent: float | None
    remodeling_index: float | None
    worst_point_mm: tuple[float, float, float]
    """(z, y, x) of the narrowest cross-section."""
    length_mm: float | None = None
    plaque_type: Literal["calcified", "noncalcified", "mixed"] | None = None
    fibro_fatty_mm3: float | None = None
    fibrous_mm3: float | None = None
    vessel_mm3: float | None = None
    lumen_mm3: float | None = None
    max_burden_percent: float | None = None
    area_stenosis_percent: float | None = None
    minimal_lumen_area_mm2: float | None = None
    minimal_lumen_diameter_mm: float | None = None
    reference_diameter_mm: float | None = None
    worst_cross_section: int | None = None
    segments: tuple[int, ...] = ()
    features: tuple[HighRiskFeature, ...] = ()
    intervals_95: Intervals | None = None


@dataclass(frozen=True, slots=True)
class CadRads:
    """A CAD-RADS 2.0 proposal, for a reader to confirm or change; never a finding by itself.

    ``category`` is 0, 1, 2, 3, 4A, 4B, 5 or N; ``text`` the whole, such as ``CAD-RADS 2/P1/HRP``.
    ``plaque_basis`` says what P was taken from. ``because`` gives the rule that decided.
    """

    category: str
    plaque: str | None
    modifiers: tuple[str, ...]
    text: str
    plaque_basis: str
    because: str


@dataclass(frozen=True, slots=True)
class Agatston:
    """Score of a non-contrast series of the same study, per vessel and in all."""

    total: float
    vessels: dict[VesselName, float]
    series_instance_uid: str
    text: str


@dataclass(frozen=True, slots=True)
class PatientMeasures:
    """Sums over the four vessels; ``lower_bound`` when part of the tree is missing.

    ``coverage_percent`` is the share of the nine trunk segments (1, 2, 3, 5, 6, 7, 8, 11, 13)
    that were analysed; ``missing_segments`` are the others.
    """

    plaque_mm3: float | None = None
    calcified_mm3: float | None = None
    noncalcified_mm3: float | None = None
    low_attenuation_mm3: float | None = None
    vessel_mm3: float | None = None
    lumen_mm3: float | None = None
    pav_percent: float | None = None
    plaque_stage: int | None = None
    max_diameter_stenosis_percent: float | None = None
    lower_bound: bool = False
    fibro_fatty_mm3: float | None = None
    fibrous_mm3: float | None = None
    length_mm: float | None = None
    pav_stage: int | None = None
    coverage_percent: float | None = None
    missing_segments: tuple[int, ...] = ()
    segment_involvement_score: int | None = None
    segment_stenosis_score: int | None = None
    cad_rads: CadRads | None = None
    agatston: Agatston | None = None
    intervals_95: Intervals | None = None
    compositions: tuple[Composition, ...] = ()
    softness: Softness | None = None


@dataclass(frozen=True, slots=True)
class BranchProfile:
    """What was measured of each cross-section of a branch, for comparing two studies.

    ``points_mm`` is ``(n, 3)`` (z, y, x); ``segment`` ``(n,)``. ``values`` holds ``(n,)`` by
    name: volumes in mm³ that the cross-section stands for, diameters in mm, NaN where not
    measured.
    """

    branch: str
    vessel: VesselName
    step_mm: float
    points_mm: NDArray[np.float64]
    segment: NDArray[np.int64]
    values: dict[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class IntervalSource:
    """What a result's intervals rest on: coverage aimed at, phantom scans, day, hash of the file.

    ``reason`` says why there are none.
    """

    coverage: float | None = None
    scans: int | None = None
    made_on: str = ""
    sha256: str = ""
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Background:
    """Soft plaque in a patient's median cross-section, mm², and the factor on its odds."""

    area_mm2: float
    factor: float


@dataclass(frozen=True, slots=True)
class PlaqueMeasures:
    """All that quantify says of one patient.

    ``default_rule`` split the plaque of every field; ``hu_rules`` are those of the
    alternatives in ``compositions``. ``low_attenuation_doubt`` says why low attenuation is
    not to be trusted in this scan, ``None`` when nothing speaks against it.
    """

    vessels: dict[VesselName, VesselMeasures]
    patient: PatientMeasures
    lesions: tuple[Lesion, ...]
    segments: tuple[SegmentMeasures, ...] = ()
    default_rule: Literal["network", "fixed", "adapted"] = "network"
    hu_rules: tuple[HuRule, ...] = ()
    low_attenuation_doubt: Reason | None = None
    notes: tuple[Reason, ...] = ()
    interval_source: IntervalSource | None = None
    background: Background | None = None
    profiles: tuple[BranchProfile, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Covariates:
    """What the risk model needs beside the scan. ``None`` is unknown."""

    age_years: float | None = None
    sex: str | None = None
    diabetes: bool | None = None
    hypertension: bool | None = None


@dataclass(frozen=True, slots=True)
class RiskEstimate:
    """Probability of the endpoint at each horizon, with a 95 % band, all in 0..1."""

    endpoint: str
    horizons_years: tuple[float, ...]
    probability: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    relative_to_no_plaque: float | None
    """``None`` where the model does not use plaque."""
    model_name: str
    model_version: str
    model_sha256: str
    limits: tuple[str, ...] = ()
    warnings: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageQuality:
    """What of a scan decides how well volumes can be measured. ``None`` is not known.

    ``edge_mm`` is how far the sharpest edges of the vessels spread (point spread of kernel and
    slice), ``motion`` how many times wider those of the worst main vessel are.
    """

    noise_hu: float | None = None
    blood_hu: float | None = None
    edge_mm: float | None = None
    motion: float | None = None
    slice_mm: float | None = None
    pixel_mm: float | None = None
    kernel: str = "unknown"
    """Class of the kernel's name: vascular, sharp, lung_bone or unknown."""
    verdict: str = "diagnostic"
    """Of the quality gate."""
    healthy_wall_mm: float | None = None
    """Thickness of the patient's healthy wall as the wall network's first look shows it."""


@dataclass(frozen=True, slots=True)
class QcCheck:
    """One line of the quality gate."""

    code: str
    level: Level
    value: float | str | None
    limits: str = ""
    text: str = ""
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Identity of what computed a result; ``sha256`` is over all networks used."""

    name: str
    version: str
    sha256: str
    provider: str
    precision: str
    calibration: tuple[tuple[str, float], ...] = ()
    """What the wall network's ``model.toml`` says of turning its fractions into volumes."""
    folder: Path | None = None
    """Where the wall network lies, and the intervals of these networks beside it."""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The result of one analysed series: what ``export.result_json`` turns into the schema."""

    status: Status
    reasons: tuple[Reason, ...]
    info: SeriesInfo | None
    instances: int
    shape_zyx: tuple[int, int, int] | None
    spacing_zyx_mm: tuple[float, float, float] | None
    chosen_because: str
    rejected: tuple[RejectedSeries, ...]
    model: ModelInfo | None
    qc_verdict: Literal["diagnostic", "limited", "non_diagnostic"]
    qc_checks: tuple[QcCheck, ...]
    measures: PlaqueMeasures | None
    tree: CoronaryTree | None
    risk: RiskEstimate | None
    covariates: Covariates
    timing_ms: dict[str, float]
    candidates: tuple[Candidate, ...] = ()
    quality: ImageQuality | None = None
