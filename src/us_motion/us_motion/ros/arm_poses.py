"""Joint states, the probe's pose and TF of the arm: nothing goes out unless all joints hold."""

from __future__ import annotations

from functools import reduce
from pathlib import Path

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from sensor_msgs.msg import JointState

from lodestone_core.ros import qos
from lodestone_core.ros.conversions import header_to_msg, pose_to_msg
from lodestone_core.ros.lazy import publish_if_heard
from lodestone_core.ros.tf import Edge, StaticTfBroadcaster, TfBroadcaster
from lodestone_core.types import Array
from us_motion.drivers.config import ArmConfig
from us_motion.kinematics import Chain
from us_motion.probe_calibration import load_probe_calibration
from us_motion.ros.conversions import joint_state_to_msg
from us_motion.types import ArmSample

_IMAGE_FRAME = "us_image"


class ArmPoses:
    """Publishes what follows from the joint angles. Create it in `on_configure_node`. Raises InputError for a bad probe calibration.

    Where the node owns the chain, moving joints go on /tf and fixed ones on /tf_static, as robot_state_publisher has them; where it does
    not, neither. `us_image`, which no URDF knows, is always this node's.
    """

    def __init__(self, node: Node, config: ArmConfig, chain: Chain | None) -> None:
        path = Path(config.probe_calibration_file).expanduser() if config.probe_calibration_file else None
        T_probe_image = None if path is None else load_probe_calibration(path, config.rig)
        self._config, self._chain = config, chain
        self._joints = node.create_publisher(JointState, "us_arm/measured_js", qos.DEVICE)
        self._pose = node.create_publisher(PoseStamped, "us_arm/measured_cp", qos.DEVICE)
        owned = chain if config.tf_owner == "node" else None
        self._tf = None if owned is None else TfBroadcaster(node)
        self._received_ns = 0
        fixed = [] if owned is None else [(joint.parent, joint.child, joint.T_parent_child) for joint in owned.joints if joint.axis is None]
        static: list[Edge] = [*fixed, *([] if T_probe_image is None else [(config.probe_frame, _IMAGE_FRAME, T_probe_image)])]
        if static:
            StaticTfBroadcaster(node, static)

    def publish(self, sample: ArmSample) -> None:
        """Joint state, TF and pose of a sample, if it holds."""
        if not sample.valid or self._chain is None:
            return
        publish_if_heard(self._joints, lambda: joint_state_to_msg(sample, self._config.base_frame))
        edges = self._chain.edges(sample.positions_of(self._chain.names))
        if self._tf is not None:
            if sample.received_ns < self._received_ns:
                self._tf.forget()
            self._tf.send(sample.stamp_ns, [edge for edge, joint in zip(edges, self._chain.joints, strict=True) if joint.axis is not None])
        self._received_ns = sample.received_ns
        publish_if_heard(self._pose, lambda: self._pose_message(sample, edges))

    def _pose_message(self, sample: ArmSample, edges: list[tuple[str, str, Array]]) -> PoseStamped:
        T_base_probe = reduce(np.matmul, (T for _, _, T in edges))
        return PoseStamped(header=header_to_msg(sample.stamp_ns, self._config.base_frame), pose=pose_to_msg(T_base_probe))
