"""sensor_msgs/Image from an array, filled the one way that rclpy does not convert byte by byte."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import Image
from std_msgs.msg import Header

ENCODINGS = {np.dtype(np.uint8): "mono8", np.dtype(np.uint16): "mono16"}


def image_to_msg(image: npt.NDArray[Any], header: Header) -> Image:
    """Message of a grey image (rows, columns), uint8 as mono8 or uint16 as mono16. Raises TypeError for another kind."""
    encoding = ENCODINGS.get(image.dtype.newbyteorder("="))
    if encoding is None or image.ndim != 2:
        raise TypeError(f"a grey image of 8 or 16 bits, not {image.dtype} {image.shape}")
    data = array("B")
    data.frombytes(np.ascontiguousarray(image, dtype=image.dtype.newbyteorder("<")).view(np.uint8).data)
    message = Image(header=header, encoding=encoding, is_bigendian=0)
    message.height, message.width = image.shape
    message.step = int(image.shape[1] * image.dtype.itemsize)
    message.data = data
    return message


def image_from_msg(message: Any) -> npt.NDArray[Any]:
    """Grey image (rows, columns) of a message, a view of its data. Raises TypeError for another encoding than mono8 and mono16."""
    if message.encoding not in ENCODINGS.values():
        raise TypeError(f"mono8 or mono16, not {message.encoding}")
    kind = np.dtype(np.uint8 if message.encoding == "mono8" else np.uint16).newbyteorder(">" if message.is_bigendian else "<")
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    return rows[:, : message.width * kind.itemsize].view(kind)
