"""Stereo calibration: views in, cameras out, with what was dropped and why.

1. Each camera alone, then a start for how they stand (stereo_start). 2. Everything at once (stereo_bundle). 3. Views that disagree with the
rest are dropped, and it is said why, until none is left that does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from guidewire_recon.calibration.stereo_bundle import EXTRINSICS, Bundle, adjust
from guidewire_recon.calibration.stereo_config import StereoConfig
from guidewire_recon.calibration.stereo_start import pose_of, start
from guidewire_recon.calibration.stereo_types import SIDES, StereoRig, View
from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.types import Array


@dataclass(frozen=True, slots=True, eq=False)
class StereoCalibration:
    """The rig, the adjustment behind it, the views that it rests on, and each dropped view with the reason."""

    bundle: Bundle
    views: tuple[View, ...]
    dropped: Mapping[str, str]

    @property
    def rig(self) -> StereoRig:
        """The two cameras."""
        return self.bundle.rig

    @property
    def extrinsic_covariance(self) -> Array:
        """6x6 of T_right_left in the message convention (mm and rad)."""
        return self.bundle.solution.message_covariance(EXTRINSICS)


def calibrate_stereo(
    views: Sequence[View], sizes: Mapping[str, tuple[int, int]], faces: int, config: StereoConfig | None = None
) -> StereoCalibration:
    """Calibrate a pair. `sizes`: width and height of each side's images; `faces`: how many the target has.

    Raises InputError for too few views, views that do not connect the cameras, or a result that fits worse than the limit.
    """
    config = config or StereoConfig()
    kept = [view for view in views if view.left or view.right]
    _check_enough(kept, config, {})
    allowed = int(config.outlier_share * len(kept))
    dropped: dict[str, str] = {}
    while True:
        rig, poses = start(kept, sizes, faces)
        bundle = adjust(kept, rig, poses, config.distortion, config.corner_floor_px)
        worst = _outliers(kept, bundle, config)
        if not worst:
            break
        dropped |= {view.name: _reason(view, bundle, worst) for view in worst}
        kept = [view for view in kept if view not in worst]
        if len(dropped) > allowed:
            got = f"{len(dropped)} of {len(dropped) + len(kept)} that do not: " + "; ".join(f"{n} ({r})" for n, r in dropped.items())
            remedy = "check that the target is rigid and still in each view, that its numbers are right, and that pairs belong together"
            raise InputError("stereo calibration", expected="views that agree with one another", got=got, remedy=remedy)
        _check_enough(kept, config, dropped)
    if not bundle.rms_px() <= config.max_rms_px:
        got, remedy = f"{bundle.rms_px():.2f} px", "check the board's numbers and its flatness, and sharpen the images"
        raise InputError("stereo calibration", expected=f"an RMS of at most {config.max_rms_px:g} px", got=got, remedy=remedy)
    return StereoCalibration(bundle, tuple(kept), dropped)


def _check_enough(views: Sequence[View], config: StereoConfig, dropped: Mapping[str, str]) -> None:
    paired = sum(view.paired for view in views)
    if paired < config.fewest_views:
        got = f"{paired}" + (f" after {len(dropped)} were dropped ({'; '.join(dropped.values())})" if dropped else "")
        remedy = "take more views in which each camera sees its board sharply"
        raise InputError("stereo calibration", expected=f"at least {config.fewest_views} views of both cameras", got=got, remedy=remedy)


def _outliers(views: Sequence[View], bundle: Bundle, config: StereoConfig) -> list[View]:
    """The views that fit far worse than half of them do: all beyond the limit but none that fits well."""
    rms = np.array([bundle.view_rms_px(view) for view in views])
    limit = max(config.outlier_ratio * float(np.median(rms)), config.outlier_floor_px)
    # One that is far out draws others with it: first those of the worst kind.
    first = max(limit, 0.3 * float(rms.max()))
    return [view for view, value in zip(views, rms, strict=True) if value > first]


def _reason(view: View, bundle: Bundle, worst: Sequence[View]) -> str:
    """Why a view is dropped, in words."""
    each = {side: bundle.view_rms_px(view, side) for side in SIDES}
    said = ", ".join(f"{side} {value:.2f} px" for side, value in each.items() if np.isfinite(value))
    clean = [v for v in bundle.poses if v not in {w.name for w in worst}]
    text = f"RMS {said}, where the others have {np.median([_rms(bundle, name) for name in clean]):.2f} px" if clean else f"RMS {said}"
    if view.paired and (gap := _gap_mm(view, bundle.rig)) > 1.0:
        if _gap_mm(view.exchanged(), bundle.rig) < 0.3 * gap:
            return text + "; left and right fit when they are exchanged"
        return text + f"; the cameras' poses of the target differ by {gap:.1f} mm: did it move between the two images?"
    return text


def _rms(bundle: Bundle, name: str) -> float:
    mine = [r.ravel() for view, _, _, r in bundle.residuals if view.name == name]
    return float(np.sqrt(np.mean(np.concatenate(mine) ** 2)))


def _gap_mm(view: View, rig: StereoRig) -> float:
    """How far apart the two cameras, each alone, put the target's corners."""
    places = {}
    for side in SIDES:
        sighting = view.of(side)[0]
        places[side] = (
            se3.inverse(rig.T_camera_left(side)) @ pose_of(rig.camera(side), sighting) @ se3.inverse(rig.T_target_face[sighting.face])
        )
    points = view.left[0].points
    apart = se3.transform(places["left"], points) - se3.transform(places["right"], points)
    return float(np.linalg.norm(apart, axis=1).mean())
