"""Streams of stamped poses: interpolation at other stamps, refused across gaps and jumps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lodestone_core import se3
from lodestone_core.checks import as_se3_stack
from lodestone_core.config import option
from lodestone_core.errors import InputError
from lodestone_core.time import NS_PER_S
from lodestone_core.types import Array

Stamps = npt.NDArray[np.int64]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class PairingConfig:
    """When a pose may be interpolated between two samples."""

    max_gap_s: float = option(0.25, unit="s", doc="no interpolation between samples further apart in time", minimum=0.0)
    max_step_mm: float = option(50.0, unit="mm", doc="no interpolation between samples further apart in space", minimum=0.0)
    max_step_rad: float = option(0.35, unit="rad", doc="no interpolation between samples turned by more", minimum=0.0)


_DEFAULTS = PairingConfig()


@dataclass(frozen=True, slots=True, eq=False)
class PoseStream:
    """Valid poses `T` (N, 4, 4; mm) of one body at rising acquisition stamps (N,) in ns."""

    stamps_ns: Stamps
    T: Array

    def brackets(self, stamps_ns: Stamps) -> Indices:
        """Index of the sample before each stamp, such that a sample follows it."""
        return np.clip(np.searchsorted(self.stamps_ns, stamps_ns, side="right") - 1, 0, len(self.stamps_ns) - 2)

    def at(self, stamps_ns: Stamps, offset_s: float = 0.0) -> Array:
        """Pose (M, 4, 4) at stamps plus an offset; beyond the ends the nearest piece is continued."""
        whole = round(offset_s * NS_PER_S)
        before = self.brackets(stamps_ns + whole)
        t0, t1 = self.stamps_ns[before], self.stamps_ns[before + 1]
        # The differences of int stamps are small and exact; the offset's fraction of a ns keeps derivatives smooth.
        share = ((stamps_ns - t0) + offset_s * NS_PER_S) / (t1 - t0)
        return se3.interpolate(self.T[before], self.T[before + 1], share)

    def covers(self, stamps_ns: Stamps, offset_s: float = 0.0, config: PairingConfig = _DEFAULTS) -> npt.NDArray[np.bool_]:
        """Whether each stamp plus an offset lies between two samples with neither a gap nor a jump between them."""
        moved = stamps_ns + round(offset_s * NS_PER_S)
        before = self.brackets(moved)
        T0, T1 = self.T[before], self.T[before + 1]
        t0, t1 = self.stamps_ns[before], self.stamps_ns[before + 1]
        inside = (moved >= t0) & (moved <= t1) & (t1 - t0 <= config.max_gap_s * NS_PER_S)
        near = np.linalg.norm(T1[:, :3, 3] - T0[:, :3, 3], axis=1) <= config.max_step_mm
        return np.asarray(inside & near & (se3.geodesic(T0, T1) <= config.max_step_rad))


def as_pose_stream(name: str, stamps_ns: npt.ArrayLike, T: npt.ArrayLike, at_least: int = 2) -> PoseStream:
    """Stream of poses in the order of their stamps; of samples with one stamp the first is kept.

    Raises InputError for stamps that are not int64 nanoseconds, poses that are not rigid, or fewer than `at_least`.
    """
    stamps = np.asarray(stamps_ns)
    poses = as_se3_stack(name, T, at_least=at_least)
    if stamps.dtype.kind not in "iu" or stamps.shape != (len(poses),):
        raise InputError(
            f"stamps of {name}",
            expected=f"{len(poses)} integers in nanoseconds",
            got=f"{stamps.dtype} of shape {stamps.shape}",
            remedy="carry the acquisition stamps unchanged",
        )
    # A tracker's log may hold samples out of order; time, not the line, says where a pose belongs.
    _, first = np.unique(stamps.astype(np.int64), return_index=True)
    if len(first) < at_least:
        raise InputError(name, expected=f"at least {at_least} different stamps", got=len(first), remedy="record longer")
    return PoseStream(stamps.astype(np.int64)[first], poses[first])
