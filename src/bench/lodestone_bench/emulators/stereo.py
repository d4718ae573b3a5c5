"""`stereo_emulator`: the two cameras of the guidewire bench, each as video at an address of its own, one process for both. No ROS.

Examples:
    stereo_emulator --left unix:/dev/shm/left --right unix:/dev/shm/right --control /dev/shm/stereo.control
    stereo_emulator --control /dev/shm/stereo.control --send '{"do": "stall", "camera": "left", "for_s": 1}'
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from lodestone_bench.emulators.moving_pattern import MovingPattern
from lodestone_bench.emulators.video_command import VideoDevice, add_video_options, serve
from lodestone_bench.emulators.video_server import FrameSource, Image
from lodestone_bench.optics.config import CamerasConfig
from lodestone_bench.optics.scene import SIDES, live_camera
from lodestone_bench.world.sections import section_of, seed_of

RATE_HZ = 10.0


class WireView:
    """What one of the world's cameras sees; takes two or three seconds to prepare."""

    def __init__(self, world: Mapping[str, Any], side: str) -> None:
        config = section_of(world, "cameras", CamerasConfig)
        self.width, self.height = config.width, config.height
        self._camera = live_camera(world, side, seed_of(world))

    def frame(self, number: int, world_s: float) -> Image:
        """See FrameSource."""
        return self._camera.frame(number, world_s)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the emulator until SIGINT or SIGTERM; 0 when it ended as asked, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="stereo_emulator", description="Two emulated cameras, uncompressed on sockets.")
    for side in SIDES:
        where = f"address of the {side} camera, unix:/path or tcp://127.0.0.1:port"
        parser.add_argument(f"--{side}", default=f"unix:/dev/shm/lodestone_{side}", help=where)
    parser.add_argument("--swapped", action="store_true", help="each cable in the other's socket: the left address shows the right view")
    parser.add_argument("--pattern", action="store_true", help="a cheap moving pattern in place of the world")
    add_video_options(parser, RATE_HZ)
    options = parser.parse_args(arguments)
    seen = {"left": "right", "right": "left"} if options.swapped else {"left": "left", "right": "right"}
    devices = {side: VideoDevice(getattr(options, side), partial(_view, side=view, pattern=options.pattern)) for side, view in seen.items()}
    return serve(options, "stereo_emulator", devices)


def _view(world: Mapping[str, Any], side: str, pattern: bool) -> FrameSource:
    """What one of the cameras sees."""
    if pattern:
        config = section_of(world, "cameras", CamerasConfig)
        return MovingPattern(config.width, config.height, seed=SIDES.index(side))
    return WireView(world, side)


if __name__ == "__main__":
    sys.exit(main())
