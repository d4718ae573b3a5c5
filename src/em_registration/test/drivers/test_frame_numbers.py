"""Which frame numbers are new."""

from em_registration.drivers.frame_numbers import COUNTER, FrameNumbers, NewFrame


def run(*replies):
    numbers = FrameNumbers()
    return [numbers.new(reply if isinstance(reply, dict) else {10: reply}) for reply in replies]


def test_first_number_is_new_wherever_the_counter_stands():
    assert run(7_000_000) == [(NewFrame(7_000_000, 0),)]


def test_repeat_is_not_new():
    assert run(5, 5, 6, 6, 6)[1:] == [(), (NewFrame(6, 0),), (), ()]


def test_skipped_numbers_are_counted():
    assert run(5, 9) == [(NewFrame(5, 0),), (NewFrame(9, 3),)]


def test_counter_wraps_at_32_bits():
    assert run(COUNTER - 1, 0, 2)[1:] == [(NewFrame(0, 0),), (NewFrame(2, 1),)]
    assert run({10: COUNTER - 2, 11: COUNTER - 2}, {10: 0, 11: COUNTER - 1})[1] == (NewFrame(COUNTER - 1, 0), NewFrame(0, 0))


def test_one_reply_may_hold_several_new_frames_which_come_in_order():
    assert run({10: 1, 11: 2}, {10: 4, 11: 3}) == [(NewFrame(1, 0), NewFrame(2, 0)), (NewFrame(3, 0), NewFrame(4, 0))]


def test_handle_whose_number_stands_still_makes_no_frame():
    assert run({10: 1, 11: 2}, {10: 1, 11: 3}, {10: 1, 11: 3})[1:] == [(NewFrame(3, 0),), ()]


def test_tool_that_disappears_does_not_look_like_a_counter_that_began_anew():
    assert run({10: 101, 11: 102}, {10: 101}, {10: 101}, {10: 103})[1:] == [(), (), (NewFrame(103, 0),)]


def test_one_old_reply_in_between_is_dropped():
    assert run(100, 101, 100, 102)[2:] == [(), (NewFrame(102, 0),)]


def test_counter_that_begins_anew_is_followed_from_its_second_number_on():
    assert run(5000, 3, 3, 4, 5)[1:] == [(), (), (NewFrame(4, 0),), (NewFrame(5, 0),)]


def test_newly_plugged_tool_with_an_old_number_makes_no_frame():
    assert run({10: 100}, {10: 100, 11: 0}, {10: 101, 11: 101})[1:] == [(), (NewFrame(101, 0),)]
