"""The protocol `em_detector`, short: what it scores on runs that are made by hand, and that it refuses to test on what it was made on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from em_registration.detection.config import DetectorConfig
from lodestone_bench.em_physics.intrusion import IntrusionConfig, draw_intrusion
from lodestone_cli.commands.evaluate import PROTOCOLS
from lodestone_cli.protocols.detector_config import EmDetectorConfig
from lodestone_cli.protocols.detector_figures import detection_rows, false_alarm_rows, limit_at, onsets, outcome
from lodestone_cli.protocols.detector_runs import Watched, watch
from lodestone_core.errors import InputError
from lodestone_core.results import load_protocol, settings_of

PROTOCOL = Path(__file__).resolve().parents[3] / "evaluation" / "protocols" / "em_detector.yaml"
TIMES_S = np.arange(400) / 40.0


def made(statistic: np.ndarray, error_mm: np.ndarray, moves: int, kind: str = "ring") -> Watched:
    return Watched(kind, 100.0, TIMES_S, statistic[:, None].repeat(3, axis=1), np.zeros(400), error_mm, 40, moves)


def step(at: int, height: float) -> np.ndarray:
    return height * (np.arange(400) >= at)


def test_the_delay_runs_from_the_error_to_the_alarm_and_a_missed_one_is_infinitely_late() -> None:
    late, before = (made(step(alarm, 10.0), step(200, 5.0), 100) for alarm in (220, 180))
    missed = made(np.zeros(400), step(200, 5.0), 100)
    early = made(step(60, 10.0), step(200, 5.0), 100)
    outcomes = [outcome(run, 0, 6.0, 2.0) for run in (late, before, missed, early)]
    assert [each.delay_s for each in outcomes[:3]] == pytest.approx([0.5, -0.5, np.inf])
    assert [each.found for each in outcomes] == [True, True, False, False], "an alarm before the metal moved finds nothing"
    rows = {row.metric: row.value for row in detection_rows("m", "c", outcomes, 0.5)}
    assert (rows["detected"], rows["detected_within_0.5_s"], rows["delay_p95"]) == (50.0, 50.0, np.inf)


def test_false_alarms_are_counted_once_with_hysteresis_and_an_hour_is_an_hour() -> None:
    config = DetectorConfig()
    course = np.zeros(400)
    course[[100, 102, 104]] = 9.0  # one alarm: it does not go off in between
    course[300] = 9.0
    runs = [made(course, np.zeros(400), 400, "none"), made(np.zeros(400), np.zeros(400), 400, "none")]
    assert [onsets(run, 0, 6.0, config) for run in runs] == [2, 0]
    rows = {row.metric: row for row in false_alarm_rows("m", runs, 0, 6.0, config)}
    assert rows["false_alarm_runs"].value == 50.0
    assert rows["false_alarms_an_hour"].value == pytest.approx(2 / (2 * 360 / 40.0 / 3600.0))
    assert limit_at(runs, 0, 0.5) == 9.0


def test_metal_is_found_on_the_simulated_tracker_and_its_absence_is_quiet() -> None:
    config = IntrusionConfig(quiet_s=(16.0, 18.0), speed_mm_s=(150.0, 200.0), background=0.0)
    runs = [draw_intrusion(np.random.default_rng([5, i]), kind, config, 25.0) for i, kind in enumerate(["none"] * 6 + ["ball_pair"] * 10)]
    watched = watch(runs, DetectorConfig())
    moved = [run for run in watched if run.error_mm.max() > 2.0]
    assert len(moved) >= 3
    assert all(outcome(run, 0, DetectorConfig().threshold, 2.0).found_within(0.5) for run in moved)
    assert all(run.statistic[run.watched :, 0].max() < DetectorConfig().threshold for run in watched if run.kind == "none")
    assert all(600 <= run.watched <= 606 for run in watched), "the field is known after 15 s"


def test_the_protocol_file_names_a_known_protocol_and_tests_on_what_the_detector_has_not_seen() -> None:
    protocol = load_protocol(PROTOCOL)
    assert protocol["protocol"] in PROTOCOLS
    config = settings_of(protocol, EmDetectorConfig)
    assert config.detector.threshold == DetectorConfig().threshold, "what is scored is what is shipped"
    with pytest.raises(InputError, match="apart from the calibration"):
        EmDetectorConfig(kinds=("ball", "ring"))
    with pytest.raises(InputError, match="apart from the calibration"):
        EmDetectorConfig(test_seed=1)
    with pytest.raises(InputError, match="learnt"):
        EmDetectorConfig(quiet_s=(10.0, 12.0))
