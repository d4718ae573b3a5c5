"""From a source's samples to what TX and BX report: frame numbers, what faults hide, what was produced and what went out."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import NamedTuple

from lodestone_bench.emulators.aurora_ports import OUT_OF_VOLUME, PARTIALLY_OUT_OF_VOLUME, Condition, Handle, PortTable
from lodestone_bench.emulators.aurora_reply import MAX_TRANSLATION_MM, HandleReport, HandleState
from lodestone_bench.sources.source import Sample, Source, Volume

_VOLUME_BITS = {Volume.INSIDE: 0, Volume.PARTIAL: PARTIALLY_OUT_OF_VOLUME, Volume.OUTSIDE: OUT_OF_VOLUME}
_FRAME_MASK = 0xFFFFFFFF


class Carried(NamedTuple):
    """What one reply carries of one tool. `epoch` tells equal numbers apart when the counter was reset between them.

    `fresh` is False while nothing was measured since TSTART: the reply then says MISSING with the number that stood before.
    """

    tool: str
    epoch: int
    frame: int
    fresh: bool


class Measuring:
    """The device's frame counter over a source. The source's time begins with the first TSTART and never stops again.

    With `origin_s`, a time of the device's clock, the source's time begins there instead: the bench's world goes on without the device.
    """

    def __init__(self, source: Source, first_frame: int = 0, origin_s: float | None = None) -> None:
        self.source = source
        self.started_s: float | None = None
        self._origin_s = origin_s
        self._first_frame = first_frame
        self._base = -first_frame  # frame number = sample number - base
        self._since: int | None = None  # newest sample at the TSTART in force; None while not tracking
        self._spans: list[tuple[int, int]] = []
        self._epoch = 0

    def start(self, now_s: float, *, reset_frames: bool) -> None:
        """TSTART: from here on new samples are reported."""
        if self.started_s is None:
            self.started_s = now_s
            # In a world that goes on, what was there before is not measured.
            self._since = 0 if self._origin_s is None else self.number(now_s)
        else:
            self._since = self.number(now_s)
        if reset_frames:
            self._set_base(self._since)

    def stop(self, now_s: float) -> None:
        """TSTOP; nothing happens when not tracking."""
        if self._since is not None:
            self._spans.append((self._since, self.number(now_s)))
        self._since = None

    def restart(self, now_s: float) -> None:
        """Power-on or reset: the frame counter begins where a new device's does."""
        self.stop(now_s)
        self._set_base(self.number(now_s) - self._first_frame)

    def set_frame(self, now_s: float, value: int) -> None:
        """Let the newest sample have this frame number."""
        self._set_base(self.number(now_s) - value)

    def elapsed_s(self, now_s: float) -> float:
        """Time of the source; negative before it begins."""
        origin_s = self.started_s if self._origin_s is None else self._origin_s
        return -1.0 if origin_s is None else max(0.0, now_s - origin_s)

    def tracking_s(self, now_s: float) -> float | None:
        """Time since the first TSTART; None before it."""
        return None if self.started_s is None else max(0.0, now_s - self.started_s)

    def number(self, now_s: float) -> int:
        """Number of the source's newest sample."""
        return 0 if self.started_s is None else self.source.number_at(self.elapsed_s(now_s))

    def finished(self, now_s: float) -> bool:
        """Whether the last sample has come."""
        return self.source.end_s is not None and self.elapsed_s(now_s) >= self.source.end_s

    def produced(self, now_s: float) -> int:
        """Samples that came while tracking, of any tool."""
        return sum(until - after for after, until in self._tracked(now_s))

    def produced_of(self, tool: str, now_s: float) -> int:
        """Samples of one tool that came while tracking."""
        return sum(self.source.count(tool, after, until) for after, until in self._tracked(now_s))

    def reports(self, ports: PortTable, now_s: float, *, out_of_volume_too: bool) -> tuple[list[HandleReport], tuple[Carried, ...]]:
        """What a reply says of every handle, and what it carries."""
        number, since = self.number(now_s), self._since or 0
        reports: list[HandleReport] = []
        carried: list[Carried] = []
        for handle in ports.handles.values():
            if not handle.enabled:
                state = HandleState.DISABLED if handle.occupied else HandleState.UNOCCUPIED
                reports.append(HandleReport(handle.number, state))
                continue
            sample = self.source.newest(handle.tool.name, number)
            own = sample.number if sample is not None else 0
            frame, fresh = max(own - self._base, 0) & _FRAME_MASK, own > since
            if sample is None or not fresh:
                reports.append(HandleReport(handle.number, HandleState.MISSING, handle.status, frame))
            else:
                condition = ports.conditions[handle.tool.name]
                reports.append(_with_sample(handle, sample, frame, condition, now_s, out_of_volume_too))
            carried.append(Carried(handle.tool.name, self._epoch, frame, fresh))
        return reports, tuple(carried)

    def _set_base(self, base: int) -> None:
        self._base = base
        self._epoch += 1

    def _tracked(self, now_s: float) -> list[tuple[int, int]]:
        return self._spans if self._since is None else [*self._spans, (self._since, self.number(now_s))]


class FramesSeen:
    """Counts the frame numbers that a driver which misses nothing was told: those in replies that went out whole and undamaged.

    `frames` counts numbers with a measurement, `empty` those that only ever stood for "nothing measured yet".
    """

    def __init__(self) -> None:
        self.frames = 0
        self.empty = 0
        self.of_tool: Counter[str] = Counter()
        self._last: dict[str, tuple[int, int]] = {}
        # Tools may carry the same number in one reply or in two (a tool that was plugged in later).
        self._recent: deque[tuple[int, int]] = deque(maxlen=256)

    def add(self, carried: Iterable[Carried]) -> None:
        """Count what one reply carries."""
        for tool, epoch, frame, fresh in carried:
            if self._last.get(tool) == (epoch, frame):
                continue
            self._last[tool] = (epoch, frame)
            self.of_tool[tool] += fresh
            if (epoch, frame) not in self._recent:
                self._recent.append((epoch, frame))
                self.frames += fresh
                self.empty += not fresh


def _with_sample(handle: Handle, sample: Sample, frame: int, condition: Condition, now_s: float, out_of_volume_too: bool) -> HandleReport:
    volume = Volume.OUTSIDE if now_s < condition.outside_until_s else sample.volume
    status = handle.status | _VOLUME_BITS[volume] | (condition.bits if now_s < condition.bits_until_s else 0)
    hidden = now_s < condition.missing_until_s or (volume is Volume.OUTSIDE and not out_of_volume_too)
    pose = sample.pose
    if hidden or pose is None or max(map(abs, pose.t_mm)) > MAX_TRANSLATION_MM:
        return HandleReport(handle.number, HandleState.MISSING, status, frame)
    error_mm = condition.error_mm if now_s < condition.error_until_s else sample.error_mm
    return HandleReport(handle.number, HandleState.VALID, status, frame, pose, error_mm)
