"""One open video source from its first image to its last: reads, paces a file, looks at each image and stamps it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lodestone_core.device.frame_clock import FrameClock, FrameTime
from lodestone_core.device.serial_port import Clock
from lodestone_core.device.source_clock import SourceClock, SourceTime
from lodestone_core.device.video_checks import ImageChecks, Look
from lodestone_core.device.video_config import VideoConfig
from lodestone_core.device.video_source import VideoSource
from lodestone_core.device.video_status import VideoCause, VideoCounters, VideoFault, VideoFrame
from lodestone_core.time import NS_PER_S, s_from_ns

Image = NDArray[np.uint8]


Allocate = Callable[[tuple[int, int]], Image]
"""Makes the memory of an image (height, width) uint8, contiguous; it is filled again and again."""


def empty_image(shape: tuple[int, int]) -> Image:
    """Memory of numpy."""
    return np.empty(shape, np.uint8)


class EndOfFile(Exception):
    """A file has no more images."""


class Step(NamedTuple):
    """What one image was: when it came (steady time), what is wrong, and the frame to hand on, None for a repeat or without a time."""

    arrived_ns: int
    width: int
    height: int
    trouble: tuple[VideoCause, str] | None
    frame: VideoFrame | None


class VideoStream:
    """`step` blocks until the next image is there, or the source's time-out is over."""

    def __init__(
        self,
        source: VideoSource,
        config: VideoConfig,
        clock: Clock,
        counters: VideoCounters,
        allocate: Allocate = empty_image,
        before: SourceTime | None = None,
    ) -> None:
        """`before` is what an earlier stream of the same source knew of its clock."""
        self.promised_hz = config.rate_hz or source.facts.rate_hz
        self._source = source
        self._config = config
        self._clock = clock
        self._counters = counters
        self._allocate = allocate
        self._before = before
        self._frames: FrameClock | SourceClock = FrameClock(config.clock, self.promised_hz)
        self._checks = ImageChecks(config)
        self._ring: list[Image | None] = [None] * config.buffers
        self._begun_ns = clock.now_ns()
        self._read = 0

    @property
    def rate_hz(self) -> float:
        """Images a second of late; 0 while not known."""
        return self._frames.rate_hz

    @property
    def source_time(self) -> SourceTime | None:
        """What is known of the source's clock."""
        return self._frames.known if isinstance(self._frames, SourceClock) else self._before

    def step(self) -> Step:
        """The next image. Raises VideoFault when the source is lost, EndOfFile at the end of a file."""
        self._pace()
        place = self._read % len(self._ring)
        asked_ns = self._clock.now_ns()
        image = self._source.read(self._ring[place])
        arrived_ns = self._clock.now_ns()
        if image is None and not self._source.facts.live:
            raise EndOfFile
        if image is None:
            self._counters.losses += 1
            raise VideoFault(VideoCause.LOST, self._config.source)
        if image is not self._ring[place]:  # the first of this size, or converted by cv2
            image = self._kept(place, image)
        self._read += 1
        return self._take(image, asked_ns, arrived_ns)

    def _kept(self, place: int, image: Image) -> Image:
        """The image in memory of this stream, where later ones are read to."""
        own = self._ring[place]
        if own is None or own.shape != image.shape:
            own = self._ring[place] = self._allocate((image.shape[0], image.shape[1]))
        np.copyto(own, image)
        return own

    def _pace(self) -> None:
        """Wait until a file's next image is due."""
        if not self._source.facts.live and self._config.paced and self.promised_hz:
            self._clock.sleep(max(0.0, s_from_ns(self._due_ns() - self._clock.now_ns())))

    def _due_ns(self) -> int:
        return self._begun_ns + round(self._read * NS_PER_S / self.promised_hz)

    def _take(self, image: Image, asked_ns: int, arrived_ns: int) -> Step:
        due_ns = self._begun_ns if not self._read or not self.promised_hz else self._due_ns() - round(NS_PER_S / self.promised_hz)
        look = self._checks.look(image)
        at = self._time(asked_ns, arrived_ns)
        if not self._source.facts.live and self.promised_hz:
            # Images of a file lie apart as they were recorded, however fast they are read.
            at = FrameTime(due_ns, 1, 0)
        self._count(look, at)
        trouble = self._checks.trouble(self.rate_hz if self._source.facts.live else 0.0, self.promised_hz)
        frame = None if look.repeated or at is None else self._frame(image, look, at, arrived_ns)
        return Step(arrived_ns, image.shape[1], image.shape[0], trouble, frame)

    def _time(self, asked_ns: int, arrived_ns: int) -> FrameTime | None:
        """By the time that a live source gives, from the first one that it gives; by the arrival until then."""
        device_ns = self._source.device_ns if self._config.source_times and self._source.facts.live else None
        if isinstance(self._frames, FrameClock):
            if device_ns is None:
                return self._frames.update(asked_ns, arrived_ns)
            self._frames = SourceClock(self._config.clock, self.promised_hz, self._before)
        return None if device_ns is None else self._frames.update(arrived_ns, device_ns)

    def _count(self, look: Look, at: FrameTime | None) -> None:
        counters = self._counters
        counters.black += look.black
        counters.wrong_size += not look.as_expected
        counters.repeats += look.repeated
        counters.unstamped += at is None
        counters.skipped += 0 if at is None else at.skipped

    def _frame(self, image: Image, look: Look, at: FrameTime, arrived_ns: int) -> VideoFrame:
        self._counters.frames += 1
        facts = self._source.facts
        received_ns = self._clock.wall_ns(arrived_ns)
        return VideoFrame(
            number=self._counters.frames - 1,
            stamp_ns=received_ns - arrived_ns + at.stamp_ns,
            sigma_ns=at.sigma_ns,
            received_ns=received_ns,
            skipped=at.skipped,
            image=image,
            as_expected=look.as_expected,
            black=look.black,
            exposure_s=facts.exposure_s,
            gain=facts.gain,
        )
