"""Kinematics of an arm of revolute joints: poses of all links, Jacobian and covariance of the tip, for many joint positions at once.

The geometric Jacobian follows Siciliano, Sciavicco, Villani, Oriolo, "Robotics", Springer 2009, section 3.1: a column of a revolute joint
is (axis x lever, axis). Its rows are the translation of the tip's origin and the rotation about it, both along the axes of the base: the
convention of every covariance in messages (lodestone_core.covariance).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from lodestone_core import se3
from lodestone_core.checks import as_array
from lodestone_core.errors import InputError
from lodestone_core.types import Array


@dataclass(frozen=True, slots=True, eq=False)
class Joint:
    """One joint: T_parent_child (4x4, mm) at angle zero, and its axis (unit vector in the child's frame), None for a fixed joint.

    `lower_rad` and `upper_rad` are infinite where the joint has no end.
    """

    name: str
    parent: str
    child: str
    T_parent_child: Array
    axis: Array | None
    lower_rad: float = -np.inf
    upper_rad: float = np.inf


class Chain:
    """An open chain from `base` to `tip`; joint angles are in rad, in the order of `names`, poses in mm."""

    def __init__(self, joints: tuple[Joint, ...]) -> None:
        """`joints` from the base to the tip, each the child of the one before. Raises InputError when they are not."""
        for before, joint in pairwise(joints):
            if before.child != joint.parent:
                raise InputError("chain", expected=f"a joint on {before.child}", got=joint.parent, remedy="give the joints in order")
        self.joints = joints
        self.base, self.tip = joints[0].parent, joints[-1].child
        turning = [joint for joint in joints if joint.axis is not None]
        self.names = tuple(joint.name for joint in turning)
        self.lower_rad = np.array([joint.lower_rad for joint in turning])
        self.upper_rad = np.array([joint.upper_rad for joint in turning])
        # T(q) = T0 + sin(q) S + (1 - cos(q)) C, Rodrigues' formula with the pose at zero multiplied in.
        self._zero = np.stack([joint.T_parent_child for joint in joints])
        self._turning = np.array([i for i, joint in enumerate(joints) if joint.axis is not None], dtype=np.intp)
        K = np.stack([se3.hat(np.zeros(3) if joint.axis is None else joint.axis) for joint in joints])
        self._sine, self._versine = np.zeros_like(self._zero), np.zeros_like(self._zero)
        self._sine[:, :3, :3] = self._zero[:, :3, :3] @ K
        self._versine[:, :3, :3] = self._zero[:, :3, :3] @ K @ K

    def edges(self, positions: npt.ArrayLike) -> list[tuple[str, str, Array]]:
        """Parent, child and T_parent_child (..., 4, 4) of every joint, fixed ones too, at joint angles (..., joints)."""
        T = self._poses(positions)
        return [(joint.parent, joint.child, T[..., i, :, :]) for i, joint in enumerate(self.joints)]

    def T_base_tip(self, positions: npt.ArrayLike) -> Array:
        """Pose (..., 4, 4) of the tip in the base at joint angles (..., joints)."""
        T = self._poses(positions)
        return reduce(np.matmul, (T[..., i, :, :] for i in range(len(self.joints))))

    def jacobian(self, positions: npt.ArrayLike) -> Array:
        """Velocity of the tip per joint velocity (..., 6, joints): mm/rad of its origin and rad/rad, along the axes of the base."""
        T, axes, origins = np.eye(4), [], []
        for joint, (_, _, T_parent_child) in zip(self.joints, self.edges(positions), strict=True):
            T = T @ T_parent_child
            if joint.axis is not None:
                axes.append(T[..., :3, :3] @ joint.axis)
                origins.append(T[..., :3, 3])
        levers = [T[..., :3, 3] - origin for origin in origins]
        columns = [np.concatenate([np.cross(axis, lever), axis], axis=-1) for axis, lever in zip(axes, levers, strict=True)]
        return np.stack(columns, axis=-1)

    def covariance(self, positions: npt.ArrayLike, C_joints: npt.ArrayLike) -> Array:
        """Covariance (..., 6, 6) of the tip's pose (mm, rad; message convention) for one of the joint angles (joints, joints) in rad^2.

        First order: it holds while the errors of the angles are small against 1 rad.
        """
        J = self.jacobian(positions)
        C = as_array("C_joints", C_joints, (len(self.names), len(self.names)))
        out = J @ C @ np.swapaxes(J, -1, -2)
        symmetric: Array = 0.5 * (out + np.swapaxes(out, -1, -2))
        return symmetric

    def _poses(self, positions: npt.ArrayLike) -> Array:
        """T_parent_child (..., all joints, 4, 4)."""
        q = self._checked(positions)
        angles = np.zeros((*q.shape[:-1], len(self.joints)))
        angles[..., self._turning] = q
        T: Array = self._zero + np.sin(angles)[..., None, None] * self._sine + (1.0 - np.cos(angles))[..., None, None] * self._versine
        return T

    def outside(self, positions: npt.ArrayLike, tolerance_rad: float = 0.0) -> npt.NDArray[np.bool_]:
        """Which angles (..., joints) lie further than the tolerance beyond a limit; NaN does not."""
        q = np.asarray(positions, dtype=np.float64)
        beyond: npt.NDArray[np.bool_] = (q < self.lower_rad - tolerance_rad) | (q > self.upper_rad + tolerance_rad)
        return beyond

    def _checked(self, positions: npt.ArrayLike) -> Array:
        q = np.asarray(positions, dtype=np.float64)
        if q.shape[-1:] != (len(self.names),):
            remedy = "give one angle for each of " + ", ".join(self.names)
            raise InputError("joint positions", expected=f"{len(self.names)} angles", got=f"shape {q.shape}", remedy=remedy)
        if not np.isfinite(q).all():
            remedy = "leave out what does not hold; a joint without an angle has no pose"
            raise InputError("joint positions", expected="finite angles", got=q.tolist(), remedy=remedy)
        return q
