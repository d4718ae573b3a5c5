"""When the set-up does something, and what kind of environment it makes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from environment import builder, python_packages
from environment.layout import Layout, fingerprint, run

REQUIREMENTS = ("requirements.txt", "requirements-dev.txt", "requirements-build.txt", "requirements-ros.txt", "requirements-imaging.txt")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the files that the set-up looks at, and nothing set up."""
    (tmp_path / "embedded").mkdir()
    for name in REQUIREMENTS:
        (tmp_path / "embedded" / name).write_text(f"# {name}\n")
    package = tmp_path / "src" / "core" / "lodestone_core"
    package.mkdir(parents=True)
    (package / "py.typed").touch()
    (package / "se3.py").write_text("ONE = 1\n")
    (tmp_path / "src" / "core" / "setup.py").touch()
    return tmp_path


def _names(layout: Layout) -> set[str]:
    return {path.stem.removeprefix("requirements").lstrip("-") for path in layout.requirements}


def test_the_embedded_environment_takes_the_ros_wheels(checkout: Path) -> None:
    layout = Layout(checkout, ros_distro=None)
    assert _names(layout) == {"", "dev", "build", "ros", "imaging"}
    assert layout.prefix == layout.venv


def test_a_rig_takes_no_ros_wheel(checkout: Path) -> None:
    layout = Layout(checkout, ros_distro="jazzy")
    assert _names(layout) == {"", "dev", "build", "imaging"}
    assert layout.prefix == checkout / "install"


def test_without_ros_nothing_is_built(checkout: Path) -> None:
    layout = Layout(checkout, ros_distro="jazzy", with_ros=False)
    assert _names(layout) == {"", "dev", "imaging"}
    assert layout.search_paths == {}


def test_a_tracking_rig_does_without_the_imaging_libraries(checkout: Path) -> None:
    assert "imaging" not in _names(Layout(checkout, ros_distro="jazzy", with_imaging=False))


def test_a_fingerprint_tells_contents_names_and_kinds_apart(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("a")
    two.write_text("b")
    first = fingerprint([one, two], "3.11")
    assert first == fingerprint([two, one], "3.11")
    assert first != fingerprint([one], "3.11")
    assert first != fingerprint([one, two], "3.12")
    two.write_text("c")
    assert first != fingerprint([one, two], "3.11")


def test_every_choice_makes_another_environment(checkout: Path) -> None:
    layouts = [
        Layout(checkout, ros_distro=None),
        Layout(checkout, ros_distro="jazzy"),
        Layout(checkout, ros_distro="lyrical"),
        Layout(checkout, ros_distro=None, with_ros=False),
        Layout(checkout, ros_distro=None, with_imaging=False),
    ]
    assert len({layout.kind for layout in layouts}) == len(layouts)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Every command that the set-up would run; a virtual environment is made as an empty folder."""
    asked: list[list[str]] = []

    def pretend(command: list[str], *_: object, **__: object) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        if "venv" in command:
            Path(command[-1], "bin").mkdir(parents=True)
            python_packages_folder = Layout(Path(command[-1]).parent, None).site_packages
            python_packages_folder.mkdir(parents=True)
        return subprocess.CompletedProcess(command, 0, stdout="/headers")

    monkeypatch.setattr(subprocess, "run", pretend)
    monkeypatch.setattr(python_packages, "run", pretend)
    monkeypatch.setattr(builder, "run", pretend)
    return asked


@pytest.mark.parametrize("distro", [None, "jazzy"])
def test_a_second_run_does_nothing(checkout: Path, commands: list[list[str]], distro: str | None) -> None:
    layout = Layout(checkout, ros_distro=distro)
    assert (python_packages.install(layout), builder.build(layout)) == ("installed", "built")
    assert commands
    commands.clear()
    assert (python_packages.install(layout), builder.build(layout)) == ("up to date", "up to date")
    assert commands == []


def test_a_changed_pin_makes_everything_anew(checkout: Path, commands: list[list[str]]) -> None:
    layout = Layout(checkout, ros_distro=None)
    python_packages.install(layout)
    builder.build(layout)
    (checkout / "embedded" / "requirements.txt").write_text("numpy==2.4.6\n")
    left_over = checkout / "build" / "lodestone_msgs" / "CMakeCache.txt"
    left_over.parent.mkdir(parents=True)
    left_over.touch()
    assert python_packages.install(layout) == "installed"
    assert not left_over.exists()
    assert builder.build(layout) == "built"


def test_a_changed_source_is_built_and_a_changed_test_is_not(checkout: Path, commands: list[list[str]]) -> None:
    layout = Layout(checkout, ros_distro=None)
    python_packages.install(layout)
    builder.build(layout)
    test = checkout / "src" / "core" / "test" / "test_se3.py"
    test.parent.mkdir()
    test.touch()
    assert builder.build(layout) == "up to date"
    (checkout / "src" / "core" / "lodestone_core" / "se3.py").write_text("ONE = 2\n")
    assert builder.build(layout) == "built"


def test_an_interrupted_step_is_done_again(checkout: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(checkout, ros_distro=None)
    with monkeypatch.context() as interrupted:
        interrupted.setattr(python_packages, "run", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            python_packages.install(layout)
    assert python_packages.install(layout) == "installed"


def test_a_deleted_module_does_not_stay_in_the_prefix(checkout: Path, commands: list[list[str]]) -> None:
    layout = Layout(checkout, ros_distro="jazzy")
    python_packages.install(layout)
    old = layout.prefix / "local" / "lib" / "python3.12" / "dist-packages" / "lodestone_core" / "gone.py"
    other = old.parents[1] / "someone_else" / "kept.py"
    for path in (old, other):
        path.parent.mkdir(parents=True)
        path.touch()
    builder.build(layout)
    assert not old.exists()
    assert other.exists()


def test_tf2_msgs_is_built_only_where_ros_has_none(checkout: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = checkout / "opt"
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/elsewhere:{prefix}")
    layout = Layout(checkout, ros_distro="jazzy")
    builder.colcon(layout)
    (prefix / "share" / "tf2_msgs").mkdir(parents=True)
    (prefix / "share" / "tf2_msgs" / "package.xml").touch()
    builder.colcon(layout)
    builder.colcon(Layout(checkout, ros_distro=None))
    assert ["embedded/tf2_msgs" in command for command in commands] == [True, False, True]


def test_a_failing_step_shows_the_end_of_its_output_and_where_the_rest_is(tmp_path: Path) -> None:
    log = tmp_path / "build" / "step.log"
    with pytest.raises(SystemExit) as stopped:
        run(["sh", "-c", "echo what went wrong; exit 3"], dict(os.environ), log, tmp_path)
    assert "what went wrong" in str(stopped.value)
    assert str(log) in str(stopped.value)


def test_on_a_rig_our_folders_go_before_those_of_ros(monkeypatch: pytest.MonkeyPatch, checkout: Path) -> None:
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/opt/ros/jazzy")
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    found = Layout(checkout, ros_distro="jazzy").run_environment()
    assert found == {"AMENT_PREFIX_PATH": f"{checkout}/install:/opt/ros/jazzy", "LD_LIBRARY_PATH": f"{checkout}/install/lib"}


def test_in_the_embedded_environment_only_its_own_prefix_counts(monkeypatch: pytest.MonkeyPatch, checkout: Path) -> None:
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/opt/ros/jazzy")
    assert Layout(checkout, ros_distro=None).run_environment() == {"AMENT_PREFIX_PATH": f"{checkout}/.venv"}


def test_the_patch_points_exports_at_this_machine_and_leaves_the_rest(tmp_path: Path) -> None:
    export = tmp_path / "std_msgs" / "cmake" / "export_std_msgs__rosidl_generator_pyExport.cmake"
    export.parent.mkdir(parents=True)
    line = 'INTERFACE_INCLUDE_DIRECTORIES "${{_IMPORT_PREFIX}}/include/std_msgs;{python};{numpy}"'
    export.write_text(line.format(python="/opt/cp311-cp311/include/python3.11", numpy="/build/env/numpy/_core/include"))
    assert python_packages.patch_exports(tmp_path, "/here/numpy/_core/include") == 1
    text = export.read_text()
    assert "cp311-cp311" not in text
    assert text.endswith(';/here/numpy/_core/include"')
    assert text.startswith('INTERFACE_INCLUDE_DIRECTORIES "${_IMPORT_PREFIX}/include/std_msgs;/')
