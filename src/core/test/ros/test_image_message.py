"""Images in messages: there and back, 8 and 16 bits, either byte order, rows with padding."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy")
from std_msgs.msg import Header

from lodestone_core.ros.image_message import image_from_msg, image_to_msg

pytestmark = pytest.mark.ros


@pytest.mark.parametrize(("kind", "encoding"), [(np.uint8, "mono8"), (np.uint16, "mono16"), (">u2", "mono16")])
def test_an_image_comes_back(kind: object, encoding: str) -> None:
    image = np.arange(15).reshape(3, 5).astype(kind) * 17  # type: ignore[call-overload]
    message = image_to_msg(image, Header(frame_id="us_image"))
    assert (message.encoding, message.height, message.width, message.step) == (encoding, 3, 5, 5 * image.itemsize)
    assert np.array_equal(image_from_msg(message), image) and message.header.frame_id == "us_image"


def test_a_part_of_an_image_and_another_byte_order_come_back() -> None:
    whole = np.arange(40, dtype=np.uint16).reshape(5, 8)
    assert np.array_equal(image_from_msg(image_to_msg(whole[1:4, 2:7], Header())), whole[1:4, 2:7])
    message = image_to_msg(whole.byteswap(), Header())
    message.is_bigendian = 1
    assert np.array_equal(image_from_msg(message), whole)


def test_what_is_no_grey_image_is_refused() -> None:
    for wrong in (np.zeros((3, 5), np.float32), np.zeros((3, 5, 3), np.uint8)):
        with pytest.raises(TypeError, match="grey"):
            image_to_msg(wrong, Header())
    message = image_to_msg(np.zeros((3, 5), np.uint8), Header())
    message.encoding = "rgb8"
    with pytest.raises(TypeError, match="rgb8"):
        image_from_msg(message)
