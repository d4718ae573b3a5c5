"""The driver of a device that streams: its session on a thread."""

from __future__ import annotations

from collections.abc import Callable

from lodestone_core.device.device_thread import DeviceThread
from lodestone_core.device.serial_port import Connect, SerialTransport
from lodestone_core.device.stream import StreamConfig, StreamSession, StreamStatus, Take, nothing_to_ask


class StreamDriver(DeviceThread):
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
        super().__init__("stream", on_news, connect, config.trace_file, config.trace_max_mb)
        self.session = StreamSession(config, take, self._connect, self.clock, request)

    @property
    def status(self) -> StreamStatus:
        """What the session says about itself."""
        return self.session.status

    def _step(self) -> bool:
        before = self.status
        self.session.step()
        return self.status is not before

    def _close(self) -> None:
        self.session.close()
