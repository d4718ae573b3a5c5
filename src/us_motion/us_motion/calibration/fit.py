"""Joint refinement: robust first, then without the outliers and with the covariance."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lodestone_core import robust_loss
from lodestone_core.errors import InputError
from lodestone_core.least_squares import Loss, Problem, Solution, SolverConfig, Values, solve
from lodestone_core.types import Array
from us_motion.calibration.config import ProbeCalibrationConfig
from us_motion.calibration.model import SPACING, Model, WireModel
from us_motion.calibration.observations import Mask, Numbers, Observations
from us_motion.calibration.phantom import WirePhantom

_TYPICAL = {SPACING: 0.01}
_CLUSTERS_PER_UNKNOWN = 3
_GATE_MM = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A model at its minimum: `inliers` (N,) of its spots, the solution over these, distances (N,) in the image of all of them."""

    model: Model
    solution: Solution
    inliers: Mask
    errors_mm: Array

    @property
    def values(self) -> Values:
        """Blocks by name."""
        return self.solution.values


def refine(model: Model, start: Values, config: ProbeCalibrationConfig) -> Fit:
    """The minimum near a start. Raises InputError when too few spots agree."""
    robust = _solve(model, start, Loss.TUKEY)
    lengths = np.linalg.norm(model.residuals(robust.values), axis=1)
    limit = robust_loss.same_quantile(config.outlier_sigmas, model.group) * max(robust.sigma, 1e-6)
    inliers = lengths <= limit
    if np.count_nonzero(inliers) < config.min_inlier_share * len(inliers):
        expected = f"at least {100.0 * config.min_inlier_share:.0f} % of the spots on one solution"
        got = f"{np.count_nonzero(inliers)} of {len(inliers)}"
        remedy = "check which poses and which phantom belong to the images, and the latency between both"
        raise InputError("probe calibration", expected=expected, got=got, remedy=remedy)
    clean = with_data(model, model.data.chosen(inliers))
    solution = _solve(clean, robust.values, Loss.NONE, _cluster(clean, config))
    return Fit(model, solution, inliers, model.errors_mm(solution.values))


def with_data(model: Model, data: Observations) -> Model:
    """The same model of other spots."""
    return replace(model, data=data)


def assigned_by(data: Observations, phantom: WirePhantom, values: Values, config: ProbeCalibrationConfig) -> Observations:
    """Every spot as the wire that a solution predicts nearest to it, within a gate; at most one spot a wire and image. Others are -1."""
    wires = len(phantom.points_mm)
    images, count = np.arange(len(data.T_ref_probe)), len(data.T_ref_probe)
    every = replace(data, image=np.repeat(images, wires), wire=np.tile(np.arange(wires), count), px=np.zeros((count * wires, 2)))
    at_origin = WireModel(every, phantom, config).residuals(values) * config.in_plane_sigma_mm
    predicted = at_origin.reshape(count, wires, 2)
    off = np.linalg.norm(predicted[data.image] - data.points_mm[:, None, :2], axis=2)
    wire = np.argmin(off, axis=1)
    nearest = off[np.arange(len(wire)), wire]
    wire = np.where(nearest <= _GATE_MM, wire, -1)
    return data.with_wires(_one_each(data.image, wire, nearest))


def _one_each(image: Numbers, wire: Numbers, off: Array) -> Numbers:
    kept = np.full(len(wire), -1)
    taken: set[tuple[int, int]] = set()
    for spot in np.argsort(off, kind="stable"):
        key = (int(image[spot]), int(wire[spot]))
        if wire[spot] >= 0 and key not in taken:
            taken.add(key)
            kept[spot] = wire[spot]
    return kept.astype(np.int64)


def _solve(model: Model, start: Values, loss: Loss, cluster: int = 0) -> Solution:
    problem = Problem(
        start,
        lambda values: model.residuals(values).ravel(),
        model.jacobian,
        group=model.group,
        typical={name: size for name, size in _TYPICAL.items() if name in start},
        cluster=cluster,
    )
    return solve(problem, SolverConfig(loss=loss, max_iterations=60))


def _cluster(model: Model, config: ProbeCalibrationConfig) -> int:
    """Residuals of a block of images, on average; fewer where that would leave too few blocks for a covariance."""
    spots = len(model.data.image) / max(model.data.images, 1)
    wanted = config.block_images * spots
    affordable = len(model.data.image) / (_CLUSTERS_PER_UNKNOWN * 14)
    return model.group * max(1, round(min(wanted, affordable)))
