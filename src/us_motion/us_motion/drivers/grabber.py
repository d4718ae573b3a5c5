"""From frames of video to ultrasound images with their geometry. Pure: takes what a VideoReader hands over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lodestone_core.device.video_status import VideoFrame
from lodestone_core.errors import InputError
from us_motion.depth_watch import DepthWatch, GeometryState
from us_motion.drivers.ultrasound_config import UltrasoundDriverConfig
from us_motion.frame_geometry import Fan
from us_motion.ultrasound_calibration import UltrasoundCalibration


@dataclass(frozen=True, slots=True, eq=False)
class UltrasoundFrame:
    """One image (rows, columns) with its acquisition; `fan` is None while the geometry is not known to hold, and `detail` says why."""

    stamp_ns: int
    image: npt.NDArray[np.uint8]
    epoch: int
    fan: Fan | None
    preset: str
    detail: str


@dataclass(slots=True)
class GrabberCounters:
    """Since the driver was started."""

    images: int = 0
    not_valid: int = 0
    other_size: int = 0
    black: int = 0


class Grabber:
    """Crops each frame and judges its geometry."""

    def __init__(self, calibration: UltrasoundCalibration | None, config: UltrasoundDriverConfig) -> None:
        """Raises InputError for a `preset` that the calibration does not have."""
        self.counters = GrabberCounters()
        self.state = GeometryState(0, None, "no image yet")
        self._calibration = calibration
        self._fans = {} if calibration is None else _chosen(calibration, config.preset)
        self._watch = DepthWatch(self._fans, config.watch) if self._fans else None

    def take(self, frame: VideoFrame) -> UltrasoundFrame:
        """The image in a frame of video. An image of another size than calibrated goes out whole, and never as valid."""
        image, trouble = self._image(frame)
        watch = self._watch
        if trouble or watch is None:
            state = GeometryState(
                self.state.epoch, None, trouble or "no calibration of the ultrasound video is loaded: give `calibration_file`"
            )
        else:
            state = watch.update(image)
        self.state = state
        self.counters.images += 1
        self.counters.not_valid += state.preset is None
        fan = None if state.preset is None else self._fans[state.preset]
        return UltrasoundFrame(frame.stamp_ns, image, state.epoch, fan, state.preset or "", state.detail)

    def _image(self, frame: VideoFrame) -> tuple[npt.NDArray[np.uint8], str]:
        calibration = self._calibration
        if calibration is None:
            return frame.image, ""
        width, height = calibration.frame_px
        if frame.image.shape != (height, width):
            self.counters.other_size += 1
            got = f"{frame.image.shape[1]} x {frame.image.shape[0]}"
            return frame.image, f"the video has {got} pixels, the calibration is of {width} x {height}"
        image = np.ascontiguousarray(calibration.cropped(frame.image))
        if frame.black:
            self.counters.black += 1
            return image, "the image is black"
        return image, ""


def _chosen(calibration: UltrasoundCalibration, preset: str) -> dict[str, Fan]:
    fans = calibration.fans()
    if preset and preset not in fans:
        remedy = "name one of them, or none to let the images tell"
        raise InputError("preset", expected="one of " + ", ".join(fans), got=repr(preset), remedy=remedy)
    return {preset: fans[preset]} if preset else fans
