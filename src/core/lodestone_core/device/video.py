"""A reader of images on a thread of its own: opens a source, opens it again when it is lost, stamps each image, and says what is wrong.

    open -> stream -> (lost, silent) -> wait, doubling -> open ...

A read that blocks holds this thread alone: `stop` returns within its limit, and `status` says that no image comes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from lodestone_core.device.serial_port import SystemClock
from lodestone_core.device.video_config import VideoConfig
from lodestone_core.device.video_source import VideoSource, open_source
from lodestone_core.device.video_status import VideoCause, VideoCounters, VideoFault, VideoFrame, VideoStage, VideoStatus
from lodestone_core.device.video_stream import Allocate, EndOfFile, VideoStream, empty_image
from lodestone_core.time import s_from_ns

STOP_S: Final = 3.0
# Images that do not come for so many periods, and for so long, are missed.
_MISSED_PERIODS, _MISSED_S, _MISSED_UNKNOWN_S = 3.0, 0.4, 1.0


class VideoReader:
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
        self.config = config
        self.counters = VideoCounters()
        self.rate_hz = 0.0
        """Images a second of late; 0 while not known."""
        self._on_frame, self._on_news, self._open, self._allocate = on_frame, on_news, open_, allocate
        self._stop = threading.Event()
        self._clock = SystemClock(self._stop)
        self._status = VideoStatus()
        self._last_ns = self._clock.now_ns()
        self._crash: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def status(self) -> VideoStatus:
        """What holds now; a stream that has fallen silent is called so before its time-out is over."""
        status = self._status
        silent_s = s_from_ns(self._clock.now_ns() - self._last_ns)
        limit_s = max(_MISSED_S, _MISSED_PERIODS / status.nominal_rate_hz if status.nominal_rate_hz else _MISSED_UNKNOWN_S)
        if status.stage is VideoStage.STREAM and silent_s > limit_s:
            return replace(status, cause=VideoCause.STALLED, detail=f"for {silent_s:.1f} s")
        return status

    def start(self) -> None:
        """Begin to open the source."""
        self._thread.start()

    def stop(self, limit_s: float = STOP_S) -> bool:
        """End, and wait for that up to `limit_s`; whether the source was given back. A read that blocks for longer is left behind."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(limit_s)
        return not self._thread.is_alive()

    def check(self) -> None:
        """Raises what ended the reader's thread, if anything did."""
        if self._crash is not None:
            raise self._crash

    def _run(self) -> None:
        wait_s = self.config.reopen_s
        try:
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
        except Exception as error:
            self._crash = error  # raised again by `check`, on the thread that can end the process in order
            self._on_news()

    def _session(self) -> None:
        """Open and read until a request to stop. Raises VideoFault when the source is lost, EndOfFile at the end of a file."""
        self.counters.openings += 1
        source = self._open(self.config)
        try:
            stream = VideoStream(source, self.config, self._clock, self.counters, self._allocate)
            self._last_ns = self._clock.now_ns()
            facts = source.facts
            self._say(stage=VideoStage.STREAM, cause=None, detail="", nominal_rate_hz=stream.promised_hz, notes=facts.notes)
            while not self._stop.is_set():
                step = stream.step()
                self._last_ns, self.rate_hz = step.arrived_ns, stream.rate_hz
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
