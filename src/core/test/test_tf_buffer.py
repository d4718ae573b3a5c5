"""A small bench of frames: bench -> field -> tool, bench -> image, and the questions guidance asks of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from lodestone_core import se3
from lodestone_core.tf_buffer import Lookup, LookupFailure, TfBuffer, TfReason

Array = npt.NDArray[np.float64]
T0_NS = 1_763_640_000_000_000_000
MS = 1_000_000
MAX_AGE_NS = 100 * MS
T_BENCH_FIELD = se3.exp(np.array([100.0, -20.0, 500.0, 0.3, -0.2, 1.0]))


def tool_pose(at_ns: int) -> Array:
    """Moves at 40 mm/s and turns at 1 rad/s."""
    t = at_ns / 1e9
    return se3.exp(np.array([0.0, 0.0, 0.0, 0.0, 0.0, t])) + np.array([[0, 0, 0, 40.0 * t]] + [[0] * 4] * 3)


def image_pose(at_ns: int) -> Array:
    return se3.exp(np.array([-300.0, 10.0 * at_ns / 1e9, 40.0, 0.1, 0.0, 0.2]))


@pytest.fixture
def buffer() -> TfBuffer:
    """Tool at 40 Hz from 0 to 500 ms, image at 10 Hz from 0 to 400 ms after T0, field static."""
    made = TfBuffer()
    assert made.set_transform("bench", "field", 0, T_BENCH_FIELD, static=True) is None
    for k in range(21):
        assert made.set_transform("field", "tool", T0_NS + 25 * MS * k, tool_pose(25 * MS * k)) is None
    for k in range(5):
        assert made.set_transform("bench", "image", T0_NS + 100 * MS * k, image_pose(100 * MS * k)) is None
    return made


def found(result: Lookup | LookupFailure) -> Lookup:
    assert isinstance(result, Lookup), str(result)
    return result


def refused(result: Lookup | LookupFailure | None) -> TfReason:
    assert isinstance(result, LookupFailure)
    assert result.detail and result.remedy and str(result) == f"{result.detail}; {result.remedy}"
    return result.reason


def test_a_lookup_composes_through_the_common_parent(buffer: TfBuffer) -> None:
    got = found(buffer.lookup("image", "tool", T0_NS + 200 * MS))
    expected = np.linalg.inv(image_pose(200 * MS)) @ T_BENCH_FIELD @ tool_pose(200 * MS)
    np.testing.assert_allclose(got.T_target_source, expected, atol=1e-9)
    assert (got.stamp_ns, got.oldest_ns) == (T0_NS + 200 * MS, T0_NS + 200 * MS)
    back = found(buffer.lookup("tool", "image", T0_NS + 200 * MS))
    np.testing.assert_allclose(back.T_target_source, np.linalg.inv(expected), atol=1e-9)


def test_between_samples_a_pose_is_interpolated_and_says_how_old_its_data_are(buffer: TfBuffer) -> None:
    got = found(buffer.lookup("field", "tool", T0_NS + 110 * MS))
    np.testing.assert_allclose(got.T_target_source, tool_pose(110 * MS), atol=1e-9)
    assert got.oldest_ns == T0_NS + 100 * MS
    assert found(buffer.lookup("image", "tool", T0_NS + 390 * MS)).oldest_ns == T0_NS + 300 * MS


def test_a_frame_in_itself_is_identity_only_where_the_frame_exists(buffer: TfBuffer) -> None:
    np.testing.assert_array_equal(found(buffer.lookup("tool", "tool", T0_NS)).T_target_source, np.eye(4))
    assert refused(buffer.lookup("ghost", "ghost", T0_NS)) is TfReason.UNKNOWN_FRAME
    assert refused(TfBuffer().lookup("a", "b", T0_NS)) is TfReason.UNKNOWN_FRAME


def test_frames_below_one_another_need_only_the_edges_between_them(buffer: TfBuffer) -> None:
    # Far from every sample of the image, whose edge is not on the way.
    np.testing.assert_allclose(
        found(buffer.lookup("bench", "tool", T0_NS + 450 * MS)).T_target_source,
        T_BENCH_FIELD @ tool_pose(450 * MS),
        atol=1e-9,
    )


@pytest.mark.parametrize("offset_ms", [-1, 501, 10_000])
def test_nothing_is_extrapolated(buffer: TfBuffer, offset_ms: int) -> None:
    for ask in (buffer.lookup("field", "tool", T0_NS + offset_ms * MS), buffer.lookup("field", "tool", 0)):
        assert refused(ask) is TfReason.EXTRAPOLATED
    failure = buffer.lookup_fresh("field", "tool", T0_NS + offset_ms * MS, MAX_AGE_NS)
    assert refused(failure) is TfReason.EXTRAPOLATED


def test_unknown_frames_and_separate_trees_are_told_apart(buffer: TfBuffer) -> None:
    buffer.set_transform("island", "hut", T0_NS, np.eye(4))
    failure = buffer.lookup("tool", "hut", T0_NS)
    assert refused(failure) is TfReason.NOT_CONNECTED
    assert "bench" in str(failure) and "island" in str(failure)
    failure = buffer.lookup("tool", "boat", T0_NS)
    assert refused(failure) is TfReason.UNKNOWN_FRAME
    assert "boat" in str(failure) and "hut" in str(failure)


def test_a_plain_lookup_interpolates_over_a_gap_and_a_fresh_one_does_not(buffer: TfBuffer) -> None:
    buffer.set_transform("field", "tool", T0_NS + 1500 * MS, tool_pose(1500 * MS))
    # Just behind the last sample before the gap, in its middle, and just ahead of the first one after it.
    for offset_ms in (510, 1000, 1490):
        found(buffer.lookup("field", "tool", T0_NS + offset_ms * MS))
        failure = buffer.lookup_fresh("field", "tool", T0_NS + offset_ms * MS, MAX_AGE_NS)
        assert refused(failure) is TfReason.TOO_OLD
    for offset_ms in (500, 1500):
        found(buffer.lookup_fresh("field", "tool", T0_NS + offset_ms * MS, MAX_AGE_NS))


def test_a_fresh_lookup_never_mixes_epochs(buffer: TfBuffer) -> None:
    since = {"image": T0_NS + 300 * MS}
    assert refused(buffer.lookup_fresh("image", "tool", T0_NS + 250 * MS, MAX_AGE_NS, since)) is (TfReason.SPANS_VALID_SINCE)
    assert refused(buffer.lookup_fresh("image", "tool", T0_NS + 200 * MS, MAX_AGE_NS, since)) is (TfReason.SPANS_VALID_SINCE)
    for offset_ms in (300, 350, 400):
        got = found(buffer.lookup_fresh("image", "tool", T0_NS + offset_ms * MS, MAX_AGE_NS, since))
        assert got.oldest_ns >= T0_NS + 300 * MS
    # The edge is not on the way: its epoch does not matter.
    found(buffer.lookup_fresh("bench", "tool", T0_NS + 250 * MS, MAX_AGE_NS, since))


def test_an_edge_that_its_owner_does_not_assert_is_refused(buffer: TfBuffer) -> None:
    failure = buffer.lookup_fresh("image", "tool", T0_NS + 300 * MS, MAX_AGE_NS, {"image": 0})
    assert refused(failure) is TfReason.NOT_VALID


def test_the_newest_pose_is_given_while_it_is_young_and_never_after(buffer: TfBuffer) -> None:
    newest = found(buffer.lookup_newest("image", "tool", T0_NS + 450 * MS, MAX_AGE_NS))
    assert newest.stamp_ns == T0_NS + 400 * MS
    assert refused(buffer.lookup_newest("image", "tool", T0_NS + 501 * MS, MAX_AGE_NS)) is TfReason.TOO_OLD
    # A sender on another clock, an hour ahead, must not look fresh for ever.
    failure = buffer.lookup_newest("image", "tool", T0_NS - 3600_000 * MS, MAX_AGE_NS)
    assert refused(failure) is TfReason.CLOCKS_DIFFER
    found(buffer.lookup_newest("bench", "field", T0_NS, MAX_AGE_NS))


@pytest.mark.parametrize("behind_ms", [0, 1, 5000])
def test_equal_and_older_stamps_of_a_child_are_refused(buffer: TfBuffer, behind_ms: int) -> None:
    stamp_ns = T0_NS + (500 - behind_ms) * MS
    assert refused(buffer.set_transform("field", "tool", stamp_ns, np.eye(4))) is TfReason.NOT_NEWER
    got = found(buffer.lookup("field", "tool", T0_NS + 500 * MS))
    np.testing.assert_allclose(got.T_target_source, tool_pose(500 * MS), atol=1e-12)


def test_a_second_parent_and_a_loop_are_refused(buffer: TfBuffer) -> None:
    later = T0_NS + 600 * MS
    assert refused(buffer.set_transform("image", "tool", later, np.eye(4))) is TfReason.OTHER_PARENT
    assert refused(buffer.set_transform("tool", "bench", later, np.eye(4))) is TfReason.LOOP
    assert refused(buffer.set_transform("a", "a", later, np.eye(4))) is TfReason.LOOP
    assert buffer.parents() == {"field": "bench", "tool": "field", "image": "bench"}


def test_a_static_edge_holds_at_all_times_and_does_not_change(buffer: TfBuffer) -> None:
    found(buffer.lookup("bench", "field", 1))
    assert buffer.set_transform("bench", "field", T0_NS, T_BENCH_FIELD, static=True) is None
    moved = T_BENCH_FIELD.copy()
    moved[0, 3] += 1.0
    assert refused(buffer.set_transform("bench", "field", T0_NS, moved, static=True)) is TfReason.STATIC_CHANGED
    assert refused(buffer.set_transform("bench", "field", T0_NS, T_BENCH_FIELD)) is TfReason.STATIC_CHANGED
    assert refused(buffer.set_transform("field", "tool", T0_NS, np.eye(4), static=True)) is TfReason.STATIC_CHANGED


@pytest.mark.parametrize(
    ("parent", "child", "stamp_ns", "T"),
    [
        ("bench", "x", T0_NS, np.full((4, 4), np.nan)),
        ("bench", "x", T0_NS, np.zeros((4, 4))),
        ("bench", "", T0_NS, np.eye(4)),
        ("/bench", "x", T0_NS, np.eye(4)),
        ("bench", "x", 0, np.eye(4)),
    ],
)
def test_nonsense_is_refused_and_leaves_no_trace(buffer: TfBuffer, parent: str, child: str, stamp_ns: int, T: Array) -> None:
    assert refused(buffer.set_transform(parent, child, stamp_ns, T)) is TfReason.MALFORMED
    assert len(buffer.parents()) == 3


def test_a_clock_that_steps_back_clears_all_but_the_static_edges(buffer: TfBuffer) -> None:
    assert not buffer.set_clock(T0_NS + 500 * MS)
    assert not buffer.set_clock(T0_NS + 500 * MS)
    found(buffer.lookup("field", "tool", T0_NS))
    assert buffer.set_clock(T0_NS - 70_000 * MS)
    assert refused(buffer.lookup("field", "tool", T0_NS)) is TfReason.UNKNOWN_FRAME
    found(buffer.lookup("bench", "field", T0_NS))
    # What is older than before but new on the clock as it is now is taken.
    assert buffer.set_transform("field", "tool", T0_NS - 70_000 * MS, np.eye(4)) is None


def test_old_samples_leave_and_memory_stays_bounded() -> None:
    buffer = TfBuffer(duration_s=1.0)
    for k in range(200):
        buffer.set_transform("field", "tool", T0_NS + 25 * MS * k, tool_pose(25 * MS * k))
    newest_ns = T0_NS + 25 * MS * 199
    found(buffer.lookup("field", "tool", newest_ns - 1000 * MS))
    assert refused(buffer.lookup("field", "tool", newest_ns - 1001 * MS)) is TfReason.EXTRAPOLATED


def test_what_is_given_and_taken_is_not_shared(buffer: TfBuffer) -> None:
    T = np.eye(4)
    buffer.set_transform("bench", "probe", T0_NS, T)
    T[0, 3] = 99.0
    got = found(buffer.lookup("bench", "probe", T0_NS))
    got.T_target_source[0, 3] = 99.0
    np.testing.assert_array_equal(found(buffer.lookup("bench", "probe", T0_NS)).T_target_source, np.eye(4))
