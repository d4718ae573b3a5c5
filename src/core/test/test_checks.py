"""What passes the door, and what each refusal says."""

from __future__ import annotations

import numpy as np
import pytest

from lodestone_core import se3
from lodestone_core.checks import (
    as_covariance,
    as_covariance_stack,
    as_point,
    as_points,
    as_se3,
    as_se3_stack,
    as_unit_quaternion,
    as_unit_quaternion_stack,
)
from lodestone_core.errors import InputError

POSE = se3.exp(np.array([1e3, -20.0, 30.0, 0.4, -0.5, 0.6]))
STRETCHED, MIRRORED = np.diag([1.01, 1.0, 1.0, 1.0]), np.diag([-1.0, 1.0, 1.0, 1.0])


def test_a_pose_passes_as_a_copy_from_lists_and_with_the_decimals_of_a_text_file() -> None:
    rounded = np.round(POSE, 5)
    checked = as_se3("T", rounded.tolist())
    np.testing.assert_array_equal(checked, rounded)
    original = POSE.copy()
    as_se3("T", original)[0, 3] = 7.0
    np.testing.assert_array_equal(original, POSE)


@pytest.mark.parametrize(
    ("T", "says"),
    [
        (POSE.T, "transpose"),
        (STRETCHED, "scale"),
        (MIRRORED, "reflection"),
        (np.full((4, 4), np.nan), "NaN"),
        (np.eye(3), "shape \\(3, 3\\)"),
        (np.stack([POSE, POSE]), "shape \\(2, 4, 4\\)"),
        (None, "T_field_tool"),
        ("pose", "str"),
        ([[1.0], [2.0, 3.0]], "list"),
        (np.zeros((4, 4)), "bottom row"),
    ],
)
def test_what_is_no_rigid_transform_is_refused_with_the_reason(T: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        as_se3("T_field_tool", T)  # type: ignore[arg-type]


def test_a_stack_names_the_pose_that_is_wrong_and_the_number_that_is_missing() -> None:
    assert as_se3_stack("T", [POSE, POSE], at_least=2).shape == (2, 4, 4)
    with pytest.raises(InputError, match=r"T\[1\].*reflection"):
        as_se3_stack("T", [POSE, MIRRORED])
    with pytest.raises(InputError, match="at least 3 poses, got 2"):
        as_se3_stack("T", [POSE, POSE], at_least=3)


def test_points_are_counted_and_a_transposed_array_is_named() -> None:
    assert as_points("tips", [[1, 2, 3], [4, 5, 6]], at_least=2).dtype == np.float64
    with pytest.raises(InputError, match="at least 3 points, got 2"):
        as_points("tips", np.zeros((2, 3)), at_least=3)
    with pytest.raises(InputError, match="transpose"):
        as_points("tips", np.zeros((3, 8)))
    with pytest.raises(InputError, match="2 NaN"):
        as_points("tips", [[np.nan, np.inf, 0.0]])
    with pytest.raises(InputError, match=r"shape \(2,\)"):
        as_point("tip", [1.0, 2.0])


def test_quaternions_are_normalised_within_rounding_and_an_unseen_tool_is_named() -> None:
    q = as_unit_quaternion("q", [0.440739, 0.64022, 0.176742, -0.603845])
    assert np.linalg.norm(q) == pytest.approx(1.0, abs=1e-15)
    with pytest.raises(InputError, match="does not see"):
        as_unit_quaternion("q", [0.0, 0.0, 0.0, 0.0])
    with pytest.raises(InputError, match="x y z w"):
        as_unit_quaternion("q", [1.0, 1.0, 0.0, 0.0])


def test_covariances_with_an_exact_direction_or_mixed_scales_pass() -> None:
    flat = np.diag([1e4, 1e4, 0.0, 1e-8, 1e-8, 39.5])
    np.testing.assert_array_equal(as_covariance("C", flat, 6), flat)
    needle = np.outer([1.0, 1e-3, 0.0], [1.0, 1e-3, 0.0])
    np.testing.assert_array_equal(as_covariance("C", needle, 3), needle)


@pytest.mark.parametrize(
    ("C", "says"),
    [
        (np.diag([1.0, -1e-9, 1.0]), "negative"),
        (np.array([[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), "negative"),
        (np.array([[1.0, 0.5, 0.0], [0.4, 1.0, 0.0], [0.0, 0.0, 1.0]]), "symmetric"),
        (np.array([[1.0, 0.1, 0.0], [0.1, 0.0, 0.0], [0.0, 0.0, 1.0]]), "negative"),
        (np.eye(6), "shape \\(6, 6\\)"),
    ],
)
def test_what_is_no_covariance_is_refused(C: np.ndarray, says: str) -> None:
    with pytest.raises(InputError, match=says):
        as_covariance("C", C, 3)


def test_a_stack_is_judged_as_one_by_one_and_the_first_that_fails_is_named() -> None:
    flat, crooked = np.diag([1.0, 1.0, 0.0]), np.eye(3) + np.eye(3, k=1) * 1e-9
    np.testing.assert_array_equal(
        as_covariance_stack("C", [np.eye(3), flat, crooked], 3), [as_covariance("C", one, 3) for one in (np.eye(3), flat, crooked)]
    )
    with pytest.raises(InputError, match=r"C\[1\].*negative"):
        as_covariance_stack("C", [np.eye(3), -np.eye(3)], 3)
    with pytest.raises(InputError, match="NaN"):
        as_covariance_stack("C", [np.eye(3), np.full((3, 3), np.nan)], 3)
    half = [0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5)]
    np.testing.assert_array_equal(as_unit_quaternion_stack("q", [[0.0, 0.0, 0.0, 1.0], half])[1], as_unit_quaternion("q", half))
    with pytest.raises(InputError, match=r"q\[1\].*does not see"):
        as_unit_quaternion_stack("q", [half, [0.0] * 4])
