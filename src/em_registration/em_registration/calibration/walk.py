"""One walk through the volume, from whichever source: the correspondences so far, what they are worth, and whether to go on."""

from __future__ import annotations

import numpy as np

from em_registration.calibration.assess import Assessment, Verdict, assess, verdict
from em_registration.calibration.config import CalibrationConfig
from em_registration.calibration.space import Space, space_of
from em_registration.methods.interface import Correspondences
from lodestone_core import se3
from lodestone_core.types import Array

FIELD_FROM = 6


class Walk:
    """`volume_mm`: low and high corner in the image, where the error matters and the cells lie (None: the box of what was collected).

    `targets_mm` (M, 3): where the error matters (None: the cells' centres); `places_mm` (P, 3): where a tip can be put (None: likewise).
    """

    def __init__(
        self,
        config: CalibrationConfig,
        volume_mm: tuple[Array, Array] | None = None,
        targets_mm: Array | None = None,
        places_mm: Array | None = None,
    ) -> None:
        self._config = config
        self._volume, self._targets, self._places = volume_mm, targets_mm, places_mm
        self._history: list[tuple[int, float]] = []
        self.assessment: Assessment | None = None
        self.space: Space | None = None

    @property
    def verdict(self) -> Verdict:
        """Whether to go on."""
        return verdict(self._history, self.assessment.covered_share if self.assessment else 0.0, self._config)

    def look(self, data: Correspondences, T_image_tracker: Array) -> Verdict:
        """Assess what has been collected; `T_image_tracker` is the rigid registration. Nothing new is nothing to do.

        Raises InputError when no field can be fitted.
        """
        if len(data) < FIELD_FROM or (self.assessment is not None and self.assessment.count == len(data)):
            return self.verdict
        T_image_tip = T_image_tracker @ data.T_tracker_tool @ se3.make(np.eye(3), data.tip_tool_mm)
        self.space = space = space_of(T_image_tip, data.tip_tool_mm, self._volume, self._config)
        targets = space.centres_mm if self._targets is None else self._targets
        places = space.centres_mm if self._places is None else self._places
        self.assessment = assess(data, space, targets, places, self._config)
        self._history.append((len(data), self.assessment.error_mm))
        return self.verdict
