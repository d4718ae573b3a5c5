"""What the arm's driver says in diagnostics: the device as a whole, and each joint."""

from __future__ import annotations

from lodestone_core.ros.diagnostics import Level, Report
from us_motion.drivers.arm_driver import ArmDriver
from us_motion.drivers.joint_counter import JointCounter
from us_motion.types import ArmSample, JointStatus

_HARD = JointStatus.MISSING | JointStatus.LIMIT | JointStatus.MISSED_COUNTS


def device_report(driver: ArmDriver, sample: ArmSample | None, rate_hz: float, kept: str) -> Report:
    """The stream and the arm: what failed and what to do, else how well it runs."""
    status, hello, problem = driver.status, driver.tracker.hello, driver.tracker.problem
    counters, frames = driver.tracker.counters, driver.stream.session.frames
    values = {
        "stage": status.stage.name,
        "device": hello.name if hello else "",
        "firmware": hello.firmware if hello else "",
        "frame_rate_hz": round(rate_hz, 2),
        "frames": counters.frames,
        "withheld": counters.withheld,
        "skipped": counters.skipped,
        "duplicates": counters.duplicates,
        "restarts": counters.restarts,
        "overruns": counters.overruns,
        "bad_crc": frames.bad_crc,
        "noise_bytes": frames.noise_bytes,
        "epoch": sample.epoch if sample else 0,
        "kept_homing": kept,
    }
    if status.problem:
        return Report(Level.ERROR, status.problem, status.remedy, values)
    if problem is not None:
        return Report(Level.ERROR, problem.text, problem.remedy, values)
    if not status.streaming or hello is None or sample is None:
        what = "the device has not said what it is yet" if status.streaming else status.stage.value
        return Report(Level.WARN, f"under way: {what}", "", values)
    if not sample.valid:
        return Report(Level.WARN, sample.detail, "move the joints that it names over their index; ~/home lists them", values)
    return Report(Level.OK, f"all {len(sample.names)} joints hold", "", values)


def calibration_report(missing: tuple[str, ...]) -> Report:
    """Whether all calibrations of the rig are there."""
    if missing:
        return Report(Level.WARN, "no " + "; no ".join(missing), "see `lodestone calibrate arm` and `lodestone calibrate probe`", {})
    return Report(Level.OK, "loaded", "", {})


def joint_report(counter: JointCounter) -> Report:
    """One joint."""
    status = counter.status
    values = {
        "status": status.name or "OK",
        "counts": counter.count,
        "reference": counter.reference if counter.reference is not None else "none",
        "lost_counts": counter.lost_counts,
    }
    if not status:
        return Report(Level.OK, "holds", "", values)
    remedy = "~/accept_counts believes its counts, ~/home homes it anew" if status & JointStatus.MISSED_COUNTS else ""
    return Report(Level.ERROR if status & _HARD else Level.WARN, counter.reason, remedy, values)
