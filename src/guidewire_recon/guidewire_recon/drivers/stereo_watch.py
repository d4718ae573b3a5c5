"""What is wrong with a stereo pair as a whole: swapped or moved cameras, images without partners. Pure; may be called from two threads."""

from __future__ import annotations

import threading
from typing import Final

from guidewire_recon.drivers.pairing import Pair, Pairing, Side
from guidewire_recon.drivers.stereo_config import StereoConfig
from guidewire_recon.drivers.views import Likeness, Verdict, compare, view_of
from lodestone_core.device.video_status import VideoFrame
from lodestone_core.time import ns_from_s
from lodestone_core.types import Array

_RECENT: Final = 20


class StereoWatch:
    """Takes the images of both sides as they come. `before` are the views (left, right) of the calibration, if there are any."""

    def __init__(self, config: StereoConfig, before: tuple[Array, Array] | None) -> None:
        rates = [side.rate_hz for side in (config.left, config.right)]
        self.pairing = Pairing(config.pairing.tolerance_s, max(rates))
        self.verdict = Verdict.UNKNOWN
        self.likeness: Likeness | None = None
        self.views: dict[Side, Array] = {}
        self.skew_s: float | None = None
        self._config = config
        self._before = before
        self._looked_ns: dict[Side, int] = {}
        self._lock = threading.Lock()

    @property
    def usable(self) -> bool:
        """Whether the calibrations hold for the cameras that they are said to be of."""
        return self.verdict is not Verdict.SWAPPED

    def take(self, side: Side, frame: VideoFrame) -> Pair | None:
        """The pair that an image completes. One of another size, or black, has no partner; nothing has while the cameras are swapped."""
        self._look(side, frame)
        if not frame.as_expected or frame.black:
            return None
        with self._lock:
            pair = self.pairing.add(side, frame.stamp_ns)
        if pair is not None:
            self.skew_s = pair.skew_ns * 1e-9
        return pair if self.usable else None

    def _look(self, side: Side, frame: VideoFrame) -> None:
        """Now and then, since a view does not change from one image to the next."""
        if frame.received_ns - self._looked_ns.get(side, -ns_from_s(1e6)) < ns_from_s(self._config.views.period_s):
            return
        self._looked_ns[side] = frame.received_ns
        view = view_of(frame.image)
        with self._lock:
            self.views = {**self.views, side: view}
            if self._before is not None and len(self.views) == 2 and not frame.black:
                self.likeness = compare((self.views["left"], self.views["right"]), self._before)
                verdict = self.likeness.verdict(self._config.views)
                # Something in front of swapped cameras makes them look changed; they are swapped until all is seen to be well.
                if self.verdict is not Verdict.SWAPPED or verdict is Verdict.AS_BEFORE:
                    self.verdict = verdict
