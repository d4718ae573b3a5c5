"""Images on a stream socket, one reader at a time; never blocks, never waits for a slow reader."""

from __future__ import annotations

import contextlib
import re
import socket
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lodestone_core.errors import InputError

Image = NDArray[np.uint8]
_TCP: Final = re.compile(r"tcp://(127\.0\.0\.1|localhost):(\d{1,5})")
_MAX_PATH: Final = 107  # sun_path of Linux
_SEND_BUFFER: Final = 4 << 20  # what the kernel grants of it saves wake-ups
_NEWS_BYTES: Final = 4096


class Parcel:
    """Bytes on their way: text and, behind it, an image that `done` gives back; `number` is -1 for what is no whole frame."""

    def __init__(self, parts: list[bytes | memoryview], number: int, done: Callable[[], None] = lambda: None) -> None:
        self.parts = deque(memoryview(part) for part in parts if len(part))
        self.number = number
        self.done = done


class VideoSocket:
    """The place where a reader finds the stream: `unix:/path` or `tcp://127.0.0.1:port`."""

    def __init__(self, url: str) -> None:
        """Raises InputError for an address of another form."""
        self.url = url
        self._tcp = _TCP.fullmatch(url)
        if self._tcp is None and not (url.startswith("unix:/") and len(url) - 5 <= _MAX_PATH):
            remedy = f"give a path of at most {_MAX_PATH} characters"
            raise InputError("video url", expected="unix:/path or tcp://127.0.0.1:port", got=url, remedy=remedy)
        self._listener: socket.socket | None = None
        self._client: socket.socket | None = None
        self._queue: deque[Parcel] = deque()
        self.connections = self.bytes_sent = 0

    @property
    def connected(self) -> bool:
        """Whether a reader is there."""
        return self._client is not None

    @property
    def waiting(self) -> int:
        """Frames that are not wholly sent."""
        return len(self._queue)

    def listen(self) -> None:
        """Let readers come. Raises InputError when the address cannot be had."""
        if self._listener is not None:
            return
        family = socket.AF_UNIX if self._tcp is None else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            if self._tcp is not None:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(("127.0.0.1", int(self._tcp[2])))
            else:
                if self._path.exists() and not self._path.is_socket():
                    raise InputError(str(self._path), expected="a free path", got="a file", remedy="choose another one")
                self._path.unlink(missing_ok=True)
                listener.bind(str(self._path))
            listener.listen(1)
        except (OSError, OverflowError) as error:
            listener.close()
            raise InputError(self.url, expected="an address that is free", got=str(error), remedy="choose another one") from error
        except InputError:
            listener.close()
            raise
        self._listener = listener

    def refuse(self, keep_path: bool) -> None:
        """Let no reader come any more, and lose the one there is. `keep_path` leaves a path that nobody answers at."""
        self.hang_up()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._tcp is None and not keep_path:
            self._path.unlink(missing_ok=True)

    def hang_up(self) -> None:
        """Lose the reader, with what is on its way to it."""
        if self._client is not None:
            self._client.close()
            self._client = None
        while self._queue:
            self._queue.popleft().done()

    def readers(self) -> list[socket.socket]:
        """Wait for these to be readable."""
        return [one for one in (self._listener, self._client) if one is not None]

    def writers(self) -> list[socket.socket]:
        """Wait for these to be writable."""
        return [self._client] if self._client is not None and self._queue else []

    def service(self, ready: list[object]) -> bool:
        """Take what happened on the sockets that are readable; whether a new reader has come."""
        if self._client is not None and self._client in ready and not self._alive():
            self.hang_up()
        if self._listener is None or self._listener not in ready:
            return False
        with contextlib.suppress(OSError):
            client, _ = self._listener.accept()
            if self._client is not None:
                client.close()  # one reader at a time, as a device
                return False
            client.setblocking(False)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
            self._client = client
            self.connections += 1
            return True
        return False

    def put(self, parcel: Parcel) -> None:
        """Send it when what is before it has gone."""
        self._queue.append(parcel)

    def send(self) -> list[int]:
        """Send what goes without waiting; the numbers of the frames that are wholly sent now."""
        finished: list[int] = []
        while self._client is not None and self._queue:
            parcel = self._queue[0]
            try:
                sent = self._client.sendmsg(list(parcel.parts))
            except BlockingIOError:
                break
            except OSError:
                self.hang_up()
                break
            self.bytes_sent += sent
            if self._advance(parcel, sent):
                self._queue.popleft()
                parcel.done()
                if parcel.number >= 0:
                    finished.append(parcel.number)
        return finished

    @property
    def _path(self) -> Path:
        return Path(self.url.removeprefix("unix:"))

    def _alive(self) -> bool:
        try:
            return self._client is not None and bool(self._client.recv(_NEWS_BYTES))
        except BlockingIOError:
            return True
        except OSError:
            return False

    @staticmethod
    def _advance(parcel: Parcel, sent: int) -> bool:
        """Take `sent` bytes off; whether nothing is left."""
        while sent:
            first = parcel.parts[0]
            if sent < len(first):
                parcel.parts[0] = first[sent:]
                return False
            sent -= len(first)
            parcel.parts.popleft()
        return not parcel.parts
