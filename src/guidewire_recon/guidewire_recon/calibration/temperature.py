"""Slope of each axis with temperature, from a recording in which the array warms up at rest."""

from __future__ import annotations

import numpy as np

from guidewire_recon.calibration.config import CalibrationConfig
from guidewire_recon.calibration.recording import ArrayRecording
from lodestone_core.errors import InputError
from lodestone_core.types import Array


def temperature_slopes(recording: ArrayRecording, config: CalibrationConfig) -> tuple[Array, Array]:
    """Slopes and their standard deviations (S, 3) in T/K, robust (Huber). Raises InputError where a sensor did not warm enough."""
    slopes, sigmas = np.zeros((recording.count, 3)), np.zeros((recording.count, 3))
    for s in range(recording.count):
        t = recording.temperature_degc[:, s]
        known = np.isfinite(t) & np.isfinite(recording.raw_T[:, s]).all(axis=1)
        rise = float(np.ptp(t[known])) if known.any() else 0.0
        if rise < config.least_warming_k:
            remedy = "record from a cold start until the temperature stands still"
            where = f"{recording.name}, temperature of s{s:02d}"
            raise InputError(where, expected=f"a rise of {config.least_warming_k:g} K", got=f"{rise:.1f} K", remedy=remedy)
        for axis in range(3):
            slopes[s, axis], sigmas[s, axis] = _line(t[known], recording.raw_T[known, s, axis])
    return slopes, sigmas


def _line(x: Array, y: Array) -> tuple[float, float]:
    """Slope and its standard deviation."""
    design = np.column_stack([x - x.mean(), np.ones_like(x)])
    weight = np.ones_like(x)
    for _ in range(8):
        W = design * weight[:, None]
        solution = np.linalg.solve(W.T @ design, W.T @ y)
        r = y - design @ solution
        scale = max(1.4826 * float(np.median(np.abs(r))), 1e-15)
        weight = np.minimum(1.0, 1.345 * scale / np.maximum(np.abs(r), 1e-300))
    C = np.linalg.inv((design * weight[:, None]).T @ design) * float(np.sum(weight * r * r) / max(np.sum(weight) - 2.0, 1.0))
    return float(solution[0]), float(np.sqrt(C[0, 0]))
