"""The course's sets, folders of matrices and PLUS device sets: round trips, and errors with file and line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lodestone_core.errors import InputError
from lodestone_core.formats import cis
from lodestone_core.formats.matrix_folder import read_matrix_folder
from lodestone_core.formats.plus_config import read_plus_config

POINTS = np.arange(36.0).reshape(12, 3)
DEVICE_SET = """<PlusConfiguration version="2.1">
  <CoordinateDefinitions>
    <Transform From="StylusTip" To="Stylus" Matrix="1 0 0 108.5  0 1 0 7.7  0 0 1 2.5  0 0 0 1" Error="0.46"/>
  </CoordinateDefinitions>
  <PhantomDefinition><Geometry><Landmarks>
    <Landmark Name="#1" Position="104.3 5.0 20.0"/>
    <Landmark Name="#2" Position="104.3 45.0 20.0"/>
  </Landmarks></Geometry></PhantomDefinition>
</PlusConfiguration>
"""


def write_points(path: Path, header: str, points: np.ndarray) -> Path:
    path.write_text("\n".join([header, *(f"{x:8.2f}, {y:8.2f}, {z:8.2f}" for x, y, z in points)]) + "\n")
    return path


def test_frames_and_bodies_of_a_set_come_in_the_order_of_its_first_line(tmp_path: Path) -> None:
    readings = cis.read_calreadings(write_points(tmp_path / "calreadings.txt", "1, 2, 3, 2, calreadings.txt", POINTS))
    np.testing.assert_array_equal(readings.D, [POINTS[0:1], POINTS[6:7]])
    np.testing.assert_array_equal(readings.A, [POINTS[1:3], POINTS[7:9]])
    np.testing.assert_array_equal(readings.C, [POINTS[3:6], POINTS[9:12]])


def test_every_kind_of_file_of_a_set_is_read(tmp_path: Path) -> None:
    body = cis.read_calbody(write_points(tmp_path / "a.txt", "3, 4, 5, a.txt", POINTS))
    np.testing.assert_array_equal(np.concatenate([body.d, body.a, body.c]), POINTS)
    np.testing.assert_array_equal(cis.read_empivot(write_points(tmp_path / "b.txt", "6, 2, b.txt", POINTS)), POINTS.reshape(2, 6, 3))
    optical = cis.read_optpivot(write_points(tmp_path / "c.txt", "2, 4, 2, c.txt", POINTS))
    np.testing.assert_array_equal(optical.H[1], POINTS[8:])
    output = cis.read_output1(write_points(tmp_path / "d.txt", "5, 2, d.txt", POINTS))
    np.testing.assert_array_equal(output.optical_pivot, POINTS[1])
    np.testing.assert_array_equal(output.C_expected[1], POINTS[7:])
    # The files with fiducials have no blank after the comma of their first line.
    np.testing.assert_array_equal(cis.read_ct_fiducials(write_points(tmp_path / "e.txt", "12,e.txt", POINTS)), POINTS)
    assert cis.read_em_fiducials(write_points(tmp_path / "f.txt", "3,4,f.txt", POINTS)).shape == (4, 3, 3)
    assert cis.read_em_nav(write_points(tmp_path / "g.txt", "3,4,g.txt", POINTS)).shape == (4, 3, 3)
    np.testing.assert_array_equal(cis.read_output2(write_points(tmp_path / "h.txt", "12, h.txt", POINTS)), POINTS)


@pytest.mark.parametrize(
    ("header", "lines", "says"),
    [
        ("6, 2, b.txt", POINTS[:-1], r"b\.txt:1: expected 12 points after this line, got 11"),
        ("6, b.txt", POINTS, r"b\.txt:1: expected 'N_G, N_frames, file name'"),
        ("6, two, b.txt", POINTS, r"b\.txt:1: "),
        ("6, 0, b.txt", POINTS, r"b\.txt:1: "),
    ],
)
def test_a_set_whose_counts_do_not_fit_is_refused(tmp_path: Path, header: str, lines: np.ndarray, says: str) -> None:
    with pytest.raises(InputError, match=says):
        cis.read_empivot(write_points(tmp_path / "b.txt", header, lines))


@pytest.mark.parametrize(("line", "says"), [("1.0, 2.0", "2 fields"), ("1.0, 2.0, x", "'x'"), ("1.0 2.0 3.0", "1 fields")])
def test_a_malformed_point_is_named_by_file_and_line(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "b.txt"
    path.write_text(f"1, 2, b.txt\n1, 2, 3\n{line}\n")
    with pytest.raises(InputError, match=rf"b\.txt:3: .*{says}"):
        cis.read_empivot(path)


def test_a_folder_of_matrices_is_read_in_the_order_of_its_names_and_other_files_are_left_alone(tmp_path: Path) -> None:
    for name, x in (("20.txt", 2.0), ("10.txt", 1.0)):
        T = np.eye(4)
        T[0, 3] = x
        np.savetxt(tmp_path / name, T, newline=" \r\n")
    (tmp_path / "LICENSE").write_text("do as you like")
    folder = read_matrix_folder(tmp_path)
    assert folder.names == ("10.txt", "20.txt")
    assert folder.T_tracker_body[:, 0, 3].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1 0 0 0\n0 1 0\n0 0 1 0\n0 0 0 1\n", r"a\.txt:2: expected four numbers, got 3 fields"),
        ("1 0 0 0\n0 1 0 0\n0 0 1 0\n", r"a\.txt:3: expected four rows, got 3 rows"),
        ("1 0 0 0\n0 1 0 0\n0 0 one 0\n0 0 0 1\n", r"a\.txt:3: .*'one'"),
        ("1 0 0 0\n0 1 0 0\n0 0 1.1 0\n0 0 0 1\n", r"a\.txt:1: expected a rotation"),
    ],
)
def test_a_file_that_holds_no_rigid_matrix_is_named(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(InputError, match=says):
        read_matrix_folder(tmp_path)


def test_a_folder_without_matrices_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no \*\.txt file"):
        read_matrix_folder(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        read_matrix_folder(tmp_path / "absent")


def test_a_device_set_gives_its_transforms_and_landmarks(tmp_path: Path) -> None:
    path = tmp_path / "set.xml"
    path.write_text(DEVICE_SET)
    config = read_plus_config(path)
    tip = config.transform("Stylus", "StylusTip")
    assert tip.matrix[:3, 3].tolist() == [108.5, 7.7, 2.5]
    assert tip.error == 0.46
    assert config.landmark_names == ("#1", "#2")
    assert config.landmarks_phantom.tolist() == [[104.3, 5.0, 20.0], [104.3, 45.0, 20.0]]
    with pytest.raises(InputError, match="From='Image' To='Probe', got StylusTip to Stylus"):
        config.transform("Probe", "Image")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("</PlusConfiguration>", "", r"set\.xml:10: "),
        ("PlusConfiguration", "Other", "the root Other"),
        ("0 0 0 1", "0 0 0", "16 numbers .*got 15"),
        ("104.3 5.0", "104.3 five", "'five'"),
        ('Name="#1" ', "", "<Landmark> with Name"),
    ],
)
def test_a_malformed_device_set_is_refused_with_the_element(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = tmp_path / "set.xml"
    path.write_text(DEVICE_SET.replace(old, new))
    with pytest.raises(InputError, match=says):
        read_plus_config(path)
