"""Messages of the arm out of its samples."""

from __future__ import annotations

from sensor_msgs.msg import JointState

from lodestone_core.ros.conversions import header_to_msg, stamp_to_msg
from lodestone_msgs.msg import ArmEncoders
from us_motion.types import ArmSample


def encoders_to_msg(sample: ArmSample, frame_id: str) -> ArmEncoders:
    """ArmEncoders of a sample; a position is NaN where its joint does not hold."""
    message = ArmEncoders()
    message.header = header_to_msg(sample.stamp_ns, frame_id)
    message.received = stamp_to_msg(sample.received_ns)
    message.sequence = int(sample.sequence)
    message.skipped = int(sample.skipped)
    message.device_time_us = int(sample.device_time_us)
    message.names = list(sample.names)
    message.counts = sample.counts.tolist()
    message.index_counts = sample.index_counts.tolist()
    message.status = [int(status) for status in sample.status]
    message.position = sample.positions.tolist()
    message.valid = bool(sample.valid)
    message.detail = sample.detail
    return message


def joint_state_to_msg(sample: ArmSample, frame_id: str) -> JointState:
    """JointState of a sample of which all joints hold; velocities and efforts are not known."""
    message = JointState()
    message.header = header_to_msg(sample.stamp_ns, frame_id)
    message.name = list(sample.names)
    message.position = sample.positions.tolist()
    return message
