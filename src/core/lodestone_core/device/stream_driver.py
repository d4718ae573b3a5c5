"""The one thread of a driver for a device that streams: runs the session until it is told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from lodestone_core.device.faults import Stopped
from lodestone_core.device.serial_port import SerialTransport, SystemClock
from lodestone_core.device.stream import Connect, StreamConfig, StreamSession, StreamStatus, Take, nothing_to_ask
from lodestone_core.device.trace import STOPPED, TraceWriter, traced

_JOIN_S: Final = 3.0


class StreamDriver:
    """Begins on `start`, recovers by itself, ends on `stop`.

    All callbacks run on the driver's thread and must return at once: `take` with each body, `request` for what is to be sent, `on_news`
    when `status` has changed or the thread has ended by a fault of its own (then `check` raises it).
    """

    def __init__(
        self,
        config: StreamConfig,
        take: Take,
        on_news: Callable[[], None] = lambda: None,
        connect: Connect = SerialTransport,
        request: Callable[[], bytes] = nothing_to_ask,
    ) -> None:
        """Raises InputError when the trace file cannot be written."""
        self._stop = threading.Event()
        self._on_news = on_news
        self.clock = SystemClock(self._stop)
        self._trace = TraceWriter(config.trace_file, self.clock, config.trace_max_mb) if config.trace_file else None
        opened = traced(connect, self._trace) if self._trace else connect
        self.session = StreamSession(config, take, opened, self.clock, request)
        self._crash: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="stream", daemon=True)

    @property
    def status(self) -> StreamStatus:
        """What the session says about itself."""
        return self.session.status

    def start(self) -> None:
        """Begin to look for the device."""
        self._thread.start()

    def stop(self) -> None:
        """Give the port back; waits for that up to three seconds."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    def check(self) -> None:
        """Raises what ended the driver's thread, if anything did."""
        if self._crash is not None:
            raise self._crash

    def _run(self) -> None:
        try:
            status = self.status
            while not self._stop.is_set():
                self.session.step()
                if self.status is not status:
                    status = self.status
                    self._on_news()
        except Stopped:
            pass
        except Exception as error:
            # Raised again by `check`, on the thread that can end the process in order.
            self._crash = error
            self._on_news()
        finally:
            if self._trace is not None:
                self._trace.write("!", STOPPED)
            self.session.close()
            if self._trace is not None:
                self._trace.close()
