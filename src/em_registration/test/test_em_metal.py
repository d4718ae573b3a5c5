"""Figures of protocol em_metal on timelines that are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from em_registration.protocols.em_metal import Timeline, draw, rows_of, timeline
from em_registration.registration import ToolCalibration
from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.estimate import Estimate, State
from lodestone_core.pose_stream import PairingConfig, as_pose_stream

STATES = [State.OK] * 10 + [State.DEGRADED] * 3 + [State.INVALID] * 7 + [State.OK] * 10


def line(bad: slice) -> Timeline:
    error = np.full(30, 0.3)
    error[bad] = 5.0
    return Timeline(np.arange(30) / 10.0, error, np.full(30, 1.0), np.array([s is State.OK for s in STATES]), STATES)


def figures(bad: slice) -> dict[str, float]:
    return {row.metric: row.value for row in rows_of("0", line(bad), 2.0)}


def test_an_alarm_before_the_error_is_no_delay_and_recovery_counts_from_the_last_bad_pose() -> None:
    found = figures(slice(12, 18))
    assert (found["bad_called_ok"], found["delay"], found["good_called_ok_before"]) == (0.0, 0.0, 10 / 12)
    assert found["bad_called_usable"] == pytest.approx(1 / 6)
    assert found["ok_again_after"] == pytest.approx(0.3)


def test_a_late_alarm_and_bad_poses_called_ok_are_told() -> None:
    found = figures(slice(7, 18))
    assert found["delay"] == pytest.approx(0.3)
    assert found["bad_called_ok"] == pytest.approx(3 / 11)


def test_a_bag_without_a_bad_pose_is_refused() -> None:
    with pytest.raises(InputError, match="with metal"):
        figures(slice(0, 0))


def test_the_error_is_that_of_the_reference_point_on_the_tool_and_infinite_without_a_pose(tmp_path: Path) -> None:
    T_tool_marker = se3.make(np.eye(3), np.array([0.0, 0.0, 50.0]))
    marker = se3.make(np.eye(3), np.array([10.0, 0.0, 50.0]))
    stamps = np.arange(5, dtype=np.int64) * 100_000_000
    reference = as_pose_stream("marker", stamps, np.repeat(marker[None], 5, axis=0))
    off = se3.make(np.eye(3), np.array([13.0, 4.0, 0.0]))
    estimates = [
        Estimate(int(stamps[1]), "image", "tool", State.INVALID, off, np.eye(6)),
        Estimate(int(stamps[2]), "image", "tool", State.INVALID),
        Estimate(int(stamps[4]) + 10**12, "image", "tool", State.OK, off, np.eye(6)),
    ]
    found = timeline(estimates, ToolCalibration(T_tool_marker, np.eye(6), 0.1, 10), reference, PairingConfig())
    assert found.error_mm.tolist() == [5.0, np.inf]
    draw({"0": line(slice(12, 18))}, 2.0, tmp_path)
    assert (tmp_path / "metal.png").stat().st_size > 5000
