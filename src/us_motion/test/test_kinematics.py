"""The chain out of a URDF: against the bench's own kinematics, finite differences, sampling, and files that describe no arm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lodestone_bench.world.arm import ArmWorld
from lodestone_core import se3
from lodestone_core.errors import InputError
from us_motion.kinematics import Chain
from us_motion.urdf import parse_chain, read_chain

URDF = Path(__file__).parents[3] / "launch" / "urdf" / "us_arm.urdf"
PLANAR = """<robot name="planar"><link name="base"/><link name="a"/><link name="b"/><link name="hand"/>
  <joint name="one" type="revolute"><parent link="base"/><child link="a"/><axis xyz="0 0 2"/>
    <limit lower="-3" upper="3" effort="0" velocity="1"/></joint>
  <joint name="two" type="continuous"><parent link="a"/><child link="b"/><origin xyz="0.3 0 0"/><axis xyz="0 0 1"/></joint>
  <joint name="grip" type="fixed"><parent link="b"/><child link="hand"/><origin xyz="0.2 0 0"/></joint></robot>"""


@pytest.fixture(scope="module")
def arm() -> Chain:
    return read_chain(URDF, "us_arm_base", "us_probe")


@pytest.fixture(scope="module")
def positions(arm: Chain) -> np.ndarray:
    return np.random.default_rng(5).uniform(arm.lower_rad, arm.upper_rad, (500, 6))


def test_the_shipped_arm_is_the_simulated_one_over_all_its_joints(arm: Chain, positions: np.ndarray) -> None:
    # The bench goes by a product of exponentials over axes in the base, from numbers of its own.
    assert np.abs(arm.T_base_tip(positions) - ArmWorld().T_base_probe(positions)).max() < 1e-9


def test_a_planar_arm_stands_where_trigonometry_puts_it() -> None:
    chain = parse_chain(PLANAR, "base", "hand")
    T = chain.T_base_tip([0.4, -1.1])
    assert T[:3, 3] == pytest.approx([300 * np.cos(0.4) + 200 * np.cos(-0.7), 300 * np.sin(0.4) + 200 * np.sin(-0.7), 0.0])
    assert chain.names == ("one", "two") and chain.upper_rad.tolist() == [3.0, np.inf]
    assert chain.jacobian([0.4, -1.1])[:, 1] == pytest.approx([-200 * np.sin(-0.7), 200 * np.cos(-0.7), 0, 0, 0, 1])


def test_all_angles_zero_is_the_drawing(arm: Chain) -> None:
    T = arm.T_base_tip(np.zeros(6))
    assert T[:3, 3] == pytest.approx([745.0, 0.0, 170.0]) and T[:3, 2] == pytest.approx([0.0, 0.0, -1.0])


def test_links_multiply_to_the_tip_and_name_one_chain(arm: Chain, positions: np.ndarray) -> None:
    T, frame = np.eye(4), "us_arm_base"
    for parent, child, T_parent_child in arm.edges(positions[0]):
        assert parent == frame
        T, frame = T @ T_parent_child, child
    assert frame == "us_probe" and np.array_equal(T, arm.T_base_tip(positions[0]))


def test_many_positions_at_once_are_the_single_ones(arm: Chain, positions: np.ndarray) -> None:
    stacked = positions[:6].reshape(2, 3, 6)
    assert arm.T_base_tip(stacked).shape == (2, 3, 4, 4)
    assert np.array_equal(arm.T_base_tip(stacked)[1, 2], arm.T_base_tip(positions[5]))
    assert np.array_equal(arm.jacobian(stacked)[1, 2], arm.jacobian(positions[5]))


def test_the_jacobian_is_the_slope_of_the_pose(arm: Chain, positions: np.ndarray) -> None:
    step = 1e-6
    for q in positions[:40]:
        slope = np.empty((6, 6))
        for j in range(6):
            plus, minus = (arm.T_base_tip(q + sign * step * np.eye(6)[j]) for sign in (1, -1))
            slope[:3, j] = (plus[:3, 3] - minus[:3, 3]) / (2 * step)
            slope[3:, j] = se3.log(se3.make(plus[:3, :3] @ minus[:3, :3].T, np.zeros(3)))[3:] / (2 * step)
        assert arm.jacobian(q) == pytest.approx(slope, abs=1e-5)


def test_the_covariance_is_the_scatter_of_poses(arm: Chain, positions: np.ndarray) -> None:
    rng, q = np.random.default_rng(1), positions[3]
    L = 1e-3 * rng.standard_normal((6, 6))
    C = L @ L.T
    T0 = arm.T_base_tip(q)
    T = arm.T_base_tip(q + rng.standard_normal((40000, 6)) @ L.T)
    scatter = np.concatenate([T[:, :3, 3] - T0[:3, 3], se3.log(se3.make(T[:, :3, :3] @ T0[:3, :3].T, np.zeros(3)))[:, 3:]], axis=1)
    sigma = np.sqrt(np.diag(arm.covariance(q, C)))
    assert np.cov(scatter.T) / np.outer(sigma, sigma) == pytest.approx(arm.covariance(q, C) / np.outer(sigma, sigma), abs=0.03)


def test_certain_angles_make_a_certain_pose_and_one_angle_moves_along_its_axis(arm: Chain) -> None:
    assert not arm.covariance(np.zeros(6), np.zeros((6, 6))).any()
    only_column = arm.covariance(np.zeros(6), np.diag([1e-6, 0, 0, 0, 0, 0]))
    assert np.sqrt(np.diag(only_column)) == pytest.approx([0, 0.745, 0, 0, 0, 1e-3], abs=1e-9)


def test_limits_are_told_joint_by_joint(arm: Chain) -> None:
    q = np.array([0.5, 0.0, 0.1, np.nan, 0.0, -1.3])
    assert arm.outside(q).tolist() == [True, False, True, False, False, True]
    assert arm.outside(q, 0.11).tolist() == [False] * 6


@pytest.mark.parametrize("bad", [np.zeros(5), np.zeros((3, 7)), np.array([0, 0, np.nan, 0, 0, 0])])
def test_angles_that_are_none_have_no_pose(arm: Chain, bad: np.ndarray) -> None:
    with pytest.raises(InputError, match="joint positions"):
        arm.T_base_tip(bad)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("continuous", "prismatic"), "prismatic"),
        (("continuous", "floating"), "expected"),
        (('<parent link="base"/>', '<parent link="b"/>'), "a loop"),
        (('<origin xyz="0.3 0 0"/>', '<mimic joint="one"/>'), "mimics one"),
        (('lower="-3" upper="3"', 'lower="3" upper="-3"'), "lower below upper"),
        (('xyz="0 0 2"', 'xyz="0 0 0"'), "a direction"),
        (('<child link="hand"/>', '<child link="a"/>'), "one parent"),
        (('name="two"', 'name="one"'), "a name of its own"),
        (('xyz="0.2 0 0"', 'xyz="0.2 nan 0"'), "three finite numbers"),
        (('xyz="0.2 0 0"', 'xyz="0.2 0"'), "expected"),
        (("</robot>", ""), "a URDF"),
        (("<robot", '<!DOCTYPE r [<!ENTITY a "b">]><robot'), "without a DOCTYPE"),
        ((PLANAR, ""), "a URDF"),
        ((PLANAR, "<robot name='x'/>"), "no joint with the child hand"),
    ],
)
def test_a_file_that_is_no_arm_is_refused_with_the_reason(change: tuple[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_chain(PLANAR.replace(*change), "base", "hand")


def test_a_file_or_frame_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.urdf"):
        read_chain(tmp_path / "none.urdf", "base", "hand")
    with pytest.raises(InputError, match="hangs below base"):
        parse_chain(PLANAR, "elsewhere", "hand")
    with pytest.raises(InputError, match="a tip below the base"):
        parse_chain(PLANAR, "base", "base")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_damaged_file_gives_anything_but_a_chain_or_a_refusal(data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(PLANAR) - 1))
    text = PLANAR[:begin] + data.draw(st.text(max_size=8)) + PLANAR[begin + data.draw(st.integers(0, 40)) :]
    try:
        chain = parse_chain(text, "base", "hand")
    except InputError:
        return
    assert np.isfinite(chain.T_base_tip(np.zeros(len(chain.names)))).all()
