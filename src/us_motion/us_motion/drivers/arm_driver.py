"""The driver of the arm: the framed stream on its thread, and the tracker that makes samples of its bodies."""

from __future__ import annotations

import threading
from collections.abc import Callable

from lodestone_core.device.serial_port import Connect, SerialTransport
from lodestone_core.device.stream import Arrival, StreamStatus
from lodestone_core.device.stream_driver import StreamDriver
from us_motion.drivers.arm_files import Arm
from us_motion.drivers.arm_tracker import ArmTracker
from us_motion.drivers.config import ArmConfig
from us_motion.types import ArmSample


class ArmDriver:
    """Begins on `start`, recovers by itself, ends on `stop`.

    `on_sample` (each sample as soon as it is there) and `on_news` (`status` has changed, or `check` has something to raise) run on the
    driver's thread and must return at once.
    """

    def __init__(
        self,
        config: ArmConfig,
        arm: Arm,
        on_sample: Callable[[ArmSample], None],
        on_news: Callable[[], None] = lambda: None,
        connect: Connect = SerialTransport,
    ) -> None:
        """Raises InputError when the trace file cannot be written."""
        self.lock = threading.Lock()
        """Held while the driver's thread changes the tracker: whoever reads a joint's state or acts on it takes it too."""
        self.stream = StreamDriver(config.stream, self._take, on_news, connect, self._request)
        self.tracker = ArmTracker(config, arm, on_sample, self.stream.clock.wall_ns)

    @property
    def status(self) -> StreamStatus:
        """What the stream says about itself."""
        return self.stream.status

    def start(self) -> None:
        """Begin to look for the device."""
        self.stream.start()

    def stop(self) -> None:
        """Give the port back."""
        self.stream.stop()

    def check(self) -> None:
        """Raises what ended the driver's thread, if anything did."""
        self.stream.check()

    def home(self) -> str:
        """As ArmTracker.home, from any thread."""
        with self.lock:
            return self.tracker.home()

    def accept(self) -> str:
        """As ArmTracker.accept, from any thread."""
        with self.lock:
            return self.tracker.accept()

    def _take(self, arrival: Arrival) -> str:
        with self.lock:
            return self.tracker.take(arrival)

    def _request(self) -> bytes:
        return self.tracker.request()
