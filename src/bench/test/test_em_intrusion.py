"""Time series of metal that comes in: a rigid tool, an error that rises with it, and interpolated currents that are the solved ones."""

from __future__ import annotations

import numpy as np
import pytest

from lodestone_bench.em_physics.anatomy import draw_anatomy
from lodestone_bench.em_physics.coils import planar_generator
from lodestone_bench.em_physics.intrusion import INTRUDERS, IntrusionConfig, draw_intrusion, moving_field
from lodestone_bench.em_physics.kits import apart, draw_kit
from lodestone_bench.em_physics.metal import respond
from lodestone_core import se3
from lodestone_core.errors import InputError

ONCE = np.zeros(1, dtype=np.intp)


@pytest.mark.parametrize("kind", ["none", *INTRUDERS])
def test_a_run_of_every_kind_is_whole(kind: str) -> None:
    config = IntrusionConfig(speed_mm_s=(100.0, 500.0))
    run = draw_intrusion(np.random.default_rng(1), kind, config, duration_s=5.0)
    frames = len(run.times_s)
    assert run.T_measured.shape == (frames, 2, 4, 4) and run.indicator_mm.shape == run.error_mm.shape == (frames, 2)
    assert np.isfinite(run.T_measured).all() and np.isfinite(run.indicator_mm).all()
    relative = se3.inverse(run.T_true[:, 0]) @ run.T_true[:, 1]
    assert np.abs(relative - relative[0]).max() < 1e-9, "one rigid tool"
    assert 40.0 <= np.linalg.norm(relative[0, :3, 3]) <= 80.0
    speed = np.linalg.norm(np.diff(run.T_true[:, 0, :3, 3], axis=0), axis=1).max() * config.rate_hz
    assert 0.5 < speed < 150.0, "as fast as a hand, mm/s"
    if kind == "none":
        assert frames == 200 and run.error_mm.max() == 0.0 and run.error_rad.max() == 0.0


def test_the_error_rises_when_the_metal_has_come_and_the_tool_says_so() -> None:
    runs = [draw_intrusion(np.random.default_rng(seed), "c_arm", IntrusionConfig(gap_mm=(15.0, 20.0))) for seed in range(6)]
    before = np.array([run.error_mm[run.times_s < run.moves_s].max() for run in runs])
    after = np.array([run.error_mm[-80:].max() for run in runs])
    assert np.median(before) < 0.3 < 1.0 < np.median(after)
    told = np.array([np.median(run.indicator_mm[-80:]) / np.median(run.indicator_mm[run.times_s < run.moves_s]) for run in runs])
    assert np.median(told) > 2.0


@pytest.mark.parametrize("seed", range(8))
def test_interpolated_currents_are_the_solved_ones(seed: int) -> None:
    rng = np.random.default_rng(seed)
    way = np.array([0.3, 3.0, 77.7, 200.1, 447.0, 450.0])
    rows = np.zeros(len(way), dtype=np.intp)
    while True:  # as in a run, metal that touches other metal is drawn again
        anatomy = draw_anatomy(rng, 1)
        kit, static = draw_kit(rng, anatomy, "ring_and_sheet"), draw_kit(rng, anatomy, "rods").at(np.array([50.0]), ONCE)
        if apart((*(body.taken(rows) for body in static), *kit.at(way, rows))).all():
            break
    points = np.repeat(anatomy.T_field_target[:, :8, :3, 3], len(way), axis=0)
    found = moving_field(static, kit, way, points)
    for i, d in enumerate(way):
        exact = respond((*static, *kit.at(np.array([d]), ONCE)), planar_generator()).in_phase_field(points[:1])[0]
        assert np.abs(found[i] - exact).max() < 1e-2 * np.abs(exact).max(), "where metal passes other metal; elsewhere below 1e-3"


def test_a_run_repeats_with_its_seed_and_an_unknown_kind_is_refused() -> None:
    one, two = (draw_intrusion(np.random.default_rng(5), "ring", IntrusionConfig(speed_mm_s=(200.0, 300.0))) for _ in range(2))
    assert np.array_equal(one.T_measured, two.T_measured) and one.speed_mm_s == two.speed_mm_s
    with pytest.raises(InputError, match="c_arm"):
        draw_intrusion(np.random.default_rng(5), "hammer")
