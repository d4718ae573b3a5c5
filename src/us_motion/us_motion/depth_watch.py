"""Which depth preset the ultrasound machine shows, judged from each image: a fan is dark outside its outline and lit inside it.

    unsure -> (one preset fits, `confirm_images` in a row) -> sure
    sure -> (contradicted, or the screen beside the image changed) -> unsure

A preset is contradicted as soon as there is light just outside its outline, or no light just inside it while the image is not dark.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lodestone_core.config import option
from us_motion.frame_geometry import Fan

Image = npt.NDArray[np.uint8]
_RESTLESS = 2.0
"""Changes of late, faded, from which a pixel belongs to something that changes anyway."""


@dataclass(frozen=True, slots=True)
class WatchConfig:
    """How an outline is judged."""

    lit: int = option(12, doc="grey value from which a place counts as lit", minimum=1, maximum=255)
    margin_px: int = option(2, unit="px", doc="distance from the outline at which is looked, inside and outside", minimum=1, maximum=20)
    depth_px: int = option(3, unit="px", doc="over how many pixels is looked there", minimum=1, maximum=20)
    max_outside: float = option(0.04, doc="share of the outline with light outside that a fan may have", minimum=0.0, maximum=1.0)
    min_inside: float = option(0.25, doc="share of the outline with light inside that a fan must have", minimum=0.0, maximum=1.0)
    lead: float = option(0.15, doc="by how much the best of several presets that fit must be ahead", minimum=0.0, maximum=1.0)
    dark_share: float = option(0.05, doc="an image with a smaller lit share is dark and contradicts nothing", minimum=0.0, maximum=1.0)
    confirm_images: int = option(2, doc="images in a row that a preset must fit", minimum=1, maximum=100)
    screen_px: int = option(25, unit="px", doc="pixels beside the image that may change at once unnoticed; 0: not looked at", minimum=0)
    screen_step: int = option(40, doc="change of the grey value of such a pixel", minimum=1, maximum=255)
    restless_images: int = option(
        300, doc="a pixel that changes three times within about so many images (a clock) is not looked at", minimum=1
    )


@dataclass(frozen=True, slots=True)
class GeometryState:
    """What holds for one image. `preset` is None while unsure, and `detail` then says why. `epoch` is 0 before the first preset."""

    epoch: int
    preset: str | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Fit:
    """Shares of an outline with light outside and inside; `edge` is the inside of the better edge: a shadow rarely takes both."""

    outside: float
    inside: float
    edge: float


class DepthWatch:
    """Takes every image once; costs a fraction of a millisecond."""

    def __init__(self, fans: Mapping[str, Fan], config: WatchConfig | None = None) -> None:
        """Fans of one image size."""
        self._config = config or WatchConfig()
        self._fans = dict(fans)
        self._places = {name: _Places(fan, self._config) for name, fan in fans.items()}
        self._alike = {name: [other for other in fans if other != name and _alike(fan, fans[other])] for name, fan in fans.items()}
        self._screen = Screen(list(fans.values()), self._config)
        self._epoch = 0
        self._preset: str | None = None
        self._last: str | None = None
        self._candidate: tuple[str, int] | None = None
        self._screen_changed = False

    def update(self, image: Image) -> GeometryState:
        """Judge one image (rows, columns)."""
        fits = {name: places.fit(image, self._config.lit) for name, places in self._places.items()}
        if self._screen.changed(image) and self._last is not None:
            self._preset, self._candidate, self._screen_changed = None, None, True
        if self._preset is not None:
            reason = self._contradiction(fits, image)
            if not reason:
                return GeometryState(self._epoch, self._preset)
            self._preset, self._candidate = None, None
        return self._search(fits)

    def _contradiction(self, fits: Mapping[str, Fit], image: Image) -> str:
        """Why the preset in force does not fit; empty while it may."""
        config, fit = self._config, fits[self._preset or ""]
        if fit.outside > config.max_outside:
            return "light outside the fan"
        dark = float(np.mean(image[::4, ::4] > config.lit)) < config.dark_share
        return "no light at the fan's edges" if min(fit.inside, fit.edge) < config.min_inside and not dark else ""

    def _search(self, fits: Mapping[str, Fit]) -> GeometryState:
        found, why = self._best(fits)
        count = self._candidate[1] + 1 if self._candidate is not None and found == self._candidate[0] else 1
        self._candidate = None if found is None else (found, count)
        if found is None:
            return GeometryState(self._epoch, None, why)
        if count < self._config.confirm_images:
            return GeometryState(self._epoch, None, f"the depth may have changed; preset {found} fits so far")
        self._epoch += found != self._last
        self._preset = self._last = found
        self._candidate, self._screen_changed = None, False
        return GeometryState(self._epoch, found)

    def _best(self, fits: Mapping[str, Fit]) -> tuple[str | None, str]:
        config = self._config
        fitting = {
            name: fit.inside - fit.outside
            for name, fit in fits.items()
            if fit.outside <= config.max_outside and min(fit.inside, fit.edge) >= config.min_inside
        }
        if not fitting:
            return None, "no calibrated depth fits the image: choose one of them at the machine, or calibrate this one"
        best = max(fitting, key=fitting.__getitem__)
        rivals = [name for name in self._alike[best] if name in fitting]
        if rivals and not self._screen_changed and self._last in (best, *rivals):
            return self._last, ""
        if rivals:
            return None, f"the presets {', '.join(sorted([best, *rivals]))} look alike: name the one in use in `preset`"
        others = [value for name, value in fitting.items() if name != best]
        if others and fitting[best] - max(others) < config.lead:
            return None, f"more than one depth fits the image: {', '.join(sorted(fitting))}"
        return best, ""


class _Places:
    """Pixels just inside and just outside an outline, as indices into the flat image."""

    def __init__(self, fan: Fan, config: WatchConfig) -> None:
        points, outward, kinds = fan.outline()
        reach = config.margin_px + np.arange(config.depth_px)
        columns, rows = fan.size_px
        sides = []
        for sign in (1.0, -1.0):
            at = np.rint(points[:, None] + sign * outward[:, None] * reach[None, :, None]).astype(np.intp)
            sides.append((at, ((at >= 0) & (at < (columns, rows))).all(axis=(1, 2))))
        whole = sides[0][1] & sides[1][1]
        self._outside, self._inside = (at[whole, :, 1] * columns + at[whole, :, 0] for at, _ in sides)
        self._edges = [np.flatnonzero(kinds[whole] == kind) for kind in (0, 1)]

    def fit(self, image: Image, lit: int) -> Fit:
        """Of one image."""
        flat = image.reshape(-1)
        if not len(self._inside):
            return Fit(1.0, 0.0, 0.0)
        outside, inside = (flat[places].max(axis=1) >= lit for places in (self._outside, self._inside))
        edge = max(float(np.mean(inside[places])) if len(places) else 0.0 for places in self._edges)
        return Fit(float(np.mean(outside)), float(np.mean(inside)), edge)


class Screen:
    """The part of the picture that is outside every fan: letters, scales, a clock. It changes when somebody turns a knob."""

    def __init__(self, fans: list[Fan], config: WatchConfig) -> None:
        columns, rows = fans[0].size_px
        covered = np.zeros((rows, columns), bool)
        for fan in fans:
            covered |= fan.mask
        reach = 2 * (config.margin_px + config.depth_px)
        near = covered.copy()
        for shift in range(-reach, reach + 1, 2):
            near |= np.roll(covered, shift, axis=0) | np.roll(covered, shift, axis=1)
        self._config = config
        self._where = np.flatnonzero(~near.reshape(-1))
        self._before: npt.NDArray[np.int16] | None = None
        self._activity = np.zeros(len(self._where), np.float32)
        self._fading = np.float32(0.5 ** (1.0 / config.restless_images))

    def changed(self, image: Image) -> bool:
        """Whether more of it changed at this image than may."""
        if not self._config.screen_px:
            return False
        now = image.reshape(-1)[self._where].astype(np.int16)
        before, self._before = self._before, now
        self._activity *= self._fading
        if before is None:
            return False
        steps = np.abs(now - before) >= self._config.screen_step
        if not steps.any():
            return False
        news = steps & (self._activity < _RESTLESS)
        self._activity[steps] += 1.0
        return int(news.sum()) > self._config.screen_px


def _alike(one: Fan, other: Fan) -> bool:
    """Whether two fans cover the same pixels but for a border of a pixel or two: an image cannot tell them apart."""
    differing = int(np.count_nonzero(one.mask ^ other.mask))
    return differing < 2 * len(one.outline(1.0)[0])
