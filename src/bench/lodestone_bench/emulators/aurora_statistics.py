"""What the emulator tells about itself on request, so that a soak can count losses without the driver's help."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from lodestone_bench.emulators.host_clock import HostClock
from lodestone_bench.sources.scripted import ScriptedSource

if TYPE_CHECKING:
    from lodestone_bench.emulators.aurora_emulator import AuroraEmulator


def statistics(emulator: AuroraEmulator) -> dict[str, Any]:
    """Everything counted so far.

    `frames_produced`: samples that came while the device was tracking. `frames_reported`: those of them that stood in at least
    one reply which went out whole and undamaged to a host at the right rate; a driver without losses has exactly these, and
    `frames_empty` further ones in which nothing was measured yet (the first poll after a TSTART may come before the first frame).
    """
    device, now_s = emulator.device, emulator.clock()
    measuring = device.measuring
    tools = {
        name: {
            "handle": "" if (handle := device.ports.of(name)) is None else f"{handle.number:02X}",
            "enabled": handle is not None and handle.enabled,
            "frames_produced": measuring.produced_of(name, now_s),
            "frames_reported": emulator.seen.of_tool[name],
        }
        for name in device.ports.tools
    }
    return {
        "uptime_s": round(emulator.elapsed_s(), 3),
        "tracking_s": round(measuring.tracking_s(now_s) or 0.0, 3),
        "frames_produced": measuring.produced(now_s),
        "frames_reported": emulator.seen.frames,
        "frames_empty": emulator.seen.empty,
        "finished": measuring.finished(now_s),
        "tools": tools,
        "commands": dict(emulator.commands),
        "replies": dict(emulator.replies),
        "errors": dict(device.errors),
        "faults": dict(emulator.faults.hits),
        "events": dict(emulator.events),
        "bytes_sent": emulator.line.bytes_sent,
        "host_stalls": emulator.clock.stalls if isinstance(emulator.clock, HostClock) else 0,
        "host_stalled_s": round(emulator.clock.stalled_s, 3) if isinstance(emulator.clock, HostClock) else 0.0,
    }


def state(emulator: AuroraEmulator) -> dict[str, Any]:
    """What the device and its line are in now."""
    device = emulator.device
    elapsed_s = device.measuring.elapsed_s(emulator.clock())
    return {
        "mode": device.mode.value,
        "baud": device.baud,
        "host_baud": emulator.line.host_baud() if emulator.line.plugged_in else 0,
        "plugged_in": emulator.line.plugged_in,
        "link": str(emulator.line.link),
        "metal_out": source.metal_out(elapsed_s) if isinstance(source := device.measuring.source, ScriptedSource) else {},
        "handles": {
            f"{handle.number:02X}": {
                "tool": handle.tool.name,
                "status": f"{handle.status:02X}",
                "rom_bytes": len(handle.rom_image()),
                "rom_sha256": hashlib.sha256(handle.rom_image()).hexdigest() if handle.rom else "",
            }
            for handle in device.ports.handles.values()
        },
    }
