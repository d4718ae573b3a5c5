"""What a probe calibration refuses, each with its cause: too little turning, a mirrored image, wrong pixels, too uncertain a result."""

from __future__ import annotations

import numpy as np

from lodestone_core import se3
from lodestone_core.covariance import expected_radius_95, tre_covariance_at
from lodestone_core.errors import InputError
from lodestone_core.least_squares import Solution
from lodestone_core.types import Array
from us_motion.calibration.config import ProbeCalibrationConfig
from us_motion.calibration.model import SPACING, X
from us_motion.calibration.observations import Observations

WHERE = "probe calibration"
_TURNS = ("tilt it forward and back (about x)", "turn it about its own axis (about z)", "rock it from side to side (about y)")
_SURE = 4.0


def swing_deg(T_ref_probe: Array) -> Array:
    """Turn (3,) of the probe about its own x, y and z over a recording, from end to end, as of an even swing."""
    R = T_ref_probe[:, :3, :3]
    mean = R.mean(axis=0)
    U, _, Vt = np.linalg.svd(mean)
    middle = U @ np.diag([1.0, 1.0, np.linalg.det(U @ Vt)]) @ Vt
    turns = se3.log(se3.make(middle.T @ R, np.zeros(3)))[:, 3:]
    return np.asarray(np.degrees(np.sqrt(12.0) * turns.std(axis=0)))


def check_amount(data: Observations, config: ProbeCalibrationConfig) -> None:
    """Refuse too few images."""
    if data.images < config.min_images:
        expected = f"at least {config.min_images} images in which wires or the point are found"
        remedy = "record longer, with a gain that shows them as bright spots"
        raise InputError(WHERE, expected=expected, got=data.images, remedy=remedy)


def check_swing(data: Observations, config: ProbeCalibrationConfig) -> None:
    """Refuse a motion without turns about two axes: the lever from the probe to what it looks at would be a guess."""
    swing = swing_deg(data.T_ref_probe[np.unique(data.image)])
    if np.sort(swing)[1] < config.min_swing_deg:
        missing = [words for words, turn in zip((_TURNS[0], _TURNS[2], _TURNS[1]), swing, strict=True) if turn < config.min_swing_deg]
        expected = f"the probe turned by at least {config.min_swing_deg:g} degrees about two of its axes"
        got = ", ".join(f"{turn:.1f} about {axis}" for turn, axis in zip(swing, "xyz", strict=True))
        raise InputError(WHERE, expected=expected, got=got, remedy="turn the probe more: " + ", or ".join(missing))


def check_orientation(T_probe_image: Array, config: ProbeCalibrationConfig) -> None:
    """Refuse a pose far from the drawing, and say what would make it so."""
    R = T_probe_image[:3, :3]
    nominal = se3.exp(np.concatenate([np.zeros(3), np.radians(config.nominal_rotation_deg)]))[:3, :3]
    angle = _apart_deg(R, nominal)
    if angle <= config.max_from_nominal_deg:
        return
    causes = {
        "a mirrored image, or a probe held the other way round in its mount": np.diag([-1.0, 1.0, -1.0]),
        "an image upside down": np.diag([1.0, -1.0, -1.0]),
        "an image turned by 180 degrees": np.diag([-1.0, -1.0, 1.0]),
    }
    fitting = [cause for cause, flip in causes.items() if _apart_deg(R, nominal @ flip) <= config.max_from_nominal_deg]
    got = f"{angle:.0f} degrees from it" + (f", which {fitting[0]} explains" if fitting else "")
    remedy = "set the machine or the grabber right, or give `nominal_rotation_deg` of this mount"
    expected = f"an image within {config.max_from_nominal_deg:g} degrees of how it is drawn on the probe"
    raise InputError(WHERE, expected=expected, got=got, remedy=remedy)


def check_spacing(free: Solution, spacing_mm: Array, config: ProbeCalibrationConfig) -> None:
    """Refuse pixels whose measured size is surely not what the machine says."""
    factor = free.values[SPACING]
    sigma = np.sqrt(np.diag(free.tangent_covariance(SPACING)))
    off = np.abs(factor - 1.0)
    wrong = (off > config.max_spacing_error) & (off > _SURE * sigma)
    if not np.any(wrong):
        return
    measured = factor * spacing_mm
    if np.all(wrong) and abs(factor[0] - factor[1]) < 2.0 * config.max_spacing_error:
        cause = "this is the scale of another depth"
    elif wrong[1] and not wrong[0]:
        cause = "only depth is off: the speed of sound in the tank is not the machine's"
    else:
        cause = "width and height are not scaled alike: the grabber distorts the picture"
    got = f"{measured[0]:.4f} x {measured[1]:.4f} mm measured on the phantom; {cause}"
    expected = f"pixels of {spacing_mm[0]:.4f} x {spacing_mm[1]:.4f} mm"
    raise InputError(WHERE, expected=expected, got=got, remedy="give the spacing of the depth in use, and water of the right temperature")


def radius_95_mm(solution: Solution, points_mm: Array) -> Array:
    """Predicted error (n,) in mm, 95 %, of where T_probe_image puts points (n, 3) of the image."""
    C = solution.message_covariance(X)
    return np.asarray(expected_radius_95(tre_covariance_at(solution.values[X], C, points_mm)))


def check_certainty(solution: Solution, points_mm: Array, rms_mm: float, config: ProbeCalibrationConfig) -> None:
    """Refuse what the motion left open, spots that fit badly, and a result that is too uncertain."""
    if solution.unobserved:
        got = "open: " + "; ".join(map(str, solution.unobserved))
        raise InputError(
            WHERE, expected="a motion that holds every direction", got=got, remedy="move and turn the probe about all its axes"
        )
    if rms_mm > config.max_rms_mm:
        expected = f"spots within {config.max_rms_mm:g} mm of where they should be (RMS)"
        remedy = "check the phantom's file, the poses and the latency between images and poses"
        raise InputError(WHERE, expected=expected, got=f"{rms_mm:.2f} mm", remedy=remedy)
    worst = float(np.max(radius_95_mm(solution, points_mm)))
    if worst > config.max_error_mm:
        values, vectors = np.linalg.eigh(solution.message_covariance(X)[3:, 3:])
        axis = solution.values[X][:3, :3].T @ vectors[:, -1]
        name = "xyz"[int(np.argmax(np.abs(axis)))]
        expected = f"an error of at most {config.max_error_mm:g} mm (95 %) all over the image"
        got = f"{worst:.2f} mm; least certain is the turn about the image's {name}, {np.degrees(np.sqrt(values[-1])):.2f} degrees"
        raise InputError(
            WHERE, expected=expected, got=got, remedy=f"record more sweeps, with more turning and spots far apart along {name}"
        )


def _apart_deg(R: Array, other: Array) -> float:
    return float(np.degrees(se3.geodesic(se3.make(R, np.zeros(3)), se3.make(other, np.zeros(3)))))
