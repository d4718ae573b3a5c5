"""What a registration says about one edge, in pure form; the message RegistrationEstimate in millimetres."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class State(IntEnum):
    """Values as in lodestone_msgs/RegistrationEstimate."""

    UNKNOWN = 0
    INITIALISING = 1
    OK = 2
    DEGRADED = 3
    INVALID = 4

    @property
    def usable(self) -> bool:
        """Whether a pose in this state may be used at all."""
        return self in (State.OK, State.DEGRADED)


class Reason(IntFlag):
    """Bits as in lodestone_msgs/RegistrationEstimate."""

    NONE = 0
    NO_REGISTRATION = 1
    TOO_FEW_FIDUCIALS = 2
    POOR_GEOMETRY = 4
    INPUT_MISSING = 8
    INPUT_FAULT = 16
    OUT_OF_VOLUME = 32
    TRACKER_ERROR_HIGH = 64
    EXPECTED_TRE_HIGH = 128
    COVARIANCE_INVALID = 256
    STALE = 512
    JUMP = 1024
    CLOCK_STEP = 2048
    FRAME_MISMATCH = 4096
    UNOBSERVED_DIRECTION = 8192
    MALFORMED = 16384
    DISTORTION = 32768
    OUT_OF_DOMAIN = 65536


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """T_parent_child (4x4, mm) with its uncertainty.

    `covariance` is 6x6 in mm and rad, order x y z rotX rotY rotZ: left perturbation, translation and rotation about the parent's axes
    at the child's origin. `T_parent_child` and `covariance` are None unless the state is usable. `expected_tre_mm` is the radius that
    holds the error at `target_mm` (child frame) with 95 % probability, NaN when unknown.
    """

    stamp_ns: int
    parent: str
    child: str
    state: State
    T_parent_child: Array | None = None
    covariance: Array | None = None
    reasons: Reason = Reason.NONE
    detail: str = ""
    target_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    expected_tre_mm: float = float("nan")
    epoch: int = 0
    processing_latency_s: float = float("nan")
