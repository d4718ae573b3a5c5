"""Configuration of the X-ray driver: one declaration for YAML, ROS parameters and docs."""

from __future__ import annotations

from dataclasses import dataclass

from lodestone_core.config import option, section
from lodestone_core.device.video_config import VideoConfig
from xray_registration.drivers.dicom_geometry import INCREMENTS
from xray_registration.drivers.header import ToleranceConfig


@dataclass(frozen=True, slots=True)
class FolderConfig:
    """Pictures that appear as files: DICOM, or PNG, PGM and TIFF."""

    path: str = option("", doc="the folder")
    poll_s: float = option(0.1, unit="s", doc="interval at which the folder is looked at", minimum=0.01, maximum=10.0)
    settle_s: float = option(0.2, unit="s", doc="a file is whole when its size and time have not changed for so long", minimum=0.0)
    existing: bool = option(False, doc="also read what was there before the driver started")
    latency_s: float = option(0.0, unit="s", doc="acquisition to the file's time of modification", minimum=0.0)
    angle_increments: str = option(
        "unknown",
        doc="how this device means (0018,1520): offset from the first angle, step from frame to frame, absolute",
        choices=INCREMENTS,
    )
    max_mb: float = option(512.0, unit="MB", doc="a larger file is refused", minimum=0.1)


@dataclass(frozen=True, slots=True)
class XrayDriverConfig:
    """Where pictures come from, and the geometry that they are checked against."""

    kind: str = option("video", doc="where pictures come from: video, or a folder with DICOM and image files", choices=("video", "folder"))
    calibration_file: str = option("", doc="calibration of kind xray; empty: pictures go out, but not valid")
    time_calibration: str = option(
        "", doc="calibration of kind time with the latency of xray/image_raw; empty: that of video or folder holds"
    )
    rig: str = option("", doc="name of the rig that the calibration must be of; empty: any")
    frame_id: str = option("xray_source", doc="frame of the pictures: origin in the focal spot, z to the detector")
    detector_frame_id: str = option("xray_detector", doc="frame of the detector")
    parent_frame_id: str = option("bench", doc="frame that the isocentre of the calibration is given in")
    video: VideoConfig = section(VideoConfig, "frame grabber, stream or file")
    folder: FolderConfig = section(FolderConfig, "pictures as files")
    tolerance: ToleranceConfig = section(ToleranceConfig, "header against geometry in use")
