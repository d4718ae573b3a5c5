"""The first row of a serialised image, against the message itself."""

from __future__ import annotations

import numpy as np
import pytest
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

from lodestone_cli.ros.image_probe import first_row

pytestmark = pytest.mark.ros


@pytest.mark.parametrize("frame_id", ["", "a", "ab", "abc", "abcd", "stereo_left_optical"])
@pytest.mark.parametrize("encoding", ["mono8", "8UC1", "x"])
def test_the_row_is_that_of_the_message(frame_id: str, encoding: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 131), np.uint8)
    message = Image(height=3, width=131, encoding=encoding, step=131, data=pixels.tobytes())
    message.header.frame_id = frame_id
    message.header.stamp.sec = 7
    np.testing.assert_array_equal(first_row(serialize_message(message)), pixels[:1])
