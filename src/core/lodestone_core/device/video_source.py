"""A video source that is open: cv2.VideoCapture behind the little that a reader needs of it.

An address (`unix:/path`, `tcp://...`, `rtsp://...`) is opened by FFmpeg with time-outs and without conversion of colours, a device by
V4L2, a file by FFmpeg. Whatever comes leaves as grey values of 8 bit. With an image may come the time at which the device took it: V4L2
gives that of the buffer, FFmpeg that of the container (RTP, NUT, IVF); where the container has none (Y4M, AVI), FFmpeg counts, which says
nothing.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from lodestone_core.device.video_config import VideoConfig
from lodestone_core.device.video_status import VideoCause, VideoFault

Image = NDArray[np.uint8]
_ADDRESS: Final = re.compile(r"(unix:/|[a-z][a-z0-9+]*://)")
_DEVICE: Final = re.compile(r"(\d+|/dev/.+)")
_UNIX: Final = "unix:"
_GREY: Final = cv2.VideoWriter.fourcc(*"Y800")
_EXPOSURE_UNIT_S: Final = 1e-4  # V4L2 counts exposure in steps of 100 us
_MANUAL_EXPOSURE: Final = 1.0
_LEAST_RATE_HZ, _MOST_RATE_HZ = 0.1, 2000.0
_SETTING_TOLERANCE: Final = 0.05
_COUNTED_MS: Final = 0.01
# FFmpeg would hold twenty images back to guess the rate, two seconds of a camera. The rest is what cv2 asks for by itself.
_FFMPEG_OPTIONS: Final = "rtsp_transport;tcp|fpsprobesize;0"


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What an open source says of itself; a rate of 0 is none. `live` is false for a file, which waits for its reader."""

    rate_hz: float
    live: bool
    exposure_s: float = math.nan
    gain: float = math.nan
    notes: tuple[str, ...] = ()


class VideoSource(Protocol):
    """A source that is open."""

    facts: SourceFacts
    device_ns: int | None
    """When the last image was taken, on a clock of the device's own; None where nothing tells."""

    def read(self, into: Image | None) -> Image | None:
        """The next image (h, w), in `into` where that has its size; None when the stream is over or silent for too long.

        Raises VideoFault(FORMAT) for an image that has no grey values of 8 bit.
        """

    def close(self) -> None:
        """Give it back; never raises."""


def open_source(config: VideoConfig) -> VideoSource:
    """Open what `config.source` names, which takes up to its time-out. Raises VideoFault that says why it does not open."""
    name = config.source
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what goes wrong is told in words of ours
    _check_path(name)
    if _ADDRESS.match(name):
        return _Capture(_open_address(config), live=True, config=config)
    if _DEVICE.fullmatch(name):
        return _open_device(config)
    capture = _opened(cv2.VideoCapture(str(Path(name).expanduser()), cv2.CAP_FFMPEG), name)
    if int(capture.get(cv2.CAP_PROP_CODEC_PIXEL_FORMAT)) == _GREY:
        capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
    return _Capture(capture, live=False, config=config)


class _Capture:
    def __init__(
        self, capture: Any, live: bool, config: VideoConfig, notes: tuple[str, ...] = (), settings: tuple[float, float] | None = None
    ) -> None:
        self._capture, self._device = capture, settings is not None
        self.device_ns: int | None = None
        self._read, self._counted = 0, True
        rate_hz = float(capture.get(cv2.CAP_PROP_FPS))
        exposure_s, gain = settings or (math.nan, math.nan)
        known = _LEAST_RATE_HZ <= rate_hz <= _MOST_RATE_HZ
        self.facts = SourceFacts(rate_hz if known else 0.0, live, exposure_s, gain, notes or _notes_without_settings(config, settings))

    def read(self, into: Image | None) -> Image | None:
        """See VideoSource."""
        try:
            good, image = self._capture.read(into) if into is not None else self._capture.read()
        except cv2.error as error:
            raise VideoFault(VideoCause.FORMAT, str(error).strip()[:120]) from error
        if not good or image is None:
            return None
        self.device_ns = self._time_ns()
        self._read += 1
        return grey(image)

    def _time_ns(self) -> int | None:
        """The time that came with the last image, unless it is but a count of images at the promised rate."""
        time_ms = float(self._capture.get(cv2.CAP_PROP_POS_MSEC))
        if not math.isfinite(time_ms) or (self._device and time_ms <= 0.0):
            return None
        rate_hz = self.facts.rate_hz
        counted = rate_hz > 0.0 and abs(time_ms - 1e3 * self._read / rate_hz) < _COUNTED_MS
        self._counted = self._counted and not self._device and counted
        return None if self._counted else round(1e6 * time_ms)

    def close(self) -> None:
        """See VideoSource."""
        self._capture.release()


def grey(image: NDArray[Any]) -> Image:
    """Grey values of 8 bit of an image as cv2 gives it: grey, YUYV (two channels) or BGR. Raises VideoFault for another kind."""
    if image.dtype != np.uint8:
        raise VideoFault(VideoCause.FORMAT, f"values of type {image.dtype}, not of 8 bit")
    if image.ndim == 2:
        return image
    channels = image.shape[2]
    if channels in (1, 2):
        return np.ascontiguousarray(image[:, :, 0])
    if channels == 3:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
    raise VideoFault(VideoCause.FORMAT, f"{channels} channels")


def _check_path(name: str) -> None:
    """Tell a missing and a forbidden path apart, which cv2 does not."""
    text = name.removeprefix(_UNIX)
    if _ADDRESS.match(text):
        return
    path = Path(f"/dev/video{text}" if text.isdecimal() else text).expanduser()
    try:
        exists = path.exists()
    except OSError:
        exists = False
    if not exists:
        raise VideoFault(VideoCause.MISSING, name)
    if not os.access(path, os.R_OK):
        raise VideoFault(VideoCause.PERMISSION, name)


def _open_address(config: VideoConfig) -> Any:
    limits = [
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
        round(1e3 * config.open_timeout_s),
        cv2.CAP_PROP_READ_TIMEOUT_MSEC,
        round(1e3 * config.read_timeout_s),
    ]
    os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", _FFMPEG_OPTIONS)
    capture = _opened(cv2.VideoCapture(config.source, cv2.CAP_FFMPEG, limits), config.source)
    capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)  # grey values come as they were sent
    return capture


def _open_device(config: VideoConfig) -> VideoSource:
    # cv2 reads this once, and waits ten seconds for an image otherwise.
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(max(1, math.ceil(config.read_timeout_s))))
    name = config.source
    capture = _opened(cv2.VideoCapture(int(name) if name.isdecimal() else name, cv2.CAP_V4L2), name)
    if config.pixel_format:
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*config.pixel_format.ljust(4)[:4]))
    wanted = [
        ("width", cv2.CAP_PROP_FRAME_WIDTH, float(config.width or math.nan)),
        ("height", cv2.CAP_PROP_FRAME_HEIGHT, float(config.height or math.nan)),
        ("rate_hz", cv2.CAP_PROP_FPS, config.rate_hz or math.nan),
        ("exposure", cv2.CAP_PROP_EXPOSURE, config.exposure_us * 1e-6 / _EXPOSURE_UNIT_S or math.nan),
        ("gain", cv2.CAP_PROP_GAIN, config.gain if config.gain >= 0.0 else math.nan),
    ]
    if config.exposure_us:
        capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, _MANUAL_EXPOSURE)
    notes = tuple(note for what, key, value in wanted if (note := _set(capture, what, key, value)))
    settings = (_read_back(capture, cv2.CAP_PROP_EXPOSURE) * _EXPOSURE_UNIT_S, _read_back(capture, cv2.CAP_PROP_GAIN))
    return _Capture(capture, live=True, config=config, notes=notes, settings=settings)


def _set(capture: Any, what: str, key: int, value: float) -> str:
    """Set one property where a value is given; what the device made of it, "" when it did as asked."""
    if math.isnan(value):
        return ""
    capture.set(key, value)
    got = float(capture.get(key))
    if math.isclose(got, value, rel_tol=_SETTING_TOLERANCE, abs_tol=_SETTING_TOLERANCE):
        return ""
    return f"the camera did not take {what} {value:g}: it has {got:g}"


def _read_back(capture: Any, key: int) -> float:
    """Value of a property; NaN where the device has none (cv2 then says 0 or -1)."""
    value = float(capture.get(key))
    return value if value > 0.0 else math.nan


def _notes_without_settings(config: VideoConfig, settings: tuple[float, float] | None) -> tuple[str, ...]:
    asked = [name for name, given in (("exposure_us", config.exposure_us > 0.0), ("gain", config.gain >= 0.0)) if given]
    if settings is not None or not asked:
        return ()
    return (f"{' and '.join(asked)} have no effect: only a device can be told its exposure and gain",)


def _opened(capture: Any, name: str) -> Any:
    if not capture.isOpened():
        capture.release()
        raise VideoFault(VideoCause.NOT_OPENED, name)
    return capture
