"""The whole emulator over its pseudo-terminal and control socket, with nothing but pyserial on the other end."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import serial

from lodestone_bench.emulators.aurora_emulator import AuroraEmulator
from lodestone_bench.emulators.aurora_setup import Paths, scripted_emulator
from lodestone_bench.emulators.control import send_request
from lodestone_bench.world.config import script_of
from lodestone_core.errors import InputError

Serve = Callable[[AuroraEmulator], AuroraEmulator]
Connect = Callable[..., Any]


def until(condition: Callable[[], bool], timeout_s: float = 3.0) -> None:
    """Wait for it, or fail."""
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, "it did not happen in time"
        time.sleep(0.005)


def frame(reply: bytes) -> int:
    """Frame number of the first handle of a BX reply in which it is visible."""
    return int(struct.unpack_from("<I", reply, 6 + 1 + 2 + 32 + 4)[0])


def test_a_host_sets_up_and_reads_frames(four_tools: AuroraEmulator, tmp_path: Path, connect: Connect) -> None:
    host = connect(tmp_path / "line")
    assert host.raw(b"RESET 0\r") == b"RESETBE6F\r"
    assert host.set_up() == ["0A", "0B", "0C", "0D"]
    assert host.ask("TSTART:80") == "OKAY"
    time.sleep(0.03)
    assert len(host.ask("TX:0801")) == 291 - 5
    frames = [frame(host.bx()) for _ in range(40)]
    assert len(host.bx()) == 179
    assert frames == sorted(frames) and len(set(frames)) > 10, "40 polls of 9 ms see some 14 frames, each several times"
    assert host.ask("TSTOP:") == "OKAY"


def test_statistics_count_what_a_lossless_driver_has_seen(four_tools: AuroraEmulator, tmp_path: Path, connect: Connect) -> None:
    host = connect(tmp_path / "line")
    host.set_up()
    host.ask("TSTART:80")
    until(lambda: bool(send_request(tmp_path / "control", do="statistics")["frames_produced"] >= 2))
    seen = {frame(host.bx()) for _ in range(50)}
    send_request(tmp_path / "control", do="drop", command="BX", count=8)
    host.port.timeout = 0.02
    for _ in range(8):
        host.raw(b"BX:080100EC\r")
    host.port.timeout = 1.0
    seen |= {frame(host.bx()) for _ in range(20)}
    statistics = send_request(tmp_path / "control", do="statistics")
    assert statistics["ok"] and statistics["commands"]["BX"] == 78 == statistics["replies"]["BX"]
    assert statistics["frames_reported"] == len(seen) == statistics["tools"]["sensor_3"]["frames_reported"]
    assert statistics["frames_produced"] >= len(seen) + 5, "six frames came while the replies were dropped"
    assert statistics["faults"]["drop"] == 8


def test_first_polls_before_anything_was_measured_are_counted_apart(four_tools: AuroraEmulator, tmp_path: Path, connect: Connect) -> None:
    host = connect(tmp_path / "line")
    host.set_up()
    numbers: set[tuple[int, int]] = set()
    for start in range(3):
        host.ask("TSTART:80")
        for _ in range(20):
            numbers.add((start, int(host.ask("TX:0801").split("\n")[0][-8:], 16)))
        host.ask("TSTOP:")
    statistics = send_request(tmp_path / "control", do="statistics")
    assert statistics["frames_reported"] + statistics["frames_empty"] == len(numbers)
    assert statistics["frames_empty"] == sum(number == 0 for _, number in numbers)


def test_after_comm_only_the_new_rate_is_understood(four_tools: AuroraEmulator, tmp_path: Path, connect: Connect) -> None:
    host = connect(tmp_path / "line")
    assert host.ask("COMM:50000") == "OKAY"
    host.port.timeout = 0.1
    assert b"OKAY" not in host.raw(b"INIT:E3A5\r"), "still at 9600"
    host.port.baudrate = 115200
    host.port.reset_input_buffer()
    host.raw(b"\r")  # flush what the device has made of the bytes before
    assert host.ask("INIT:") == "OKAY"
    assert send_request(tmp_path / "control", do="state")["baud"] == 115200


def test_a_break_from_the_control_socket_resets_to_9600(four_tools: AuroraEmulator, tmp_path: Path, connect: Connect) -> None:
    host = connect(tmp_path / "line")
    host.set_up()
    host.ask("TSTART:80")
    host.port.baudrate = 9600
    assert send_request(tmp_path / "control", do="break") == {"ok": True}
    host.port.write(b"INIT:E3A5\r")  # too early: the device is not up yet and does not hear it
    assert host.port.read_until(b"\r") == b"RESETBE6F\r"
    assert host.ask("PHSR:00") == "ERROR10" and host.ask("INIT:") == "OKAY"


@pytest.mark.parametrize("power_cycle", [False, True])
def test_a_replugged_line_finds_the_device_as_it_was_or_fresh(
    four_tools: AuroraEmulator, tmp_path: Path, connect: Connect, power_cycle: bool
) -> None:
    host = connect(tmp_path / "line")
    host.set_up()
    host.ask("TSTART:80")
    send_request(tmp_path / "control", do="unplug", replug_after_s=0.2, power_cycle=power_cycle)
    assert not (tmp_path / "line").is_symlink()
    with pytest.raises(serial.SerialException):
        host.port.read(1)
    until((tmp_path / "line").exists)
    again = connect(tmp_path / "line", 9600 if power_cycle else 230400)
    if power_cycle:
        assert again.ask("TX:0801") == "ERROR0C"
    else:
        assert len(again.bx()) == 179
    assert send_request(tmp_path / "control", do="statistics")["events"] == {"unplug": 1, "replug": 1}


def test_warnings_errors_and_damaged_commands_come_on_demand(four_tools: AuroraEmulator, tmp_path: Path, connect: Connect) -> None:
    host = connect(tmp_path / "line")
    for request in (
        {"do": "warning", "command": "PINIT", "text": "WARNING05"},
        {"do": "error", "command": "PENA", "code": 0x28},
        {"do": "garble_command", "command": "TSTART"},
    ):
        send_request(tmp_path / "control", **request)
    host.ask("INIT:")
    assert host.ask("PINIT:0A") == "WARNING05" and host.ask("PHSR:03") == "010A011", "a warning is not a refusal"
    assert host.ask("PENA:0AD") == "ERROR28" and host.ask("PENA:0AD") == "OKAY"
    assert host.ask("TSTART:80") == "ERROR04" and host.ask("TSTART:80") == "OKAY"


def test_a_wrong_serial_number_lasts_until_the_tool_is_initialised_again(
    four_tools: AuroraEmulator, tmp_path: Path, connect: Connect
) -> None:
    host = connect(tmp_path / "line")
    host.set_up()
    send_request(tmp_path / "control", do="zero_serial", tool="sensor_1")
    assert host.ask("PHINF:0B0001")[23:31] == "00000000" and host.ask("PHINF:0A0001")[23:31] == "3A000001"
    host.ask("INIT:")
    assert host.ask("PHINF:0B0001")[23:31] == "3A000002"


def test_junk_corruption_and_a_tool_leaving_are_seen_by_the_host(four_tools: AuroraEmulator, tmp_path: Path, connect: Connect) -> None:
    host = connect(tmp_path / "line")
    host.set_up()
    host.ask("TSTART:80")
    send_request(tmp_path / "control", do="junk", bytes=7)
    assert len(host.port.read(7)) == 7
    send_request(tmp_path / "control", do="corrupt", command="BX", bits=1)
    with pytest.raises(AssertionError):
        host.bx()
    host.port.reset_input_buffer()
    send_request(tmp_path / "control", do="tool_out", tool="sensor_0")
    assert "0AUNOCCUPIED\n" in host.ask("TX:0801")
    answer = send_request(tmp_path / "control", do="tool_out", tool="sensor_9")
    assert not answer["ok"] and "one of sensor_0, sensor_1" in answer["error"]


def test_a_script_brings_its_own_faults(tmp_path: Path, serve: Serve, connect: Connect) -> None:
    script = script_of(
        {
            "rate_hz": 40,
            "bodies": {"wand": {"center_mm": [0, 0, -150]}},
            "tools": {"probe": {"body": "wand"}, "coil": {"body": "wand", "plug": {"degrees_of_freedom": 5}}},
            "faults": [{"tracking_s": 0.1, "do": "missing", "tool": "probe", "for_s": 0.15}],
        }
    )
    serve(scripted_emulator(script, Paths(tmp_path / "line")))
    host = connect(tmp_path / "line")
    host.set_up()
    host.ask("TSTART:80")
    states = [host.bx()[8] for _ in range(80)]
    runs = [state for i, state in enumerate(states) if i == 0 or state != states[i - 1]]
    assert runs[-3:] == [1, 2, 1] and len(runs) <= 4, "perhaps nothing measured yet, then visible, hidden by the fault, visible"


def test_a_fault_that_nobody_understands_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean for_s"):
        scripted_emulator(script_of({"faults": [{"at_s": 1, "do": "stall", "for": 1}]}), Paths(tmp_path / "line"))
    with pytest.raises(InputError, match="one of sensor_0, sensor_1"):
        scripted_emulator(script_of({"faults": [{"at_s": 1, "do": "tool_out", "tool": "probe"}]}), Paths(tmp_path / "line"))


def test_the_control_socket_survives_nonsense(four_tools: AuroraEmulator, tmp_path: Path) -> None:
    for line, text in ((b"{", "Expecting"), (b"[1]", "JSON object"), (b'{"do": "fly"}', "one of corrupt")):
        answer = raw_request(tmp_path / "control", line)
        assert not answer["ok"] and text in answer["error"]
    assert send_request(tmp_path / "control", do="state")["mode"] == "power-up"


def raw_request(path: Path, line: bytes) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(line + b"\n")
        return dict(json.loads(client.makefile().readline()))


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def command(tmp_path: Path) -> Any:
    """The console command in a process of its own, with four tools."""
    options = ["--link", str(tmp_path / "line"), "--control", str(tmp_path / "control"), "--tools", "4", "--rate", "40"]
    process = subprocess.Popen([sys.executable, "-m", "lodestone_bench.emulators.aurora", *options])
    until((tmp_path / "control").exists, 10.0)
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_ends_cleanly_on_a_signal_and_leaves_no_path(
    command: subprocess.Popen[bytes], tmp_path: Path, number: signal.Signals
) -> None:
    command.send_signal(number)
    assert command.wait(5.0) == 0
    assert list(tmp_path.iterdir()) == []


def test_polled_as_fast_as_the_line_allows_it_takes_less_than_15_percent_of_a_core(
    command: subprocess.Popen[bytes], tmp_path: Path, connect: Connect
) -> None:
    host = connect(tmp_path / "line")
    host.set_up()
    host.ask("TSTART:80")
    time.sleep(0.05)
    before_s, started_s, polls = cpu_s(command.pid), time.monotonic(), 0
    while time.monotonic() < started_s + 3.0:
        host.port.write(b"BX:080100EC\r")
        assert len(host.port.read(179)) == 179
        polls += 1
    share = (cpu_s(command.pid) - before_s) / (time.monotonic() - started_s)
    assert share < 0.15
    assert polls > 3.0 / 0.0088 / 3, "a poll takes 8.8 ms on the wire; a third of that many on a busy machine"


def test_the_command_refuses_bad_input_with_one_sentence(tmp_path: Path) -> None:
    for options, text in (
        (["--link", str(tmp_path / "line"), "--recording", str(tmp_path / "none.txt")], "no such file"),
        (["--tools", "2"], "--link: expected a path"),
        (["--control", str(tmp_path / "nobody"), "--send", '{"do": "state"}'], "a control socket"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "lodestone_bench.emulators.aurora", *options], capture_output=True, text=True, timeout=20, check=False
        )
        assert done.returncode == 2 and text in done.stderr and done.stderr.count("\n") == 1
