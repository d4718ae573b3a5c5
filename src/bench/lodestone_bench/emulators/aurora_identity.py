"""What the device says of itself and of its tools: VER, GETINFO, PHINF."""

from __future__ import annotations

from lodestone_bench.emulators.aurora_config import DeviceConfig
from lodestone_bench.emulators.aurora_ports import Handle, Refusal

_BASIC, _PART_NUMBER, _LOCATION = 0x0001, 0x0004, 0x0020
_VERSION_FEATURE = "Features.Firmware.Version"


def version_text(args: str, config: DeviceConfig) -> bytes:
    """Reply to VER 0 and 4 (names) and 5 (number); other processors do not exist on an Aurora (ERROR23)."""
    if args in ("0", "4"):
        lines = ("Aurora Control Firmware", "NDI S/N: A5-EMULATED", f"Freeze Tag: {config.firmware}", "Emulated by lodestone_bench")
        return ("\n".join(lines) + "\n").encode()
    if args == "5":
        return b"009"
    raise Refusal(0x23)


def getinfo_text(args: str, config: DeviceConfig) -> bytes:
    """Reply to GETINFO for the one feature that drivers ask for; value;type;attribute;minimum;maximum;enumeration;text."""
    if not config.getinfo:
        raise Refusal(0x01)
    if args != _VERSION_FEATURE:
        raise Refusal(0x23)
    return f"{_VERSION_FEATURE}={config.firmware};3;1;0;0;;Current firmware revision number".encode()


def phinf_text(handle: Handle, options: int, *, zero_serial: bool) -> bytes:
    """Reply to PHINF with the options 0001, 0004 and 0020 in this order, UNOCCUPIED for a stale handle."""
    if not options or options & ~(_BASIC | _PART_NUMBER | _LOCATION):
        raise Refusal(0x23)
    if not handle.occupied:
        return b"UNOCCUPIED"
    text = ""
    if options & _BASIC:
        serial = "00000000" if zero_serial else handle.tool.serial
        text += f"{handle.tool.plug.tool_type}000001{'NDI':12}001{serial}{handle.status:02X}"
    if options & _PART_NUMBER:
        text += f"{handle.tool.plug.part_number:20}"
    if options & _LOCATION:
        text += f"0000000010{handle.tool.port:02d}{handle.tool.channel:02X}"
    return text.encode()
