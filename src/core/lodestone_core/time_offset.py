"""Time offset between two pose streams of one rigid body, each in its own frame and on its own point of the body.

No calibration is needed beforehand: a closed-form joint calibration is tried over a grid of offsets, then offset and
calibration are refined together. Only motion carries the information, so the standard deviation comes with the value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lodestone_core import joint_model
from lodestone_core.config import option, section
from lodestone_core.errors import InputError
from lodestone_core.least_squares import Loss, Problem, SolverConfig, Values, solve
from lodestone_core.pose_stream import PairingConfig, PoseStream, as_pose_stream
from lodestone_core.types import Array

_DERIVATIVE_S = 1e-3  # wide enough to average over the corners of the interpolation, short against any motion
_TYPICAL_S = 0.02  # at 50 mm/s this is 1 mm


@dataclass(frozen=True, slots=True)
class TimeOffsetConfig:
    """Where to look for the offset, and how far to trust positions and rotations."""

    max_offset_s: float = option(0.5, unit="s", doc="offsets up to this size are looked for", minimum=0.0)
    step_s: float = option(0.05, unit="s", doc="step of the search", minimum=1e-3)
    max_sigma_s: float = option(0.02, unit="s", doc="a less certain offset is refused", minimum=0.0)
    min_pairs: int = option(20, doc="fewest poses of one stream within the other", minimum=10)
    position_sigma_mm: float = option(0.5, unit="mm", doc="expected noise of a coordinate", minimum=1e-6)
    rotation_sigma_rad: float = option(0.005, unit="rad", doc="expected noise of a rotation", minimum=1e-9)
    loss: Loss = option(Loss.HUBER, doc="how strongly far residuals pull")
    correlated_poses: int = option(4, doc="consecutive poses whose errors may depend on one another", minimum=1)
    pairing: PairingConfig = section(PairingConfig, doc="when a pose may be interpolated")


_DEFAULTS = TimeOffsetConfig()


@dataclass(frozen=True, slots=True)
class TimeOffset:
    """Offset in s: what stream a stamps t, stream b stamps t + seconds. `sigma_s`: standard deviation. `pairs`: poses used."""

    seconds: float
    sigma_s: float
    pairs: int


def estimate_time_offset(
    stamps_a_ns: npt.ArrayLike,
    T_a: npt.ArrayLike,
    stamps_b_ns: npt.ArrayLike,
    T_b: npt.ArrayLike,
    config: TimeOffsetConfig = _DEFAULTS,
) -> TimeOffset:
    """Offset between poses (N, 4, 4) and (M, 4, 4) in mm of one rigid body at stamps in ns; b is interpolated at a.

    Raises InputError for too little overlap, an offset outside the search, or a motion that does not tell it.
    """
    a = as_pose_stream("stream a", stamps_a_ns, T_a, at_least=config.min_pairs)
    b = as_pose_stream("stream b", stamps_b_ns, T_b)
    start = _search(a, b, config)
    used = b.covers(a.stamps_ns, start, config.pairing)
    part = PoseStream(a.stamps_ns[used], a.T[used])
    found = _refine(part, b, start, config)
    if abs(found.seconds) > config.max_offset_s:
        raise InputError(
            "time offset",
            expected=f"at most {config.max_offset_s:g} s",
            got=f"{found.seconds:.3f} s",
            remedy="raise max_offset_s, or check that both streams are of one recording",
        )
    if not found.sigma_s <= config.max_sigma_s:
        raise InputError(
            "time offset",
            expected=f"a standard deviation of at most {config.max_sigma_s:g} s",
            got=f"{found.sigma_s:.3g} s",
            remedy="move the tool back and forth while recording",
        )
    return found


def _search(a: PoseStream, b: PoseStream, config: TimeOffsetConfig) -> float:
    """Offset of the grid under which the closed form fits best."""
    steps = int(np.ceil(config.max_offset_s / config.step_s))
    lever = config.position_sigma_mm / config.rotation_sigma_rad
    best, offset = float("inf"), 0.0
    most = 0
    for candidate in np.arange(-steps, steps + 1) * config.step_s:
        used = b.covers(a.stamps_ns, candidate, config.pairing)
        most = max(most, int(np.count_nonzero(used)))
        if np.count_nonzero(used) < config.min_pairs:
            continue
        pairs = {"": (a.T[used], b.at(a.stamps_ns[used], candidate))}
        median = joint_model.closed_form(pairs, lever)[2]
        if median < best:
            best, offset = median, float(candidate)
    if not np.isfinite(best):
        raise InputError(
            "time offset",
            expected=f"at least {config.min_pairs} poses of one stream within the other, without gaps",
            got=most,
            remedy="check that both stamps come from one clock, or raise pairing.max_gap_s",
        )
    return offset


def _refine(a: PoseStream, b: PoseStream, start_s: float, config: TimeOffsetConfig) -> TimeOffset:
    """Offset and calibration together, over poses of a that b covers."""
    whitening = np.repeat([1.0 / config.position_sigma_mm, 1.0 / config.rotation_sigma_rad], 3)

    def at(values: Values, shift_s: float = 0.0) -> Array:
        Q = b.at(a.stamps_ns, float(values["offset_s"][0]) + shift_s)
        return np.asarray((joint_model.residuals(values["X"], values["B"], a.T, Q) * whitening).ravel())

    def jacobian(values: Values) -> dict[str, Array]:
        Q = b.at(a.stamps_ns, float(values["offset_s"][0]))
        by_X, by_B = joint_model.jacobians(values["X"], values["B"], a.T, Q)
        by_offset = (at(values, _DERIVATIVE_S) - at(values, -_DERIVATIVE_S)) / (2.0 * _DERIVATIVE_S)
        blocks = {"X": by_X, "B": by_B}
        whitened = {name: (whitening[:, None] * by).reshape(-1, 6) for name, by in blocks.items()}
        return {**whitened, "offset_s": by_offset[:, None]}

    lever = config.position_sigma_mm / config.rotation_sigma_rad
    X, B, _ = joint_model.closed_form({"": (a.T, b.at(a.stamps_ns, start_s))}, lever)
    initial = {"X": X, "B": B[""], "offset_s": np.array([start_s])}
    cluster = joint_model.cluster_size(config.correlated_poses, len(a.T), unknowns=13)
    problem = Problem(initial, at, jacobian, group=3, typical={"offset_s": _TYPICAL_S}, cluster=cluster)
    solution = solve(problem, SolverConfig(loss=config.loss, step_tolerance_mm=1e-6))
    unobserved = any("offset_s" in direction.blocks for direction in solution.unobserved)
    sigma = float("inf") if unobserved else float(np.sqrt(solution.tangent_covariance("offset_s")[0, 0]))
    return TimeOffset(float(solution.values["offset_s"][0]), sigma, len(a.stamps_ns))
