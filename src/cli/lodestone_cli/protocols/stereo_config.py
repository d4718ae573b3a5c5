"""Settings of `stereo_calibration`."""

from __future__ import annotations

from dataclasses import dataclass

from lodestone_core.config import option


@dataclass(frozen=True, slots=True)
class StereoProtocolConfig:
    """Which pairs of cameras are drawn, what they look at, and how they are judged."""

    seeds: int = option(3, doc="pairs of cameras of each case whose pictures are rendered", minimum=1)
    views: int = option(20, doc="views of each, the first with the target in its seat", minimum=9)
    drawn_seeds: int = option(30, doc="pairs of each case whose corners are drawn with known noise, for the coverage", minimum=0)
    drawn_noise_px: float = option(0.02, unit="px", doc="that noise", minimum=0.0)
    workers: int = option(2, doc="processes", minimum=1)
