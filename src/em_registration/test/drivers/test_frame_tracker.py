"""One frame for each new number, stamped within what is known of it."""

import pytest

from em_registration.drivers.frames import FrameTracker
from em_registration.drivers.link import Answer
from em_registration.drivers.ndi_codes import HandleStatus
from em_registration.drivers.ndi_commands import ReplyKind
from em_registration.drivers.ndi_measurements import Measurement, ToolReading
from em_registration.drivers.tools import Tool
from lodestone_core.clock import ClockConfig
from lodestone_core.types import ToolStatus

MS = 1_000_000
WALL = 1_700_000_000_000_000_000
TOOLS = {10: Tool(10, "a", "3D4F2800", 0, 1, 6), 11: Tool(11, "b", "3D4F2801", 0, 2, 6)}


class WallClock:
    def now_ns(self):
        return 0

    def wall_ns(self, now_ns):
        return now_ns + WALL

    def sleep(self, seconds):
        pass


def valid(handle, frame):
    return ToolReading(handle, HandleStatus.VALID, (1.0, 0.0, 0.0, 0.0), (1.0, 2.0, 3.0), 0.2, 0x31, frame)


def missing(handle, frame):
    return ToolReading(handle, HandleStatus.MISSING, port_status=0x31, frame=frame)


def disabled(handle):
    return ToolReading(handle, HandleStatus.DISABLED)


def polls(tracker, *replies, period_ms=10, gone=()):
    """Feed one reply a poll: sent at 0, 10, ... ms, first byte 2 ms and last byte 5 ms after that."""
    tracker.begin(0)
    out = []
    for k, readings in enumerate(replies, 1):
        sent = k * period_ms * MS
        measurement = Measurement(ReplyKind.BX, tuple(readings), 0x40)
        out.append(tracker.update(measurement, Answer(measurement, sent, sent + 2 * MS, sent + 5 * MS), TOOLS, gone))
    return out


@pytest.fixture
def tracker():
    return FrameTracker(ClockConfig(), WallClock())


def test_frame_carries_everything_that_the_reply_said(tracker):
    ((frame,),) = polls(tracker, [valid(10, 5), missing(11, 5)])
    assert (frame.frame_number, frame.system_status, frame.reply_kind) == (5, 0x40, 2)
    assert [(tool.name, tool.status) for tool in frame.tools] == [("a", ToolStatus.VALID), ("b", ToolStatus.MISSING)]
    assert frame.received_ns == 15 * MS + WALL


def test_stale_handle_is_not_posed_again(tracker):
    _, (frame,) = polls(tracker, [valid(10, 1), valid(11, 2)], [valid(10, 1), valid(11, 3)])
    assert [tool.name for tool in frame.tools] == ["b"]


def test_tools_that_were_not_measured_are_reported_with_every_frame(tracker):
    gone = (Tool(12, "c", "3D4F2802", 0, 3, 6),)
    _, (frame,) = polls(tracker, [valid(10, 1), disabled(11)], [valid(10, 2), disabled(11)], gone=gone)
    assert [(tool.name, tool.status.name) for tool in frame.tools] == [("a", "VALID"), ("b", "DISABLED"), ("c", "UNPLUGGED")]


def test_tool_that_the_reply_leaves_out_is_unplugged(tracker):
    ((frame,),) = polls(tracker, [valid(10, 1)])
    assert [(tool.name, tool.status.name) for tool in frame.tools] == [("a", "VALID"), ("b", "UNPLUGGED")]


def test_tool_never_measured_makes_no_frame_of_its_own(tracker):
    first, second = polls(tracker, [valid(10, 1), missing(11, 0)], [valid(10, 1), valid(11, 2)])
    assert [frame.frame_number for frame in (*first, *second)] == [1, 2]
    assert [tool.name for tool in second[0].tools] == ["b"]


def test_repeats_and_skips_are_told_with_the_next_frame(tracker):
    replies = polls(tracker, [valid(10, 1)], [valid(10, 1)], [valid(10, 1)], [valid(10, 5)])
    assert [len(frames) for frames in replies] == [1, 0, 0, 1]
    assert (replies[3][0].repeats_dropped, replies[3][0].frames_skipped) == (2, 3)
    assert (tracker.counters.frames, tracker.counters.repeats, tracker.counters.skipped) == (2, 2, 3)


def test_two_new_numbers_in_one_reply_make_two_frames_in_order(tracker):
    _, frames = polls(tracker, [valid(10, 1), valid(11, 2)], [valid(10, 4), valid(11, 3)])
    assert [(frame.frame_number, [tool.name for tool in frame.tools]) for frame in frames] == [(3, ["b"]), (4, ["a"])]
    assert frames[0].stamp_ns < frames[1].stamp_ns


def test_two_frames_of_one_reply_stay_in_order_although_the_wall_clock_is_read_twice():
    class Jittery(WallClock):
        reads = 0

        def wall_ns(self, now_ns):
            self.reads += 1
            return now_ns + WALL - 10 * self.reads

    _, frames = polls(FrameTracker(ClockConfig(), Jittery()), [valid(10, 1), valid(11, 2)], [valid(10, 4), valid(11, 3)])
    assert frames[0].stamp_ns < frames[1].stamp_ns


def test_stamp_lies_between_the_poll_before_and_the_first_byte_of_the_answer(tracker):
    replies = polls(tracker, *([valid(10, k // 3)] for k in range(60)))
    for k, frames in enumerate(replies, 1):
        for frame in frames:
            earliest = (k - 1) * 10 * MS
            assert earliest - 2 * MS <= frame.stamp_ns - WALL <= k * 10 * MS + 2 * MS


def test_latency_is_taken_off(tracker):
    late = FrameTracker(ClockConfig(latency_s=0.02), WallClock())
    ((plain,),), ((shifted,),) = polls(tracker, [valid(10, 1)]), polls(late, [valid(10, 1)])
    assert plain.stamp_ns - shifted.stamp_ns == 20 * MS


def test_reading_of_an_unknown_handle_is_left_out(tracker):
    ((frame,),) = polls(tracker, [valid(10, 1), valid(77, 1)])
    assert {tool.name for tool in frame.tools} == {"a", "b"}
