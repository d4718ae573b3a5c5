"""What a stereo calibration is asked for, and what it refuses."""

from __future__ import annotations

from dataclasses import dataclass

from lodestone_core.config import option


@dataclass(frozen=True, slots=True)
class StereoConfig:
    """Model, weights and limits of a stereo calibration."""

    distortion: str = option(
        "k1k2p",
        doc="coefficients of the lens that are found; the others stay zero",
        choices=("k1", "k1k2", "k1k2p", "plumb_bob", "rational_polynomial"),
    )
    corner_floor_px: float = option(0.02, unit="px", doc="no corner is trusted more than this", minimum=0.0)
    outlier_ratio: float = option(3.0, doc="a view whose RMS exceeds the median of all by this factor is dropped", minimum=1.5)
    outlier_floor_px: float = option(0.25, unit="px", doc="but never one with a smaller RMS than this", minimum=0.0)
    outlier_share: float = option(0.34, doc="more views than this share may not be dropped", minimum=0.0, maximum=0.5)
    fewest_views: int = option(8, doc="views of both cameras that must be left", minimum=4)
    folds: int = option(5, doc="parts that are held out in turn", minimum=2)
    resamples: int = option(1000, doc="of the bootstrap over held-out views", minimum=100)
    max_rms_px: float = option(1.0, unit="px", doc="a calibration with a larger RMS is refused", minimum=0.01)
    nominal_deg: float = option(20.0, unit="deg", doc="how far the cameras may stand from where the rig's frames say", minimum=0.1)
    nominal_share: float = option(0.05, doc="the same for their distance, as a share of it", minimum=0.0)
