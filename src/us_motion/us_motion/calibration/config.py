"""Limits and choices of a probe calibration."""

from __future__ import annotations

from dataclasses import dataclass

from lodestone_core.config import option, section


@dataclass(frozen=True, slots=True)
class DetectionConfig:
    """When a bright spot of an image is taken for a wire or a point."""

    background_mm: float = option(24.0, unit="mm", doc="the background is the median over so wide a window", minimum=1.0)
    smooth_mm: float = option(0.5, unit="mm", doc="standard deviation of the smoothing before a search", minimum=0.0)
    noise_sigmas: float = option(6.0, doc="a spot stands out by at least so many times the noise", minimum=1.0)
    least_contrast: float = option(45.0, doc="and by at least so many grey levels", minimum=1.0, maximum=254.0)
    core: float = option(0.6, doc="a spot is what is brighter than this share of its own peak", minimum=0.1, maximum=0.95)
    least_area_mm2: float = option(0.8, unit="mm^2", doc="smaller spots are noise", minimum=0.0)
    longest_mm: float = option(12.0, unit="mm", doc="longer spots are surfaces, or two wires that run together", minimum=0.5)
    point_levels: float = option(
        35.0,
        doc="of a point, images are left out in which it is so many grey levels fainter than in the best: it is beside the slice",
        minimum=1.0,
    )
    most: int = option(24, doc="so many spots of an image are kept, the brightest ones", minimum=1)


@dataclass(frozen=True, slots=True)
class ProbeCalibrationConfig:
    """What a calibration expects of the probe and of the motion."""

    nominal_rotation_deg: tuple[float, float, float] = option(
        (90.0, 0.0, 0.0),
        unit="deg",
        doc="us_image in us_probe as drawn, a rotation vector: z of us_probe leaves the face, x is along the array",
    )
    max_from_nominal_deg: float = option(45.0, unit="deg", doc="a result further from the drawing is refused", minimum=1.0, maximum=180.0)
    in_plane_sigma_mm: float = option(0.3, unit="mm", doc="expected noise of a spot in the image", minimum=1e-3)
    across_sigma_mm: float = option(
        1.5, unit="mm", doc="expected distance of a seen point from the plane: the slice's thickness", minimum=1e-3
    )
    min_images: int = option(20, doc="fewest images with spots", minimum=4)
    min_swing_deg: float = option(10.0, unit="deg", doc="least turn of the probe, end to end, about two of its axes", minimum=0.0)
    max_spacing_error: float = option(0.015, doc="a pixel that is further off than this, and surely so, is refused", minimum=0.0)
    max_rms_mm: float = option(1.5, unit="mm", doc="the spots kept may be no further from their wires than this (RMS)", minimum=0.0)
    max_error_mm: float = option(
        1.0, unit="mm", doc="the result may be no more uncertain than this anywhere in the image (95 %)", minimum=0.0
    )
    outlier_sigmas: float = option(4.0, doc="a spot further off than this many times the noise is an outlier", minimum=1.0)
    min_inlier_share: float = option(0.6, doc="share of the spots that must agree", minimum=0.0, maximum=1.0)
    block_images: int = option(8, doc="consecutive images whose errors may depend on one another", minimum=1)
    resamples: int = option(500, doc="of the bootstrap", minimum=50)
    seed: int = option(0, doc="seed of the bootstrap", minimum=0)
    detection: DetectionConfig = section(DetectionConfig, doc="spots in images")
