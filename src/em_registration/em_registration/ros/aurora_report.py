"""What the Aurora driver says in diagnostics, from the driver's status and counters."""

from __future__ import annotations

from typing import Any

from em_registration.drivers.faults import Stage
from em_registration.drivers.worker import AuroraDriver
from lodestone_core.ros.diagnostics import Level, Report
from lodestone_core.types import ToolSample, ToolStatus

_SOFT = (ToolStatus.MISSING, ToolStatus.OUT_OF_VOLUME, ToolStatus.PARTIALLY_OUT_OF_VOLUME)


def device_report(driver: AuroraDriver, frame_rate_hz: float) -> Report:
    """The device as a whole: which stage failed and what to do, else how well it runs."""
    status = driver.status
    values = {**_figures(driver), "frame_rate_hz": round(frame_rate_hz, 2)}
    if status.problem:
        return Report(Level.ERROR, f"{status.problem} (now: {status.stage.value})", status.remedy, values)
    if status.stage is not Stage.TRACKING:
        return Report(Level.WARN, f"under way: {status.stage.value}", "", values)
    if status.notes:
        return Report(Level.WARN, "tracking; " + "; ".join(status.notes), "see the notes", values)
    return Report(Level.OK, f"tracking {len(status.tools)} tools by {status.reply.upper()} at {status.baud} baud", "", values)


def tool_report(tool: ToolSample) -> Report:
    """One tool."""
    if tool.status is ToolStatus.VALID:
        return Report(Level.OK, "valid", "", {"serial": tool.serial_number, "channel": tool.channel})
    level = Level.WARN if tool.status in _SOFT else Level.ERROR
    values = {"serial": tool.serial_number, "channel": tool.channel, "port_status": f"0x{tool.port_status:08X}"}
    return Report(level, f"{tool.status.name}: {tool.detail}", "", values)


def _figures(driver: AuroraDriver) -> dict[str, Any]:
    status, frames, polls = driver.status, driver.session.frames.counters, driver.session.poller.counters
    return {
        "stage": status.stage.name,
        "firmware": status.firmware,
        "baud": status.baud,
        "reply": status.reply.upper(),
        "tools": "; ".join(status.tools),
        "frames": frames.frames,
        "frames_skipped": frames.skipped,
        "repeats_dropped": frames.repeats,
        "polls": polls.polls,
        "bad_replies": polls.bad_replies,
        "unanswered_polls": polls.silences,
    }
