"""Configuration of the ultrasound video's driver: one declaration for YAML, ROS parameters and docs."""

from __future__ import annotations

from dataclasses import dataclass

from lodestone_core.config import option, section
from lodestone_core.device.video_config import VideoConfig
from us_motion.depth_watch import WatchConfig


@dataclass(frozen=True, slots=True)
class UltrasoundDriverConfig:
    """One frame grabber with an ultrasound machine at its input."""

    video: VideoConfig = section(VideoConfig, "frame grabber, stream or file")
    calibration_file: str = option("", doc="calibration of kind ultrasound; empty: images go out, but their geometry is not valid")
    time_calibration: str = option(
        "", doc="calibration of kind time with the latency of ultrasound/image_raw; empty: video.clock.latency_s holds"
    )
    rig: str = option("", doc="name of the bench that the calibration must be of; empty: any")
    preset: str = option("", doc="the one depth preset that is in use; empty: the images tell which")
    frame_id: str = option("us_image", doc="frame of the images: origin in the first pixel's centre, x along columns, y along rows")
    watch: WatchConfig = section(WatchConfig, "how the depth is judged")
