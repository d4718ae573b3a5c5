"""What a touch of a known point says of the registration in use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from em_registration.config import RegistrationConfig
from em_registration.correction import adopt, image_from_tools
from em_registration.registration import Registration
from em_registration.types import Fiducial
from lodestone_core import covariance, se3
from lodestone_core.types import ToolSample, ToolStatus


@dataclass(frozen=True, slots=True)
class Miss:
    """How far the corrected tip was from the known point, and the radius within which it should be in 95 of 100 cases, mm."""

    off_mm: float
    expected_mm: float


def miss_at(model: Registration, config: RegistrationConfig, fiducial: Fiducial) -> Miss:
    """The miss of a registration at a touched point that it may or may not have been computed from."""
    T_tracker_tool = se3.make(np.eye(3), np.array(fiducial.tracker_mm)) if fiducial.pose is None else fiducial.pose
    tool = ToolSample(fiducial.tool, ToolStatus.VALID, T_tracker_tool)
    poses = image_from_tools(adopt(model, config), config, [tool])
    tip = model.reference_mm(fiducial.tool) if fiducial.pose is not None else np.zeros(3)
    C = covariance.tre_covariance_at(poses.T_image_tool, poses.covariance, tip)
    off = np.linalg.norm(se3.transform(poses.T_image_tool[0], tip) - fiducial.image_mm)
    return Miss(float(off), float(covariance.expected_radius_95(C)[0]))
