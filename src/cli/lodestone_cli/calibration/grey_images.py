"""Grey images out of what people have: a bag, a video, a folder of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lodestone_core.bags import open_bag
from lodestone_core.errors import InputError

_IMAGE = "sensor_msgs/msg/Image"
_PICTURES = (".png", ".pgm", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg")
_BAGS = (".mcap", ".db3")
Images = npt.NDArray[np.uint8]


def read_images(path: Path, topic: str, most: int) -> Images:
    """At most `most` images (n, rows, columns) of 8 bits, evenly over the whole. Raises InputError for none, or several sizes."""
    if not path.exists():
        remedy = "check the path"
        raise InputError(str(path), expected="a bag, a video or a folder of pictures", got="nothing at that path", remedy=remedy)
    pictures = sorted(file for file in path.iterdir() if file.suffix.lower() in _PICTURES) if path.is_dir() else []
    if pictures:
        images = [_picture(file) for file in pictures]
    elif path.is_dir() or path.suffix in _BAGS:
        images = _from_bag(path, topic)
    else:
        images = _from_video(path)
    sizes = {image.shape for image in images}
    if len(sizes) != 1:
        got = "none" if not sizes else f"{len(sizes)} sizes"
        raise InputError(str(path), expected="grey images of one size", got=got, remedy="give a recording of one source")
    chosen = np.unique(np.linspace(0, len(images) - 1, min(most, len(images))).round().astype(int))
    return np.stack([images[number] for number in chosen])


def _picture(path: Path) -> Images:
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise InputError(str(path), expected="a picture", got="something else", remedy="remove it from the folder")
    return np.asarray(image, dtype=np.uint8)


def _from_bag(path: Path, topic: str) -> list[Images]:
    with open_bag(path) as bag:
        found = [name for name, info in bag.topics.items() if info.msgtype == _IMAGE]
        match = [name for name in found if name.lstrip("/") == topic.lstrip("/")]
        if not match:
            remedy = f"name one with --topic: {', '.join(found)}" if found else "record the images"
            raise InputError(str(path), expected=f"images on {topic}", got=", ".join(found) or "no images", remedy=remedy)
        return [_of_message(message.message, topic) for message in bag.messages(match[:1])]


def _of_message(message: Any, topic: str) -> Images:
    if message.encoding != "mono8":
        raise InputError(topic, expected="mono8", got=message.encoding, remedy="record grey images of 8 bits")
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    return rows[:, : message.width].copy()


def _from_video(path: Path) -> list[Images]:
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    images: list[Images] = []
    try:
        while True:
            whole, image = video.read()
            if not whole:
                return images
            images.append(np.asarray(image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), dtype=np.uint8))
    finally:
        video.release()
