"""Signals of this process as something to wait for."""

from __future__ import annotations

import os
import signal
from types import FrameType, TracebackType
from typing import Any


class SignalPipe:
    """While entered, SIGINT, SIGTERM, SIGHUP, SIGQUIT and SIGCHLD arrive here instead of acting."""

    def __enter__(self) -> SignalPipe:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._previous_fd = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGCHLD]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            # Under nohup a closed terminal is meant to change nothing.
            numbers.append(signal.SIGHUP)
        self._previous: dict[signal.Signals, Any] = {number: signal.signal(number, _wake) for number in numbers}
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._previous_fd)
        os.close(self._read)
        os.close(self._write)

    def fileno(self) -> int:
        """Readable when a signal has come."""
        return self._read

    def received(self) -> bytes:
        """Numbers of the signals that came since the last call."""
        try:
            return os.read(self._read, 4096)
        except BlockingIOError:
            return b""


def _wake(number: int, frame: FrameType | None) -> None:
    """Python writes the number to the pipe; that is all that is wanted."""
