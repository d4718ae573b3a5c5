"""What is read off the poses and indicators of one frame, for every row of a watch at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from em_registration.detection.layout import Layout
from em_registration.detection.track import Track
from lodestone_core.types import Array

CHANNELS = 6
MM_A_RADIAN = 60.0
"""Lever with which rotations are put on a scale with translations: half the usual distance of two sensors."""
PLACE_MM = 100.0
FEATURES = 28
ROTATION = slice(10, 19)
"""Where the cosines of the orientation, row by row, stand among the features."""
LEAST_INDICATOR_MM = 1e-3
Mask = npt.NDArray[np.bool_]


class Channels:
    """Values (rows, CHANNELS) and places (rows, FEATURES) of frames. The first frame of a row sets the origin of both.

    An indicator is taken as its logarithm: its noise is a share of it, wherever it is measured. A relation is by how much the place of
    sensor b seen from a has changed, mm, and by which small rotation, times MM_A_RADIAN, both along the tracker's axes: that is where a
    field's distortion and a tracker's noise change slowly. Where one of the sensors has five degrees of freedom it is only what does not
    depend on the roll: the distance, the two axes against the line between the sensors, and against each other.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._seen = np.zeros(len(layout.rows), dtype=bool)
        self._centre_mm = np.zeros((len(layout.rows), 3))
        self._T_reference = np.tile(np.eye(4), (len(layout.rows), 1, 1))
        self._rolls = np.zeros(len(layout.rows), dtype=bool)
        self._track = Track(len(layout.rows))

    def grown(self, layout: Layout) -> Channels:
        """The same for a longer layout."""
        longer, n = Channels(layout), len(self._seen)
        longer._track = self._track.grown(len(layout.rows))
        longer._seen[:n], longer._centre_mm[:n], longer._T_reference[:n] = self._seen, self._centre_mm, self._T_reference
        return longer

    def read(self, stamp_s: float, T: Array, indicator_mm: Array, five_dof: Mask) -> tuple[Array, Array, Mask]:
        """Values, places and which rows were seen, of tools' poses (N, 4, 4), NaN where there is none, and indicators (N,).

        The place is where the frames before led to expect the row: this frame's noise is in its value already, and a model of the field
        would take what the two have in common for a change over place.
        """
        rows = self.layout
        with_generator = np.concatenate([T, np.eye(4)[None]])  # index -1 is the generator
        T_a, T_b, T_place = with_generator[rows.first], with_generator[rows.second], with_generator[rows.place]
        flat = np.append(five_dof, False)
        rolls = self._rolls = (flat[rows.first] | flat[rows.second]) & rows.relation
        T_ab = _between(T_a, T_b)
        indicator = np.append(indicator_mm, np.nan)[rows.place]
        told = np.isfinite(np.where(rows.relation, T_ab[:, 0, 3] + T_ab[:, 0, 0], T_place[:, 0, 3] + indicator))
        self._begin(told & ~self._seen, T_place, T_ab)
        values = np.zeros((len(rows.rows), CHANNELS))
        values[:, 0] = np.log(np.maximum(indicator, LEAST_INDICATOR_MM))
        values = np.where(rows.relation[:, None], self._relation(T_a, T_ab), values)
        if rolls.any():
            values[rolls] = _invariants(T_a[rolls], T_b[rolls])
        line = np.where(rolls[:, None], T_b[:, :3, 3] - T_a[:, :3, 3], _turned(T_place[:, :3, :3], self._line(rows.relation)))
        place = places(_without_roll(T_place, flat[rows.place]), _unit(line), self._centre_mm)
        expected = self._track.expect(stamp_s, place, told)
        return np.where(told[:, None], values, 0.0), np.where(told[:, None], expected, 0.0), told

    def recentred(self, rows: Mask, place: Array, values: Array, valid: Mask) -> Array:
        """Refer the relations of these rows to their mean over frames (frames, rows, ...) instead of to their first; the values are then
        these. One frame's noise would otherwise turn with the tool, and look like a field.
        """
        values = values.copy()
        for row in np.flatnonzero(rows & self.layout.relation & ~self._rolls):
            R_a = place[:, row, ROTATION].reshape(-1, 3, 3)
            R_b = R_a @ self._T_reference[row, :3, :3]
            moved = np.einsum("nij,ni->nj", R_a, values[:, row, :3])[valid[:, row]].mean(axis=0)
            turned = np.einsum("nij,ni->nj", R_b, values[:, row, 3:])[valid[:, row]].mean(axis=0)
            values[:, row] -= np.concatenate([R_a @ moved, R_b @ turned], axis=1)
            self._T_reference[row, :3, 3] += moved
            self._T_reference[row, :3, :3] = self._T_reference[row, :3, :3] @ Rotation.from_rotvec(turned / MM_A_RADIAN).as_matrix()
        return values

    def _begin(self, new: Mask, T_place: Array, T_ab: Array) -> None:
        if new.any():
            self._seen |= new
            self._centre_mm[new] = T_place[new, :3, 3]
            self._T_reference[new] = T_ab[new]

    def _relation(self, T_a: Array, T_ab: Array) -> Array:
        turned = np.swapaxes(self._T_reference[:, :3, :3], 1, 2) @ T_ab[:, :3, :3]
        # Half the skew part: the rotation vector to second order, and finite for any rotation.
        skew = np.stack([turned[:, 2, 1] - turned[:, 1, 2], turned[:, 0, 2] - turned[:, 2, 0], turned[:, 1, 0] - turned[:, 0, 1]], axis=1)
        R_b = T_a[:, :3, :3] @ T_ab[:, :3, :3]
        moved = T_ab[:, :3, 3] - self._T_reference[:, :3, 3]
        return np.concatenate([_turned(T_a[:, :3, :3], moved), 0.5 * MM_A_RADIAN * _turned(R_b, skew)], axis=1)

    def _line(self, relation: Mask) -> Array:
        """In the frame of the place's tool: to the other sensor, or the sensor's own axis."""
        line = self._T_reference[:, :3, 3] * relation[:, None]
        return np.where(np.linalg.norm(line, axis=1, keepdims=True) > 1.0, line, np.array([0.0, 0.0, 1.0]))


def used_channels(layout: Layout, five_dof: Mask) -> Mask:
    """Which channels (rows, CHANNELS) hold anything."""
    used = np.ones((len(layout.rows), CHANNELS), dtype=bool)
    used[~layout.relation, 1:] = False
    flat = np.append(five_dof, False)
    used[(flat[layout.first] | flat[layout.second]) & layout.relation, 4:] = False
    return used


def places(T: Array, direction: Array, centre_mm: Array) -> Array:
    """Features (rows, FEATURES) of poses: 1, place, its products, the nine cosines of the orientation, place times direction."""
    at = (T[:, :3, 3] - centre_mm) / PLACE_MM
    x, y, z = at.T
    products = (x * x, y * y, z * z, x * y, x * z, y * z)
    crossed = (at[:, :, None] * direction[:, None, :]).reshape(-1, 9)
    return np.concatenate([np.stack([np.ones_like(x), x, y, z, *products], axis=1), T[:, :3, :3].reshape(-1, 9), crossed], axis=1)


def _turned(R: Array, vectors: Array) -> Array:
    return (R @ vectors[:, :, None])[:, :, 0]


def _between(T_a: Array, T_b: Array) -> Array:
    """T_a_b (N, 4, 4)."""
    T_ab = np.zeros_like(T_a)
    R_t = np.swapaxes(T_a[:, :3, :3], 1, 2)
    T_ab[:, :3, :3] = R_t @ T_b[:, :3, :3]
    T_ab[:, :3, 3] = (R_t @ (T_b[:, :3, 3] - T_a[:, :3, 3])[:, :, None])[:, :, 0]
    return T_ab


def _without_roll(T: Array, five_dof: Mask) -> Array:
    """The poses; of sensors with five degrees of freedom the x and y axes, which say nothing, are zero."""
    if not five_dof.any():
        return T
    known = T.copy()
    known[five_dof, :3, :2] = 0.0
    return known


def _unit(vectors: Array) -> Array:
    units: Array = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return units


def _invariants(T_a: Array, T_b: Array) -> Array:
    line = T_b[:, :3, 3] - T_a[:, :3, 3]
    axis_a, axis_b = T_a[:, :3, 2], T_b[:, :3, 2]
    told = [np.linalg.norm(line, axis=1), (axis_a * line).sum(axis=1), (axis_b * line).sum(axis=1)]
    return np.stack([*told, MM_A_RADIAN * (axis_a * axis_b).sum(axis=1), *[np.zeros(len(line))] * 2], axis=1)
