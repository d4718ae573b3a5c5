"""A serial line on a pseudo-terminal (Linux): a path that others open, bytes at the pace of a baud rate, and its faults.

What a pseudo-terminal is not:
- A break does not arrive. tcsendbreak() on the slave returns at once and the master sees nothing (the driver of the
  pseudo-terminal has no break operation), so the emulator takes a break from its control socket and `RESET 0` from the line.
- The baud rate has no effect on the bytes. The rate that the host has set is read from the slave's termios (TCGETS2 on the
  master); where it differs from the device's, both directions are garbled as a UART would.
- It carries eight bits without parity whatever is set.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import termios
import tty
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from lodestone_bench.emulators.garble import BITS_PER_BYTE, garble
from lodestone_core.errors import InputError

# Linux's numbers on x86 and ARM. Python's tcgetattr knows fixed rates only, and 1228739 is none of them.
_TCGETS2 = 0x802C542A
_TERMIOS2_BYTES = 44
_OUTPUT_SPEED_OFFSET = 40

SLICE_S = 0.002
SLICE_BYTES = 16
"""Bytes reach the host in slices of the larger of the two, as from a UART with a FIFO; the last one is never early."""

Token = TypeVar("Token")


@dataclass(slots=True)
class Transmission(Generic[Token]):
    """One message on its way to the host. `intact` ends up False when not every byte arrived as it should."""

    payload: bytes
    at_s: float
    baud: int
    token: Token
    started_s: float = -1.0
    byte_s: float = 0.0
    sent: int = 0
    intact: bool = True

    @property
    def end_s(self) -> float:
        """When its last byte is complete; meaningful once started."""
        return self.started_s + len(self.payload) * self.byte_s


class SerialLine(Generic[Token]):
    """The device's end of the line. `link` is a symbolic link to the slave, there while the line is plugged in."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self.slow_bits_per_s: float | None = None
        self.bytes_sent = 0
        self._master = self._slave = -1
        self._queue: deque[Transmission[Token]] = deque()
        self._stalled_until_s = 0.0
        self._free_s = 0.0

    @property
    def plugged_in(self) -> bool:
        """Whether there is a pseudo-terminal now."""
        return self._master >= 0

    def plug_in(self) -> None:
        """Make a new pseudo-terminal under the link. Raises InputError when something else stands there."""
        if not self.link.parent.is_dir() or (self.link.exists() and not self.link.is_symlink()):
            got = "a file" if self.link.exists() else "no such folder"
            raise InputError(str(self.link), expected="a free path", got=got, remedy="choose another path for the link")
        self._master, self._slave = os.openpty()
        # Raw from the start, or the terminal would echo replies to the device; the open slave keeps settings between hosts.
        tty.setraw(self._slave)
        settings = termios.tcgetattr(self._slave)
        settings[4] = settings[5] = termios.B9600
        termios.tcsetattr(self._slave, termios.TCSANOW, settings)
        os.set_blocking(self._master, False)
        fresh = self.link.with_name(f".{self.link.name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.ttyname(self._slave))
        fresh.replace(self.link)

    def unplug(self) -> None:
        """The port vanishes: the host's file is hung up, the path is gone, what was on its way is lost."""
        if not self.plugged_in:
            return
        with contextlib.suppress(OSError):
            if self.link.is_symlink() and str(self.link.readlink()) == os.ttyname(self._slave):
                self.link.unlink()
        os.close(self._slave)
        os.close(self._master)
        self._master = self._slave = -1
        self._queue.clear()

    def readable_fd(self, now_s: float) -> int | None:
        """What to wait on for input; None while there is nothing to wait for."""
        return self._master if self.plugged_in and now_s >= self._stalled_until_s else None

    def host_baud(self) -> int:
        """The rate that the host has set on its end."""
        answer = fcntl.ioctl(self._master, _TCGETS2, bytes(_TERMIOS2_BYTES))
        return int(struct.unpack_from("=I", answer, _OUTPUT_SPEED_OFFSET)[0])

    def read(self, device_baud: int) -> list[tuple[int, bool]]:
        """Bytes that arrived, as the device hears them, each with whether it was well framed."""
        try:
            data = os.read(self._master, 4096)
        except OSError:
            return []
        host_baud = self.host_baud()
        if host_baud in (device_baud, 0):
            return [(byte, True) for byte in data]
        return garble(data, host_baud, device_baud)

    def discard_output(self) -> None:
        """What is on its way to the host is lost."""
        self._queue.clear()

    def send(self, payload: bytes, at_s: float, baud: int, token: Token) -> None:
        """Queue a message that starts at `at_s`, or when those before it are through."""
        if self.plugged_in:
            self._queue.append(Transmission(payload, at_s, baud, token))

    def stall(self, now_s: float, for_s: float) -> None:
        """Nothing goes either way for a while, not even the rest of a message; then all goes on."""
        self._stalled_until_s = now_s + for_s
        for transmission in self._queue:
            if transmission.started_s >= 0.0:
                transmission.started_s += for_s

    def due_s(self, now_s: float) -> float | None:
        """When `service` has work next."""
        if not self._queue:
            return self._stalled_until_s if now_s < self._stalled_until_s else None
        first = self._queue[0]
        if first.started_s < 0.0:
            return max(first.at_s, self._stalled_until_s)
        slice_bytes = max(SLICE_BYTES, int(SLICE_S / first.byte_s))
        wanted = min(len(first.payload), first.sent + slice_bytes)
        return max(first.started_s + wanted * first.byte_s, self._stalled_until_s)

    def service(self, now_s: float) -> list[Transmission[Token]]:
        """Write the bytes whose time has come; the messages that are through with it."""
        through: list[Transmission[Token]] = []
        while self._queue and now_s >= self._stalled_until_s and now_s >= self._queue[0].at_s:
            first = self._queue[0]
            if first.started_s < 0.0:
                self._start(first)
            complete = len(first.payload) if now_s >= first.end_s else int((now_s - first.started_s) / first.byte_s)
            self._write(first, complete)
            if first.sent < len(first.payload):
                break
            self._free_s = first.end_s
            through.append(self._queue.popleft())
        return through

    def _start(self, transmission: Transmission[Token]) -> None:
        rate = min(transmission.baud, self.slow_bits_per_s or transmission.baud)
        transmission.byte_s = BITS_PER_BYTE / rate
        transmission.started_s = max(transmission.at_s, self._free_s, self._stalled_until_s)

    def _write(self, transmission: Transmission[Token], until: int) -> None:
        data = transmission.payload[transmission.sent : until]
        if not data:
            return
        transmission.sent = until
        host_baud = self.host_baud()
        if host_baud not in (transmission.baud, 0):
            data, transmission.intact = bytes(byte for byte, _ in garble(data, transmission.baud, host_baud)), False
        try:
            written = os.write(self._master, data) if data else 0
        except OSError:
            written = 0  # nobody reads and the buffer is full: on a wire the bytes would be gone too
        self.bytes_sent += written
        transmission.intact = transmission.intact and written == len(data)
