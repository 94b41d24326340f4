"""The straight line: files -> series -> volume -> segment -> quantify -> risk -> result.

:func:`analyze` never raises for bad input: a refusal becomes ``not_analysable`` and a fault of
the software ``failed``, each with coded reasons and every number ``None``.
"""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from plaque_edge.errors import Failed, PlaqueEdgeError, Refused
from plaque_edge.kernels import classify
from plaque_edge.quality import (
    Found,
    Limits,
    Scene,
    check_artefacts,
    check_coverage,
    check_header,
    check_image,
    limiting,
    verdict,
)
from plaque_edge.quality.exclude import TREATED, smeared, without_stented
from plaque_edge.series import Inventory, SeriesRefused, choose, read_candidates
from plaque_edge.types import (
    Candidate,
    CaseResult,
    Covariates,
    ImageQuality,
    ModelInfo,
    QcCheck,
    Reason,
    RejectedSeries,
    SeriesFiles,
    SeriesInfo,
    Status,
    Volume,
)
from plaque_edge.volume import load_volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from plaque_edge.correct.measured import Measured, Rules
    from plaque_edge.quantify.measures import Mapped
    from plaque_edge.segment.heart import HeartBox
    from plaque_edge.show.branches import BranchView
    from plaque_edge.types import (
        Agatston,
        CoronaryTree,
        Gap,
        PlaqueMeasures,
        RiskEstimate,
        StraightBranch,
    )

log = logging.getLogger(__name__)


SHARES = {
    "series": (0.0, 0.05),
    "volume": (0.05, 0.15),
    "segment": (0.15, 0.85),
    "quantify": (0.85, 0.94),
    "risk": (0.94, 0.95),
    "store": (0.95, 1.0),
}
"""Where each step lies in the whole, by what it takes on two cores."""


class EngineSet(Protocol):
    """What the line asks of opened engines beside running them."""

    def info(self) -> ModelInfo:
        """Return the identity of the networks and what they run on."""
        ...


class Segmented(Protocol):
    """What segment returns (see :class:`plaque_edge.segment.run.Segmentation`)."""

    @property
    def heart(self) -> HeartBox: ...  # noqa: D102
    @property
    def tree(self) -> CoronaryTree: ...  # noqa: D102
    @property
    def straight(self) -> tuple[StraightBranch, ...]: ...  # noqa: D102
    @property
    def model(self) -> ModelInfo: ...  # noqa: D102
    @property
    def healthy_wall_mm(self) -> float | None: ...  # noqa: D102


class Segmenter(Protocol):
    """The segment stop as the line calls it."""

    def __call__(
        self, volume: Volume, engines: Any, progress: Callable[[float], None] | None
    ) -> Segmented:
        """Return heart, tree and read walls. Raises ``Refused``."""
        ...


@dataclass(frozen=True, slots=True)
class AnalyzeOptions:
    """What a user may ask of one analysis.

    ``series_uid`` takes this series whatever else is there, or this stack of a series (see
    :class:`plaque_edge.types.Candidate`). ``subject_uid`` asks whether this series is the one to
    analyse of its study, and refuses it with OTHER_CHOSEN when another is.
    """

    series_uid: str | None = None
    subject_uid: str | None = None
    covariates: Covariates = field(default_factory=Covariates)
    risk_model: Path | None = None
    debug: bool = False
    view: bool = True
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class ViewData:
    """CT of the heart and its labels on one grid, and the measured branches, for the screen."""

    hu: NDArray[np.int16]
    labels: NDArray[np.uint8]
    spacing_zyx_mm: tuple[float, float, float]
    origin_zyx_mm: tuple[float, float, float]
    branches: tuple[BranchView, ...] = ()
    measured: Measured | None = None
    """What a correction starts from."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """The result, and what the screen draws of it (``None`` when nothing was measured)."""

    result: CaseResult
    view: ViewData | None


def analyze(
    paths: Sequence[Path],
    options: AnalyzeOptions,
    engines: Callable[[], EngineSet],
    progress: Callable[[str, float], None] | None = None,
    segmenter: Segmenter | None = None,
) -> Analysis:
    """Analyse one study and return its result; never raises for bad input.

    ``engines`` is called once reading is done, so they may be opening in the meantime.
    ``segmenter`` replaces the networks (tests).
    """
    run = _Run(options, progress or (lambda _step, _share: None))
    try:
        view = run.line(paths, engines, segmenter or _networks)
    except SeriesRefused as error:
        run.candidates = error.candidates
        return run.stopped("not_analysable", error.reasons, error.rejected)
    except Refused as error:
        return run.stopped("not_analysable", (error.reason, *run.refusals()))
    except PlaqueEdgeError as error:
        return run.stopped("failed", (error.reason,))
    except MemoryError:
        text = "The computer ran out of memory."
        return run.stopped("failed", (Reason("OUT_OF_MEMORY", text, "Close other programs."),))
    except Exception as error:
        log.error("INTERNAL in %s: %s", run.step, type(error).__name__, exc_info=options.debug)
        text = f"An unexpected {type(error).__name__} stopped the analysis at {run.step}."
        return run.stopped("failed", (Reason("INTERNAL", text, "Run again with --debug."),))
    return Analysis(run.result(*run.conclusion()), view)


@dataclass(slots=True)
class _Run:
    """One walk along the line; keeps what is known so far, so that a stop can tell it."""

    options: AnalyzeOptions
    report: Callable[[str, float], None]
    step: str = "series"
    began: float = field(default_factory=time.perf_counter)
    timing_ms: dict[str, float] = field(default_factory=dict)
    inventory: Inventory | None = None
    series: SeriesFiles | None = None
    because: str = ""
    rejected: tuple[RejectedSeries, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    model: ModelInfo | None = None
    checks: tuple[QcCheck, ...] = ()
    tree: CoronaryTree | None = None
    gaps: tuple[Gap, ...] = ()
    measures: PlaqueMeasures | None = None
    rules: Rules | None = None
    quality: ImageQuality | None = None
    risk: RiskEstimate | None = None
    risk_reasons: tuple[Reason, ...] = ()
    calcium_reasons: tuple[Reason, ...] = ()

    # ---- the line -------------------------------------------------------------------------

    def line(
        self, paths: Sequence[Path], engines: Callable[[], EngineSet], segmenter: Segmenter
    ) -> ViewData | None:
        """Walk from files to risk; the result is built from what this leaves behind."""
        with self.timed("series", "read"):
            self.inventory = read_candidates(paths)
            series = self.choose_series(self.inventory)
            self.gate(check_header(series, self.options.limits))
        with self.timed("volume"):
            volume = load_volume(series, self.share)
        with self.timed("segment"):
            opened = engines()
            self.model, busy_s = opened.info(), _busy_s(opened)
            found = segmenter(volume, opened, self.share)
            self.timing_ms["networks"] = round(1000.0 * (_busy_s(opened) - busy_s), 1)
            self.model, self.tree = found.model, found.tree
        with self.timed("quantify"):
            mapped = self.measure(found, self.look(volume, found))
            view = self.view(volume, found.heart, mapped) if self.options.view else None
        with self.timed("risk"):
            self.estimate()
        return view

    def choose_series(self, inventory: Inventory) -> SeriesFiles:
        """Take the series to analyse. Raises ``Refused``."""
        subject = self.options.subject_uid
        try:
            choice = choose(inventory, self.options.series_uid, self.options.limits)
        except SeriesRefused as error:
            raise _of_subject(error, subject) from None
        if subject is not None and choice.series.info.series_instance_uid != subject:
            mine = [r for r in choice.rejected if r.info.series_instance_uid == subject]
            raise SeriesRefused(_all_reasons(mine), choice.rejected, choice.candidates)
        self.candidates, self.timing_ms["choose"] = choice.candidates, choice.looking_ms
        self.series, self.because, self.rejected = choice.series, choice.because, choice.rejected
        return choice.series

    def gate(self, checks: Sequence[QcCheck]) -> None:
        """Add checks. Raises ``Refused`` with the first reason when one refuses."""
        self.checks += tuple(checks)
        reasons = self.refusals()
        if reasons:
            raise Refused(reasons[0].code, reasons[0].text, reasons[0].next_step)

    def look(self, volume: Volume, found: Segmented) -> CoronaryTree:
        """Judge the image; return the tree without vessels that hold a stent. Raises ``Refused``.

        What a stent is in counts as missing, so that it is "not analysable", never zero. Branches
        that moved are kept as gaps.
        """
        aorta, limits = found.tree.aorta_hu or found.heart.aorta_hu, self.options.limits
        scene = Scene(found.heart.low_mm, found.heart.high_mm, found.straight, max(aorta[0], 1.0))
        began = time.perf_counter()
        seen = check_artefacts(volume, scene, limits)
        self.timing_ms["quality"] = _ms(began)
        image = check_image(volume, found.tree, aorta, limits)
        self.gate((check_coverage(found.heart.cut_cm2, limits), *image, *seen.checks))
        self.quality = self.image_quality(volume, aorta, seen, found.healthy_wall_mm)
        self.tree = without_stented(found.tree, seen.stented)
        self.gaps = smeared(found.straight, seen.moved)
        if seen.stented or seen.operated:
            self.risk_reasons = (TREATED,)
        return self.tree

    def image_quality(
        self, volume: Volume, aorta_hu: tuple[float, float], seen: Found, wall_mm: float | None
    ) -> ImageQuality:
        """Return what decides how well this scan can be measured."""
        info, (dz, dy, dx) = self.info(), volume.spacing_zyx_mm
        return ImageQuality(
            noise_hu=aorta_hu[1],
            blood_hu=aorta_hu[0],
            edge_mm=seen.edges.sharpest_mm,
            motion=seen.edges.ratio,
            slice_mm=dz,
            pixel_mm=max(dy, dx),
            kernel=classify(info.kernel) if info else "unknown",
            verdict=verdict(self.checks),
            healthy_wall_mm=wall_mm,
        )

    def measure(self, found: Segmented, tree: CoronaryTree) -> Mapped:
        """Measure volumes; the mapping is returned for the view."""
        from plaque_edge.correct.measured import Rules
        from plaque_edge.quantify.gaps import in_order
        from plaque_edge.quantify.hu_rules import low_attenuation_doubt, rules_for
        from plaque_edge.quantify.measures import map_vessels, measure_mapped, with_agatston
        from plaque_edge.quantify.options import of_model

        info, aorta = self.info(), found.tree.aorta_hu or found.heart.aorta_hu
        kvp, kernel = (info.kvp, info.kernel) if info else (None, "")
        gates, calibration = of_model(dict(found.model.calibration))
        straight = [s for s in found.straight if s.branch.vessel not in tree.missing]
        gaps = in_order(self.gaps, found.straight, straight)
        mapped = map_vessels(straight, gates, calibration, rules_for(aorta, kvp), gaps)
        doubt = low_attenuation_doubt(aorta, kvp, kernel)
        self.rules = Rules(gates, mapped.calibration, mapped.rules, doubt, gaps=mapped.gaps)
        measures = with_agatston(measure_mapped(mapped, tree, doubt), self.calcium(tree))
        self.measures = self.bounded(measures)
        return mapped

    def bounded(self, measures: PlaqueMeasures) -> PlaqueMeasures:
        """Give the volumes their intervals, or say why they have none."""
        from plaque_edge.quantify import intervals, intervals_file

        found = intervals_file.load_for(self.model)
        if isinstance(found, Reason):
            return intervals.without_intervals(measures, found)
        return intervals.with_intervals(measures, self.quality, found)

    def view(self, volume: Volume, heart: HeartBox, mapped: Mapped) -> ViewData:
        """Return what the screen draws, and what a correction starts from."""
        from plaque_edge.correct.measured import of_mapped

        info, view = self.info(), _view(volume, heart, mapped)
        if info is None or self.tree is None or self.measures is None or self.rules is None:
            return view
        rules = replace(self.rules, agatston=self.measures.patient.agatston)
        kept = of_mapped(info.series_instance_uid, mapped, self.tree, rules)
        return replace(view, measured=kept)

    def calcium(self, tree: CoronaryTree) -> Agatston | None:
        """Score the study's calcium series, where it came along; why not is kept."""
        if self.inventory is None or self.series is None:
            return None
        from plaque_edge.calcium_series import calcium_series, score_study
        from plaque_edge.quality.exclude import TREATED

        named = calcium_series(self.inventory.candidates, self.rejected, self.series)
        found = score_study(named, self.series, tree, treated=TREATED in self.risk_reasons)
        if isinstance(found, Reason):
            self.calcium_reasons = (found,)
            return None
        return found

    def estimate(self) -> None:
        """Estimate the risk; without age or sex there is a coded reason instead."""
        if self.risk_reasons:
            return
        from plaque_edge.risk.model import estimate, load_model

        assert self.measures is not None
        try:
            self.risk = estimate(
                load_model(self.options.risk_model),
                self.measures.patient,
                self.covariates(),
                verdict(self.checks),
                self.model.sha256 if self.model else None,
            )
        except Refused as error:
            self.risk_reasons = (error.reason,)

    # ---- what it came to ------------------------------------------------------------------

    def conclusion(self) -> tuple[Status, tuple[Reason, ...]]:
        """Return ready or review, with everything a person should look at."""
        assert self.measures is not None
        assert self.tree is not None
        whole = all(v.status == "analysed" for v in self.measures.vessels.values())
        good = verdict(self.checks) == "diagnostic"
        reasons = [*self.tree.missing.values(), *self.tree.warnings, *self.measures.notes]
        if self.measures.low_attenuation_doubt is not None:
            reasons.append(self.measures.low_attenuation_doubt)
        source = self.measures.interval_source
        if source is not None and source.reason is not None:
            reasons.append(source.reason)
        if not good:
            reasons += [_reason(c) for c in limiting(self.checks)]
        ready = whole and good and not self.tree.warnings and not self.measures.notes
        return "ready" if ready else "review", (*reasons, *self.calcium_reasons, *self.risk_reasons)

    def refusals(self) -> tuple[Reason, ...]:
        """Return the reasons of every check that refuses."""
        return tuple(_reason(c) for c in self.checks if c.level == "refuse")

    def stopped(
        self,
        status: Status,
        reasons: Sequence[Reason],
        rejected: Sequence[RejectedSeries] = (),
    ) -> Analysis:
        """Return a result without a single number."""
        self.rejected = self.rejected or tuple(rejected)
        self.measures = self.tree = self.risk = None
        unique = tuple({r.code: r for r in reversed(tuple(reasons))}.values())[::-1]
        return Analysis(self.result(status, unique), None)

    def result(self, status: Status, reasons: tuple[Reason, ...]) -> CaseResult:
        """Put together what is known."""
        self.timing_ms["total"] = _ms(self.began)
        return CaseResult(
            status=status,
            reasons=reasons,
            info=self.info(),
            instances=self.instances(),
            shape_zyx=self.series.shape_zyx if self.series else None,
            spacing_zyx_mm=self.series.spacing_zyx_mm if self.series else None,
            chosen_because=self.because,
            rejected=self.rejected,
            model=self.model,
            qc_verdict=verdict(self.checks) if self.measures is not None else "non_diagnostic",
            qc_checks=self.checks,
            measures=self.measures,
            tree=self.tree,
            risk=self.risk,
            covariates=self.covariates(),
            timing_ms=dict(self.timing_ms),
            candidates=self.candidates,
            quality=self.quality if self.measures is not None else None,
        )

    def info(self) -> SeriesInfo | None:
        """Return the header of the series the result speaks of."""
        if self.series is not None:
            return self.series.info
        found = self._spoken_of()
        return found[0].info if found else None

    def instances(self) -> int:
        """Return the number of files the result speaks of."""
        if self.series is not None:
            return len(self.series.files)
        found = self._spoken_of()
        return found[0].instances if found else 0

    def _spoken_of(self) -> list[RejectedSeries]:
        uid = self.options.subject_uid or self.options.series_uid
        mine = [r for r in self.rejected if uid and r.info.series_instance_uid == uid]
        return mine or sorted(self.rejected, key=lambda r: -r.instances)

    def covariates(self) -> Covariates:
        """Return what the user gave, and the DICOM header where the user gave nothing."""
        given, info = self.options.covariates, self.info()
        return Covariates(
            given.age_years if given.age_years is not None else (info.age_years if info else None),
            given.sex or (info.sex if info else None),
            given.diabetes,
            given.hypertension,
        )

    # ---- time -----------------------------------------------------------------------------

    @contextmanager
    def timed(self, step: str, key: str | None = None) -> Iterator[None]:
        """Report a step's begin and end and note how long it took, also when it fails."""
        self.step, start = step, time.perf_counter()
        self.share(0.0)
        try:
            yield
        finally:
            self.timing_ms[key or step] = _ms(start)

    def share(self, done: float) -> None:
        """Report how much of the present step is done."""
        low, high = SHARES[self.step]
        self.report(self.step, low + (high - low) * min(max(done, 0.0), 1.0))


def _busy_s(engines: EngineSet) -> float:
    """Return how long the networks ran so far; what stands in for them in a test ran none."""
    return float(getattr(engines, "busy_s", 0.0))


def _networks(volume: Volume, engines: Any, progress: Callable[[float], None] | None) -> Segmented:
    from engines import EngineError
    from plaque_edge.segment.run import segment

    try:
        return segment(volume, engines, progress)
    except EngineError as error:
        raise Failed(error.code, error.text, error.next_step) from error


def _view(volume: Volume, heart: HeartBox, mapped: Mapped) -> ViewData:
    """Crop the CT to the heart and paint the labels on the same grid."""
    from plaque_edge.quantify.measures import label_mapped
    from plaque_edge.show.branches import of_mapped

    low = np.floor(volume.to_index(np.array(heart.low_mm))).astype(int).clip(0)
    high = np.minimum(
        np.ceil(volume.to_index(np.array(heart.high_mm))).astype(int) + 1, volume.shape_zyx
    )
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    z, y, x = (float(v) for v in volume.to_mm(low))
    hu = np.ascontiguousarray(volume.hu[box])
    depth, rows, columns = hu.shape
    labels = label_mapped(mapped, (depth, rows, columns), volume.spacing_zyx_mm, (z, y, x))
    return ViewData(hu, labels, volume.spacing_zyx_mm, (z, y, x), of_mapped(mapped))


def _of_subject(error: SeriesRefused, subject: str | None) -> SeriesRefused:
    """Put the subject's own reasons first when its whole study was refused."""
    mine = [r for r in error.rejected if r.info.series_instance_uid == subject]
    if not mine or len(error.rejected) == len(mine):
        return error
    return SeriesRefused(_all_reasons(mine), error.rejected, error.candidates)


def _all_reasons(rejected: Sequence[RejectedSeries]) -> tuple[Reason, ...]:
    if not rejected:
        text = "Another series of the study is the coronary CTA."
        return (Reason("OTHER_CHOSEN", text, "Nothing to do."),)
    return tuple(reason for r in rejected for reason in (r.reason, *r.also))


def _reason(check: QcCheck) -> Reason:
    return Reason(check.code, check.text, check.next_step)


def _ms(start: float) -> float:
    return round(1000.0 * (time.perf_counter() - start), 1)
