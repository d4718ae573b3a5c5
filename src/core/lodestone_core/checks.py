"""Validation at the door: each `as_x(name, value)` returns a float64 copy or raises InputError with name and remedy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lodestone_core.errors import InputError
from lodestone_core.types import Array

# Wide enough for matrices from text files with five decimals, far below any fault of scale or order.
ROTATION_TOLERANCE = 1e-4
QUATERNION_TOLERANCE = 1e-3
SYMMETRY_TOLERANCE = 1e-6


def as_array(name: str, value: npt.ArrayLike, shape: tuple[int | None, ...]) -> Array:
    """`value` as finite float64 of the given shape; None stands for any length of that axis."""
    expected = "an array of shape (" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(name, expected=f"{expected} of numbers", got=f"{type(value).__name__}", remedy="give plain numbers") from None
    if array.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True)):
        transposed = array.ndim == 2 and all(n in (None, m) for n, m in zip(shape, array.shape[::-1], strict=False))
        remedy = "transpose it" if transposed else "check which value goes where"
        raise InputError(name, expected=expected, got=f"shape {array.shape}", remedy=remedy)
    bad = int(np.count_nonzero(~np.isfinite(array)))
    if bad:
        raise InputError(name, expected="finite numbers", got=f"{bad} NaN or infinite", remedy="drop missing samples")
    return array


def as_se3(name: str, T: npt.ArrayLike) -> Array:
    """A rigid transform 4x4 (mm)."""
    array = as_array(name, T, (4, 4))
    _check_poses(name, array[None])
    return array


def as_se3_stack(name: str, T: npt.ArrayLike, at_least: int = 1) -> Array:
    """Rigid transforms (N, 4, 4) in mm with N >= at_least."""
    array = as_array(name, T, (None, 4, 4))
    _check_count(name, len(array), at_least, "poses")
    _check_poses(name, array)
    return array


def as_point(name: str, x: npt.ArrayLike) -> Array:
    """A point or vector (3,)."""
    return as_array(name, x, (3,))


def as_points(name: str, x: npt.ArrayLike, at_least: int = 1) -> Array:
    """Points (N, 3) with N >= at_least."""
    array = as_array(name, x, (None, 3))
    _check_count(name, len(array), at_least, "points")
    return array


def as_unit_quaternion(name: str, q: npt.ArrayLike) -> Array:
    """A quaternion x y z w (4,), normalised when its length is 1 to within rounding in a file."""
    normalised: Array = _normalised(name, as_array(name, q, (4,))[None])[0]
    return normalised


def as_unit_quaternion_stack(name: str, q: npt.ArrayLike) -> Array:
    """Quaternions (N, 4) as as_unit_quaternion takes them."""
    return _normalised(name, as_array(name, q, (None, 4)))


def as_covariance(name: str, C: npt.ArrayLike, size: int) -> Array:
    """A symmetric positive semi-definite matrix (size, size), made exactly symmetric."""
    array = as_array(name, C, (size, size))
    return array if _plainly_covariances(array) else _as_covariance(name, array)


def as_covariance_stack(name: str, C: npt.ArrayLike, size: int) -> Array:
    """Matrices (N, size, size) as as_covariance takes them."""
    array = as_array(name, C, (None, size, size))
    if _plainly_covariances(array):
        return array
    checked = [_as_covariance(name if len(array) == 1 else f"{name}[{i}]", one) for i, one in enumerate(array)]
    return np.array(checked).reshape(array.shape)


def _plainly_covariances(C: Array) -> bool:
    """Whether all (..., n, n) are exactly symmetric and positive definite: so are nearly all in a stream, and two calls tell."""
    if not (np.swapaxes(C, -1, -2) == C).all():
        return False
    try:
        np.linalg.cholesky(C)
    except np.linalg.LinAlgError:
        return False
    return True


def _as_covariance(name: str, array: Array) -> Array:
    # Judged as correlations, since the axes have different units (mm and rad); the floor is rounding of the largest.
    floor = 16.0 * np.finfo(np.float64).eps * float(np.abs(array).max())
    variance = np.diag(array)
    if np.any(variance < -floor):
        got, remedy = f"a variance of {variance.min():.3g} (negative)", "check its source"
        raise InputError(name, expected="a positive semi-definite covariance", got=got, remedy=remedy)
    sigma = np.sqrt(np.maximum(variance, 0.0))
    scale = np.outer(sigma, sigma)
    asymmetry = np.abs(array - array.T)
    if np.any(asymmetry > SYMMETRY_TOLERANCE * scale + floor):
        got = f"a difference of {asymmetry.max():.3g} across the diagonal"
        raise InputError(name, expected="a symmetric covariance", got=got, remedy="check order and units of its axes")
    array = 0.5 * (array + array.T)
    correlation = np.divide(array, scale, out=array.copy(), where=scale > 0.0)
    smallest = float(np.linalg.eigvalsh(correlation)[0])
    if smallest < -SYMMETRY_TOLERANCE:
        got = f"a direction of negative variance ({smallest:.3g} of its diagonal)"
        raise InputError(name, expected="a positive semi-definite covariance", got=got, remedy="check its source")
    return array


def _check_count(name: str, count: int, at_least: int, what: str) -> None:
    if count < at_least:
        raise InputError(name, expected=f"at least {at_least} {what}", got=count, remedy=f"collect more {what}")


def _normalised(name: str, q: Array) -> Array:
    """Quaternions (N, 4) divided by their length; names the first that is not about 1."""
    length = np.sqrt((q * q).sum(axis=1))
    wrong = np.abs(length - 1.0) > QUATERNION_TOLERANCE
    if wrong.any():
        i = int(np.argmax(wrong))
        remedy = "a tracker writes zeros for a tool it does not see" if length[i] == 0.0 else "order is x y z w"
        what = name if len(q) == 1 else f"{name}[{i}]"
        raise InputError(what, expected="a quaternion of length 1", got=f"length {length[i]:.6g}", remedy=remedy)
    normalised: Array = q / length[:, None]
    return normalised


def _check_poses(name: str, T: Array) -> None:
    """Bottom row and orthonormal right-handed rotation of (N, 4, 4); names the first pose that fails."""
    expected = "a rigid transform"
    bottom = np.abs(T[:, 3] - (0.0, 0.0, 0.0, 1.0)).max(axis=1)
    R = T[:, :3, :3]
    defect = np.abs(np.swapaxes(R, 1, 2) @ R - np.eye(3)).max(axis=(1, 2))
    wrong = np.flatnonzero((bottom > ROTATION_TOLERANCE) | (defect > ROTATION_TOLERANCE) | (np.linalg.det(R) < 0.0))
    if not wrong.size:
        return
    i = int(wrong[0])
    what = name if len(T) == 1 else f"{name}[{i}]"
    if bottom[i] > ROTATION_TOLERANCE:
        got, remedy = f"bottom row {T[i, 3].tolist()}", "it must be 0 0 0 1; transpose if the translation stands there"
    elif defect[i] > ROTATION_TOLERANCE:
        got, remedy = f"a rotation off by {defect[i]:.3g}", "take out scale and shear, or write more decimals"
    else:
        got, remedy = "a reflection (determinant -1)", "flip one axis: the frames differ in handedness"
    raise InputError(what, expected=expected, got=got, remedy=remedy)
