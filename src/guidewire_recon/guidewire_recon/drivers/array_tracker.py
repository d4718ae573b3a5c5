"""From measurements to samples: each trigger once, stamped on the host clock, with what is known of every sensor.

A sequence number that goes back may be an old frame that came twice or a device that began anew: the one is dropped, the other believed
when the device says hello with an earlier clock, or when the next frame goes on from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from guidewire_recon.drivers.ak09940a import at_an_end, temperature_degc
from guidewire_recon.drivers.array_frames import Measurement, status_words
from guidewire_recon.drivers.sensor_watch import SensorWatch
from guidewire_recon.types import ArraySample, SensorStatus, usable
from lodestone_core.clock import ClockConfig
from lodestone_core.device.serial_port import Clock
from lodestone_core.device.stream import Arrival
from lodestone_core.device.stream_clock import Stamps, StreamClock

_SEQUENCES: Final = 1 << 32
_OVERFLOW = np.uint16(SensorStatus.OVERFLOW)
_BUS_ERROR = np.uint16(SensorStatus.BUS_ERROR)


@dataclass(slots=True)
class TrackCounters:
    """What has come since the start."""

    samples: int = 0
    skipped: int = 0
    repeats: int = 0
    restarts: int = 0


class ArrayTracker:
    """Measurements in, new samples out."""

    def __init__(self, clock_config: ClockConfig, clock: Clock, watch: SensorWatch) -> None:
        self.counters = TrackCounters()
        self._clock = StreamClock(clock_config, clock.wall_ns)
        self._watch = watch
        self._last: Measurement | None = None
        self._suspect: Measurement | None = None

    def restarted(self, device_us: int) -> None:
        """The device said hello at this time of its own clock: when that has gone back, it has begun anew."""
        if self._last is not None and device_us < self._last.device_us:
            self._restart()

    def update(self, measurement: Measurement, arrival: Arrival, read_ns: int = 0) -> ArraySample | str | None:
        """The sample of a measurement that arrived so; `read_ns` is for how long it was read after that.

        None when it has been there already; a sentence when the device's clock makes no sense.
        """
        if self._last is not None and measurement.sequence != self._last.sequence and measurement.device_us == self._last.device_us:
            return f"the device's clock stands still at {measurement.device_us} us while its sequence numbers go on"
        skipped = self._advance(measurement)
        if skipped is None:
            self.counters.repeats += 1
            return None
        stamps = self._clock.stamp(measurement.device_us, arrival)
        self.counters.samples += 1
        self.counters.skipped += skipped
        return self._sample(measurement, stamps, skipped, arrival.latest_ns, read_ns)

    def _sample(self, measurement: Measurement, stamps: Stamps, skipped: int, now_ns: int, read_ns: int) -> ArraySample:
        status = status_words(measurement.st)
        answered = (status & _BUS_ERROR) == 0
        status = status | np.where(at_an_end(measurement.raw) & answered, _OVERFLOW, np.uint16(0))
        status = self._watch.update(measurement.raw, status, now_ns)
        degc = temperature_degc(measurement.tmps)
        spoilt = status.any()
        return ArraySample(
            stamp_ns=stamps.stamp_ns,
            received_ns=stamps.received_ns + read_ns,
            sigma_ns=stamps.sigma_ns,
            array_id=measurement.array_id,
            sequence=measurement.sequence,
            skipped=skipped,
            device_us=measurement.device_us,
            raw=measurement.raw * usable(status)[:, None] if spoilt else measurement.raw,
            status=status,
            temperature_degc=np.where(answered, degc, np.nan) if spoilt else degc,
        )

    def _restart(self) -> None:
        self._last = self._suspect = None
        self._clock.restart()
        self.counters.restarts += 1

    def _advance(self, measurement: Measurement) -> int | None:
        """How many triggers before this one never came; None when it is no new one."""
        last, suspect, self._suspect = self._last, self._suspect, None
        if last is not None and not _follows(last, measurement):
            if suspect is None or not _follows(suspect, measurement):
                self._suspect = measurement
                return None
            self._restart()
            last = None
        self._last = measurement
        return 0 if last is None else (measurement.sequence - last.sequence - 1) % _SEQUENCES


def _follows(earlier: Measurement, later: Measurement) -> bool:
    """Whether `later` may come after `earlier` in one run of a device: its number is ahead by less than half the range, its clock too."""
    ahead = (later.sequence - earlier.sequence) % _SEQUENCES
    return 0 < ahead < _SEQUENCES // 2 and later.device_us > earlier.device_us
