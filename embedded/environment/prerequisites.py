"""What the machine must have before anything is installed, each with the command that installs it."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import sysconfig
from pathlib import Path

from .layout import Layout

APT = "sudo apt-get install"


def missing(layout: Layout) -> list[str]:
    """One line a missing prerequisite, empty when all is there."""
    found = []
    if not ((3, 11) <= sys.version_info[:2] <= (3, 12)):
        found.append(f"Python 3.11 or 3.12 is needed, this is {sys.version.split()[0]}: {APT} python3.11")
    elif layout.embedded_ros and sys.version_info[:2] != (3, 11):
        found.append(
            f"the ROS wheels are built for Python 3.11, this is {sys.version.split()[0]}: {APT} python3.11, then make PYTHON=python3.11, or source a ROS 2 Jazzy"
        )
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        found.append(f"Python's venv is missing: {APT} {version}-venv")
    if not layout.with_ros:
        return found
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        found.append(f"Python's headers are missing: {APT} {version}-dev")
    found += [
        f"{what} is missing: {APT} {package}" for what, names, package in TOOLS if not any(map(shutil.which, names))
    ]
    return found


TOOLS = (
    ("a C compiler (cc)", ("cc", "gcc", "clang"), "build-essential"),
    ("a C++ compiler (c++)", ("c++", "g++", "clang++"), "build-essential"),
    ("cmake", ("cmake",), "cmake"),
    ("make", ("make",), "make"),
)
