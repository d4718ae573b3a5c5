"""One tool moved by hand, as every sensor of the bench would see it: the truth behind latency calibration.

The sensors are plain physics on purpose: a lever in another frame, a jointed arm, the dipole of a magnet over an array, a pinhole camera, a
probe over a water bath. None is a linear image of the motion, each has its own noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from lodestone_core import se3

Array = npt.NDArray[np.float64]
_TONES = 5
_CENTRE_MM = np.array([0.0, 0.0, 80.0])
_UPPER_MM, _LOWER_MM = 260.0, 240.0
_SHOULDER_MM = np.array([-60.0, 330.0, 40.0])
_COUNT_RAD = 2.0 * np.pi / 16384
_MOMENT_AM2, _FIELD_NOISE_T, _LSB_T = 0.12, 6e-8, 1e-8
_IMAGE = (96, 128)
_BATH, _BOTTOM_MM = (80, 100), -10.0


@dataclass(frozen=True, slots=True, eq=False)
class HandMotion:
    """A tool that is moved back and forth by hand, mostly along one direction; poses (N, 4, 4; mm) in the bench at times (N,) in s."""

    direction: Array
    amplitude_mm: Array
    swing_rad: Array
    rate_hz: Array
    phase_rad: Array

    def T_bench_tool(self, times_s: Array) -> Array:
        """True poses."""
        waves = np.sin(2.0 * np.pi * self.rate_hz * times_s[:, None, None] + self.phase_rad)
        along = (waves[:, 0] * self.amplitude_mm[0]).sum(axis=1)
        aside = (waves[:, 1:4] * self.amplitude_mm[1:4]).sum(axis=2)
        swing = (waves[:, 4:7] * self.swing_rad).sum(axis=2)
        return se3.make(Rotation.from_rotvec(swing).as_matrix(), _CENTRE_MM + along[:, None] * self.direction + aside)


def draw_motion(rng: np.random.Generator, along_mm: float = 28.0, aside_mm: float = 4.0) -> HandMotion:
    """A random motion, slanted to all axes, between 0.2 and 1.3 Hz.

    `along_mm`: its size along its main direction (RMS times the root of 2); `aside_mm`: along each axis beside.
    """
    direction = rng.uniform(0.4, 1.0, 3) * rng.choice([-1.0, 1.0], 3)
    rate_hz = rng.uniform(0.2, 1.3, (7, _TONES))
    shares = rng.uniform(0.4, 1.0, (7, _TONES)) / np.sqrt(rate_hz)
    shares /= np.linalg.norm(shares, axis=1, keepdims=True)
    amplitude = shares[:4] * np.array([along_mm, aside_mm, aside_mm, 0.6 * aside_mm])[:, None]
    swing = 0.05 * shares[4:]
    return HandMotion(direction / np.linalg.norm(direction), amplitude, swing, rate_hz, rng.uniform(0.0, 2.0 * np.pi, (7, _TONES)))


def draw_periodic_motion(rng: np.random.Generator) -> HandMotion:
    """A motion that comes again every third of a second: no offset can be told from one a third of a second off."""
    motion = draw_motion(rng)
    return replace(motion, rate_hz=3.0 * np.ceil(rng.uniform(0.0, 2.0, motion.rate_hz.shape)), amplitude_mm=0.5 * motion.amplitude_mm)


Sensor = Callable[[Array, np.random.Generator], Array]
"""Measurements (N, ...) of tool poses (N, 4, 4), with noise."""


def aurora(T: Array, rng: np.random.Generator) -> Array:
    """Poses (N, 4, 4; mm) of a sensor on the tool, in the field generator's frame."""
    T_field_bench = se3.make(Rotation.from_rotvec([0.0, 0.0, -np.pi / 2]).as_matrix(), np.array([-100.0, 0.0, -100.0]))
    return _with_noise(T_field_bench @ T @ se3.make(np.eye(3), np.array([12.0, 5.0, 40.0])), 0.15, 1e-3, rng)


def encoders(T: Array, rng: np.random.Generator) -> Array:
    """Angles (N, 6) in rad of an arm that holds the tool: yaw, two links in a plane, three at the wrist; whole counts."""
    reach = T[:, :3, 3] - _SHOULDER_MM
    yaw = np.arctan2(reach[:, 1], reach[:, 0])
    out, up = np.hypot(reach[:, 0], reach[:, 1]), reach[:, 2]
    distance = np.hypot(out, up)
    elbow = np.pi - _angle(_UPPER_MM, _LOWER_MM, distance)
    shoulder = np.arctan2(up, out) + _angle(_UPPER_MM, distance, _LOWER_MM)
    wrist = Rotation.from_matrix(T[:, :3, :3]).as_euler("ZYX") - np.stack([yaw, shoulder - elbow, np.zeros_like(yaw)], axis=1)
    angles = np.column_stack([yaw, shoulder, elbow, wrist])
    return np.asarray(np.round(angles / _COUNT_RAD) * _COUNT_RAD)


def magnetometers(T: Array, rng: np.random.Generator) -> Array:
    """Fields (N, 48) in T of a magnet in the tool at a 4 x 4 array with a pitch of 40 mm, Earth's field included."""
    grid = np.arange(4) * 40.0 - 60.0
    sensors = np.array([[x, y, 0.0] for y in grid for x in grid])
    r = (sensors - T[:, None, :3, 3]) * 1e-3
    m = (_MOMENT_AM2 * T[:, :3, 2])[:, None, :]
    distance = np.linalg.norm(r, axis=2, keepdims=True)
    field = 1e-7 * (3.0 * r * np.sum(m * r, axis=2, keepdims=True) / distance**5 - m / distance**3) + np.array([0.0, 2e-5, -4.4e-5])
    noisy = field + _FIELD_NOISE_T * rng.standard_normal(field.shape)
    return np.asarray((np.round(noisy / _LSB_T) * _LSB_T).reshape(len(T), -1))


def camera(T: Array, rng: np.random.Generator) -> Array:
    """Images (N, 96, 128) of a camera that looks down: the tool as a bright spot before an uneven background."""
    rows, columns = _IMAGE
    v, u = np.mgrid[:rows, :columns].astype(np.float64)
    position = T[:, :3, 3]
    scale = 340.0 / (520.0 - position[:, 2])
    centre_u, centre_v = columns / 2 + scale * position[:, 0], rows / 2 - scale * position[:, 1]
    spot = np.exp(-0.5 * ((u - centre_u[:, None, None]) ** 2 + (v - centre_v[:, None, None]) ** 2) / (5.0 * scale[:, None, None]) ** 2)
    background = 60.0 + 25.0 * np.sin(u / 17.0) * np.cos(v / 11.0)
    return _digitised(background + 150.0 * spot, 2.5, rng)


def ultrasound(T: Array, rng: np.random.Generator) -> Array:
    """Images (N, 80, 100) of the flat bottom of a water bath below the probe: a bright line with speckle and one reverberation."""
    rows, columns = _BATH
    depth = np.linspace(5.0, 165.0, rows)[None, :, None]
    across = np.linspace(-50.0, 50.0, columns)
    edge = T[:, None, :3, 3] + across[None, :, None] * T[:, None, :3, 0]
    # Along a scan line (the probe's -z) to the plane z = _BOTTOM_MM.
    distance = (edge[:, :, 2] - _BOTTOM_MM) / T[:, None, 2, 2]
    line = np.exp(-0.5 * ((depth - distance[:, None, :]) / 2.5) ** 2) + 0.25 * np.exp(
        -0.5 * ((depth - 2.0 * distance[:, None, :]) / 4.0) ** 2
    )
    speckle = rng.rayleigh(0.8, (len(T), rows, columns))
    return _digitised((12.0 + 190.0 * line) * speckle, 1.0, rng)


def optical(T: Array, rng: np.random.Generator) -> Array:
    """Poses (N, 4, 4; mm) of a marker in an optical tracker's frame."""
    T_camera_bench = se3.make(Rotation.from_rotvec([2.1, 0.4, -0.3]).as_matrix(), np.array([40.0, -90.0, 1500.0]))
    return _with_noise(T_camera_bench @ T @ se3.make(np.eye(3), np.array([60.0, -20.0, 30.0])), 0.08, 5e-4, rng)


SENSORS: dict[str, tuple[Sensor, float]] = {
    "aurora": (aurora, 40.0),
    "encoders": (encoders, 100.0),
    "magnetometers": (magnetometers, 100.0),
    "camera": (camera, 10.0),
    "ultrasound": (ultrasound, 30.0),
    "optical": (optical, 20.0),
}
"""Each sensor with its rate in Hz."""


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """Stamps (N,) in ns and measurements (N, ...) of one sensor."""

    stamps_ns: npt.NDArray[np.int64]
    values: Array


def record(
    sensor: str,
    motion: HandMotion,
    duration_s: float,
    latency_s: float,
    rng: np.random.Generator,
    *,
    jitter_s: float = 3e-4,
    lost: float = 0.01,
) -> Recorded:
    """What a sensor's driver stamps: its latency late, with jitter, some samples lost, at a phase and rate of its own."""
    measure, rate_hz = SENSORS[sensor]
    rate_hz *= 1.0 + 1e-3 * rng.uniform(-1.0, 1.0)
    times = np.arange(rng.uniform(0.0, 1.0) / rate_hz, duration_s, 1.0 / rate_hz)
    times = times[rng.random(len(times)) >= lost]
    values = measure(motion.T_bench_tool(times), rng)
    stamps = times + latency_s + jitter_s * rng.standard_normal(len(times))
    return Recorded(1_700_000_000_000_000_000 + np.round(stamps * 1e9).astype(np.int64), values)


def _angle(a: Array | float, b: Array | float, opposite: Array | float) -> Array:
    """Angle between sides a and b of a triangle."""
    return np.asarray(np.arccos((np.square(a) + np.square(b) - np.square(opposite)) / (2.0 * np.asarray(a) * np.asarray(b))))


def _with_noise(T: Array, noise_mm: float, noise_rad: float, rng: np.random.Generator) -> Array:
    count = len(T)
    turn = Rotation.from_rotvec(noise_rad * rng.standard_normal((count, 3))).as_matrix()
    return se3.make(T[:, :3, :3] @ turn, T[:, :3, 3] + noise_mm * rng.standard_normal((count, 3)))


def _digitised(images: Array, noise: float, rng: np.random.Generator) -> Array:
    return np.asarray(np.clip(np.round(images + noise * rng.standard_normal(images.shape)), 0.0, 255.0))
