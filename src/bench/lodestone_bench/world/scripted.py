"""Ground truth of the scripted world at any time, and noise that depends on the seed and the sample number only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from lodestone_bench.world.config import BodyConfig, Script, ToolConfig, Vector
from lodestone_bench.world.metal import Metal
from lodestone_core import se3
from lodestone_core.errors import InputError

Array = npt.NDArray[np.float64]
NOISE_ROWS = 4096
"""After so many samples a tool's noise repeats."""


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredTool:
    """Poses (N, 4, 4) in mm, the tracker's error indicator (N,) in mm, and whether it found a pose at all (N,)."""

    T: Array
    error_mm: Array
    solved: npt.NDArray[np.bool_]


class ScriptedWorld:
    """Times are seconds since the first TSTART, or of the bench's world where it has one; poses (N, 4, 4) in mm for times (N,)."""

    def __init__(self, script: Script, carriers: Mapping[str, Callable[[Array], Array]] | None = None) -> None:
        """`carriers`: what bodies follow, name -> T_field_carrier (N, 4, 4). Raises InputError for a body that follows none of them."""
        self.script = script
        self._carriers = carriers or {}
        for name, body in script.bodies.items():
            if body.follows and body.follows not in self._carriers:
                remedy = "give the emulator the bench's world (--world)"
                raise InputError(f"bodies.{name}: follows", expected="a part of this world", got=body.follows, remedy=remedy)
        reference = script.world.reference
        self._T_image_field = _rigid(reference.field_in_image_mm, reference.field_in_image_deg)
        self._T_body_marker = _rigid(reference.mount_mm, reference.mount_deg)
        self._mounts = {name: _rigid(tool.mount_mm, tool.mount_deg) for name, tool in script.tools.items()}
        names = [*script.tools, "reference"]
        self.metal = Metal(script.metal)
        self._noise = {name: _noise_table(script.world.seed, i) for i, name in enumerate(names)}

    def T_field_tool(self, name: str, times_s: Array) -> Array:
        """True poses of a tool; the roll of a 5-DOF tool is the one that it would have without any."""
        tool = self.script.tools[name]
        T = self._T_field_body(tool.body, times_s) @ self._mounts[name]
        return without_roll(T) if tool.plug.degrees_of_freedom == 5 else T

    def measured_tool(self, name: str, times_s: Array, numbers: npt.NDArray[np.int64]) -> Array:
        """Poses as the tracker measures them, sample by sample."""
        return self.measured_tools(times_s, numbers, (name,))[name].T

    def measured_tools(self, times_s: Array, numbers: npt.NDArray[np.int64], names: Sequence[str] | None = None) -> dict[str, MeasuredTool]:
        """All tools, or those named, as the tracker measures them, sample by sample."""
        names = list(self.script.tools) if names is None else names
        seen = self.metal.seen(np.stack([self.T_field_tool(name, times_s) for name in names]), times_s)
        return {name: self._measured(name, numbers, seen.T[i], seen.residual_mm[i], seen.solved[i]) for i, name in enumerate(names)}

    def T_image_marker(self, times_s: Array) -> Array:
        """True poses of the reference marker."""
        return self._T_image_field @ self._T_field_body(self.script.world.reference.body, times_s) @ self._T_body_marker

    def _T_field_body(self, name: str, times_s: Array) -> Array:
        body = self.script.bodies[name]
        return self._carriers[body.follows](times_s) if body.follows else T_field_body(body, times_s)

    def measured_marker(self, times_s: Array, numbers: npt.NDArray[np.int64]) -> Array:
        """Poses of the marker as the optical tracker measures them."""
        reference = self.script.world.reference
        return self._disturbed(self.T_image_marker(times_s), "reference", numbers, reference.noise_mm, reference.noise_deg)

    def _measured(
        self, name: str, numbers: npt.NDArray[np.int64], T_seen: Array, residual_mm: Array, solved: npt.NDArray[np.bool_]
    ) -> MeasuredTool:
        tool = self.script.tools[name]
        T = self._disturbed(T_seen, name, numbers, tool.noise_mm, tool.noise_deg)
        T = without_roll(T) if tool.plug.degrees_of_freedom == 5 else T
        return MeasuredTool(T, np.hypot(tool.error_mm, residual_mm), solved)

    def _disturbed(self, T: Array, name: str, numbers: npt.NDArray[np.int64], noise_mm: float, noise_deg: float) -> Array:
        rows = self._noise[name][numbers % NOISE_ROWS]
        disturbed = T.copy()
        disturbed[:, :3, 3] += noise_mm * rows[:, :3]
        disturbed[:, :3, :3] = T[:, :3, :3] @ Rotation.from_rotvec(np.deg2rad(noise_deg) * rows[:, 3:]).as_matrix()
        return disturbed


def T_field_body(body: BodyConfig, times_s: Array) -> Array:
    """Poses (N, 4, 4) of a body on its path."""
    turn = 2.0 * np.pi * times_s[:, None]
    place = np.array(body.center_mm) + np.array(body.amplitude_mm) * np.sin(turn / np.array(body.period_s) + np.deg2rad(body.phase_deg))
    swing = np.deg2rad(body.swing_deg) * np.sin(turn / np.array(body.swing_period_s))
    rotation = Rotation.from_rotvec(np.deg2rad(body.rotation_deg)) * Rotation.from_rotvec(swing)
    return se3.make(rotation.as_matrix(), place)


def without_roll(T: Array) -> Array:
    """The poses (N, 4, 4) turned about their own z axis so that the quaternion has no z component.

    A 5-DOF sensor is a coil: the direction of its axis is measured, the angle about it is not.
    """
    x, y, z, w = se3.to_quaternion(T)[0].T
    # Divide out the twist about z: q = swing * twist, twist = (w, 0, 0, z) / |(w, z)|.
    angle = -2.0 * np.arctan2(z, w)
    untwist = Rotation.from_rotvec(np.stack([np.zeros_like(x), np.zeros_like(y), angle], axis=-1)).as_matrix()
    return T @ se3.make(untwist, np.zeros(3))


def hidden(times: tuple[float, ...], t: float) -> bool:
    """Whether t lies in one of the intervals start, end, start, end ... (ends excluded)."""
    return any(start <= t < end for start, end in zip(times[::2], times[1::2], strict=True))


def seen(tool: ToolConfig, t: float) -> bool:
    """Whether the tracker can solve a pose at that time."""
    return not hidden(tool.missing_s, t)


def _rigid(position_mm: Vector, rotation_deg: Vector) -> Array:
    return se3.make(Rotation.from_rotvec(np.deg2rad(rotation_deg)).as_matrix(), np.array(position_mm))


def _noise_table(seed: int, stream: int) -> Array:
    table: Array = np.random.default_rng([seed, stream]).standard_normal((NOISE_ROWS, 6))
    return table
