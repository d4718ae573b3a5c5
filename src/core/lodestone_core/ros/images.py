"""Images and CameraInfo in the ROS naming, sent without a copy of ours: the reader reads into the memory of the message.

rclpy takes `array.array("B")` as it is and converts anything else byte by byte (83 to 207 ms for 3 MB): the memory of the reader's images
is that of arrays, and each message takes the array that its image lies in.
"""

from __future__ import annotations

from array import array
from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from lodestone_core.camera import CameraModel
from lodestone_core.ros import qos
from lodestone_core.ros.camera_info import camera_to_msg
from lodestone_core.ros.conversions import header_to_msg

Pixels = NDArray[np.uint8]
_LATEST: Final = 64


class PixelMemory:
    """Memory for images (`allocate` of a VideoReader) that messages can take. Keeps the newest `buffers` pieces."""

    def __init__(self, buffers: int) -> None:
        self._pieces: deque[tuple[Pixels, array[int]]] = deque(maxlen=min(buffers, _LATEST))

    def allocate(self, shape: tuple[int, int]) -> Pixels:
        """Memory for an image (height, width)."""
        data = array("B", b"\0") * (shape[0] * shape[1])  # array("B", bytes(n)) would have the image twice for a moment
        image = np.frombuffer(data, np.uint8).reshape(shape)
        self._pieces.append((image, data))
        return image

    def data_of(self, image: Pixels) -> array[int]:
        """The array that the image lies in; a copy for an image of other memory."""
        for own, data in self._pieces:
            if own is image:
                return data
        data = array("B")
        data.frombytes(np.ascontiguousarray(image).tobytes())
        return data


class ImageSender:
    """Publishes `<name>/image_raw` (mono8) and `<name>/camera_info` with one header, to those who listen."""

    def __init__(self, node: Node, name: str, frame_id: str, memory: PixelMemory, camera: CameraModel | None = None) -> None:
        self.camera = camera
        self._memory = memory
        self._frame_id = frame_id
        self._images = node.create_publisher(Image, f"{name}/image_raw", qos.IMAGE)
        self._infos = node.create_publisher(CameraInfo, f"{name}/camera_info", qos.IMAGE)

    def send(self, image: Pixels, stamp_ns: int, calibrated: bool = True) -> None:
        """Publish an image (height, width) as acquired at `stamp_ns`; may be called from any thread.

        Without `calibrated`, or without a camera, K is zero, which is how ROS says uncalibrated.
        """
        header = header_to_msg(stamp_ns, self._frame_id)
        height, width = image.shape
        if self._images.get_subscription_count():
            data = self._memory.data_of(image)
            message = Image(header=header, height=height, width=width, encoding="mono8", is_bigendian=0, step=width)
            message.data = data
            self._images.publish(message)
        if self._infos.get_subscription_count():
            self._infos.publish(
                camera_to_msg(self.camera, header)
                if calibrated and self.camera is not None
                else CameraInfo(header=header, height=height, width=width)
            )
