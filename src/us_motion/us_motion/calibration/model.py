"""Residuals of spots and their derivatives.

A wire is seen where it crosses the image's plane: the residual is the distance in the image from there, two numbers, mm. A point target is
seen while it is within the slice: three numbers, two in the image and one across it. All are divided by what is expected of them.

Blocks: `T_probe_image` (X); `T_ref_phantom` (Y) where the phantom is not tracked, or the `point` (3,) in the reference; `spacing` (2,), the
size of a pixel over what the machine says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lodestone_core import se3
from lodestone_core.least_squares import Values
from lodestone_core.types import Array
from us_motion.calibration.config import ProbeCalibrationConfig
from us_motion.calibration.observations import Observations
from us_motion.calibration.phantom import WirePhantom

X, Y, POINT, SPACING = "T_probe_image", "T_ref_phantom", "point", "spacing"
_EDGE_ON = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class WireModel:
    """Spots of wires. Without `Y` among the values the reference is the phantom."""

    data: Observations
    phantom: WirePhantom
    config: ProbeCalibrationConfig
    group: int = 2

    def residuals(self, values: Values) -> Array:
        """(N, 2) over the expected noise, predicted less seen."""
        place, along, _ = self._wires(values)
        crossing = place[:, :2] - along[:, :2] * (place[:, 2] / along[:, 2])[:, None]
        return np.asarray((crossing - _seen(self.data, values)) / self.config.in_plane_sigma_mm)

    def errors_mm(self, values: Values) -> Array:
        """Distance (N,) in the image between spot and wire."""
        return np.asarray(np.linalg.norm(self.residuals(values), axis=1) * self.config.in_plane_sigma_mm)

    def jacobian(self, values: Values) -> Mapping[str, Array]:
        """By block, (2 N, 6 or 2)."""
        place, along, on_probe = self._wires(values)
        # A point of the wire moves by d: the crossing moves by d's part in the image, less what the wire runs to stay in the plane.
        ratio = along[:, :2] / along[:, 2:]
        in_image = np.zeros((len(place), 2, 3))
        in_image[:, 0, 0] = in_image[:, 1, 1] = 1.0
        in_image[:, :, 2] = -ratio
        # The point of the wire that is in the plane now has no z: only its own motion counts, the wire's turn does not.
        R_image_probe = values[X][:3, :3].T
        crossing_probe = on_probe - _along_probe(values, along) * (place[:, 2] / along[:, 2])[:, None]
        by_point = in_image @ R_image_probe
        found = {X: np.concatenate([-by_point, by_point @ se3.hat(crossing_probe)], axis=2)}
        if Y in values:
            R_probe_ref = np.swapaxes(self.data.T_ref_probe[self.data.image, :3, :3], 1, 2)
            crossing_ref = se3.transform(self.data.T_ref_probe[self.data.image], crossing_probe)
            by_ref = by_point @ R_probe_ref
            found[Y] = np.concatenate([by_ref, -by_ref @ se3.hat(crossing_ref)], axis=2)
        if SPACING in values:
            found[SPACING] = -self.data.points_mm[:, :2, None] * np.eye(2)
        return {name: (part / self.config.in_plane_sigma_mm).reshape(-1, part.shape[2]) for name, part in found.items() if name in values}

    def _wires(self, values: Values) -> tuple[Array, Array, Array]:
        """Point and direction (N, 3) of each spot's wire in the image, and the point in the probe."""
        points, directions = self.phantom.points_mm[self.data.wire], self.phantom.directions[self.data.wire]
        T_ref_phantom = values.get(Y, np.eye(4))
        T_image_probe = se3.inverse(values[X])
        T_probe_ref = se3.inverse(self.data.T_ref_probe)[self.data.image]
        on_probe = se3.transform(T_probe_ref, se3.transform(T_ref_phantom, points))
        R = T_image_probe[:3, :3] @ T_probe_ref[:, :3, :3] @ T_ref_phantom[:3, :3]
        along = (R @ directions[..., None])[..., 0]
        # A wire in the plane crosses it nowhere; such a spot is an outlier, not a division by zero.
        flat = np.abs(along[:, 2]) < _EDGE_ON
        along[flat, 2] = _EDGE_ON
        return np.asarray(se3.transform(T_image_probe, on_probe)), along, on_probe


@dataclass(frozen=True, slots=True, eq=False)
class PointModel:
    """Spots of one point that rests in the reference."""

    data: Observations
    config: ProbeCalibrationConfig
    group: int = 3

    def residuals(self, values: Values) -> Array:
        """(N, 3) over what is expected: predicted less seen in the image, and the point's distance from the plane."""
        apart = se3.transform(se3.inverse(values[X]), self._on_probe(values))
        apart[:, :2] -= _seen(self.data, values)
        return np.asarray(apart / self._sigmas)

    def errors_mm(self, values: Values) -> Array:
        """Distance (N,) in the image between spot and point."""
        return np.asarray(np.linalg.norm((self.residuals(values) * self._sigmas)[:, :2], axis=1))

    def jacobian(self, values: Values) -> Mapping[str, Array]:
        """By block, (3 N, 6, 3 or 2)."""
        on_probe = self._on_probe(values)
        R_image_probe = np.broadcast_to(values[X][:3, :3].T, (len(on_probe), 3, 3))
        R_probe_ref = np.swapaxes(self.data.T_ref_probe[self.data.image, :3, :3], 1, 2)
        found = {X: np.concatenate([-R_image_probe, R_image_probe @ se3.hat(on_probe)], axis=2), POINT: R_image_probe @ R_probe_ref}
        if SPACING in values:
            scale = np.zeros((len(on_probe), 3, 2))
            scale[:, :2] = -self.data.points_mm[:, :2, None] * np.eye(2)
            found[SPACING] = scale
        return {name: (part / self._sigmas[:, None]).reshape(-1, part.shape[2]) for name, part in found.items()}

    @property
    def _sigmas(self) -> Array:
        return np.array([self.config.in_plane_sigma_mm] * 2 + [self.config.across_sigma_mm])

    def _on_probe(self, values: Values) -> Array:
        return np.asarray(se3.transform(se3.inverse(self.data.T_ref_probe)[self.data.image], values[POINT]))


Model = WireModel | PointModel


def _seen(data: Observations, values: Values) -> Array:
    return np.asarray(data.points_mm[:, :2] * values.get(SPACING, np.ones(2)))


def _along_probe(values: Values, along: Array) -> Array:
    """Directions (N, 3) of the image frame in the probe's."""
    return np.asarray(along @ values[X][:3, :3].T)
