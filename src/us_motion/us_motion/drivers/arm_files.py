"""The files of one arm: URDF, calibration and kept homing, read and checked against each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lodestone_core.errors import InputError
from us_motion.arm_calibration import ArmCalibration, check_fits_chain, load_arm_calibration
from us_motion.drivers.config import ArmConfig
from us_motion.drivers.stored_home import StoredHome
from us_motion.kinematics import Chain
from us_motion.urdf import read_chain


@dataclass(frozen=True, slots=True)
class Arm:
    """What is known of an arm before its encoders are heard; None for what is not configured."""

    chain: Chain | None
    calibration: ArmCalibration | None
    home: StoredHome | None


def without_missing(config: ArmConfig) -> tuple[ArmConfig, tuple[str, ...]]:
    """The configuration without calibrations that are not there, and what each of them is missing for: a rig that has none yet runs."""
    wanted = {"calibration_file": "joint angles", "probe_calibration_file": "the place of us_image"}
    gone = {name: what for name, what in wanted.items() if (path := getattr(config, name)) and not Path(path).expanduser().exists()}
    missing = tuple(f"{what}: there is no {getattr(config, name)}" for name, what in gone.items())
    changes: dict[str, Any] = dict.fromkeys(gone, "")
    return replace(config, **changes), missing


def load_arm(config: ArmConfig) -> Arm:
    """Read the files of a configuration. Raises InputError when one cannot be read or two do not fit each other."""
    chain = read_chain(Path(config.urdf).expanduser(), config.base_frame, config.probe_frame) if config.urdf else None
    calibration = load_arm_calibration(Path(config.calibration_file).expanduser(), config.rig) if config.calibration_file else None
    if calibration is not None and chain is None:
        raise InputError("urdf", expected="a URDF beside the calibration", got="none", remedy="give the parameter `urdf`")
    if calibration is not None and chain is not None:
        check_fits_chain(calibration, chain)
    return Arm(chain, calibration, StoredHome(Path(config.state_file).expanduser()) if config.state_file else None)
