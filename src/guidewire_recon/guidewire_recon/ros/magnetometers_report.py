"""What the array's node says in diagnostics, from the driver's status and a second of samples."""

from __future__ import annotations

from typing import Any

from guidewire_recon.drivers.array_driver import ArrayDriver
from guidewire_recon.drivers.array_health import Health, reasons
from guidewire_recon.drivers.loaded_calibration import LoadedCalibration
from guidewire_recon.types import HARMLESS
from lodestone_core.device.stream import Stage
from lodestone_core.ros.diagnostics import Level, Report


def device_report(driver: ArrayDriver) -> Report:
    """The device as a whole: which stage failed and what to do, else how well it runs."""
    status, values = driver.status, _figures(driver)
    if status.problem:
        return Report(Level.ERROR, f"{status.problem} (now: {status.stage.value})", status.remedy, values)
    if status.stage is not Stage.STREAM:
        return Report(Level.WARN, f"under way: {status.stage.value}", "", values)
    if status.notes:
        return Report(Level.WARN, "streaming; " + "; ".join(status.notes), "see the notes", values)
    return Report(Level.OK, f"streaming at {driver.rate_hz:.1f} Hz", "", values)


def calibration_report(loaded: LoadedCalibration | None, path: str) -> Report:
    """Whether what is published is calibrated; `path` is where a calibration was looked for."""
    if loaded is None:
        where = f"there is none at {path}" if path else "none was given"
        return Report(Level.WARN, f"{where}: only raw data are published", "make one with `lodestone calibrate magnetometers`")
    values = {"array_id": loaded.calibration.array_id, "sha256": loaded.sha256, "axes_jumps": loaded.axes_jumps}
    if loaded.misfit:
        return Report(Level.ERROR, f"not applied: {loaded.misfit}", "", values)
    return Report(Level.OK, "applied" if loaded.applied else "loaded, waits for the array", "", values)


def sensor_report(health: Health, index: int, axes: str) -> Report:
    """One sensor over the last second; `axes` says how its axes are exchanged, if they are."""
    values: dict[str, Any] = {
        "usable": f"{health.usable[index]:.0f} of {health.samples}",
        "temperature_degc": f"{health.temperature_degc[index]:.1f}",
        "noise_nT": f"{1e9 * health.noise_T[index]:.0f}",
    }
    if axes:
        remedy = "turn the sensor as it was when the array was calibrated, or calibrate the array again"
        return Report(Level.ERROR, f"axes of s{index:02d} are permuted or inverted: {axes}", remedy, values)
    latest = int(health.latest[index])
    if latest & ~HARMLESS:
        return Report(Level.ERROR, reasons(latest), "", values)
    seen = int(health.seen[index])
    if seen:
        return Report(Level.WARN, f"in the last second: {reasons(seen)}", "", values)
    return Report(Level.OK, "usable", "", values)


def _figures(driver: ArrayDriver) -> dict[str, Any]:
    hello, counters = driver.hello, driver.tracker.counters
    return {
        "stage": driver.status.stage.name,
        "firmware": "" if hello is None else hello.firmware,
        "drive": "" if hello is None else hello.drive.name.lower(),
        "announced_hz": "" if hello is None else hello.rate_hz,
        "rate_hz": round(driver.rate_hz, 2),
        "samples": counters.samples,
        "samples_skipped": counters.skipped,
        "repeats_dropped": counters.repeats,
        "restarts": counters.restarts,
        **driver.figures(),
    }
