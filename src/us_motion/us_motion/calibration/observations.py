"""What a probe is calibrated on: spots of images, where the probe was, and what the spots are."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lodestone_core.checks import as_array, as_se3_stack
from lodestone_core.errors import InputError
from lodestone_core.types import Array

Numbers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """Spots (N) of images (M).

    `T_ref_probe` (M, 4, 4; mm): the reference is the arm's base, or the phantom itself where that is tracked. `sweep` (M,): recording of
    each image. `image` (N,): image of each spot, never falling; `wire` (N,): its wire, 0 for a point target, -1 where not known.
    `px` (N, 2): column and row. `spacing_mm` (2,): size of a pixel along x and y, as the machine says it.
    """

    T_ref_probe: Array
    sweep: Numbers
    image: Numbers
    wire: Numbers
    px: Array
    spacing_mm: Array

    @property
    def points_mm(self) -> Array:
        """Spots (N, 3) in the image frame, by the spacing that the machine says."""
        return np.column_stack([self.px * self.spacing_mm, np.zeros(len(self.px))])

    @property
    def images(self) -> int:
        """Number of images that have spots."""
        return len(np.unique(self.image))

    def chosen(self, spots: Mask) -> Observations:
        """Only some of the spots; all images stay."""
        return replace(self, image=self.image[spots], wire=self.wire[spots], px=self.px[spots])

    def with_wires(self, wire: Numbers) -> Observations:
        """The same spots as other wires."""
        return replace(self, wire=wire)


def as_observations(
    T_ref_probe: npt.ArrayLike,
    image: npt.ArrayLike,
    px: npt.ArrayLike,
    spacing_mm: npt.ArrayLike,
    wire: npt.ArrayLike | None = None,
    sweep: npt.ArrayLike | None = None,
) -> Observations:
    """Checked observations, spots in the order of their images. Raises InputError."""
    T = as_se3_stack("poses of the probe", T_ref_probe)
    spots = as_array("spots (px)", px, (None, 2))
    spacing = as_array("pixel spacing", spacing_mm, (2,))
    if np.any(spacing <= 0.0):
        raise InputError("pixel spacing", expected="millimetres above 0", got=spacing.tolist(), remedy="give the size of a pixel")
    numbers = _whole("image of each spot", image, len(spots))
    if len(numbers) and (numbers.min() < 0 or numbers.max() >= len(T)):
        got = f"{numbers.min()} to {numbers.max()}"
        raise InputError("image of each spot", expected=f"0 to {len(T) - 1}, a pose for each image", got=got, remedy="give all poses")
    wires = np.zeros(len(spots), dtype=np.int64) if wire is None else _whole("wire of each spot", wire, len(spots))
    sweeps = np.zeros(len(T), dtype=np.int64) if sweep is None else _whole("sweep of each image", sweep, len(T))
    order = np.argsort(numbers, kind="stable")
    return Observations(T, sweeps, numbers[order], wires[order], spots[order], spacing)


def joined(parts: list[Observations]) -> Observations:
    """Several recordings, each a sweep of its own. Raises InputError when their pixels differ in size."""
    first = parts[0]
    for part in parts[1:]:
        if not np.allclose(part.spacing_mm, first.spacing_mm, rtol=1e-6):
            remedy = "calibrate each depth by itself"
            raise InputError("pixel spacing", expected=first.spacing_mm.tolist(), got=part.spacing_mm.tolist(), remedy=remedy)
    starts = np.cumsum([0] + [len(part.T_ref_probe) for part in parts])
    return Observations(
        T_ref_probe=np.concatenate([part.T_ref_probe for part in parts]),
        sweep=np.concatenate([np.full(len(part.T_ref_probe), number) for number, part in enumerate(parts)]),
        image=np.concatenate([part.image + start for part, start in zip(parts, starts, strict=False)]),
        wire=np.concatenate([part.wire for part in parts]),
        px=np.concatenate([part.px for part in parts]),
        spacing_mm=first.spacing_mm,
    )


def _whole(name: str, value: npt.ArrayLike, count: int) -> Numbers:
    array = np.asarray(value)
    if array.shape != (count,) or array.dtype.kind not in "iu":
        raise InputError(name, expected=f"{count} whole numbers", got=f"{array.dtype} of shape {array.shape}", remedy="give one for each")
    return array.astype(np.int64)
