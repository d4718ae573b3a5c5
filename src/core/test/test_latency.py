"""Latency of two streams: known offsets come back, the standard deviation holds, and what tells no offset is refused with the reason."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.latency import LatencyConfig, Motion, as_motion, estimate_latency, field_motion, image_motion, pose_motion
from lodestone_core.latency.likelihood import block_variance, explained, most_likely
from lodestone_core.latency.model import Features, predictions
from lodestone_core.latency.motion import as_function, components, covered, smoothed
from lodestone_core.types import Array

T0 = 1_700_000_000_000_000_000
LOOSE = LatencyConfig(max_radius_s=1.0)


def wave(rng: np.random.Generator, low_hz: float = 0.2, high_hz: float = 1.3, tones: int = 6) -> Callable[[Array], Array]:
    rate, phase = rng.uniform(low_hz, high_hz, tones), rng.uniform(0.0, 2.0 * np.pi, tones)
    height = 1.0 / np.sqrt(rate)
    return lambda t: np.asarray(np.sin(2.0 * np.pi * np.outer(t, rate) + phase) @ height)


def stream(
    name: str,
    z: Callable[[Array], Array],
    rate_hz: float,
    late_s: float,
    rng: np.random.Generator,
    *,
    seconds: float = 20.0,
    noise: float = 0.01,
) -> Motion:
    t = np.arange(rng.uniform(0.0, 1.0) / rate_hz, seconds, 1.0 / rate_hz)
    values = z(t) + noise * rng.standard_normal(len(t))
    return as_motion(name, T0 + np.round(1e9 * (t + late_s)).astype(np.int64), values)


@pytest.mark.parametrize("offset_s", [0.0, 0.001, -0.0437, 0.2])
def test_a_known_offset_comes_back_with_its_sign_at_any_pair_of_rates(offset_s: float) -> None:
    for seed, (rate_a, rate_b) in enumerate([(100.0, 100.0), (40.0, 10.0), (10.0, 100.0)]):
        rng = np.random.default_rng(seed)
        z = wave(rng)
        a = stream("a", z, rate_a, 0.01, rng)
        found = estimate_latency(a, stream("b", lambda t, z=z: -3.0 * z(t), rate_b, 0.01 + offset_s, rng), LOOSE)
        assert found.seconds == pytest.approx(offset_s, abs=max(5.0 * found.sigma_s, 5e-4))
        assert found.sigma_s < 1e-3
        assert found.share > 0.99


def test_a_stream_against_itself_has_no_offset_and_exchanged_streams_the_opposite_one() -> None:
    rng = np.random.default_rng(4)
    z = wave(rng)
    a, b = stream("a", z, 50.0, 0.0, rng), stream("b", z, 33.0, 0.07, rng)
    assert estimate_latency(a, a, LOOSE).seconds == pytest.approx(0.0, abs=2e-5)
    there, back = estimate_latency(a, b, LOOSE), estimate_latency(b, a, LOOSE)
    assert there.seconds == pytest.approx(-back.seconds, abs=3.0 * there.sigma_s)


def test_the_standard_deviation_covers_the_error() -> None:
    errors = []
    for seed in range(40):
        rng = np.random.default_rng([11, seed])
        z = wave(rng)
        offset_s = rng.uniform(-0.1, 0.1)
        a, b = (stream(name, z, rate, late, rng, noise=0.3) for name, rate, late in (("a", 40.0, 0.0), ("b", 25.0, offset_s)))
        found = estimate_latency(a, b, LOOSE)
        errors.append((found.seconds - offset_s) / found.sigma_s)
    held = np.mean(np.abs(errors) < 1.96)
    assert 0.85 <= held <= 1.0
    assert np.sqrt(np.mean(np.square(errors))) > 0.4, "not merely cautious"


def test_lost_and_jittered_samples_and_wild_units_change_little() -> None:
    rng = np.random.default_rng(7)
    z = wave(rng)
    a, b = stream("a", z, 100.0, 0.0, rng), stream("b", lambda t: 1e-9 * z(t), 30.0, 0.05, rng, noise=1e-11)
    kept = rng.random(len(b.stamps_ns)) > 0.2
    jittered = b.stamps_ns + np.round(5e5 * rng.standard_normal(len(b.stamps_ns))).astype(np.int64)
    found = estimate_latency(a, as_motion("b", jittered[kept], b.views[0][kept]), LOOSE)
    assert found.seconds == pytest.approx(0.05, abs=1e-3)


def field_and_camera(seed: int) -> tuple[Motion, Motion, float]:
    """Sizes of a field that falls with the cube of the distance, at 100 Hz, and a camera's pixels at 10 Hz; offset of the latter in s."""
    rng = np.random.default_rng([22, seed])
    along, first, second = (wave(rng) for _ in range(3))

    def place(t: Array) -> Array:
        slanted = np.array([0.0, 0.0, 80.0]) + np.outer(along(t), [6.0, -5.0, 6.2])
        return np.asarray(slanted + np.column_stack([np.zeros_like(t), 3.0 * first(t), 3.0 * second(t)]))

    offset_s, fast, slow = rng.uniform(-0.2, 0.2), np.arange(0.0, 20.0, 0.01), np.arange(0.04, 20.0, 0.1)
    sensors = np.array([[x, y, 0.0] for x in (-60.0, 0.0, 60.0) for y in (-60.0, 0.0, 60.0)])
    field = 1e5 * np.linalg.norm(place(fast)[:, None] - sensors, axis=2) ** -3.0
    seen = place(slow)[:, :2] * 500.0 / (500.0 - place(slow)[:, 2:]) + 0.03 * rng.standard_normal((len(slow), 2))
    a = as_motion("a", T0 + np.round(1e9 * fast).astype(np.int64), field + 5e-4 * rng.standard_normal(field.shape))
    return a, as_motion("b", T0 + np.round(1e9 * (slow + offset_s)).astype(np.int64), seen), offset_s


def test_a_slow_camera_over_a_strongly_curved_field_is_held_to_a_fraction_of_a_millisecond() -> None:
    """Places of 0.03 mm at 10 Hz, moving with 40 mm/s, tell a latency to 0.03 / 40 / sqrt(200) s = 0.05 ms. With both smoothed to the rate
    of the slower one first, the curve of the field no longer fits: that lost a factor of ten."""
    errors = []
    for seed in range(6):
        a, b, offset_s = field_and_camera(seed)
        errors.append(1e3 * (estimate_latency(a, b).seconds - offset_s))
    assert np.sqrt(np.mean(np.square(errors))) < 0.3
    assert np.max(np.abs(errors)) < 0.6


def test_two_slow_streams_of_a_quick_motion_are_not_drawn_to_each_others_samples() -> None:
    errors = []
    for seed in range(12):
        rng = np.random.default_rng([23, seed])
        z = wave(rng, high_hz=3.0)
        a = stream("a", z, 10.0, 0.0, rng)
        found = estimate_latency(a, stream("b", z, 10.0, 0.08, rng), LOOSE)
        errors.append((found.seconds - 0.08) / found.sigma_s)
    assert np.sqrt(np.mean(np.square(errors))) < 1.6


def test_a_short_stream_within_a_long_one_is_used_whole_whichever_is_slower() -> None:
    for seed, (rate_a, rate_b) in enumerate([(40.0, 10.0), (10.0, 40.0)]):
        rng = np.random.default_rng([24, seed])
        z = wave(rng)
        long = stream("a", z, rate_a, 0.0, rng, seconds=70.0)
        short = stream("b", lambda t, z=z: z(t + 25.0), rate_b, 25.0 - 0.06, rng)
        found = estimate_latency(long, short, LOOSE)
        assert found.seconds == pytest.approx(-0.06, abs=1e-3)
        assert found.overlap_s == pytest.approx(20.0, abs=0.5)


def test_a_curved_image_of_the_motion_is_followed() -> None:
    rng = np.random.default_rng(8)
    z = wave(rng)
    a = stream("a", z, 60.0, 0.0, rng)
    t = np.arange(0.0, 20.0, 0.01)
    bent = np.column_stack([np.exp(0.4 * z(t)), 1.0 / (4.0 + z(t))])
    found = estimate_latency(a, as_motion("b", T0 + np.round(1e9 * (t - 0.03)).astype(np.int64), bent), LOOSE)
    assert found.seconds == pytest.approx(-0.03, abs=5e-4)


def test_streams_without_a_shared_motion_are_refused() -> None:
    rng = np.random.default_rng(9)
    a, b = stream("a", wave(rng), 40.0, 0.0, rng), stream("b", wave(rng), 40.0, 0.0, rng)
    with pytest.raises(InputError, match=r"latency of b against a: .*(motion that both see|one offset that fits best)"):
        estimate_latency(a, b, LOOSE)


def test_pure_noise_is_no_shared_motion() -> None:
    rng = np.random.default_rng(10)
    a, b = (as_motion(n, T0 + np.arange(800) * 25_000_000, rng.standard_normal((800, 3))) for n in "ab")
    with pytest.raises(InputError, match="motion that both see"):
        estimate_latency(a, b, LOOSE)


def test_a_periodic_motion_is_ambiguous_until_the_search_is_shorter_than_half_a_period() -> None:
    rng = np.random.default_rng(12)

    def z(t: Array) -> Array:
        return np.asarray(np.sin(2.0 * np.pi * 2.5 * t))

    a, b = stream("a", z, 50.0, 0.0, rng), stream("b", z, 50.0, 0.03, rng)
    with pytest.raises(InputError, match=r"one offset that fits best, got one at .* and another nearly as good.*irregularly"):
        estimate_latency(a, b, LOOSE)
    near = LatencyConfig(max_radius_s=1.0, max_offset_s=0.09)
    assert estimate_latency(a, b, near).seconds == pytest.approx(0.03, abs=2e-3)


def test_an_offset_beyond_the_search_is_refused() -> None:
    rng = np.random.default_rng(13)
    z = wave(rng, 0.05, 0.2)
    a, b = stream("a", z, 50.0, 0.0, rng), stream("b", z, 50.0, 0.4, rng)
    with pytest.raises(InputError, match="max_offset_s"):
        estimate_latency(a, b, LatencyConfig(max_radius_s=1.0, max_offset_s=0.3))


def test_streams_that_do_not_overlap_or_hardly_are_refused() -> None:
    rng = np.random.default_rng(14)
    z = wave(rng)
    a = stream("a", z, 50.0, 0.0, rng)
    with pytest.raises(InputError, match="do not overlap"):
        estimate_latency(a, stream("b", z, 50.0, 60.0, rng))
    with pytest.raises(InputError, match="overlap"):
        estimate_latency(a, stream("b", z, 50.0, 15.0, rng))


def test_a_stream_with_holes_most_of_the_time_is_refused() -> None:
    rng = np.random.default_rng(15)
    z = wave(rng)
    a, b = stream("a", z, 50.0, 0.0, rng), stream("b", z, 50.0, 0.0, rng)
    kept = (b.stamps_ns - T0) % 2_000_000_000 < 600_000_000
    with pytest.raises(InputError, match="samples of both"):
        estimate_latency(a, as_motion("b", b.stamps_ns[kept], b.views[0][kept]), LOOSE)


def test_a_fast_stream_in_short_bursts_between_the_other_ones_stamps_is_refused() -> None:
    rng = np.random.default_rng(29)
    z = wave(rng)
    a, b = stream("a", z, 10.0, 0.0, rng), stream("b", z, 1000.0, 0.0, rng)
    phase_ms = (b.stamps_ns - int(a.stamps_ns[0])) % 100_000_000 / 1e6
    kept = (phase_ms > 45.0) & (phase_ms < 55.0)
    for max_offset_s in (0.02, 0.5):
        with pytest.raises(InputError, match="samples of both"):
            estimate_latency(a, as_motion("b", b.stamps_ns[kept], b.views[0][kept]), LatencyConfig(max_offset_s=max_offset_s))


def test_an_uncertain_offset_is_refused() -> None:
    rng = np.random.default_rng(16)
    z = wave(rng)
    a, b = (stream(n, z, 40.0, 0.0, rng, noise=0.2) for n in "ab")
    with pytest.raises(InputError, match=r"within 2 ms \(95 %\), got .* ms; record longer, with quicker"):
        estimate_latency(a, b)


@pytest.mark.parametrize(
    ("stamps", "values", "said"),
    [
        (np.arange(30) * 0.1, np.arange(30.0), "nanoseconds"),
        (np.arange(30), np.arange(29.0), "nanoseconds"),
        (np.arange(30), np.full(30, np.nan), "valid samples"),
        (np.arange(30), np.ones((30, 3)), "the same values all the time"),
        (np.zeros(30, dtype=np.int64), np.arange(30.0), "valid samples"),
    ],
)
def test_what_is_no_stream_is_refused(stamps: Array, values: Array, said: str) -> None:
    with pytest.raises(InputError, match=said):
        as_motion("stream", stamps, values)


def test_smoothing_keeps_a_parabola_and_shifts_nothing() -> None:
    rng = np.random.default_rng(17)
    t = np.sort(rng.uniform(0.0, 10.0, 400))
    at = np.linspace(1.0, 9.0, 50)
    assert smoothed(t, np.column_stack([t**2 - 3.0 * t]), at, 0.1)[:, 0] == pytest.approx(at**2 - 3.0 * at, abs=1e-6)
    even = np.arange(0.0, 10.0, 0.01)
    a = 0.5 * (2.0 * np.pi * 0.1) ** 2
    found = smoothed(even, np.cos(2.0 * np.pi * even)[:, None], at, 0.1)[:, 0]
    expected = np.exp(-a) * (1.0 + a) * np.cos(2.0 * np.pi * at)
    assert found == pytest.approx(expected, abs=1e-3), "parabolas under a Gaussian take this much from a wave, and no phase"
    assert np.isnan(smoothed(even, even[:, None], np.array([20.0]), 0.1)).all()


def test_a_stream_becomes_a_function_that_averages_noise_or_runs_through_sparse_samples() -> None:
    rng = np.random.default_rng(25)
    dense, sparse, at = np.arange(0.0, 20.0, 0.01), np.arange(0.0, 20.0, 0.1), np.linspace(1.0, 19.0, 333)

    def z(t: Array) -> Array:
        return np.asarray(np.sin(2.0 * np.pi * 1.2 * t) + np.sin(2.0 * np.pi * 0.4 * t + 1.0))

    noisy = as_function(dense, (z(dense) + 0.1 * rng.standard_normal(len(dense)))[:, None])(at)[:, 0]
    assert np.sqrt(np.mean((noisy - z(at)) ** 2)) < 0.06
    assert as_function(sparse, z(sparse)[:, None])(at)[:, 0] == pytest.approx(z(at), abs=2e-3)


def test_a_gap_is_not_covered() -> None:
    t = np.array([0.0, 1.0, 2.0, 5.0, 6.0])
    assert covered(t, np.array([-0.1, 0.5, 3.0, 5.5, 6.1]), 1.5).tolist() == [False, True, False, True, False]


def test_components_are_in_units_of_the_first_and_the_quiet_column_leads() -> None:
    rng = np.random.default_rng(18)
    z = np.sin(np.arange(500) * 0.05)
    loud = 100.0 * rng.standard_normal(500)
    found = components(np.column_stack([loud, z]), 2)
    assert found[:, 0].std() == pytest.approx(1.0)
    assert found[:, 1].std() < 0.01, "noise is small beside what moves, however loud"
    assert abs(np.corrcoef(found[:, 0], z)[0, 1]) > 0.99


def test_the_likelihood_is_that_of_the_whole_gaussian_process() -> None:
    rng = np.random.default_rng(26)
    z = wave(rng)
    a, b = stream("a", z, 50.0, 0.0, rng), stream("b", z, 10.0, 0.0, rng, noise=0.1)
    prediction = next(iter(predictions(a, b, LatencyConfig())))
    used = prediction.holds(0.0)
    best = most_likely(prediction, 0.0, used)
    x, y = prediction.at(0.0, used)
    square = np.sum((x[:, None] - x[None]) ** 2, axis=2)
    expected = []
    for length in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0):
        for noise in 10.0 ** np.arange(-6, 2):
            covariance = np.exp(-0.5 * square / length**2) + noise * np.eye(len(y))
            size = float(y @ np.linalg.solve(covariance, y)) / len(y)
            expected.append(-0.5 * np.log(size) - 0.5 * np.linalg.slogdet(covariance)[1] / len(y))
    assert best.evidence == pytest.approx(max(expected), abs=0.01)


def test_features_make_the_kernel_and_change_as_their_differences_say() -> None:
    rng = np.random.default_rng(27)
    centres, rate, h = rng.standard_normal((40, 2)), rng.standard_normal((40, 2)), 1e-6
    features = Features(centres, 1.5)
    kernel = np.exp(-0.5 * np.sum((centres[:, None] - centres[None]) ** 2, axis=2) / 1.5**2)
    assert features(centres) @ features(centres).T == pytest.approx(kernel, abs=1e-6)
    z = rng.standard_normal((40, 2))
    differences = (features(z + h * rate) - features(z - h * rate)) / (2.0 * h)
    # The least eigenvalues that are kept are 1e-10 of the largest: their functions are only known to the root of the rounding.
    assert features.change(z, rate) == pytest.approx(differences, abs=1e-3)


def test_the_share_explained_is_that_of_parts_that_were_left_out() -> None:
    rng = np.random.default_rng(28)
    x = np.cumsum(rng.standard_normal((60, 2)), axis=0) / 4.0
    y = np.sin(x[:, 0]) + 0.1 * rng.standard_normal(60)
    features = Features(x[::6], 2.0)
    P, lost = features(x), 0.0
    for part in np.array_split(np.arange(60), 5):
        rest = np.setdiff1d(np.arange(60), part)
        weights = np.linalg.solve(P[rest].T @ P[rest] + 1e-3 * np.eye(P.shape[1]), P[rest].T @ y[rest])
        lost += float(np.sum((y[part] - P[part] @ weights) ** 2))
    assert explained(x, y, (features, 1e-3), 5) == pytest.approx(1.0 - lost / float(np.sum((y - y.mean()) ** 2)))
    assert explained(x, np.ones(60), (features, 1e-3), 5) == -np.inf, "what does not move is not explained"


def test_the_variance_of_a_sum_is_that_of_what_depends_on_one_another() -> None:
    rng = np.random.default_rng(19)
    white = np.array([block_variance(rng.standard_normal(2000), 20) for _ in range(50)])
    assert white.mean() == pytest.approx(2000.0, rel=0.1)
    slow = [block_variance(np.convolve(rng.standard_normal(2020), np.ones(10), "valid")[:2000], 100) for _ in range(50)]
    assert np.mean(slow) == pytest.approx(2000.0 * 100.0, rel=0.2)


def test_an_image_says_where_the_bright_spot_is() -> None:
    t = np.linspace(0.0, 6.0, 60)
    u, v = 60.0 + 30.0 * np.sin(t), 40.0 + 15.0 * np.cos(1.3 * t)
    y, x = np.mgrid[:90, :120]
    frames = 20.0 + 200.0 * np.exp(-0.5 * ((x - u[:, None, None]) ** 2 + (y - v[:, None, None]) ** 2) / 9.0)
    place, cells = image_motion(frames.astype(np.uint8))
    assert cells.shape[0] == 60
    assert max(abs(np.corrcoef(place[:, i], u)[0, 1]) for i in range(4)) > 0.995
    assert max(abs(np.corrcoef(place[:, i], v)[0, 1]) for i in range(4)) > 0.995


def test_a_pose_is_a_place_and_an_arc_and_a_field_a_pattern_and_its_size() -> None:
    turn = Rotation.from_rotvec([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [-0.2, 0.0, 0.0]])
    T = se3.make(turn.as_matrix(), np.arange(9.0).reshape(3, 3))
    found = pose_motion(T)
    assert found[:, :3] == pytest.approx(np.arange(9.0).reshape(3, 3))
    assert found[:, 3] == pytest.approx([0.0, 10.0, -20.0])
    fields = np.random.default_rng(20).standard_normal((5, 4, 3)) * 1e-5
    plain, pattern = field_motion(fields + np.array([0.0, 2e-5, -4e-5]))
    assert pattern == pytest.approx(field_motion(fields)[1]), "a uniform background is no pattern"
    assert pattern[:, :-1] == pytest.approx(field_motion(3.0 * fields)[1][:, :-1])
    assert plain.shape == (5, 12)
    assert len(field_motion(fields[:, :1])) == 1
