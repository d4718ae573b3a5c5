"""The array's benchmark with few frames: its fuzz would notice a fault, its peer agrees with the driver. In full: make bench."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodestone_cli.benchmarks import bench_array, frame_fuzz
from lodestone_core.device.framing import encode_frame


def test_no_damaged_frame_becomes_a_measurement_and_the_next_good_one_is_found() -> None:
    report = frame_fuzz.fuzz_frames(3000, seed=1)
    assert report.passed and report.wrong_measurements == 0, report.failures
    assert len(report.by_damage) == len(frame_fuzz.DAMAGES) and report.refused > 1000


def test_the_fuzz_would_notice_a_decoder_that_skips_the_crc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lodestone_core.device.framing.crc16", lambda data: int.from_bytes(bytes(2), "little"))
    with pytest.raises(AssertionError, match="refuses a good"):
        frame_fuzz.fuzz_frames(10, seed=0)


def test_the_fuzz_would_notice_a_crc_that_covers_the_head_only(monkeypatch: pytest.MonkeyPatch) -> None:
    real = frame_fuzz.bitwise_crc
    monkeypatch.setattr("lodestone_core.device.framing.crc16", lambda data: real(bytes(data[:30])))
    monkeypatch.setattr(frame_fuzz, "bitwise_crc", lambda data: real(data[:30]))
    lane = frame_fuzz._Lane(Random(0))
    report = frame_fuzz.FrameFuzzReport(2000)
    random = Random(0)
    for _ in range(2000):
        lane.trial(random, report)
    assert report.wrong_measurements > 50


@given(st.binary(min_size=1, max_size=800).filter(lambda body: body[0] != 0))
def test_the_frames_of_the_fuzz_are_those_of_the_driver(body: bytes) -> None:
    assert frame_fuzz.on_the_line(body) == encode_frame(body)
    assert frame_fuzz.whole(encode_frame(body)[:-1]) == body


def test_driver_and_plain_python_give_the_same_field() -> None:
    rows = {(row.method, row.metric): row.value for row in bench_array.times(300, seed=2)}
    assert rows["driver - plain Python", "field_difference_max"] < 1e-15
    assert rows["driver", "decode_calibrate_median"] < rows["plain Python", "decode_calibrate_median"]
