"""What the header of an X-ray picture says of its geometry, and whether the geometry in use agrees."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lodestone_core.config import option
from xray_registration.calibration import XrayCalibration


@dataclass(frozen=True, slots=True)
class XrayHeader:
    """Geometry of one frame as its header has it; None where the header says nothing. Angles in DICOM's sense, rad.

    `mirrored`: whether columns run to the patient's left with rows to the feet. `problems`: what in the header contradicts itself.
    """

    size_px: tuple[int, int]
    spacing_mm: tuple[float, float] | None = None
    source_to_detector_mm: float | None = None
    source_to_isocentre_mm: float | None = None
    primary_rad: float | None = None
    secondary_rad: float | None = None
    mirrored: bool | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ToleranceConfig:
    """How far a header may be from the geometry in use."""

    distance_mm: float = option(2.0, unit="mm", doc="source to detector and source to isocentre", minimum=0.0)
    spacing_share: float = option(0.005, doc="pixel spacing, as a share of it", minimum=0.0, maximum=0.5)
    angle_deg: float = option(0.5, unit="deg", doc="positioner angles, where the calibration has them", minimum=0.0)
    require_header: bool = option(
        True, doc="a DICOM header that leaves out a distance, the spacing or an angle makes its picture not valid"
    )


@dataclass(frozen=True, slots=True)
class FrameGeometry:
    """What is published of one frame's geometry. Lengths in mm, angles in rad; NaN where nothing is known.

    `source` is "dicom", "calibration" or "unknown"; `valid` as in lodestone_msgs/XrayGeometry, `detail` says why not.
    """

    source: str
    spacing_mm: tuple[float, float]
    source_to_detector_mm: float
    source_to_isocentre_mm: float
    primary_rad: float
    secondary_rad: float
    valid: bool
    detail: str = ""

    @property
    def placed(self) -> bool:
        """Whether source and detector have a place: distances and angles are known, and nothing contradicts."""
        return self.valid and all(map(math.isfinite, (self.source_to_isocentre_mm, self.primary_rad, self.secondary_rad)))


def frame_geometry(header: XrayHeader, calibration: XrayCalibration | None, tolerance: ToleranceConfig, is_dicom: bool) -> FrameGeometry:
    """The geometry of a frame: that of the calibration when the header agrees with it, else what the header says, not valid."""
    if calibration is None:
        return _of_header(header, "no calibration of the X-ray source is loaded: give `calibration_file`")
    problems = [*header.problems, *_disagreements(header, calibration, tolerance)]
    if is_dicom and tolerance.require_header:
        problems += [f"the header has no {name}" for name in _missing(header, calibration)]
    if calibration.distortion == "unknown":
        problems.append("the detector's distortion is not known: calibrate it, or write `distortion: none` for a flat detector")
    if problems:
        return _of_header(header, "; ".join(problems))
    return _of_calibration(header, calibration, is_dicom)


def _of_calibration(header: XrayHeader, calibration: XrayCalibration, is_dicom: bool) -> FrameGeometry:
    fallback = calibration.angles_rad() or (math.nan, math.nan)
    isocentre = calibration.source_to_isocentre_mm
    return FrameGeometry(
        source="dicom" if is_dicom else "calibration",
        spacing_mm=calibration.pixel_spacing_mm,
        source_to_detector_mm=calibration.source_to_detector_mm,
        source_to_isocentre_mm=math.nan if isocentre is None else isocentre,
        primary_rad=fallback[0] if header.primary_rad is None else header.primary_rad,
        secondary_rad=fallback[1] if header.secondary_rad is None else header.secondary_rad,
        valid=True,
    )


def _of_header(header: XrayHeader, detail: str) -> FrameGeometry:
    return FrameGeometry(
        source="unknown",
        spacing_mm=header.spacing_mm or (math.nan, math.nan),
        source_to_detector_mm=_or_nan(header.source_to_detector_mm),
        source_to_isocentre_mm=_or_nan(header.source_to_isocentre_mm),
        primary_rad=_or_nan(header.primary_rad),
        secondary_rad=_or_nan(header.secondary_rad),
        valid=False,
        detail=detail,
    )


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _missing(header: XrayHeader, calibration: XrayCalibration) -> list[str]:
    entries = {
        "source to detector distance (0018,1110)": header.source_to_detector_mm,
        "imager pixel spacing (0018,1164)": header.spacing_mm,
        "positioner primary angle (0018,1510)": header.primary_rad,
        "positioner secondary angle (0018,1511)": header.secondary_rad,
    }
    if calibration.source_to_isocentre_mm is not None:
        entries["source to isocentre distance (0018,1111)"] = header.source_to_isocentre_mm
    return [name for name, value in entries.items() if value is None]


def _disagreements(header: XrayHeader, calibration: XrayCalibration, tolerance: ToleranceConfig) -> list[str]:
    found = []
    if header.size_px != calibration.size_px:
        found.append(f"the picture has {_by(header.size_px)} pixels, the calibration is of {_by(calibration.size_px)}")
    if header.mirrored is not None and header.mirrored != calibration.mirrored:
        found.append(f"the header has the picture {_way(header.mirrored)}, the calibration {_way(calibration.mirrored)}")
    for name, said, known in (
        ("source to detector", header.source_to_detector_mm, calibration.source_to_detector_mm),
        ("source to isocentre", header.source_to_isocentre_mm, calibration.source_to_isocentre_mm),
    ):
        if said is not None and known is not None and abs(said - known) > tolerance.distance_mm:
            found.append(f"{name}: the header says {said:.1f} mm, the calibration {known:.1f} mm")
    if header.spacing_mm is not None:
        for axis, said, known in zip("xy", header.spacing_mm, calibration.pixel_spacing_mm, strict=True):
            if abs(said - known) > tolerance.spacing_share * known:
                found.append(f"pixel spacing in {axis}: the header says {said:.4f} mm, the calibration {known:.4f} mm")
    return found + _turned(header, calibration, tolerance)


def _turned(header: XrayHeader, calibration: XrayCalibration, tolerance: ToleranceConfig) -> list[str]:
    found = []
    for name, said, known in (
        ("primary", header.primary_rad, calibration.primary_deg),
        ("secondary", header.secondary_rad, calibration.secondary_deg),
    ):
        if said is not None and known is not None and abs(math.degrees(said) - known) > tolerance.angle_deg:
            found.append(f"{name} angle: the header says {math.degrees(said):.2f} deg, the calibration holds at {known:.2f} deg")
    return found


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def _way(mirrored: bool) -> str:
    return "mirrored (patient's left on the right)" if mirrored else "as seen from the source"
