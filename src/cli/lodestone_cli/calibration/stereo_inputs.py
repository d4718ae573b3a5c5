"""Image pairs for `lodestone calibrate stereo`: two folders, a bag, or anything else that hands over images with their stamps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from guidewire_recon.calibration.stereo_picker import Picker
from guidewire_recon.calibration.stereo_types import SIDES
from lodestone_core.bags import open_bag
from lodestone_core.errors import InputError
from lodestone_core.messages import stamp_from_msg

Image = npt.NDArray[np.uint8]
SUFFIXES = (".png", ".pgm", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg")
_GREY = {"mono8": (1, None), "bgr8": (3, cv2.COLOR_BGR2GRAY), "rgb8": (3, cv2.COLOR_RGB2GRAY), "bgra8": (4, cv2.COLOR_BGRA2GRAY)}
_WAITING = 30


def read_folders(folder: Path, picker: Picker, tell: Callable[[str], None]) -> None:
    """Photographs in `left` and `right` below a folder; those of one name belong together, one alone serves its own camera.

    Raises InputError for a missing folder, no images, or one that cannot be read.
    """
    files = {}
    for side in SIDES:
        place = folder / side
        if not place.is_dir():
            remedy = "put the images of the two cameras into left/ and right/, those of one instant under one name"
            raise InputError(str(folder), expected="folders left and right", got=f"no {side}", remedy=remedy)
        files[side] = {path.stem: path for path in sorted(place.iterdir()) if path.suffix.lower() in SUFFIXES}
    names = sorted(set(files["left"]) | set(files["right"]))
    if not names:
        raise InputError(str(folder), expected="images (" + " ".join(SUFFIXES) + ")", got="none", remedy="check the path")
    for name in names:
        images = {side: read_image(files[side][name]) if name in files[side] else None for side in SIDES}
        picker.add(images["left"], images["right"], name, stream=False)
        tell(f"{name}: {picker.said}")


def read_image(path: Path) -> Image:
    """A grey image. Raises InputError when it cannot be read."""
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise InputError(str(path), expected="an image", got="a file that cannot be read as one", remedy="take it out, or save it again")
    return np.asarray(image, dtype=np.uint8)


def read_stereo_bag(path: Path, topics: tuple[str, str], tolerance_ms: float, picker: Picker, tell: Callable[[str], None]) -> None:
    """A recorded session. Raises InputError when the bag lacks the two topics of images."""
    pairs = Pairs(tolerance_ms, lambda left, right: _take(picker, left, right, tell))
    with open_bag(path) as bag:
        for message in bag.messages(list(topics)):
            pairs.add(SIDES[topics.index(message.topic)], message.message)


def _take(picker: Picker, left: Image, right: Image, tell: Callable[[str], None]) -> None:
    if picker.add(left, right):
        tell(f"view {len(picker.views)}: {picker.said}")


@dataclass(slots=True)
class Pairs:
    """Puts Image messages of two cameras together by their stamps, within a tolerance."""

    tolerance_ms: float
    on_pair: Callable[[Image, Image], None]
    _waiting: dict[str, deque[tuple[int, Any]]] = field(default_factory=lambda: {side: deque(maxlen=_WAITING) for side in SIDES})

    def add(self, side: str, msg: Any) -> None:
        """Take one image; calls `on_pair` when it completes a pair. Older ones of the partner that stay alone are dropped."""
        other = "right" if side == "left" else "left"
        stamp_ns = stamp_from_msg(msg.header.stamp)
        partners = self._waiting[other]
        while partners and partners[0][0] < stamp_ns - self.tolerance_ms * 1e6:
            partners.popleft()
        if partners and abs(partners[0][0] - stamp_ns) <= self.tolerance_ms * 1e6:
            images = {side: grey_of_msg(msg), other: grey_of_msg(partners.popleft()[1])}
            self.on_pair(images["left"], images["right"])
        else:
            self._waiting[side].append((stamp_ns, msg))


def grey_of_msg(msg: Any) -> Image:
    """The picture (height, width) of an Image message. Raises InputError for an encoding without a plain grey value, or too few bytes."""
    if msg.encoding not in _GREY:
        raise InputError("image", expected="encoding " + ", ".join(_GREY), got=msg.encoding, remedy="let the driver send mono8")
    channels, code = _GREY[msg.encoding]
    height, width, step = int(msg.height), int(msg.width), int(msg.step)
    data = np.frombuffer(bytes(msg.data), dtype=np.uint8)
    if step < width * channels or data.size < height * step:
        got = f"{data.size} bytes in lines of {step}"
        raise InputError("image", expected=f"{height} lines of {width * channels} bytes", got=got, remedy="correct the driver")
    lines = data[: height * step].reshape(height, step)[:, : width * channels]
    if code is None:
        return np.ascontiguousarray(lines)
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(lines).reshape(height, width, channels), code), dtype=np.uint8)
