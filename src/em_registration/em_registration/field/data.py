"""What every hypothesis needs of the correspondences, and the fit of hypotheses to it: of one scene, or of many scenes at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from em_registration.field import kernel, kriging
from em_registration.field.config import Hypotheses, PoseFieldConfig
from em_registration.field.rigid_frame import Frame
from lodestone_core.types import Array


@dataclass(frozen=True, slots=True, eq=False)
class FieldData:
    """Correspondences of B scenes about their first rigid fits; where B is 1, `fit` takes P hypotheses, else one.

    `mapped_mm` (B, n, 3): measured tips in the image by the rigid fit; `residuals_mm` (B, n, 3): what is left. `inverse_weights` (n,):
    what each correspondence's noise variance is multiplied with.
    """

    frame: Frame
    places: kernel.Places
    mapped_mm: Array
    residuals_mm: Array
    inverse_weights: Array

    def take(self, kept: npt.NDArray[np.intp]) -> FieldData:
        """The scenes with these indices."""
        frame = Frame(self.frame.T_image_tracker[kept], self.frame.centroid_mm[kept])
        return FieldData(frame, self.places.take(kept), self.mapped_mm[kept], self.residuals_mm[kept], self.inverse_weights)

    def axes(self, h: Hypotheses) -> Array:
        """Axes (P, n, 3, 3), or (B, n, 3, 3), in the image along which the hypotheses compare."""
        return self.frame.axes(kernel.axes(self.places, h))

    def fit(self, h: Hypotheses, config: PoseFieldConfig) -> kriging.Fit:
        """All of these hypotheses on one scene, or one of them on all scenes."""
        axes = self.axes(h)
        local = (np.swapaxes(axes, -1, -2) @ self.residuals_mm[..., None])[..., 0]
        rows = kriging.design(self.frame.about_centroid(self.mapped_mm), axes)
        noise = self.inverse_weights * kernel.noise(self.places, h)
        K = kernel.covariance(self.places, self.places, h)
        return kriging.fit(K, noise, rows, local, (config.noise_weight, config.noise_mm))
