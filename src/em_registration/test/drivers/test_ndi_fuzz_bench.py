"""The fuzz bench itself, with fewer replies; in full it runs under make bench."""

import importlib.util
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[4] / "evaluation" / "bench" / "ndi_fuzz.py"


@pytest.fixture(scope="module")
def bench():
    if not BENCH.exists():
        pytest.skip("the bench belongs to the checkout, not to the package")
    spec = importlib.util.spec_from_file_location("ndi_fuzz", BENCH)
    module = importlib.util.module_from_spec(spec)
    sys.modules["ndi_fuzz"] = module
    spec.loader.exec_module(module)
    return module


def test_no_damaged_reply_becomes_a_pose_and_the_next_good_one_is_found(bench):
    report = bench.fuzz_replies(4000, seed=1)
    assert report.passed, report.failures
    assert len(report.by_damage) == len(bench.DAMAGES) and report.refused > 1000


def test_same_seed_gives_the_same_run(bench):
    first, second = bench.fuzz_replies(300, seed=5), bench.fuzz_replies(300, seed=5)
    assert (first.by_damage, first.refused) == (second.by_damage, second.refused)


def test_bench_would_notice_a_parser_that_skips_the_crc(bench, monkeypatch):
    monkeypatch.setattr("em_registration.drivers.ndi_stream.crc16", lambda data: int.from_bytes(bytes(2), "little"))
    monkeypatch.setattr("em_registration.drivers.ndi_stream.crc_text", lambda data: b"0000")
    with pytest.raises(AssertionError, match="refuses a good"):
        bench.fuzz_replies(10, seed=0)
