"""The gates between an estimate and a frame that a controller may use. Pure: clocks are arguments."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lodestone_core.estimate import Estimate, Reason, State
from lodestone_core.time import ns_from_s, s_from_ns
from lodestone_core.types import Array
from lodestone_guidance.config import AuthorityConfig

_IDENTITY = np.eye(3)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an estimate is not used, in bits and in a sentence with the remedy."""

    reason: Reason
    detail: str
    state: State = State.INVALID


def refuse(estimate: Estimate, config: AuthorityConfig, now_ns: int) -> Refusal | None:
    """The first gate that an estimate fails on its own merits; None when it passes all."""
    for gate in (_state, _pose, _covariance, _age, _quality):
        refusal = gate(estimate, config, now_ns)
        if refusal is not None:
            return refusal
    return None


def jumped(previous: Estimate, estimate: Estimate, elapsed_ns: int, config: AuthorityConfig) -> Refusal | None:
    """Whether a pose is further from an earlier one than anything on a bench moves in `elapsed_ns`."""
    if previous.T_parent_child is None or estimate.T_parent_child is None:
        return None
    step_mm = math.dist(estimate.T_parent_child[:3, 3].tolist(), previous.T_parent_child[:3, 3].tolist())
    allowed_mm = config.jump_mm + config.jump_speed_mm_s * s_from_ns(elapsed_ns)
    if step_mm <= allowed_mm:
        return None
    return Refusal(
        Reason.JUMP,
        f"moved {step_mm:.1f} mm where {allowed_mm:.1f} mm are plausible: check for distortion or a swapped tool",
    )


def _state(estimate: Estimate, config: AuthorityConfig, now_ns: int) -> Refusal | None:
    if estimate.state.usable:
        return None
    detail = estimate.detail or f"the registration says {estimate.state.name}"
    initialising = estimate.state is State.INITIALISING
    return Refusal(estimate.reasons, detail, State.INITIALISING if initialising else State.INVALID)


def _pose(estimate: Estimate, config: AuthorityConfig, now_ns: int) -> Refusal | None:
    T = estimate.T_parent_child
    if T is None or T.shape != (4, 4) or not np.isfinite(T).all():
        return Refusal(Reason.MALFORMED, "a usable state came without a finite pose: mend the registration node")
    R = T[:3, :3]
    if np.abs(R @ R.T - _IDENTITY).max() > 1e-6 or np.linalg.det(R) < 0.0:
        return Refusal(Reason.MALFORMED, "the rotation is not orthonormal: mend the registration node")
    return None


def _covariance(estimate: Estimate, config: AuthorityConfig, now_ns: int) -> Refusal | None:
    C = estimate.covariance
    if C is None or C.shape != (6, 6) or not np.isfinite(C).all() or not _symmetric(C):
        return Refusal(Reason.COVARIANCE_INVALID, "the covariance is not finite and symmetric: mend the registration node")
    eigenvalues = np.linalg.eigvalsh(C)
    if eigenvalues[0] < -1e-9 * max(float(eigenvalues[-1]), 1e-12) or eigenvalues[-1] <= 0.0:
        return Refusal(
            Reason.COVARIANCE_INVALID,
            "the covariance is not positive semi-definite, or zero: mend the registration node",
        )
    if np.trace(C[:3, :3]) <= config.max_sigma_mm**2:
        return None  # no direction has more variance than all together
    sigma_mm = math.sqrt(np.linalg.eigvalsh(C[:3, :3])[-1])
    if sigma_mm <= config.max_sigma_mm:
        return None
    got = f"sigma of the position is {sigma_mm:.2f} mm, the limit is {config.max_sigma_mm:g} mm"
    return Refusal(Reason.EXPECTED_TRE_HIGH, got)


def _symmetric(C: Array) -> bool:
    # Exactly so in all but odd cases, and that is far quicker to see.
    return bool((C == C.T).all()) or np.allclose(C, C.T, rtol=1e-6, atol=1e-12)


def _age(estimate: Estimate, config: AuthorityConfig, now_ns: int) -> Refusal | None:
    age_ns = now_ns - estimate.stamp_ns
    if age_ns > ns_from_s(config.max_age_s):
        return Refusal(
            Reason.STALE,
            f"{s_from_ns(age_ns):.3f} s old on arrival, the limit is {config.max_age_s:g} s: look for load or a slow line",
        )
    if -age_ns > ns_from_s(config.max_ahead_s):
        return Refusal(
            Reason.CLOCK_STEP,
            f"stamped {s_from_ns(-age_ns):.3f} s ahead of this machine's clock: synchronise the clocks",
        )
    return None


def _quality(estimate: Estimate, config: AuthorityConfig, now_ns: int) -> Refusal | None:
    # Written so that NaN (nothing known of the error) is refused too.
    if estimate.expected_tre_mm <= config.max_tre_mm:
        return None
    got = f"the expected error is {estimate.expected_tre_mm:.2f} mm, the limit is {config.max_tre_mm:g} mm"
    return Refusal(Reason.EXPECTED_TRE_HIGH, f"{got}: register again, nearer to the target")
