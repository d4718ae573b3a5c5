"""Tracker recordings as text: what a line means, and what a wrong one says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lodestone_core.errors import InputError
from lodestone_core.formats.tracking_text import read_em_tracking, read_optical_tracking

TURN = "Orientation: 0 0 0.70710678 0.70710678"
GOOD = f"SensorID: 0 Position: 10 -20.5 30 {TURN} Time: 1000"


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_line_is_a_pose_in_mm_with_quaternion_x_y_z_w_and_time_in_ns(tmp_path: Path) -> None:
    stream = read_em_tracking(write(tmp_path / "em.txt", GOOD))[0]
    assert stream.stamps_ns.tolist() == [1000]
    assert stream.stamps_ns.dtype == np.int64
    np.testing.assert_allclose(stream.T_tracker_body[0, :3, 3], [10.0, -20.5, 30.0])
    np.testing.assert_allclose(stream.T_tracker_body[0, :3, :3], Rotation.from_euler("z", 90.0, degrees=True).as_matrix(), atol=1e-8)


def test_sensors_are_told_apart_and_come_in_rising_order(tmp_path: Path) -> None:
    other = GOOD.replace("SensorID: 0", "SensorID: 2").replace("1000", "1001")
    streams = read_em_tracking(write(tmp_path / "em.txt", other, GOOD))
    assert list(streams) == [0, 2]


@pytest.mark.parametrize("mark", ["-1.23244e+028", "-3.697314e28", "1.23244e+28"])
def test_the_trackers_mark_for_no_measurement_is_a_missing_sample_and_no_pose(tmp_path: Path, mark: str) -> None:
    bad = f"SensorID: 0 Position: {mark} {mark} {mark} Orientation: -0.5 -0.5 -0.5 -0.5 Time: 2000"
    stream = read_em_tracking(write(tmp_path / "em.txt", GOOD, bad))[0]
    assert stream.valid.tolist() == [True, False]
    assert np.isnan(stream.T_tracker_body[1]).all()
    assert stream.valid_only().stamps_ns.tolist() == [1000]


def test_samples_that_the_network_reordered_are_sorted_by_stamp_and_a_repeated_stamp_counts_once(tmp_path: Path) -> None:
    lines = [f"Position: {x} 0 0 {TURN} Time: {t}" for x, t in ((1, 1000), (3, 3000), (2, 2000), (9, 3000))]
    stream = read_optical_tracking(write(tmp_path / "optical.txt", *lines))
    assert stream.T_tracker_body[:, 0, 3].tolist() == [1.0, 2.0, 3.0]
    assert stream.repeats_dropped == 1


def test_windows_line_ends_and_blank_lines_are_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "em.txt"
    path.write_bytes(f"\ufeff{GOOD}\r\n\r\n{GOOD.replace('1000', '2000')}\r\n".encode())
    assert len(read_em_tracking(path)[0].stamps_ns) == 2


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (GOOD.replace("SensorID: 0 ", ""), "SensorID: n Position"),
        (GOOD + " Quality: 3", "SensorID: n Position"),
        (GOOD[:40], "SensorID: n Position"),
        (GOOD.replace("-20.5", "-2O.5"), "'-2O.5'"),
        (GOOD.replace("-20.5", "nan"), "'nan'"),
        (GOOD.replace("-20.5", "-20.5e7"), "within 100000 mm"),
        (GOOD.replace("0.70710678", "0.9"), "quaternion of length 1"),
        (GOOD.replace("1000", "1000.5"), "whole nanoseconds"),
        (GOOD.replace("1000", "-1000"), "whole nanoseconds"),
        (GOOD.replace("SensorID: 0", "SensorID: A"), "sensor number"),
    ],
)
def test_a_malformed_line_is_named_by_file_and_line_with_expected_and_got(tmp_path: Path, line: str, says: str) -> None:
    path = write(tmp_path / "em.txt", GOOD, line)
    with pytest.raises(InputError, match=r"em\.txt:2: expected .*, got .*") as caught:
        read_em_tracking(path)
    assert says in str(caught.value)


def test_an_em_recording_in_the_place_of_an_optical_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'Position: x y z"):
        read_optical_tracking(write(tmp_path / "em.txt", GOOD))


def test_missing_empty_and_binary_files_say_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_em_tracking(tmp_path / "absent.txt")
    with pytest.raises(InputError, match="an empty file"):
        read_em_tracking(write(tmp_path / "empty.txt", ""))
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(InputError, match="not text"):
        read_em_tracking(tmp_path / "binary.txt")
