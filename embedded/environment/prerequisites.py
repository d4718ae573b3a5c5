"""What the machine must have before anything is installed, each with the command that installs it."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import sysconfig
from importlib.machinery import PathFinder
from pathlib import Path

from .layout import Layout

APT = "sudo apt-get install"


TOOLS = (
    ("a C compiler (cc)", ("cc", "gcc", "clang"), "build-essential"),
    ("a C++ compiler (c++)", ("c++", "g++", "clang++"), "build-essential"),
    ("cmake", ("cmake",), "cmake"),
    ("make", ("make",), "make"),
)


def missing(layout: Layout) -> list[str]:
    """One line a missing prerequisite, empty when all is there."""
    version = "python{}.{}".format(*sys.version_info[:2])
    found = [python_problem(layout)]
    if any(importlib.util.find_spec(name) is None for name in ("ensurepip", "venv")):
        found.append(f"Python's venv is missing: {APT} {version}-venv")
    if layout.with_ros:
        if not Path(sysconfig.get_path("include"), "Python.h").is_file():
            found.append(f"Python's headers are missing: {APT} {version}-dev")
        found += [f"{what} is missing: {APT} {package}" for what, names, package in TOOLS if not any(map(shutil.which, names))]
    return [line for line in found if line]


def python_problem(layout: Layout) -> str:
    """Why this Python will not do, empty when it does."""
    here = "this is " + sys.version.split()[0]
    if not (3, 11) <= sys.version_info[:2] <= (3, 12):
        return f"Python 3.11 or 3.12 is needed, {here}: {APT} python3.11, then make PYTHON=python3.11"
    if layout.embedded_ros and sys.version_info[:2] != (3, 11):
        remedy = f"{APT} python3.11, then make PYTHON=python3.11; or source a ROS 2 Jazzy first"
        return f"the ROS wheels are built for Python 3.11, {here}: {remedy}"
    builds = rclpy_builds() if layout.ros_sourced else []
    if builds and not any(name.endswith(str(sysconfig.get_config_var("EXT_SUFFIX"))) for name in builds):
        return f"the rclpy of ROS 2 {layout.ros_distro} is built for another Python ({builds[0]}), {here}: make PYTHON=/usr/bin/python3"
    return ""


def rclpy_builds() -> list[str]:
    """File names of the sourced rclpy's compiled part; a Python of pyenv or conda is often not the one that it was built for."""
    spec = PathFinder.find_spec("rclpy")
    folders = spec.submodule_search_locations if spec else None
    return sorted(path.name for folder in folders or () for path in Path(folder).glob("_rclpy_pybind11*.so"))
