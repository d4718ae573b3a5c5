"""pyserial on pseudo-terminals: what a port can do wrong before and while it is open."""

import os
import pty
import time
from pathlib import Path

import pytest

from lodestone_core.device.faults import Cause, DriverFault
from lodestone_core.device.serial_port import SerialTransport


@pytest.fixture
def line():
    """Master and path of a pseudo-terminal."""
    master, slave = pty.openpty()
    yield master, os.ttyname(slave), slave
    for descriptor in (master, slave):
        try:
            os.close(descriptor)
        except OSError:
            continue


def cause_of(path):
    with pytest.raises(DriverFault) as caught:
        SerialTransport(str(path), 9600)
    return caught.value.cause


def test_bytes_go_both_ways(line):
    master, path, _ = line
    port = SerialTransport(path, 9600)
    port.write(b"INIT:E3A5\r")
    assert os.read(master, 100) == b"INIT:E3A5\r"
    os.write(master, b"\xc4\xa5\x00\r\n\x11\x13")
    assert port.read(1.0) == b"\xc4\xa5\x00\r\n\x11\x13"
    port.close()


def test_read_waits_no_longer_than_told(line):
    port = SerialTransport(line[1], 9600)
    begin = time.monotonic()
    assert port.read(0.1) == b""
    assert 0.09 < time.monotonic() - begin < 0.5
    assert port.read(0.0) == b""
    port.close()


def test_baud_rates_outside_the_posix_list_are_set(line):
    port = SerialTransport(line[1], 9600)
    for baud in (230400, 921600, 1228739, 9600):
        port.set_baud(baud, handshake=False)
        os.write(line[0], b"at any rate")
        assert port.read(1.0) == b"at any rate"
    port.close()


def test_missing_port(tmp_path):
    assert cause_of(tmp_path / "ttyUSB7") is Cause.PORT_MISSING


def test_path_that_is_no_serial_port(tmp_path):
    (tmp_path / "file").write_text("")
    assert cause_of(tmp_path / "file") is Cause.NOT_SERIAL
    assert cause_of(tmp_path) is Cause.NOT_SERIAL


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_port_without_permission(line):
    Path(line[1]).chmod(0)
    assert cause_of(line[1]) is Cause.PERMISSION


def test_permission_is_told_from_the_error_number(monkeypatch, line):
    def refuse(*arguments, **keywords):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("lodestone_core.device.serial_port.serial.Serial", refuse)
    with pytest.raises(DriverFault) as caught:
        SerialTransport(line[1], 9600)
    assert caught.value.cause is Cause.PERMISSION and "dialout" in caught.value.remedy


def test_port_in_use(line):
    first = SerialTransport(line[1], 9600)
    assert cause_of(line[1]) is Cause.PORT_IN_USE
    first.close()
    SerialTransport(line[1], 9600).close()


def test_line_that_disappears_while_it_is_read_written_or_set(line):
    master, path, slave = line
    port = SerialTransport(path, 9600)
    os.close(slave)
    os.close(master)
    for action in (lambda: port.read(1.0), lambda: port.write(b"x"), lambda: port.set_baud(230400, handshake=False)):
        with pytest.raises(DriverFault) as caught:
            action()
        assert caught.value.cause is Cause.LOST
    port.close()
    port.close()
