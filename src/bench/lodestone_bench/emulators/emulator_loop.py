"""What every emulated device does: it is plugged in, answers at its control socket, and runs one loop until it is told to stop."""

from __future__ import annotations

import contextlib
import socket
import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from lodestone_bench.emulators.control import ControlServer


class EmulatorLoop(ABC):
    """`run` serves until `stop`, from any thread or signal handler."""

    def __init__(self, control: Path | None) -> None:
        self._control_path = control
        self._control: ControlServer | None = None
        self._opened = False
        self._stopping = threading.Event()
        self._wake, self._waker = socket.socketpair()

    def open(self) -> None:
        """Plug it in and open the control socket. Raises InputError when a path cannot be had."""
        try:
            self._plug_in()
            self._control = None if self._control_path is None else ControlServer(self._control_path)
        except Exception:
            self.close()
            raise
        self._opened = True

    def run(self) -> None:
        """Serve until stopped, then leave no path behind. Opens what is not open yet."""
        if not self._opened:
            self.open()
        try:
            while not self._stopping.is_set():
                self._turn()
        finally:
            self.close()

    def stop(self) -> None:
        """Let `run` return."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._waker.send(b"x")

    def close(self) -> None:
        """Leave no path behind."""
        self._unplug()
        if self._control is not None:
            self._control.close()
        self._wake.close()
        self._waker.close()

    def _others(self) -> list[Any]:
        """What to wait on beside the device's own line."""
        return [self._wake, *(self._control.sockets() if self._control else [])]

    @abstractmethod
    def _plug_in(self) -> None:
        """Let the line be found, and power on. Raises InputError when it cannot be had."""

    @abstractmethod
    def _unplug(self) -> None:
        """Leave no path of the line behind."""

    @abstractmethod
    def _turn(self) -> None:
        """One round: what is due, then wait for whatever comes first."""
