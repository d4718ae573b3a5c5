"""Section `array` of the world's file: the magnetometer array as it really is."""

from __future__ import annotations

from dataclasses import dataclass

from lodestone_bench.emulators.stream_device import StreamDeviceConfig
from lodestone_core.config import option, section

Vector = tuple[float, float, float]
DRIVES = ("ultra_low_power", "low_power_1", "low_power_2", "low_noise_1", "low_noise_2")


@dataclass(frozen=True, slots=True)
class ArrayConfig:
    """A grid of magnetometers in the plane z = 0 of `mag_array`; each differs from the ideal by what the seed gives it."""

    columns: int = option(4, doc="sensors along x; the index rises along x first", minimum=1, maximum=8)
    rows: int = option(4, doc="sensors along y", minimum=1, maximum=8)
    pitch_mm: float = option(40.0, unit="mm", doc="from sensor to sensor", minimum=1.0)
    position_mm: Vector = option((0.0, 0.0, 0.0), unit="mm", doc="middle of the array in bench")
    rotation_deg: Vector = option((0.0, 0.0, 0.0), unit="deg", doc="orientation of the array in bench as a rotation vector")
    array_id: int = option(1, doc="what its firmware says", minimum=0, maximum=255)
    drive: str = option("low_noise_2", doc="drive of all sensors", choices=DRIVES)
    noise_T: float = option(120e-9, unit="T", doc="noise of one axis, standard deviation", minimum=0.0)
    gain_sigma: float = option(0.03, doc="how far gains are from one", minimum=0.0, maximum=0.2)
    skew_sigma_rad: float = option(0.01, unit="rad", doc="how far axes are from right angles", minimum=0.0, maximum=0.2)
    tilt_sigma_rad: float = option(0.02, unit="rad", doc="how far a sensor is turned from the array's axes", minimum=0.0, maximum=0.5)
    bias_sigma_T: float = option(20e-6, unit="T", doc="spread of what a sensor shows without a field", minimum=0.0)
    slope_sigma_T_per_K: float = option(15e-9, unit="T/K", doc="spread of how the bias moves with temperature", minimum=0.0)
    position_sigma_mm: float = option(0.3, unit="mm", doc="how far a sensor lies from its place in the grid, each axis", minimum=0.0)
    reference_degc: float = option(25.0, unit="degC", doc="temperature at which the biases hold")
    temperature_degc: float = option(26.0, unit="degC", doc="temperature at the start", minimum=-44.0, maximum=105.0)
    warming_K: float = option(4.0, unit="K", doc="by how much it warms up")
    warming_s: float = option(600.0, unit="s", doc="time constant of that", minimum=1.0)
    hello: bool = option(True, doc="whether the firmware sends hello frames")
    firmware: str = option("array emulated 1.0", doc="version that the firmware says it is")
    device: StreamDeviceConfig = section(StreamDeviceConfig, "clock, rate and line")
