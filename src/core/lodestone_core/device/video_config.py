"""What a video source is: where it is, what it should give, how it is stamped and when it is given up."""

from __future__ import annotations

from dataclasses import dataclass

from lodestone_core.clock import ClockConfig
from lodestone_core.config import option, section


@dataclass(frozen=True, slots=True)
class VideoConfig:
    """One camera, frame grabber, stream or file."""

    source: str = option("/dev/video0", doc="device (/dev/videoN, prefer /dev/v4l/by-id/), address (unix:/path, tcp://, rtsp://) or file")
    width: int = option(0, unit="px", doc="width that is asked for and expected; 0 takes what comes", minimum=0)
    height: int = option(0, unit="px", doc="height that is asked for and expected; 0 takes what comes", minimum=0)
    rate_hz: float = option(0.0, unit="Hz", doc="rate that is asked for and expected; 0 takes what the source says", minimum=0.0)
    exposure_us: float = option(0.0, unit="us", doc="exposure of a device; 0 leaves it as it is", minimum=0.0)
    gain: float = option(-1.0, doc="gain of a device as it counts it; -1 leaves it as it is", minimum=-1.0)
    pixel_format: str = option("", doc="four letters of the pixel format that is asked of a device, GREY for instance; empty: its own")
    open_timeout_s: float = option(1.0, unit="s", doc="an address without an image for so long is tried again", minimum=0.1)
    read_timeout_s: float = option(1.0, unit="s", doc="a source that gives nothing for so long is opened again", minimum=0.1)
    reopen_s: float = option(0.1, unit="s", doc="wait before the first new attempt to open it; it doubles", minimum=0.01)
    reopen_max_s: float = option(1.0, unit="s", doc="longest such wait", minimum=0.01)
    frozen_images: int = option(5, doc="identical images in a row that are called frozen; 0: never", minimum=0)
    black_images: int = option(3, doc="black images in a row that are named; 0: never", minimum=0)
    black_level: int = option(3, doc="no grey value above this: black", minimum=0, maximum=255)
    paced: bool = option(True, doc="a file at its own rate; false: as fast as it is read")
    loop: bool = option(False, doc="a file begins again at its end")
    buffers: int = option(4, doc="an image handed over stays unchanged until so many more less one have come", minimum=2, maximum=64)
    source_times: bool = option(True, doc="stamp by the times that come with the images, where there are any; false: by arrivals alone")
    clock: ClockConfig = section(ClockConfig, "image number to host time; latency_s is that of `lodestone calibrate time`")
