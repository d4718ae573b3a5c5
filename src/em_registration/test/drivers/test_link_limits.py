"""Time limits, truncation, and replies that nobody waits for."""

import pytest

from em_registration.drivers import ndi_commands as ndi
from em_registration.drivers.link import Link
from em_registration.drivers.ndi_commands import HandleSet, ReplyKind
from em_registration.drivers.ndi_measurements import Measurement
from em_registration.drivers.ndi_replies import Failure, Okay, Text
from lodestone_core.device.faults import Cause, DriverFault, Stopped

MS = 1_000_000


def elapsed_ms(device, action):
    begin = device.now
    answer = action()
    return answer, (device.now - begin) / MS


@pytest.mark.parametrize(
    ("command", "limit_s"),
    [(ndi.api_revision(), 0.3), (ndi.version(), 1.0), (ndi.init_handle(10), 5.0), (ndi.init(), 15.0)],
)
def test_each_class_of_command_has_its_own_limit(linked, command, limit_s):
    device, link = linked()
    link.set_baud(230400)
    answer, waited = elapsed_ms(device, lambda: link.ask(command))
    assert answer.reply is None and not answer.noise
    assert limit_s * 1e3 <= waited <= limit_s * 1e3 + 20


def test_reply_that_is_lost_is_not_waited_for_longer_than_the_command_took_before(linked):
    device, link = linked()
    link.require(ndi.init())
    device.silent = True
    answer, waited = elapsed_ms(device, lambda: link.ask(ndi.init()))
    assert answer.reply is None and waited < 600
    device.silent = False
    assert link.require(ndi.init()) == Okay()


def test_command_that_takes_longer_now_is_given_more_time_with_each_failure_and_all_of_it_in_the_end(linked):
    device, link = linked()
    link.require(ndi.init())
    device.silent = True
    limits = []
    while len(limits) < 2000 and link.limit_s(ndi.init()) < 15.0:
        limits.append(link.limit_s(ndi.init()))
        with pytest.raises(DriverFault):
            link.require(ndi.init())
    assert len(limits) < 2000 and limits == sorted(set(limits))
    device.silent = False
    link.require(ndi.init())
    assert link.limit_s(ndi.init()) < 0.6


@pytest.mark.parametrize(("reply", "cause"), [("ERROR10", Cause.REFUSED), ("ERROR04", Cause.NOISE), ("D.001.007", Cause.NOISE)])
def test_an_error_is_a_refusal_and_an_answer_to_something_else_is_a_bad_line(linked, reply, cause):
    device, link = linked()
    device.script("TSTART:", reply, reply)
    with pytest.raises(DriverFault) as caught:
        link.okay(ndi.start_tracking(reset_frames=False))
    assert caught.value.cause is cause


def test_limit_of_a_measurement_grows_with_what_the_line_needs_for_the_bytes(linked):
    _, link = linked()
    command = ndi.measure(ReplyKind.TX)
    link.handles = 4
    # 12 command and 291 reply bytes of ten bits.
    assert link.limit_s(command) == pytest.approx(0.2 + 303 * 10 / 9600, abs=0.005)
    link.set_baud(230400)
    assert link.limit_s(command) == pytest.approx(0.2 + 303 * 10 / 230400, abs=0.001)


def test_truncated_measurement_ends_with_the_silence_inside_it(linked, tool):
    device, link = linked(tool(10, enabled=True))
    device.script("BX:0801", device.bx()[:20])
    answer, waited = elapsed_ms(device, lambda: link.ask(ndi.measure(ReplyKind.BX)))
    assert answer.reply is None and answer.noise
    assert waited < 50


def test_corrupted_measurement_is_noise_and_the_next_one_is_read(linked, tool):
    device, link = linked(tool(10, enabled=True))
    device.tracking = True
    damaged = bytearray(device.bx())
    damaged[20] ^= 4
    device.script("BX:0801", bytes(damaged))
    assert link.ask(ndi.measure(ReplyKind.BX)).noise
    assert isinstance(link.ask(ndi.measure(ReplyKind.BX)).reply, Measurement)


def test_reply_that_came_twice_does_not_answer_the_next_command(linked, reply_line):
    device, link = linked()
    device.script("INIT:", reply_line("OKAY") * 2)
    assert link.ask(ndi.init()).reply == Okay()
    assert link.ask(ndi.api_revision()).reply == Text("D.001.007")


def test_times_of_an_answer_are_those_of_its_bytes(linked, reply_line):
    device, link = linked()
    sent = device.now
    reply = reply_line("OKAY")
    device.hook = lambda text: (device.say(reply[:3], 4 * MS), device.say(reply[3:], 9 * MS))
    device.silent = True
    answer = link.ask(ndi.init())
    assert answer.reply == Okay()
    assert [(t - sent) // MS for t in (answer.sent_ns, answer.first_byte_ns, answer.last_byte_ns)] == [0, 4, 9]


def test_command_of_the_setup_is_asked_twice_before_it_fails(linked):
    device, link = linked()
    device.script("PHSR:00", b"020A0010B001????\r")
    assert link.text(ndi.list_handles(HandleSet.ALL)) == "00"
    device.silent = True
    with pytest.raises(DriverFault) as caught:
        link.okay(ndi.init_handle(3))
    assert caught.value.cause is Cause.SILENT and "PINIT:03" in str(caught.value)
    assert device.log.count("PINIT:03") == 2


def test_command_that_reached_the_device_garbled_is_sent_again(linked):
    device, link = linked()
    device.script("PINIT:03", "ERROR04", "ERROR13")
    assert link.require(ndi.init_handle(3)) == Failure(0x13)


def test_warning_is_carried_out_and_said(linked):
    device, link = linked()
    device.script("PENA:0AD", "WARNING05")
    assert link.okay(ndi.enable_handle(10)) == "PENA:0AD: WARNING05"


def test_error_names_the_command_and_its_meaning(linked):
    device, link = linked()
    device.script("TSTART:", "ERROR10")
    with pytest.raises(DriverFault, match=r"TSTART: was answered by ERROR10 \(not initialised\)"):
        link.okay(ndi.start_tracking(reset_frames=False))


def test_request_to_stop_ends_a_long_wait(linked):
    device, _ = linked()
    device.silent = True
    begin = device.now
    link = Link(device, device, linked()[1]._limits, lambda: device.now > begin + 500 * MS)
    with pytest.raises(Stopped):
        link.ask(ndi.init())
    assert device.now - begin < 700 * MS


def test_reply_is_found_among_bytes_that_nobody_asked_for(linked):
    device, link = linked()
    for _ in range(200):
        device.say(b"\x55" * 16)
    assert link.ask(ndi.init()).reply == Okay()


def test_device_that_never_stops_talking_does_not_hold_the_driver(linked):
    device, link = linked()

    def babble(timeout_s):
        device.now += MS
        return b"\x55" * 16

    device.read = babble
    answer, waited = elapsed_ms(device, lambda: link.ask(ndi.api_revision()))
    assert answer.reply is None and answer.noise
    assert waited < 3000


def test_reply_that_comes_slowly_but_steadily_is_read_to_its_end(linked, tool):
    device, link = linked(tool(10, enabled=True), tool(11, enabled=True))
    reply = device.bx()
    device.hook = lambda text: [device.say(reply[at : at + 2], (at + 2) * 10 * MS) for at in range(0, len(reply), 2)]
    device.silent = True
    answer, waited = elapsed_ms(device, lambda: link.ask(ndi.measure(ReplyKind.BX)))
    assert isinstance(answer.reply, Measurement)
    assert waited > 900
