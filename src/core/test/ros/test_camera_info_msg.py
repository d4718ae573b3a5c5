"""A camera through sensor_msgs/CameraInfo and back."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.ros


def test_a_camera_comes_back_from_its_message_through_the_wire() -> None:
    from builtin_interfaces.msg import Time
    from rclpy.serialization import deserialize_message, serialize_message
    from sensor_msgs.msg import CameraInfo
    from std_msgs.msg import Header

    from lodestone_core.camera import CameraModel
    from lodestone_core.ros.camera_info import camera_from_msg, camera_to_msg

    K = np.array([[5801.3, 0.0, 1021.7], [0.0, 5799.1, 770.25], [0.0, 0.0, 1.0]])
    sent = CameraModel("left", 2048, 1536, K, np.arange(8) * 1e-3, "rational_polynomial", P=np.column_stack([K, [-3e6, 0.0, 0.0]]))
    header = Header(stamp=Time(sec=3, nanosec=7), frame_id="stereo_left_optical")
    msg = deserialize_message(serialize_message(camera_to_msg(sent, header)), CameraInfo)
    assert msg.header == header
    assert msg.p[3] == -3e3  # px m
    back = camera_from_msg(msg, "left")
    for name in ("K", "D", "R", "projection"):
        assert np.allclose(getattr(back, name), getattr(sent, name), rtol=1e-15, atol=0.0), name
    assert (back.width, back.height, back.distortion_model) == (2048, 1536, "rational_polynomial")
