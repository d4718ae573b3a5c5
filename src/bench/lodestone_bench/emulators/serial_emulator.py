"""What every emulated device on a serial line does: its line and its control socket open and close, one loop in between."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Generic, TypeVar

from lodestone_bench.emulators.control import ControlServer
from lodestone_bench.emulators.line import SerialLine

log = logging.getLogger(__name__)

Token = TypeVar("Token")
"""What a device keeps of each transmission on its line."""


class SerialEmulator(ABC, Generic[Token]):
    """`run` serves until `stop`, from any thread or signal handler."""

    def __init__(self, link: Path, control: Path | None) -> None:
        self.line: SerialLine[Token] = SerialLine(link)
        self._control_path = control
        self._control: ControlServer | None = None
        self._stopping = threading.Event()
        self._wake, self._waker = socket.socketpair()

    def open(self) -> None:
        """Plug the line in and open the control socket. Raises InputError when a path cannot be had."""
        self.line.plug_in()
        try:
            self._control = None if self._control_path is None else ControlServer(self._control_path)
        except Exception:
            self.line.unplug()
            raise
        self._begin()
        log.info("device at %s", self.line.link)

    def run(self) -> None:
        """Serve until stopped, then leave no path behind. Opens what is not open yet."""
        if not self.line.plugged_in:
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
        self.line.unplug()
        if self._control is not None:
            self._control.close()
        self._wake.close()
        self._waker.close()

    def _others(self) -> list[Any]:
        """What to wait on beside the line."""
        return [self._wake, *(self._control.sockets() if self._control else [])]

    @abstractmethod
    def _begin(self) -> None:
        """Power on."""

    @abstractmethod
    def _turn(self) -> None:
        """One round: what is due, then wait for whatever comes first."""
