"""A host with plain pyserial and emulators that run in a thread; both end with the test."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serial

from lodestone_bench.emulators.aurora_emulator import AuroraEmulator
from lodestone_bench.emulators.aurora_setup import Paths, scripted_emulator
from lodestone_bench.world.config import default_script


def crc(data: bytes) -> int:
    """CRC-16/ARC by polynomial division over bit strings: slow, plain, and not the emulator's."""
    bits = int("".join(f"{byte:08b}"[::-1] for byte in data) + "0" * 16, 2)
    for i in range(8 * len(data) + 15, 15, -1):
        if bits >> i & 1:
            bits ^= 0x18005 << (i - 16)
    return int(f"{bits:016b}"[::-1], 2)


class Host:
    """The other end of the line."""

    def __init__(self, link: Path, baud: int = 9600) -> None:
        self.port = serial.Serial(str(link), baud, timeout=1.0)

    def raw(self, data: bytes) -> bytes:
        """Send bytes; whatever comes up to a carriage return or the time-out."""
        self.port.write(data)
        return bytes(self.port.read_until(b"\r"))

    def ask(self, text: str) -> str:
        """Send a command in its CRC form; the reply's text, its CRC checked and taken off."""
        reply = self.raw(b"%s%04X\r" % (text.encode(), crc(text.encode())))
        assert reply[-5:] == b"%04X\r" % crc(reply[:-5]), reply
        return reply[:-5].decode()

    def bx(self, command: str = "BX:0801") -> bytes:
        """One binary reply, whole; its CRCs checked."""
        self.port.write(b"%s%04X\r" % (command.encode(), crc(command.encode())))
        head = self.port.read(6)
        assert head[:2] == b"\xc4\xa5", head
        reply = bytes(head + self.port.read(struct.unpack_from("<H", head, 2)[0] + 2))
        assert struct.unpack_from("<H", reply, 4)[0] == crc(reply[:4])
        assert struct.unpack("<H", reply[-2:])[0] == crc(reply[:-2])
        return reply

    def set_up(self, baud_code: str = "A", baud: int = 230400) -> list[str]:
        """INIT to enabled ports at a fast rate; the handles."""
        assert self.ask("INIT:") == "OKAY"
        assert self.ask(f"COMM:{baud_code}0000") == "OKAY"
        time.sleep(0.01)
        self.port.baudrate = baud
        handles: list[str] = []
        while (new := self.handles("02")) != []:
            handles += new
            assert [self.ask(f"PINIT:{handle}") for handle in new] == ["OKAY"] * len(new)
        assert [self.ask(f"PENA:{handle}D") for handle in handles] == ["OKAY"] * len(handles)
        return handles

    def handles(self, mode: str) -> list[str]:
        """Handles that PHSR names."""
        reply = self.ask(f"PHSR:{mode}")
        assert len(reply) == 2 + 5 * int(reply[:2], 16)
        return [reply[i : i + 2] for i in range(2, len(reply), 5)]


@pytest.fixture
def serve(request: pytest.FixtureRequest) -> Callable[[AuroraEmulator], AuroraEmulator]:
    """Run an emulator in a thread until the test is over."""

    def run(emulator: AuroraEmulator) -> AuroraEmulator:
        emulator.open()
        thread = threading.Thread(target=emulator.run)
        thread.start()

        def end() -> None:
            emulator.stop()
            thread.join(5.0)
            assert not thread.is_alive()

        request.addfinalizer(end)
        return emulator

    return run


@pytest.fixture
def connect() -> Iterator[Callable[..., Host]]:
    """Hosts whose ports are closed after the test."""
    hosts: list[Host] = []

    def make(link: Path, baud: int = 9600) -> Host:
        hosts.append(Host(link, baud))
        return hosts[-1]

    yield make
    for host in hosts:
        host.port.close()


@pytest.fixture
def four_tools(tmp_path: Path, serve: Callable[[AuroraEmulator], AuroraEmulator]) -> AuroraEmulator:
    """Four 6-DOF tools at 40 Hz, reachable at `line` and `control` in tmp_path."""
    return serve(scripted_emulator(default_script(4), Paths(tmp_path / "line", tmp_path / "control")))
