"""Our packages, built by colcon into the prefix, and the `lodestone` command."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .layout import Layout, fingerprint, run

WRAPPER = """#!/bin/sh
# Starts the lodestone command with the environment that ROS look-ups need; nothing has to be sourced.
{exports}
exec "{python}" -m lodestone_cli "$@"
"""


def build(layout: Layout) -> str:
    """Build what changed; without ROS only a path file that makes the pure packages importable."""
    wanted = fingerprint(sources(layout), str(layout.prefix), str(layout.ros_sourced), str(layout.with_ros))
    stamp = layout.stamp("build")
    if stamp.is_file() and stamp.read_text() == wanted:
        return "up to date"
    if layout.with_ros:
        remove_installed_modules(layout)
        colcon(layout)
    else:
        path_file = layout.site_packages / "lodestone.pth"
        path_file.write_text(
            "".join(
                f"{folder}\n" for folder in sorted((layout.root / "src").iterdir()) if (folder / "setup.py").is_file()
            )
        )
    write_wrapper(layout)
    stamp.write_text(wanted)
    return "built"


def sources(layout: Layout) -> list[Path]:
    folders = (layout.root / "src", layout.root / "launch", layout.root / "embedded")
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return [
        path
        for path in files
        if "__pycache__" not in path.parts and "test" not in path.parts and not path.name.endswith(".pyc")
    ]


def remove_installed_modules(layout: Layout) -> None:
    """colcon leaves a deleted module in the prefix and in build/; start from none of ours."""
    for package in (path.parent.name for path in (layout.root / "src").glob("*/*/py.typed")):
        for folder in (layout.root / "build" / package, *layout.prefix.glob(f"lib/python*/site-packages/{package}")):
            shutil.rmtree(folder, ignore_errors=True)


def has_tf2_msgs(layout: Layout) -> bool:
    prefixes = [str(layout.venv), *os.environ.get("AMENT_PREFIX_PATH", "").split(":")] if layout.ros_sourced else []
    return any(prefix and Path(prefix, "share", "tf2_msgs", "package.xml").is_file() for prefix in prefixes)


def colcon(layout: Layout) -> None:
    paths = ["src", "launch"] + ([] if has_tf2_msgs(layout) else ["embedded/tf2_msgs"])
    command = [str(layout.python), "-m", "colcon", "--log-base", "build/log", "build", "--merge-install"]
    command += ["--install-base", str(layout.prefix), "--base-paths", *paths]
    command += [
        "--cmake-args",
        "-DBUILD_TESTING=OFF",
        "-DCMAKE_BUILD_TYPE=Release",
        f"-DPython3_EXECUTABLE={layout.python}",
    ]
    run(command, layout.build_environment(), layout.root / "build" / "colcon.log", layout.root)


def write_wrapper(layout: Layout) -> None:
    lines = []
    if layout.ros_sourced:
        packages = f"{layout.prefix}/lib/{layout.site_packages.parent.name}/site-packages"
        lines = [
            f'export AMENT_PREFIX_PATH="{layout.prefix}${{AMENT_PREFIX_PATH:+:$AMENT_PREFIX_PATH}}"',
            f'export PYTHONPATH="{packages}${{PYTHONPATH:+:$PYTHONPATH}}"',
            f'export LD_LIBRARY_PATH="{layout.prefix}/lib${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"',
        ]
    elif layout.with_ros:
        lines = [f'export AMENT_PREFIX_PATH="{layout.venv}"']
    wrapper = layout.venv / "bin" / "lodestone"
    # The prefix's own script lies in lib/; this one is what people type.
    wrapper.write_text(WRAPPER.format(exports="\n".join(lines), python=layout.python))
    wrapper.chmod(0o755)
