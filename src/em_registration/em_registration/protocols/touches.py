"""When a stylus touches a landmark: its tip rests while its shaft turns about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lodestone_core import se3
from lodestone_core.config import option
from lodestone_core.errors import InputError
from lodestone_core.formats.sequence_mha import TrackedPoses
from lodestone_core.time import NS_PER_S

Array = npt.NDArray[np.float64]
Samples = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class TouchConfig:
    """What counts as a touch; defaults are those of PLUS where it has the same notion."""

    window_s: float = option(1.0, unit="s", doc="shortest touch", minimum=0.1)
    max_tip_motion_mm: float = option(1.5, unit="mm", doc="diagonal of the box that holds the tip during a window", minimum=0.0)
    min_swing_rad: float = option(
        0.17, unit="rad", doc="least turn of the shaft during a touch; a stylus at rest on a table turns by less", minimum=0.0
    )
    min_distance_mm: float = option(15.0, unit="mm", doc="touches nearer than this are one", minimum=0.0)


@dataclass(frozen=True, slots=True, eq=False)
class StylusTrack:
    """Poses of the stylus in the reference sensor's frame: stamps (N,), T_reference_stylus (N, 4, 4), tip (N, 3), mm."""

    stamps_ns: npt.NDArray[np.int64]
    T_reference_stylus: Array
    tip_reference: Array

    @property
    def time_s(self) -> Array:
        """Seconds (N,) since the first sample."""
        return np.asarray((self.stamps_ns - self.stamps_ns[0]) / NS_PER_S)


@dataclass(frozen=True, slots=True, eq=False)
class Touch:
    """One touch: mean tip (3,) in the reference's frame, RMS distance of the samples from it, seconds since the start."""

    start_s: float
    end_s: float
    samples: int
    tip_reference: Array
    spread_mm: float


def stylus_track(stamps_ns: npt.NDArray[np.int64], reference: TrackedPoses, stylus: TrackedPoses, tip_stylus: Array) -> StylusTrack:
    """Track of the stylus where both sensors were seen. Raises InputError when that is nowhere or time runs backward."""
    seen = reference.valid & stylus.valid
    if np.count_nonzero(seen) < 2:
        got = f"{np.count_nonzero(seen)} of {len(seen)} frames"
        raise InputError("stylus track", expected="frames in which stylus and reference are seen", got=got, remedy="record again")
    stamps_ns = stamps_ns[seen]
    if np.any(np.diff(stamps_ns) <= 0):
        raise InputError("stylus track", expected="rising time stamps", got="a step back", remedy="record again")
    T = se3.inverse(reference.T_target_source[seen]) @ stylus.T_target_source[seen]
    return StylusTrack(stamps_ns, T, se3.transform(T, tip_stylus))


def find_touches(track: StylusTrack, config: TouchConfig) -> tuple[Touch, ...]:
    """Touches in the order of time."""
    places = _joined(track, _resting(track, config), config)
    return tuple(_touch(track, samples) for samples in places if _swing(track, samples) >= config.min_swing_rad)


def _resting(track: StylusTrack, config: TouchConfig) -> list[Samples]:
    """Samples of each unbroken run of windows in which the tip rests."""
    spans: list[tuple[int, int]] = []
    window_ns = round(config.window_s * NS_PER_S)
    for start, stamp in enumerate(track.stamps_ns):
        if track.stamps_ns[-1] < stamp + window_ns:
            break
        end = int(np.searchsorted(track.stamps_ns, stamp + window_ns, side="right"))
        tips = track.tip_reference[start:end]
        if np.linalg.norm(tips.max(axis=0) - tips.min(axis=0)) > config.max_tip_motion_mm:
            continue
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return [np.arange(start, end) for start, end in spans]


def _joined(track: StylusTrack, runs: list[Samples], config: TouchConfig) -> list[Samples]:
    """Runs that follow one another at one place are one touch, interrupted by a slip; the slip itself stays out."""
    places: list[Samples] = []
    for run in runs:
        if places and np.linalg.norm(_mean_tip(track, places[-1]) - _mean_tip(track, run)) < config.min_distance_mm:
            places[-1] = np.concatenate([places[-1], run])
        else:
            places.append(run)
    return places


def _mean_tip(track: StylusTrack, samples: Samples) -> Array:
    mean: Array = track.tip_reference[samples].mean(axis=0)
    return mean


def _swing(track: StylusTrack, samples: Samples) -> float:
    """Largest turn of the stylus, in rad, from its first orientation."""
    poses = track.T_reference_stylus[samples]
    return float(se3.geodesic(poses[:1], poses).max())


def _touch(track: StylusTrack, samples: Samples) -> Touch:
    # The mean, not the median: the tip rocks about its place with the shaft, and both ends of the rock count.
    tip = _mean_tip(track, samples)
    spread = float(np.sqrt(np.mean(np.sum((track.tip_reference[samples] - tip) ** 2, axis=1))))
    start_s, end_s = track.time_s[samples[[0, -1]]]
    return Touch(float(start_s), float(end_s), len(samples), tip, spread)
