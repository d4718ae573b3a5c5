"""The scripted world as a pair of recordings in the text form of tracking_text: what a bench without recordings calibrates on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from lodestone_bench.world.scripted import ScriptedWorld, seen
from lodestone_core import se3
from lodestone_core.time import ns_from_s

INVALID_MM = 1.23244e28
"""The mark that the recorded tracker writes for a sample without a solution."""


def write_recordings(world: ScriptedWorld, duration_s: float, em_path: Path, optical_path: Path, start_ns: int = 10**12) -> None:
    """Write both tracks of the first `duration_s` seconds, with their noise, at the script's rates and one clock.

    Sample times are those of the frames; a tool's lines stand a microsecond after the tool's before it, so that no two are equal.
    """
    em_path.write_text("".join(f"{line}\n" for line in _em_lines(world, duration_s, start_ns)), encoding="utf-8")
    optical_path.write_text("".join(f"{line}\n" for line in _optical_lines(world, duration_s, start_ns)), encoding="utf-8")


def _em_lines(world: ScriptedWorld, duration_s: float, start_ns: int) -> list[str]:
    numbers, times_s = _frames(duration_s, world.script.world.rate_hz)
    lines: list[tuple[int, str]] = []
    for sensor, (name, tool) in enumerate(world.script.tools.items()):
        poses = world.measured_tool(name, times_s, numbers)
        for t, T in zip(times_s, poses, strict=True):
            stamp = start_ns + ns_from_s(float(t)) + 1000 * sensor
            lines.append((stamp, f"SensorID: {sensor} {_body(T, seen(tool, float(t)))} Time: {stamp}"))
    return [line for _, line in sorted(lines)]


def _optical_lines(world: ScriptedWorld, duration_s: float, start_ns: int) -> list[str]:
    numbers, times_s = _frames(duration_s, world.script.world.reference.rate_hz)
    poses = world.measured_marker(times_s, numbers)
    stamps = [start_ns + ns_from_s(float(t)) for t in times_s]
    return [f"{_body(T, True)} Time: {stamp}" for T, stamp in zip(poses, stamps, strict=True)]


def _frames(duration_s: float, rate_hz: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    numbers = np.arange(1, int(duration_s * rate_hz) + 1, dtype=np.int64)
    return numbers, numbers / rate_hz


def _body(T: npt.NDArray[np.float64], valid: bool) -> str:
    quaternion, translation = se3.to_quaternion(T)
    position = translation if valid else np.full(3, INVALID_MM)
    places = " ".join(f"{value:.6g}" for value in position)
    return f"Position: {places} Orientation: {' '.join(f'{value:.9g}' for value in quaternion)}"
