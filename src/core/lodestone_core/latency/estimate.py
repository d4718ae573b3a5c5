"""The offset between two streams that saw one motion: search, fit, uncertainty, refusal."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.signal import find_peaks

from lodestone_core.errors import InputError
from lodestone_core.latency.config import LatencyConfig
from lodestone_core.latency.likelihood import Fit, explained, fit, log_likelihood
from lodestone_core.latency.model import Features, Mask, Prediction, predictions
from lodestone_core.latency.motion import Motion
from lodestone_core.time import NS_PER_S
from lodestone_core.types import Array

_DEFAULTS = LatencyConfig()
_RIVALS = 5
_LOBE_S = 0.1  # an offset further off than this is another one
_STEP_S = 0.01  # of the search: a fraction of the period of any motion by hand
_SEARCHED = 240  # samples are enough to search with,
_CENTRES = 34  # as are so many functions
_LENGTH, _NOISE = 4.0, 1e-3  # smooth ones
_PROMINENCE = 0.05  # of the best peak: a smaller hump is no peak of its own
_LEAST_COVERED = 0.5  # of the overlap, by both
_95 = 1.96


@dataclass(frozen=True, slots=True)
class Latency:
    """What stream a stamps t, stream b stamps t + `seconds`; `sigma_s`: standard deviation.

    `share`: of the motion of one stream (variance) that the other predicts where it was left out of the fit. `model`: which
    was predicted from which. `rival_s`: the next best offset, NaN without one. `overlap_s`: time that both cover.
    """

    seconds: float
    sigma_s: float
    share: float
    model: str
    rival_s: float
    overlap_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """Share explained over the offsets of the search, the best of them and the peaks, best first (indices)."""

    prediction: Prediction
    offsets_s: Array
    share: Array
    best: int
    peaks: tuple[int, ...]

    @property
    def best_s(self) -> float:
        """The best offset of the grid."""
        return float(self.offsets_s[self.best])


def estimate_latency(a: Motion, b: Motion, config: LatencyConfig = _DEFAULTS) -> Latency:
    """Offset between two streams of one motion. Raises InputError, with the reason, where they do not tell it."""
    _check_overlap(a, b, config)
    searches = [search(prediction, config) for prediction in predictions(a, b, config)]
    best = max(searches, key=lambda each: float(each.share[each.best]))
    _check_covered(a, b, best.prediction, best.best_s)
    _check_shared(a, b, best, config)
    found, known = _sharpest(a, b, searches, best, config)
    _check_covered(a, b, found.prediction, known.offset_s)
    _check_flat(a, b, found, known, config)
    rival = _best_rival(found, known, config)
    _check_rival(a, b, rival, known, config)
    if not _95 * known.sigma_s <= config.max_radius_s:
        expected = f"a latency within {1e3 * config.max_radius_s:g} ms (95 %)"
        remedy = "record longer, with quicker and less regular motion that both see well"
        raise _refused(a, b, expected, f"{1e3 * _95 * known.sigma_s:.3g} ms", remedy)
    rival_s = math.nan if rival is None else rival.offset_s
    share = _share(found.prediction, known.offset_s, known.used, (known.process.features, known.process.noise), config)
    overlap_s = float(np.count_nonzero(known.used)) * found.prediction.period_s
    return Latency(known.offset_s, known.sigma_s, share, found.prediction.label, rival_s, overlap_s)


def search(prediction: Prediction, config: LatencyConfig) -> Search:
    """The share explained on a grid of offsets, by the samples that the faster stream covers at all of them."""
    most = math.floor(config.max_offset_s / _STEP_S)
    offsets = np.asarray(_STEP_S * np.arange(-most, most + 1), dtype=np.float64)
    start, end = prediction.fast_times_s[0] + config.max_offset_s, prediction.fast_times_s[-1] - config.max_offset_s
    within = np.flatnonzero((prediction.times_s >= start) & (prediction.times_s <= end))
    chosen = np.zeros(len(prediction.times_s), dtype=bool)
    chosen[within[:: max(1, len(within) // _SEARCHED)]] = True
    process = Features(prediction.centres[:: max(1, len(prediction.centres) // _CENTRES)], _LENGTH), _NOISE
    share = np.array([_share(prediction, float(each), chosen & prediction.holds(each), process, config) for each in offsets])
    best = int(np.argmax(share))
    value = np.array([log_likelihood(float(each)) for each in np.maximum(share, 0.0)])
    peaks, _ = find_peaks(value, prominence=max(_PROMINENCE * float(value[best]), 1e-12))
    return Search(prediction, offsets, share, best, tuple(sorted((int(i) for i in peaks), key=lambda i: -share[i])))


def _sharpest(a: Motion, b: Motion, searches: list[Search], best: Search, config: LatencyConfig) -> tuple[Search, Fit]:
    """Which view of which stream is a function of the other's is not known beforehand: the one that tells the offset most sharply."""
    fits = [(each, fit(each.prediction, best.best_s, config.block_s)) for each in searches]
    near = [pair for pair in fits if abs(pair[1].offset_s - best.best_s) < _LOBE_S]
    if not near:
        raise _ambiguous(a, b, best.best_s, fits[0][1].offset_s)
    return min(near, key=lambda pair: pair[1].sigma_s)


def _share(prediction: Prediction, offset_s: float, used: Mask, process: tuple[Features, float], config: LatencyConfig) -> float:
    return explained(*prediction.at(offset_s, used), process, config.folds) if used.any() else -math.inf


def _check_overlap(a: Motion, b: Motion, config: LatencyConfig) -> None:
    start, end = max(a.stamps_ns[0], b.stamps_ns[0]), min(a.stamps_ns[-1], b.stamps_ns[-1])
    overlap_s = float(end - start) / NS_PER_S - config.max_offset_s
    if overlap_s < config.least_overlap_s:
        got = f"{overlap_s:.3g} s" if overlap_s > 0.0 else "streams that do not overlap"
        remedy = "record both at the same time, for at least 20 s, and check that both stamps come from one clock"
        raise _refused(a, b, f"{config.least_overlap_s:g} s of overlap, the search taken off", got, remedy)


def _check_covered(a: Motion, b: Motion, prediction: Prediction, offset_s: float) -> None:
    overlap_s = float(min(a.stamps_ns[-1], b.stamps_ns[-1]) - max(a.stamps_ns[0], b.stamps_ns[0])) / NS_PER_S - abs(offset_s)
    there = float(np.count_nonzero(prediction.holds(offset_s))) * prediction.period_s / overlap_s
    if there < _LEAST_COVERED:
        got, remedy = f"{there:.0%}", "look for the samples that are missing, or record again"
        raise _refused(a, b, f"samples of both in {_LEAST_COVERED:.0%} of the time", got, remedy)


def _check_shared(a: Motion, b: Motion, found: Search, config: LatencyConfig) -> None:
    share = float(found.share[found.best])
    if share < config.least_share:
        expected = f"a motion that both see: {config.least_share:.0%} of one predicted from the other"
        remedy = "move what both see, back and forth; check the topics, or raise max_offset_s (--max-offset)"
        raise _refused(a, b, expected, f"{max(share, 0.0):.0%} at best", remedy)
    if found.best in (0, len(found.offsets_s) - 1):
        remedy = "raise max_offset_s (--max-offset), or check that both clocks are the host's"
        raise _refused(a, b, f"an offset within {config.max_offset_s:g} s", "the best one at the end of the search", remedy)


def _check_flat(a: Motion, b: Motion, found: Search, known: Fit, config: LatencyConfig) -> None:
    """A motion of few tones is predicted from as many components at any offset at all: then there is not even a second peak."""
    far = np.abs(found.offsets_s - known.offset_s) > _LOBE_S
    if not far.any():
        return
    other = int(np.argmax(np.where(far, found.share, -math.inf)))
    near = float(np.max(found.share[~far]))
    if log_likelihood(near) - log_likelihood(float(found.share[other])) < config.rival_gain:
        raise _ambiguous(a, b, known.offset_s, float(found.offsets_s[other]))


def _best_rival(found: Search, known: Fit, config: LatencyConfig) -> Fit | None:
    """The best of the other peaks. On the grid one of two equal peaks is hit better than the other: each is taken at its best."""
    others = [i for i in found.peaks if abs(found.offsets_s[i] - known.offset_s) > _STEP_S]
    fits = [fit(found.prediction, float(found.offsets_s[i]), config.block_s) for i in others[:_RIVALS]]
    rivals = [each for each in fits if abs(each.offset_s - known.offset_s) > _STEP_S]
    return max(rivals, key=lambda each: each.process.evidence, default=None)


def _check_rival(a: Motion, b: Motion, rival: Fit | None, known: Fit, config: LatencyConfig) -> None:
    if rival is None:
        return
    gain = known.process.evidence - rival.process.evidence
    if gain < config.rival_gain or gain * known.independent < math.log(config.rival_odds):
        raise _ambiguous(a, b, known.offset_s, rival.offset_s)


def _ambiguous(a: Motion, b: Motion, best_s: float, other_s: float) -> InputError:
    got = f"one at {1e3 * best_s:.0f} ms and another nearly as good at {1e3 * other_s:.0f} ms"
    remedy = "move irregularly: with a periodic motion every period fits; or keep the search (--max-offset) below half a period"
    return _refused(a, b, "one offset that fits best", got, remedy)


def _refused(a: Motion, b: Motion, expected: str, got: str, remedy: str) -> InputError:
    return InputError(f"latency of {b.name} against {a.name}", expected=expected, got=got, remedy=remedy)
