"""The driver's one thread: runs the session and hands its frames over, so that everything else can stay on one thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from em_registration.drivers.config import AuroraConfig
from em_registration.drivers.faults import DriverStatus
from em_registration.drivers.session import Connect, Session
from lodestone_core.device.faults import Stopped
from lodestone_core.device.serial_port import SerialTransport, SystemClock
from lodestone_core.device.trace import STOPPED, TraceWriter, traced
from lodestone_core.types import TrackedFrame

# A reader that does not come for so many frames has a fault of its own; the newest are kept.
FRAMES_KEPT: Final = 1000
_JOIN_S: Final = 3.0


class AuroraDriver:
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
        self._on_frame = on_frame
        self._stop = threading.Event()
        self._on_news = on_news
        clock = SystemClock(self._stop)
        self._trace = TraceWriter(config.trace_file, clock, config.trace_max_mb) if config.trace_file else None
        opened = traced(connect, self._trace) if self._trace else connect
        self.session = Session(config, opened, clock, self._stop.is_set)
        self._frames: deque[TrackedFrame] = deque(maxlen=FRAMES_KEPT)
        self._crash: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="aurora", daemon=True)

    @property
    def status(self) -> DriverStatus:
        """What the session says about itself."""
        return self.session.status

    def start(self) -> None:
        """Begin to look for the device."""
        self._thread.start()

    def stop(self) -> None:
        """End tracking and give the port back; waits for that up to three seconds."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    def take_frames(self) -> list[TrackedFrame]:
        """The frames since the last call, oldest first. Raises what ended the driver's thread, if anything did."""
        frames = []
        while self._frames:
            frames.append(self._frames.popleft())
        if self._crash is not None:
            raise self._crash
        return frames

    def _run(self) -> None:
        try:
            status = self.status
            while not self._stop.is_set():
                frames = self.session.step()
                for frame in frames:
                    self._on_frame(frame)
                self._frames.extend(frames)
                if frames or self.status is not status:
                    status = self.status
                    self._on_news()
        except Stopped:
            pass
        except Exception as error:
            # Raised again by take_frames, on the thread that can end the process in order.
            self._crash = error
            self._on_news()
        finally:
            if self._trace is not None:
                self._trace.write("!", STOPPED)
            self.session.close()
            if self._trace is not None:
                self._trace.close()
