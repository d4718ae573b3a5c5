"""Where pictures come from, behind one interface: video, or files in a folder. Each on a thread of its own that recovers by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lodestone_core.device.video import VideoReader
from lodestone_core.device.video_config import VideoConfig
from lodestone_core.device.video_status import VideoCause, VideoFrame
from lodestone_core.device.worker import Worker
from lodestone_core.errors import InputError
from xray_registration.drivers.config import FolderConfig
from xray_registration.drivers.folder import FolderWatch
from xray_registration.drivers.header import XrayHeader
from xray_registration.drivers.pictures import XrayFrame, read_picture

_HELD = "the picture stands still: no exposure (the last picture is held), or the frame grabber is frozen"
OnFrame = Callable[[XrayFrame], None]
OnNews = Callable[[], None]


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """What holds of the source: `problem` is empty while all is well, `note` says what may be meant. `figures` are counts."""

    stage: str
    problem: str = ""
    remedy: str = ""
    note: str = ""
    figures: dict[str, object] = field(default_factory=dict)


class PictureSource(Protocol):
    """Starts on `start`, ends on `stop`. Frames come on a thread of its own."""

    @property
    def status(self) -> SourceStatus:
        """What holds now."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> bool:
        """End; returns within a few seconds, and whether it has ended."""

    def check(self) -> None:
        """Raises what ended the thread, if anything did."""


class VideoPictures:
    """Frames of a VideoReader: no header but their size."""

    def __init__(self, config: VideoConfig, on_frame: OnFrame, on_news: OnNews) -> None:
        self._on_frame = on_frame
        self._reader = VideoReader(config, self._take, on_news, "xray")

    @property
    def status(self) -> SourceStatus:
        """What holds now."""
        status, counters = self._reader.status, self._reader.counters
        figures: dict[str, object] = {
            "size": f"{status.width}x{status.height}",
            "rate_hz": round(self._reader.rate_hz, 2),
            "images": counters.frames,
            "skipped": counters.skipped,
            "repeats": counters.repeats,
            "black": counters.black,
            "openings": counters.openings,
        }
        if status.cause is VideoCause.FROZEN:
            # A C-arm shows its last picture until the next exposure: nothing is wrong, and nothing is handed on.
            return SourceStatus(status.stage.value, figures=figures, note=_HELD)
        return SourceStatus(status.stage.value, status.problem, status.remedy, figures=figures)

    def start(self) -> None:
        """Begin."""
        self._reader.start()

    def stop(self) -> bool:
        """End."""
        return self._reader.stop()

    def check(self) -> None:
        """Raises what ended the thread, if anything did."""
        self._reader.check()

    def _take(self, frame: VideoFrame) -> None:
        problems = ("the picture is black",) if frame.black else ()
        header = XrayHeader((frame.image.shape[1], frame.image.shape[0]), problems=problems)
        self._on_frame(XrayFrame(frame.stamp_ns, frame.image, header, False))


class FolderPictures(Worker):
    """Frames of the files that appear in a folder. A file that is refused is counted and named by its number, never by its name."""

    def __init__(self, config: FolderConfig, on_frame: OnFrame, on_news: OnNews, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises InputError without a path."""
        if not config.path:
            raise InputError("folder.path", expected="the folder with pictures", got="nothing", remedy="give it, or choose kind video")
        super().__init__("xray folder", on_news)
        self._config, self._on_frame = config, on_frame
        self._watch = FolderWatch(Path(config.path).expanduser(), config.settle_s, clock, config.existing)
        self._status = SourceStatus("look for the folder")
        self._files = self._refused = self._images = 0

    @property
    def status(self) -> SourceStatus:
        """What holds now; the refusal of a file stands until the next whole one."""
        figures: dict[str, object] = {"files": self._files, "files_refused": self._refused, "images": self._images}
        return SourceStatus(self._status.stage, self._status.problem, self._status.remedy, figures=figures)

    def _work(self) -> None:
        while not self._stop.is_set():
            self._look()
            self._stop.wait(self._config.poll_s)

    def _look(self) -> None:
        try:
            paths = self._watch.poll()
        except OSError as error:
            remedy = "check folder.path, and whether the share is mounted; it is looked for again"
            self._say(SourceStatus("look for the folder", f"the folder of pictures cannot be read: {error.strerror}", remedy))
            return
        if self._status.stage != "watch the folder":
            self._say(SourceStatus("watch the folder"))
        for path in paths:
            self._read(path)

    def _read(self, path: Path) -> None:
        self._files += 1
        try:
            frames = read_picture(path, self._config)
        except InputError as error:
            self._refused += 1
            what = f"file {self._files} was refused: {error.what}: expected {error.expected}, got {error.got}"
            self._say(SourceStatus("watch the folder", what, error.remedy))
            return
        self._images += len(frames)
        if self._status.problem:
            self._say(SourceStatus("watch the folder"))
        for frame in frames:
            self._on_frame(frame)

    def _say(self, status: SourceStatus) -> None:
        before, self._status = self._status, status
        if before != status:
            self._on_news()
