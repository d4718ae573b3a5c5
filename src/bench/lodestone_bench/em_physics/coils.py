"""The field generator: circular transmitter coils in a flat box, each driven at its own frequency."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from lodestone_bench.em_physics.loops import loop_field, loop_gradient, loop_potential
from lodestone_core.types import Array


@dataclass(frozen=True, slots=True, eq=False)
class Generator:
    """F coils in the tracker's frame, which looks along -z: centres and unit axes (F, 3), radii (F,) in mm, frequencies (F,) in rad/s.

    Every coil carries 1 A; its electronics divides the sensor's voltage by the frequency, so that a channel reads a field.
    """

    centers_mm: Array
    axes: Array
    radii_mm: Array
    omega: Array

    def __len__(self) -> int:
        return len(self.radii_mm)

    def field(self, points: Array) -> Array:
        """Field (..., F, 3) in T per A at points (..., 3) in mm."""
        z, rho, s = self._cylinder(points)
        axial, radial = loop_field(s, z, self.radii_mm)
        return axial[..., None] * self.axes + radial[..., None] * rho

    def field_and_gradient(self, points: Array) -> tuple[Array, Array]:
        """Field (..., F, 3) and its gradient (..., F, 3, 3), dB_i/dx_j in T/mm per A."""
        z, rho, s = self._cylinder(points)
        axial, radial, by_z, by_s = loop_gradient(s, z, self.radii_mm)
        n = self.axes
        field = axial[..., None] * n + radial[..., None] * rho
        # Curl 0 and divergence 0 leave two derivatives: d(radial)/dz = 2 by_s, and s d(radial)/ds = -(by_z + 2 radial) / 2.
        along = by_z[..., None] * n + (2.0 * by_s)[..., None] * rho
        outwards = (2.0 * by_s)[..., None] * n - ((by_z + 2.0 * radial) / np.maximum(s, 1e-20))[..., None] * rho
        gradient = n[..., :, None] * along[..., None, :] + rho[..., :, None] * outwards[..., None, :]
        gradient += radial[..., None, None] * (np.eye(3) - n[:, :, None] * n[:, None, :])
        return field, gradient

    def potential(self, points: Array) -> Array:
        """Vector potential (..., F, 3) in T mm per A."""
        z, rho, s = self._cylinder(points)
        return loop_potential(s, z, self.radii_mm)[..., None] * np.cross(self.axes, rho)

    def _cylinder(self, points: Array) -> tuple[Array, Array, Array]:
        r = np.asarray(points, dtype=np.float64)[..., None, :] - self.centers_mm
        z = np.einsum("...fi,fi->...f", r, self.axes)
        rho = r - z[..., None] * self.axes
        return z, rho, np.einsum("...fi,...fi->...f", rho, rho)


_LAYOUT = (
    # x, y, z of the centre, mm; polar and azimuth angle of the axis, deg; radius, mm; frequency, kHz
    (-72.0, -70.0, 18.0, 50.0, 200.0, 26.0, 1.2),
    (2.0, -78.0, 42.0, 75.0, 95.0, 30.0, 2.1),
    (74.0, -66.0, 16.0, 35.0, 320.0, 24.0, 3.3),
    (-80.0, 4.0, 40.0, 80.0, 350.0, 32.0, 4.4),
    (3.0, -4.0, 12.0, 8.0, 40.0, 35.0, 5.9),
    (79.0, 6.0, 44.0, 70.0, 175.0, 29.0, 7.3),
    (-68.0, 75.0, 15.0, 40.0, 130.0, 22.0, 8.8),
    (-3.0, 72.0, 46.0, 85.0, 280.0, 33.0, 10.6),
    (71.0, 77.0, 20.0, 55.0, 60.0, 18.0, 12.7),
)  # fmt: skip


@cache
def planar_generator() -> Generator:
    """The nine coils of this project's simulated tracker, in a box of 200 x 200 x 60 mm behind z = 0."""
    layout = np.array(_LAYOUT)
    polar, azimuth = np.deg2rad(layout[:, 3:5]).T
    axes = np.stack([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], axis=-1)
    return Generator(layout[:, :3], axes, layout[:, 5], 2e3 * np.pi * layout[:, 6])
