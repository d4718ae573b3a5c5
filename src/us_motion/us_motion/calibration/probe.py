"""The calibration of a probe, in the order of its steps: assign, start, refine, refuse, assess.

data = as_observations(T_ref_probe, image, px, spacing_mm, wire)
found = calibrate_wires(data, phantom)            # or calibrate_point(data)
found.T_probe_image, found.held_out_rms_mm
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from lodestone_core.least_squares import Direction, Values
from lodestone_core.types import Array
from us_motion.calibration import assess, closed_form, refusals
from us_motion.calibration.config import ProbeCalibrationConfig
from us_motion.calibration.correspondence import assign_wires
from us_motion.calibration.fit import Fit, assigned_by, refine, with_data
from us_motion.calibration.model import SPACING, Model, PointModel, WireModel, X
from us_motion.calibration.observations import Mask, Numbers, Observations
from us_motion.calibration.phantom import WirePhantom

_DEFAULTS = ProbeCalibrationConfig()
_BETTER = 0.7
_GOOD_MM = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class ProbeCalibration:
    """Where the image lies on the probe.

    `T_probe_image` (4, 4; mm) with its covariance (6, 6; message convention) and 95 % intervals (6, 2; mm, then degrees) of a bootstrap;
    `start` is the closed form. `spacing_factor` (2,) and its standard deviation: measured size of a pixel over the one given.
    `rms_mm` over the spots kept, `inliers` (N,) of the spots of `data`; `held_out_mm`: distances by part that was left out.
    `radius_95_mm` (5,): predicted error at the middle and the corners of what was seen, at `corners_mm` (5, 3) of the image.
    `swing_deg` (3,): how far the probe was turned. `values`: also the phantom's pose or the point, in the reference.
    """

    T_probe_image: Array
    covariance: Array
    start: Array
    values: Values
    unobserved: tuple[Direction, ...]
    spacing_factor: Array
    spacing_sigma: Array
    rms_mm: float
    data: Observations
    inliers: Mask
    held_out_mm: Mapping[int, Array]
    intervals: Array
    corners_mm: Array
    radius_95_mm: Array
    swing_deg: Array

    @property
    def held_out_rms_mm(self) -> float:
        """Over all parts."""
        return float(np.sqrt(np.mean(np.concatenate(list(self.held_out_mm.values())) ** 2)))


def calibrate_wires(
    data: Observations, phantom: WirePhantom, tracked: bool = False, config: ProbeCalibrationConfig = _DEFAULTS
) -> ProbeCalibration:
    """From images of a phantom of wires; `tracked`: poses are of the probe in the phantom, else the phantom rests in the reference.

    Spots with wire -1 are assigned here. Raises InputError with the cause and the remedy for data that do not make a calibration.
    """
    refusals.check_amount(data, config)
    if not tracked:
        refusals.check_swing(data, config)
    start, known = _wire_start(data, phantom, tracked, config)
    first = refine(WireModel(known, phantom, config), start, config)
    every = assigned_by(data, phantom, first.values, config)
    model = WireModel(every.chosen(every.wire >= 0), phantom, config)
    return _calibration(model, start, first.values, config)


def calibrate_point(data: Observations, config: ProbeCalibrationConfig = _DEFAULTS) -> ProbeCalibration:
    """From images of one point that rests in the reference, unknown where. Raises InputError as calibrate_wires does."""
    refusals.check_amount(data, config)
    refusals.check_swing(data, config)
    start, agreeing = closed_form.point(data, config)
    near = data.chosen(agreeing)
    refusals.check_amount(near, config)
    refusals.check_swing(near, config)
    return _calibration(PointModel(near, config), start, start, config)


def assigned(data: Observations, phantom: WirePhantom) -> Observations:
    """Spots with their wires, image by image; spots of images that do not show the whole pattern are -1."""
    wire = np.full(len(data.image), -1, dtype=np.int64)
    for image in np.unique(data.image):
        spots = np.flatnonzero(data.image == image)
        for spot, number in (assign_wires(data.points_mm[spots, :2], phantom) or {}).items():
            wire[spots[spot]] = number
    return data.with_wires(wire)


def _wire_start(
    data: Observations, phantom: WirePhantom, tracked: bool, config: ProbeCalibrationConfig
) -> tuple[dict[str, Array], Observations]:
    """The closed form, and the spots whose wires are known for it: as they lie, or with left and right, top and bottom exchanged."""
    named = data if np.any(data.wire >= 0) else assigned(data, phantom)
    known = named.chosen(named.wire >= 0)
    best: tuple[float, dict[str, Array], Observations] | None = None
    for wires in _readings(known.wire, len(phantom.ends_mm)):
        reading = known.with_wires(wires)
        start = closed_form.wires_tracked(reading, phantom) if tracked else closed_form.wires_untracked(reading, phantom, config)
        off = float(np.median(WireModel(reading, phantom, config).errors_mm(start)))
        if best is None or off < _BETTER * best[0]:
            best = (off, start, reading)
        if off < _GOOD_MM:
            break
    assert best is not None
    return best[1], best[2]


def _readings(wire: Numbers, layers: int) -> Iterator[Numbers]:
    layer, role = np.divmod(wire, 3)
    for upside_down in (False, True):
        for mirrored in (False, True):
            yield 3 * (layers - 1 - layer if upside_down else layer) + (2 - role if mirrored else role)


def _calibration(model: Model, start: Values, values: Values, config: ProbeCalibrationConfig) -> ProbeCalibration:
    free = refine(model, {**values, SPACING: np.ones(2)}, config)
    refusals.check_orientation(free.values[X], config)
    refusals.check_spacing(free.solution, model.data.spacing_mm, config)
    fit = refine(model, values, config)
    corners = _corners(model.data)
    rms = float(np.sqrt(np.mean(fit.errors_mm[fit.inliers] ** 2)))
    refusals.check_certainty(fit.solution, corners, rms, config)

    def again(data: Observations, near: Values) -> Fit:
        return refine(with_data(model, data), near, config)

    return ProbeCalibration(
        T_probe_image=fit.values[X],
        covariance=fit.solution.message_covariance(X),
        start=start[X],
        values=fit.values,
        unobserved=fit.solution.unobserved,
        spacing_factor=free.values[SPACING],
        spacing_sigma=np.sqrt(np.diag(free.solution.tangent_covariance(SPACING))),
        rms_mm=rms,
        data=model.data,
        inliers=fit.inliers,
        held_out_mm=assess.held_out_mm(fit, again),
        intervals=assess.intervals(fit.values[X], assess.bootstrap(fit, config)),
        corners_mm=corners,
        radius_95_mm=refusals.radius_95_mm(fit.solution, corners),
        swing_deg=refusals.swing_deg(model.data.T_ref_probe[np.unique(model.data.image)]),
    )


def _corners(data: Observations) -> Array:
    """Middle and corners (5, 3) of what was seen, image frame."""
    low, high = data.points_mm.min(axis=0), data.points_mm.max(axis=0)
    sides = [(low[0], low[1]), (high[0], low[1]), (low[0], high[1]), (high[0], high[1])]
    return np.array([0.5 * (low + high), *([x, y, 0.0] for x, y in sides)])
