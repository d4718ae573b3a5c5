"""Bodies of the encoder stream to samples of the arm: what device it is, when a trigger was, and the angle of each joint. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from lodestone_core.device.stream import Arrival
from lodestone_core.device.stream_clock import Stamps, StreamClock
from us_motion.drivers.arm_faults import ArmProblem, device_problem, exchanged
from us_motion.drivers.arm_files import Arm
from us_motion.drivers.config import ArmConfig
from us_motion.drivers.encoder_frames import HELLO_REQUEST, EncoderBits, EncoderFrame, EncoderHello, Malformed, parse
from us_motion.drivers.joint_counter import JointCounter, Reading
from us_motion.types import ArmSample, JointStatus

_SEQUENCES: Final = 1 << 32
_US_PER_S: Final = 1e6
_NS_PER_US: Final = 1000
# Host and device may disagree on how long it was between two frames by so much, before the device must have been off in between.
_UPTIME_S: Final = 1.0
_UPTIME_SHARE: Final = 1e-3
_NO_TIME: Final = "its time is not known yet: the device's clock and the arrivals do not keep pace"


@dataclass(slots=True)
class ArmCounters:
    """What has come since the driver started. `withheld`: frames whose time was not known."""

    frames: int = 0
    withheld: int = 0
    skipped: int = 0
    duplicates: int = 0
    restarts: int = 0
    overruns: int = 0


class ArmTracker:
    """`take` with each arrival; samples go to `on_sample`. Everything runs on the caller's thread."""

    def __init__(self, config: ArmConfig, arm: Arm, on_sample: Callable[[ArmSample], None], wall_ns: Callable[[int], int]) -> None:
        """`wall_ns` gives the time since the epoch at a steady time, ns."""
        self.counters = ArmCounters()
        self.hello: EncoderHello | None = None
        self.problem: ArmProblem | None = None
        """What is wrong with the device as a whole; None while nothing is."""
        self._config, self._arm = config, arm
        self._on_sample, self._wall_ns = on_sample, wall_ns
        self._joints: dict[str, JointCounter] = {}
        self._clock = StreamClock(config.clock, wall_ns)
        self._last: tuple[EncoderFrame, Arrival] | None = None
        self._hello_opening = 0
        self._unsaid = 0
        self._changes = -1
        self._epoch = 0

    @property
    def joints(self) -> dict[str, JointCounter]:
        """The counters of the joints by name; none before the device has said what it is."""
        return self._joints

    def request(self) -> bytes:
        """What to send: the question what the device is, until it has said so on this opening of the port."""
        return HELLO_REQUEST if self.hello is None or self._hello_opening < self._opening() else b""

    def take(self, arrival: Arrival) -> str:
        """Take one body; why it was of no use, empty when it was."""
        record = parse(arrival.body)
        if isinstance(record, Malformed):
            return record.reason
        if record.device_id != self._config.device_id:
            return f"device {record.device_id} sends, device {self._config.device_id} is configured"
        if isinstance(record, EncoderHello):
            self._on_hello(record, arrival)
            return ""
        if self.hello is not None and len(record.counts) != len(self.hello.has_index):
            return f"{len(record.counts)} encoders in a measurement, {len(self.hello.has_index)} in the device's hello"
        return self._on_frame(record, arrival)

    def home(self) -> str:
        """Begin to home the joints whose counts are in question; which joints still need their index."""
        for joint in self._joints.values():
            if joint.status & (JointStatus.MISSED_COUNTS | JointStatus.SIGNAL):
                joint.forget()
        needed = [name for name, joint in self._joints.items() if not joint.homed]
        if not self._joints:
            return "nothing is known of the joints yet: the device has not said what it is, or no calibration is loaded"
        return "move over their index: " + ", ".join(needed) if needed else "all joints are homed"

    def accept(self) -> str:
        """Believe the counts as they are; what was accepted."""
        said = [text for joint in self._joints.values() if (text := joint.accept())]
        return "; ".join(said) or "no counts are in question"

    def _opening(self) -> int:
        return self._last[1].opening if self._last else self._hello_opening

    def _on_hello(self, hello: EncoderHello, arrival: Arrival) -> None:
        same = self.hello is not None and replace(self.hello, device_us=0) == replace(hello, device_us=0)
        self.hello, self._hello_opening = hello, arrival.opening
        if same:
            return
        chain, calibration = self._arm.chain, self._arm.calibration
        self.problem = None if calibration is None else device_problem(hello, calibration)
        self._joints = {}
        if calibration is not None and chain is not None and self.problem is None:
            limits = {name: (chain.lower_rad[i], chain.upper_rad[i]) for i, name in enumerate(chain.names)}
            bits, trust = hello.counter_bits, self._config.trust
            self._joints = {joint.name: JointCounter(joint, limits[joint.name], bits, trust) for joint in calibration.joints}
        self._last, self._changes = None, -1

    def _on_frame(self, frame: EncoderFrame, arrival: Arrival) -> str:
        if self.hello is None:
            return ""  # counters of unknown width say nothing
        last, skipped, elapsed_s = self._last, 0, 0.0
        if last is not None:
            if frame.sequence == last[0].sequence and frame.device_us == last[0].device_us:
                self.counters.duplicates += 1
                return ""
            skipped = (frame.sequence - last[0].sequence - 1) % _SEQUENCES
            elapsed_s = (frame.device_us - last[0].device_us) / _US_PER_S
            if self._has_restarted(frame, arrival, last, skipped):
                self._begin_anew()
                skipped = 0
        self._last = (frame, arrival)
        self.counters.frames += 1
        self.counters.skipped += skipped
        self.counters.overruns += frame.overrun
        self._update_joints(frame, elapsed_s)
        self._remember(frame, arrival, fresh=last is None)
        stamps, self._unsaid = self._clock.stamp(frame.device_us, arrival), self._unsaid + skipped
        if not stamps.settled:
            self.counters.withheld += 1
            return _NO_TIME
        self._on_sample(self._sample(frame, stamps, self._unsaid))
        self._unsaid = 0
        return ""

    def _has_restarted(self, frame: EncoderFrame, arrival: Arrival, last: tuple[EncoderFrame, Arrival], skipped: int) -> bool:
        if frame.device_us <= last[0].device_us or skipped > _SEQUENCES // 2:
            return True
        if skipped == 0:
            return False
        host_s, device_s = (arrival.latest_ns - last[1].latest_ns) / 1e9, (frame.device_us - last[0].device_us) / _US_PER_S
        return abs(host_s - device_s) > _UPTIME_S + _UPTIME_SHARE * host_s

    def _begin_anew(self) -> None:
        self.counters.restarts += 1
        self._clock.restart()
        for joint in self._joints.values():
            joint.begin_anew()

    def _update_joints(self, frame: EncoderFrame, elapsed_s: float) -> None:
        pulses, illegal = frame.index_pulses, frame.illegal_transitions
        for i, joint in enumerate(self._joints.values()):
            bits = int(frame.status[i])
            reading = Reading(
                count=int(frame.counts[i]),
                index_count=int(frame.index_counts[i]),
                index_seen=bool(bits & EncoderBits.INDEX_SEEN),
                no_signal=bool(bits & EncoderBits.NO_SIGNAL),
                weak=bool(bits & EncoderBits.WEAK),
                index_pulses=int(pulses[i]),
                illegal=int(illegal[i]),
            )
            joint.update(reading, elapsed_s)
        changes = sum(joint.changes for joint in self._joints.values())
        if changes != self._changes:
            self._epoch, self._changes = self._epoch + 1, changes

    def _boot_ns(self, frame: EncoderFrame, arrival: Arrival) -> int:
        """When the device was started, on the host's clock."""
        return self._wall_ns(arrival.latest_ns) - frame.device_us * _NS_PER_US

    def _remember(self, frame: EncoderFrame, arrival: Arrival, fresh: bool) -> None:
        """`fresh`: the counters are; those that have had a reference know better than the file what became of it."""
        if self._arm.home is None or self.hello is None:
            return
        where = (self.hello, self._boot_ns(frame, arrival), frame.device_us, self._joints)
        if fresh:
            self._arm.home.restore(*where)
        self._arm.home.keep(*where)

    def _sample(self, frame: EncoderFrame, stamps: Stamps, skipped: int) -> ArmSample:
        joints = list(self._joints.values())
        known = bool(joints)
        return ArmSample(
            stamp_ns=stamps.stamp_ns,
            received_ns=stamps.received_ns,
            sequence=frame.sequence,
            skipped=skipped,
            device_time_us=frame.device_us,
            names=tuple(self._joints) or tuple(f"encoder{i}" for i in range(len(frame.counts))),
            counts=np.array([joint.count for joint in joints]) if known else frame.counts,
            index_counts=np.array([(joint.newest_index or 0) if joint.homed else 0 for joint in joints]) if known else frame.index_counts,
            status=tuple(joint.status for joint in joints) if known else (JointStatus.NOT_HOMED,) * len(frame.counts),
            positions=np.array([joint.position_rad for joint in joints]) if known else np.full(len(frame.counts), np.nan),
            epoch=self._epoch,
            detail=self._detail(joints),
        )

    def _detail(self, joints: list[JointCounter]) -> str:
        if not joints:
            missing = "no calibration is loaded" if self._arm.calibration is None else "no URDF is loaded"
            return self.problem.text if self.problem else missing
        reasons = [reason for joint in joints if (reason := joint.reason)]
        swap = exchanged(joints) if any(joint.status & JointStatus.LIMIT for joint in joints) else ""
        return "; ".join([*([swap] if swap else []), *reasons])
