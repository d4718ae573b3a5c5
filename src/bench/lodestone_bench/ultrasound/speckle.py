"""Scatterers: a box of smooth complex noise that fills space, one realisation a seed; it is Gaussian, so that speckle is Rayleigh's.

The noise is as fine as the pulse is long. Finer noise would make no difference along a line, and coarser planes across the slice would
not see one another's scatterers, so that speckle would change faster across the slice than the slice is thick.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

BITS = 7
SIDE = 1 << BITS
VOXEL_MM = 0.6
_SMOOTH_VOXELS = 0.6
_STEPS = 40.0


class Scatterers:
    """One realisation of where scatterers are: at each voxel a complex number of unit power, as two bytes in one number."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng((seed, 83))
        box = np.empty((SIDE, SIDE, SIDE, 2), dtype=np.int8)
        for part in (0, 1):
            smooth = gaussian_filter(rng.standard_normal((SIDE, SIDE, SIDE), dtype=np.float32), _SMOOTH_VOXELS, mode="wrap")
            smooth *= np.float32(np.sqrt(0.5) * _STEPS) / smooth.std()
            box[..., part] = np.rint(np.clip(smooth, -127.0, 127.0))
        self._box: npt.NDArray[np.uint16] = box.view(np.uint16).ravel()

    def at(self, x: npt.NDArray[np.int32], y: npt.NDArray[np.int32], z: npt.NDArray[np.int32]) -> npt.NDArray[np.complex64]:
        """Scatterers (N,) at whole numbers of voxels; the box repeats."""
        last = SIDE - 1
        pairs = self._box.take(((z & last) << (2 * BITS)) | ((y & last) << BITS) | (x & last)).view(np.int8)
        return np.asarray((pairs.astype(np.float32) * np.float32(1.0 / _STEPS)).view(np.complex64))
