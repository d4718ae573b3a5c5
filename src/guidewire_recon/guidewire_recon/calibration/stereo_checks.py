"""A calibrated pair against the rig's frames: swapped cameras, a wrong square size, cameras that stand elsewhere."""

from __future__ import annotations

import numpy as np

from guidewire_recon.calibration.stereo_config import StereoConfig
from guidewire_recon.calibration.stereo_types import StereoRig
from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.types import Array

_LEVER_MM = 300.0
_SYMMETRIC_MM = 60.0


def check_nominal(rig: StereoRig, T_bench: tuple[Array, Array], config: StereoConfig, T_bench_left: Array | None = None) -> list[str]:
    """What a pair says against the rig's frames: warnings in words. Raises InputError when the cameras are swapped.

    `T_bench`: T_bench_left and T_bench_right of the frames; `T_bench_left`: as calibrated with a seat, where there was one. Without a seat
    a swap shows only in a rig that looks different from its two sides. A camera sees shapes and no lengths: a wrong square size shows only
    in the distance of the cameras.
    """
    said_left, said_right = T_bench
    T_left_right = se3.inverse(said_left) @ said_right
    if T_bench_left is not None:
        found = T_bench_left, T_bench_left @ se3.inverse(rig.T_right_left)
        _refuse_swap(_apart(found[0], said_left) + _apart(found[1], said_right), _apart(found[0], said_right) + _apart(found[1], said_left))
    symmetric = _apart(T_left_right, se3.inverse(T_left_right)) < _SYMMETRIC_MM
    if not symmetric:
        _refuse_swap(_apart(se3.inverse(rig.T_right_left), T_left_right), _apart(rig.T_right_left, T_left_right))
    notes = []
    if symmetric and T_bench_left is None:
        notes.append("this rig looks the same when its cameras are exchanged: give a view with a seat (--seat), or look at the images")
    off = float(np.degrees(se3.geodesic(se3.inverse(rig.T_right_left), T_left_right)))
    if off > config.nominal_deg:
        notes.append(f"the right camera is turned by {off:.0f} degrees against the rig's frames: write the calibrated pose there")
    apart, said = (float(np.linalg.norm(T[:3, 3])) for T in (rig.T_right_left, T_left_right))
    if abs(apart / said - 1.0) > config.nominal_share:
        notes.append(
            f"the cameras are {apart:.0f} mm apart, {said:.0f} mm by the rig's frames: if the frames are right, "
            f"the squares are {said / apart:.3f} times as large as was said"
        )
    return notes


def _apart(a: Array, b: Array) -> float:
    """Distance of two poses in mm, rotations at a lever."""
    return float(np.linalg.norm(a[:3, 3] - b[:3, 3]) + _LEVER_MM * se3.geodesic(a, b))


def _refuse_swap(as_said: float, exchanged: float) -> None:
    if as_said > 2.0 * exchanged + _SYMMETRIC_MM:
        remedy = "exchange the two cameras' inputs, or correct the rig's frames.yaml"
        expected = "left and right as the rig's frames say"
        raise InputError("stereo calibration", expected=expected, got="cameras that fit when they are exchanged", remedy=remedy)
