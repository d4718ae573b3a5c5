"""Line integrals along the rays from the source to every pixel.

Through a volume: a ray is sampled where it crosses the slices across which the beam is steepest, between four voxels each, times the way
from slice to slice (P. M. Joseph, IEEE Trans. Med. Imaging 1(3), 1982). The crossings of all rays with one slice are a plane homography of
the pixels, so that a slice costs one warp.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lodestone_bench.c_arm.geometry import View
from lodestone_core.types import Array

Image = npt.NDArray[np.float32]
Volume = npt.NDArray[np.float32]

WATER_PER_MM = 0.0206
"""Attenuation of water at about 60 keV (J. H. Hubbell and S. M. Seltzer, NISTIR 5632, 1995)."""


def attenuation(hounsfield: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Per mm, of Hounsfield units."""
    return np.asarray(np.maximum(WATER_PER_MM * (1.0 + hounsfield / 1000.0), 0.0), dtype=np.float32)


def through_volume(per_mm: Volume, spacing_mm: Array, T_bench_volume: Array, view: View, size_px: tuple[int, int]) -> Image:
    """Integral (rows, columns) of attenuation per mm (Z, Y, X); the middle of voxel (0, 0, 0) is the volume's origin.

    The beam's source must lie outside the volume. Outside it there is nothing.
    """
    to_index = np.linalg.inv(T_bench_volume)
    source, corner = (_indices(to_index, point, spacing_mm) for point in (view.source, view.corner))
    across, down = ((to_index[:3, :3] @ step) / spacing_mm for step in (view.column_step, view.row_step))
    main = int(np.argmax(np.abs(to_index[:3, :3] @ view.beam) / spacing_mm))
    rest = [axis for axis in range(3) if axis != main]
    columns, rows = size_px
    depth = _linear(corner[main] - source[main], across[main], down[main])
    total = np.zeros((rows, columns), dtype=np.float32)
    for number in range(per_mm.shape[2 - main]):
        to_slice = np.empty((3, 3))
        to_slice[2] = depth
        for row, axis in enumerate(rest):
            to_slice[row] = source[axis] * depth + (number - source[main]) * _linear(corner[axis] - source[axis], across[axis], down[axis])
        total += _warped(_slice(per_mm, main, number), to_slice, (columns, rows))
    return np.asarray(total * _step_mm(view, size_px, depth, spacing_mm[main]))


def _indices(to_index: npt.NDArray[Any], point: Array, spacing_mm: Array) -> Array:
    return np.asarray((to_index[:3, :3] @ point + to_index[:3, 3]) / spacing_mm)


def _linear(constant: float, by_column: float, by_row: float) -> Array:
    """A function of pixels as a row of a homography."""
    return np.array([by_column, by_row, constant])


def _slice(volume: npt.NDArray[np.float32], main: int, number: int) -> npt.NDArray[np.float32]:
    """Across axis x, y or z of a (Z, Y, X) volume; the axis of lower number runs along columns."""
    return np.ascontiguousarray((volume[:, :, number], volume[:, number, :], volume[number])[main])


def _warped(image: npt.NDArray[np.float32], to_slice: Array, size: tuple[int, int]) -> Image:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpPerspective(image, to_slice, size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=0))


def _step_mm(view: View, size_px: tuple[int, int], depth: Array, spacing_mm: float) -> Image:
    """Way of each ray from slice to slice: its length between source and detector over the slices in between."""
    columns, rows = np.meshgrid(np.arange(size_px[0]), np.arange(size_px[1]))
    ray = (view.corner - view.source)[:, None, None] + view.column_step[:, None, None] * columns + view.row_step[:, None, None] * rows
    length = np.linalg.norm(ray, axis=0)
    slices = np.abs(depth[0] * columns + depth[1] * rows + depth[2])
    return np.asarray(length / slices, dtype=np.float32)


def through_sphere(centre_bench: Array, radius_mm: float, view: View, size_px: tuple[int, int]) -> Image:
    """Length in mm of every ray within a sphere."""
    columns, rows = np.meshgrid(np.arange(size_px[0]), np.arange(size_px[1]))
    ray = view.corner - view.source + columns[..., None] * view.column_step + rows[..., None] * view.row_step
    ray = ray / np.linalg.norm(ray, axis=-1, keepdims=True)
    towards = centre_bench - view.source
    miss2 = towards @ towards - (ray @ towards) ** 2
    return np.asarray(2.0 * np.sqrt(np.maximum(radius_mm**2 - miss2, 0.0)), dtype=np.float32)


def of_cloud(points_bench: Array, mass: Array, view: View, size_px: tuple[int, int]) -> tuple[slice, slice, Image]:
    """Integral of small bodies (N, 3), each of attenuation times volume `mass` (N,) in mm^2, averaged over pixels.

    Returns rows, columns and the part of the picture in which they lie; each body falls on the four pixels around it.
    """
    pixels, scale = view.pixels(points_bench)
    # A pixel sees the area of its own over scale^2 at the body, across the ray.
    ray = points_bench - view.source
    slant = (ray @ view.beam) / np.linalg.norm(ray, axis=1)
    pixel_mm2 = float(np.linalg.norm(view.column_step) * np.linalg.norm(view.row_step))
    weight = mass * scale**2 / (pixel_mm2 * slant)
    inside = ((pixels >= 0.0) & (pixels < np.array(size_px) - 1.0)).all(axis=1)
    if not inside.any():
        return slice(0, 0), slice(0, 0), np.zeros((0, 0), np.float32)
    pixels, weight = pixels[inside], weight[inside]
    whole = np.floor(pixels).astype(np.intp)
    first, last = whole.min(axis=0), whole.max(axis=0) + 2
    width, height = last - first
    share, local = pixels - whole, whole - first
    flat = local[:, 1] * width + local[:, 0]
    total = np.zeros(width * height)
    for by_row in (0, 1):
        for by_column in (0, 1):
            part = np.abs(1 - by_column - share[:, 0]) * np.abs(1 - by_row - share[:, 1])
            total += np.bincount(flat + by_row * width + by_column, weight * part, minlength=width * height)
    return slice(int(first[1]), int(last[1])), slice(int(first[0]), int(last[0])), total.reshape(height, width).astype(np.float32)
