"""A registration: T_tracker_image with its covariance, what is known of each tool, and where all of it came from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from em_registration.field.pose_field import PoseField, pose_field_from
from em_registration.types import Fiducial
from lodestone_core import se3
from lodestone_core.checks import as_covariance, as_points, as_se3
from lodestone_core.errors import InputError
from lodestone_core.files import write_atomically
from lodestone_core.yaml_file import dump_yaml, parse_yaml

Array = npt.NDArray[np.float64]
FORMAT = "lodestone/em_registration/2"
_READ = (FORMAT, "lodestone/em_registration/1")  # the first format had neither fields nor poses of fiducials
EVERY_TOOL = "*"
"""The name under which a field serves every tool that has none of its own and whose reference is the field's tip."""
_SAME_TIP_MM = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class ToolCalibration:
    """What a calibration found of one tool.

    `T_tool_reference`: 4x4 in mm, the tip (or the reference body) on the tool. `noise`: 6x6 covariance (mm, rad) of one measured pose,
    about the tracker's axes at the tool's origin. `rms_mm`: RMS distance at the reference during calibration. `n`: poses used.
    `time_offset_s`: add it to a stamp of this tool to get the time at which the reference showed the same pose.
    """

    T_tool_reference: Array
    noise: Array
    rms_mm: float
    n: int
    time_offset_s: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """T_tracker_image (4x4, mm) and its 6x6 covariance (mm, rad; left perturbation about the tracker's axes at the image origin).

    `fre_mm`: RMS residual of what it was computed from, over `n` samples. `inputs`: SHA-256 of every file that went in.
    `fields`: the distortion over pose by tool, where one is corrected (`EVERY_TOOL`: shared); a field's tip is the tool's reference.
    """

    method: str
    T_tracker_image: Array
    covariance: Array
    fre_mm: float
    n: int
    created: str
    version: str
    tools: Mapping[str, ToolCalibration] = field(default_factory=dict)
    fiducials: tuple[Fiducial, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, PoseField] = field(default_factory=dict)

    def to_mapping(self) -> dict[str, Any]:
        """Plain values, as they stand in the file; `registration_from` makes the same numbers of them, to the last bit."""
        return {
            "format": FORMAT,
            "method": self.method,
            "created": self.created,
            "version": self.version,
            "T_tracker_image": _pose_mapping(self.T_tracker_image),
            "covariance_mm_rad": self.covariance.tolist(),
            "fre_mm": self.fre_mm,
            "n": self.n,
            "inputs": dict(self.inputs),
            "tools": tools_to_mapping(self.tools),
            "fiducials": [fiducial.to_mapping() for fiducial in self.fiducials],
            "fields": {name: one.to_mapping() for name, one in self.fields.items()},
        }

    def to_yaml(self) -> str:
        """The file's text; reading it back gives the same numbers to the last bit."""
        return dump_yaml(self.to_mapping())

    @property
    def sha256(self) -> str:
        """Hash of the file's text."""
        return sha256_of(self.to_yaml())

    def reference_mm(self, tool: str) -> Array:
        """The tip (or reference body) of a tool in its own frame, (3,) in mm; its origin when nothing was calibrated."""
        known = self.tools.get(tool)
        return known.T_tool_reference[:3, 3] if known else np.zeros(3)

    def field_of(self, tool: str) -> PoseField | None:
        """The field that corrects a tool: its own, else the shared one when that was fitted to the same reference; None for rigid."""
        if tool in self.fields:
            return self.fields[tool]
        shared = self.fields.get(EVERY_TOOL)
        return shared if shared is not None and _same_tip(shared, self.reference_mm(tool)) else None

    def save(self, path: Path) -> None:
        """Write the file atomically, readable by all."""
        write_atomically(path, self.to_yaml())


def sha256_of(text: str) -> str:
    """Hash of a registration's text, hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def load_registration(path: Path) -> Registration:
    """Read a registration file. Raises InputError that names the key, what was expected and what came."""
    return parse_registration(registration_text(path), str(path))


def registration_text(path: Path) -> str:
    """The text of a registration file. Raises InputError when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            str(path),
            expected="a readable registration file",
            got=str(error),
            remedy="check the path, or compute and save a registration",
        ) from error


def parse_registration(text: str, where: str = "registration") -> Registration:
    """A registration from its file's text; where names the source in errors."""
    return registration_from(parse_yaml(text, where), where)


def registration_from(mapping: Any, where: str = "registration") -> Registration:
    """A registration from its plain values. Raises InputError that names the key, what was expected and what came."""
    if not isinstance(mapping, dict) or mapping.get("format") not in _READ:
        came = mapping.get("format", "no format") if isinstance(mapping, dict) else type(mapping).__name__
        raise InputError(f"{where}, format", expected=" or ".join(_READ), got=came, remedy="give a file that Lodestone saved")
    reader = _Reader(mapping, where)
    found = Registration(
        method=str(reader.get("method", str)),
        T_tracker_image=reader.pose("T_tracker_image"),
        covariance=reader.matrix("covariance_mm_rad", 6),
        fre_mm=float(reader.get("fre_mm", (int, float))),
        n=int(reader.get("n", int)),
        created=str(reader.get("created", str)),
        version=str(reader.get("version", str)),
        tools=tools_from(reader.get("tools", dict), where),
        fiducials=tuple(Fiducial.from_mapping(item, where) for item in reader.get("fiducials", list)),
        inputs={str(name): str(value) for name, value in reader.get("inputs", dict).items()},
        fields={str(name): pose_field_from(one, f"{where}, fields.{name}") for name, one in reader.optional("fields").items()},
    )
    for name, one in found.fields.items():
        if name != EVERY_TOOL and not _same_tip(one, found.reference_mm(name)):
            remedy = "fit the field again to the tip that the tool has now"
            tip, reference = one.data.tip_tool_mm.tolist(), found.reference_mm(name).tolist()
            raise InputError(f"{where}, fields.{name}.tip_tool_mm", expected=f"the tool's reference {reference}", got=tip, remedy=remedy)
    return found


def _same_tip(field: PoseField, reference_mm: Array) -> bool:
    return bool(np.abs(field.data.tip_tool_mm - reference_mm).max() <= _SAME_TIP_MM)


def _pose_mapping(T: Array) -> dict[str, list[float]]:
    # A matrix, not a quaternion: it comes back to the last bit, so that replay repeats what a bench did.
    return {"translation_mm": T[:3, 3].tolist(), "rotation": T[:3, :3].tolist()}


def tools_to_mapping(tools: Mapping[str, ToolCalibration]) -> dict[str, Any]:
    """Plain values of tool calibrations, exact to the last bit."""
    return {name: _tool_mapping(tool) for name, tool in tools.items()}


def tools_from(mapping: Mapping[Any, Any], where: str) -> dict[str, ToolCalibration]:
    """Tool calibrations of plain values. Raises InputError that names the key."""
    return {str(name): _tool_from(_Reader(tool, f"{where}, tools.{name}")) for name, tool in mapping.items()}


def _tool_mapping(tool: ToolCalibration) -> dict[str, Any]:
    return {
        "T_tool_reference": _pose_mapping(tool.T_tool_reference),
        "noise_mm_rad": tool.noise.tolist(),
        "rms_mm": tool.rms_mm,
        "n": tool.n,
        "time_offset_s": tool.time_offset_s,
    }


def _tool_from(reader: _Reader) -> ToolCalibration:
    return ToolCalibration(
        T_tool_reference=reader.pose("T_tool_reference"),
        noise=reader.matrix("noise_mm_rad", 6),
        rms_mm=float(reader.get("rms_mm", (int, float))),
        n=int(reader.get("n", int)),
        time_offset_s=float(reader.get("time_offset_s", (int, float))),
    )


class _Reader:
    """Typed access to a mapping with errors that name the place."""

    def __init__(self, mapping: Any, where: str) -> None:
        if not isinstance(mapping, dict):
            raise InputError(where, expected="a mapping", got=type(mapping).__name__, remedy="give a file that Lodestone saved")
        self._mapping = mapping
        self._where = where

    def get(self, key: str, kind: type | tuple[type, ...]) -> Any:
        value = self._mapping.get(key)
        if not isinstance(value, kind):
            kinds = kind if isinstance(kind, tuple) else (kind,)
            names = " or ".join(k.__name__ for k in kinds)
            raise InputError(f"{self._where}, {key}", expected=names, got=repr(value)[:60], remedy="give a file that Lodestone saved")
        return value

    def optional(self, key: str) -> dict[Any, Any]:
        return dict(self.get(key, dict)) if key in self._mapping else {}

    def matrix(self, key: str, size: int) -> Array:
        return as_covariance(f"{self._where}, {key}", self.get(key, list), size)

    def pose(self, key: str) -> Array:
        inner = _Reader(self.get(key, dict), f"{self._where}, {key}")
        translation = as_points(f"{self._where}, {key}.translation_mm", [inner.get("translation_mm", list)])[0]
        try:
            rotation = np.array(inner.get("rotation", list), dtype=float).reshape(3, 3)
        except (ValueError, TypeError) as error:
            raise InputError(
                f"{self._where}, {key}.rotation",
                expected="3 rows of 3 numbers",
                got=str(error),
                remedy="give a file that Lodestone saved",
            ) from error
        return as_se3(f"{self._where}, {key}", se3.make(rotation, translation))
