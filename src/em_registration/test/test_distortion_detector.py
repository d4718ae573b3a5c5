"""The detector on frames by name: what it learns, what it says, when it takes it back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from em_registration.detection.config import DetectorConfig
from em_registration.detection.detector import DistortionDetector, Evidence
from em_registration.detection.finding import Cause, Finding
from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.estimate import State
from lodestone_core.types import ToolSample, ToolStatus, TrackedFrame

RATE_HZ = 40.0
NOISE = np.array([0.1, 0.1, 0.1, 0.002, 0.002, 0.002])
T_A_B = se3.make(np.eye(3), np.array([5.0, 3.0, 50.0]))
Change = Callable[[float, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Time, poses of both sensors (2, 4, 4) and indicators (2,) as they would be; what the tracker says instead."""


def path(t: float) -> np.ndarray:
    """The first sensor's true pose."""
    turn = 2.0 * np.pi * t / np.array([5.0, 7.0, 6.0, 8.0, 9.0, 7.5])
    return se3.exp(np.array([60.0, 50.0, 40.0, 0.5, 0.4, 0.6]) * np.sin(turn))


class Hand:
    """Moves a tool with sensors `a` and `b` through a quiet field; `alone` is where b is. `change` is what the field does to them."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.change: Change = lambda t, T, indicator: (T, indicator)
        self.degrees_of_freedom = 6
        self.serials = ("1", "2", "3")
        self.names: tuple[str, ...] = ("a", "b")
        self.missing: tuple[str, ...] = ()

    def frames(self, start_s: float, end_s: float) -> Iterator[TrackedFrame]:
        for k in range(round(start_s * RATE_HZ), round(end_s * RATE_HZ)):
            yield self.frame(k)

    def frame(self, k: int) -> TrackedFrame:
        t = k / RATE_HZ
        true = np.stack([path(t), path(t) @ T_A_B])
        noisy = true @ se3.exp(NOISE * self.rng.standard_normal((2, 6)))
        T, indicator = self.change(t, noisy, 0.2 * np.sqrt(self.rng.chisquare(10, 2) / 10.0))
        known = {"a": (T[0], indicator[0]), "b": (T[1], indicator[1]), "alone": (T[1], indicator[1])}
        tools = tuple(self.sample(name, *known[name]) for name in self.names)
        return TrackedFrame(10**18 + round(t * 1e9), 10**18 + round(t * 1e9), k, tools)

    def sample(self, name: str, T: np.ndarray, indicator_mm: float) -> ToolSample:
        serial = dict(zip(("a", "b", "alone"), self.serials, strict=True))[name]
        if name in self.missing:
            return ToolSample(name, ToolStatus.MISSING, None, serial_number=serial)
        return ToolSample(name, ToolStatus.VALID, T, float(indicator_mm), self.degrees_of_freedom, serial_number=serial)


@pytest.fixture
def hand() -> Hand:
    return Hand()


CONFIG = DetectorConfig(bodies=("a+b",), learn_s=8.0, chunk_s=1.0)
QUIET_S = 12.0


def run(detector: DistortionDetector, hand: Hand, start_s: float, end_s: float) -> list[Finding]:
    """Findings of the first body."""
    return [detector.update(frame)[0] for frame in hand.frames(start_s, end_s)]


def learnt(hand: Hand, config: DetectorConfig = CONFIG) -> DistortionDetector:
    """A detector that has seen a quiet field for so long."""
    detector = DistortionDetector(config)
    run(detector, hand, 0.0, QUIET_S)
    return detector


def shifted(hand: Hand, by_mm: float, since_s: float, until_s: float = np.inf) -> None:
    """The second sensor is said to be elsewhere for a while."""

    def change(t: float, T: np.ndarray, indicator: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        T[1, 0, 3] += by_mm * (since_s <= t < until_s)
        return T, indicator

    hand.change = change


def test_it_says_that_it_learns_and_for_how_long_and_then_is_quiet(hand: Hand) -> None:
    findings = run(DistortionDetector(CONFIG), hand, 0.0, 25.0)
    first, last = findings[0], findings[-1]
    assert (first.state, first.causes) == (State.INITIALISING, Cause.LEARNING) and np.isnan(first.statistic)
    assert "keep metal away" in first.detail and "8 s" in first.detail
    assert (last.state, last.detail, last.learnt) == (State.OK, "", 1.0) and last.tools == ("a", "b")
    begun = next(i for i, finding in enumerate(findings) if finding.state is State.OK)
    assert 8.0 <= begun / 40.0 <= 8.3
    assert all(finding.state is State.OK for finding in findings[begun:])


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_sensors_that_move_against_one_another_are_found_within_a_tenth_of_a_second(hand: Hand, names: tuple[str, ...]) -> None:
    hand.names = names
    detector = learnt(hand)
    shifted(hand, 1.5, QUIET_S)
    findings = run(detector, hand, QUIET_S, QUIET_S + 3.0)
    found = next(i for i, finding in enumerate(findings) if finding.state is not State.OK)
    assert found / 40.0 <= 0.1
    assert findings[found].causes is Cause.PAIR
    assert findings[-1].disagreement_mm == pytest.approx(1.5, abs=0.2)
    assert "move metal away" in findings[-1].detail and f"{findings[-1].disagreement_mm:.1f} mm" in findings[-1].detail


def test_a_large_change_is_invalid_and_a_small_one_is_degraded(hand: Hand) -> None:
    detector = learnt(hand)
    shifted(hand, 0.8, QUIET_S)
    assert run(detector, hand, QUIET_S, QUIET_S + 3.0)[-1].state is State.DEGRADED
    shifted(hand, 4.0, QUIET_S + 3.0)
    assert run(detector, hand, QUIET_S + 3.0, QUIET_S + 5.0)[-1].state is State.INVALID


def test_it_is_taken_back_only_after_a_quiet_second(hand: Hand) -> None:
    detector = learnt(hand)
    shifted(hand, 1.0, QUIET_S, QUIET_S + 4.0)
    findings = run(detector, hand, QUIET_S, QUIET_S + 12.0)
    alarmed = np.array([finding.state is not State.OK for finding in findings])
    assert np.count_nonzero(np.diff(alarmed.astype(int))) == 2, "once on, once off"
    assert 5.0 <= np.flatnonzero(alarmed)[-1] / 40.0 <= 11.0


def test_metal_that_creeps_in_is_not_learnt_as_part_of_the_field(hand: Hand) -> None:
    detector = learnt(hand)

    def creep(t: float, T: np.ndarray, indicator: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        T[1, 0, 3] += 0.03 * max(0.0, t - QUIET_S)
        return T, indicator

    hand.change = creep
    findings = run(detector, hand, QUIET_S, QUIET_S + 25.0)
    found = next(i for i, finding in enumerate(findings) if finding.state is not State.OK)
    assert found / 40.0 * 0.03 <= 0.6, "found before it is 0.6 mm"
    assert all(finding.state is not State.OK for finding in findings[found + 200 :])


@pytest.mark.parametrize("with_pair", [True, False])
def test_a_rise_of_the_indicator_is_found_with_one_sensor_alone(hand: Hand, with_pair: bool) -> None:
    hand.names = ("a", "b") if with_pair else ("alone",)
    detector = learnt(hand)

    def poor_fit(t: float, T: np.ndarray, indicator: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return T, indicator * 3.0

    hand.change = poor_fit
    findings = run(detector, hand, QUIET_S, QUIET_S + 2.0)
    found = next(i for i, finding in enumerate(findings) if finding.state is not State.OK)
    assert found / 40.0 <= 0.5 and findings[found].causes is Cause.INDICATOR
    assert "error indicator" in findings[found].detail


def test_a_falling_indicator_is_no_sign_of_metal(hand: Hand) -> None:
    detector = learnt(hand)
    hand.change = lambda t, T, indicator: (T, indicator * 0.4)
    assert all(finding.state is State.OK for finding in run(detector, hand, QUIET_S, QUIET_S + 5.0))


def test_without_an_indicator_the_pair_watches_alone(hand: Hand) -> None:
    hand.change = lambda t, T, indicator: (T, np.full(2, np.nan))
    detector = learnt(hand)

    def change(t: float, T: np.ndarray, indicator: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        T[1, 0, 3] += 1.5
        return T, np.full(2, np.nan)

    hand.change = change
    assert run(detector, hand, QUIET_S, QUIET_S + 1.0)[-1].causes is Cause.PAIR


def test_one_sensor_without_an_indicator_is_never_called_watched(hand: Hand) -> None:
    hand.names = ("alone",)
    hand.change = lambda t, T, indicator: (T, np.full(2, np.nan))
    finding = run(DistortionDetector(CONFIG), hand, 0.0, 20.0)[-1]
    assert (finding.state, finding.causes, finding.learnt) == (State.INITIALISING, Cause.LEARNING, 0.0)
    assert np.isnan(finding.statistic)


def test_an_indicator_that_never_changes_raises_no_alarm(hand: Hand) -> None:
    hand.change = lambda t, T, indicator: (T, np.full(2, 0.25))
    findings = run(DistortionDetector(CONFIG), hand, 0.0, 25.0)
    assert all(finding.state is not State.DEGRADED for finding in findings) and findings[-1].state is State.OK


def test_one_bad_sample_is_no_intrusion(hand: Hand) -> None:
    detector = learnt(hand)
    shifted(hand, 30.0, QUIET_S + 1.0, QUIET_S + 1.02)
    assert all(finding.state is State.OK for finding in run(detector, hand, QUIET_S, QUIET_S + 4.0))


def test_two_halves_of_a_dual_tool_are_paired_by_themselves_and_their_roll_does_not_count(hand: Hand) -> None:
    hand.degrees_of_freedom, hand.serials = 5, ("7", "7", "3")

    def rolling(t: float, T: np.ndarray, indicator: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        angle = 3.0 * t
        roll = np.array([[np.cos(angle), -np.sin(angle), 0.0], [np.sin(angle), np.cos(angle), 0.0], [0.0, 0.0, 1.0]])
        T[0, :3, :3] = T[0, :3, :3] @ roll
        return T, indicator

    hand.change = rolling
    detector = learnt(hand, replace(CONFIG, bodies=()))
    quiet = run(detector, hand, QUIET_S, QUIET_S + 4.0)
    assert quiet[-1].tools == ("a", "b") and all(finding.state is State.OK for finding in quiet)

    def apart(t: float, T: np.ndarray, indicator: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        T, indicator = rolling(t, T, indicator)
        T[1, :3, 3] += 1.5 * T[1, :3, 2]
        return T, indicator

    hand.change = apart
    assert run(detector, hand, QUIET_S + 4.0, QUIET_S + 5.0)[-1].causes is Cause.PAIR


def test_a_witness_that_is_fixed_must_not_move(hand: Hand) -> None:
    hand.names = ("alone",)
    place = np.eye(4)

    def still(t: float, T: np.ndarray, indicator: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        T[1] = place
        T[1, :3, 3] = [20.0, -30.0, -200.0] + 0.1 * hand.rng.standard_normal(3) + [1.0 * (t >= QUIET_S), 0.0, 0.0]
        return T, indicator

    hand.change = still
    detector = learnt(hand, replace(CONFIG, bodies=(), fixed=("alone",)))
    assert run(detector, hand, QUIET_S, QUIET_S + 1.0)[-1].causes is Cause.PAIR


def test_a_sensor_that_is_away_leaves_the_other_watched_and_is_taken_up_again(hand: Hand) -> None:
    detector = learnt(hand)
    hand.missing = ("b",)
    assert all(finding.state is State.OK for finding in run(detector, hand, QUIET_S, QUIET_S + 3.0))
    hand.missing = ()
    assert all(finding.state is State.OK for finding in run(detector, hand, QUIET_S + 3.0, QUIET_S + 6.0))
    shifted(hand, 1.5, QUIET_S + 6.0)
    assert run(detector, hand, QUIET_S + 6.0, QUIET_S + 7.0)[-1].causes is Cause.PAIR


def test_a_tool_that_comes_later_learns_for_itself_and_disturbs_nobody(hand: Hand) -> None:
    detector = learnt(hand)
    hand.names = ("a", "b", "alone")
    first, second = detector.update(next(iter(hand.frames(QUIET_S, QUIET_S + 1.0))))
    assert (first.state, second.state, second.tools) == (State.OK, State.INITIALISING, ("alone",))
    findings = [detector.update(frame) for frame in hand.frames(QUIET_S + 1.0, QUIET_S + 9.0)]
    assert all(each[0].state is State.OK for each in findings) and findings[-1][1].state is State.OK


def test_a_clock_that_steps_back_loses_nothing_that_was_learnt(hand: Hand) -> None:
    detector = learnt(hand)
    findings = run(detector, hand, 2.0, 8.0)
    assert all(finding.state is State.OK for finding in findings)
    shifted(hand, 1.5, 8.0)
    assert run(detector, hand, 8.0, 9.0)[-1].causes is Cause.PAIR


def test_what_others_know_is_taken_in(hand: Hand) -> None:
    detector = learnt(hand)
    frames = list(hand.frames(QUIET_S, QUIET_S + 1.0))
    (finding,) = detector.update(frames[0], {"a": Evidence(domain_ratio=0.9)})
    assert (finding.state, finding.causes) == (State.DEGRADED, Cause.OUT_OF_DOMAIN) and "bring it back" in finding.detail
    (finding,) = detector.update(frames[1], {"a": Evidence(domain_ratio=0.1, chi_square=3.0)})
    assert finding.state is State.OK
    for frame in frames[2:]:
        (finding,) = detector.update(frame, {"b": Evidence(chi_square=60.0)})
    assert finding.causes is Cause.KNOWN_POINT and "known points" in finding.detail


def test_the_same_frames_give_the_same_findings() -> None:
    runs = [[(f.state, f.statistic) for f in run(DistortionDetector(CONFIG), Hand(3), 0.0, 10.0)] for _ in range(2)]
    np.testing.assert_equal(runs[0], runs[1])


def test_sensors_that_do_not_sit_on_one_body_are_never_used_as_a_pair(hand: Hand) -> None:
    def loose(t: float, T: np.ndarray, indicator: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        T[1, :3, 3] += 15.0 * hand.rng.standard_normal(3)
        return T, indicator

    hand.change = loose
    findings = run(DistortionDetector(CONFIG), hand, 0.0, 20.0)
    assert all(finding.state in (State.INITIALISING, State.OK) for finding in findings)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"bodies": ("a",)}, "two or more"),
        ({"bodies": ("a+b", "b+c")}, "once"),
        ({"threshold": 20.0}, "below"),
        ({"time_scales_s": ()}, "times"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=told):
        DetectorConfig(**wrong)  # type: ignore[arg-type]


def test_frames_without_any_tool_are_no_trouble(hand: Hand) -> None:
    detector = DistortionDetector(CONFIG)
    hand.names = ()
    assert all(detector.update(frame) == () for frame in hand.frames(0.0, 3.0))
    hand.names = ("a", "b")
    assert run(detector, hand, 3.0, 12.0)[-1].state is State.OK
