"""The driver of the arm: the framed stream on its thread, and the tracker that makes samples of its bodies."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from lodestone_core.device.serial_port import SerialTransport
from lodestone_core.device.stream import Arrival, Connect, StreamStatus
from lodestone_core.device.stream_driver import StreamDriver
from us_motion.drivers.arm_files import Arm
from us_motion.drivers.arm_tracker import ArmTracker
from us_motion.drivers.config import ArmConfig
from us_motion.types import ArmSample

# A reader that does not come for so many samples has a fault of its own; the newest are kept.
SAMPLES_KEPT: Final = 1000


class ArmDriver:
    """Begins on `start`, recovers by itself, ends on `stop`.

    `on_sample` (each sample as soon as it is there) and `on_news` (`take_samples` or `status` has something new) run on the driver's
    thread and must return at once.
    """

    def __init__(
        self,
        config: ArmConfig,
        arm: Arm,
        on_news: Callable[[], None],
        on_sample: Callable[[ArmSample], None] = lambda sample: None,
        connect: Connect = SerialTransport,
    ) -> None:
        """Raises InputError when the trace file cannot be written."""
        self._on_news, self._on_sample = on_news, on_sample
        self.lock = threading.Lock()
        """Held while the driver's thread changes the tracker: whoever reads a joint's state or acts on it takes it too."""
        self._samples: deque[ArmSample] = deque(maxlen=SAMPLES_KEPT)
        self.stream = StreamDriver(config.stream, self._take, on_news, connect, self._request)
        self.tracker = ArmTracker(config, arm, self._on_new, self.stream.clock.wall_ns)

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

    def take_samples(self) -> list[ArmSample]:
        """The samples since the last call, oldest first. Raises what ended the driver's thread, if anything did."""
        samples = []
        while self._samples:
            samples.append(self._samples.popleft())
        self.stream.check()
        return samples

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

    def _on_new(self, sample: ArmSample) -> None:
        self._on_sample(sample)
        self._samples.append(sample)
        self._on_news()
