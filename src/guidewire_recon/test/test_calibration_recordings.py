"""Recordings for the calibration: .npz, CSV, bags; places averaged; whatever is damaged is refused in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from guidewire_recon.calibration.array_bag import read_array_bag
from guidewire_recon.calibration.recording import dwells, read_recording, recording_of
from lodestone_core import se3
from lodestone_core.bags import BagWriter
from lodestone_core.errors import InputError

COUNTS = np.arange(5 * 2 * 3, dtype=np.float64).reshape(5, 2, 3) * 100.0
POSE = se3.make(Rotation.from_rotvec([0.1, 0.2, 0.3]).as_matrix(), np.array([1.0, 2.0, 50.0]))


def test_counts_become_tesla_and_the_ends_of_the_range_are_not_usable() -> None:
    counts = COUNTS.copy()
    counts[1, 0, 2], counts[2, 1, 0] = 131071, -131072
    made = recording_of(counts, "r")
    assert made.raw_T[0] == pytest.approx(COUNTS[0] * 1e-8)
    assert np.isnan(made.raw_T[1, 0]).all() and np.isnan(made.raw_T[2, 1]).all()
    assert made.overflows.tolist() == [1, 1]


def test_npz_and_csv_hold_the_same(tmp_path: Path) -> None:
    poses = np.tile(POSE, (5, 1, 1))
    warmth = np.full((5, 2), 25.0)
    np.savez(tmp_path / "a.npz", counts=COUNTS, temperature_degc=warmth, time_s=np.arange(5.0), T_array_magnet=poses, array_id=3)
    q = Rotation.from_matrix(POSE[:3, :3]).as_quat()
    lines = ["time_s,sensor,x,y,z,temperature_degc,mx,my,mz,qx,qy,qz,qw"]
    for n in range(5):
        for s in range(2):
            row = [float(n), s, *COUNTS[n, s], 25.0, *POSE[:3, 3], *q]
            lines.append(",".join(repr(float(v)) for v in row))
    (tmp_path / "a.csv").write_text("\n".join(lines))
    one, two = read_recording(tmp_path / "a.npz"), read_recording(tmp_path / "a.csv")
    assert one.array_id == 3 and two.array_id == -1
    assert np.array_equal(one.raw_T, two.raw_T) and np.array_equal(one.temperature_degc, two.temperature_degc)
    assert one.T_array_magnet is not None and two.T_array_magnet is not None
    assert one.T_array_magnet == pytest.approx(two.T_array_magnet, abs=1e-9)


@pytest.mark.parametrize(
    ("arrays", "word"),
    [
        ({"count": COUNTS}, "counts"),
        ({"counts": COUNTS[0]}, "samples, sensors, 3"),
        ({"counts": COUNTS, "time_s": np.zeros(3)}, "time_s"),
        ({"counts": COUNTS, "T_array_magnet": np.tile(POSE, (4, 1, 1))}, "5 poses"),
        ({"counts": COUNTS, "T_array_magnet": np.tile(2.0 * POSE, (5, 1, 1))}, "T_array_magnet"),
        ({"counts": np.array([object()])}, "numbers"),
    ],
)
def test_a_wrong_npz_is_named(tmp_path: Path, arrays: dict[str, Any], word: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=word):
        read_recording(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "time_s"),
        ("time_s,sensor,x,y\n0,0,1,2\n", "no z"),
        ("time_s,sensor,x,y,z\n0,1,1,2,3\n0,0,1,2,3\n", "another order"),
        ("time_s,sensor,x,y,z\n0,0,1,2,a\n", "numbers"),
        ("time_s,sensor,x,y,z\n0,0,1,2\n", "numbers"),
        ("time_s,sensor,x,y,z,mx,my,mz,qx,qy,qz,qw\n0,0,1,2,3,0,0,0,0,0,0,2\n", "unit"),
    ],
)
def test_a_wrong_csv_is_named(tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=word):
        read_recording(tmp_path / "a.csv")


def test_a_file_of_another_kind_and_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing"):
        read_recording(tmp_path / "a.npz")
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(InputError, match=r"\.npz"):
        read_recording(tmp_path / "a.txt")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(tmp_path: Path, data: st.DataObject) -> None:
    suffix = data.draw(st.sampled_from([".npz", ".csv"]))
    path = tmp_path / f"a{suffix}"
    if suffix == ".npz":
        np.savez(path, counts=COUNTS)
    else:
        path.write_text("time_s,sensor,x,y,z\n0,0,1,2,3\n1,0,1,2,3\n")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    try:
        assert read_recording(path).raw_T.ndim == 3
    except InputError as error:
        assert str(error)


def test_samples_of_one_place_are_averaged_without_the_outliers() -> None:
    rng = np.random.default_rng(0)
    other = se3.make(np.eye(3), np.array([9.0, 0.0, 40.0]))
    poses = np.concatenate([np.tile(POSE, (30, 1, 1)), np.tile(other, (20, 1, 1)), np.tile(POSE, (10, 1, 1))])
    counts = 1000.0 + rng.normal(0.0, 10.0, (60, 2, 3))
    counts[3] = 90000.0
    counts[40, 1] = np.nan
    places, sizes = dwells(recording_of(counts, "r", T_array_magnet=poses))
    assert sizes.tolist() == [30, 20, 10]
    assert places.raw_T == pytest.approx(np.full((3, 2, 3), 1e-5), abs=2e-7)
    without, ones = dwells(recording_of(counts, "r"))
    assert len(without) == 60 and ones.tolist() == [1] * 60


def bag(path: Path, poses: str = "mag_array", calibrated: bool = False, second_id: int = 1) -> Path:
    """Ten samples of two sensors at 10 Hz; a pose every 50 ms from 200 ms on, moving along x at 1 mm a sample."""
    messages = pytest.importorskip("lodestone_msgs.msg")
    from geometry_msgs.msg import PoseStamped
    from rclpy.serialization import serialize_message

    with BagWriter(path) as writer:
        array = writer.add_topic("/magnetometers/array_raw", "lodestone_msgs/msg/MagnetometerArray")
        tool = writer.add_topic("/magnet", "geometry_msgs/msg/PoseStamped")
        for n in range(10):
            m = messages.MagnetometerArray(array_id=1 if n else second_id, calibrated=calibrated)
            m.header.frame_id, m.header.stamp.nanosec = "mag_array", n * 100_000_000
            m.sensors = [messages.MagnetometerSample(index=s, valid=s == 0 or n != 5, temperature=25.0) for s in range(2)]
            for s, sensor in enumerate(m.sensors):
                sensor.raw = [100 * n + s, 2, 3]
            writer.write(array, serialize_message(m), n * 100_000_000)
        for k in range(13):
            p = PoseStamped()
            p.header.frame_id, p.header.stamp.nanosec = poses, 200_000_000 + k * 50_000_000
            p.pose.position.x, p.pose.orientation.w = 0.001 * (k / 2.0 + 2.0), 1.0
            writer.write(tool, serialize_message(p), p.header.stamp.nanosec)
    return path


@pytest.mark.ros
def test_a_bag_gives_samples_and_the_poses_at_their_stamps(tmp_path: Path) -> None:
    found = read_array_bag(bag(tmp_path / "bag"))
    assert found.raw_T.shape == (10, 2, 3) and found.array_id == 1
    assert found.raw_T[4, 1, 0] == pytest.approx(401e-8) and np.isnan(found.raw_T[5, 1]).all()
    posed = read_array_bag(tmp_path / "bag", pose_topic="/magnet")
    assert posed.T_array_magnet is not None
    assert posed.time_s == pytest.approx(np.arange(3, 9) * 0.1, abs=1e-9)
    sample = np.rint(posed.raw_T[:, 0, 0] / 1e-6)
    assert posed.T_array_magnet[:, 0, 3] == pytest.approx(sample, abs=1e-6)


@pytest.mark.ros
def test_a_bag_of_something_else_is_named(tmp_path: Path) -> None:
    made = bag(tmp_path / "a")
    with pytest.raises(InputError, match="no such topic"):
        read_array_bag(made, "/other")
    with pytest.raises(InputError, match="poses in mag_array"):
        read_array_bag(bag(tmp_path / "b", poses="em_field_generator"), pose_topic="/magnet")
    with pytest.raises(InputError, match="raw samples"):
        read_array_bag(bag(tmp_path / "c", calibrated=True))
    with pytest.raises(InputError, match="one array"):
        read_array_bag(bag(tmp_path / "d", second_id=2))
