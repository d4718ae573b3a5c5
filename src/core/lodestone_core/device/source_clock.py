"""When images were acquired that carry their time on the device's clock (V4L2 buffers, RTP, NUT, IVF). Pure.

An image is late, never early, and two clocks of quartz part by less than 200 ppm. So what the device's clock reads is on the host's clock
by the least of all differences seen, and that least may rise by 200 ppm alone: images that come later than before, for a moment or for
good, come late and are not taken for newer ones. Where every image is late from the first one on, nothing here can tell: that is the
latency which `lodestone calibrate time` finds.

What was taken before the source was open, or came while the host was busy, is late too. So the first images have no stamp, until two were
equally long under way and none was faster. A source that is opened again mostly has the same clock still: where its first image fits what
was known of it, that goes on, and it is stamped at once.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from typing import Final, NamedTuple

from lodestone_core.clock import ClockConfig
from lodestone_core.device.frame_clock import FrameTime
from lodestone_core.device.video_status import VideoCause, VideoFault
from lodestone_core.time import NS_PER_S, ns_from_s, s_from_ns

_DRIFT: Final = 200e-6
_JUMP_NS: Final = 5 * NS_PER_S
_INTERVALS: Final = 9
# Equally long; after so many images it is taken as it is.
_ALIKE_NS: Final = NS_PER_S // 200
_MOST_UNSETTLED: Final = 8
_LEAST_SIGMA_NS: Final = 1000
# A clock that began anew with its source is behind by as long as the source had been open, so one that is behind by less is the same.
_SAME_NS: Final = NS_PER_S // 4
_KNOWN_NS: Final = 2 * _SAME_NS


class SourceTime(NamedTuple):
    """What was known of a device's clock when its last image came: host less device, that image's times, and when the fastest one came."""

    offset_ns: int
    arrived_ns: int
    device_ns: int
    least_at_ns: int


class SourceClock:
    """Times of the device in, acquisitions on the clock of the arrivals out.

    `rate_hz` is what the device promises, 0 for not known; `before` what was known of it when it was open the last time.
    """

    def __init__(self, config: ClockConfig, rate_hz: float, before: SourceTime | None = None) -> None:
        self._latency_ns = ns_from_s(config.latency_s)
        self._tolerance_ns = ns_from_s(config.tolerance_s)
        self._nominal_ns = NS_PER_S / rate_hz if rate_hz > 0.0 else 0.0
        self._intervals: deque[int] = deque(maxlen=_INTERVALS)
        self._earlier = before
        self._first_ns = 0
        self._before: tuple[int, int] | None = None
        self._offset_ns, self._least_at_ns, self._seen = 0, 0, 0
        self._settled = False

    @property
    def rate_hz(self) -> float:
        """Rate of the last images by the device's clock (median); 0 before there are three."""
        return NS_PER_S / statistics.median(self._intervals) if len(self._intervals) > 1 else 0.0

    @property
    def known(self) -> SourceTime | None:
        """What holds for the next opening of the source; of an earlier one while this one is short."""
        if self._before is None or not self._settled or self._before[0] - self._first_ns < _KNOWN_NS:
            return self._earlier
        return SourceTime(self._offset_ns, *self._before, self._least_at_ns)

    def update(self, arrived_ns: int, device_ns: int) -> FrameTime | None:
        """Stamp an image that came at that time (steady), taken at that time of the device.

        None while it is not known how late images are, and for one that has the time of the one before. Raises VideoFault(TIMES) where the
        device's time goes back or leaps ahead: its clock was set, or the stream is out of step.
        """
        skipped = self._follow(arrived_ns, device_ns)
        self._seen += 1
        if skipped < 0 or not self._settled:
            return None
        unsure_ns = _DRIFT * (arrived_ns - self._least_at_ns) + self._tolerance_ns / math.sqrt(self._seen)
        return FrameTime(device_ns + self._offset_ns - self._latency_ns, max(_LEAST_SIGMA_NS, round(unsure_ns)), skipped)

    def _follow(self, arrived_ns: int, device_ns: int) -> int:
        """Take the two times in; images lost since the one before, -1 for one without a time of its own."""
        offset_ns, skipped = arrived_ns - device_ns, 0
        if self._before is None:
            self._begin(arrived_ns, device_ns)
        else:
            arrived_before_ns, device_before_ns = self._before
            step_ns = device_ns - device_before_ns
            if step_ns == 0:
                return -1
            allowed_ns = self._offset_ns + round(_DRIFT * (arrived_ns - arrived_before_ns))
            if step_ns < 0 or offset_ns < allowed_ns - _JUMP_NS:
                raise VideoFault(VideoCause.TIMES, f"by {s_from_ns(step_ns):+.3g} s from one image to the next")
            self._intervals.append(step_ns)
            skipped = max(0, round(step_ns / self._period_ns()) - 1)
            alike = abs(offset_ns - allowed_ns) < _ALIKE_NS
            self._settled = self._settled or alike or self._seen >= _MOST_UNSETTLED
            if offset_ns <= allowed_ns:
                self._least_at_ns = arrived_ns
            self._offset_ns = min(offset_ns, allowed_ns)
        self._before = arrived_ns, device_ns
        return skipped

    def _begin(self, arrived_ns: int, device_ns: int) -> None:
        """The first image: by the clock as it was known, where that goes on."""
        self._offset_ns, self._least_at_ns, self._first_ns = arrived_ns - device_ns, arrived_ns, arrived_ns
        earlier = self._earlier
        if earlier is None or device_ns <= earlier.device_ns:
            return
        allowed_ns = earlier.offset_ns + round(_DRIFT * (arrived_ns - earlier.arrived_ns))
        if abs(self._offset_ns - allowed_ns) < _SAME_NS:
            self._settled = True
            if allowed_ns < self._offset_ns:
                self._offset_ns, self._least_at_ns = allowed_ns, earlier.least_at_ns

    def _period_ns(self) -> float:
        return self._nominal_ns or float(statistics.median(self._intervals))
