"""The register file of an AK09940A, with the rules that a driver must keep; and an I2C bus with several of them and a multiplexer.

Modelled: identity, modes and the power-down between them, measuring time by drive, DRDY, DOR, the data protection from the first read
of a data register to the read of ST2, temperature enable, external trigger, self-test, soft reset, I2C disable. What a driver does
against the rules (a mode that is not left through power-down, too short a wait, a rate that the drive cannot have) is in `violations`.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping

Sample = tuple[int, int, int]
_WIA1, _WIA2, _ST, _ST1, _HX, _TMPS, _ST2, _SX = 0x00, 0x01, 0x0F, 0x10, 0x11, 0x1A, 0x1B, 0x20
_CNTL1, _CNTL2, _CNTL3, _CNTL4, _I2CDIS = 0x30, 0x31, 0x32, 0x33, 0x36
_SETTLE_NS = 100_000
_PERIODS_NS = {2: 100_000_000, 4: 50_000_000, 6: 20_000_000, 8: 10_000_000, 10: 5_000_000, 12: 2_500_000, 14: 1_000_000, 15: 400_000}
_SINGLE, _SELF_TEST, _TRIGGER = 0x01, 0x10, 0x18
_MEASURING_NS = {0: 700_000, 1: 1_000_000, 2: 1_700_000, 3: 3_100_000}
_ULTRA_LOW_NS = 400_000
_SHORTEST_NS = {0: 1_000_000, 1: 2_500_000, 2: 5_000_000, 3: 5_000_000}


class Ak09940aRegisters:
    """One chip. `field` gives the counts of the moment, `now_ns` its time; `tmps` is what it shows as temperature."""

    def __init__(self, field: Callable[[], Sample], now_ns: Callable[[], int], wia2: int = 0xA3) -> None:
        self.field = field
        self.tmps = 0
        self.invalid = False
        self.self_test: Sample = (-700, 700, -900)
        self.violations: list[str] = []
        self._now_ns = now_ns
        self._wia2 = wia2
        self._due_ns: int | None = None
        self._protected = self._disabled = False
        self._reset()

    def write(self, register: int, value: int) -> None:
        """One register. Raises OSError when the chip does not answer."""
        self._answer()
        if register == _CNTL4 and value & 1:
            self._reset()
            self._deaf_until_ns = self._now_ns() + _SETTLE_NS
        elif register == _CNTL3:
            self._set_mode(value)
        elif register == _I2CDIS:
            self._disabled = value == 0x1B
        elif register in (_CNTL1, _CNTL2):
            self._memory[register] = value

    def read(self, register: int, count: int) -> list[int]:
        """So many registers from this one on. Raises OSError when the chip does not answer."""
        self._answer()
        self._run()
        found = []
        for address in range(register, register + count):
            if _HX <= address < _ST2:
                self._protected = True
            found.append(self._memory.get(address, 0))
            if address == _ST2:  # releases the protection; what was measured meanwhile is shown next time
                self._memory.update({_ST: 0, _ST1: 0, _ST2: 0})
                self._protected = False
        return found

    def trigger(self) -> None:
        """An edge on the trigger pin."""
        if self._mode == _TRIGGER and self._memory[_CNTL1] & 0x20:
            self._run()
            self._due_ns = self._now_ns() + self._measuring_ns()

    @property
    def _mode(self) -> int:
        return self._memory[_CNTL3] & 0x1F

    def _reset(self) -> None:
        self._memory = {_WIA1: 0x48, _WIA2: self._wia2, _CNTL1: 0, _CNTL2: 0, _CNTL3: 0}
        self._due_ns = None
        self._changed_ns = -_SETTLE_NS
        self._deaf_until_ns = 0
        self._protected = self._disabled = False

    def _answer(self) -> None:
        if self._disabled:
            raise OSError(errno.EREMOTEIO, "no answer: I2C is switched off")
        if self._now_ns() < self._deaf_until_ns:
            self.violations.append("access within 100 us of a soft reset")
            raise OSError(errno.EREMOTEIO, "no answer")

    def _drive(self) -> int:
        return self._memory[_CNTL3] >> 5 & 3

    def _ultra_low(self) -> bool:
        return bool(self._memory[_CNTL1] & 0x80)

    def _measuring_ns(self) -> int:
        return _ULTRA_LOW_NS if self._ultra_low() else _MEASURING_NS[self._drive()]

    def _set_mode(self, value: int) -> None:
        self._run()
        mode, now_ns = value & 0x1F, self._now_ns()
        if mode and self._mode:
            self.violations.append(f"mode {self._mode:02X} was left for {mode:02X} without power-down")
        if mode and now_ns - self._changed_ns < _SETTLE_NS:
            self.violations.append("a mode was set within 100 us of power-down")
        self._memory[_CNTL3] = value
        self._changed_ns = now_ns
        period_ns = _PERIODS_NS.get(mode)
        shortest_ns = _ULTRA_LOW_NS if self._ultra_low() else _SHORTEST_NS[self._drive()]
        if period_ns is not None and period_ns < shortest_ns:
            self.violations.append(f"mode {mode:02X} is too fast for its drive")
        self._due_ns = None
        if mode in (_SINGLE, _SELF_TEST):
            self._due_ns = now_ns + self._measuring_ns()
        elif period_ns is not None:
            self._due_ns = now_ns + period_ns

    def _run(self) -> None:
        """Make the measurements that are due by now."""
        while self._due_ns is not None and self._now_ns() >= self._due_ns:
            mode = self._mode
            if mode == _SELF_TEST:
                for index, counts in enumerate(self.self_test):
                    low, high = (counts & 0xFFFF).to_bytes(2, "little")
                    self._memory.update({_SX + 2 * index: low, _SX + 2 * index + 1: high})
                self._memory[_ST1] = self._memory[_ST] = 1
            else:
                self._measure()
            if mode in (_SINGLE, _SELF_TEST):
                self._memory[_CNTL3] &= ~0x1F
                self._changed_ns = self._due_ns
            period_ns = _PERIODS_NS.get(mode)
            self._due_ns = None if period_ns is None else self._due_ns + period_ns

    def _measure(self) -> None:
        overrun = bool(self._memory.get(_ST1, 0) & 1)
        if not self._protected:
            for axis, counts in enumerate(self.field()):
                for at, byte in enumerate((max(-131072, min(131071, counts)) & 0xFFFFFF).to_bytes(3, "little")):
                    self._memory[_HX + 3 * axis + at] = byte
            self._memory[_TMPS] = self.tmps & 0xFF if self._memory[_CNTL2] & 0x40 else 0
        self._memory[_ST1], self._memory[_ST] = 1, 1 | overrun << 1
        self._memory[_ST2] = overrun | self.invalid << 1


class EmulatedBus:
    """An I2C bus as smbus2 offers it, with chips by (channel of the multiplexer or None, address)."""

    def __init__(self, chips: Mapping[tuple[int | None, int], Ak09940aRegisters], multiplexer: int = 0) -> None:
        self.chips = chips
        self.closed = False
        self.silent: set[tuple[int | None, int]] = set()
        self._multiplexer = multiplexer
        self._channels = 0

    def write_byte(self, address: int, value: int) -> None:
        """The multiplexer's only register."""
        if not self._multiplexer or address != self._multiplexer:
            raise OSError(errno.EREMOTEIO, "no answer")
        self._channels = value

    def write_byte_data(self, address: int, register: int, value: int) -> None:
        """One register of a chip."""
        self._chip(address).write(register, value)

    def read_i2c_block_data(self, address: int, register: int, length: int) -> list[int]:
        """Registers of a chip."""
        return self._chip(address).read(register, length)

    def close(self) -> None:
        """Give the bus back."""
        self.closed = True

    def _chip(self, address: int) -> Ak09940aRegisters:
        heard = [place for place in self.chips if place[1] == address and (place[0] is None or self._channels >> place[0] & 1)]
        if len(heard) != 1 or heard[0] in self.silent:
            raise OSError(errno.EREMOTEIO, "no answer, or two at once")
        return self.chips[heard[0]]
