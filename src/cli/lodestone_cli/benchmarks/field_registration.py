"""A registration with a distortion field, made up for the emulated world: a benchmark of speed, in which its truth does not matter."""

from __future__ import annotations

import numpy as np

from em_registration.config import RegistrationConfig
from em_registration.paired_poses import Provenance
from em_registration.refit import FitJob, fit
from em_registration.registration import EVERY_TOOL, Registration
from em_registration.types import Fiducial, rows
from lodestone_bench.world.config import default_script
from lodestone_bench.world.scripted import ScriptedWorld
from lodestone_cli.benchmarks.em_rig import known_registration
from lodestone_core import se3
from lodestone_core.types import Array

PASSED_S = 77.0
"""The path of the default world has been everywhere by then."""


def field_registration(tools: int, points: int, seed: int) -> Registration:
    """`points` touches along the path of the default world's sensors, bent by a few millimetres; one field serves all tools."""
    world = ScriptedWorld(default_script(tools))
    rng = np.random.default_rng(seed)
    times_s = np.sort(rng.uniform(0.0, PASSED_S, points))
    names = list(world.script.tools)
    T = np.stack([world.T_field_tool(names[i % tools], times_s[i : i + 1])[0] for i in range(points)])
    at = T[:, :3, 3]
    image = se3.transform(se3.inverse(known_registration().T_tracker_image), bent(at)) + rng.normal(scale=0.15, size=at.shape)
    touched = tuple(
        Fiducial(f"point_{i}", _triple(q), _triple(p), EVERY_TOOL, 0.1, 40, T_tracker_tool=rows(pose))
        for i, (q, p, pose) in enumerate(zip(image, at, T, strict=True))
    )
    return fit(FitJob("benchmark", touched, RegistrationConfig(), Provenance("2026-01-01T00:00:00+00:00", "0.1.0")))


def bent(points_mm: Array) -> Array:
    """Points (N, 3) off by up to 2.5 mm an axis, smoothly."""
    x, y, z = points_mm.T / 90.0
    return np.asarray(points_mm + 2.5 * np.stack([np.sin(y + z), np.cos(x), np.tanh(x - y)], axis=1))


def _triple(point: Array) -> tuple[float, float, float]:
    x, y, z = point.tolist()
    return (x, y, z)
