"""The driver of the arm: the framed stream on its thread, and the tracker that makes samples of its bodies."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lodestone_core.device.serial_port import SerialTransport
from lodestone_core.device.stream import Arrival, Connect, StreamStatus
from lodestone_core.device.stream_driver import StreamDriver
from lodestone_core.errors import InputError
from us_motion.arm_calibration import ArmCalibration, check_fits_chain, load_arm_calibration
from us_motion.drivers.arm_tracker import ArmTracker
from us_motion.drivers.config import ArmConfig
from us_motion.drivers.stored_home import StoredHome
from us_motion.kinematics import Chain
from us_motion.types import ArmSample
from us_motion.urdf import read_chain

# A reader that does not come for so many samples has a fault of its own; the newest are kept.
SAMPLES_KEPT: Final = 1000


@dataclass(frozen=True, slots=True)
class Arm:
    """What is known of an arm before its encoders are heard; None for what is not configured."""

    chain: Chain | None
    calibration: ArmCalibration | None
    home: StoredHome | None


def load_arm(config: ArmConfig) -> Arm:
    """Read the files of a configuration. Raises InputError when one cannot be read or two do not fit each other."""
    chain = read_chain(Path(config.urdf).expanduser(), config.base_frame, config.probe_frame) if config.urdf else None
    calibration = load_arm_calibration(Path(config.calibration).expanduser(), config.rig) if config.calibration else None
    if calibration is not None and chain is None:
        raise InputError("urdf", expected="a URDF beside the calibration", got="none", remedy="give the parameter `urdf`")
    if calibration is not None and chain is not None:
        check_fits_chain(calibration, chain)
    return Arm(chain, calibration, StoredHome(Path(config.state_file).expanduser()) if config.state_file else None)


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
        self.tracker = ArmTracker(
            arm.calibration,
            arm.chain,
            self._on_new,
            self.stream.clock.wall_ns,
            device_id=config.device_id,
            trust=config.trust,
            clock=config.clock,
            kept=arm.home,
        )

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
