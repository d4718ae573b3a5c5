"""How good a calibration is on data that it has not seen, and how far it would move with other data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lodestone_core import se3
from lodestone_core.least_squares import Values
from lodestone_core.types import Array
from us_motion.calibration.config import ProbeCalibrationConfig
from us_motion.calibration.fit import Fit, with_data
from us_motion.calibration.model import X
from us_motion.calibration.observations import Numbers, Observations

_QUARTERS = 4


def parts_of(data: Observations) -> Numbers:
    """Part (M,) of each image that is left out at once: its sweep, or its quarter of the recording where there is one sweep."""
    seen = np.unique(data.image)
    if len(np.unique(data.sweep[seen])) > 1:
        return data.sweep
    part = np.zeros(len(data.sweep), dtype=np.int64)
    part[seen] = np.arange(len(seen)) * _QUARTERS // max(len(seen), 1)
    return part


def held_out_mm(fit: Fit, again: Callable[[Observations, Values], Fit]) -> dict[int, Array]:
    """Distances in the image (n,) of the spots of each part under a solution of the other parts; `again` fits anew from a start.

    Spots that were outliers with all data are left out here as well, since nothing says that they are wires.
    """
    data = fit.model.data
    part = parts_of(data)[data.image]
    errors = {}
    for number in np.unique(part):
        others = again(data.chosen(part != number), fit.values)
        own = data.chosen((part == number) & fit.inliers)
        if len(own.image):
            errors[int(number)] = with_data(fit.model, own).errors_mm(others.values)
    return errors


def bootstrap(fit: Fit, config: ProbeCalibrationConfig) -> Array:
    """Poses T_probe_image (resamples, 4, 4) of blocks of images drawn anew, each by one step from the solution."""
    clean = with_data(fit.model, fit.model.data.chosen(fit.inliers))
    r = clean.residuals(fit.values).ravel()
    blocks = clean.jacobian(fit.values)
    J = np.concatenate([blocks[name] for name in fit.solution.parts], axis=1)
    _, order = np.unique(clean.data.image, return_inverse=True)
    block = np.repeat(order // config.block_images, clean.group)
    starts = np.flatnonzero(np.diff(block, prepend=-1))
    normals = np.add.reduceat(J[:, :, None] * J[:, None, :], starts, axis=0)
    gradients = np.add.reduceat(J * r[:, None], starts, axis=0)
    rng = np.random.default_rng(config.seed)
    drawn = rng.integers(0, len(starts), (config.resamples, len(starts)))
    counts = np.apply_along_axis(np.bincount, 1, drawn, minlength=len(starts)).astype(np.float64)
    steps = np.linalg.solve(np.einsum("rb,bij->rij", counts, normals), -np.einsum("rb,bi->ri", counts, gradients)[..., None])[..., 0]
    return np.asarray(se3.exp(steps[:, fit.solution.parts[X]]) @ fit.values[X])


def intervals(T: Array, poses: Array) -> Array:
    """95 % interval (6, 2) of a pose over resampled ones: place (mm) and turn against it (deg), along the parent's axes."""
    turns = np.degrees(se3.log(se3.make(poses[:, :3, :3] @ T[:3, :3].T, np.zeros(3)))[:, 3:])
    return np.asarray(np.percentile(np.column_stack([poses[:, :3, 3], turns]), [2.5, 97.5], axis=0).T)
