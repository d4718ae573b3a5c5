"""The one thread of a driver on a serial line: steps until it is told to stop, with the trace of its line, and keeps what ended it."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

from lodestone_core.device.faults import Stopped
from lodestone_core.device.serial_port import Connect, SystemClock
from lodestone_core.device.trace import STOPPED, TraceWriter, traced

_JOIN_S: Final = 3.0


class DeviceThread(ABC):
    """Begins on `start`, ends on `stop`; a driver says in `_step` and `_close` what is done on it, before it calls `start`.

    `_connect` and `clock` are what the driver's session is made with: it then writes the trace, and hears a request to stop. `on_news` is
    called on the thread when `_step` says that there is some, or when an exception has ended the thread (`check` raises it).
    """

    def __init__(self, name: str, on_news: Callable[[], None], connect: Connect, trace_file: str, trace_max_mb: float) -> None:
        """Raises InputError when the trace file cannot be written."""
        self._stop = threading.Event()
        self._on_news = on_news
        self.clock = SystemClock(self._stop)
        self._trace = TraceWriter(trace_file, self.clock, trace_max_mb) if trace_file else None
        self._connect = traced(connect, self._trace) if self._trace else connect
        self._crash: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to look for the device."""
        self._thread.start()

    def stop(self) -> None:
        """Give the port back; waits for that up to three seconds."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    def check(self) -> None:
        """Raises what ended the driver's thread, if anything did, on the thread that can end the process in order."""
        if self._crash is not None:
            raise self._crash

    @abstractmethod
    def _step(self) -> bool:
        """Do what is next; whether there is news. Raises Stopped when it was told to stop meanwhile."""

    @abstractmethod
    def _close(self) -> None:
        """Give everything back; never raises."""

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                if self._step():
                    self._on_news()
        except Stopped:
            pass
        except Exception as error:
            self._crash = error
            self._on_news()
        finally:
            if self._trace is not None:
                self._trace.write("!", STOPPED)
            self._close()
            if self._trace is not None:
                self._trace.close()
