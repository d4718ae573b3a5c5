"""The offset between two streams that saw one motion: search, refinement, uncertainty, refusal."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.signal import find_peaks

from lodestone_core.errors import InputError
from lodestone_core.latency.config import LatencyConfig
from lodestone_core.latency.likelihood import Evidence, evidence, explained, log_likelihood, residual
from lodestone_core.latency.model import Predictor, predictors
from lodestone_core.latency.motion import Motion
from lodestone_core.types import Array

_DEFAULTS = LatencyConfig()
_STEPS, _TOLERANCE_S = 30, 1e-7
_REFINED = 8
_RIVALS = 5
_LOBE_S = 0.1  # an offset further off than this is another one
_OPTIMISM = 1.15  # the least of several estimates of sigma is too small; measured on simulated streams of seeds that no protocol uses
_STEP = 2  # of the grid from offset to offset
_COARSE = 4  # every so manyth point of the grid is enough to search on
_PROMINENCE = 0.05  # of the best peak: a smaller hump is no peak of its own
_LEAST_COVERED = 0.5  # of the grid, by both


@dataclass(frozen=True, slots=True)
class Latency:
    """What stream a stamps t, stream b stamps t + `seconds`; `sigma_s`: standard deviation.

    `share`: of the motion of one stream (variance, smoothed) that the other predicts where it was left out of the fit. `model`: which
    was predicted from how much of the other. `rival_s`: the next best offset, NaN without one. `overlap_s`: time that both cover.
    """

    seconds: float
    sigma_s: float
    share: float
    model: str
    rival_s: float
    overlap_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """Share explained over the offsets of the search, its best peak and the others, best first (indices)."""

    predictor: Predictor
    offsets_s: Array
    share: Array
    best: int
    others: tuple[int, ...]

    @property
    def best_s(self) -> float:
        """The best offset of the grid."""
        return float(self.offsets_s[self.best])


def estimate_latency(a: Motion, b: Motion, config: LatencyConfig = _DEFAULTS) -> Latency:
    """Offset between two streams of one motion. Raises InputError, with the reason, where they do not tell it."""
    _check_overlap(a, b, config)
    searches = [search(predictor, config) for predictor in predictors(a, b, config)]
    searches.sort(key=lambda each: -float(each.share[each.best]))
    _check_shared(a, b, searches[0], config)
    # The predictions that hold best where they were left out, and of them the one that tells the offset most sharply.
    refined = [(each, refine(each.predictor, each.best_s, config)) for each in searches[:_REFINED]]
    found, known = min(refined, key=lambda pair: pair[1].sigma_s)
    _check_flat(a, b, found, config)
    rival = _best_rival(found, config)
    _check_rival(a, b, rival, known, config)
    sigma_s = _OPTIMISM * known.sigma_s
    if not sigma_s <= config.max_sigma_s:
        remedy = "record longer, with quicker and less regular motion"
        raise _refused(a, b, f"a standard deviation of at most {1e3 * config.max_sigma_s:g} ms", f"{1e3 * sigma_s:.3g} ms", remedy)
    rival_s = math.nan if rival is None else rival.offset_s
    overlap_s = float(np.count_nonzero(known.used)) * found.predictor.step_s
    return Latency(known.offset_s, sigma_s, float(found.share[found.best]), found.predictor.label, rival_s, overlap_s)


def search(predictor: Predictor, config: LatencyConfig) -> Search:
    """The share explained on a grid of offsets, a step each half a width of the smoothing."""
    most = math.floor(config.max_offset_s / predictor.step_s) // _STEP * _STEP
    steps = range(-most, most + 1, _STEP)
    offsets = np.array(steps) * predictor.step_s
    share = np.array([explained(predictor, each, config.folds, _COARSE) for each in steps])
    best = int(np.argmax(share))
    value = np.array([log_likelihood(float(each)) for each in np.maximum(share, 0.0)])
    peaks, _ = find_peaks(value, prominence=max(_PROMINENCE * float(value[best]), 1e-12))
    others = sorted((int(i) for i in peaks if i != best), key=lambda i: -share[i])
    return Search(predictor, offsets, share, best, tuple(others))


def refine(predictor: Predictor, start_s: float, config: LatencyConfig) -> Evidence:
    """The offset of the least residual near `start_s`: Levenberg-Marquardt on the smooth functions of time."""
    used = predictor.holds(start_s)
    offset, value, damping = start_s, residual(predictor, start_s, used), 1e-3
    for _ in range(_STEPS):
        known = evidence(predictor, offset, used, config.block_s)
        step = known.score / max(known.information * (1.0 + damping), 1e-300)
        tried = residual(predictor, offset + step, used)
        if tried > value:
            damping = max(10.0 * damping, 1.0)
        else:
            offset, value, damping = offset + step, tried, damping / 10.0
        if abs(step) < _TOLERANCE_S:
            break
    return evidence(predictor, offset, used, config.block_s)


def _check_overlap(a: Motion, b: Motion, config: LatencyConfig) -> None:
    start, end = max(a.stamps_ns[0], b.stamps_ns[0]), min(a.stamps_ns[-1], b.stamps_ns[-1])
    overlap_s = float(end - start) * 1e-9 - config.max_offset_s
    if overlap_s < config.least_overlap_s:
        got = f"{overlap_s:.3g} s" if overlap_s > 0.0 else "streams that do not overlap"
        remedy = "record both at the same time, for at least 20 s, and check that both stamps come from one clock"
        raise _refused(a, b, f"{config.least_overlap_s:g} s of overlap, the search taken off", got, remedy)


def _check_shared(a: Motion, b: Motion, found: Search, config: LatencyConfig) -> None:
    holds = found.predictor.holds(found.best_s)
    if np.mean(holds) < _LEAST_COVERED:
        got, remedy = f"{np.mean(holds):.0%}", "look for the samples that are missing, or record again"
        raise _refused(a, b, f"samples of both in {_LEAST_COVERED:.0%} of the time", got, remedy)
    share = float(found.share[found.best])
    if share < config.least_share:
        expected = f"a motion that both see: {config.least_share:.0%} of one predicted from the other"
        remedy = "move what both see, back and forth; check the topics, or raise max_offset_s (--max-offset)"
        raise _refused(a, b, expected, f"{max(share, 0.0):.0%} at best", remedy)
    if found.best in (0, len(found.offsets_s) - 1):
        remedy = "raise max_offset_s (--max-offset), or check that both clocks are the host's"
        raise _refused(a, b, f"an offset within {config.max_offset_s:g} s", "the best one at the end of the search", remedy)


def _check_flat(a: Motion, b: Motion, found: Search, config: LatencyConfig) -> None:
    """A motion of few tones is predicted from as many components at any offset at all: then there is not even a second peak."""
    far = np.abs(found.offsets_s - found.best_s) > _LOBE_S
    if not far.any():
        return
    other = float(np.max(found.share[far]))
    if log_likelihood(float(found.share[found.best])) - log_likelihood(other) < config.rival_gain:
        other_s = float(found.offsets_s[far][np.argmax(found.share[far])])
        raise _ambiguous(a, b, found.best_s, other_s)


def _best_rival(found: Search, config: LatencyConfig) -> Evidence | None:
    """The best of the other peaks. On the grid one of two equal peaks is hit better than the other: each is taken at its best."""
    refined = [refine(found.predictor, float(found.offsets_s[i]), config) for i in found.others[:_RIVALS]]
    return min(refined, key=lambda each: each.residual, default=None)


def _check_rival(a: Motion, b: Motion, rival: Evidence | None, known: Evidence, config: LatencyConfig) -> None:
    if rival is None:
        return
    gain = 0.5 * math.log(max(rival.residual, 1e-300) / max(known.residual, 1e-300))
    independent = np.count_nonzero(known.used) * min(1.0, known.information / max(known.variance, 1e-300))
    if gain < config.rival_gain or gain * independent < math.log(config.rival_odds):
        raise _ambiguous(a, b, known.offset_s, rival.offset_s)


def _ambiguous(a: Motion, b: Motion, best_s: float, other_s: float) -> InputError:
    got = f"one at {1e3 * best_s:.0f} ms and another nearly as good at {1e3 * other_s:.0f} ms"
    remedy = "move irregularly: with a periodic motion every period fits; or keep the search (--max-offset) below half a period"
    return _refused(a, b, "one offset that fits best", got, remedy)


def _refused(a: Motion, b: Motion, expected: str, got: str, remedy: str) -> InputError:
    return InputError(f"latency of {b.name} against {a.name}", expected=expected, got=got, remedy=remedy)
