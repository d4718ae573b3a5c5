"""The control socket of an emulator: one JSON object a line in, one a line out, on a unix stream socket."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lodestone_core.errors import InputError

Handler = Callable[[dict[str, Any]], dict[str, Any]]
_MAX_PATH = 107  # sun_path of Linux
_MAX_LINE = 65536


def send_request(path: Path, timeout_s: float = 5.0, **request: Any) -> dict[str, Any]:
    """Send one request (`do="..."` and its fields) to a running emulator and return its answer.

    Raises InputError when nobody listens at `path`, or answers in time.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(timeout_s)
        try:
            client.connect(str(path))
        except OSError as error:
            remedy = "start the emulator with --control and this path"
            raise InputError(str(path), expected="a control socket", got=error.strerror, remedy=remedy) from error
        try:
            client.sendall(json.dumps(request).encode() + b"\n")
            with client.makefile("rb") as lines:
                answer: dict[str, Any] = json.loads(lines.readline())
        except (OSError, ValueError) as error:
            remedy = "look into the emulator's log: it has ended or hangs"
            raise InputError(f"{path}, {request}", expected=f"an answer within {timeout_s:g} s", got=str(error), remedy=remedy) from error
    return answer


def send_text(path: Path | None, text: str) -> int:
    """Send the request in a JSON text and print its answer: what `--send` of every emulator does. The exit code: 0, or 1 when refused.

    Raises InputError when there is no path, nobody listens there, or the text is no JSON object.
    """
    if path is None:
        raise InputError("--control", expected="the socket of a running emulator", got="nothing", remedy="give its path")
    try:
        request = json.loads(text)
    except ValueError:
        request = None
    if not isinstance(request, dict):
        raise InputError("--send", expected="a JSON object", got=text, remedy='write {"do": "..."}')
    answer = send_request(path, **request)
    sys.stdout.write(json.dumps(answer, indent=1) + "\n")
    return 0 if answer.get("ok") else 1


class ControlServer:
    """Never blocks: `service` takes what has arrived on the sockets that are ready."""

    def __init__(self, path: Path) -> None:
        if len(str(path)) > _MAX_PATH:
            raise InputError("control", expected=f"at most {_MAX_PATH} characters", got=len(str(path)), remedy="choose a shorter path")
        if path.exists() and not path.is_socket():
            raise InputError(str(path), expected="a free path", got="a file", remedy="choose another --control")
        path.unlink(missing_ok=True)
        self.path = path
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            self._server.bind(str(path))
        except OSError as error:
            self._server.close()
            remedy = "choose a path in a folder that can be written to"
            raise InputError(str(path), expected="a path for a socket", got=error.strerror, remedy=remedy) from error
        self._server.listen()
        self._clients: dict[socket.socket, bytes] = {}

    def sockets(self) -> list[socket.socket]:
        """What to wait on."""
        return [self._server, *self._clients]

    def service(self, ready: Iterable[Any], handle: Handler) -> None:
        """Answer what came in on the sockets that are ready."""
        for one in list(ready):
            if one is self._server:
                with contextlib.suppress(OSError):
                    client, _ = self._server.accept()
                    client.setblocking(False)
                    self._clients[client] = b""
            elif one in self._clients:
                self._receive(one, handle)

    def close(self) -> None:
        """Hang up on everybody and remove the socket's path."""
        for one in self.sockets():
            one.close()
        self._clients.clear()
        self.path.unlink(missing_ok=True)

    def _receive(self, client: socket.socket, handle: Handler) -> None:
        try:
            data = client.recv(_MAX_LINE)
        except OSError:
            data = b""
        *lines, rest = (self._clients[client] + data).split(b"\n")
        try:
            for line in filter(bytes.strip, lines):
                client.sendall(json.dumps(_answer(line, handle)).encode() + b"\n")
        except OSError:
            data = b""
        self._clients[client] = rest
        if not data or len(rest) > _MAX_LINE:
            del self._clients[client]
            client.close()


def _answer(line: bytes, handle: Handler) -> dict[str, Any]:
    try:
        request = json.loads(line)
        if not isinstance(request, dict):
            raise InputError("request", expected="a JSON object", got=type(request).__name__, remedy='write {"do": "..."}')
        return {"ok": True, **handle(request)}
    except (InputError, ValueError) as error:
        return {"ok": False, "error": str(error)}
