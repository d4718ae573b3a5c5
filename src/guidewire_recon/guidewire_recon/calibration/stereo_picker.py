"""Views out of a stream of image pairs: those in which the target is still, and lies differently from every view before."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from guidewire_recon.calibration.boards import BoardSpec, find_faces
from guidewire_recon.calibration.stereo_types import SIDES, Sighting, View
from lodestone_core.config import option
from lodestone_core.errors import InputError

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class PickerConfig:
    """When a pair of images becomes a view."""

    still_px: float = option(0.3, unit="px", doc="corners that moved less since the image before are still", minimum=0.0)
    new_px: float = option(40.0, unit="px", doc="mean distance of the corners from those of every other view", minimum=0.0)


@dataclass(slots=True)
class Picker:
    """Collects views; `views` so far, `sizes` of the images by side, `said` of the last pair in words."""

    boards: tuple[BoardSpec, ...]
    config: PickerConfig = field(default_factory=PickerConfig)
    views: list[View] = field(default_factory=list)
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    said: str = "no images yet"
    _last: View | None = None

    def add(self, left: Image | None, right: Image | None, name: str = "", stream: bool = True) -> bool:
        """Look at one pair (None: that camera has no image); whether it became a view.

        In a `stream` the target must be still and new; single photographs are all taken. Raises InputError for images whose size changes.
        """
        found: dict[str, tuple[Sighting, ...]] = dict.fromkeys(SIDES, ())
        reasons = []
        for side, image in (("left", left), ("right", right)):
            if image is not None:
                self._check_size(side, image, name)
                found[side], why = find_faces(image, self.boards)
                reasons += [f"{side}: {why}"] if why else []
        view = View(name or f"{len(self.views):03d}", found["left"], found["right"])
        last, self._last = self._last, view
        if not (view.left or view.right):
            self.said = "; ".join(reasons) or "no image"
            return False
        if stream and (last is None or not _moved(view, last) <= self.config.still_px):
            self.said = "hold the target still"
            return False
        if stream and any(_moved(view, other) < self.config.new_px for other in self.views):
            self.said = "this view is there already: move the target"
            return False
        self.views.append(view)
        self.said = "taken" + (f" ({'; '.join(reasons)})" if reasons else "")
        return True

    def _check_size(self, side: str, image: Image, name: str) -> None:
        size = (image.shape[1], image.shape[0])
        known = self.sizes.setdefault(side, size)
        if size != known:
            remedy = "calibrate with images of one size, the one that the camera will be used at"
            got = f"{size[0]}x{size[1]}"
            raise InputError(f"{side} image {name}", expected=f"{known[0]}x{known[1]} px as before", got=got, remedy=remedy)


def _moved(view: View, other: View) -> float:
    """Mean distance (px) of the corners that both views have; infinite when a camera's are not the same in part."""
    distances = []
    for side in SIDES:
        for sighting in view.of(side):
            match = next((s for s in other.of(side) if s.face == sighting.face), None)
            if match is None:
                return float("inf")
            places = {tuple(np.rint(p * 1e3).astype(int).tolist()): i for i, p in enumerate(match.points)}
            keys = [places.get(tuple(np.rint(p * 1e3).astype(int).tolist()), -1) for p in sighting.points]
            same = [(i, j) for i, j in enumerate(keys) if j >= 0]
            if same:
                i, j = np.array(same).T
                distances.append(float(np.linalg.norm(sighting.pixels[i] - match.pixels[j], axis=1).mean()))
    return float(np.mean(distances)) if distances else float("inf")
