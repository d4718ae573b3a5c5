"""The array's driver: from bodies of frames to samples, and what the device says of itself. One thread, as StreamDriver has it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

from guidewire_recon.drivers.array_frames import HELLO_REQUEST, SELF_TEST_FAILED, Hello, Measurement, parse
from guidewire_recon.drivers.array_tracker import ArrayTracker
from guidewire_recon.drivers.config import MagnetometersConfig
from guidewire_recon.drivers.sensor_watch import SensorWatch
from guidewire_recon.types import ArraySample
from lodestone_core.device.serial_port import Clock, Connect, SerialTransport, SystemClock
from lodestone_core.device.stream import Arrival, StreamStatus
from lodestone_core.device.stream_driver import StreamDriver

OnSample = Callable[[ArraySample], None]
_HELLO_PATIENCE: Final = 3
_RATE_PERIOD_S: Final = 1.0


class ArrayDriver(Protocol):
    """A way to the array. `on_sample` is called on the driver's thread, `status` and `hello` may be read from any."""

    @property
    def status(self) -> StreamStatus:
        """What the driver says about itself."""

    @property
    def hello(self) -> Hello | None:
        """What the device has said of itself."""

    @property
    def tracker(self) -> ArrayTracker:
        """Holds the counters."""

    @property
    def rate_hz(self) -> float:
        """Triggers a second, also those whose frame was lost; NaN before the first second is over."""

    def figures(self) -> dict[str, int]:
        """Counters of its own, for diagnostics."""

    def start(self) -> None:
        """Begin to look for the device."""

    def stop(self) -> bool:
        """Give the device back; whether that was done in time."""

    def check(self) -> None:
        """Raises what ended the driver's thread, if anything did."""


def tracker_of(config: MagnetometersConfig, clock: Clock) -> ArrayTracker:
    """The tracker that the configuration describes."""
    return ArrayTracker(config.clock, clock, SensorWatch(config.stuck_samples, config.stuck_axis_samples, config.dead_s))


class StreamIntake:
    """Bodies in, samples out; sans thread. Asks for the hello until it has come."""

    def __init__(self, config: MagnetometersConfig, clock: Clock, on_sample: OnSample) -> None:
        self.tracker = tracker_of(config, clock)
        self.hello: Hello | None = None
        self._config = config
        self._on_sample = on_sample
        self._opening = 0
        self.asked = 0

    def request(self) -> bytes:
        """What is to be sent to the device now."""
        if self.hello is not None:
            return b""
        self.asked += 1
        return HELLO_REQUEST

    def take(self, arrival: Arrival) -> str:
        """One body; a sentence when it is not of the array that is expected."""
        if arrival.opening != self._opening:  # another device may have been plugged in
            self._opening, self.hello, self.asked = arrival.opening, None, 0
        record = parse(arrival.body)
        if isinstance(record, str):
            return record
        count = record.count if isinstance(record, Hello) else len(record.raw)
        mismatch = self._mismatch(record.array_id, count)
        if mismatch:
            return mismatch
        if isinstance(record, Hello):
            self.hello = record
            self.tracker.restarted(record.device_us)
            return ""
        return self._measured(record, arrival)

    def _measured(self, measurement: Measurement, arrival: Arrival) -> str:
        sample = self.tracker.update(measurement, arrival)
        if isinstance(sample, str):
            return sample
        if sample is not None:
            self._on_sample(sample)
        return ""

    def _mismatch(self, array_id: int, count: int) -> str:
        if count != self._config.sensors:
            return f"the array has {count} sensors, the parameter `sensors` says {self._config.sensors}"
        if self._config.array_id not in (-1, array_id):
            return f"it is array {array_id}, the parameter `array_id` says {self._config.array_id}"
        return ""


class StreamArrayDriver:
    """The array behind a microcontroller that streams."""

    def __init__(
        self, config: MagnetometersConfig, on_sample: OnSample, on_news: Callable[[], None], connect: Connect = SerialTransport
    ) -> None:
        """Raises InputError when the trace file cannot be written."""
        self.intake = StreamIntake(config, SystemClock(), on_sample)
        self._config = config
        self._driver = StreamDriver(config.stream, self.intake.take, on_news, connect, self.intake.request)
        self._rate = RateMeter(lambda: self.tracker.counters.samples + self.tracker.counters.skipped)
        self.start, self.stop, self.check = self._driver.start, self._driver.stop, self._driver.check
        self.session = self._driver.session

    @property
    def tracker(self) -> ArrayTracker:
        """Holds the counters."""
        return self.intake.tracker

    @property
    def hello(self) -> Hello | None:
        """What the device has said of itself since the port was opened."""
        return self.intake.hello

    @property
    def rate_hz(self) -> float:
        """Triggers a second, also those whose frame was lost."""
        return self._rate()

    @property
    def status(self) -> StreamStatus:
        """The session's status, with notes on what the device says of itself."""
        status = self._driver.status
        return replace(status, notes=notes_on(self.hello, self.intake.asked, self.rate_hz, self._config)) if status.streaming else status

    def figures(self) -> dict[str, int]:
        """Counters of the line."""
        counters, frames = self._driver.session.counters, self._driver.session.frames
        return {
            "bytes": counters.bytes,
            "frames": frames.frames,
            "frames_bad_crc": frames.bad_crc,
            "frames_bad_stuffing": frames.bad_stuffing,
            "frames_too_long": frames.too_long,
            "frames_refused": counters.refused,
            "noise_bytes": frames.noise_bytes,
            "openings": counters.openings,
            "silences": counters.silences,
        }


class RateMeter:
    """Events a second from a counter, over the last second or longer."""

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count
        self._then = (count(), time.monotonic())
        self._rate_hz = float("nan")

    def __call__(self) -> float:
        """NaN before the first second is over."""
        count, now_s = self._count(), time.monotonic()
        before, then_s = self._then
        if now_s - then_s >= _RATE_PERIOD_S:
            self._then = (count, now_s)
            self._rate_hz = (count - before) / (now_s - then_s)
        return self._rate_hz


def notes_on(hello: Hello | None, asked: int, rate_hz: float, config: MagnetometersConfig) -> tuple[str, ...]:
    """What a person should know of a device that streams."""
    if hello is None:
        return ("the device does not say what it is: its firmware sends no hello frame",) if asked > _HELLO_PATIENCE else ()
    notes = [f"{_names(hello.strangers())}: no AK09940A answers there"] if hello.strangers() else []
    failed = tuple(i for i, result in enumerate(hello.self_tests) if result == SELF_TEST_FAILED)
    notes += [f"{_names(failed)}: self-test failed"] if failed else []
    if rate_hz < config.least_rate * hello.rate_hz:
        notes.append(f"{rate_hz:.1f} Hz come where the device announces {hello.rate_hz:g} Hz")
    return tuple(notes)


def _names(indices: tuple[int, ...]) -> str:
    return ", ".join(f"s{index:02d}" for index in indices)
