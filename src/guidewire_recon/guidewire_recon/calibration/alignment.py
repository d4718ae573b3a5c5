"""How the sensors of an array are turned against one another, from a field that is the same at all of them; swapped axes are named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from guidewire_recon.calibration.layout import nearest_axes
from lodestone_core.errors import InputError
from lodestone_core.types import Array


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """The rotation (or reflection) that, with a scale, takes one set of vectors to another; `misfit`: RMS of what is left over the RMS."""

    R: Array
    misfit: float


def best_turn(source: Array, target: Array, mirrored: bool = False) -> Turn:
    """R (3, 3) with R source ~ target, both (N, 3); rows with NaN are left out. Kabsch's solution by SVD."""
    known = np.isfinite(source).all(axis=1) & np.isfinite(target).all(axis=1)
    a, b = source[known], target[known]
    U, _, Vt = np.linalg.svd(b.T @ a)
    sign = np.sign(np.linalg.det(U @ Vt)) * (-1.0 if mirrored else 1.0)
    R = U @ np.diag([1.0, 1.0, sign]) @ Vt
    turned = a @ R.T
    left = turned * (np.sum(turned * b) / max(np.sum(a**2), np.finfo(np.float64).tiny)) - b
    return Turn(R, float(np.sqrt(np.sum(left**2) / max(np.sum(b**2), np.finfo(np.float64).tiny))))


def align(fields: Array, drawn: Array, most_turn_deg: float) -> Array:
    """R_array_sensor (S, 3, 3) from calibrated fields (N, S, 3) of a uniform field; on average turned as drawn (S, 3, 3).

    Raises InputError that names sensors whose axes are swapped or mirrored against the drawing.
    """
    S = fields.shape[1]
    turns = [best_turn(fields[:, s], fields[:, 0]) for s in range(S)]
    mirrors = [best_turn(fields[:, s], fields[:, 0], mirrored=True) for s in range(S)]
    flipped = np.array([m.misfit < 0.5 * t.misfit for m, t in zip(mirrors, turns, strict=True)])
    # Handedness is relative to the first sensor: the few are wrong, not the many.
    if 2 * np.count_nonzero(flipped) > S:
        flipped = ~flipped
    relative = np.array([t.R for t in turns])
    wrong = [f"s{s:02d} (mirrored: one of its axes is reversed, or two are swapped)" for s in np.flatnonzero(flipped)]
    R = _most_agreed(relative, drawn, np.flatnonzero(~flipped).tolist(), most_turn_deg) @ relative
    if not wrong:
        off = [s for s in range(S) if _angle_deg(R[s] @ drawn[s].T) > most_turn_deg]
        wrong = [f"s{s:02d} (drawn as '{nearest_axes(drawn[s])}', its axes lie along '{nearest_axes(R[s])}')" for s in off]
    if wrong:
        remedy = "correct the firmware's axes, or say in `layout.axes` how the sensors are mounted"
        raise InputError("axes", expected="sensors turned as drawn", got="; ".join(wrong), remedy=remedy)
    return np.asarray(_mean(drawn @ np.swapaxes(R, 1, 2)) @ R)


def _most_agreed(relative: Array, drawn: Array, among: Sequence[int], most_turn_deg: float) -> Array:
    """The turn of the first sensor's axes on which most sensors agree with the drawing."""
    best, found = -1, np.eye(3)
    for j in among:
        common = drawn[j] @ relative[j].T
        agree = sum(_angle_deg(common @ relative[s] @ drawn[s].T) <= most_turn_deg for s in among)
        if agree > best:
            best, found = agree, common
    return found


def _mean(R: Array) -> Array:
    """Chordal mean of rotations (S, 3, 3)."""
    U, _, Vt = np.linalg.svd(R.mean(axis=0))
    return np.asarray(U @ np.diag([1.0, 1.0, np.linalg.det(U @ Vt)]) @ Vt)


def _angle_deg(R: Array) -> float:
    return float(np.degrees(np.arccos(np.clip(0.5 * (np.trace(R) - 1.0), -1.0, 1.0))))
