"""The commands of the NDI combined API, as values: what to send, what comes back, how long the device may take.

Every command is sent in its CRC form `NAME:arguments<CRC>\\r`; RESET has only the form without. Hexadecimal arguments are
upper case, and baud rates are codes, not numbers (`COMM:A0000` is 230400 baud).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final

from em_registration.drivers.ndi_codes import BAUD_CODES
from em_registration.drivers.ndi_crc import crc_text
from lodestone_core.errors import InputError

SROM_CHUNK_BYTES: Final = 64
TRANSFORMS: Final = 0x0001
OUT_OF_VOLUME_TOO: Final = 0x0800


class ReplyKind(Enum):
    """How the reply is framed: a line of text, the lines of TX, or the binary of BX."""

    TEXT = "text"
    TX = "tx"
    BX = "bx"


class Patience(Enum):
    """Class of a command's time limit; LimitsConfig gives the seconds."""

    PROBE = "probe"
    QUICK = "quick"
    PORT = "port"
    MEASURE = "measure"
    SLOW = "slow"


class HandleSet(Enum):
    """Which handles PHSR lists."""

    ALL = 0
    STALE = 1
    NOT_INITIALISED = 2
    NOT_ENABLED = 3
    ENABLED = 4


@dataclass(frozen=True, slots=True)
class Command:
    """One command: `text` is what the CRC covers."""

    name: str
    arguments: str = ""
    patience: Patience = Patience.QUICK
    reply: ReplyKind = ReplyKind.TEXT
    with_crc: bool = True

    @property
    def text(self) -> str:
        """Name, separator and arguments, for instance `PHSR:02`."""
        return f"{self.name}{':' if self.with_crc else ' '}{self.arguments}"


@lru_cache(maxsize=256)
def encode(command: Command) -> bytes:
    """The bytes on the wire."""
    text = command.text.encode("ascii")
    return text + crc_text(text) + b"\r" if command.with_crc else text + b"\r"


def init() -> Command:
    """Initialise the system."""
    return Command("INIT", patience=Patience.SLOW)


def reset() -> Command:
    """Reset by software, where an adapter does not forward a break; the reply is `RESET`, at 9600 baud."""
    return Command("RESET", "0", Patience.SLOW, with_crc=False)


def version(part: int = 0) -> Command:
    """Firmware version as text; the older form of `firmware_version`."""
    return Command("VER", f"{part:X}")


def firmware_version() -> Command:
    """Firmware version by GETINFO; older devices answer with an error."""
    return Command("GETINFO", "Features.Firmware.Version")


def api_revision() -> Command:
    """Revision of the device's API: the cheap question, which changes nothing, whether a device listens."""
    return Command("APIREV", patience=Patience.PROBE)


def comm(baud: int, handshake: bool = False) -> Command:
    """Change the line to `baud` 8N1; OKAY still comes at the old rate. Raises InputError for a rate without a code."""
    if baud not in BAUD_CODES:
        raise InputError("baud", expected=f"one of {sorted(BAUD_CODES)}", got=baud, remedy="choose a rate that the device has")
    return Command("COMM", f"{BAUD_CODES[baud]}000{int(handshake)}")


def list_handles(which: HandleSet) -> Command:
    """PHSR: the port handles that need freeing, initialising, enabling, or all."""
    return Command("PHSR", f"{which.value:02X}")


def free_handle(handle: int) -> Command:
    """PHF: give a stale handle back."""
    return Command("PHF", f"{handle:02X}")


def init_handle(handle: int) -> Command:
    """PINIT: read the tool's SROM and initialise it."""
    return Command("PINIT", f"{handle:02X}", Patience.PORT)


def enable_handle(handle: int, mode: str = "D") -> Command:
    """PENA: track the tool; `mode` is S (static), D (dynamic) or B (button box)."""
    if mode not in ("S", "D", "B"):
        raise InputError("PENA mode", expected="S, D or B", got=mode, remedy="choose one of them")
    return Command("PENA", f"{handle:02X}{mode}", Patience.PORT)


def handle_info(handle: int, options: int) -> Command:
    """PHINF: 0x0001 tool information, 0x0004 part number, 0x0020 port location; bits add."""
    return Command("PHINF", f"{handle:02X}{options:04X}")


def request_handle(port: int, channel: int = 0) -> Command:
    """PHRQ: a handle for a wired Aurora port (1 on) that has none, so that an SROM image can be written to it."""
    return Command("PHRQ", f"********10{port:02d}{channel:02d}", Patience.PORT)


def write_srom(handle: int, address: int, chunk: bytes) -> Command:
    """PVWR: 64 bytes of a virtual SROM at `address`. Raises InputError for another length."""
    if len(chunk) != SROM_CHUNK_BYTES:
        raise InputError("SROM chunk", expected=f"{SROM_CHUNK_BYTES} bytes", got=len(chunk), remedy="pad the image with zeros")
    return Command("PVWR", f"{handle:02X}{address:04X}{chunk.hex().upper()}", Patience.PORT)


def start_tracking(reset_frames: bool) -> Command:
    """TSTART; `reset_frames` lets the frame counter begin anew."""
    return Command("TSTART", "80" if reset_frames else "", Patience.PORT)


def stop_tracking(patience: Patience = Patience.QUICK) -> Command:
    """TSTOP."""
    return Command("TSTOP", patience=patience)


def measure(kind: ReplyKind, out_of_volume: bool = True) -> Command:
    """TX or BX with transforms and status; `out_of_volume` asks for transforms from outside the volume too (flagged)."""
    options = TRANSFORMS | (OUT_OF_VOLUME_TOO if out_of_volume else 0)
    return Command(kind.name, f"{options:04X}", Patience.MEASURE, kind)


def beep(count: int) -> Command:
    """BEEP: one to nine beeps."""
    return Command("BEEP", f"{count:d}")
