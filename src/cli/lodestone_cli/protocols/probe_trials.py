"""One trial of `probe_calibration`: record in the simulated tank, detect, calibrate, compare with where the image truly is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lodestone_bench.ultrasound.tank import Tank, n_wires
from lodestone_bench.ultrasound.tank_sweeps import Scene, phantom_pose, sweep
from lodestone_bench.world.arm_config import SweepConfig
from lodestone_cli.protocols.probe_config import Case, ProbeProtocolConfig
from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.types import Array
from us_motion.calibration import closed_form
from us_motion.calibration.model import Model, PointModel, WireModel
from us_motion.calibration.observations import Observations, joined
from us_motion.calibration.phantom import WirePhantom, as_phantom
from us_motion.calibration.probe import ProbeCalibration, calibrate_point, calibrate_wires
from us_motion.calibration.recording import TrackedImages, spots_of

METHOD, BASELINE = "joint_refinement", "closed_form"
_FACE_MM = (700.0, 0.0, 250.0)
_DEPTH_MM = 65.0
_MIDDLE_MM = (0.0, 30.0, 18.0)


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Of each method: distances in the image of spots of left-out sweeps, true errors at the places seen and all over the fan (mm).

    `radius_mm`: predicted 95 % errors at the places seen. A refusal leaves infinite errors, and its sentence.
    """

    held_out_mm: Mapping[str, Array]
    seen_mm: Mapping[str, Array]
    fan_mm: Mapping[str, Array]
    radius_mm: Array
    refusal: str = ""


def run_trial(config: ProbeProtocolConfig, case: Case, seed: int) -> Trial:
    """The same again for the same seed."""
    rng = np.random.default_rng(seed)
    tank, phantom, data = _recorded(config, case, seed, rng)
    try:
        if case.point:
            found = calibrate_point(data, config.calibration)
        else:
            found = calibrate_wires(data, phantom, case.tracked, config.calibration)
    except InputError as error:
        lost = {METHOD: np.array([np.inf]), BASELINE: np.array([np.inf])}
        return Trial(lost, lost, lost, np.array([0.0]), str(error))
    return _judged(tank, found, _closed_form_held_out(found, phantom, case, config))


def _recorded(config: ProbeProtocolConfig, case: Case, seed: int, rng: np.random.Generator) -> tuple[Tank, WirePhantom, Observations]:
    drawn = n_wires()
    true = drawn + case.as_built * config.wire_mm * rng.normal(size=drawn.shape)
    offset, turn = (tuple((size * rng.uniform(-1.0, 1.0, 3)).tolist()) for size in (config.probe_mm, config.probe_deg))
    machine = replace(config.machine, offset_mm=offset, offset_deg=turn)
    water = replace(config.tank, speed_error=config.speed_error * case.speed_error)
    tank = Tank(machine, water, seed)
    built = case.as_built
    arm = replace(config.arm, deviation_mm=built * config.axis_mm, deviation_deg=built * config.axis_deg)
    T_bench_phantom = phantom_pose(_MIDDLE_MM, _FACE_MM, _DEPTH_MM)
    T_bench_base = se3.exp(np.array([0.0, 0.0, 0.0, *np.radians(arm.base_in_bench_deg)]))
    T_bench_base[:3, 3] = arm.base_in_bench_mm
    T_ref_base = se3.inverse(T_bench_phantom) @ T_bench_base if case.tracked else np.eye(4)
    scene = Scene(tank, T_bench_phantom, None if case.point else true, np.array([_MIDDLE_MM]) if case.point else None)
    parts = []
    for number in range(config.sweeps):
        images = config.point_images if case.point else config.images
        swept = sweep(scene, arm, _motion(case, rng), images, seed, 1000 * number)
        parts.append(_detected(tank, swept.frames, T_ref_base @ swept.T_base_probe, case, config))
    return tank, as_phantom(drawn.reshape(-1, 3, 2, 3)), joined(parts)


def _motion(case: Case, rng: np.random.Generator) -> SweepConfig:
    """An operator's way over the phantom: across the wires, or around the point."""
    shift = (18.0, 1.5, 14.0) if case.point else (6.0, 20.0, 8.0)
    tilt = (2.0, 14.0, 14.0) if case.point else (14.0, 12.0, 14.0)
    periods, tilts = rng.uniform(5.0, 13.0, 3).tolist(), rng.uniform(5.0, 13.0, 3).tolist()
    return SweepConfig(
        home_s=0.0, center_mm=_FACE_MM, amplitude_mm=shift, period_s=tuple(periods), tilt_deg=tilt, tilt_period_s=tuple(tilts)
    )


def _detected(tank: Tank, frames: npt.NDArray[np.uint8], T_ref_probe: Array, case: Case, config: ProbeProtocolConfig) -> Observations:
    images = TrackedImages(case.name, zip(frames, T_ref_probe, strict=True), np.full(2, tank.fan.spacing_mm), tank.fan.mask)
    return spots_of(images, case.point, config.calibration.detection)


def _judged(tank: Tank, found: ProbeCalibration, baseline: Array) -> Trial:
    true = tank.fan.T_probe_image
    rows, columns = np.nonzero(tank.fan.mask)
    fan = np.column_stack([columns, rows, np.zeros(len(rows))]).astype(np.float64)[::400] * tank.fan.spacing_mm
    poses = {METHOD: found.T_probe_image, BASELINE: found.start}
    seen, all_over = (_off(poses, true, points) for points in (found.corners_mm, fan))
    held_out = {METHOD: np.concatenate(list(found.held_out_mm.values())), BASELINE: baseline}
    return Trial(held_out, seen, all_over, found.radius_95_mm)


def _off(poses: Mapping[str, Array], true: Array, points: Array) -> dict[str, Array]:
    """Distance (n,) between where each pose and the true one put points (n, 3) of the image."""
    return {name: np.asarray(np.linalg.norm(se3.transform(T, points) - se3.transform(true, points), axis=1)) for name, T in poses.items()}


def _closed_form_held_out(found: ProbeCalibration, phantom: WirePhantom, case: Case, config: ProbeProtocolConfig) -> Array:
    """The same distances for the closed form of the other sweeps, on the spots that the refinement kept; infinite where it fails."""
    data, errors = found.data, []
    part = data.sweep[data.image]
    for number in np.unique(part):
        own = data.chosen((part == number) & found.inliers)
        try:
            model, start = _closed_form(data.chosen(part != number), own, phantom, case, config)
        except InputError:
            errors.append(np.full(len(own.image), np.inf))
        else:
            errors.append(model.errors_mm(start))
    return np.concatenate(errors)


def _closed_form(
    others: Observations, own: Observations, phantom: WirePhantom, case: Case, config: ProbeProtocolConfig
) -> tuple[Model, Mapping[str, Array]]:
    if case.point:
        return PointModel(own, config.calibration), closed_form.point(others, config.calibration)[0]
    model = WireModel(own, phantom, config.calibration)
    if case.tracked:
        return model, closed_form.wires_tracked(others, phantom)
    return model, closed_form.wires_untracked(others, phantom, config.calibration)
