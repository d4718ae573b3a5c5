"""What a video reader says of itself, and what it hands over."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np
from numpy.typing import NDArray


class VideoStage(Enum):
    """Where the reader stands."""

    OPEN = "open the source"
    STREAM = "take images"
    WAIT = "wait before the source is opened again"
    FINISHED = "the file is at its end"


class VideoCause(Enum):
    """What went wrong with a source."""

    MISSING = "the video source does not exist"
    PERMISSION = "no permission to open the video source"
    NOT_OPENED = "the video source does not open"
    LOST = "the video source has ended the stream or is silent"
    FORMAT = "the images are of a kind that is not understood"
    TIMES = "the times of the images jump"
    STALLED = "no image comes"
    SIZE = "the images have another size than expected"
    SLOW = "the source delivers fewer images than it should"
    FROZEN = "the image is frozen: the same one comes again and again"
    BLACK = "the images are black"


REMEDIES: Final = {
    VideoCause.MISSING: "plug the camera in, or correct the parameter `source` (prefer /dev/v4l/by-id/...)",
    VideoCause.PERMISSION: "join the group of the device (`sudo usermod -aG video $USER`, then log in again)",
    VideoCause.NOT_OPENED: "free it of other programs, correct the address, raise `open_timeout_s` for a slow one; it is tried again",
    VideoCause.LOST: "check the cable and the power of the camera; it is opened again by itself",
    VideoCause.FORMAT: "choose a `pixel_format` that the camera offers (`v4l2-ctl --list-formats`): GREY, YUYV or MJPG",
    VideoCause.TIMES: "the source is opened again by itself; where it happens again and again, set `source_times` to false",
    VideoCause.STALLED: "check the cable and the trigger of the camera; it is opened again when the read time-out is over",
    VideoCause.SIZE: "set the camera to the expected size, or correct `width` and `height`; a calibration holds for its own size only",
    VideoCause.SLOW: "lower the exposure time, check the bandwidth (USB 3 port, one camera a port) and the load of this computer",
    VideoCause.FROZEN: "restart the camera or the frame grabber's source; frozen images are not handed on",
    VideoCause.BLACK: "take the cap off, check the light and the exposure",
}


@dataclass(frozen=True, slots=True)
class VideoStatus:
    """`problem` is empty while all is well; `notes` are settings that the source refused."""

    stage: VideoStage = VideoStage.OPEN
    cause: VideoCause | None = None
    detail: str = ""
    width: int = 0
    height: int = 0
    nominal_rate_hz: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def problem(self) -> str:
        """What is wrong, for people."""
        if self.cause is None:
            return ""
        return f"{self.cause.value}: {self.detail}" if self.detail else self.cause.value

    @property
    def remedy(self) -> str:
        """What a person can do about it."""
        return REMEDIES[self.cause] if self.cause is not None else ""

    @property
    def streaming(self) -> bool:
        """Whether images come as they should."""
        return self.stage is VideoStage.STREAM and self.cause is None


class VideoFault(Exception):
    """A source cannot be used. Raised and caught within a reader: outside it is a status with a reason."""

    def __init__(self, cause: VideoCause, detail: str = "") -> None:
        super().__init__(f"{cause.value}: {detail}")
        self.cause = cause
        self.detail = detail


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One image, (h, w) uint8, with its acquisition on the host's clock.

    `number` counts the images that were handed over, `skipped` those that were lost since the one before. `as_expected` is false for
    another size than configured; `black` is true for an image without light. The pixels stay unchanged until `buffers` - 1 more images have
    come: copy what must be kept. `exposure_s` and `gain` are what the device reads back, NaN where it tells none.
    """

    number: int
    stamp_ns: int
    sigma_ns: int
    received_ns: int
    skipped: int
    image: NDArray[np.uint8]
    as_expected: bool = True
    black: bool = False
    exposure_s: float = float("nan")
    gain: float = float("nan")


@dataclass(slots=True)
class VideoCounters:
    """Counts since the reader was made."""

    frames: int = 0
    skipped: int = 0
    repeats: int = 0
    unstamped: int = 0
    black: int = 0
    wrong_size: int = 0
    openings: int = 0
    losses: int = 0
