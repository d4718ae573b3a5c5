"""`lodestone up` starts, watches and ends processes, and leaves none behind however it ends."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Start = Callable[..., Any]
Write = Callable[..., Path]
# Writes its process id once it is ready, with a grandchild in its own group and one in a session of its own.
FAMILY = 'sleep 60 & setsid sleep 60 & echo $$ > "$1"; wait'
WAITS = 'echo $$ > "$1"; exec sleep 60'


def test_the_exit_code_is_0_when_all_processes_end_well(prefix: Any, launch_file: Write, start: Start) -> None:
    runner = start(launch_file("- executable: {cmd: $(exec-in-pkg tool tools) hello, output: screen}\n"))
    code, out, _ = runner.end()
    assert code == 0
    assert "[tool-1] hello" in out
    assert "research use only, not a medical device" in out


def test_the_exit_code_is_1_when_a_process_fails_and_the_others_go_on(prefix: Any, launch_file: Write, start: Start) -> None:
    prefix.add("tools", "fail", "exit 3")
    prefix.add("tools", "later", "sleep 0.3; echo still here")
    actions = "- node: {pkg: tools, exec: fail}\n- node: {pkg: tools, exec: later, output: screen}\n"
    code, out, _ = start(launch_file(actions)).end()
    assert code == 1
    assert "fail-1 ended with exit code 3" in out
    assert "[later-2] still here" in out


@pytest.mark.parametrize(("script", "expected"), [("exit 7", 7), ("exit 0", 0), ("kill -9 $$", 128 + 9)])
def test_a_required_process_takes_all_others_with_it_and_gives_its_exit_code(
    prefix: Any, launch_file: Write, start: Start, tmp_path: Path, script: str, expected: int
) -> None:
    prefix.add("tools", "family", FAMILY)
    prefix.add("tools", "required", f'while [ ! -s "$1" ]; do sleep 0.02; done; {script}')
    ready = tmp_path / "ready"
    actions = f"- executable: {{cmd: $(exec-in-pkg family tools) {ready}}}\n"
    actions += f"- executable: {{cmd: $(exec-in-pkg required tools) {ready}, on_exit: shutdown}}\n"
    runner = start(launch_file(actions))
    code, out, _ = runner.end()
    assert code == expected
    assert "required-2, which is required, ended" in out
    assert runner.alive() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_every_process_and_its_children(
    prefix: Any, launch_file: Write, start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    prefix.add("tools", "family", FAMILY)
    ready = tmp_path / "ready"
    runner = start(launch_file(f"- executable: {{cmd: $(exec-in-pkg family tools) {ready}}}\n"))
    runner.wait_for(ready)
    assert len(runner.alive()) >= 3
    os.kill(runner.process.pid, number)
    code, out, _ = runner.end()
    assert code == 0
    assert f"{number.name} received" in out
    assert runner.alive() == []


def test_killing_the_runner_ends_everything_in_its_process_groups(prefix: Any, launch_file: Write, start: Start, tmp_path: Path) -> None:
    prefix.add("tools", "family", 'trap "" INT TERM HUP; sleep 60 & echo $$ > "$1"; wait')
    ready = tmp_path / "ready"
    runner = start(launch_file(f"- executable: {{cmd: $(exec-in-pkg family tools) {ready}}}\n"))
    runner.wait_for(ready)
    os.kill(runner.process.pid, signal.SIGKILL)
    runner.wait_until(lambda: runner.alive() == [], 5.0)
    assert runner.process.wait() == -signal.SIGKILL


def test_a_process_that_is_killed_leaves_no_child_and_comes_back_after_its_delay(
    prefix: Any, launch_file: Write, start: Start, tmp_path: Path
) -> None:
    prefix.add("tools", "family", 'sleep 61 & echo $$ >> "$1"; wait')
    ready = tmp_path / "ready"
    action = f'- executable: {{cmd: $(exec-in-pkg family tools) {ready}, respawn: "true", respawn_delay: 0.5}}\n'
    runner = start(launch_file(action))
    first = int(runner.wait_for(ready))
    before = set(runner.alive())
    os.kill(first, signal.SIGKILL)
    killed = time.monotonic()
    runner.wait_until(lambda: len(ready.read_text().split()) == 2)
    assert time.monotonic() - killed >= 0.5
    guardian_only = before & set(runner.alive())
    assert len(guardian_only) == 1
    runner.process.send_signal(signal.SIGINT)
    code, out, _ = runner.end()
    assert code == 0
    assert "ended by SIGKILL: starting it again in 0.5 s" in out


def test_respawns_are_counted(prefix: Any, launch_file: Write, start: Start, tmp_path: Path) -> None:
    prefix.add("tools", "fail", 'echo x >> "$1"; exit 4')
    count = tmp_path / "count"
    action = f'- executable: {{cmd: $(exec-in-pkg fail tools) {count}, respawn: "true", respawn_max_retries: 2}}\n'
    code, _, _ = start(launch_file(action)).end()
    assert code == 1
    assert len(count.read_text().split()) == 3


def test_a_process_that_ignores_the_interrupt_is_ended_when_it_comes_again(
    prefix: Any, launch_file: Write, start: Start, tmp_path: Path
) -> None:
    prefix.add("tools", "deaf", '#!/bin/sh\ntrap "" INT TERM\necho $$ > "$1"\nwhile true; do sleep 0.05; done\n')
    ready = tmp_path / "ready"
    runner = start(launch_file(f"- executable: {{cmd: $(exec-in-pkg deaf tools) {ready}}}\n"))
    runner.wait_for(ready)
    for pause_s in (0.3, 0.3, 0.0):
        runner.process.send_signal(signal.SIGINT)
        time.sleep(pause_s)
    code, out, _ = runner.end()
    assert code == 1
    assert "deaf-1 has not ended: sending SIGTERM" in out
    assert "deaf-1 has not ended: sending SIGKILL" in out
    assert runner.alive() == []


def test_a_program_that_cannot_start_is_a_failure_and_not_a_crash(prefix: Any, launch_file: Write, start: Start) -> None:
    prefix.add("tools", "broken", "#!/no/such/interpreter\n")
    prefix.add("tools", "waits", "exec sleep 60")
    waits = "- node: {pkg: tools, exec: waits}\n"
    actions = f"{waits}- node: {{pkg: tools, exec: broken, on_exit: shutdown}}\n{waits}"
    runner = start(launch_file(actions))
    code, out, err = runner.end()
    assert code == 127
    assert "broken-2 does not start" in out
    assert "Traceback" not in out + err
    assert runner.alive() == []


def test_lines_carry_the_name_of_their_process_and_stay_whole(prefix: Any, launch_file: Write, start: Start) -> None:
    prefix.add("tools", "lines", "printf 'first '; sleep 0.2; printf 'half\\nlast without end'; echo to stderr >&2")
    actions = "- node: {pkg: tools, exec: lines, output: screen}\n- node: {pkg: tools, exec: lines}\n"
    _, out, err = start(launch_file(actions)).end()
    assert "[lines-1] first half\n" in out
    assert "[lines-1] last without end\n" in out
    assert "[lines-1] to stderr\n" in err
    # Jazzy's default, 'log', shows standard error only.
    assert "[lines-2] first" not in out
    assert "[lines-2] to stderr\n" in err


def test_everything_is_in_the_log_file(prefix: Any, launch_file: Write, start: Start, tmp_path: Path) -> None:
    runner = start(launch_file("- executable: {cmd: $(exec-in-pkg tool tools) hidden}\n"), ROS_LOG_DIR=str(tmp_path / "logs"))
    _, out, _ = runner.end()
    logs = list((tmp_path / "logs").glob("lodestone-*/launch.log"))
    assert "[tool-1] hidden" not in out
    assert len(logs) == 1
    assert "[tool-1] hidden" in logs[0].read_text()


def test_interrupts_reach_a_process_although_a_shell_started_the_runner_in_the_background(
    prefix: Any, launch_file: Write, start: Start, tmp_path: Path
) -> None:
    prefix.add("tools", "waits", '#!/bin/sh\ntrap "echo interrupted; exit 0" INT\necho $$ > "$1"\nwhile true; do sleep 0.05; done\n')
    ready = tmp_path / "ready"
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        runner = start(launch_file(f"- executable: {{cmd: $(exec-in-pkg waits tools) {ready}, output: screen}}\n"))
    finally:
        signal.signal(signal.SIGINT, previous)
    runner.wait_for(ready)
    runner.process.send_signal(signal.SIGINT)
    code, out, _ = runner.end()
    assert code == 0
    assert "[waits-1] interrupted" in out
