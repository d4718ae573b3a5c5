"""`lodestone calibrate stereo` on a running pair: views are taken by themselves, over DDS."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

pytestmark = pytest.mark.ros
TOPICS = ("stereo_live/left/image_raw", "stereo_live/right/image_raw")


def pictures() -> list[np.ndarray]:
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_5X5_100)
    sheet = cv2.aruco.CharucoBoard((7, 5), 10.0, 7.5, dictionary).generateImage((420, 300))
    at = [np.array([[1.0, 0.05, 60.0 + shift], [-0.04, 1.0, 70.0], [0.0, 0.0, 1.0]]) for shift in (0.0, 60.0)]
    return [cv2.warpPerspective(sheet, H, (600, 450), borderValue=180) for H in at]


def test_a_live_pair_gives_a_view_for_each_place_of_the_target() -> None:
    import rclpy
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import Image

    from guidewire_recon.calibration.boards import parse_board
    from guidewire_recon.calibration.stereo_picker import Picker
    from lodestone_cli.commands.calibrate_stereo import Options, collect_live

    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    node = rclpy.create_node("stereo_live_pictures", context=context)
    publishers = [node.create_publisher(Image, topic, qos_profile_sensor_data) for topic in TOPICS]
    images, stop, began = pictures(), threading.Event(), time.monotonic()

    def publish() -> None:
        number = 0
        while not stop.wait(0.15):
            image = images[int((time.monotonic() - began) // 3.0) % 2]
            number += 1
            for publisher in publishers:
                msg = Image(height=450, width=600, step=600, encoding="mono8")
                msg.header.stamp.sec, msg.header.stamp.nanosec = number // 10, number % 10 * 100_000_000
                msg.data.frombytes(image.tobytes())
                publisher.publish(msg)

    thread = threading.Thread(target=publish)
    thread.start()
    picker = Picker((parse_board("charuco:7x5:10:7.5"),))
    try:
        collect_live(Options(Path("rig"), "", None, None, None, TOPICS, 20.0, "", "", None, False, 8.0), picker)
    finally:
        stop.set()
        thread.join()
        node.destroy_node()
        rclpy.shutdown(context=context)
    assert len(picker.views) == 2 and all(view.paired for view in picker.views)
    assert picker.sizes == {"left": (600, 450), "right": (600, 450)}
