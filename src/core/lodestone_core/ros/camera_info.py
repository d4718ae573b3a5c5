"""Writer of sensor_msgs/CameraInfo; its reader is lodestone_core.camera_info.camera_from_msg."""

from __future__ import annotations

from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from lodestone_core.camera import CameraModel
from lodestone_core.camera_info import camera_from_msg, projection_in_m

__all__ = ["camera_from_msg", "camera_to_msg"]


def camera_to_msg(camera: CameraModel, header: Header) -> CameraInfo:
    """CameraInfo with the header of its image (stamp of acquisition, optical frame)."""
    msg = CameraInfo()
    msg.header = header
    msg.height = int(camera.height)
    msg.width = int(camera.width)
    msg.distortion_model = camera.distortion_model
    msg.d = camera.D.tolist()
    msg.k = camera.K.ravel().tolist()
    msg.r = camera.R.ravel().tolist()
    msg.p = projection_in_m(camera).ravel().tolist()
    return msg
