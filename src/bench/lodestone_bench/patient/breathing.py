"""How deep a breath is at any world time, and where that puts the liver: a pure function of time and seed.

One breath is sin^2n over its phase (A. E. Lujan et al., Med. Phys. 26(5), 1999), with inspiration shorter than expiration, and with length
and depth drawn anew for each.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lodestone_bench.patient.config import BreathingConfig
from lodestone_core import se3
from lodestone_core.types import Array

_BLEND_S = 0.6
_COUGH_TAU_S = 0.25
_COUGH_HZ = 2.2


class Breathing:
    """T_patient_liver and its deformation; the patient frame is LPS with its origin in the middle of the liver at rest."""

    def __init__(self, config: BreathingConfig, seed: int) -> None:
        self._config = config
        self._seed = seed
        self._grow(64)

    def level(self, world_s: npt.ArrayLike) -> Array:
        """Depth (...) of the breath: 0 at the end of expiration, about 1 at the top; breath-holds included."""
        t = np.asarray(world_s, dtype=np.float64)
        held = np.zeros_like(t)
        for start in self._config.apnoea_s:
            end = start + self._config.apnoea_length_s
            held = np.maximum(held, _smooth((t - start) / _BLEND_S) * _smooth((end - t) / _BLEND_S))
        return np.asarray((1.0 - held) * self._free(t) + held * self._config.apnoea_level)

    def T_patient_liver(self, world_s: npt.ArrayLike) -> Array:
        """Rigid part (..., 4, 4; mm) of the motion."""
        t = np.asarray(world_s, dtype=np.float64)
        config = self._config
        breath, lagging = self.level(t), self.level(t - config.lag_s)
        shift = np.array(config.inspired_mm) * np.stack([breath, breath, lagging], axis=-1)
        sunk = 1.0 - np.exp(-np.maximum(t, 0.0) / config.drift_s)
        shift = shift + np.array(config.drift_mm) * sunk[..., None]
        shift[..., 2] += self._cough(t)
        turn = np.radians(config.inspired_deg) * lagging[..., None]
        T: Array = se3.exp(np.concatenate([np.zeros_like(turn), turn], axis=-1))
        T[..., :3, 3] = shift
        return T

    def deformation_mm(self, points_mm: Array, world_s: float) -> Array:
        """Smooth deformation (N, 3) of material points (N, 3), both in the liver's frame; zero at the end of expiration."""
        size = self._config.deformation_mm * float(self.level(world_s))
        if size == 0.0:
            return np.zeros_like(points_mm)
        # Bending modes whose slopes stay below 0.1 per 10 mm, so that nothing folds.
        x, y, z = (np.asarray(points_mm, dtype=np.float64) / 80.0).T
        modes = np.stack(
            [0.4 * np.sin(1.1 * z + 0.3), 0.5 * np.sin(1.3 * x - 0.2) * np.cos(z), 0.8 * np.cos(1.2 * x) * np.cos(0.9 * y)], axis=1
        )
        return np.asarray(size * modes)

    def _free(self, t: Array) -> Array:
        config = self._config
        if t.size and float(np.max(t)) >= self._starts[-1]:
            self._grow(int(float(np.max(t)) / (0.5 * config.period_s)) + 64)
        time = np.maximum(t, 0.0)
        k = np.searchsorted(self._starts, time, side="right") - 1
        share = (time - self._starts[k]) / (self._starts[k + 1] - self._starts[k])
        top = config.inspiration_share
        phase = np.where(share < top, 0.5 * share / top, 0.5 + 0.5 * (share - top) / (1.0 - top))
        return np.asarray(self._depths[k] * np.sin(np.pi * phase) ** (2 * config.sharpness))

    def _grow(self, breaths: int) -> None:
        """Draw so many breaths; more of them begin with the same ones."""
        config = self._config
        drawn = np.clip(np.random.default_rng((self._seed, 71)).normal(size=(breaths, 2)), -2.5, 2.5)
        lengths = config.period_s * np.maximum(1.0 + config.period_spread * drawn[:, 0], 0.5)
        self._depths = np.maximum(1.0 + config.amplitude_spread * drawn[:, 1], 0.2)
        self._starts = np.concatenate([[0.0], np.cumsum(lengths)])

    def _cough(self, t: Array) -> Array:
        shift = np.zeros_like(t)
        for start in self._config.cough_s:
            since = np.maximum(t - start, 0.0)
            fading = since / _COUGH_TAU_S * np.exp(1.0 - since / _COUGH_TAU_S)
            shift += self._config.cough_mm * fading * np.cos(2.0 * np.pi * _COUGH_HZ * since)
        return shift


def _smooth(x: Array) -> Array:
    """0 below 0, 1 above 1, smooth between."""
    x = np.clip(x, 0.0, 1.0)
    return np.asarray(x * x * x * (10.0 + x * (6.0 * x - 15.0)))
