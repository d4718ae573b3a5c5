"""Index offsets and signs of an arm's joints from the poses of a tracker whose sensor is fixed to the probe.

Model: T_ref_sensor = T_ref_base . FK(q + offset) . T_probe_sensor, the calibration of a chain from poses of its end (Hollerbach, Khalil,
Gautier, "Model identification", Springer Handbook of Robotics 2016, chapter 6). The first joint's offset turns base and arm together, the
last one's the sensor on the probe: neither shows in such poses, and both keep what they are. Those in between are found.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from lodestone_core import se3
from lodestone_core.checks import as_array, as_se3_stack
from lodestone_core.config import option
from lodestone_core.errors import InputError
from lodestone_core.hand_eye import JointConfig, calibrate_joint
from lodestone_core.least_squares import Loss, Problem, Solution, SolverConfig, Values, solve
from lodestone_core.types import Array
from us_motion.arm_calibration import ArmCalibration
from us_motion.kinematics import Chain

_BASE, _SENSOR, _OFFSETS = "T_ref_base", "T_probe_sensor", "offsets"
_SEARCHED = 60
"""Poses of a search for reversed joints."""


@dataclass(frozen=True, slots=True)
class OffsetsConfig:
    """How far to trust the tracker, and what a calibration needs."""

    position_sigma_mm: float = option(0.5, unit="mm", doc="expected noise of a coordinate of the tracker", minimum=1e-6)
    rotation_sigma_rad: float = option(0.005, unit="rad", doc="expected noise of a rotation of the tracker", minimum=1e-9)
    min_poses: int = option(30, doc="fewest pairs of poses", minimum=12)
    min_travel_rad: float = option(0.2, unit="rad", doc="least way of every joint from end to end", minimum=0.0)
    max_rms_mm: float = option(3.0, unit="mm", doc="largest held-out error that is accepted", minimum=0.0)
    max_sigma_rad: float = option(0.005, unit="rad", doc="largest standard deviation of an offset that is accepted", minimum=0.0)
    folds: int = option(5, doc="parts of the recording that are held out in turn", minimum=2)
    max_reversed: int = option(2, doc="joints that may be found to count the other way", minimum=0, maximum=3)


@dataclass(frozen=True, slots=True, eq=False)
class OffsetsCalibration:
    """What was found: the new calibration, offsets that were added to `index_rad` with their standard deviation (rad, NaN where not found).

    `rms_mm` over all poses, `held_out_mm` over poses that the fit had not seen: distance of the sensor from where the arm has it.
    `reversed_joints`: names whose sign changed. `found`: names whose offset shows in the poses.
    """

    calibration: ArmCalibration
    offsets_rad: Array
    sigma_rad: Array
    found: tuple[str, ...]
    reversed_joints: tuple[str, ...]
    rms_mm: float
    held_out_mm: float
    T_ref_base: Array
    T_probe_sensor: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Data:
    chain: Chain
    index_rad: Array
    positions: Array
    poses: Array
    config: OffsetsConfig

    def part(self, chosen: npt.NDArray[np.int64]) -> _Data:
        return replace(self, positions=self.positions[chosen], poses=self.poses[chosen])

    def turned(self, reversed_joints: tuple[int, ...]) -> _Data:
        """As if these joints counted the other way: about the index, where the angle is known."""
        positions = self.positions.copy()
        for joint in reversed_joints:
            positions[:, joint] = 2.0 * self.index_rad[joint] - positions[:, joint]
        return replace(self, positions=positions)


def calibrate_offsets(
    chain: Chain, calibration: ArmCalibration, positions: npt.ArrayLike, T_ref_sensor: npt.ArrayLike, config: OffsetsConfig | None = None
) -> OffsetsCalibration:
    """The calibration whose chain fits the poses best.

    `positions` (N, joints): angles in rad by the present calibration, in the order of the chain; `T_ref_sensor` (N, 4, 4), mm, at the same
    times. Raises InputError for too few poses, a joint that was not moved, or a fit that is too bad or too uncertain to be used.
    """
    config = config or OffsetsConfig()
    poses = as_se3_stack("T_ref_sensor", T_ref_sensor, config.min_poses)
    q = as_array("positions", positions, (len(poses), len(chain.names)))
    _check_travel(chain, q, config)
    index = {joint.name: joint.index_rad for joint in calibration.joints}
    data = _Data(chain, np.array([index[name] for name in chain.names]), q, poses, config)
    reversed_joints = _find_reversed(data)
    data = data.turned(reversed_joints)
    solution = _fit(data)
    offsets, sigma = _offsets(solution.values, len(chain.names)), _sigma(solution, len(chain.names))
    result = OffsetsCalibration(
        calibration=_improved(calibration, chain, offsets, reversed_joints),
        offsets_rad=offsets,
        sigma_rad=sigma,
        found=chain.names[1:-1],
        reversed_joints=tuple(chain.names[joint] for joint in reversed_joints),
        rms_mm=_rms_mm(data, solution.values),
        held_out_mm=_held_out_mm(data),
        T_ref_base=solution.values[_BASE],
        T_probe_sensor=solution.values[_SENSOR],
    )
    _check_quality(result, chain, config)
    return result


def _check_travel(chain: Chain, q: Array, config: OffsetsConfig) -> None:
    for name, travel in zip(chain.names, np.ptp(q, axis=0), strict=True):
        if travel < config.min_travel_rad:
            remedy = "move every joint, and the probe in all directions"
            raise InputError(
                f"recording, joint {name}", expected=f"{config.min_travel_rad:g} rad of travel", got=f"{travel:.3f} rad", remedy=remedy
            )


def _check_quality(result: OffsetsCalibration, chain: Chain, config: OffsetsConfig) -> None:
    if not result.held_out_mm <= config.max_rms_mm:
        remedy = "check URDF, times of both streams, and that the sensor is fixed to the probe"
        expected = f"a held-out error of at most {config.max_rms_mm:g} mm"
        raise InputError("arm offsets", expected=expected, got=f"{result.held_out_mm:.2f} mm", remedy=remedy)
    for name, sigma in zip(chain.names, result.sigma_rad, strict=True):
        if name in result.found and not sigma <= config.max_sigma_rad:
            remedy = "move this joint and its neighbours further, with the probe in other directions"
            raise InputError(f"offset of {name}", expected=f"within {config.max_sigma_rad:g} rad", got=f"{sigma:.4f} rad", remedy=remedy)


def _find_reversed(data: _Data) -> tuple[int, ...]:
    """The joints that count the other way: the fewest with which the chain fits; none when it fits as it is, or no set helps.

    A chain fits when its error is that of the best set of all, to a factor of two.
    """
    few = data.part(np.unique(np.linspace(0, len(data.poses) - 1, _SEARCHED).astype(np.int64)))
    errors: dict[tuple[int, ...], float] = {}
    for count in range(data.config.max_reversed + 1):
        for joints in combinations(range(len(data.chain.names)), count):
            turned = few.turned(joints)
            errors[joints] = _rms_mm(turned, _fit(turned).values)
        if min(errors.values()) <= data.config.max_rms_mm:
            break
    best = min(errors.values())
    return next(joints for joints, error in errors.items() if error <= 2.0 * best)


def _fit(data: _Data) -> Solution:
    config, joints = data.config, len(data.chain.names)
    start = calibrate_joint(
        data.chain.T_base_tip(data.positions),
        data.poses,
        JointConfig(position_sigma_mm=config.position_sigma_mm, rotation_sigma_rad=config.rotation_sigma_rad, loss=Loss.NONE),
    )
    initial = {_BASE: start.T_ref_em, _SENSOR: start.sensors["sensor"].T_sensor_marker, _OFFSETS: np.zeros(joints - 2)}
    whitening = np.repeat([1.0 / config.position_sigma_mm, 1.0 / config.rotation_sigma_rad], 3)

    def residuals(values: Values) -> Array:
        return np.asarray((_errors(data, values) * whitening).ravel())

    def jacobian(values: Values) -> dict[str, Array]:
        return {name: (whitening[:, None] * block).reshape(-1, block.shape[-1]) for name, block in _derivatives(data, values).items()}

    # An offset compares with a millimetre at the length of an arm of half a metre.
    problem = Problem(initial, residuals, jacobian, group=3, typical={_OFFSETS: 0.002})
    return solve(problem, SolverConfig(loss=Loss.HUBER))


def _derivatives(data: _Data, values: Values) -> dict[str, Array]:
    """Derivatives (N, 6, n) of `_errors` by the left tangents of both poses and by the offsets."""
    X, Y = values[_BASE], values[_SENSOR]
    q = data.positions + _offsets(values, len(data.chain.names))
    T_base_probe = data.chain.T_base_tip(q)
    T_ref_probe = X @ T_base_probe
    predicted = T_ref_probe @ Y
    by_base, by_sensor = np.zeros((len(q), 6, 6)), np.zeros((len(q), 6, 6))
    by_base[:, :3, :3] = by_base[:, 3:, 3:] = np.eye(3)
    by_base[:, :3, 3:] = -se3.hat(predicted[:, :3, 3])
    R = T_ref_probe[:, :3, :3]
    by_sensor[:, :3, :3] = by_sensor[:, 3:, 3:] = R
    by_sensor[:, :3, 3:] = -R @ se3.hat(Y[:3, 3])
    J = data.chain.jacobian(q)[..., 1:-1]
    lever = T_base_probe[:, :3, :3] @ Y[:3, 3]
    by_offset = np.concatenate([X[:3, :3] @ (J[:, :3] - se3.hat(lever) @ J[:, 3:]), X[:3, :3] @ J[:, 3:]], axis=1)
    to_turn = se3.left_jacobian_inverse(-_errors(data, values)[:, 3:])
    blocks = {_BASE: by_base, _SENSOR: by_sensor, _OFFSETS: by_offset}
    return {name: -np.concatenate([block[:, :3], to_turn @ block[:, 3:]], axis=1) for name, block in blocks.items()}


def _errors(data: _Data, values: Values) -> Array:
    """Measured less predicted (N, 6): position in mm, rotation vector in rad."""
    q = data.positions + _offsets(values, len(data.chain.names))
    predicted = values[_BASE] @ data.chain.T_base_tip(q) @ values[_SENSOR]
    turn = Rotation.from_matrix(data.poses[:, :3, :3] @ np.swapaxes(predicted[:, :3, :3], 1, 2)).as_rotvec()
    return np.concatenate([data.poses[:, :3, 3] - predicted[:, :3, 3], turn], axis=1)


def _offsets(values: Values, joints: int) -> Array:
    offsets = np.zeros(joints)
    offsets[1:-1] = values[_OFFSETS]
    return offsets


def _sigma(solution: Solution, joints: int) -> Array:
    sigma = np.full(joints, np.nan)
    sigma[1:-1] = np.sqrt(np.diag(solution.tangent_covariance(_OFFSETS)))
    return sigma


def _rms_mm(data: _Data, values: Values) -> float:
    return float(np.sqrt(np.mean(np.sum(_errors(data, values)[:, :3] ** 2, axis=1))))


def _held_out_mm(data: _Data) -> float:
    """Whole stretches of the recording are left out in turn: poses beside one another are not independent."""
    squares = []
    for part in np.array_split(np.arange(len(data.poses)), data.config.folds):
        rest = data.part(np.setdiff1d(np.arange(len(data.poses)), part))
        squares.append(np.sum(_errors(data.part(part), _fit(rest).values)[:, :3] ** 2, axis=1))
    return float(np.sqrt(np.mean(np.concatenate(squares))))


def _improved(calibration: ArmCalibration, chain: Chain, offsets: Array, reversed_joints: tuple[int, ...]) -> ArmCalibration:
    def joint_of(name: str) -> tuple[float, int]:
        place = chain.names.index(name)
        return float(offsets[place]), -1 if place in reversed_joints else 1

    joints = []
    for joint in calibration.joints:
        offset, turn = joint_of(joint.name)
        joints.append(replace(joint, index_rad=joint.index_rad + offset, sign=joint.sign * turn))
    return replace(calibration, joints=tuple(joints))
