"""Axes of a sensor that become exchanged or inverted while it measures: found at the first frame that shows it.

From one frame to the next the counts of such a sensor jump to what they were, in another order or with other signs. That alone may be
chance: a sensor over which a magnet is moved passes through many values. So a jump counts when all of this holds, which exchanged axes
bring about and a source of field outside of the sensors does not:

- it is `_LEAST` times the noise: less is no error that matters;
- one of the 47 other ways undoes it: up to noise, the sensor is where it was, or where it would be had it gone on as before;
- it is sudden: what makes a field has a mass. The jump is `_ALONE` times what the sensor moved by in the frames before;
- it is alone: what begins to move is seen by others as well. The jump is `_ALONE` times what any other moves by unforeseen.

All motion is taken beside the median of all sensors, so that an array that is turned in the Earth's field stands still here.

From then on the sensor is tracked in the way that was found, and its jump back is found alike. What was so before the first frame, after
a gap, or behind a faster motion of something else is left to judge_axes (axes_check.py): on a first frame, and on each second's mean.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from guidewire_recon.drivers.ak09940a import T_PER_COUNT, Drive
from guidewire_recon.drivers.axes_check import TURNS, Judgement, TurnedField, Way, best_way, judge_axes
from guidewire_recon.drivers.calibrated import ArrayCalibration, Calibrator
from guidewire_recon.types import ArraySample, Counts, Flags
from lodestone_core.types import Array

Indices = npt.NDArray[np.intp]
_LEAST, _STILL, _MATCH, _GATE = 15.0, 7.8, 7.8, 9.2
"""In noise of one axis. `_STILL` is the longest difference of two frames in which nothing moves, `_GATE` the largest of one of its axes."""
_ALONE: Final = 4.0
_UNDONE: Final = 1.0 / 3.0
"""What may be left of a jump that is undone; and at most `_MATCH`, and `_FOLLOWED` of what moves."""
_FOLLOWED: Final = 0.5
_RETURNED: Final = 0.5
"""The same of one that jumps back: that this will happen is known, and in which way."""
_REMEMBERED: Final = 6
"""Frames, this one among them: what was at rest for 50 ms is not about to pass through anything."""
_FEWEST: Final = 4
_LONGEST_US: Final = 50_000
"""Over a longer gap anything may have moved anywhere."""
_NOISIEST_T: Final = Drive.ULTRA_LOW_POWER.noise_T
_PRODUCT: Final = np.argmax(np.einsum("aij,bjk,cik->abc", TURNS, TURNS, TURNS), axis=2)
"""Which turn is the turn `a` after the turn `b`: the one whose scalar product with it is three."""
_INVERSE: Final = np.argmax(_PRODUCT == 0, axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """From one frame to the next: `common_T` (3,) is what most sensors move by, `beside_T` (n, 3) what each moves by besides, in `us`."""

    common_T: Array
    beside_T: Array
    us: int


@dataclass(slots=True, eq=False)
class _Frame:
    """A sample with its counts (n, 3) along the axes that the sensors should have, as far as is known.

    Once they are asked for: its field (n, 3), NaN for a sensor that may not be used, and the step to it from the frame before.
    """

    sample: ArraySample
    raw: Array | Counts
    field_T: Array | None = None
    step: _Step | None = None


class AxesWatch:
    """Told of every sample on the driver's thread; a judgement may come from any."""

    def __init__(self, calibration: ArrayCalibration) -> None:
        self.exchanged: Mapping[int, Way] = {}
        """How the axes of a sensor come, by its index, where they are exchanged. Replaced as a whole."""
        self.jumps = 0
        """How often the axes of one changed from one frame to the next."""
        self.turned = TurnedField(Calibrator(calibration))
        self._calibration = calibration
        self._noise_T = _noise_T(calibration)
        self._gate = _GATE * self._noise_T / T_PER_COUNT
        self._frames: deque[_Frame] = deque(maxlen=_REMEMBERED)
        self._jumped: set[int] = set()
        self._judged: tuple[Judgement, set[int]] | None = None

    def judge(self, judgement: Judgement) -> Mapping[int, Way]:
        """Believe, from the next sample on, a judgement on what came since the last one; which sensors it leaves exchanged, and how.

        A sensor whose axes changed meanwhile is not judged: its mean is of both ways.
        """
        jumped, self._jumped = self._jumped, set()
        self._judged = judgement, jumped
        return _settled(self.exchanged, judgement, jumped)

    def update(self, sample: ArraySample) -> bool:
        """Look at the next sample. Whether `exchanged` has changed by it."""
        known = self.exchanged
        if self._judged is not None:
            judged, self._judged = self._judged, None
            self._believe(sample, *judged)
        frames = self._frames
        if not frames or not 0 < sample.device_us - frames[-1].sample.device_us < _LONGEST_US:
            if frames:  # each may have changed in the gap
                self._jumped.update(range(len(sample.raw)))
                frames.clear()
            self._begin(sample)
            return self.exchanged != known
        raw = self._tracked(sample.raw) if self.exchanged else sample.raw
        before, now = frames[-1], _Frame(sample, raw)
        frames.append(now)
        if self.exchanged or np.abs(raw - before.raw).max() > self._gate:
            self._look_closer(before, now)
        return self.exchanged != known

    def _believe(self, sample: ArraySample, judgement: Judgement, but: Collection[int]) -> None:
        settled = _settled(self.exchanged, judgement, but)
        if not settled.keys() <= self.exchanged.keys():
            # A mean over something that moved is a field that never was: what is new must show in this sample as well.
            again = self._judgement(sample).exchanged
            settled = {sensor: way for sensor, way in settled.items() if sensor in self.exchanged or sensor in again}
        if settled != self.exchanged:
            self.exchanged = settled
            self._frames.clear()  # they were tracked otherwise

    def _begin(self, sample: ArraySample, known: Flags | None = None) -> None:
        """The first frame of all sensors but those `known` (n,): nothing before it tells how their axes came."""
        self.exchanged = _settled(self.exchanged, self._judgement(sample), () if known is None else np.flatnonzero(known).tolist())
        if self._frames:
            self._frames.pop()
        self._frames.append(_Frame(sample, self._tracked(sample.raw)))

    def _judgement(self, sample: ArraySample) -> Judgement:
        counts = np.where(sample.valid[:, None], sample.raw, np.nan)
        return judge_axes(counts, sample.temperature_degc, self._calibration, self.turned)

    def _look_closer(self, before: _Frame, now: _Frame) -> None:
        had, has = before.sample.valid, now.sample.valid
        if (has & ~had).any():
            self._jumped.update(np.flatnonzero(has & ~had).tolist())
            self._begin(now.sample, had)
        if np.count_nonzero(had & has) < _FEWEST:
            return
        step = self._step(before, now)
        length_T = _length(step.beside_T)
        least_T = np.full(len(length_T), self._limit_T(_middle(length_T) - _STILL * self._noise_T))
        least_T[list(self.exchanged)] = _STILL * self._noise_T  # these are expected to jump back some time
        if (length_T > least_T).any():
            self._find_jumps(before, now, np.flatnonzero(length_T > least_T))

    def _find_jumps(self, before: _Frame, now: _Frame, suspects: Indices) -> None:
        """Those of some sensors whose jump another way undoes."""
        step, followed_T = self._step(before, now), self._followed_T()
        # Where each would be had it stayed with most, and had it gone on as before.
        expected_T = (self._field_T(before) + step.common_T + np.stack([np.zeros_like(followed_T), followed_T]))[:, suspects, None]
        residual_T = _length(self.turned(now.raw, now.sample.temperature_degc, suspects) - expected_T).min(axis=0)
        surprise_T = np.minimum(_length(step.beside_T), _length(step.beside_T - followed_T))
        length_T, best_T, back_T = _length(step.beside_T)[suspects], residual_T.min(axis=1), self._back_T(suspects, residual_T)
        undone = (best_T < _UNDONE * length_T) | (back_T < _RETURNED * length_T)
        if not 0 < 2 * np.count_nonzero(undone) < np.count_nonzero(np.isfinite(surprise_T)):
            return
        others_T = np.fmax.reduce(np.delete(surprise_T, suspects[undone]), initial=0.0) - _STILL * self._noise_T
        moving_T = np.maximum(self._earlier_T()[suspects], max(0.0, others_T))
        near_T = _MATCH * self._noise_T + _FOLLOWED * moving_T
        returned = back_T < np.minimum(_RETURNED * length_T, near_T + moving_T)
        certain = undone & ~returned & (length_T > self._limit_T(moving_T)) & (best_T < near_T)
        if (certain | returned).any():
            ways = {int(suspects[at]): best_way(residual_T[at]) for at in np.flatnonzero(certain)}
            self._jumped_to(ways, suspects[returned].tolist())

    def _back_T(self, suspects: Indices, residual_T: Array) -> Array:
        """Of the residuals (k, 48) of some sensors, that of the way back (k,); infinite for one that is not exchanged."""
        back = np.array([_INVERSE[self.exchanged[sensor].index] if sensor in self.exchanged else 0 for sensor in suspects.tolist()])
        return np.where(back > 0, residual_T[np.arange(len(suspects)), back], np.inf)

    def _limit_T(self, moving_T: Array | float) -> Array:
        """What a jump must be at least, where something moves by this much beyond noise."""
        return np.asarray(_LEAST * self._noise_T + _ALONE * np.maximum(0.0, moving_T))

    def _jumped_to(self, ways: Mapping[int, Way], returned: Collection[int]) -> None:
        """Track some sensors in the way that undoes their jump, and those that returned as they come."""
        exchanged = {sensor: way for sensor, way in self.exchanged.items() if sensor not in returned}
        for sensor, way in ways.items():
            before = exchanged.pop(sensor, None)
            index = way.index if before is None else int(_PRODUCT[way.index, before.index])
            if index:
                exchanged[sensor] = Way(index, way.unique)
        self.exchanged = exchanged
        self._jumped.update(ways, returned)
        self.jumps += len(ways) + len(returned)
        last = self._frames.pop()
        self._frames.append(_Frame(last.sample, self._tracked(last.sample.raw)))

    def _moves_T(self, frames: list[_Frame]) -> Array:
        """What each sensor moves by besides (steps, n, 3) between these frames, in the time that there was before the last of all."""
        us = self._step(self._frames[-2], self._frames[-1]).us
        steps = [self._step(*pair) for pair in pairwise(frames)]
        return np.array([step.beside_T * (us / step.us) for step in steps]).reshape(-1, self._calibration.count, 3)

    def _followed_T(self) -> Array:
        """What each sensor would move by now (n, 3) if it went on as before; 0 where that is not known."""
        moves_T = self._moves_T(list(self._frames)[-3:-1])
        return np.nan_to_num(moves_T[-1]) if len(moves_T) else np.zeros((self._calibration.count, 3))

    def _earlier_T(self) -> Array:
        """What each sensor moved by before this frame, at most, beyond noise (n,)."""
        moves_T = self._moves_T(list(self._frames)[:-1])
        if not len(moves_T):
            return np.zeros(self._calibration.count)
        # What moves slowly shows in no single step, but in all of them together.
        single_T = np.fmax.reduce(_length(moves_T), axis=0) - _STILL * self._noise_T
        together_T = _length(moves_T.mean(axis=0)) - _STILL * self._noise_T / len(moves_T)
        return np.asarray(np.fmax(0.0, np.fmax(single_T, together_T)))

    def _step(self, before: _Frame, now: _Frame) -> _Step:
        if now.step is None:
            moved_T = self._field_T(now) - self._field_T(before)
            ordered = np.sort(moved_T, axis=0)  # NaN last
            count = np.count_nonzero(np.isfinite(moved_T[:, 0]))
            common_T = 0.5 * (ordered[(count - 1) // 2] + ordered[count // 2])
            now.step = _Step(common_T, moved_T - common_T, now.sample.device_us - before.sample.device_us)
        return now.step

    def _field_T(self, frame: _Frame) -> Array:
        if frame.field_T is None:
            frame.field_T = self.turned.calibrator.field_T(frame.raw, frame.sample.temperature_degc)
            frame.field_T[~frame.sample.valid] = np.nan
        return frame.field_T

    def _tracked(self, raw: Counts) -> Array:
        """Counts along the axes that the sensors should have."""
        tracked = raw.astype(np.float64)
        for sensor, way in self.exchanged.items():
            tracked[sensor] = TURNS[way.index] @ raw[sensor]
        return tracked


def _settled(exchanged: Mapping[int, Way], judgement: Judgement, but: Collection[int]) -> Mapping[int, Way]:
    """What is left of what was found, and what is added, by a judgement that does not hold for some sensors."""
    left = {sensor: way for sensor, way in exchanged.items() if sensor in but or not judgement.right(sensor, way)}
    # What most sensors show alike is an array that was turned.
    found = judgement.exchanged if 2 * len(judgement.exchanged) < len(judgement.fitting) else {}
    return {**left, **{sensor: way for sensor, way in found.items() if sensor not in but}}


def _middle(lengths_T: Array) -> float:
    known_T = lengths_T[np.isfinite(lengths_T)]
    return float(np.partition(known_T, len(known_T) // 2)[len(known_T) // 2]) if len(known_T) else 0.0


def _length(vectors: Array) -> Array:
    return np.asarray(np.sqrt(np.einsum("...i,...i->...", vectors, vectors)))


def _noise_T(calibration: ArrayCalibration) -> float:
    """That of the noisiest sensor; where one was not measured, that of the noisiest drive."""
    noise_T = np.where(np.isfinite(calibration.noise_T), calibration.noise_T, _NOISIEST_T)[calibration.known]
    return float(noise_T.max(initial=0.0)) or _NOISIEST_T
