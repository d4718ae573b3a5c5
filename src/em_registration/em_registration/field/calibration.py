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


def inflation(errors_mm: Array, radii_95_mm: Array) -> Array:
    """Factor (...) of the covariance after which 95 % of the leave-one-out errors (..., n) lie within their predicted radii (..., n).

    The idea is that of split conformal prediction (V. Vovk et al., "Algorithmic Learning in a Random World", 2005), with the left-out
    correspondences as the calibration set and `PSEUDO` ideal ones as its prior.
    """
    shares = np.asarray(errors_mm) / radii_95_mm
    ideal = np.broadcast_to(_AS_THEY_SHOULD, (*shares.shape[:-1], PSEUDO))
    scale = np.quantile(np.concatenate([shares, ideal], axis=-1), _SHARE, axis=-1)
    return np.asarray(np.clip(scale**2, LEAST, MOST))


def groups(count: int, seed: int) -> npt.NDArray[np.intp]:
    """Which of `count` correspondences are left out together: each alone when they are few, else in folds.

    Poses come in clusters (an orientation held while the tool moves, a place held while it turns): alone, each is told by its siblings.
    """
    if count < FOLDED_FROM:
        return np.arange(count)
    return np.asarray(np.random.default_rng(seed).permutation(count) % FOLDS)
