"""The fuzz benchmark itself, with fewer replies; in full it runs under make bench."""

from __future__ import annotations

import pytest

from lodestone_cli.benchmarks import reply_fuzz as bench


def test_no_damaged_reply_becomes_a_pose_and_the_next_good_one_is_found() -> None:
    report = bench.fuzz_replies(4000, seed=1)
    assert report.passed, report.failures
    assert len(report.by_damage) == len(bench.DAMAGES) and report.refused > 1000


def test_same_seed_gives_the_same_run() -> None:
    first, second = bench.fuzz_replies(300, seed=5), bench.fuzz_replies(300, seed=5)
    assert (first.by_damage, first.refused) == (second.by_damage, second.refused)


def test_bench_would_notice_a_parser_that_skips_the_crc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("em_registration.drivers.ndi_stream.crc16", lambda data: int.from_bytes(bytes(2), "little"))
    monkeypatch.setattr("em_registration.drivers.ndi_stream.crc_text", lambda data: b"0000")
    with pytest.raises(AssertionError, match="refuses a good"):
        bench.fuzz_replies(10, seed=0)
