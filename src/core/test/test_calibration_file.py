"""Calibration files: what is written comes back, and nothing of another bench, device or age is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from lodestone_core.calibration_file import CalibrationFile, load_calibration, now_text, parse_calibration
from lodestone_core.errors import InputError

FILE = CalibrationFile(
    "magnetometers",
    "my_bench",
    ("array 1",),
    now_text(),
    "ellipsoid",
    "0.1.0",
    {"gain": [[1.0, 1e-9], [0.25, 3.0]]},
    {"a.mcap": "ff"},
    {"field_rms": {"value": 1e-08, "unit": "T"}},
)


def test_it_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    FILE.save(tmp_path / "deep" / "magnetometers.yaml")
    found = load_calibration(tmp_path / "deep" / "magnetometers.yaml", "magnetometers", "my_bench")
    assert found == FILE
    assert found.sha256 == FILE.sha256


@pytest.mark.parametrize(
    ("kind", "rig", "said"), [("stereo", "my_bench", "kind"), ("magnetometers", "other", "other"), ("magnetometers", "MY_BENCH", "rig")]
)
def test_another_kind_or_bench_is_refused(kind: str, rig: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_calibration(FILE.to_yaml(), "here", kind, rig)


@pytest.mark.parametrize("text", ["", "a: 1", "[1, 2]", FILE.to_yaml().replace("format: 1", "format: 9"), FILE.to_yaml() + "more: 1\n"])
def test_what_is_no_calibration_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(InputError, match="lodestone calibrate magnetometers"):
        parse_calibration(text, "here", "magnetometers")


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lodestone calibrate stereo"):
        load_calibration(tmp_path / "none.yaml", "stereo")
