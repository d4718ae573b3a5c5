"""Relative latency of two streams of any kind that saw one motion; a pose stream pair of one body is better served by time_offset."""

from lodestone_core.latency.config import LatencyConfig
from lodestone_core.latency.estimate import Latency, estimate_latency
from lodestone_core.latency.motion import Motion, as_motion, field_motion, image_motion, pose_motion

__all__ = ["Latency", "LatencyConfig", "Motion", "as_motion", "estimate_latency", "field_motion", "image_motion", "pose_motion"]
