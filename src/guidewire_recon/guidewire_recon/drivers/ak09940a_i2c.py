"""AK09940A on I2C, register by register: one chip, and several behind one bus or a TCA9548A multiplexer. No thread.

The bus is what `smbus2.SMBus` offers, so that an emulated register file can stand in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

import numpy as np

from guidewire_recon.drivers.ak09940a import (
    BURST_BYTES,
    BURST_START,
    SELF_TEST_COUNTS,
    Drive,
    Mode,
    Register,
    at_an_end,
    counts,
    identity,
)
from guidewire_recon.drivers.array_frames import BUS, DOR, DRDY, INV, RANGE, SELF_TEST_FAILED, SELF_TEST_PASSED, Hello, Measurement
from lodestone_core.errors import InputError

_SETTLE_S: Final = 200e-6
_TEMPERATURE_ON, _PIN_IS_TRIGGER, _ULTRA_LOW = 0x40, 0x20, 0x80
_SOFT_RESET = 0x01
_MARGIN_S: Final = 0.3e-3
_MICROSECONDS_NS: Final = 1000


class Bus(Protocol):
    """An I2C bus; every method raises OSError when nobody answers."""

    def write_byte(self, address: int, value: int) -> None:
        """A byte without a register."""

    def write_byte_data(self, address: int, register: int, value: int) -> None:
        """One register."""

    def read_i2c_block_data(self, address: int, register: int, length: int) -> list[int]:
        """So many registers from one on."""

    def close(self) -> None:
        """Give the bus back."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a chip is: channel of the multiplexer (None without one) and address."""

    channel: int | None
    address: int


def places(entries: Sequence[str], multiplexer: int) -> tuple[Place, ...]:
    """The places in `i2c.sensors`. Raises InputError that names the entry."""
    found = []
    for entry in entries:
        channel, separator, address = entry.rpartition(":")
        try:
            place = Place(int(channel, 0) if separator else None, int(address, 0))
        except ValueError:
            place = Place(None, -1)
        fits = 0x0C <= place.address <= 0x0F and (place.channel is None) == (not multiplexer) and place.channel in (None, *range(8))
        if not fits or place in found:
            expected = 'an address of 0x0C to 0x0F, each place once, with a channel 0 to 7 ("3:0x0F") where there is a multiplexer'
            raise InputError("i2c.sensors", expected=expected, got=repr(entry), remedy="correct the entry")
        found.append(place)
    return tuple(found)


class Chip:
    """One sensor; the multiplexer lets it through already. Every method raises OSError when it does not answer."""

    def __init__(self, bus: Bus, address: int, drive: Drive, sleep: Callable[[float], None]) -> None:
        self._bus = bus
        self._address = address
        self._drive = drive
        self._sleep = sleep

    def start(self, mode: Mode) -> tuple[int, int]:
        """Reset, identify, set drive and mode; WIA1 and WIA2. A chip that is another one is left alone."""
        self._write(Register.CNTL4, _SOFT_RESET)
        self._sleep(_SETTLE_S)
        wia1, wia2 = self._read(Register.WIA1, 2)
        if identity(wia1, wia2):
            pin = _PIN_IS_TRIGGER if mode is Mode.EXTERNAL_TRIGGER else 0
            self._write(Register.CNTL1, pin | (_ULTRA_LOW if self._drive is Drive.ULTRA_LOW_POWER else 0))
            self._write(Register.CNTL2, _TEMPERATURE_ON)
            self.set_mode(mode)
        return wia1, wia2

    def set_mode(self, mode: Mode) -> None:
        """Through power-down, as the chip wants it."""
        self._write(Register.CNTL3, Mode.POWER_DOWN)
        if mode is not Mode.POWER_DOWN:
            self._sleep(_SETTLE_S)
            self._write(Register.CNTL3, self._drive_bits() | mode)

    def measure(self) -> None:
        """Begin one measurement; the chip goes back to power-down by itself."""
        self._write(Register.CNTL3, self._drive_bits() | Mode.SINGLE)

    def ready(self) -> bool:
        """Whether there is a new measurement; releases nothing."""
        return bool(self._read(Register.ST, 1)[0] & 1)

    def burst(self) -> bytes:
        """Status, field, temperature, status: in one, since its last byte releases the data protection."""
        return bytes(self._read(BURST_START, BURST_BYTES))

    def self_test(self) -> bool:
        """Whether the built-in test field shows as it should. Leaves the chip in power-down."""
        self._write(Register.CNTL3, Mode.POWER_DOWN)
        self._sleep(_SETTLE_S)
        self._write(Register.CNTL3, 3 << 5 | Mode.SELF_TEST)
        self._sleep(Drive.LOW_NOISE_2.measurement_s + _MARGIN_S)
        values = np.frombuffer(bytes(self._read(Register.SELF_TEST, 6)), "<i2")
        self.burst()
        return all(low <= value <= high for value, (low, high) in zip(values.tolist(), SELF_TEST_COUNTS, strict=True))

    def _drive_bits(self) -> int:
        return max(0, self._drive - Drive.LOW_POWER_1) << 5

    def _write(self, register: int, value: int) -> None:
        self._bus.write_byte_data(self._address, int(register), int(value))

    def _read(self, register: int, count: int) -> list[int]:
        return self._bus.read_i2c_block_data(self._address, int(register), count)


class I2cArray:
    """All sensors of an array; a sensor that fails is a bus error in the measurement and is started again by `revive`."""

    def __init__(
        self, bus: Bus, where: Sequence[Place], drive: Drive, triggered: bool, sleep: Callable[[float], None], multiplexer: int = 0
    ) -> None:
        self._bus = bus
        self._where = where
        self._multiplexer = multiplexer
        self._sleep = sleep
        self._drive = drive
        self._triggered = triggered
        self._chips = [Chip(bus, place.address, drive, sleep) for place in where]
        self._channel: int | None = None
        self._identities = [(0, 0)] * len(where)
        self._self_tests = [0] * len(where)
        self.working = [False] * len(where)

    @property
    def mode(self) -> Mode:
        """Mode of all sensors between measurements."""
        return Mode.EXTERNAL_TRIGGER if self._triggered else Mode.POWER_DOWN

    def start(self) -> None:
        """Identify, test and set up every sensor; `working` says which answered as it should."""
        for index in range(len(self._chips)):
            self._start(index, test=True)

    def revive(self) -> None:
        """Try once more those that do not work."""
        for index, works in enumerate(self.working):
            if not works:
                self._start(index, test=False)

    def hello(self, array_id: int, device_us: int, rate_hz: float) -> Hello:
        """What a board would say of itself."""
        return Hello(
            array_id,
            self._triggered,
            device_us,
            self._drive,
            rate_hz,
            tuple(self._identities),
            tuple(self._self_tests),
            "I2C of this machine",
        )

    def begin(self) -> None:
        """Let all sensors measure, one after the other."""
        for index in self._alive():
            self._guarded(index, self._chips[index].measure)

    def wait(self) -> None:
        """Until what `begin` began can be read."""
        self._sleep(self._drive.measurement_s + _MARGIN_S)

    def triggered_now(self) -> bool:
        """Whether the first sensor that works has a new measurement."""
        for index in self._alive():
            try:
                self._select(index)
                return self._chips[index].ready()
            except OSError:
                self.working[index] = False
        return False

    def read(self, array_id: int, sequence: int, trigger_ns: int) -> Measurement:
        """One burst of each sensor, as the record of the trigger at `trigger_ns`."""
        table = np.zeros((len(self._chips), BURST_BYTES), np.uint8)
        st = np.full(len(self._chips), BUS, np.uint8)
        for index in self._alive():
            burst = self._burst(index)
            if burst:
                table[index] = np.frombuffer(burst, np.uint8)
                st[index] = (burst[0] & 1) * DRDY | (burst[-1] & 1) * DOR | (burst[-1] >> 1 & 1) * INV
        raw = counts(table[:, 1:10].reshape(-1, 3, 3))
        st[at_an_end(raw) & (st != BUS)] |= RANGE
        flags = 1 if self._triggered else 0
        return Measurement(array_id, flags, sequence, trigger_ns // _MICROSECONDS_NS, raw, table[:, 10].view(np.int8), st)

    def close(self) -> None:
        """Put the sensors to rest and give the bus back."""
        for index in self._alive():
            self._guarded(index, partial(self._chips[index].set_mode, Mode.POWER_DOWN))
        self._bus.close()

    def _alive(self) -> list[int]:
        return [index for index, works in enumerate(self.working) if works]

    def _start(self, index: int, test: bool) -> None:
        self.working[index], self._identities[index] = False, (0, 0)

        def start() -> None:
            wia = self._chips[index].start(Mode.POWER_DOWN)
            self._identities[index] = wia
            if not identity(*wia):
                return
            if test:
                self._self_tests[index] = SELF_TEST_PASSED if self._chips[index].self_test() else SELF_TEST_FAILED
            self._chips[index].start(self.mode)
            self.working[index] = True

        self._guarded(index, start)

    def _burst(self, index: int) -> bytes:
        try:
            self._select(index)
            return self._chips[index].burst()
        except OSError:
            self.working[index] = False
            return b""

    def _guarded(self, index: int, action: Callable[[], None]) -> None:
        try:
            self._select(index)
            action()
        except OSError:
            self.working[index] = False

    def _select(self, index: int) -> None:
        channel = self._where[index].channel
        if channel is not None and channel != self._channel:
            self._channel = None  # a failure leaves it open which channel is through
            self._bus.write_byte(self._multiplexer, 1 << channel)
            self._channel = channel
