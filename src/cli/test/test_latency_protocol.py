"""The protocol `latency_calibration`: what it scores, that a refusal is an infinite error, and the motion that its sensors see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lodestone_bench.world.shared_motion import SENSORS, draw_motion, draw_periodic_motion, record
from lodestone_cli.commands.evaluate import PROTOCOLS
from lodestone_cli.protocols.latency_calibration import (
    ALL,
    LIKELIHOOD,
    PAIRS,
    PLAIN,
    LatencyProtocolConfig,
    Run,
    case_rows,
    draw_pair,
    plain_peak_s,
)
from lodestone_core.latency import as_motion, estimate_latency
from lodestone_core.results import load_protocol, settings_of

PROTOCOL = Path(__file__).resolve().parents[3] / "evaluation" / "protocols" / "latency_calibration.yaml"
T0 = 1_700_000_000_000_000_000


def test_the_protocol_file_names_a_known_protocol_and_the_figures_of_the_issue() -> None:
    protocol = load_protocol(PROTOCOL)
    assert protocol["protocol"] in PROTOCOLS
    config = settings_of(protocol, LatencyProtocolConfig)
    assert (config.duration_s, config.least_offset_s, config.largest_offset_s) == (20.0, 0.001, 0.2)
    assert {"metric": "latency_error_max", "method": LIKELIHOOD, "max": 2.0, "unit": "ms"} in protocol["thresholds"]


def test_a_refusal_counts_as_an_infinite_error_and_coverage_is_of_what_was_found() -> None:
    runs = [Run("a - b", 0.01, 0.0115, 1e-3, 0.02), Run("a - b", 0.01, 0.013, 1e-3, 0.01)]
    rows = {(row.method, row.metric): row.value for row in case_rows("a - b", runs)}
    assert rows[LIKELIHOOD, "latency_error_max"] == pytest.approx(3.0)
    assert rows[PLAIN, "latency_error_max"] == pytest.approx(10.0)
    assert rows[LIKELIHOOD, "coverage"] == 50.0
    refused = Run("a - b", 0.01, float("nan"), float("nan"), 0.01, "no shared motion")
    rows = {(row.method, row.metric): row.value for row in case_rows(ALL, [*runs, refused])}
    assert rows[LIKELIHOOD, "latency_error_max"] == np.inf
    assert rows[LIKELIHOOD, "refused"] == pytest.approx(100.0 / 3.0)


def test_the_baseline_finds_the_lag_of_one_signal_to_its_step_whatever_its_sign() -> None:
    t = np.arange(0.0, 20.0, 0.01)
    z = np.sin(2.1 * t) + np.sin(5.3 * t + 1.0)
    a = as_motion("a", T0 + np.round(1e9 * t).astype(np.int64), z)
    b = as_motion("b", T0 + np.round(1e9 * (t + 0.07)).astype(np.int64), -z)
    assert plain_peak_s(a, b, 0.5) == pytest.approx(0.07, abs=0.011)


@pytest.mark.parametrize("sensor", SENSORS)
def test_a_sensor_stamps_its_latency_late_at_its_rate_and_repeats_with_the_seed(sensor: str) -> None:
    motion = draw_motion(np.random.default_rng(1))
    first, again, late = (record(sensor, motion, 3.0, latency_s, np.random.default_rng(2)) for latency_s in (0.0, 0.0, 0.05))
    assert np.array_equal(first.values, again.values) and np.array_equal(first.stamps_ns, again.stamps_ns)
    assert np.array_equal(first.values, late.values)
    assert late.stamps_ns - first.stamps_ns == pytest.approx(5e7, abs=2)
    assert 1e9 / np.median(np.diff(first.stamps_ns)) == pytest.approx(SENSORS[sensor][1], rel=0.03)
    assert np.isfinite(first.values).all() and np.ptp(first.values.reshape(len(first.values), -1), axis=0).max() > 0.0


def test_the_periodic_motion_comes_again_and_the_other_does_not() -> None:
    times = np.linspace(0.0, 5.0, 200)
    periodic, free = draw_periodic_motion(np.random.default_rng(3)), draw_motion(np.random.default_rng(3))
    later = times + 1.0 / 3.0
    assert periodic.T_bench_tool(times) == pytest.approx(periodic.T_bench_tool(later), abs=1e-6)
    assert np.abs(free.T_bench_tool(times) - free.T_bench_tool(later)).max() > 5.0


@pytest.mark.parametrize(
    ("seed", "pair", "number"),
    [(1020, 1, 8), (1017, 6, 15), (1002, 1, 11), (1011, 1, 1), (1017, 1, 12), (1005, 3, 11), (1009, 2, 0), (1000, 1, 15)],
)
def test_the_worst_of_2688_recordings_of_other_seeds_are_within_a_millisecond(seed: int, pair: int, number: int) -> None:
    """Off by 2 ms and more, or refused, while both streams were smoothed to the slower one's rate."""
    rng = np.random.default_rng([seed, pair, number])
    a, b, true_s = draw_pair(*PAIRS[pair], draw_motion(rng), LatencyProtocolConfig(seed=seed), rng)
    found = estimate_latency(a, b)
    assert found.seconds == pytest.approx(true_s, abs=1e-3)
    assert abs(found.seconds - true_s) < 3.5 * found.sigma_s
