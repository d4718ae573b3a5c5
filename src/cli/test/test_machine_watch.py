"""The witness of a machine that stands still: one that was stopped itself says when, and for how long."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from lodestone_cli.benchmarks.bag_counts import counted
from lodestone_cli.benchmarks.machine_watch import Stall, machine_watch


def may_go_first() -> bool:
    try:
        before = os.sched_getscheduler(0)
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(99))
        os.sched_setscheduler(0, before, os.sched_param(0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not may_go_first(), reason="no real-time priority is allowed")
def test_a_stop_is_told_with_its_time() -> None:
    with machine_watch() as watch:
        end_s = time.monotonic() + 10.0
        while os.sched_getscheduler(watch.process.pid) != os.SCHED_RR:
            assert time.monotonic() < end_s
            time.sleep(0.01)
        time.sleep(0.2)
        began_ns = time.time_ns()
        watch.process.send_signal(signal.SIGSTOP)
        time.sleep(0.3)
        watch.process.send_signal(signal.SIGCONT)
        ended_ns = time.time_ns()
        time.sleep(0.2)
        stalls = watch.stalls(began_ns)
        assert stalls is not None
        longest = max(stalls, key=lambda stall: stall.length_s)
        assert watch.stalls(time.time_ns()) == ()
    assert longest.touches(began_ns, ended_ns) and longest.length_s > 0.29
    assert abs(longest.begin_ns - began_ns) < 0.1e9


def test_where_nobody_may_go_first_nobody_can_tell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os\ndef no(*a): raise PermissionError\nos.sched_setscheduler = no\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    with machine_watch() as watch:
        watch.process.wait(10.0)
        assert watch.stalls() is None


def test_a_witness_that_is_gone_says_not_that_all_was_well() -> None:
    with machine_watch() as watch:
        watch.process.kill()
        watch.process.wait()
        with pytest.raises(RuntimeError, match="witness"):
            watch.stalls()


def test_times_that_meet_touch() -> None:
    stall = Stall(100, 200)
    assert stall.touches(150, 160) and stall.touches(50, 101) and stall.touches(199, 300)
    assert not stall.touches(0, 100) and not stall.touches(200, 300)


def test_a_gap_has_its_times_and_a_wrap_is_none() -> None:
    wrap = 1 << 32
    found = counted([(wrap - 1, 10), (0, 20), (3, 30), (3, 40), (4, 50)])
    assert (found.count, found.lost) == (5, 3)
    assert found.gaps == [(20, 30, 2), (30, 40, 1)]
    assert counted([]).gaps == []
