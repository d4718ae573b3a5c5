"""Which estimates pass, and which bit and sentence the others get."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lodestone_core.estimate import Estimate, Reason, State
from lodestone_guidance.config import AuthorityConfig
from lodestone_guidance.gates import refuse

NOW_NS = 1_000_000_000_000
CONFIG = AuthorityConfig(rig_frames="frames.yaml")
GOOD = Estimate(
    stamp_ns=NOW_NS - 10_000_000,
    parent="image",
    child="em_tool_0_corrected",
    state=State.OK,
    T_parent_child=np.eye(4),
    covariance=np.diag([0.1] * 3 + [1e-4] * 3),
    expected_tre_mm=1.0,
)


def with_rotation(R: np.ndarray) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = R
    return T


def test_a_good_estimate_passes() -> None:
    assert refuse(GOOD, CONFIG, NOW_NS) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"T_parent_child": None}, Reason.MALFORMED),
        ({"T_parent_child": np.full((4, 4), np.nan)}, Reason.MALFORMED),
        ({"T_parent_child": with_rotation(np.diag([1.0, 1.0, -1.0]))}, Reason.MALFORMED),
        ({"T_parent_child": with_rotation(np.diag([1.0, 1.0, 1.01]))}, Reason.MALFORMED),
        ({"covariance": None}, Reason.COVARIANCE_INVALID),
        ({"covariance": np.zeros((6, 6))}, Reason.COVARIANCE_INVALID),
        ({"covariance": np.diag([1.0, 1.0, -1.0, 1.0, 1.0, 1.0])}, Reason.COVARIANCE_INVALID),
        ({"covariance": np.full((6, 6), np.inf)}, Reason.COVARIANCE_INVALID),
        ({"covariance": np.diag([100.0, 0.1, 0.1, 1e-4, 1e-4, 1e-4])}, Reason.EXPECTED_TRE_HIGH),
        ({"expected_tre_mm": 6.1}, Reason.EXPECTED_TRE_HIGH),
        ({"expected_tre_mm": float("nan")}, Reason.EXPECTED_TRE_HIGH),
        ({"stamp_ns": NOW_NS - 501_000_000}, Reason.STALE),
        ({"stamp_ns": NOW_NS + 51_000_000}, Reason.CLOCK_STEP),
        ({"state": State.INVALID, "reasons": Reason.INPUT_MISSING}, Reason.INPUT_MISSING),
    ],
)
def test_each_fault_is_refused_by_name(changes: dict[str, object], reason: Reason) -> None:
    refusal = refuse(replace(GOOD, **changes), CONFIG, NOW_NS)  # type: ignore[arg-type]
    assert refusal is not None
    assert refusal.reason & reason
    assert refusal.detail


def test_initialising_stays_initialising() -> None:
    refusal = refuse(replace(GOOD, state=State.INITIALISING, reasons=Reason.NO_REGISTRATION), CONFIG, NOW_NS)
    assert refusal is not None
    assert refusal.state is State.INITIALISING


def test_an_unset_state_counts_as_invalid() -> None:
    refusal = refuse(replace(GOOD, state=State.UNKNOWN), CONFIG, NOW_NS)
    assert refusal is not None
    assert refusal.state is State.INVALID
