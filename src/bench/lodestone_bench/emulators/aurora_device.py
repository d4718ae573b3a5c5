"""The emulated Aurora itself, without line or clock: a command and a time in, a reply out.

Assumed where public drivers do not say: INIT, COMM and all port commands are refused with ERROR0C while tracking; before INIT
port commands are refused with ERROR10; a reset puts the line back to 9600 before its reply; nothing measured before the latest
TSTART is reported (a handle is MISSING with the number that it had until then, 0 after TSTART:80).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from lodestone_bench.emulators.aurora_command import Command, decimal_field, hex_field, name_of, parse_command
from lodestone_bench.emulators.aurora_config import DeviceConfig
from lodestone_bench.emulators.aurora_identity import getinfo_text, phinf_text, version_text
from lodestone_bench.emulators.aurora_measure import Carried, Measuring
from lodestone_bench.emulators.aurora_ports import Handle, PortTable, Refusal
from lodestone_bench.emulators.aurora_reply import HandleReport, bx_reply, tx_reply
from lodestone_bench.emulators.crc16 import with_crc

RESET_BAUD = 9600
BAUD_CODES = {
    "0": 9600, "1": 14400, "2": 19200, "3": 38400, "4": 57600, "5": 115200, "6": 921600, "7": 1228739, "A": 230400,
}  # fmt: skip
_TRANSFORMS, _OUT_OF_VOLUME_TOO = 0x0001, 0x0800
_RESET_FRAMES, _FASTER = 0x80, 0x40


class Mode(Enum):
    """What the device is doing."""

    POWER_UP = "power-up"
    SETUP = "set-up"
    TRACKING = "tracking"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the device sends for one command.

    `baud` is the rate it is sent at, `baud_after` the rate from its last byte on (None: no change), `wait_s` the time that
    it takes first. `carried` are the frame numbers in it.
    """

    command: str
    payload: bytes
    baud: int
    baud_after: int | None = None
    wait_s: float = 0.0
    carried: tuple[Carried, ...] = ()


class AuroraDevice:
    """The state machine behind the serial port."""

    def __init__(self, config: DeviceConfig, ports: PortTable, measuring: Measuring) -> None:
        self.config = config
        self.ports = ports
        self.measuring = measuring
        self.mode = Mode.POWER_UP
        self.baud = RESET_BAUD
        self.errors: Counter[str] = Counter()
        self._boot_until_s = 0.0
        self._carried: tuple[Carried, ...] = ()
        self._next_baud: int | None = None
        self._wait_s = 0.0
        self._commands: dict[str, Callable[[str, float], bytes]] = {
            "RESET": lambda args, now_s: self._reset(now_s),
            "INIT": self._init,
            "COMM": self._comm,
            "VER": self._ver,
            "APIREV": lambda args, now_s: b"D.001.007",
            "GETINFO": self._getinfo,
            "BEEP": self._beep,
            "PHSR": self._phsr,
            "PHF": self._phf,
            "PHRQ": self._phrq,
            "PHINF": self._phinf,
            "PVWR": self._pvwr,
            "PINIT": self._pinit,
            "PENA": self._pena,
            "PDIS": self._pdis,
            "TSTART": self._tstart,
            "TSTOP": self._tstop,
            "TX": self._tx,
            "BX": self._bx,
        }

    def name_of(self, line: bytes) -> str:
        """The name of the command in a line, `?` for one that the device does not know."""
        name = name_of(line)
        return name if name in self._commands else "?"

    def execute(self, line: bytes, now_s: float, refusal: int | None = None) -> Reply:
        """The reply to a line (without its carriage return) at that host time; `refusal` forces ERRORnn in its place."""
        self._carried, self._next_baud, self._wait_s = (), None, 0.0
        try:
            if refusal is not None:
                raise Refusal(refusal)
            payload = self._answer(parse_command(line), now_s)
        except Refusal as refused:
            self.errors[f"{refused.code:02X}"] += 1
            payload = with_crc(b"ERROR%02X" % refused.code)
        return Reply(self.name_of(line), payload, self.baud, self._next_baud, self._wait_s, self._carried)

    def reset(self, now_s: float) -> Reply:
        """What a serial break does: everything forgotten, 9600 baud, then RESET with its CRC."""
        payload = with_crc(self._reset(now_s))
        return Reply("RESET", payload, RESET_BAUD, None, self.config.reset_s)

    def power_on(self, now_s: float) -> None:
        """The device starts afresh and says nothing; for a while it refuses everything."""
        self._reset(now_s)
        self._boot_until_s = now_s + self.config.boot_s

    def sent(self, reply: Reply) -> None:
        """The last byte of a reply has gone out: from here on its new rate counts."""
        if reply.baud_after is not None:
            self.baud = reply.baud_after

    def _answer(self, command: Command, now_s: float) -> bytes:
        handler = self._commands.get(command.name)
        if handler is None:
            raise Refusal(0x01)
        if now_s < self._boot_until_s:
            raise Refusal(0x0C)
        answer = handler(command.args, now_s)
        return answer if command.name in ("TX", "BX") else with_crc(answer)

    def _reset(self, now_s: float) -> bytes:
        self.measuring.restart(now_s)
        self.ports.restart()
        self.mode = Mode.POWER_UP
        self.baud, self._next_baud = RESET_BAUD, None
        self._wait_s = self.config.reset_s
        return b"RESET"

    def _init(self, args: str, now_s: float) -> bytes:
        self._only_in(Mode.POWER_UP, Mode.SETUP)
        self.ports.enumerate()
        self.mode = Mode.SETUP
        self._wait_s = self.config.init_s
        return b"OKAY"

    def _comm(self, args: str, now_s: float) -> bytes:
        self._only_in(Mode.POWER_UP, Mode.SETUP)
        if len(args) != 5:
            raise Refusal(0x07)
        # A pseudo-terminal carries eight bits without parity whatever it is told, so nothing else is offered.
        if args[0] not in BAUD_CODES or args[1:4] != "000" or args[4] not in "01":
            raise Refusal(0x06)
        self._next_baud = BAUD_CODES[args[0]]
        return b"OKAY"

    def _ver(self, args: str, now_s: float) -> bytes:
        return version_text(args, self.config)

    def _getinfo(self, args: str, now_s: float) -> bytes:
        return getinfo_text(args, self.config)

    def _beep(self, args: str, now_s: float) -> bytes:
        if len(args) != 1 or args not in "123456789":
            raise Refusal(0x23)
        return b"1"

    def _phsr(self, args: str, now_s: float) -> bytes:
        self._only_in(Mode.SETUP)
        chosen: dict[str, Callable[[Handle], bool]] = {
            "00": lambda handle: True,
            "01": lambda handle: not handle.occupied,
            "02": lambda handle: handle.occupied and not handle.initialised,
            "03": lambda handle: handle.initialised and not handle.enabled,
            "04": lambda handle: handle.enabled,
        }
        if (args or "00") not in chosen:
            raise Refusal(0x23)
        found = [handle for handle in self.ports.handles.values() if chosen[args or "00"](handle)]
        self.ports.system_status = 0
        return b"%02X" % len(found) + b"".join(b"%02X%03X" % (handle.number, handle.status) for handle in found)

    def _phf(self, args: str, now_s: float) -> bytes:
        del self.ports.handles[self._handle(args).number]
        return b"OKAY"

    def _phrq(self, args: str, now_s: float) -> bytes:
        self._only_in(Mode.SETUP)
        if len(args) != 14:  # device 8, system 1, wireless 1, port 2, channel 2; * for any
            raise Refusal(0x07)
        if args[9] == "1":
            raise Refusal(0x33)
        port = None if args[10:12] == "**" else decimal_field(args[10:12])
        return b"%02X" % self.ports.request(port).number

    def _phinf(self, args: str, now_s: float) -> bytes:
        self._only_in(Mode.SETUP)
        handle = self.ports.get(hex_field(args[:2], 2, 0x08))
        zero = self.ports.conditions[handle.tool.name].zero_serial
        return phinf_text(handle, hex_field(args[2:] or "0001", 4), zero_serial=zero)

    def _pvwr(self, args: str, now_s: float) -> bytes:
        handle = self._handle(args[:2])
        if len(args) != 2 + 4 + 128:
            raise Refusal(0x07)
        address, chunk = hex_field(args[2:6], 4), hex_field(args[6:], 128)
        self.ports.write_rom(handle, address, chunk.to_bytes(64, "big"))
        return b"OKAY"

    def _pinit(self, args: str, now_s: float) -> bytes:
        self.ports.initialise(self._handle(args))
        return b"OKAY"

    def _pena(self, args: str, now_s: float) -> bytes:
        handle = self._handle(args[:2])
        if args[2:] not in ("S", "D", "B"):
            raise Refusal(0x09)
        self.ports.enable(handle)
        return b"OKAY"

    def _pdis(self, args: str, now_s: float) -> bytes:
        self._handle(args).enabled = False
        return b"OKAY"

    def _tstart(self, args: str, now_s: float) -> bytes:
        self._only_in(Mode.SETUP)
        options = hex_field(args or "00", 2)
        if options & ~(_RESET_FRAMES | _FASTER):
            raise Refusal(0x23)
        self.measuring.start(now_s, reset_frames=bool(options & _RESET_FRAMES))
        self.mode = Mode.TRACKING
        return b"OKAY"

    def _tstop(self, args: str, now_s: float) -> bytes:
        self._only_in(Mode.TRACKING)
        self.measuring.stop(now_s)
        self.mode = Mode.SETUP
        return b"OKAY"

    def _tx(self, args: str, now_s: float) -> bytes:
        reports = self._measure(args, now_s)
        return tx_reply(reports, self.ports.system_status, tail=self.config.tail_after_disabled)

    def _bx(self, args: str, now_s: float) -> bytes:
        return bx_reply(self._measure(args, now_s), self.ports.system_status)

    def _measure(self, args: str, now_s: float) -> list[HandleReport]:
        self._only_in(Mode.TRACKING)
        options = hex_field(args or "0001", 4)
        if not options & _TRANSFORMS or options & ~(_TRANSFORMS | _OUT_OF_VOLUME_TOO):
            raise Refusal(0x23)
        reports, self._carried = self.measuring.reports(self.ports, now_s, out_of_volume_too=bool(options & _OUT_OF_VOLUME_TOO))
        return reports

    def _handle(self, text: str) -> Handle:
        self._only_in(Mode.SETUP)
        return self.ports.get(hex_field(text, 2, 0x08))

    def _only_in(self, *modes: Mode) -> None:
        if self.mode not in modes:
            raise Refusal(0x10 if self.mode is Mode.POWER_UP and Mode.SETUP in modes else 0x0C)
