"""The raw bytes of both directions with their times, as a text file: the support artefact, and its replay.

    # lodestone device trace 1
    # wall_minus_steady_ns 1763640000000000000
    123456789 ! open /dev/ttyUSB0 230400
    123461234 > 494e49543a453341350d
    123480000 < 4f4b4159413839360d

One record a line: steady time in ns, then `>` host to device, `<` device to host (hexadecimal), or `!` what was done to the port.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, TextIO, TypeVar

from lodestone_core.device.faults import DriverFault
from lodestone_core.device.serial_port import Clock, Transport
from lodestone_core.errors import InputError
from lodestone_core.time import NS_PER_S

_FIRST_LINE: Final = "# lodestone device trace 1"
STOPPED: Final = "stop"
"""Text of the record that the driver writes when it was asked to stop."""
_OFFSET: Final = "# wall_minus_steady_ns "
_FLUSH_NS: Final = NS_PER_S
_BYTES_PER_MB: Final = 1_000_000
T = TypeVar("T")


class Record(NamedTuple):
    """One line of a trace; `data` are bytes for `>` and `<`, the text for `!`."""

    time_ns: int
    mark: str
    data: bytes


class TraceWriter:
    """Writes a trace; when it reaches `max_mb` it moves to `<path>.1` and begins anew."""

    def __init__(self, path: str | Path, clock: Clock, max_mb: float) -> None:
        """Open it. Raises InputError when that fails."""
        self._path = Path(path).expanduser()
        self._clock = clock
        self._limit = round(max_mb * _BYTES_PER_MB)
        self._size = self._flushed_ns = 0
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._begin()
        except OSError as error:
            remedy = "choose another `trace_file`, or leave it empty"
            raise InputError(str(path), expected="a file that can be written", got=error.strerror, remedy=remedy) from error

    def write(self, mark: str, text: str) -> None:
        """Add one record at the present time; what was written more than a second ago is on disk."""
        now_ns = self._clock.now_ns()
        self._size += self._file.write(f"{now_ns} {mark} {text}\n")
        if now_ns - self._flushed_ns > _FLUSH_NS or mark == "!":
            self._file.flush()
            self._flushed_ns = now_ns
        if self._size > self._limit:
            self._file.close()
            self._path.replace(self._path.with_name(self._path.name + ".1"))
            self._file = self._begin()

    def close(self) -> None:
        """Finish the file."""
        self._file.close()

    def _begin(self) -> TextIO:
        file = self._path.open("w", encoding="ascii")
        now_ns = self._clock.now_ns()
        self._size = file.write(f"{_FIRST_LINE}\n{_OFFSET}{self._clock.wall_ns(now_ns) - now_ns}\n")
        self._flushed_ns = now_ns
        return file


class TracingTransport:
    """A transport that writes down what passes through it."""

    def __init__(self, inner: Transport, writer: TraceWriter) -> None:
        self._inner = inner
        self._writer = writer

    def write(self, data: bytes) -> None:
        self._writer.write(">", data.hex())
        self._guarded(lambda: self._inner.write(data))

    def read(self, timeout_s: float) -> bytes:
        data = self._guarded(lambda: self._inner.read(timeout_s))
        if data:
            self._writer.write("<", data.hex())
        return data

    def set_baud(self, baud: int, handshake: bool) -> None:
        self._writer.write("!", f"baud {baud} handshake {int(handshake)}")
        self._guarded(lambda: self._inner.set_baud(baud, handshake))

    def send_break(self) -> None:
        self._writer.write("!", "break")
        self._guarded(self._inner.send_break)

    def close(self) -> None:
        self._writer.write("!", "close")
        self._inner.close()

    def _guarded(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except DriverFault as fault:
            self._writer.write("!", f"fault {fault.cause.name}")
            raise


def traced(connect: Callable[[str, int], Transport], writer: TraceWriter) -> Callable[[str, int], Transport]:
    """`connect`, with what it opens written to the trace."""

    def open_traced(port: str, baud: int) -> Transport:
        try:
            transport = connect(port, baud)
        except DriverFault as fault:
            writer.write("!", f"fault {fault.cause.name}")
            raise
        writer.write("!", f"open {port} {baud}")
        return TracingTransport(transport, writer)

    return open_traced


class Trace(NamedTuple):
    """A trace that was read back."""

    wall_minus_steady_ns: int
    records: tuple[Record, ...]


def read_trace(path: str | Path) -> Trace:
    """The records of a trace. Raises InputError for a file that is none."""
    try:
        lines = Path(path).expanduser().read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(str(path), expected="a trace file", got=str(error), remedy="correct the path") from error
    if len(lines) < 2 or lines[0] != _FIRST_LINE or not lines[1].startswith(_OFFSET):
        remedy = "give the file that the parameter trace_file wrote"
        raise InputError(str(path), expected=f"a file that begins with {_FIRST_LINE!r}", got=repr(lines[:1])[:80], remedy=remedy)
    return Trace(int(lines[1].removeprefix(_OFFSET)), tuple(_record(path, number, line) for number, line in enumerate(lines[2:], 3)))


def _record(path: str | Path, number: int, line: str) -> Record:
    try:
        time_ns, mark, text = line.split(" ", 2)
        return Record(int(time_ns), mark, text.encode() if mark == "!" else bytes.fromhex(text))
    except ValueError as error:
        remedy = "remove the line: a trace that was cut off may end in half of one"
        raise InputError(f"{path}:{number}", expected="`<time> <mark> <data>`", got=line[:40], remedy=remedy) from error
