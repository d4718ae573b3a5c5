"""Section `arm` of the world: the arm's true measures, its encoders and how it is moved. Plain numbers, no file of the drivers is read."""

from __future__ import annotations

from dataclasses import dataclass

from lodestone_bench.emulators.stream_device import StreamDeviceConfig
from lodestone_core.config import option, section

Vector = tuple[float, float, float]
Six = tuple[float, float, float, float, float, float]
SixCounts = tuple[int, int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class SweepConfig:
    """How the probe is moved: over the patient, after a while in which every joint is moved over its index."""

    home_s: float = option(4.0, unit="s", doc="for so long every joint swings about its index", minimum=0.0)
    home_swing_rad: float = option(0.25, unit="rad", doc="how far, either way", minimum=0.0, maximum=0.6)
    home_period_s: float = option(2.0, unit="s", doc="period of that swing", minimum=0.2)
    blend_s: float = option(1.5, unit="s", doc="from the swing to the sweep", minimum=0.1)
    center_mm: Vector = option((700.0, 0.0, 250.0), unit="mm", doc="middle of the sweep of the transducer's face, in bench")
    amplitude_mm: Vector = option((45.0, 35.0, 4.0), unit="mm", doc="of the sweep along x, y, z of bench")
    period_s: Vector = option((7.0, 11.0, 5.0), unit="s", doc="of the sweep along x, y, z", minimum=0.5)
    tilt_deg: Vector = option((10.0, 8.0, 15.0), unit="deg", doc="tilts of the probe about its own x, y, z axes")
    tilt_period_s: Vector = option((9.0, 13.0, 6.0), unit="s", doc="periods of the tilts", minimum=0.5)


@dataclass(frozen=True, slots=True)
class EncodersConfig:
    """Incremental encoders with an index, one a joint."""

    counts_per_revolution: SixCounts = option(
        (40000, 40000, 40000, 32768, 32768, 20000), doc="of each encoder, four a line of its disc", minimum=4
    )
    gear_ratio: Six = option((1.0, 1.0, 1.0, 1.0, 1.0, 1.0), doc="revolutions of the encoder for one of the joint", minimum=0.01)
    sign: SixCounts = option((1, -1, 1, 1, -1, 1), doc="1, or -1 for an encoder that counts the other way", choices=(1, -1))
    index_rad: Six = option((-1.57, -1.12, 2.0, 0.02, -0.85, -0.02), unit="rad", doc="angle of each joint at its index pulse")
    index_width_counts: int = option(1, doc="width of an index pulse: from above it is latched so much earlier", minimum=0)
    counter_bits: int = option(32, doc="width of the device's counters", choices=(16, 32))
    first_count: int = option(0, doc="of all counters at power-on", minimum=-(2**31), maximum=2**31 - 1)
    device_id: int = option(1, doc="number that the device gives itself", minimum=0, maximum=255)
    serial: int = option(1001, doc="its serial number", minimum=0, maximum=2**32 - 1)


@dataclass(frozen=True, slots=True)
class ArmConfig:
    """The arm as it is built. All angles zero: upper arm and forearm level along x of the base, the probe looks down."""

    base_in_bench_mm: Vector = option((700.0, 420.0, 0.0), unit="mm", doc="position of us_arm_base in bench")
    base_in_bench_deg: Vector = option((0.0, 0.0, 0.0), unit="deg", doc="its orientation there as a rotation vector")
    shoulder_height_mm: float = option(340.0, unit="mm", doc="axis of the shoulder above the base")
    shoulder_offset_mm: float = option(40.0, unit="mm", doc="axis of the shoulder ahead of that of the column")
    upper_arm_mm: float = option(360.0, unit="mm", doc="shoulder to elbow", minimum=1.0)
    forearm_mm: float = option(320.0, unit="mm", doc="elbow to the middle of the wrist", minimum=1.0)
    probe_from_wrist_mm: Vector = option(
        (25.0, 0.0, -170.0), unit="mm", doc="middle of the transducer's face from the wrist, all angles zero"
    )
    deviation_mm: float = option(0.0, unit="mm", doc="standard deviation of how far each axis lies off its place", minimum=0.0)
    deviation_deg: float = option(0.0, unit="deg", doc="standard deviation of how far each axis is tilted", minimum=0.0)
    encoders: EncodersConfig = section(EncodersConfig, "what counts the joints")
    device: StreamDeviceConfig = section(StreamDeviceConfig, "the microcontroller that sends the counts", latency_ms=1.0)
    sweep: SweepConfig = section(SweepConfig, "how the probe is moved")
