"""From measurement replies to one TrackedFrame for each new hardware frame number, stamped on the host clock.

Every handle carries its own frame number: one whose number has not advanced holds an old pose and is not posed again, and one
reply may hold several new numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from em_registration.drivers.frame_numbers import FrameNumbers, NewFrame
from em_registration.drivers.link import Answer
from em_registration.drivers.ndi_codes import HandleStatus
from em_registration.drivers.ndi_commands import ReplyKind
from em_registration.drivers.ndi_measurements import Measurement, ToolReading
from em_registration.drivers.readings import sample_of, unplugged
from em_registration.drivers.tools import Tool
from lodestone_core.clock import ClockConfig, ClockEstimator
from lodestone_core.device.serial_port import Clock
from lodestone_core.time import NS_PER_S
from lodestone_core.types import TrackedFrame

_APART_NS: Final = 1000
# After an outage the reply before says nothing any more.
_WIDEST_BRACKET_NS: Final = NS_PER_S
_REPLY_KINDS: Final = {ReplyKind.TX: 1, ReplyKind.BX: 2}


@dataclass(slots=True)
class FrameCounters:
    """What has come since the driver started."""

    frames: int = 0
    skipped: int = 0
    repeats: int = 0


class FrameTracker:
    """Measurement replies in, new frames out."""

    def __init__(self, config: ClockConfig, clock: Clock) -> None:
        self.counters = FrameCounters()
        self._config = config
        self._clock = clock
        self.begin(0)

    def begin(self, started_ns: int) -> None:
        """Tracking begins with a fresh counter; no frame is older than `started_ns` (steady time)."""
        self._estimator = ClockEstimator(self._config)
        self._numbers = FrameNumbers()
        self._repeats = 0
        self.resume(started_ns)

    def resume(self, started_ns: int) -> None:
        """Tracking goes on with the same counter after a pause that ended at `started_ns`."""
        self._earliest_ns = started_ns

    def update(self, reply: Measurement, answer: Answer, tools: Mapping[int, Tool], gone: Iterable[Tool] = ()) -> tuple[TrackedFrame, ...]:
        """The frames that are new in this reply, oldest first; `tools` by port handle.

        `gone`, and tools without a reading, are reported as unplugged.
        """
        readings = [reading for reading in reply.readings if reading.handle in tools]
        new = self._new_frames(readings)
        # The device composed its answer after the poll was sent and before the first byte of the answer came.
        earliest_ns = max(self._earliest_ns, answer.first_byte_ns - _WIDEST_BRACKET_NS)
        self._earliest_ns = answer.sent_ns
        if not new:
            self._repeats += 1
            self.counters.repeats += 1
            return ()
        numbers = {frame.number for frame in new}
        absent = [r for r in readings if r.status is not HandleStatus.VALID and r.frame not in numbers]
        replied = {r.handle for r in readings}
        away = [unplugged(tool) for tool in (*gone, *(tool for handle, tool in tools.items() if handle not in replied))]
        frames: list[TrackedFrame] = []
        for number, skipped in new:
            measured = [r for r in readings if r.frame == number]
            estimate = self._estimator.update(number, earliest_ns, answer.first_byte_ns)
            stamp_ns = self._clock.wall_ns(estimate.stamp_ns)
            if frames:
                # Frames of one reply share its bracket and may get its middle alike; they did come one after the other.
                stamp_ns = max(stamp_ns, frames[-1].stamp_ns + _APART_NS)
            frame = TrackedFrame(
                stamp_ns=stamp_ns,
                received_ns=self._clock.wall_ns(answer.last_byte_ns),
                frame_number=number,
                tools=(*(sample_of(r, tools[r.handle]) for r in (*measured, *absent)), *away),
                frames_skipped=skipped,
                repeats_dropped=self._repeats,
                system_status=reply.system_status,
                reply_kind=_REPLY_KINDS[reply.kind],
            )
            frames.append(frame)
            self._repeats = 0
            self.counters.frames += 1
            self.counters.skipped += skipped
        return tuple(frames)

    def _new_frames(self, readings: Iterable[ToolReading]) -> tuple[NewFrame, ...]:
        """In the first reply of all a tool that has never been measured still carries the number zero: it makes no frame."""
        numbered = [r for r in readings if r.frame is not None]
        measured = [r for r in numbered if r.status is HandleStatus.VALID] if self._numbers.empty else []
        return self._numbers.new({r.handle: r.frame for r in measured or numbered if r.frame is not None})
