"""Driver and bench have each their own maths of a C-arm's angles; they agree."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lodestone_core import se3
from xray_registration.projection import Projection, T_isocentre_source

geometry = pytest.importorskip("lodestone_bench.c_arm.geometry")
config = pytest.importorskip("lodestone_bench.c_arm.config")


@pytest.mark.parametrize("angles", [(0.0, 0.0), (33.0, -12.0), (-95.0, 40.0), (170.0, 5.0)])
def test_pose_and_pixels_are_the_same(angles: tuple[float, float]) -> None:
    c_arm = config.CArmConfig()
    view = geometry.view(c_arm, *angles)
    projection = Projection(c_arm.size_px, (c_arm.spacing_mm,) * 2, 1200.0, 750.0, (255.5, 255.5))
    T_bench_isocentre = se3.make(geometry.LYING, np.array(c_arm.isocentre_mm))
    T_bench_source = T_bench_isocentre @ T_isocentre_source(projection, *map(math.radians, angles))
    assert T_bench_source == pytest.approx(view.T_bench_source(), abs=1e-9)
    points = np.array(c_arm.isocentre_mm) + np.random.default_rng(0).uniform(-90.0, 90.0, (20, 3))
    assert projection.project(se3.transform(se3.inverse(T_bench_source), points)) == pytest.approx(view.pixels(points)[0], abs=1e-8)
