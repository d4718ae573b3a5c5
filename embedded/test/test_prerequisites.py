"""What is missing on a machine is named, each with the command that installs it."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import sysconfig
from pathlib import Path
from types import SimpleNamespace

import pytest
from environment import prerequisites
from environment.layout import Layout

EMBEDDED = Layout(Path("/nowhere"), ros_distro=None)
RIG = Layout(Path("/nowhere"), ros_distro="jazzy")
PURE = Layout(Path("/nowhere"), ros_distro="jazzy", with_ros=False)


@pytest.fixture(autouse=True)
def _a_machine_that_has_everything(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "Python.h").touch()
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(prerequisites, "rclpy_builds", list)
    _this_python(monkeypatch, (3, 11, 7))


def _this_python(monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int]) -> None:
    text = ".".join(map(str, version)) + " (main)"
    monkeypatch.setattr(prerequisites, "sys", SimpleNamespace(version_info=version, version=text))


@pytest.mark.parametrize("layout", [EMBEDDED, RIG, PURE])
def test_a_complete_machine_misses_nothing(layout: Layout) -> None:
    assert prerequisites.missing(layout) == []


@pytest.mark.parametrize(
    ("program", "package"),
    [
        (("cc", "gcc", "clang"), "build-essential"),
        (("c++", "g++", "clang++"), "build-essential"),
        (("cmake",), "cmake"),
        (("make",), "make"),
    ],
)
def test_a_missing_tool_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch, program: tuple[str, ...], package: str) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name in program else f"/usr/bin/{name}")
    (line,) = prerequisites.missing(EMBEDDED)
    assert program[0] in line
    assert line.endswith(f"sudo apt-get install {package}")
    assert prerequisites.missing(PURE) == []


def test_another_compiler_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name in ("cc", "gcc", "c++", "g++") else f"/usr/bin/{name}")
    assert prerequisites.missing(EMBEDDED) == []


def test_missing_headers_are_named_for_this_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "Python.h").unlink()
    _this_python(monkeypatch, (3, 12, 3))
    assert prerequisites.missing(RIG) == ["Python's headers are missing: sudo apt-get install python3.12-dev"]


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_a_missing_venv_is_named(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else find(name))
    assert prerequisites.missing(PURE) == ["Python's venv is missing: sudo apt-get install python3.11-venv"]


def test_every_missing_thing_is_named_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "Python.h").unlink()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert len(prerequisites.missing(EMBEDDED)) == 5


@pytest.mark.parametrize("version", [(3, 10, 12), (3, 13, 1)])
def test_a_python_outside_of_the_range_is_refused(monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int]) -> None:
    _this_python(monkeypatch, version)
    (line,) = prerequisites.missing(PURE)
    assert line.startswith("Python 3.11 or 3.12 is needed, this is 3.1")
    assert "make PYTHON=python3.11" in line


def test_python_312_needs_a_ros_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    _this_python(monkeypatch, (3, 12, 3))
    (line,) = prerequisites.missing(EMBEDDED)
    assert "make PYTHON=python3.11" in line
    assert "source a ROS 2 Jazzy" in line
    assert prerequisites.missing(RIG) == prerequisites.missing(PURE) == []


def test_a_ros_of_another_python_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prerequisites, "rclpy_builds", lambda: ["_rclpy_pybind11.cpython-399-x86_64-linux-gnu.so"])
    (line,) = prerequisites.missing(RIG)
    assert "built for another Python" in line
    assert line.endswith("make PYTHON=/usr/bin/python3")
    assert prerequisites.missing(EMBEDDED) == []


def test_the_ros_of_this_python_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prerequisites, "rclpy_builds", lambda: ["_rclpy_pybind11" + sysconfig.get_config_var("EXT_SUFFIX")])
    assert prerequisites.missing(RIG) == []


def test_the_compiled_part_of_rclpy_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    package = tmp_path / "rclpy"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "_rclpy_pybind11.cpython-312-x86_64-linux-gnu.so").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert prerequisites.rclpy_builds() == ["_rclpy_pybind11.cpython-312-x86_64-linux-gnu.so"]
