"""The serial line on a pseudo-terminal: pace, rates that do not match, and what happens when it is pulled out."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial

from lodestone_bench.emulators.garble import garble
from lodestone_bench.emulators.line import SerialLine
from lodestone_core.errors import InputError

T0_S = 1000.0


@pytest.fixture
def line(tmp_path: Path) -> Iterator[SerialLine[str]]:
    line: SerialLine[str] = SerialLine(tmp_path / "line")
    line.plug_in()
    yield line
    line.unplug()


def deliver(line: SerialLine[str], now_s: float, until_s: float) -> list[str]:
    """Serve the line on a clock of the test's own, from one due time to the next; what got through."""
    through: list[str] = []
    while now_s <= until_s:
        through += [transmission.token for transmission in line.service(now_s)]
        due_s = line.due_s(now_s)
        now_s = max(until_s + 1.0 if due_s is None else due_s, now_s + 1e-6)
    return through + [transmission.token for transmission in line.service(until_s)]


def test_equal_rates_leave_bytes_alone() -> None:
    data = bytes(range(256))
    assert bytes(byte for byte, _ in garble(data, 9600, 9600)) == data


def test_a_zero_byte_from_a_slow_host_is_heard_as_zero_without_a_stop_bit() -> None:
    assert garble(b"\x00", 9600, 115200) == [(0, False)], "nine low bits at 9600 are far longer than one byte at 115200"


def test_low_times_too_short_for_a_start_bit_are_not_heard() -> None:
    # 0x55 is ten alternating bits: at half the rate each low one is over in the middle of the receiver's start bit.
    assert garble(b"\x55", 9600, 4800) == []


@pytest.mark.parametrize(("sent", "heard"), [(9600, 230400), (230400, 9600), (115200, 230400), (230400, 115200)])
def test_no_command_survives_a_wrong_rate(sent: int, heard: int) -> None:
    received = bytes(byte for byte, _ in garble(b"INIT:E3A5\r", sent, heard))
    assert b"INIT" not in received and b"\r" not in received


def test_the_rate_that_the_host_sets_is_seen_even_an_odd_one(line: SerialLine[str]) -> None:
    for baud in (9600, 115200, 230400, 921600, 1228739):
        with serial.Serial(str(line.link), baud):
            assert line.host_baud() == baud


def test_bytes_take_their_time_and_the_last_is_never_early(line: SerialLine[str]) -> None:
    with serial.Serial(str(line.link), 9600, timeout=1.0) as port:
        line.send(bytes(48), T0_S + 0.01, 9600, "reply")
        assert deliver(line, T0_S, T0_S + 0.03) == []
        assert 16 <= line.bytes_sent <= 19, "20 ms carry 19 bytes at 9600 baud"
        assert deliver(line, T0_S + 0.03, T0_S + 0.0599) == []
        assert 32 <= line.bytes_sent < 48
        assert deliver(line, T0_S + 0.0599, T0_S + 0.0601) == ["reply"]
        assert port.read(48) == bytes(48)


def test_messages_do_not_overtake_one_another(line: SerialLine[str]) -> None:
    with serial.Serial(str(line.link), 115200, timeout=1.0) as port:
        line.send(b"a" * 100, T0_S, 115200, "first")
        line.send(b"b" * 10, T0_S, 115200, "second")
        assert deliver(line, T0_S, T0_S + 0.0095) == ["first"], "110 bytes take 9.55 ms"
        assert deliver(line, T0_S + 0.0095, T0_S + 0.0096) == ["second"]
        assert port.read(110) == b"a" * 100 + b"b" * 10


def test_a_slow_line_is_slow_and_still_legible(line: SerialLine[str]) -> None:
    line.slow_bits_per_s = 4800
    with serial.Serial(str(line.link), 115200, timeout=1.0) as port:
        line.send(bytes(range(24)), T0_S, 115200, "reply")
        assert deliver(line, T0_S, T0_S + 0.0499) == []
        assert deliver(line, T0_S + 0.0499, T0_S + 0.0501) == ["reply"]
        assert port.read(24) == bytes(range(24))


def test_a_stall_interrupts_a_message_and_loses_nothing(line: SerialLine[str]) -> None:
    with serial.Serial(str(line.link), 9600, timeout=1.0) as port:
        line.send(bytes(range(32)), T0_S, 9600, "reply")
        assert deliver(line, T0_S, T0_S + 0.018) == []
        line.stall(T0_S + 0.018, 0.05)
        before = line.bytes_sent
        assert 0 < before < 32
        assert line.readable_fd(T0_S + 0.05) is None and line.readable_fd(T0_S + 0.07) is not None
        assert deliver(line, T0_S + 0.018, T0_S + 0.0679) == [] and line.bytes_sent == before
        assert deliver(line, T0_S + 0.0679, T0_S + 0.0833) == [], "32 bytes take 33.3 ms, and the stall 50 ms"
        assert deliver(line, T0_S + 0.0833, T0_S + 0.0834) == ["reply"] and port.read(32) == bytes(range(32))


def test_a_host_at_another_rate_gets_garbage_and_the_message_counts_as_damaged(line: SerialLine[str]) -> None:
    with serial.Serial(str(line.link), 9600, timeout=0.05) as port:
        line.send(b"OKAYA896\r", T0_S, 115200, "reply")
        (through,) = line.service(T0_S + 0.002)
        assert not through.intact
        assert b"OKAY" not in port.read(64)


def test_a_break_does_not_reach_the_other_end_of_a_pseudo_terminal(line: SerialLine[str]) -> None:
    with serial.Serial(str(line.link), 9600) as port:
        started_s = time.monotonic()
        port.send_break(0.25)
        assert time.monotonic() - started_s < 0.2, "it returns at once: there is no line to hold low"
        assert select.select([line.readable_fd(time.monotonic())], [], [], 0.05)[0] == []


def test_unplugging_hangs_up_on_the_host_and_removes_the_link(line: SerialLine[str]) -> None:
    with serial.Serial(str(line.link), 9600, timeout=0.2) as port:
        first = line.link.readlink()
        line.unplug()
        assert not line.link.is_symlink() and not first.exists()
        with pytest.raises(serial.SerialException):
            port.read(1)
        line.plug_in()
        assert line.link.readlink() != first, "while the host holds the old one the new one has another number"
    with serial.Serial(str(line.link), 9600, timeout=0.2) as port:
        port.write(b"x")
        select.select([line.readable_fd(time.monotonic())], [], [], 1.0)
        assert line.read(9600) == [(ord("x"), True)]


def test_a_link_is_not_made_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    for path in (tmp_path / "taken", tmp_path / "nowhere" / "line"):
        with pytest.raises(InputError, match="free path"):
            SerialLine(path).plug_in()
    assert (tmp_path / "taken").read_text() == "mine"
