"""A rig's static frames: one tree, or a clear refusal."""

from __future__ import annotations

import numpy as np
import pytest

from lodestone_core.errors import InputError
from lodestone_guidance.rig import parse_frames, poses_from_root

GOOD = """
frames:
  - {parent: bench, child: table, translation_mm: [0, 0, 100], quaternion_xyzw: [0, 0, 0, 1]}
  - {parent: table, child: em_field_generator, translation_mm: [10, 0, 0], quaternion_xyzw: [0, 0, 1, 0]}
"""


def test_poses_are_composed_from_the_root() -> None:
    T_root = poses_from_root(parse_frames(GOOD, "frames.yaml"), "bench", "frames.yaml")
    np.testing.assert_allclose(T_root["em_field_generator"][:3, 3], [10.0, 0.0, 100.0])
    np.testing.assert_allclose(T_root["em_field_generator"][:3, :3], np.diag([-1.0, -1.0, 1.0]), atol=1e-12)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("frames: 3", "frames"),
        ("frames: [{parent: bench}]", "frame 1"),
        (GOOD.replace("0, 0, 1, 0", "0, 0, 2, 0"), "frame 2"),
        (GOOD.replace("[10, 0, 0]", "[10, 0]"), "frame 2"),
        (GOOD + "  - {parent: bench, child: table, translation_mm: [0, 0, 1], quaternion_xyzw: [0, 0, 0, 1]}", "table"),
    ],
)
def test_a_bad_file_is_refused_by_place(text: str, names: str) -> None:
    with pytest.raises(InputError, match=names):
        parse_frames(text, "frames.yaml")


def test_an_unconnected_frame_is_named() -> None:
    frames = parse_frames(GOOD.replace("parent: bench", "parent: bnech"), "frames.yaml")
    with pytest.raises(InputError, match="bnech"):
        poses_from_root(frames, "bench", "frames.yaml")
