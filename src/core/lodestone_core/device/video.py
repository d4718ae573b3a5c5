"""A reader of images on a thread of its own: opens a source, opens it again when it is lost, stamps each image, and says what is wrong.

    open -> stream -> (lost, silent) -> wait, doubling -> open ...

A read that blocks holds this thread alone: `stop` returns within its limit, and `status` says that no image comes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lodestone_core.device.serial_port import SystemClock
from lodestone_core.device.source_clock import SourceTime
from lodestone_core.device.video_config import VideoConfig
from lodestone_core.device.video_source import VideoSource, open_source
from lodestone_core.device.video_status import VideoCause, VideoCounters, VideoFault, VideoFrame, VideoStage, VideoStatus
from lodestone_core.device.video_stream import Allocate, EndOfFile, VideoStream, empty_image
from lodestone_core.device.worker import Worker
from lodestone_core.time import s_from_ns

# Images that do not come for so many periods, and for so long, are missed.
_MISSED_PERIODS, _MISSED_S, _MISSED_UNKNOWN_S = 3.0, 0.4, 1.0


class VideoReader(Worker):
    """Starts to read on `start`, recovers by itself, ends on `stop`. May be used once.

    Both callbacks run on the reader's thread and must return soon: `on_frame` with each image as soon as it is there, `on_news` when
    stage, cause or notes of `status` have changed. An image that repeats the one before to the last bit is counted and not handed on.
    """

    def __init__(
        self,
        config: VideoConfig,
        on_frame: Callable[[VideoFrame], None],
        on_news: Callable[[], None] = lambda: None,
        name: str = "video",
        open_: Callable[[VideoConfig], VideoSource] = open_source,
        allocate: Allocate = empty_image,
    ) -> None:
        """`allocate` gives the memory of images, for a user who sends them on without a copy."""
        super().__init__(name, on_news)
        self.config = config
        self.counters = VideoCounters()
        self.rate_hz = 0.0
        """Images a second of late; 0 while not known."""
        self._on_frame, self._open, self._allocate = on_frame, open_, allocate
        self._clock = SystemClock(self._stop)
        self._status = VideoStatus()
        self._last_ns = self._clock.now_ns()
        self._source_time: SourceTime | None = None

    @property
    def status(self) -> VideoStatus:
        """What holds now; a stream that has fallen silent is called so before its time-out is over."""
        status = self._status
        silent_s = s_from_ns(self._clock.now_ns() - self._last_ns)
        limit_s = max(_MISSED_S, _MISSED_PERIODS / status.nominal_rate_hz if status.nominal_rate_hz else _MISSED_UNKNOWN_S)
        if status.stage is VideoStage.STREAM and silent_s > limit_s:
            return replace(status, cause=VideoCause.STALLED, detail=f"for {silent_s:.1f} s")
        return status

    def _work(self) -> None:
        wait_s = self.config.reopen_s
        while not self._stop.is_set():
            frames = self.counters.frames
            try:
                self._session()
            except EndOfFile:
                if not self.config.loop or self.counters.frames == frames:
                    self._say(stage=VideoStage.FINISHED, cause=None, detail="")
                    return
                continue
            except VideoFault as fault:
                self._say(stage=VideoStage.WAIT, cause=fault.cause, detail=fault.detail)
            wait_s = self.config.reopen_s if self.counters.frames > frames else wait_s
            self._clock.sleep(wait_s)
            wait_s = min(2.0 * wait_s, self.config.reopen_max_s)

    def _session(self) -> None:
        """Open and read until a request to stop. Raises VideoFault when the source is lost, EndOfFile at the end of a file."""
        self.counters.openings += 1
        source = self._open(self.config)
        try:
            stream = VideoStream(source, self.config, self._clock, self.counters, self._allocate, self._source_time)
            self._last_ns = self._clock.now_ns()
            facts = source.facts
            self._say(stage=VideoStage.STREAM, cause=None, detail="", nominal_rate_hz=stream.promised_hz, notes=facts.notes)
            while not self._stop.is_set():
                step = stream.step()
                self._last_ns, self.rate_hz, self._source_time = step.arrived_ns, stream.rate_hz, stream.source_time
                cause, detail = step.trouble or (None, "")
                self._say(cause=cause, detail=detail, width=step.width, height=step.height)
                if step.frame is not None:
                    self._on_frame(step.frame)
        finally:
            source.close()

    def _say(self, **changes: Any) -> None:
        """Change the status, and tell when that changes anything for a person."""
        before, self._status = self._status, replace(self._status, **changes)
        if (before.stage, before.cause, before.notes) != (self._status.stage, self._status.cause, self._status.notes):
            self._on_news()
