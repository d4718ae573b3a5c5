"""The state machine on a scripted device in virtual time: a start, every stage of recovery, tools in and out."""

from random import Random

import pytest

from em_registration.drivers.faults import Stage
from em_registration.drivers.ndi_codes import SystemStatus
from lodestone_core.device.faults import Cause, DriverFault
from lodestone_core.types import ToolStatus

S = 1_000_000_000


def seconds_until(rig, condition, limit_s=120.0):
    """Virtual seconds of stepping until the condition holds."""
    begin = rig.device.now
    while not condition():
        rig.session.step()
        assert rig.device.now - begin < limit_s * S, rig.session.status
    return (rig.device.now - begin) / S


def seconds_until_frame(rig, limit_s=120.0):
    """Virtual seconds until the next frame."""
    before = rig.session.frames.counters.frames
    return seconds_until(rig, lambda: rig.session.frames.counters.frames > before, limit_s)


def test_start_goes_through_probe_init_baud_ports_and_tstart_in_this_order(rig):
    r = rig().track()
    names = [text for text in r.device.log if text != "APIREV:"]
    wanted = ["INIT:", "COMM:A0000", "GETINFO:Features.Firmware.Version", "PHSR:01", "PINIT:0A", "PENA:0AD", "TSTART:80", "BX:0801"]
    places = [names.index(name) for name in wanted]
    assert places == sorted(places)
    assert (r.device.baud, r.session.status.baud, r.session.status.reply) == (230400, 230400, "bx")
    assert r.session.status.tracking and r.session.status.firmware.endswith("scripted")


def test_device_left_at_the_fast_rate_is_found_there_without_comm(rig):
    r = rig()
    r.device.baud = 230400
    r.track()
    assert not any(text.startswith("COMM") for text in r.device.log)


def test_device_left_tracking_by_a_crashed_host_is_stopped_and_started(rig):
    r = rig()
    r.device.baud, r.device.tracking = 230400, True
    assert seconds_until_frame(r) < 1.5


def test_device_that_is_still_booting_is_waited_for(rig):
    r = rig()
    r.device.script("INIT:", *["ERROR0C"] * 6)
    assert seconds_until_frame(r) < 6.0


def test_device_at_a_rate_nobody_knows_is_reset_by_a_break(rig):
    r = rig()
    r.device.baud = 115200
    r.track()
    assert "BREAK" in r.device.log


def test_reset_command_helps_where_a_break_is_not_forwarded(rig):
    r = rig(baud=115200)
    r.device.hears_break = False
    r.device.hook = lambda text: setattr(r.device, "baud", 115200 if text == "RESET 0" else r.device.baud)
    r.device.baud = 921600
    seconds_until(r, lambda: r.session.status.stage is Stage.TRACKING)
    assert "RESET 0" in r.device.log


def test_comm_that_is_refused_leaves_the_rate_and_says_so(rig):
    r = rig()
    r.device.script("COMM:A0000", "ERROR06")
    r.track()
    assert r.session.status.baud == 9600
    assert any("stays at 9600 baud" in note and "comm parameters failed" in note for note in r.session.status.notes)


def test_old_firmware_answers_ver_instead_of_getinfo(rig):
    r = rig()
    r.device.script("GETINFO:Features.Firmware.Version", "ERROR01", "ERROR01")
    r.device.script("VER:0", "AURORA\nRev 007")
    assert r.track().session.status.firmware == "AURORA Rev 007"


def test_one_message_for_each_hardware_frame(rig):
    r = rig().track()
    frames = r.frames(400)
    numbers = [frame.frame_number for frame in frames]
    assert len(numbers) > 50 and numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert sum(frame.frames_skipped for frame in frames) == 0 and any(frame.repeats_dropped > 0 for frame in frames)
    stamps = [frame.stamp_ns for frame in frames]
    assert stamps == sorted(stamps)


def test_tx_gives_the_same_frames_as_bx(rig):
    bx, tx = rig().track().frames(50), rig(reply="tx").track().frames(50)
    assert {frame.reply_kind for frame in bx} == {2} and {frame.reply_kind for frame in tx} == {1}
    assert (bx[0].tools[0].T_tracker_tool == tx[0].tools[0].T_tracker_tool).all()


def test_polls_keep_their_interval(rig):
    r = rig(poll_interval_s=0.02).track()
    begin, polls = r.device.now, r.session.poller.counters.polls
    r.frames(100)
    assert (r.device.now - begin) / S == pytest.approx((r.session.poller.counters.polls - polls) * 0.02, rel=0.02)


def test_damaged_bx_replies_in_a_row_lead_to_tx(rig):
    r = rig().track()
    good = r.device.bx
    r.device.bx = lambda: bytes([*good()[:20], good()[20] ^ 1, *good()[21:]])
    assert seconds_until_frame(r) < 2.0
    assert r.session.status.reply == "tx" and any("TX is in use" in note for note in r.session.status.notes)
    assert not any(text == "TSTOP:" for text in r.device.log[r.device.log.index("BX:0801") :])


def test_device_without_bx_is_read_by_tx(rig):
    r = rig()
    r.device._on_bx = lambda arguments: "ERROR01"
    seconds_until_frame(r)
    assert r.session.status.reply == "tx"


def test_single_bad_replies_and_silences_are_repeated_and_nothing_more(rig):
    r = rig().track()
    r.device.script("BX:0801", r.device.bx()[:30], "OKAY", b"\x00")
    assert r.frames(60)
    counters = r.session.poller.counters
    assert (counters.bad_replies, counters.silences) == (3, 0)
    assert r.session.status.reply == "bx" and "TSTOP:" not in r.device.log


def test_silent_device_is_looked_for_stage_by_stage(rig):
    r = rig().track()
    r.device.silent = True
    r.device.log.clear()
    stages = []
    while "RESET 0" not in r.device.log:
        r.session.step()
        if not stages or stages[-1] is not r.session.status.stage:
            stages.append(r.session.status.stage)
    again = [Stage.OPEN, Stage.PROBE, Stage.RESET, Stage.PROBE]
    assert stages == [Stage.TRACKING, Stage.RESTART, Stage.PROBE, *again, *again]
    order = [r.device.log.index(text) for text in ("BX:0801", "TSTOP:", "APIREV:", "CLOSE", "BREAK", "RESET 0")]
    assert order == sorted(order)
    status = r.session.status
    assert "does not answer" in status.problem and "is on" in status.remedy and not status.tracking


def step_until_two_tools_are_valid(rig):
    """The last frame of a step holds two tools with a pose."""
    begin, tools = rig.device.now, ()
    while [tool.status for tool in tools] != [ToolStatus.VALID] * 2:
        tools = next((frame.tools for frame in reversed(rig.session.step())), ())
        assert rig.device.now - begin < 120 * S, rig.session.status


def flipped(random):
    """What damages every reply in one bit."""

    def damage(reply):
        damaged = bytearray(reply)
        damaged[random.randrange(len(damaged))] ^= 1 << random.randrange(8)
        return bytes(damaged)

    return damage


FAULTS = {
    "every reply corrupt": flipped,
    "replies truncated": lambda random: lambda reply: reply[: random.randrange(len(reply))],
    "half the replies lost": lambda random: lambda reply: reply if random.random() < 0.5 else b"",
    "half the replies corrupt": lambda random: lambda reply: reply if random.random() < 0.5 else flipped(random)(reply),
    "no reply": lambda random: lambda reply: b"",
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("length_s", [0.1, 0.5, 1.0, 2.0, 5.0, 20.0, 90.0])
def test_all_tools_are_back_within_two_seconds_of_the_end_of_a_fault_on_the_line(rig, fault, length_s):
    for phase in range(6):
        r = rig().track()
        end = r.device.now + round((length_s + 0.23 * phase) * S)
        damage = FAULTS[fault](Random(phase))
        # By the clock of the device, since one step of the driver may take longer than the fault.
        r.device.line = lambda reply, r=r, end=end, damage=damage: damage(reply) if r.device.now < end else reply
        seconds_until(r, lambda r=r, end=end: r.device.now >= end)
        step_until_two_tools_are_valid(r)
        assert (r.device.now - end) / S < 2.0, (phase, r.session.status)


def test_device_that_answers_damaged_is_not_reset_and_goes_on_as_it_was(rig):
    r = rig().track()
    begin, r.device.line = r.device.now, flipped(Random(3))
    r.device.log.clear()
    seconds_until(r, lambda: r.device.now - begin > 60 * S)
    r.device.line = lambda reply: reply
    assert seconds_until_frame(r) < 2.0
    assert "BREAK" not in r.device.log and "RESET 0" not in r.device.log
    assert r.session.status.reply == "bx"


def test_device_found_as_it_was_left_is_not_set_up_again(rig):
    r = rig().track()
    r.device.silent = True
    begin = r.device.now
    seconds_until(r, lambda: r.device.now - begin > 5 * S)
    r.device.silent = False
    r.device.log.clear()
    assert seconds_until_frame(r) < 1.0
    assert "TSTART:" in r.device.log and "INIT:" not in r.device.log and not any(text.startswith("PINIT") for text in r.device.log)


def test_tool_whose_reply_was_lost_is_looked_for_again(rig):
    r = rig()
    r.device.script("PINIT:0A", b"", b"")
    r.track()
    assert [t.status for t in r.frames(30)[-1].tools] == [ToolStatus.VALID]
    begin = r.device.now
    step_until_two_tools_are_valid(r)
    assert r.device.now - begin < 2 * S


@pytest.mark.parametrize("length_s", [1.0, 3.0, 8.0, 30.0])
def test_commands_that_arrive_damaged_do_not_count_as_a_refusal(rig, reply_line, length_s):
    for phase in range(6):
        r = rig().track()
        end, answer = r.device.now + round((length_s + 0.23 * phase) * S), r.device._answer
        r.device._answer = lambda text, r=r, end=end, answer=answer: reply_line("ERROR04") if r.device.now < end else answer(text)
        seconds_until(r, lambda r=r, end=end: r.device.now >= end)
        step_until_two_tools_are_valid(r)
        assert (r.device.now - end) / S < 2.0, phase


def test_device_that_was_silent_for_a_while_comes_back_by_itself(rig):
    for silent_s in (0.3, 1.5, 4.0, 30.0, 300.0):
        r = rig().track()
        r.device.silent = True
        end = r.device.now + round(silent_s * S)
        seconds_until(r, lambda r=r, end=end: r.device.now >= end, 400.0)
        r.device.silent = False
        recovery = seconds_until_frame(r)
        assert r.session.status.problem == "" and r.session.status.tracking
        assert recovery < 2.0, silent_s


def test_device_that_lost_its_power_is_set_up_again(rig):
    r = rig().track()
    r.device.power_cycle()
    assert seconds_until_frame(r) < 2.0
    assert r.device.baud == 230400


def test_device_that_left_tracking_is_started_without_a_reset_of_its_counter(rig):
    r = rig().track()
    r.device.tracking = False
    r.device.log.clear()
    assert seconds_until_frame(r) < 0.5
    assert "TSTART:" in r.device.log and "TSTART:80" not in r.device.log and "INIT:" not in r.device.log


def test_device_that_accepts_everything_and_measures_nothing_is_not_hurried(rig):
    r = rig()
    r.device._on_bx = lambda arguments: "ERROR0D"
    begin = r.device.now
    for _ in range(300):
        r.session.step()
    assert "no tool" in r.session.status.problem
    # Twenty full starts and more would fit into this time without a back-off.
    assert r.device.log.count("CLOSE") <= (r.device.now - begin) / S / 3.0


def test_line_that_disappears_is_opened_again_when_it_is_back(rig):
    r = rig().track()
    r.device.present = False
    r.session.step()
    assert r.session.status.stage is Stage.OPEN
    for _ in range(50):
        r.session.step()
    assert "does not exist" in r.session.status.problem and "/dev/serial/by-id" in r.session.status.remedy
    r.device.present = True
    assert seconds_until_frame(r) < 1.0
    assert r.session.status.problem == ""


@pytest.mark.parametrize("cause", [Cause.PERMISSION, Cause.PORT_IN_USE, Cause.NOT_SERIAL])
def test_port_that_cannot_be_opened_says_why_and_what_to_do(rig, cause):
    r = rig()

    def refuse(port, baud):
        raise DriverFault(cause, port)

    r.session._connect = refuse
    r.session.step()
    assert cause.value in r.session.status.problem and r.session.status.problem.startswith("cannot open the port")
    assert r.session.status.remedy
    r.session._connect = r.device.connect
    assert seconds_until_frame(r) < 3.0


def test_noise_on_the_port_is_told_from_silence(rig):
    r = rig()
    r.device.silent = True
    r.device.hook = lambda text: r.device.say(b"\xf3\x81\x7e\x00\x9c", 3_000_000)
    seconds_until(r, lambda: r.session.status.problem != "")
    assert "not this device's language" in r.session.status.problem and "baud rate" in r.session.status.remedy


def test_tool_plugged_in_while_tracking_joins_without_a_reset_of_the_counter(rig, tool):
    r = rig(tool(0x0A)).track()
    before = r.frames(20)[-1].frame_number
    r.device.tools.append(tool(0x0B, "AAAAAAA2", port=2))
    r.device.system_status = int(SystemStatus.PORT_OCCUPIED)
    r.frames(3)
    r.device.system_status = 0
    after = r.frames(30)
    assert {t.name for t in after[-1].tools} == {"0", "1"}
    assert all(t.status is ToolStatus.VALID for t in after[-1].tools)
    assert after[0].frame_number > before and r.device.log.count("TSTART:80") == 1


def test_tool_pulled_out_is_reported_unplugged_and_keeps_its_name_when_it_is_back(rig, tool):
    r = rig(tool(0x0A, "AAAAAAA1"), tool(0x0B, "AAAAAAA2", port=2)).track()
    pulled = r.device.tools[1]
    pulled.plugged = pulled.enabled = pulled.initialised = False
    r.device.system_status = int(SystemStatus.PORT_UNOCCUPIED)
    frames = r.frames(20)
    r.device.system_status = 0
    assert {t.name: t.status for t in frames[-1].tools} == {"0": ToolStatus.VALID, "1": ToolStatus.UNPLUGGED}
    pulled.plugged, pulled.handle, pulled.port = True, 0x0C, 4
    r.device.system_status = int(SystemStatus.PORT_OCCUPIED)
    assert {t.name: t.status for t in r.frames(30)[-1].tools} == {"0": ToolStatus.VALID, "1": ToolStatus.VALID}


def test_port_bit_that_stays_set_does_not_keep_interrupting_the_tools(rig):
    r = rig().track()
    r.device.system_status = int(SystemStatus.PORT_OCCUPIED)
    begin = r.device.now
    while r.device.now - begin < 60 * S:
        r.session.step()
    assert r.device.log.count("TSTOP:") <= 6


def test_fault_of_the_device_itself_is_said_while_it_lasts(rig):
    r = rig().track()
    r.device.system_status = int(SystemStatus.HARDWARE_FAILURE)
    assert r.frames(20)[-1].system_status == 0x10
    assert any("fault of its own" in note for note in r.session.status.notes)
    r.device.system_status = 0
    r.frames(20)
    assert r.session.status.notes == ()


def test_no_tool_at_all_is_said_and_the_driver_waits_for_one(rig, tool):
    r = rig(tool(0x0A, plugged=False)).track()
    assert r.session.status.tracking and "no tool is plugged in" in r.session.status.notes
    r.device.tools[0].plugged = True
    r.device.system_status = int(SystemStatus.PORT_OCCUPIED)
    assert seconds_until_frame(r) < 1.0


def test_frame_counter_of_a_new_start_is_not_taken_for_lost_frames(rig):
    r = rig().track()
    r.frames(500)
    r.device.present = False
    r.frames(20)
    r.device.present = True
    r.frames(300)
    assert r.session.frames.counters.skipped == 0


def test_close_stops_tracking_and_gives_the_port_back(rig):
    r = rig().track()
    r.session.close()
    assert r.device.log[-2:] == ["TSTOP:", "CLOSE"] and not r.device.tracking
    r.session.close()
    assert r.device.log.count("CLOSE") == 1
