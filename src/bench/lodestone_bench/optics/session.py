"""Pictures of a calibration board in the simulated cameras, in the folders that `lodestone calibrate stereo --images` reads.

    python -m lodestone_bench.optics.session out/session --views 20

The board is a ChArUco board of 11 x 8 squares of 6 mm with markers of 4.5 mm. In the first view it lies in its seat, half way between the
cameras' axes; `seat.yaml` says where that is in bench.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lodestone_bench.optics.board import Board
from lodestone_bench.optics.board_view import BoardCamera
from lodestone_bench.optics.config import CamerasConfig
from lodestone_bench.optics.pinhole import Array, pinhole
from lodestone_bench.optics.scene import SIDES
from lodestone_bench.world.sections import read_world, section_of
from lodestone_core import se3
from lodestone_core.files import write_atomically
from lodestone_core.yaml_file import dump_yaml

BOARD = Board(11, 8, 6.0, 4.5)
_CENTRE_MM = np.array([0.0, 0.0, 70.0])
_HALF_WAY = np.column_stack([[1.0, 0.0, 0.0], [0.0, -1.0, 1.0] / np.sqrt(2.0), [0.0, -1.0, -1.0] / np.sqrt(2.0)])


def places(views: int, seed: int) -> list[Array]:
    """T_bench_board (4, 4; mm) of each view: the seat, then turned up to some 40 degrees and moved by up to 14 mm."""
    rng = np.random.default_rng([seed, 0xB0A2D])
    found = []
    for number in range(views):
        turn = np.zeros(3) if number == 0 else np.radians(rng.normal(0.0, (16.0, 16.0, 30.0)))
        shift = np.zeros(3) if number == 0 else rng.uniform(-14.0, 14.0, 3)
        R = _HALF_WAY @ se3.exp(np.concatenate([np.zeros(3), turn]))[:3, :3]
        found.append(se3.make(R, _CENTRE_MM + shift - R @ np.array([33.0, 24.0, 0.0])))
    return found


def write_session(world: Mapping[str, Any], out: Path, views: int, seed: int) -> None:
    """Write left/NNN.png, right/NNN.png and seat.yaml. Raises InputError for a wrong key in the section `cameras`."""
    config = section_of(world, "cameras", CamerasConfig)
    poses = places(views, seed)
    for side in SIDES:
        camera = BoardCamera(pinhole(config, side), seed)
        (out / side).mkdir(parents=True, exist_ok=True)
        for number, T in enumerate(poses):
            cv2.imwrite(str(out / side / f"{number:03d}.png"), camera.image(T, BOARD, number))
    q, t = se3.to_quaternion(poses[0])
    write_atomically(out / "seat.yaml", dump_yaml({"view": "000", "translation_mm": t.tolist(), "quaternion_xyzw": q.tolist()}))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Pictures of a calibration board in the simulated cameras.")
    parser.add_argument("out", type=Path, help="new folder")
    parser.add_argument("--world", type=Path, help="the world's file; else the simulated rig")
    parser.add_argument("--views", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    write_session(read_world(given.world), given.out, given.views, given.seed)


if __name__ == "__main__":
    main()
