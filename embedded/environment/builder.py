"""Our packages, built by colcon into the prefix, and the `lodestone` command."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .layout import Layout, fingerprint, run

WRAPPER = """#!/bin/sh
# Starts the lodestone command with the environment that ROS look-ups need; nothing has to be sourced.
{exports}exec "{python}" -m lodestone_cli "$@"
"""


def build(layout: Layout) -> str:
    """Build what changed; without ROS only a path file that makes the pure packages importable."""
    wanted = fingerprint(sources(layout.root), str(layout.prefix), *layout.kind)
    stamp = layout.stamp("build")
    if stamp.is_file() and stamp.read_text() == wanted:
        return "up to date"
    if layout.with_ros:
        remove_installed_modules(layout)
        colcon(layout)
    write_path_file(layout)
    write_wrapper(layout)
    stamp.write_text(wanted)
    return "built"


def sources(root: Path) -> list[Path]:
    """Every file that ends up in the prefix or decides how it is built; tests do not."""
    files = (path for name in ("src", "launch", "embedded") for path in (root / name).rglob("*") if path.is_file())
    return [path for path in files if not {"__pycache__", "test"} & set(path.relative_to(root).parts)]


def remove_installed_modules(layout: Layout) -> None:
    """colcon leaves a deleted module in the prefix and in build/; start from none of ours."""
    for package in (path.parent.name for path in (layout.root / "src").glob("*/*/py.typed")):
        for folder in (layout.root / "build" / package, *(site / package for site in python_folders(layout.prefix))):
            shutil.rmtree(folder, ignore_errors=True)


def python_folders(prefix: Path) -> list[Path]:
    """Where a prefix holds Python packages; Debian's own Python has other places than everyone else's."""
    patterns = ("lib/python*/site-packages", "lib/python*/dist-packages", "local/lib/python*/dist-packages")
    return [folder for pattern in patterns for folder in sorted(prefix.glob(pattern))]


def has_tf2_msgs() -> bool:
    """Whether the ROS that is sourced brings tf2_msgs."""
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(":")
    return any(prefix and Path(prefix, "share", "tf2_msgs", "package.xml").is_file() for prefix in prefixes)


def colcon(layout: Layout) -> None:
    """Build and install every package of ours, and tf2_msgs where it is missing."""
    paths = ["src", "launch"] + ([] if layout.ros_sourced and has_tf2_msgs() else ["embedded/tf2_msgs"])
    command = [str(layout.python), "-m", "colcon", "--log-base", "build/log", "build", "--merge-install"]
    command += ["--install-base", str(layout.prefix), "--base-paths", *paths, "--cmake-args"]
    command += ["-DBUILD_TESTING=OFF", "-DCMAKE_BUILD_TYPE=Release", f"-DPython3_EXECUTABLE={layout.python}"]
    if layout.ros_distro in (None, "jazzy"):
        command.append(f"-DCMAKE_PROJECT_INCLUDE={layout.root / 'embedded' / 'unity.cmake'}")
    run(command, layout.build_environment(), layout.root / "build" / "colcon.log", layout.root)


def write_path_file(layout: Layout) -> None:
    """Make our packages importable by `.venv/bin/python` where they lie outside of it."""
    if layout.embedded_ros:
        return
    folders = python_folders(layout.prefix) if layout.with_ros else [path.parent for path in sorted(layout.root.glob("src/*/setup.py"))]
    (layout.site_packages / "lodestone.pth").write_text("".join(f"{folder}\n" for folder in folders))


def write_wrapper(layout: Layout) -> None:
    """The command that people type; the prefix's own scripts lie in lib/."""
    inherit = "${{{0}:+:${0}}}" if layout.ros_sourced else ""
    exports = "".join(f'export {name}="{folder}{inherit.format(name)}"\n' for name, folder in layout.search_paths.items())
    wrapper = layout.venv / "bin" / "lodestone"
    wrapper.write_text(WRAPPER.format(exports=exports, python=layout.python))
    wrapper.chmod(0o755)
