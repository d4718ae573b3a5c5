"""What the leave-one-out errors say of the predicted radii, and by how much the covariance must grow or may shrink for it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import chi

from lodestone_core.types import Array

FOLDED_FROM, FOLDS = 20, 5
"""Fewer correspondences are left out one at a time: a fold would leave too little."""
PSEUDO = 20
"""Errors as they should be that stand beside the real ones: with few correspondences the model's own word holds."""
_SHARE = 0.95
_QUANTILES = (np.arange(PSEUDO) + 0.5) / PSEUDO
_AS_THEY_SHOULD = chi.ppf(_QUANTILES, 3) / chi.ppf(_SHARE, 3)
LEAST, MOST = 0.8, 9.0


def inflation(errors_mm: Array, radii_95_mm: Array, distorted: Array, caution: float) -> Array:
    """Factor (...) of the covariance: what the left-out errors (..., n) say of their predicted radii (..., n), times `few_points`.

    After the first, 95 % of the errors lie within their radii. The idea is that of split conformal prediction (V. Vovk et al., "Algorithmic
    Learning in a Random World", 2005), with what is left out as the calibration set and `PSEUDO` ideal errors as its prior.
    """
    shares = np.asarray(errors_mm) / radii_95_mm
    ideal = np.broadcast_to(_AS_THEY_SHOULD, (*shares.shape[:-1], PSEUDO))
    scale = np.quantile(np.concatenate([shares, ideal], axis=-1), _SHARE, axis=-1)
    return np.asarray(np.clip(scale**2, LEAST, MOST) * few_points(shares.shape[-1], distorted, caution))


def few_points(count: int, distorted: Array, caution: float) -> Array:
    """Factor (...) for a field known from `count` points, where a distortion has the probability `distorted` (...).

    A stationary kernel expects of the unseen what it has seen; metal is near one side. The form (1 + caution count^-3/4)^2 and the value
    were fitted to worlds of point dipoles (`training/dipole_world.py`), of which no scene is in any protocol.
    """
    return np.asarray(1.0 + distorted * ((1.0 + caution * count**-0.75) ** 2 - 1.0))


def groups(count: int, seed: int) -> npt.NDArray[np.intp]:
    """Which of `count` correspondences are left out together: each alone when they are few, else in folds.

    Poses come in clusters (an orientation held while the tool moves, a place held while it turns): alone, each is told by its siblings.
    """
    if count < FOLDED_FROM:
        return np.arange(count)
    return np.asarray(np.random.default_rng(seed).permutation(count) % FOLDS)
