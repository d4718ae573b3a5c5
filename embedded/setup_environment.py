"""Make the environment that Lodestone runs in; idempotent, a second run takes a second.

    python3 embedded/setup_environment.py [--without-ros] [--tracking-only] [--root DIR]

Without a ROS 2 sourced: pinned Jazzy wheels, every requirement and our packages in `.venv`. With one sourced (ROS_DISTRO set): no ROS
wheel is touched, `.venv` sees the system's packages and colcon installs into `install/`. `--without-ros` leaves ROS out altogether and
serves the pure packages alone. `--tracking-only` leaves out torch, OpenCV and SimpleITK, which a rig that only tracks does not need.
Another choice, ROS or Python makes the environment anew. Only the standard library is used here.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from environment import builder, prerequisites, python_packages
from environment.layout import Layout


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the environment that Lodestone runs in.")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1], help="the checkout")
    parser.add_argument("--without-ros", action="store_true", help="the pure packages only, no ROS")
    parser.add_argument("--tracking-only", action="store_true", help="without torch, OpenCV and SimpleITK")
    arguments = parser.parse_args()
    layout = Layout(
        arguments.root.resolve(),
        ros_distro=os.environ.get("ROS_DISTRO"),
        with_ros=not arguments.without_ros,
        with_imaging=not arguments.tracking_only,
    )
    missing = prerequisites.missing(layout)
    if missing:
        print("Lodestone cannot be set up yet:\n  " + "\n  ".join(missing), file=sys.stderr)
        return 1
    for name, step in (("Python packages", python_packages.install), ("Lodestone packages", builder.build)):
        started = time.monotonic()
        done = step(layout)
        print(f"set-up: {name}: {done} ({time.monotonic() - started:.1f} s)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
