"""Bad input is one sentence and exit code 2; the help needs nothing heavy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("numpy", "scipy", "torch", "rclpy", "matplotlib", "yaml", "rosbags", "mcap", "pooch")


def lodestone(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lodestone_cli", *words]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "words",
    [
        ("up", "no_such.launch.yaml"),
        ("up", "no_such.launch.yaml", "a=b"),
        ("record", "--out", "/dev/null/bag"),
        ("recover", "no_such_bag"),
        ("evaluate", "no_such.yaml"),
        ("evaluate", "no_such.yaml", "--set", "x"),
        ("data", "no_such_recording"),
        ("calibrate", "pivot", "no_such_folder"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(words: tuple[str, ...]) -> None:
    done = lodestone(*words)
    assert done.returncode == 2, done
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1
    assert "expected" in lines[0] and ";" in lines[0]
    assert "Traceback" not in done.stdout + done.stderr


def test_a_bad_launch_argument_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.launch.yaml").write_text("launch:\n- let: {name: a, value: b}\n")
    done = lodestone("up", str(tmp_path / "a.launch.yaml"), "sim=true")
    assert done.returncode == 2
    assert "expected name:=value, got 'sim=true'" in done.stderr


def test_the_help_imports_nothing_heavy() -> None:
    code = f"import sys, lodestone_cli.main; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_every_verb_has_help_and_the_disclaimer_stands_on_top() -> None:
    done = lodestone("--help")
    assert done.returncode == 0
    assert "not a medical device" in " ".join(done.stdout.split())
    for verb in ("up", "record", "recover", "evaluate", "data", "doctor", "calibrate"):
        assert verb in done.stdout
        assert lodestone(verb, "--help").returncode == 0


def test_the_arguments_of_a_launch_file_and_its_includes_are_listed(tmp_path: Path) -> None:
    (tmp_path / "inner.launch.yaml").write_text('launch:\n- arg: {name: inner, default: "1", description: of the include}\n')
    text = "launch:\n- include: {file: $(dirname)/inner.launch.yaml}\n- arg: {name: must, choice: [{value: x}, {value: y}]}\n"
    (tmp_path / "outer.launch.yaml").write_text(text)
    done = lodestone("up", str(tmp_path / "outer.launch.yaml"), "--show-args")
    assert done.returncode == 0
    assert "of the include" in done.stdout
    assert "(required)" in done.stdout and "one of x, y" in done.stdout


def test_a_dry_run_starts_nothing_and_prints_the_commands(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    (tmp_path / "a.launch.yaml").write_text(f"launch:\n- executable: {{cmd: touch {mark}}}\n")
    done = lodestone("up", str(tmp_path / "a.launch.yaml"), "--dry-run")
    assert done.stdout.strip() == f"touch-1: touch {mark}"
    assert not mark.exists()
