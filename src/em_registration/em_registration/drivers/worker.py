"""The driver's one thread: runs the session and hands its frames over, so that everything else can stay on one thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from em_registration.drivers.config import AuroraConfig
from em_registration.drivers.faults import DriverStatus
from em_registration.drivers.session import Session
from lodestone_core.device.device_thread import DeviceThread
from lodestone_core.device.serial_port import Connect, SerialTransport
from lodestone_core.types import TrackedFrame

# A reader that does not come for so many frames has a fault of its own; the newest are kept.
FRAMES_KEPT: Final = 1000


class AuroraDriver(DeviceThread):
    """Starts to track on `start`, recovers by itself, ends on `stop`.

    Both callbacks run on the driver's thread and must return at once: `on_frame` with each frame as soon as it is there, then `on_news`
    when `take_frames` or `status` has something new.
    """

    def __init__(
        self,
        config: AuroraConfig,
        on_news: Callable[[], None],
        connect: Connect = SerialTransport,
        on_frame: Callable[[TrackedFrame], None] = lambda frame: None,
    ) -> None:
        """Raises InputError when the trace file cannot be written."""
        super().__init__("aurora", on_news, connect, config.trace_file, config.trace_max_mb)
        self._on_frame = on_frame
        self.session = Session(config, self._connect, self.clock, self._stop.is_set)
        self._frames: deque[TrackedFrame] = deque(maxlen=FRAMES_KEPT)

    @property
    def status(self) -> DriverStatus:
        """What the session says about itself."""
        return self.session.status

    def take_frames(self) -> list[TrackedFrame]:
        """The frames since the last call, oldest first. Raises what ended the driver's thread, if anything did."""
        frames = []
        while self._frames:
            frames.append(self._frames.popleft())
        self.check()
        return frames

    def _step(self) -> bool:
        before = self.status
        frames = self.session.step()
        for frame in frames:
            self._on_frame(frame)
        self._frames.extend(frames)
        return bool(frames) or self.status is not before

    def _close(self) -> None:
        self.session.close()
