"""What is wrong with an arm's encoders as a whole, in words: another device, another number, exchanged cables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from us_motion.arm_calibration import ArmCalibration
from us_motion.drivers.encoder_frames import EncoderHello
from us_motion.drivers.joint_counter import JointCounter
from us_motion.types import JointStatus


@dataclass(frozen=True, slots=True)
class ArmProblem:
    """Why no joint has an angle, and what a person can do."""

    text: str
    remedy: str


def device_problem(hello: EncoderHello, calibration: ArmCalibration) -> ArmProblem | None:
    """What does not fit between what the device says it is and the calibration."""
    calibrate = "load the calibration of this arm, or calibrate it"
    wanted, got = [joint.counts_per_revolution for joint in calibration.joints], list(hello.counts_per_revolution)
    if len(got) != len(wanted):
        return ArmProblem(f"the device has {len(got)} encoders, the calibration {len(wanted)} joints", calibrate)
    if calibration.devices and hello.name not in calibration.devices:
        return ArmProblem(f"the calibration was measured on {', '.join(calibration.devices)}, this is {hello.name}", calibrate)
    without = [name for name, has in zip(calibration.names, hello.has_index, strict=True) if not has]
    if without:
        return ArmProblem(
            f"the encoder of {', '.join(without)} has no index", "fit one with an index, or correct the firmware's description"
        )
    wrong = [i for i in range(len(got)) if got[i] != wanted[i]]
    if not wrong:
        return None
    if len(wrong) == 2 and got[wrong[0]] == wanted[wrong[1]] and got[wrong[1]] == wanted[wrong[0]]:
        return _swapped(*(calibration.names[i] for i in wrong))
    parts = [f"{calibration.names[i]} has {got[i]} counts per revolution, its calibration {wanted[i]}" for i in wrong]
    return ArmProblem("; ".join(parts), calibrate)


def exchanged(joints: Sequence[JointCounter]) -> str:
    """Which two encoders seem to be exchanged; empty when none do, or several may.

    A limit is passed as they are, and all that either has done since its index fits the other's joint. Encoders of different discs are
    told apart by what the device says of itself, see `device_problem`.
    """
    bad = {joint.joint.name for joint in joints if joint.status & JointStatus.LIMIT}
    alike = [(a, b) for a, b in combinations(joints, 2) if a.joint.counts_per_revolution == b.joint.counts_per_revolution]
    pairs = [(a.joint.name, b.joint.name) for a, b in alike if {a.joint.name, b.joint.name} >= bad and a.fits(b) and b.fits(a)]
    return _swapped(*pairs[0]).text if len(pairs) == 1 else ""


def _swapped(first: str, second: str) -> ArmProblem:
    return ArmProblem(f"the encoders of {first} and {second} are exchanged", "exchange their cables, or the joints in the calibration")
