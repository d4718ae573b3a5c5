"""The serial line: what the driver needs of one, and pyserial's."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import termios
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

import serial

from lodestone_core.device.faults import Cause, DriverFault

_BREAK_S = 0.5
_READ_BYTES = 4096
_CLOCK_READINGS = 3


class Transport(Protocol):
    """A serial line that is open. Every method raises DriverFault(LOST) when the line is gone."""

    def write(self, data: bytes) -> None:
        """Send all of `data`."""

    def read(self, timeout_s: float) -> bytes:
        """What has arrived, waiting for the first byte up to `timeout_s`; b"" when nothing has."""

    def set_baud(self, baud: int, handshake: bool) -> None:
        """Change the host's side of the line."""

    def send_break(self) -> None:
        """Hold the line in break for half a second."""

    def close(self) -> None:
        """Give the line back; never raises."""


Connect = Callable[[str, int], Transport]
"""Opens a port at a baud rate. Raises DriverFault that says why it cannot."""


class Clock(Protocol):
    """Host time for the driver."""

    def now_ns(self) -> int:
        """Steady time."""

    def wall_ns(self, now_ns: int) -> int:
        """Time since the epoch at the steady time `now_ns`, not long ago."""

    def sleep(self, seconds: float) -> None:
        """Wait; returns early when the driver is asked to stop."""


class SystemClock:
    """The host's clocks. Steady time drives everything; wall time is only attached to what leaves the driver."""

    def __init__(self, stop: threading.Event | None = None) -> None:
        self._stop = stop or threading.Event()

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def wall_ns(self, now_ns: int) -> int:
        # The thread may lose the processor between two readings: the closest pair of a few counts.
        pairs = []
        for _ in range(_CLOCK_READINGS):
            before_ns, wall_ns, after_ns = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
            pairs.append((after_ns - before_ns, wall_ns - (before_ns + after_ns) // 2))
        return now_ns + min(pairs)[1]

    def sleep(self, seconds: float) -> None:
        self._stop.wait(seconds)


class SerialTransport:
    """A serial port opened by pyserial, locked against other programs that lock."""

    def __init__(self, port: str, baud: int) -> None:
        """Open it. Raises DriverFault, which tells a missing port from a forbidden, a busy and a wrong one."""
        self._serial = _open(port, baud)
        # Takes FTDI adapters from 16 ms to 1 ms; a pseudo-terminal or a driver without the flag refuses, and that is fine.
        with contextlib.suppress(ValueError, OSError):
            self._serial.set_low_latency_mode(True)

    def write(self, data: bytes) -> None:
        with _lost_if_it_fails():
            self._serial.write(data)

    def read(self, timeout_s: float) -> bytes:
        with _lost_if_it_fails():
            ready, _, _ = select.select([self._serial.fileno()], [], [], max(0.0, timeout_s))
            if not ready:
                return b""
            try:
                # Not pyserial's read(), which asks twice more whether there is anything: some 0.2 ms for every few bytes.
                data = os.read(self._serial.fileno(), _READ_BYTES)
            except BlockingIOError:
                return b""
            if not data:
                raise serial.SerialException("the port is ready and gives nothing: its device has gone")
            return data

    def set_baud(self, baud: int, handshake: bool) -> None:
        with _lost_if_it_fails():
            self._serial.rtscts = handshake
            self._serial.baudrate = baud

    def send_break(self) -> None:
        with _lost_if_it_fails():
            self._serial.break_condition = True
            time.sleep(_BREAK_S)
            self._serial.break_condition = False

    def close(self) -> None:
        with contextlib.suppress(OSError, termios.error):
            self._serial.close()


def _open(port: str, baud: int) -> serial.Serial:
    try:
        # Time-out 0: read() takes what is there, and select() does the waiting. The write limit guards a handshake that never comes.
        return serial.Serial(port, baud, timeout=0, write_timeout=2.0, exclusive=True)
    except (OSError, termios.error) as error:
        raise DriverFault(_cause_of(error), port) from error
    except ValueError as error:
        raise DriverFault(Cause.NOT_SERIAL, f"{port} cannot run at {baud} baud") from error


def _cause_of(error: Exception) -> Cause:
    """pyserial puts the errno of open() and flock() into its exception (an OSError), and none for a path that is no terminal."""
    return {
        errno.ENOENT: Cause.PORT_MISSING,
        errno.ENXIO: Cause.PORT_MISSING,
        errno.ENODEV: Cause.PORT_MISSING,
        errno.EIO: Cause.PORT_MISSING,
        errno.EACCES: Cause.PERMISSION,
        errno.EPERM: Cause.PERMISSION,
        errno.EBUSY: Cause.PORT_IN_USE,
        errno.EAGAIN: Cause.PORT_IN_USE,
    }.get(getattr(error, "errno", None) or 0, Cause.NOT_SERIAL)


@contextlib.contextmanager
def _lost_if_it_fails() -> Iterator[None]:
    """pyserial raises SerialException (an OSError) for a line that is gone, termios its own error, which is none."""
    try:
        yield
    except (OSError, termios.error) as error:
        raise DriverFault(Cause.LOST, str(error)) from error
