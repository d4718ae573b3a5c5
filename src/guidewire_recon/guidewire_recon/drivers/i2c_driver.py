"""The array on the host's own I2C bus: one thread that measures, behind the same record type as the stream."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Final

from guidewire_recon.drivers.ak09940a import Drive
from guidewire_recon.drivers.ak09940a_i2c import Bus, I2cArray, places
from guidewire_recon.drivers.array_driver import OnSample, RateMeter, notes_on, tracker_of
from guidewire_recon.drivers.array_frames import Hello
from guidewire_recon.drivers.config import DRIVES, MagnetometersConfig
from lodestone_core.device.faults import Cause, DriverFault
from lodestone_core.device.serial_port import SystemClock
from lodestone_core.device.stream import Arrival, Stage, StreamStatus
from lodestone_core.device.worker import Worker
from lodestone_core.errors import InputError
from lodestone_core.time import NS_PER_S, ns_from_s, s_from_ns

_REVIVE_NS: Final = NS_PER_S
_POLL_S: Final = 0.5e-3
_CAUSES: Final = {errno.ENOENT: Cause.PORT_MISSING, errno.EACCES: Cause.PERMISSION, errno.EPERM: Cause.PERMISSION}
_REMEDIES: Final = {
    Cause.PORT_MISSING: "switch the bus on (`dtparam=i2c_arm=on` on a Raspberry Pi), load i2c-dev, or correct `i2c.bus`",
    Cause.PERMISSION: "join the group i2c (`sudo usermod -aG i2c $USER`, then log in again)",
    Cause.SILENT: "check power and wiring, `i2c.sensors` and `i2c.multiplexer`; `i2cdetect -y BUS` shows who answers",
}


def open_bus(number: int) -> Bus:
    """The bus of that number. Raises OSError."""
    from smbus2 import SMBus

    bus: Bus = SMBus(number)
    return bus


class I2cDriver(Worker):
    """Sensors on a bus of this machine. A bus that cannot be had is tried again; a sensor that fails is missing until it answers."""

    def __init__(
        self,
        config: MagnetometersConfig,
        on_sample: OnSample,
        on_news: Callable[[], None],
        connect: Callable[[int], Bus] = open_bus,
        clock: SystemClock | None = None,
    ) -> None:
        """Raises InputError for places that make no sense."""
        super().__init__("i2c", on_news)
        self._clock = clock or SystemClock(self._stop)
        self._config = config
        self._where = places(config.i2c.sensors, config.i2c.multiplexer)
        if len(self._where) != config.sensors:
            remedy = "name every sensor of the array in `i2c.sensors`, or correct `sensors`"
            raise InputError("i2c.sensors", expected=f"{config.sensors} sensors", got=len(self._where), remedy=remedy)
        self.tracker = tracker_of(config, self._clock)
        self.hello: Hello | None = None
        self._on_sample = on_sample
        self._connect = connect
        self._status = StreamStatus()
        self._sequence = self._openings = 0
        self._rate = RateMeter(lambda: self.tracker.counters.samples)

    @property
    def status(self) -> StreamStatus:
        """What the driver says about itself."""
        if not self._status.streaming:
            return self._status
        return StreamStatus(Stage.STREAM, notes=notes_on(self.hello, 0, self.rate_hz, self._config))

    @property
    def rate_hz(self) -> float:
        """Triggers a second."""
        return self._rate()

    def figures(self) -> dict[str, int]:
        """Counters of its own."""
        return {"openings": self._openings}

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                self._serve(self._open())
            except DriverFault as fault:
                self._tell(StreamStatus(Stage.OPEN, str(fault), fault.remedy, cause=fault.cause))
                self._clock.sleep(self._config.stream.backoff_max_s)

    def _open(self) -> I2cArray:
        c = self._config.i2c
        try:
            bus = self._connect(c.bus)
        except OSError as error:
            cause = _CAUSES.get(error.errno or 0, Cause.LOST)
            raise DriverFault(cause, f"/dev/i2c-{c.bus}", _REMEDIES.get(cause, "")) from error
        self._openings += 1
        return I2cArray(bus, self._where, Drive(DRIVES.index(c.drive)), c.triggered, self._clock.sleep, c.multiplexer)

    def _serve(self, array: I2cArray) -> None:
        try:
            array.start()
            self._revived_ns = self._clock.now_ns()
            self._greet(array)
            while not self._stop.is_set():
                if not any(array.working):
                    raise DriverFault(Cause.SILENT, "no sensor answers", _REMEDIES[Cause.SILENT])
                self._measure(array)
                self._revive(array)
        finally:
            array.close()

    def _measure(self, array: I2cArray) -> None:
        """One trigger: either wait for it, or tell all sensors to measure and wait for the next turn."""
        began_ns = self._clock.now_ns()
        if self._config.i2c.triggered:
            earliest_ns = self._await_trigger(array, began_ns)
            if earliest_ns is None:
                return
            measuring_ns = ns_from_s(Drive(DRIVES.index(self._config.i2c.drive)).measurement_s)
            bracket = (earliest_ns - measuring_ns, self._clock.now_ns() - measuring_ns)
        else:
            array.begin()
            # The sensors are told one after the other: the middle is as good for all as can be.
            middle_ns = (began_ns + self._clock.now_ns()) // 2
            bracket = (middle_ns, middle_ns)
            array.wait()
        measurement = array.read(max(0, self._config.array_id), self._sequence, bracket[1])
        self._sequence = (self._sequence + 1) % (1 << 32)
        arrival = Arrival(b"", *bracket, self._openings)
        sample = self.tracker.update(measurement, arrival, self._clock.now_ns() - bracket[1])
        if sample is not None and not isinstance(sample, str):
            self._on_sample(sample)
        if not self._status.streaming:
            self._tell(StreamStatus(Stage.STREAM))
        if not self._config.i2c.triggered:
            self._clock.sleep(max(0.0, 1.0 / self._config.i2c.rate_hz - s_from_ns(self._clock.now_ns() - began_ns)))

    def _await_trigger(self, array: I2cArray, began_ns: int) -> int | None:
        """Until the sensors have measured; the last time at which they had not. None when nothing comes."""
        earliest_ns = began_ns
        while not array.triggered_now():
            earliest_ns = self._clock.now_ns()
            if self._stop.is_set() or not any(array.working):
                return None
            if s_from_ns(earliest_ns - began_ns) > self._config.stream.silence_s:
                remedy = "check the trigger line, or set `i2c.triggered` to false"
                self._tell(StreamStatus(Stage.LISTEN, f"{Cause.SILENT.value}: no trigger comes", remedy, cause=Cause.SILENT))
                return None
            self._clock.sleep(_POLL_S)
        return earliest_ns

    def _revive(self, array: I2cArray) -> None:
        now_ns = self._clock.now_ns()
        if all(array.working) or now_ns - self._revived_ns < _REVIVE_NS:
            return
        self._revived_ns = now_ns
        array.revive()
        self._greet(array)

    def _greet(self, array: I2cArray) -> None:
        rate_hz = 0.0 if self._config.i2c.triggered else self._config.i2c.rate_hz
        self.hello = array.hello(max(0, self._config.array_id), self._clock.now_ns() // 1000, rate_hz)

    def _tell(self, status: StreamStatus) -> None:
        if status != self._status:
            self._status = status
            self._on_news()
