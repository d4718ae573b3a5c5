"""A scripted Aurora in virtual time: device, transport and clock in one object, so that no test waits."""

from __future__ import annotations

import json
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from em_registration.drivers.config import AuroraConfig
from em_registration.drivers.faults import Stage
from em_registration.drivers.link import Link
from em_registration.drivers.session import Session
from lodestone_core.device.faults import Cause, DriverFault
from lodestone_core.types import TrackedFrame

BAUD_CODES = {"0": 9600, "5": 115200, "6": 921600, "A": 230400}


@pytest.fixture(scope="session")
def vectors() -> dict[str, Any]:
    """The golden vectors of the protocol."""
    return dict(json.loads((Path(__file__).parent / "vectors" / "ndi.json").read_text(encoding="utf-8")))


def bitwise_crc(data: bytes) -> int:
    """CRC-16/ARC, bit by bit."""
    register = 0
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (0xA001 if register & 1 else 0)
    return register


def line(text: str) -> bytes:
    """An ASCII reply on the wire."""
    return f"{text}{bitwise_crc(text.encode()):04X}\r".encode()


@dataclass(slots=True)
class FakeTool:
    """What the scripted device knows of one tool."""

    handle: int
    serial: str = "3D4F2800"
    port: int = 1
    channel: int = 0
    pinit_replies: list[str] = field(default_factory=list)
    zero_serials: int = 0
    hidden_until_enabled: int = 0
    status: int = 1
    extra_bits: int = 0
    t_mm: tuple[float, float, float] = (10.0, -20.0, -150.5)
    frame: int | None = None
    initialised: bool = False
    enabled: bool = False
    plugged: bool = True

    @property
    def bits(self) -> int:
        """Port status."""
        return self.plugged | self.initialised << 4 | self.enabled << 5 | self.extra_bits


class ScriptedAurora:
    """Answers as an Aurora with its tools; `replies` overrides the answer to a command, one entry a time it is asked.

    `line` is what becomes of a reply on its way.
    """

    def __init__(self, *tools: FakeTool) -> None:
        self.tools = list(tools)
        self.now = 1_000_000_000_000
        self.baud = 9600
        self.host_baud = 0
        self.present = True
        self.silent = False
        self.tracking = False
        self.hears_break = True
        self.frame = 0
        self.period_ns = 25_000_000
        self.turnaround_ns = 1_000_000
        self.system_status = 0
        self.rom: dict[int, bytes] = {}
        self.log: list[str] = []
        self.replies: dict[str, deque[bytes]] = {}
        self.hook: Callable[[str], None] = lambda text: None
        self.line: Callable[[bytes], bytes] = lambda reply: reply
        self._pending: deque[tuple[int, bytes]] = deque()
        self._started = 0

    def connect(self, port: str, baud: int) -> ScriptedAurora:
        """Open the port."""
        if not self.present:
            raise DriverFault(Cause.PORT_MISSING, port)
        self.host_baud = baud
        self._pending.clear()
        return self

    def write(self, data: bytes) -> None:
        self._check()
        text = data.rstrip(b"\r").decode("latin-1")
        text = text if " " in text else text[:-4]
        self.log.append(text)
        self.hook(text)
        if self.host_baud == self.baud and not self.silent:
            queue = self.replies.get(text)
            reply = self.line(queue.popleft() if queue else self._answer(text))
            if reply:
                self._pending.append((self.now + self.turnaround_ns, reply))

    def say(self, data: bytes, after_ns: int = 0) -> None:
        """Bytes that nobody asked for."""
        self._pending.append((self.now + after_ns, data))

    def read(self, timeout_s: float) -> bytes:
        self._check()
        limit = self.now + round(timeout_s * 1e9)
        if self._pending and self._pending[0][0] <= limit:
            due, data = self._pending.popleft()
            self.now = max(self.now, due)
            return data
        self.now = limit
        return b""

    def set_baud(self, baud: int, handshake: bool) -> None:
        self._check()
        self.host_baud = baud

    def send_break(self) -> None:
        self.log.append("BREAK")
        if self.hears_break and not self.silent:
            self.power_cycle()
            self.say(line("RESET"), 500_000_000)

    def close(self) -> None:
        self.log.append("CLOSE")

    def now_ns(self) -> int:
        return self.now

    def wall_ns(self, now_ns: int) -> int:
        return now_ns + 1_700_000_000_000_000_000

    def sleep(self, seconds: float) -> None:
        self.now += max(0, round(seconds * 1e9))

    def power_cycle(self) -> None:
        """Back to the state after power-up."""
        self.baud, self.tracking = 9600, False
        for tool in self.tools:
            tool.initialised = tool.enabled = False

    def script(self, command: str, *replies: bytes | str) -> None:
        """The next answers to a command."""
        self.replies[command] = deque(reply if isinstance(reply, bytes) else line(reply) for reply in replies)

    def bx(self) -> bytes:
        """The measurement as BX."""
        tools = self._enabled()
        body = bytes([len(tools)])
        for tool in tools:
            body += bytes([tool.handle, tool.status])
            if tool.status == 1:
                body += struct.pack("<8f", 1.0, 0.0, 0.0, 0.0, *tool.t_mm, 0.25)
            if tool.status != 4:
                body += struct.pack("<II", tool.bits, self._frame_of(tool))
        body += struct.pack("<H", self.system_status)
        head = b"\xc4\xa5" + struct.pack("<H", len(body))
        reply = head + struct.pack("<H", bitwise_crc(head)) + body
        return reply + struct.pack("<H", bitwise_crc(reply))

    def tx(self) -> bytes:
        """The measurement as TX."""
        tools = self._enabled()
        text = f"{len(tools):02X}"
        for tool in tools:
            numbers = "+10000+00000+00000+00000" + "".join(f"{round(v * 100):+07d}" for v in tool.t_mm) + "+02500"
            words = {1: numbers, 2: "MISSING", 4: "DISABLED"}[tool.status]
            text += f"{tool.handle:02X}{words}" + ("" if tool.status == 4 else f"{tool.bits:08X}{self._frame_of(tool):08X}") + "\n"
        return line(f"{text}{self.system_status:04X}")

    def _check(self) -> None:
        if not self.present:
            raise DriverFault(Cause.LOST, "unplugged")

    def _enabled(self) -> list[FakeTool]:
        return [tool for tool in self.tools if tool.enabled]

    def _frame_of(self, tool: FakeTool) -> int:
        return (self.frame + (self.now - self._started) // self.period_ns) % 2**32 if tool.frame is None else tool.frame

    def _visible(self) -> list[FakeTool]:
        enabled = {tool.handle for tool in self._enabled()}
        return [tool for tool in self.tools if tool.plugged and (not tool.hidden_until_enabled or tool.hidden_until_enabled in enabled)]

    def _tool(self, text: str) -> FakeTool:
        return next(tool for tool in self.tools if tool.handle == int(text, 16))

    def _answer(self, text: str) -> bytes:
        name, _, arguments = text.replace(" ", ":").partition(":")
        handler = getattr(self, f"_on_{name.lower()}", None)
        answer: bytes | str = handler(arguments) if handler else "ERROR01"
        return answer if isinstance(answer, bytes) else line(answer)

    def _on_init(self, arguments: str) -> str:
        if self.tracking:
            return "ERROR0C"
        for tool in self.tools:
            tool.initialised = tool.enabled = False
        return "OKAY"

    def _on_reset(self, arguments: str) -> str:
        self.power_cycle()
        return "RESET"

    def _on_comm(self, arguments: str) -> str:
        reply = line("OKAY")
        self._pending.append((self.now + self.turnaround_ns, reply))
        self.baud = BAUD_CODES[arguments[0]]
        return ""

    def _on_apirev(self, arguments: str) -> str:
        return "D.001.007"

    def _on_getinfo(self, arguments: str) -> str:
        return "Features.Firmware.Version=scripted"

    def _on_phsr(self, arguments: str) -> str:
        chosen = {
            "00": lambda tool: True,
            "01": lambda tool: False,
            "02": lambda tool: not tool.initialised,
            "03": lambda tool: tool.initialised and not tool.enabled,
            "04": lambda tool: tool.enabled,
        }[arguments]
        if self.tracking:
            return "ERROR0C"
        tools = [tool for tool in self._visible() if chosen(tool)]
        return f"{len(tools):02X}" + "".join(f"{tool.handle:02X}{tool.bits & 0xFFF:03X}" for tool in tools)

    def _on_pinit(self, arguments: str) -> str:
        tool = self._tool(arguments)
        reply = tool.pinit_replies.pop(0) if tool.pinit_replies else "OKAY"
        tool.initialised = not reply.startswith("ERROR")
        return reply

    def _on_pena(self, arguments: str) -> str:
        self._tool(arguments[:2]).enabled = True
        return "OKAY"

    def _on_phinf(self, arguments: str) -> str:
        tool = self._tool(arguments[:2])
        serial = tool.serial
        if tool.zero_serials and tool.enabled:
            tool.zero_serials -= 1
            serial = "00000000"
        return f"02000000{'NDI':<12}{'001':<3}{serial:<8}{tool.bits & 0xFF:02X}{'0':*<8}10{tool.port:02d}{tool.channel:02d}"

    def _on_pvwr(self, arguments: str) -> str:
        handle, address, chunk = int(arguments[:2], 16), int(arguments[2:6], 16), bytes.fromhex(arguments[6:])
        image = self.rom.setdefault(handle, b"")
        assert address == len(image), "chunks come in order"
        self.rom[handle] = image + chunk
        return "OKAY"

    def _on_tstart(self, arguments: str) -> str:
        self.tracking = True
        if arguments == "80":
            self.frame, self._started = 0, self.now
        return "OKAY"

    def _on_tstop(self, arguments: str) -> str:
        self.tracking = False
        return "OKAY"

    def _on_bx(self, arguments: str) -> bytes | str:
        return self.bx() if self.tracking else "ERROR0C"

    def _on_tx(self, arguments: str) -> bytes | str:
        return self.tx() if self.tracking else "ERROR0C"


@dataclass
class Rig:
    """A session on a scripted device."""

    device: ScriptedAurora
    config: AuroraConfig
    session: Session

    def run_until(self, stage: Stage, steps: int = 200) -> None:
        """Step until the session stands in that stage."""
        for _ in range(steps):
            if self.session.status.stage is stage:
                return
            self.session.step()
        raise AssertionError(f"still in {self.session.status}")

    def frames(self, steps: int) -> list[TrackedFrame]:
        """The frames of so many steps."""
        return [frame for _ in range(steps) for frame in self.session.step()]

    def track(self) -> Rig:
        """Up to the first good reply."""
        self.run_until(Stage.TRACKING)
        self.session.step()
        return self


@pytest.fixture
def rig() -> Callable[..., Rig]:
    """Makes a session on a device with these tools (two by default) and this configuration."""

    def make(*tools: FakeTool, **options: Any) -> Rig:
        device = ScriptedAurora(*(tools or (FakeTool(0x0A), FakeTool(0x0B, serial="3D4F2801", port=2))))
        config = AuroraConfig(**options)
        return Rig(device, config, Session(config, device.connect, device, lambda: False))

    return make


@pytest.fixture
def tool() -> type[FakeTool]:
    """Makes a tool of the scripted device."""
    return FakeTool


@pytest.fixture
def reply_line() -> Callable[[str], bytes]:
    """Makes an ASCII reply."""
    return line


@pytest.fixture
def crc() -> Callable[[bytes], int]:
    """The slow CRC."""
    return bitwise_crc


@pytest.fixture
def linked() -> Callable[..., tuple[ScriptedAurora, Link]]:
    """Makes a scripted device and an open link to it at 9600 baud."""

    def make(*tools: FakeTool, **options: Any) -> tuple[ScriptedAurora, Link]:
        device = ScriptedAurora(*tools)
        link = Link(device.connect("port", 9600), device, AuroraConfig(**options).limits, lambda: False)
        link.set_baud(9600)
        return device, link

    return make
