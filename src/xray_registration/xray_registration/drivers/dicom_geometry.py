"""The geometry in a DICOM header, frame by frame, and where it contradicts itself.

Names mislead: what clinics call SID is 0018,1110 (source to detector); 0018,1111 is source to patient, which angiography means as the
isocentre. Spacings come as rows first: the distance between rows is the spacing in y.

The increments (0018,1520) and (0018,1521) of a positioner that moves are written in three ways by different devices; without being told
which, the angles of such a file are not known.
"""

from __future__ import annotations

import math
from itertools import accumulate
from typing import Any, Final

from lodestone_core.errors import InputError
from xray_registration.drivers.dicom_values import integer, name_of, number, numbers, text, words
from xray_registration.drivers.header import XrayHeader

INCREMENTS: Final = ("unknown", "offset", "step", "absolute")
"""Angle of frame i: offset: first angle + increment[i]; step: first angle + sum of increments up to i; absolute: increment[i] itself."""

_SHARE = 0.01
_FLIPS = {"L F": True, "R F": False}


def read_geometry(dataset: Any, count: int, increments: str) -> tuple[XrayHeader, ...]:
    """The header of each of `count` frames. Raises InputError for elements that cannot be decoded."""
    problems: list[str] = []
    size = (integer(dataset, "Columns", 0), integer(dataset, "Rows", 0))
    detector = _positive(dataset, "DistanceSourceToDetector")
    isocentre = _positive(dataset, "DistanceSourceToPatient")
    if detector is not None and isocentre is not None and isocentre >= detector:
        problems.append(f"source to isocentre {isocentre:.1f} mm is not less than source to detector {detector:.1f} mm")
    _check_magnification(dataset, detector, isocentre, problems)
    spacing = _spacing(dataset, detector, isocentre, problems)
    position = text(dataset, "PatientPosition")
    if position not in ("", "HFS"):
        problems.append("the patient is not head first and supine (0018,5100): the angles mean another direction")
    angles = _angles(dataset, count, increments, problems)
    mirrored = _FLIPS.get(" ".join(words(dataset, "PatientOrientation")[:2]))
    return tuple(XrayHeader(size, spacing, detector, isocentre, *pair, mirrored, tuple(problems)) for pair in angles)


def _positive(dataset: Any, keyword: str) -> float | None:
    value = number(dataset, keyword)
    if value is not None and not 0.0 < value < 1e5:
        raise InputError(name_of(keyword), expected="millimetres above 0", got=f"{value:g}", remedy="the device writes it wrongly")
    return value


def _check_magnification(dataset: Any, detector: float | None, isocentre: float | None, problems: list[str]) -> None:
    said = number(dataset, "EstimatedRadiographicMagnificationFactor")
    if said is None or detector is None or isocentre is None:
        return
    if abs(said - detector / isocentre) > _SHARE * detector / isocentre:
        problems.append(f"magnification {said:.4f} (0018,1114) is not {detector:.1f} mm / {isocentre:.1f} mm")


def _spacing(dataset: Any, detector: float | None, isocentre: float | None, problems: list[str]) -> tuple[float, float] | None:
    """On the detector: imager pixel spacing; pixel spacing (0028,0030) is either the same or that at the isocentre."""
    imager = _pair(dataset, "ImagerPixelSpacing")
    plain = _pair(dataset, "PixelSpacing")
    if imager is None or plain is None:
        return imager
    ratios = [plain[axis] / imager[axis] for axis in (0, 1)]
    allowed = [1.0] if detector is None or isocentre is None else [1.0, isocentre / detector]
    if not any(all(abs(ratio - one) <= _SHARE * one for ratio in ratios) for one in allowed):
        problems.append(f"pixel spacing {plain[0]:.4f} mm (0028,0030) fits imager pixel spacing {imager[0]:.4f} mm (0018,1164) in no way")
    return imager


def _pair(dataset: Any, keyword: str) -> tuple[float, float] | None:
    found = numbers(dataset, keyword)
    if found is None:
        return None
    if len(found) != 2 or not all(1e-3 <= value <= 100.0 for value in found):
        raise InputError(
            name_of(keyword), expected="two spacings in mm", got=f"{len(found)} numbers", remedy="the device writes it wrongly"
        )
    return found[1], found[0]


def _angles(dataset: Any, count: int, increments: str, problems: list[str]) -> list[tuple[float | None, float | None]]:
    primary = _angle(dataset, "PositionerPrimaryAngle", 180.0)
    secondary = _angle(dataset, "PositionerSecondaryAngle", 90.0)
    if text(dataset, "PositionerMotion") != "DYNAMIC":
        return [(primary, secondary)] * count
    if increments == "unknown":
        problems.append("the positioner moves: say with `angle_increments` how this device writes (0018,1520)")
        return [(None, None)] * count
    columns = [
        _moving(dataset, keyword, first, count, increments, problems)
        for keyword, first in (("PositionerPrimaryAngleIncrement", primary), ("PositionerSecondaryAngleIncrement", secondary))
    ]
    return list(zip(*columns, strict=True))


def _angle(dataset: Any, keyword: str, most_deg: float) -> float | None:
    value = number(dataset, keyword)
    if value is None:
        return None
    if abs(value) > most_deg:
        raise InputError(
            name_of(keyword), expected=f"at most {most_deg:g} degrees", got=f"{value:g}", remedy="the device writes it wrongly"
        )
    return math.radians(value)


def _moving(dataset: Any, keyword: str, first: float | None, count: int, increments: str, problems: list[str]) -> list[float | None]:
    steps = numbers(dataset, keyword)
    if steps is None:
        return [first] * count
    if len(steps) != count or (first is None and increments != "absolute"):
        problems.append(f"{name_of(keyword)} has {len(steps)} values for {count} frames, or there is no first angle")
        return [None] * count
    turned = list(accumulate(steps)) if increments == "step" else steps
    base = 0.0 if increments == "absolute" or first is None else first
    return [base + math.radians(value) for value in turned]
