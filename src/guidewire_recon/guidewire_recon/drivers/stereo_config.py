"""Parameters of the stereo camera node."""

from __future__ import annotations

from dataclasses import dataclass

from lodestone_core.config import option, section
from lodestone_core.device.video_config import VideoConfig


@dataclass(frozen=True, slots=True)
class PairingConfig:
    """Which images belong together."""

    tolerance_s: float = option(0.02, unit="s", doc="acquisitions of a pair lie no further apart; of at most 0.45 periods", minimum=1e-5)


@dataclass(frozen=True, slots=True)
class ViewsConfig:
    """Whether each camera sees what it saw when it was calibrated."""

    file: str = option("", doc="what each camera saw (made by ~/save_views); empty: swapped cameras cannot be told")
    period_s: float = option(2.0, unit="s", doc="interval of the check", minimum=0.1)
    least_likeness: float = option(0.6, doc="below this correlation a view is called changed", minimum=0.0, maximum=1.0)
    margin: float = option(0.3, doc="cameras are called swapped when the other's view fits better by this", minimum=0.0, maximum=2.0)


@dataclass(frozen=True, slots=True)
class StereoConfig:
    """Two cameras of one size that look at the same place."""

    left: VideoConfig = section(VideoConfig, "left camera", source="/dev/video0", width=2048, height=1536, rate_hz=10.0)
    right: VideoConfig = section(VideoConfig, "right camera", source="/dev/video2", width=2048, height=1536, rate_hz=10.0)
    left_frame_id: str = option("stereo_left_optical", doc="optical frame of the left camera")
    right_frame_id: str = option("stereo_right_optical", doc="optical frame of the right camera")
    left_calibration: str = option("", doc="camera_info file (YAML) of the left camera; empty or missing: uncalibrated, K of zeros")
    right_calibration: str = option("", doc="camera_info file (YAML) of the right camera")
    time_calibration: str = option(
        "", doc="calibration file of kind time with the latencies of both image_raw; empty: clock.latency_s holds"
    )
    rig: str = option("", doc="rig that `views.file` and `time_calibration` must belong to; empty: any")
    pairing: PairingConfig = section(PairingConfig, "left and right")
    views: ViewsConfig = section(ViewsConfig, "swapped or moved cameras")
