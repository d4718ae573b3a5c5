"""Whether this Python can reach ROS and its packages, asked without importing them."""

from __future__ import annotations

import importlib.util


def has_package(name: str) -> bool:
    """Whether a Python package is there; a broken installation counts as none."""
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False


def has_ros() -> bool:
    """Whether rclpy is there."""
    return has_package("rclpy")
