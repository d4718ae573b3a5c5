"""Where source and detector stand for DICOM's angles, against answers that can be given in words."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodestone_core import se3
from xray_registration.projection import Projection, T_isocentre_source, T_source_detector, beam_direction

C_ARM = Projection((512, 512), (0.6, 0.6), 1200.0, 750.0, (255.5, 255.5))
LEFT, BACK, HEAD = np.eye(3)
DEGREES = st.floats(-90.0, 90.0)


@pytest.mark.parametrize(
    ("primary", "secondary", "detector"),
    [(0, 0, -BACK), (90, 0, LEFT), (-90, 0, -LEFT), (180, 0, BACK), (0, 90, HEAD), (0, -90, -HEAD), (45, 0, (LEFT - BACK) / math.sqrt(2))],
)
def test_the_detector_stands_where_the_angles_say(primary: float, secondary: float, detector: np.ndarray) -> None:
    """LAO has the detector on the patient's left, cranial at the head, and at zero it is above the patient."""
    assert beam_direction(math.radians(primary), math.radians(secondary)) == pytest.approx(detector, abs=1e-12)


def test_a_patients_right_and_feet_are_right_and_down_as_seen_from_the_source() -> None:
    T_source_iso = se3.inverse(T_isocentre_source(C_ARM, 0.0, 0.0))
    centre, right, feet = C_ARM.project(se3.transform(T_source_iso, np.array([[0.0, 0, 0], [-10.0, 0, 0], [0.0, 0, -10.0]])))
    assert centre == pytest.approx((255.5, 255.5))
    # 10 mm at the isocentre are 16 mm on the detector.
    assert right - centre == pytest.approx((16.0 / 0.6, 0.0))
    assert feet - centre == pytest.approx((0.0, 16.0 / 0.6))


def test_lao_moves_what_lies_in_front_to_the_patients_right() -> None:
    """From the left side one looks behind what lies in front: it moves to the right of the patient on the picture."""
    point = np.array([[0.0, -50.0, 0.0]])
    moved = C_ARM.project(se3.transform(se3.inverse(T_isocentre_source(C_ARM, math.radians(10.0), 0.0)), point))[0]
    patients_right = C_ARM.project(se3.transform(se3.inverse(T_isocentre_source(C_ARM, 0.0, 0.0)), np.array([[-10.0, 0, 0]])))[0]
    assert (moved[0] - 255.5) * (patients_right[0] - 255.5) > 0.0 and moved[1] == pytest.approx(255.5)


def test_cranial_moves_what_lies_in_front_to_the_feet() -> None:
    point = np.array([[0.0, -50.0, 0.0]])
    moved = C_ARM.project(se3.transform(se3.inverse(T_isocentre_source(C_ARM, 0.0, math.radians(10.0))), point))[0]
    assert moved[1] > 255.5 + 5.0 and moved[0] == pytest.approx(255.5)


@given(DEGREES, DEGREES, DEGREES)
def test_source_isocentre_and_detector_lie_on_one_line_at_their_distances(primary: float, secondary: float, turn: float) -> None:
    T = T_isocentre_source(C_ARM, math.radians(primary), math.radians(secondary), math.radians(turn))
    assert T[:3, :3] @ T[:3, :3].T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1.0)
    detector = (T @ T_source_detector(C_ARM))[:3, 3]
    assert np.linalg.norm(T[:3, 3]) == pytest.approx(750.0)
    assert detector == pytest.approx(-T[:3, 3] * 450.0 / 750.0, abs=1e-9)


@given(DEGREES, DEGREES)
def test_the_head_is_up_however_the_arm_is_turned(primary: float, secondary: float) -> None:
    T = T_isocentre_source(C_ARM, math.radians(primary), math.radians(secondary))
    assert T[2, 0] == pytest.approx(0.0, abs=1e-12) and T[2, 1] <= 1e-12


def test_a_turn_of_the_image_goes_from_columns_to_rows() -> None:
    T = T_isocentre_source(C_ARM, 0.0, 0.0, math.radians(90.0))
    straight = T_isocentre_source(C_ARM, 0.0, 0.0)
    assert T[:3, 0] == pytest.approx(straight[:3, 1], abs=1e-12) and T[:3, 2] == pytest.approx(straight[:3, 2])


def test_the_matrix_projects_as_the_geometry_does() -> None:
    points = np.array([[12.0, -34.0, 640.0], [0.0, 0.0, 1200.0], [300.0, 5.0, 800.0]])
    homogeneous = points @ C_ARM.matrix().T
    assert C_ARM.project(points) == pytest.approx(homogeneous[:, :2] / homogeneous[:, 2:])
    assert np.isnan(C_ARM.project(np.array([[0.0, 0.0, -1.0]]))).all()
