"""The one thread of a driver on a serial line: steps until it is told to stop, with the trace of its line."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from lodestone_core.device.serial_port import Connect, SystemClock
from lodestone_core.device.trace import STOPPED, TraceWriter, traced
from lodestone_core.device.worker import Worker


class DeviceThread(Worker):
    """A driver says in `_step` and `_close` what is done on it, before it calls `start`.

    `_connect` and `clock` are what the driver's session is made with: it then writes the trace, and hears a request to stop. `on_news` is
    called when `_step` says that there is some, and when an exception has ended the thread (`check` raises it).
    """

    def __init__(self, name: str, on_news: Callable[[], None], connect: Connect, trace_file: str, trace_max_mb: float) -> None:
        """Raises InputError when the trace file cannot be written."""
        super().__init__(name, on_news)
        self.clock = SystemClock(self._stop)
        self._trace = TraceWriter(trace_file, self.clock, trace_max_mb) if trace_file else None
        self._connect = traced(connect, self._trace) if self._trace else connect

    @abstractmethod
    def _step(self) -> bool:
        """Do what is next; whether there is news. Raises Stopped when it was told to stop meanwhile."""

    @abstractmethod
    def _close(self) -> None:
        """Give everything back; never raises."""

    def _work(self) -> None:
        try:
            while not self._stop.is_set():
                if self._step():
                    self._on_news()
        finally:
            if self._trace is not None:
                self._trace.write("!", STOPPED)
            self._close()
            if self._trace is not None:
                self._trace.close()
