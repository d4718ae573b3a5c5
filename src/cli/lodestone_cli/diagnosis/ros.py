"""ROS 2: distribution, our packages, DDS profile, where logs go."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from lodestone_cli.launch_file.environment import PROFILE_VARIABLE, with_defaults
from lodestone_cli.launch_file.packages import package_names
from lodestone_cli.ros_presence import has_package, has_ros
from lodestone_cli.runner.printer import log_folder

from .finding import Finding, Level
from .libraries import installed_version

DISTRIBUTION = "jazzy"
OURS = (
    "lodestone_msgs",
    "lodestone_core",
    "em_registration",
    "us_motion",
    "guidewire_recon",
    "xray_registration",
    "lodestone_guidance",
    "lodestone_bench",
    "lodestone_cli",
    "lodestone_bringup",
)
_BUILD = "run 'make setup' in the checkout"


def distribution(environment: Mapping[str, str]) -> Finding:
    """The ROS 2 that Python sees: a sourced installation or the wheels of the embedded set-up."""
    name = environment.get("ROS_DISTRO")
    if name and name != DISTRIBUTION:
        return Finding("ROS 2", Level.FAIL, f"{name} is sourced", f"source /opt/ros/{DISTRIBUTION}/setup.bash instead")
    if not has_ros():
        return Finding("ROS 2", Level.FAIL, "rclpy cannot be imported", f"{_BUILD}, or source /opt/ros/{DISTRIBUTION}/setup.bash first")
    wheel = installed_version("ros-rclpy")
    return Finding("ROS 2", Level.OK, f"{DISTRIBUTION}, " + (f"rclpy {wheel} from wheels" if wheel else "installed"))


def packages(environment: Mapping[str, str]) -> Finding:
    """Whether every package of ours is in the ament index, and the messages can be imported."""
    known = package_names(environment)
    missing = [name for name in OURS if name not in known]
    if missing:
        return Finding("packages", Level.FAIL, f"not in AMENT_PREFIX_PATH: {', '.join(missing)}", _BUILD)
    if not has_package("lodestone_msgs"):
        return Finding("packages", Level.FAIL, "lodestone_msgs cannot be imported by this Python", _BUILD)
    return Finding("packages", Level.OK, f"all {len(OURS)} are installed")


def dds_profile(environment: Mapping[str, str]) -> Finding:
    """Whether Fast DDS will load a profile (without one, large images lose fragments and discovery takes seconds)."""
    middleware = environment.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
    if "fastrtps" not in middleware:
        return Finding("DDS profile", Level.WARN, f"RMW_IMPLEMENTATION is {middleware}", "unset it: the profile is for Fast DDS")
    path = with_defaults(environment).get(PROFILE_VARIABLE)
    if path is None:
        return Finding("DDS profile", Level.WARN, "none is installed", _BUILD)
    if not Path(path).is_file():
        return Finding("DDS profile", Level.FAIL, f"{PROFILE_VARIABLE} names {path}, which does not exist", f"unset {PROFILE_VARIABLE}")
    return Finding("DDS profile", Level.OK, path)


def log_directory(environment: Mapping[str, str]) -> Finding:
    """rclpy does not start without a place for logs."""
    folder = log_folder(environment)
    if folder is None:
        return Finding("log folder", Level.FAIL, "neither HOME nor ROS_LOG_DIR is set", "export ROS_LOG_DIR to a folder")
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not os.access(existing, os.W_OK):
        return Finding("log folder", Level.FAIL, f"{existing} cannot be written", "export ROS_LOG_DIR to another folder")
    return Finding("log folder", Level.OK, str(folder))
