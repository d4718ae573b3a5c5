"""Joint calibration of two trackers on one rigid tool: where the one sits in the other, and each sensor on the tool.

T_ref_marker = T_ref_em @ T_em_sensor @ T_sensor_marker for every pair of poses of one instant; all sensors share
T_ref_em. Robust least squares over positions and rotations, with covariance and the directions that the motion left
open. `calibrate_streams` also estimates the time offset of every sensor and pairs the streams.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lodestone_core import joint_model
from lodestone_core.checks import as_se3, as_se3_stack
from lodestone_core.config import option, section
from lodestone_core.errors import InputError
from lodestone_core.least_squares import Direction, Loss, Problem, Solution, SolverConfig, Values, solve
from lodestone_core.pose_stream import PairingConfig, PoseStream, as_pose_stream
from lodestone_core.time_offset import TimeOffset, TimeOffsetConfig, estimate_time_offset
from lodestone_core.types import Array

__all__ = [
    "JointCalibration",
    "JointConfig",
    "PairingConfig",
    "PoseStream",
    "SensorCalibration",
    "StreamCalibration",
    "StreamConfig",
    "TimeOffset",
    "TimeOffsetConfig",
    "as_pose_stream",
    "calibrate_joint",
    "calibrate_streams",
    "estimate_time_offset",
]


@dataclass(frozen=True, slots=True)
class JointConfig:
    """How far to trust positions and rotations, and what a calibration needs."""

    position_sigma_mm: float = option(0.5, unit="mm", doc="expected noise of a coordinate", minimum=1e-6)
    rotation_sigma_rad: float = option(0.005, unit="rad", doc="expected noise of a rotation", minimum=1e-9)
    loss: Loss = option(Loss.HUBER, doc="how strongly far residuals pull")
    correlated_poses: int = option(4, doc="consecutive poses whose errors may depend on one another", minimum=1)
    min_pairs: int = option(10, doc="fewest pairs of poses of one sensor", minimum=3)


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """Calibration from streams: offset, pairing, fit."""

    offset: TimeOffsetConfig = section(TimeOffsetConfig, doc="time offset of each sensor's stream")
    pairing: PairingConfig = section(PairingConfig, doc="when a reference pose may be interpolated")
    joint: JointConfig = section(JointConfig, doc="joint calibration")


Poses = npt.ArrayLike | Mapping[str, npt.ArrayLike]
Pairs = Mapping[str, tuple[Array, Array]]

_REF = "T_ref_em"
_JOINT_DEFAULTS = JointConfig()
_STREAM_DEFAULTS = StreamConfig()


@dataclass(frozen=True, slots=True, eq=False)
class SensorCalibration:
    """One sensor: T_sensor_marker (4x4, mm) and its covariance (6x6, message convention; zeros where it was given).

    `residuals_mm` (N, 3): predicted minus measured marker position, reference frame; `rms_mm` and `rms_rad` over all
    pairs, outliers included. `weights` (N,): robust weights of the positions.
    """

    T_sensor_marker: Array
    covariance: Array
    rms_mm: float
    rms_rad: float
    residuals_mm: Array
    weights: Array


@dataclass(frozen=True, slots=True, eq=False)
class JointCalibration:
    """T_ref_em (4x4, mm), its covariance (6x6, message convention) and the sensors by name.

    `unobserved`: what the motion left open, in words; such a direction has the variance of a whole turn and its value
    is that of the start. `solution` holds the joint covariance of all blocks (`T_ref_em`, `T_<sensor>_marker`).
    """

    T_ref_em: Array
    covariance: Array
    sensors: Mapping[str, SensorCalibration]
    unobserved: tuple[Direction, ...]
    solution: Solution

    def marker(self, sensor: str, T_em_sensor: Array) -> Array:
        """T_ref_marker (..., 4, 4) that poses (..., 4, 4) of a sensor predict."""
        predicted: Array = self.T_ref_em @ T_em_sensor @ self.sensors[sensor].T_sensor_marker
        return predicted


@dataclass(frozen=True, slots=True, eq=False)
class StreamCalibration:
    """Joint calibration of streams and the time offset of each sensor (reference stamp minus sensor stamp)."""

    joint: JointCalibration
    offsets: Mapping[str, TimeOffset]


def calibrate_joint(
    T_em_sensor: Poses,
    T_ref_marker: Poses,
    config: JointConfig = _JOINT_DEFAULTS,
    T_sensor_marker: Poses | None = None,
) -> JointCalibration:
    """Shared T_ref_em and T_sensor_marker of each sensor from pairs of poses (N, 4, 4) in mm.

    Mappings by sensor name, or plain arrays for one sensor, which is then called `sensor`. `T_sensor_marker` (4, 4):
    offsets known from elsewhere, which are then not estimated. Raises InputError for missing partners, too few pairs or
    poses that are not rigid; what the motion leaves open is said in `unobserved`.
    """
    pairs = _pairs(_by_name(T_em_sensor), _by_name(T_ref_marker), config)
    known = _known({} if T_sensor_marker is None else _by_name(T_sensor_marker), pairs)
    whitening = np.repeat([1.0 / config.position_sigma_mm, 1.0 / config.rotation_sigma_rad], 3)
    X, B, _ = joint_model.closed_form(pairs, config.position_sigma_mm / config.rotation_sigma_rad)
    initial = {_REF: X} | {_block(name): B[name] for name in pairs if name not in known}

    def offset(values: Values, name: str) -> Array:
        return known[name] if name in known else values[_block(name)]

    def residuals(values: Values) -> Array:
        parts = [joint_model.residuals(values[_REF], offset(values, name), *pair) for name, pair in pairs.items()]
        return np.asarray((np.concatenate(parts) * whitening).ravel())

    def jacobian(values: Values) -> dict[str, Array]:
        blocks: dict[str, list[Array]] = {block: [] for block in values}
        for name, pair in pairs.items():
            by_X, by_B = joint_model.jacobians(values[_REF], offset(values, name), *pair)
            for block, rows in blocks.items():
                rows.append(by_X if block == _REF else by_B if block == _block(name) else np.zeros_like(by_B))
        return {block: (whitening[:, None] * np.concatenate(rows)).reshape(-1, 6) for block, rows in blocks.items()}

    count = sum(len(E) for E, _ in pairs.values())
    cluster = joint_model.cluster_size(config.correlated_poses, count, unknowns=6 * len(initial))
    problem = Problem(initial, residuals, jacobian, group=3, cluster=cluster)
    solution = solve(problem, SolverConfig(loss=config.loss))
    return _calibration(pairs, known, solution)


def calibrate_streams(em: Mapping[str, PoseStream], reference: PoseStream, config: StreamConfig = _STREAM_DEFAULTS) -> StreamCalibration:
    """Joint calibration from the streams T_em_sensor by sensor name and the stream T_ref_marker.

    Each sensor has its own offset: sensors read one after the other within a frame carry different stamps of one instant.
    Raises InputError as `estimate_time_offset` and `calibrate_joint` do.
    """
    offsets, T_em_sensor, T_ref_marker = {}, {}, {}
    for name, stream in em.items():
        found = estimate_time_offset(stream.stamps_ns, stream.T, reference.stamps_ns, reference.T, config.offset)
        used = reference.covers(stream.stamps_ns, found.seconds, config.pairing)
        offsets[name] = found
        T_em_sensor[name] = stream.T[used]
        T_ref_marker[name] = reference.at(stream.stamps_ns[used], found.seconds)
    return StreamCalibration(calibrate_joint(T_em_sensor, T_ref_marker, config.joint), offsets)


def _by_name(poses: Poses) -> Mapping[str, npt.ArrayLike]:
    return poses if isinstance(poses, Mapping) else {"sensor": poses}


def _block(sensor: str) -> str:
    return f"T_{sensor}_marker"


def _pairs(em: Mapping[str, npt.ArrayLike], ref: Mapping[str, npt.ArrayLike], config: JointConfig) -> Pairs:
    if not em or em.keys() != ref.keys():
        raise InputError(
            "joint calibration",
            expected="the same sensors in T_em_sensor and T_ref_marker, at least one",
            got=f"{sorted(em)} and {sorted(ref)}",
            remedy="give each sensor its reference poses",
        )
    pairs = {}
    for name in em:
        E = as_se3_stack(f"T_em_sensor of {name}", em[name], at_least=config.min_pairs)
        Q = as_se3_stack(f"T_ref_marker of {name}", ref[name], at_least=config.min_pairs)
        if len(E) != len(Q):
            raise InputError(
                f"pairs of {name}",
                expected="one reference pose for each sensor pose",
                got=f"{len(E)} and {len(Q)}",
                remedy="interpolate the reference at the sensor's stamps",
            )
        pairs[name] = (E, Q)
    return pairs


def _known(offsets: Mapping[str, npt.ArrayLike], pairs: Pairs) -> dict[str, Array]:
    for name in offsets:
        if name not in pairs:
            raise InputError("T_sensor_marker", expected=f"offsets of {sorted(pairs)}", got=name, remedy="leave out sensors without poses")
    return {name: as_se3(f"T_sensor_marker of {name}", T) for name, T in offsets.items()}


def _calibration(pairs: Pairs, known: Mapping[str, Array], solution: Solution) -> JointCalibration:
    X = solution.values[_REF]
    weights = solution.weights.reshape(-1, 2)[:, 0]
    sensors, start = {}, 0
    for name, (E, Q) in pairs.items():
        B = known[name] if name in known else solution.values[_block(name)]
        covariance = np.zeros((6, 6)) if name in known else solution.message_covariance(_block(name))
        apart = joint_model.residuals(X, B, E, Q)
        rms_mm, rms_rad = np.sqrt(np.mean(np.sum(apart.reshape(-1, 2, 3) ** 2, axis=2), axis=0))
        used = weights[start : start + len(E)]
        sensors[name] = SensorCalibration(B, covariance, float(rms_mm), float(rms_rad), apart[:, :3], used)
        start += len(E)
    return JointCalibration(X, solution.message_covariance(_REF), sensors, solution.unobserved, solution)
