"""The authority on a simulated clock: composition, epochs, gaps, jumps, silence, clock steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from lodestone_core.estimate import Estimate, Reason, State
from lodestone_guidance.authority import Authority, Decision
from lodestone_guidance.config import AuthorityConfig
from lodestone_guidance.edge import EdgeReport

CONFIG = AuthorityConfig(rig_frames="frames.yaml", max_age_s=0.5, jump_mm=20.0, jump_speed_mm_s=1000.0, jump_confirmations=5)
PERIOD_NS = 25_000_000
TOOL = "em_tool_0_corrected"


def pose(x: float = 0.0, y: float = 0.0, z: float = 0.0, yaw_deg: float = 0.0) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("z", yaw_deg, degrees=True).as_matrix()
    T[:3, 3] = (x, y, z)
    return T


T_BENCH_EM = pose(100.0, 200.0, 300.0, yaw_deg=90.0)
T_EM_IMAGE = pose(1.0, 2.0, 3.0, yaw_deg=30.0)
COVARIANCE = np.diag([0.04, 0.09, 0.16, 1e-4, 2e-4, 3e-4])


class Bench:
    """An authority on clocks that a test turns."""

    def __init__(self) -> None:
        self.authority = Authority(CONFIG, {"bench": np.eye(4), "em_field_generator": T_BENCH_EM})
        self.now_ns = 1_000_000_000_000
        self.steady_ns = 5_000_000_000
        self.image = Estimate(0, "em_field_generator", "image", State.OK, T_EM_IMAGE, COVARIANCE, expected_tre_mm=0.5, epoch=1)
        self.tool = Estimate(0, "image", TOOL, State.OK, pose(10.0), COVARIANCE, expected_tre_mm=0.5, epoch=1)

    def wait(self, duration_ns: int) -> None:
        self.now_ns += duration_ns
        self.steady_ns += duration_ns

    def sample(self, **tool: object) -> Decision:
        self.wait(PERIOD_NS)
        estimates = (replace(self.tool, **tool), self.image)  # type: ignore[arg-type]
        return self.authority.decide(self.now_ns - 2_000_000, estimates, self.now_ns, self.steady_ns)

    def report(self, child: str = TOOL) -> EdgeReport:
        return next(report for report in self.authority.report(self.now_ns) if report.child == child)


def children(decision: Decision) -> set[str]:
    return {edge.child for edge in decision.transforms}


def test_the_image_is_composed_with_the_rig_and_all_edges_carry_the_stamp_of_the_sample() -> None:
    bench = Bench()
    decision = bench.sample()
    assert {edge.stamp_ns for edge in decision.transforms} == {bench.now_ns - 2_000_000}
    image = next(edge for edge in decision.transforms if edge.child == "image")
    assert image.parent == "bench"
    np.testing.assert_allclose(image.T_parent_child, T_BENCH_EM @ T_EM_IMAGE, atol=1e-12)


def test_a_rotated_rig_rotates_the_covariance_with_it() -> None:
    bench = Bench()
    accepted = next(estimate for estimate in bench.sample().accepted if estimate.child == "image")
    assert accepted.covariance is not None
    # A quarter turn about z swaps what x and y are.
    np.testing.assert_allclose(np.diag(accepted.covariance)[:3], [0.09, 0.04, 0.16], atol=1e-9)


def test_another_registration_of_the_image_never_reaches_the_tree() -> None:
    bench = Bench()
    bench.wait(PERIOD_NS)
    other = replace(bench.image, parent="xray_source")
    assert not bench.authority.decide(bench.now_ns, (other,), bench.now_ns, bench.steady_ns).transforms


def test_a_tool_holds_only_while_the_image_does() -> None:
    bench = Bench()
    bench.sample()
    bench.image = replace(bench.image, state=State.INVALID, reasons=Reason.EXPECTED_TRE_HIGH, detail="too far off")
    decision = bench.sample()
    assert not decision.transforms
    assert "image does not hold" in bench.report().detail


def test_equal_and_older_stamps_are_not_sent_again() -> None:
    bench = Bench()
    bench.sample()
    stamp_ns = bench.now_ns - 2_000_000
    for repeat_ns in (stamp_ns, stamp_ns - 1):
        assert not bench.authority.decide(repeat_ns, (bench.image, bench.tool), bench.now_ns, bench.steady_ns).transforms
    assert bench.report().broadcast


def test_silence_ends_an_edge_on_steady_time_even_when_the_clock_stands_still() -> None:
    bench = Bench()
    bench.sample()
    bench.steady_ns += 500_000_000
    assert not bench.authority.expire(bench.now_ns, bench.steady_ns)
    bench.steady_ns += 1
    assert bench.authority.expire(bench.now_ns, bench.steady_ns)
    assert bench.report().reasons & Reason.STALE
    assert bench.report().valid_since_ns == 0


def test_after_a_gap_valid_since_is_the_first_new_sample_and_the_epoch_stays() -> None:
    bench = Bench()
    bench.sample()
    before = bench.report()
    bench.wait(2_000_000_000)
    bench.authority.expire(bench.now_ns, bench.steady_ns)
    bench.sample()
    after = bench.report()
    assert after.epoch == before.epoch
    assert after.valid_since_ns == bench.now_ns - 2_000_000 > before.valid_since_ns


def test_a_registration_begins_a_new_epoch_and_a_new_valid_since() -> None:
    bench = Bench()
    bench.sample()
    first = bench.report().epoch
    decision = bench.sample(epoch=2)
    assert bench.report().epoch == first + 1
    assert bench.report().valid_since_ns == bench.now_ns - 2_000_000
    assert {estimate.epoch for estimate in decision.accepted if estimate.child == TOOL} == {first + 1}


def test_one_outlier_is_refused_and_the_old_track_goes_on_in_its_epoch() -> None:
    bench = Bench()
    bench.sample()
    epoch = bench.report().epoch
    assert TOOL not in children(bench.sample(T_parent_child=pose(200.0)))
    assert bench.report().reasons & Reason.JUMP
    assert TOOL in children(bench.sample())
    assert bench.report().epoch == epoch


def test_a_jump_that_stays_becomes_a_new_epoch_after_its_confirmations_and_not_before() -> None:
    bench = Bench()
    bench.sample()
    epoch = bench.report().epoch
    sent = [TOOL in children(bench.sample(T_parent_child=pose(200.0))) for _ in range(7)]
    assert sent == [False] * 5 + [True] * 2
    assert bench.report().epoch == epoch + 1


def test_a_pose_that_jumps_about_stays_refused_however_long_it_does() -> None:
    bench = Bench()
    bench.sample()
    for number in range(80):
        # 200, -300, 500 mm: within 0.5 s of the last good pose 1 m/s would make each of them plausible.
        decision = bench.sample(T_parent_child=pose((200.0, -300.0, 500.0)[number % 3]))
        assert TOOL not in children(decision), f"sample {number}"
    assert bench.report().reasons is Reason.JUMP
    assert TOOL in children(bench.sample()), "back where it was, it is used again"


def test_time_that_passes_does_not_make_a_jump_plausible() -> None:
    bench = Bench()
    bench.sample()
    # 60 mm: implausible within one sample, plausible for 1 m/s within two; two samples later it is still the same jump.
    sent = [TOOL in children(bench.sample(T_parent_child=pose(70.0))) for _ in range(5)]
    assert not any(sent)


def test_a_fast_but_possible_motion_passes() -> None:
    bench = Bench()
    for step in range(10):
        assert TOOL in children(bench.sample(T_parent_child=pose(10.0 + 20.0 * step)))


def test_a_backward_step_of_the_clock_clears_everything_and_epochs_go_on() -> None:
    bench = Bench()
    bench.sample()
    epoch = bench.report().epoch
    bench.now_ns -= 3_600_000_000_000
    bench.authority.expire(bench.now_ns, bench.steady_ns)
    assert bench.report().state is State.INITIALISING
    assert bench.report().reasons & Reason.CLOCK_STEP
    assert TOOL in children(bench.sample())
    assert bench.report().epoch == epoch + 1


def test_a_frame_with_another_parent_is_refused_by_name() -> None:
    bench = Bench()
    bench.sample()
    bench.sample(parent="us_volume")
    assert bench.report().reasons & Reason.FRAME_MISMATCH
    assert "us_volume" in bench.report().detail


def test_a_rig_without_the_measuring_frame_says_so() -> None:
    authority = Authority(CONFIG, {"bench": np.eye(4)})
    image = Estimate(0, "em_field_generator", "image", State.OK, T_EM_IMAGE, COVARIANCE, expected_tre_mm=0.5)
    assert not authority.decide(10, (image,), 20, 20).transforms
    assert "frames.yaml" in authority.report(20)[0].detail
