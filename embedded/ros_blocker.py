"""pytest plugin: makes every ROS package unimportable, so that pure tests prove that pure code needs none."""

from __future__ import annotations

import re
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec

ROS_PACKAGE = re.compile(r"^(rclpy|tf2_ros|launch|launch_ros|rosbag2_py|ament_index_python|rosidl_\w+|\w+_msgs|\w+_interfaces)(\.|$)")


class RosBlocker(MetaPathFinder):
    """Refuses to find ROS packages."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Raises ImportError for a ROS package, finds nothing else."""
        if ROS_PACKAGE.match(name):
            raise ImportError(f"{name} was imported from pure code: ROS belongs in ros/")
        return None


sys.meta_path.insert(0, RosBlocker())
