"""The latencies of a rig: what is written comes back, and a driver takes its own or is told why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lodestone_core.calibration_file import CalibrationFile, now_text
from lodestone_core.clock import ClockConfig
from lodestone_core.errors import InputError
from lodestone_core.time_calibration import (
    KIND,
    StreamLatency,
    TimeCalibration,
    calibrated_clock,
    stream_latency_s,
    time_calibration_of,
    values_of,
)

CALIBRATION = TimeCalibration("aurora/tools", {"aurora/tools": StreamLatency(0.012, 0.0), "us_arm/encoders": StreamLatency(0.003, 2e-4)})


def written(path: Path, values: Any = None, kind: str = KIND) -> str:
    CalibrationFile(kind, "my_bench", ("aurora",), now_text(), "m", "0.1.0", values or values_of(CALIBRATION)).save(path)
    return str(path)


def read(path: str) -> bytes:
    return Path(path).read_bytes()


def test_it_comes_back(tmp_path: Path) -> None:
    from lodestone_core.calibration_file import load_calibration

    file = load_calibration(Path(written(tmp_path / "time.yaml")), KIND, "my_bench")
    assert time_calibration_of(file, "file") == CALIBRATION


def test_a_driver_takes_its_own_latency_and_keeps_the_rest_of_its_clock(tmp_path: Path) -> None:
    path = written(tmp_path / "time.yaml")
    clock = calibrated_clock(ClockConfig(window=77), path, "us_arm/encoders", read)
    assert clock == ClockConfig(latency_s=0.003, window=77)


def test_without_a_file_the_configured_latency_holds() -> None:
    clock = ClockConfig(latency_s=0.02)
    assert calibrated_clock(clock, "", "aurora/tools", read) == clock


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"reference": "x", "streams": {}}, "mapping of streams"),
        ({"reference": "x", "streams": {"y": {"latency_s": 0.1, "sigma_s": 0.0}}}, "one of y"),
        ({"reference": "y", "streams": {"y": {"latency_s": -0.1, "sigma_s": 0.0}}}, "at least 0"),
        ({"reference": "y", "streams": {"y": {"latency_s": float("nan"), "sigma_s": 0.0}}}, "at least 0"),
        ({"reference": "y", "streams": {"y": {"latency_s": True, "sigma_s": 0.0}}}, "at least 0"),
        ({"reference": "y", "streams": {"y": 0.1}}, "latency_s and sigma_s"),
        ({"reference": ["y"], "streams": {"y": {"latency_s": 0.1, "sigma_s": 0.0}}}, "one of y"),
    ],
)
def test_values_that_are_none_are_named(tmp_path: Path, values: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        stream_latency_s(written(tmp_path / "time.yaml", values), "y", 0.0, read)


def test_a_stream_that_was_not_calibrated_two_sources_and_another_kind_or_rig_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "time.yaml")
    with pytest.raises(InputError, match="us_arm/encoders"):
        stream_latency_s(path, "us_arm/encoder", 0.0, read)
    with pytest.raises(InputError, match="one source"):
        stream_latency_s(path, "aurora/tools", 0.01, read)
    with pytest.raises(InputError, match="my_bench"):
        stream_latency_s(path, "aurora/tools", 0.0, read, rig="other")
    with pytest.raises(InputError, match="kind"):
        stream_latency_s(written(tmp_path / "other.yaml", kind="stereo"), "aurora/tools", 0.0, read)
    with pytest.raises(InputError, match="calibration file"):
        stream_latency_s(path, "aurora/tools", 0.0, lambda _: b"\xff\xfe")


_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["latency_s", "sigma_s", "a", "b"]), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.fixed_dictionaries({}, optional={"reference": _PLAIN, "streams": _PLAIN, "reference_latency_s": _PLAIN}))
def test_whatever_stands_in_a_file_is_latencies_or_one_sentence(values: dict[str, Any]) -> None:
    file = CalibrationFile(KIND, "r", (), now_text(), "m", "0.1.0", values)
    try:
        found = time_calibration_of(file, "file")
    except InputError:
        return
    assert found.reference in found.streams
    assert all(each.latency_s >= 0.0 and each.sigma_s >= 0.0 for each in found.streams.values())
