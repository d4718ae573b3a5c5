"""Configuration of the magnetometer array's driver: one declaration for YAML, ROS parameters and docs."""

from __future__ import annotations

from dataclasses import dataclass

from lodestone_core.clock import ClockConfig
from lodestone_core.config import option, section
from lodestone_core.device.stream import StreamConfig

DRIVES = ("ultra_low_power", "low_power_1", "low_power_2", "low_noise_1", "low_noise_2")


@dataclass(frozen=True, slots=True)
class I2cConfig:
    """Sensors on the host's own I2C bus, for small rigs."""

    bus: int = option(1, doc="number of the bus: N of /dev/i2c-N", minimum=0)
    multiplexer: int = option(0, doc="address of a TCA9548A (112 is 0x70); 0: none", minimum=0, maximum=0x77)
    sensors: tuple[str, ...] = option((), doc='sensors in the order of their index: "address" or "channel:address", as "0x0C" or "3:0x0F"')
    drive: str = option("low_noise_2", doc="drive of all sensors", choices=DRIVES)
    rate_hz: float = option(50.0, unit="Hz", doc="how often all are measured", minimum=0.1, maximum=1000.0)
    triggered: bool = option(False, doc="the sensors' pins are wired to a trigger; otherwise each is told to measure, one after the other")


@dataclass(frozen=True, slots=True)
class MagnetometersConfig:
    """One array of AK09940A magnetometers."""

    source: str = option(
        "stream", doc="stream: a microcontroller sends frames; i2c: sensors on this machine's bus", choices=("stream", "i2c")
    )
    sensors: int = option(16, doc="sensors of the array", minimum=1, maximum=64)
    array_id: int = option(-1, doc="the array that is expected, as its firmware says; -1: any", minimum=-1, maximum=255)
    frame_id: str = option("mag_array", doc="frame of the array; the sensors' are mag_s00 and so on")
    calibration_file: str = option("", doc="calibration of the array (YAML); without one only raw data are published")
    time_calibration: str = option(
        "", doc="calibration file of kind time with the latency of magnetometers/array; empty: clock.latency_s holds"
    )
    rig: str = option("", doc="name of the bench; a calibration of another one is refused. Empty: not looked at")
    subtract_background: bool = option(False, doc="take the calibration's background field off what is published as calibrated")
    noise_T: float = option(0.0, unit="T", doc="noise of one axis, for covariances; 0: the calibration's, else the drive's", minimum=0.0)
    stuck_samples: int = option(6, doc="samples of a sensor that are the same in all three axes before it counts as stuck", minimum=3)
    stuck_axis_samples: int = option(20, doc="the same for one axis", minimum=3)
    dead_s: float = option(1.0, unit="s", doc="a sensor without anything usable for so long counts as dead", minimum=0.05)
    least_rate: float = option(0.8, doc="a rate below this share of what the device announces is reported", minimum=0.0, maximum=1.0)
    stream: StreamConfig = section(StreamConfig, "the serial port")
    i2c: I2cConfig = section(I2cConfig, "the bus")
    clock: ClockConfig = section(ClockConfig, "device microseconds to host time", counter_bits=64, ticks_per_frame=0, window=500)
