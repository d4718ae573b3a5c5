"""One encoder's counter to one joint's angle: unwrapping, the index pulse as reference, and whether counts were lost.

An incremental encoder counts from wherever it was at power-on, so a joint has no angle until its index has been passed (homing). Afterwards
every pulse is a check: it must come a whole number of revolutions after the first. When it does not, counts were lost, and the joint has no
angle until two pulses agree on a new reference, or a person accepts the newest one. Whatever may have cost counts (an illegal transition, a
weak signal, a gap, a jump that no joint can make) is a doubt: the joint has no angle until the next pulse has settled it. Counts that are
lost one by one show at the next pulse and not before.

An encoder that did not answer is another matter: its counts are gone and nothing is left that a pulse could contradict. Its next one is the
reference, as the first one was at power-on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lodestone_core.config import option
from us_motion.arm_calibration import JointCalibration
from us_motion.types import JointStatus

# A second pulse confirms a new reference only when the joint has moved so many tolerances away in between: noise gives pulses in bursts.
_AWAY_TOLERANCES = 10
# Where an encoder answers again its plug may bounce, which looks like a pulse at that very place, both directions together.
_BOUNCE_TOLERANCES = 2


@dataclass(frozen=True, slots=True)
class TrustConfig:
    """When the angle of a joint is believed."""

    index_tolerance_counts: int = option(4, doc="how far an index pulse may come from its place, both directions together", minimum=0)
    after_missed_counts: str = option(
        "rehome", doc="rehome: two index pulses that agree are a new reference; hold: only accept_counts is", choices=("rehome", "hold")
    )
    limit_tolerance_rad: float = option(0.02, unit="rad", doc="how far beyond its limits a joint may be", minimum=0.0)
    max_speed_rad_s: float = option(12.0, unit="rad/s", doc="no joint turns faster: what does has lost or gained counts", minimum=0.1)
    max_acceleration_rad_s2: float = option(
        300.0, unit="rad/s^2", doc="no joint gains or loses speed faster: what does has lost or gained counts", minimum=1.0
    )


@dataclass(frozen=True, slots=True)
class Reading:
    """One encoder in one frame: raw counters, its bits, and the two counters modulo four."""

    count: int
    index_count: int
    index_seen: bool
    no_signal: bool
    weak: bool
    index_pulses: int
    illegal: int


class JointCounter:
    """`update` with each reading in order; `status`, `position_rad` and `reason` tell the outcome."""

    def __init__(self, joint: JointCalibration, limits_rad: tuple[float, float], counter_bits: int, trust: TrustConfig) -> None:
        self.joint = joint
        self.count = 0
        """Unwrapped, since the driver started."""
        self.reference: int | None = None
        """Unwrapped count of the index pulse that is the reference."""
        self.newest_index: int | None = None
        """Unwrapped count of the newest index pulse."""
        self.turn: int | None = None
        """Which of the joint's index pulses that is, in pulses from `index_rad`; None while more than one fits the limits."""
        self.changes = 0
        """How often the reference has changed."""
        self.lost_counts = 0
        """By how much the last index pulse missed its place; 0 when it did not."""
        self._lower_rad, self._upper_rad = limits_rad
        self._bits = counter_bits
        self._trust = trust
        self._last: Reading | None = None
        self._speed: tuple[float, float] | None = None
        self._provisional: int | None = None
        self._away = 0
        self._doubt = ""
        self._answers_from: int | None = None
        self._low = self._high = 0

    @property
    def homed(self) -> bool:
        """Whether there is a reference, and it is known which index pulse it is."""
        return self.reference is not None and self.turn is not None

    @property
    def status(self) -> JointStatus:
        """Why there is no angle; OK when there is."""
        status = JointStatus.OK if self.homed else JointStatus.NOT_HOMED
        if self._last is None or self._last.no_signal:
            status |= JointStatus.MISSING
        if self._provisional is not None:
            status |= JointStatus.MISSED_COUNTS
        if self._doubt:
            status |= JointStatus.SIGNAL
        if self.reference is not None and self.turn is not None and not self._within(*[self._angle_rad(self.turn)] * 2):
            status |= JointStatus.LIMIT
        return status

    @property
    def position_rad(self) -> float:
        """Angle of the joint; NaN unless the status is OK."""
        return math.nan if self.status or self.turn is None else self._angle_rad(self.turn)

    @property
    def reason(self) -> str:
        """Why there is no angle, for people; empty when there is."""
        status, name = self.status, self.joint.name
        if status & JointStatus.MISSING:
            return f"{name}: its encoder does not answer"
        if status & JointStatus.MISSED_COUNTS:
            return f"{name}: counts were lost, its index pulse came {abs(self.lost_counts)} counts from its place"
        if self.reference is None:
            return f"{name}: its index has not been passed yet"
        if self.turn is None:
            possible = len(self._turns())
            fit = (
                f"{possible} of its index pulses fit its limits: move it further"
                if possible
                else "none of its index pulses fits its limits"
            )
            return f"{name}: {fit}"
        if status & JointStatus.SIGNAL:
            return f"{name}: {self._doubt}; move it over its index to check it"
        return f"{name}: outside its limits" if status else ""

    def update(self, reading: Reading, elapsed_s: float) -> None:
        """Take the next reading, `elapsed_s` after the one before (any number for the first)."""
        if self._last is not None and self._last.index_seen and not (reading.index_seen or reading.no_signal):
            self.begin_anew()  # it knows of no pulse any more: this counter has been without power, whatever the device's clock says
        last, self._last = self._last, reading
        if last is None:
            self.count = self._wrapped(reading.count)
            if reading.index_seen and not reading.no_signal and not self._ambiguous():
                self._on_index(self._index(reading))
            # How many there were before this driver listened, and whether before the last pulse or after it, nobody knows.
            self._doubt = "both its channels changed at once before the driver started" if reading.illegal else ""
            return
        step = self._wrapped(reading.count - last.count)
        fastest = self._trust.max_speed_rad_s * elapsed_s / abs(self.joint.rad_per_count)
        gone_round = fastest >= 1 << (self._bits - 1)
        if gone_round:
            self.forget()  # the counter may have gone round unseen
        jumped = abs(step) > fastest + self._trust.index_tolerance_counts or self._jerks(step, elapsed_s)
        self.count += step
        self._track()
        pulse = reading.index_seen and (reading.index_pulses != last.index_pulses or reading.index_count != last.index_count)
        if reading.no_signal or last.no_signal:
            self._answers_from = self.count
        elif pulse and not gone_round:
            self._on_index(self._index(reading))
        # After the pulse: what came in the same frame may have come behind it.
        self._doubt = self._what_may_have_cost_counts(reading, last, jumped) or self._doubt

    def forget(self) -> None:
        """The reference does not hold any more: home again."""
        self._set_reference(None)

    def begin_anew(self) -> None:
        """The device has started anew: so do its counters."""
        self._last = self.newest_index = self._speed = None
        self.forget()

    def accept(self) -> str:
        """Believe the counts as they are, from the newest index pulse on; what was accepted, empty when nothing was in question."""
        if self._provisional is not None:
            said = f"{self.joint.name}: the reference moves by {self.lost_counts} counts"
            self._set_reference(self._provisional)
            return said
        if self._doubt and self.reference is not None:
            said = f"{self.joint.name}: believed in spite of: {self._doubt}"
            self._settle()
            self.changes += 1
            return said
        return ""

    def restore(self, raw_reference: int, turn: int) -> bool:
        """Take a reference kept from before this driver started; False when the counter is too narrow for that."""
        if self._last is None or self._ambiguous():
            return False
        doubt = self._doubt
        self._set_reference(self.count - self._wrapped(self._last.count - raw_reference))
        self.turn, self._doubt = turn, doubt
        return True

    def raw_reference(self) -> int:
        """The reference as the device counts, to be kept. Raises ValueError without one."""
        if self.reference is None or self._last is None:
            raise ValueError(f"{self.joint.name} has no reference")
        return self._wrapped(self._last.count - (self.count - self.reference))

    def fits(self, other: JointCounter) -> bool:
        """Whether all that this encoder has done since its reference would fit the other's joint."""
        if self.reference is None:
            return False
        ends = [other.joint.index_rad + other.joint.rad_per_count * (end - self.reference) for end in (self._low, self._high)]
        shifts = [turn * other.joint.index_spacing_rad for turn in (-1, 0, 1)]
        return any(other._within(min(ends) + shift, max(ends) + shift) for shift in shifts)

    def _what_may_have_cost_counts(self, reading: Reading, last: Reading, jumped: bool) -> str:
        if reading.no_signal:
            return "its encoder did not answer"
        if reading.weak:
            return "its signal was weak"
        if reading.illegal != last.illegal:
            return "both its channels changed at once"
        return "its counter jumped" if jumped else ""

    def _jerks(self, step: int, elapsed_s: float) -> bool:
        """Whether the speed over this frame differs from that over the one before by more than a joint can do in that time."""
        before, self._speed = self._speed, (step / elapsed_s, elapsed_s) if elapsed_s > 0.0 else None
        if before is None or self._speed is None:
            return False
        speed, span_s = before
        apart_s = 0.5 * (span_s + elapsed_s)
        allowed = self._trust.max_acceleration_rad_s2 * apart_s * elapsed_s / abs(self.joint.rad_per_count)
        return abs(step - speed * elapsed_s) > allowed + 2 * self._trust.index_tolerance_counts

    def _on_index(self, index: int) -> None:
        """An index pulse came at this unwrapped count."""
        tolerance, since = self._trust.index_tolerance_counts, self._answers_from
        if since is not None and abs(index - since) <= _BOUNCE_TOLERANCES * tolerance:
            return
        self.newest_index = index
        if self.reference is None:
            self._set_reference(index)
            return
        missed = self._misses(index, self.reference)
        if abs(missed) <= tolerance:
            self._settle()
            return
        self.lost_counts = missed
        confirmed = self._provisional is not None and abs(self._misses(index, self._provisional)) <= tolerance
        away = self._away > _AWAY_TOLERANCES * max(1, tolerance)
        if self._trust.after_missed_counts == "rehome" and (since is not None or (confirmed and away)):
            self._set_reference(index)
        elif not confirmed:
            self._provisional, self._away = index, 0

    def _settle(self) -> None:
        """The pulse came where it should: nothing has been lost."""
        self._provisional, self._doubt, self.lost_counts, self._answers_from = None, "", 0, None

    def _set_reference(self, index: int | None) -> None:
        self.reference, self.turn = index, None
        self.changes += 1
        self._settle()
        self._low = self._high = self.count if index is None else index
        self._track()

    def _track(self) -> None:
        """Keep how far the joint has gone, and from that which index pulse the reference is."""
        self._low, self._high = min(self._low, self.count), max(self._high, self.count)
        if self._provisional is not None:
            self._away = max(self._away, abs(self.count - self._provisional))
        if self.reference is not None and self.turn is None:
            turns = self._turns()
            self.turn = turns[0] if len(turns) == 1 else None

    def _turns(self) -> list[int]:
        """The index pulses that the reference may be, as far as limits and the way gone tell."""
        if self.reference is None:
            return []
        if not math.isfinite(self._upper_rad - self._lower_rad):
            return [0]
        ends = [self._angle_of(count, 0) for count in (self._low, self._high)]
        spacing, tolerance = self.joint.index_spacing_rad, self._trust.limit_tolerance_rad
        first = math.ceil((self._lower_rad - tolerance - min(ends)) / spacing)
        last = math.floor((self._upper_rad + tolerance - max(ends)) / spacing)
        return list(range(first, last + 1))

    def _within(self, low_rad: float, high_rad: float) -> bool:
        tolerance = self._trust.limit_tolerance_rad
        return self._lower_rad - tolerance <= low_rad and high_rad <= self._upper_rad + tolerance

    def _angle_rad(self, turn: int) -> float:
        return self._angle_of(self.count, turn)

    def _angle_of(self, count: int, turn: int) -> float:
        joint = self.joint
        return joint.index_rad + turn * joint.index_spacing_rad + joint.rad_per_count * (count - (self.reference or 0))

    def _misses(self, index: int, reference: int) -> int:
        """By how many counts the pulse is off a whole number of revolutions from the reference."""
        revolution = self.joint.counts_per_revolution
        return (index - reference + revolution // 2) % revolution - revolution // 2

    def _index(self, reading: Reading) -> int:
        return self.count - self._wrapped(reading.count - reading.index_count)

    def _wrapped(self, difference: int) -> int:
        """The difference of two counters of this width that is nearest to zero."""
        half = 1 << (self._bits - 1)
        return (difference + half) % (2 * half) - half

    def _ambiguous(self) -> bool:
        """Whether the counter may have gone round within the limits of the joint, unseen."""
        travel_rad = self._upper_rad - self._lower_rad
        return not travel_rad / abs(self.joint.rad_per_count) < 1 << (self._bits - 1)
