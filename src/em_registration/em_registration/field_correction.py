"""A distortion field in the correction of tools: the field says where the tip is, the rigid registration which way the tool points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from em_registration.field.pose_field import PoseField
from em_registration.registration import Registration
from lodestone_core import covariance, se3
from lodestone_core.types import Array


@dataclass(frozen=True, slots=True, eq=False)
class ImagePoses:
    """T_image_tool (N, 4, 4) of tools, covariances (N, 6, 6), and how far (N,) each is from what its correction was fitted to.

    `domain_ratio`: share of the distortion's variance that the fitted data leave open, 0 beside them (and for a rigid correction) to 1.
    """

    T_image_tool: Array
    covariance: Array
    domain_ratio: Array


def with_fields(model: Registration, names: Sequence[str], T_tracker_tool: Array, rigid: ImagePoses, C_measured: Array) -> ImagePoses:
    """Poses with the tip of each tool that has a field put where the field says; the others stay as they are, to the last bit.

    `rigid`: what the rigid registration gives. `C_measured` (N, 6, 6): the measurement's own noise along the image's axes, which the field
    does not know of: a fiducial is a mean of many samples.
    """
    T, C, ratio = rigid.T_image_tool.copy(), rigid.covariance.copy(), rigid.domain_ratio.copy()
    fields = [model.field_of(name) for name in names]
    for field in {id(one): one for one in fields if one is not None}.values():
        # One pass for all tools of a field: a call costs more than the numbers of a tool.
        these = np.array([i for i, one in enumerate(fields) if one is field])
        T[these], C[these] = _placed(field, model, T_tracker_tool[these], T[these], C_measured[these])
        ratio[these] = field.domain_ratio(T_tracker_tool[these])
    return ImagePoses(T, C, ratio)


def _placed(field: PoseField, model: Registration, T_tracker_tool: Array, T_rigid: Array, C_measured: Array) -> tuple[Array, Array]:
    tip = field.data.tip_tool_mm
    found = field.of_map(T_tracker_tool)
    T_image_tip = T_rigid.copy()
    T_image_tip[:, :3, 3] = found.mean_mm
    T_tip_tool = se3.make(np.eye(3), -tip)
    C_tip = np.zeros((len(T_rigid), 6, 6))
    C_tip[:, :3, :3] = found.covariance
    C_tip[:, 3:, 3:] = _rotation_covariance(field, model)
    # The error of the place is the field's and that of the direction the registration's: independent at the tip, not at the origin.
    return T_image_tip @ T_tip_tool, covariance.compose(T_image_tip, C_tip, T_tip_tool, np.zeros((6, 6))) + C_measured


def _rotation_covariance(field: PoseField, model: Registration) -> Array:
    """Covariance (3, 3) in rad^2 of the orientation, along the image's axes: the registration's, and what the distortion turns.

    No correspondence tells how much a distorted field turns a sensor; what it turns is taken to be of the size of the distortion's
    gradient, s^2 r^2 / length^2 for a squared exponential, over the hypotheses.
    """
    h = field.chosen
    R = model.T_tracker_image[:3, :3]
    gradient = float(field.inflation * field.weights @ (field.fits.s2 * h.ratio**2 / h.length_mm**2))
    return np.asarray(R.T @ model.covariance[3:, 3:] @ R + gradient * np.eye(3))
