"""Settings of `probe_calibration`."""

from __future__ import annotations

from dataclasses import dataclass

from lodestone_bench.ultrasound.config import UltrasoundConfig
from lodestone_bench.ultrasound.tank import TankConfig
from lodestone_bench.world.arm_config import ArmConfig
from lodestone_core.config import option, section
from us_motion.calibration.config import ProbeCalibrationConfig


@dataclass(frozen=True, slots=True)
class ProbeProtocolConfig:
    """What is recorded, how often, and what is not as drawn."""

    trials: int = option(12, doc="probes, arms and recordings of each case", minimum=1)
    sweeps: int = option(5, doc="recordings of one trial; each is left out once", minimum=2)
    images: int = option(50, doc="images of one recording of wires, at 5 a second", minimum=10)
    point_images: int = option(100, doc="images of one recording of a point", minimum=10)
    axis_mm: float = option(0.1, unit="mm", doc="how far each axis of a built arm is off its drawing", minimum=0.0)
    axis_deg: float = option(0.02, unit="deg", doc="how far it is tilted", minimum=0.0)
    wire_mm: float = option(0.1, unit="mm", doc="how far each end of a wire is off the phantom's file, along each axis", minimum=0.0)
    speed_error: float = option(0.01, doc="by how much sound is slower than the machine takes it to be, in the case of slow water")
    probe_mm: float = option(4.0, unit="mm", doc="how far the image is off its drawing on the probe, along each axis", minimum=0.0)
    probe_deg: float = option(3.0, unit="deg", doc="how far it is turned", minimum=0.0)
    machine: UltrasoundConfig = section(UltrasoundConfig, doc="probe and machine")
    tank: TankConfig = section(TankConfig, doc="water")
    arm: ArmConfig = section(ArmConfig, doc="arm")
    calibration: ProbeCalibrationConfig = section(ProbeCalibrationConfig, doc="the method")


@dataclass(frozen=True, slots=True)
class Case:
    """What differs between cases."""

    name: str
    point: bool = False
    tracked: bool = False
    as_built: bool = True
    speed_error: bool = False


CASES = (
    Case("wires, arm and phantom as drawn", as_built=False),
    Case("wires, arm and phantom as built"),
    Case("wires, tracked phantom, as built", tracked=True),
    Case("wires, as built, slow water", speed_error=True),
    Case("point, arm as built", point=True),
)
