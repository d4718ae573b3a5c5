"""Configuration of the arm's driver: one declaration for YAML, ROS parameters and docs."""

from __future__ import annotations

from dataclasses import dataclass

from lodestone_core.clock import ClockConfig
from lodestone_core.config import option, section
from lodestone_core.device.stream import StreamConfig
from us_motion.drivers.joint_counter import TrustConfig


@dataclass(frozen=True, slots=True)
class ArmConfig:
    """One ultrasound arm with encoders on a serial stream."""

    stream: StreamConfig = section(StreamConfig, "the serial stream")
    device_id: int = option(1, doc="number that the encoders' device gives itself", minimum=0, maximum=255)
    urdf: str = option("", doc="URDF of the arm; empty: none, and only counts are published")
    base_frame: str = option("us_arm_base", doc="link of the URDF that stands still; frame of the poses")
    probe_frame: str = option("us_probe", doc="link of the URDF that the poses are of")
    calibration_file: str = option("", doc="calibration of the joints (kind us_arm); empty: none, and only counts are published")
    probe_calibration_file: str = option("", doc="calibration of the probe (kind us_probe); empty: none, and us_image has no place")
    time_calibration: str = option("", doc="calibration file (kind time) with the latency of us_arm/encoders; empty: clock.latency_s")
    rig: str = option("", doc="name of the bench that the calibrations must be of; empty: any")
    state_file: str = option("", doc="file that keeps the homing while the device keeps its power; empty: none")
    tf_owner: str = option(
        "node",
        doc="who broadcasts the chain from base to probe: this node, or robot_state_publisher",
        choices=("node", "robot_state_publisher"),
    )
    trust: TrustConfig = section(TrustConfig, "when the angle of a joint is believed")
    clock: ClockConfig = section(ClockConfig, "device time to host time", window=500, counter_bits=64, ticks_per_frame=0)
