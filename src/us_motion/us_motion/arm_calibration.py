"""What turns counts into joint angles: calibration files of the kind `us_arm`.

values:
  joints:
  - name: us_arm_joint1           # as in the URDF; the order is that of the encoders in the stream
    counts_per_revolution: 40000  # of the encoder: four a line of its disc
    gear_ratio: 1.0               # revolutions of the encoder for one of the joint
    sign: 1                       # -1: the encoder counts up while the joint turns to negative angles
    index_rad: -1.57              # angle of the joint at an index pulse
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lodestone_core.calibration_file import CalibrationFile, load_calibration, now_text
from lodestone_core.config import REQUIRED, load_config, option
from lodestone_core.errors import InputError
from us_motion.kinematics import Chain

KIND = "us_arm"


@dataclass(frozen=True, slots=True)
class JointCalibration:
    """One encoder on one joint."""

    name: str = option(REQUIRED, doc="of the joint, as in the URDF")
    counts_per_revolution: int = option(REQUIRED, doc="of the encoder: four a line of its disc", minimum=4, maximum=2**31)
    index_rad: float = option(REQUIRED, unit="rad", doc="angle of the joint at an index pulse")
    gear_ratio: float = option(1.0, doc="revolutions of the encoder for one of the joint", minimum=0.001, maximum=1000.0)
    sign: int = option(1, doc="-1: the encoder counts up while the joint turns to negative angles", choices=(1, -1))

    @property
    def rad_per_count(self) -> float:
        """Angle of the joint for one count, with the sign of the counter."""
        return self.sign * 2.0 * math.pi / (self.counts_per_revolution * self.gear_ratio)

    @property
    def index_spacing_rad(self) -> float:
        """Angle of the joint from one index pulse to the next."""
        return 2.0 * math.pi / self.gear_ratio


@dataclass(frozen=True, slots=True)
class ArmCalibration:
    """All encoders of one arm, in the order of the stream. `devices` names what it was measured on; empty for any."""

    joints: tuple[JointCalibration, ...]
    devices: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the joints, in the order of the stream."""
        return tuple(joint.name for joint in self.joints)


def load_arm_calibration(path: Path, rig: str = "") -> ArmCalibration:
    """Read a file of the kind `us_arm`. Raises InputError for another kind or rig, or for values that are none."""
    return arm_calibration(load_calibration(path, KIND, rig), str(path))


def arm_calibration(file: CalibrationFile, where: str) -> ArmCalibration:
    """The calibration in a file that was read. Raises InputError."""
    entries = file.values.get("joints")
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{where}, values", expected="a list `joints`", got=type(entries).__name__, remedy="see docs/us_motion.md")
    joints = tuple(_joint(entry, f"{where}, joint {number}") for number, entry in enumerate(entries, start=1))
    names = [joint.name for joint in joints]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{where}, joint {name}", expected="one entry", got=names.count(name), remedy="keep one of them")
    return ArmCalibration(joints, file.devices)


def calibration_file(
    calibration: ArmCalibration, rig: str, method: str, version: str, inputs: Mapping[str, str], figures: Mapping[str, Mapping[str, Any]]
) -> CalibrationFile:
    """The file of a calibration."""
    values = {"joints": [asdict(joint) for joint in calibration.joints]}
    return CalibrationFile(KIND, rig, calibration.devices, now_text(), method, version, values, inputs, figures)


def check_fits_chain(calibration: ArmCalibration, chain: Chain) -> None:
    """Raises InputError when calibration and URDF do not name the same joints, or a joint's index pulses cannot be told apart."""
    remedy = "give the calibration and the URDF of one arm"
    for name in calibration.names:
        if name not in chain.names:
            raise InputError(f"calibration, joint {name}", expected="one of " + ", ".join(chain.names), got=name, remedy=remedy)
    for name in chain.names:
        if name not in calibration.names:
            raise InputError(f"URDF, joint {name}", expected="an entry in the calibration", got="none", remedy=remedy)
    for joint in calibration.joints:
        place = chain.names.index(joint.name)
        lower, upper = float(chain.lower_rad[place]), float(chain.upper_rad[place])
        if math.isinf(upper - lower) and joint.gear_ratio != 1.0:
            raise InputError(
                f"URDF, joint {joint.name}", expected="limits, as its encoder is geared", got="none", remedy="make it revolute"
            )
        turns = math.floor((upper - joint.index_rad) / joint.index_spacing_rad) if math.isfinite(upper) else 0
        if math.isfinite(lower) and joint.index_rad + turns * joint.index_spacing_rad < lower:
            got = f"pulses at {joint.index_rad:.3f} rad and every {joint.index_spacing_rad:.3f} rad"
            expected = f"an index pulse between {lower:.3f} and {upper:.3f} rad"
            raise InputError(f"calibration, joint {joint.name}", expected=expected, got=got, remedy=remedy)


def _joint(entry: Any, where: str) -> JointCalibration:
    if not isinstance(entry, dict):
        raise InputError(where, expected="name, counts_per_revolution, ...", got=type(entry).__name__, remedy="see docs/us_motion.md")
    joint = load_config(JointCalibration, entry, where)
    if not math.isfinite(joint.index_rad):
        raise InputError(f"{where}, index_rad", expected="a finite angle", got=joint.index_rad, remedy="calibrate the joint")
    return joint
