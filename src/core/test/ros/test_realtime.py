"""Real-time priority: taken where asked for and allowed, refused in one sentence where the value is bad."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lodestone_core.errors import InputError
from lodestone_core.ros.realtime import VARIABLE, use_realtime_priority

pytestmark = pytest.mark.ros


@pytest.mark.parametrize("value", ["", "0"])
def test_nothing_is_changed_unless_asked(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(VARIABLE, value)
    assert use_realtime_priority() == ""


@pytest.mark.parametrize("value", ["100", "-1", "high"])
def test_a_bad_value_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(InputError, match=VARIABLE):
        use_realtime_priority()


def test_it_is_taken_or_refused_with_the_remedy() -> None:
    code = (
        "import os; from lodestone_core.ros.realtime import use_realtime_priority as use; "
        "warning = use(); print(os.sched_getscheduler(0) == os.SCHED_RR, 'limits.conf' in warning)"
    )
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, VARIABLE: "1"}, capture_output=True, text=True)
    assert done.stdout.split() in (["True", "False"], ["False", "True"]), done.stderr
