"""The doctor names what is missing with the remedy, and fails only for what is necessary."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from lodestone_cli.commands import doctor
from lodestone_cli.diagnosis import devices, libraries, machine, ros
from lodestone_cli.diagnosis.finding import Finding, Level
from lodestone_cli.diagnosis.recorded_data import recorded_data
from lodestone_cli.recordings.registry import recordings


def test_a_machine_without_serial_adapters_is_warned_since_emulators_need_none(tmp_path: Path) -> None:
    (finding,) = machine.serial_ports(tmp_path, tmp_path)
    assert finding.level is Level.WARN
    assert "sim:=true" in finding.remedy


def test_a_port_is_named_by_its_stable_name_and_a_slow_adapter_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "ttyUSB0").touch()
    (tmp_path / "serial" / "by-id").mkdir(parents=True)
    (tmp_path / "serial" / "by-id" / "usb-NDI").symlink_to(tmp_path / "ttyUSB0")
    timer = tmp_path / "driver" / "device" / "latency_timer"
    assert machine.serial_ports(tmp_path, tmp_path / "none")[0].level is Level.OK
    timer.parent.mkdir(parents=True)
    timer.write_text("16\n")
    (tmp_path / "sys").mkdir()
    (tmp_path / "sys" / "ttyUSB0").symlink_to(timer.parent.parent)
    (finding,) = machine.serial_ports(tmp_path, tmp_path / "sys")
    assert finding.level is Level.WARN
    assert "usb-NDI" in finding.found and "16 ms" in finding.found
    assert "udev rule" in finding.remedy


def test_a_port_without_permission_fails_with_the_command_that_gives_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ttyACM0").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    (finding,) = machine.serial_ports(tmp_path, tmp_path)
    assert finding.level is Level.FAIL
    assert finding.remedy.startswith("sudo usermod -aG ")
    assert finding.remedy.endswith("log in again")


def test_cameras_are_named_by_their_stable_name_and_the_node_without_pictures_is_told_apart(tmp_path: Path) -> None:
    assert devices.video_devices(tmp_path, tmp_path)[0].level is Level.WARN
    (tmp_path / "v4l" / "by-id").mkdir(parents=True)
    for number in (0, 1):
        (tmp_path / f"video{number}").touch()
        (tmp_path / "sys" / f"video{number}").mkdir(parents=True)
        (tmp_path / "sys" / f"video{number}" / "name").write_text("Grabber\n")
        (tmp_path / "sys" / f"video{number}" / "index").write_text(f"{number}\n")
    (tmp_path / "v4l" / "by-id" / "usb-Grabber-video-index0").symlink_to(tmp_path / "video0")
    first, second = devices.video_devices(tmp_path, tmp_path / "sys")
    assert first.level is Level.OK and "usb-Grabber-video-index0" in first.found and "metadata" not in first.found
    assert "metadata only" in second.found


def test_a_camera_without_permission_fails_and_a_bus_only_warns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "video0").touch()
    (tmp_path / "i2c-1").touch()
    assert devices.i2c_buses(tmp_path)[0].level is Level.OK
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    (camera,), (bus,) = devices.video_devices(tmp_path, tmp_path), devices.i2c_buses(tmp_path)
    assert (camera.level, bus.level) == (Level.FAIL, Level.WARN)
    assert camera.remedy.startswith("sudo usermod -aG ") and bus.remedy.startswith("sudo usermod -aG ")


def test_a_machine_without_i2c_is_well_and_told_how_to_get_it(tmp_path: Path) -> None:
    (finding,) = devices.i2c_buses(tmp_path, tmp_path)
    assert finding.level is Level.OK and "modprobe i2c-dev" in finding.remedy
    (tmp_path / "i2c_dev").mkdir()
    assert "modprobe" not in devices.i2c_buses(tmp_path, tmp_path)[0].remedy


def test_a_missing_udev_rule_is_warned_with_the_commands_that_install_it(tmp_path: Path) -> None:
    finding = machine.udev_rule({}, (tmp_path,))
    assert finding.level is Level.WARN
    assert finding.remedy.startswith("sudo cp ") and "60-lodestone.rules" in finding.remedy
    (tmp_path / "60-lodestone.rules").touch()
    assert machine.udev_rule({}, (tmp_path,)).level is Level.OK


def test_shared_memory_is_measured_and_old_segments_are_counted(tmp_path: Path) -> None:
    assert machine.shared_memory(tmp_path / "none").level is Level.FAIL
    assert machine.shared_memory(tmp_path).level in (Level.OK, Level.WARN)
    for number in range(101):
        (tmp_path / f"fastrtps_{number}").touch()
    finding = machine.shared_memory(tmp_path)
    assert finding.level is Level.WARN
    assert "101 DDS segments" in finding.found or "MiB free" in finding.found


@pytest.mark.parametrize(
    ("name", "torch_version", "level", "text"),
    [
        (None, "2.13.0+cpu", Level.WARN, "no NVIDIA GPU"),
        ("H200, 140 GiB", "2.13.0+cpu", Level.WARN, "built for the CPU"),
        ("H200, 140 GiB", "2.13.0+cu130", Level.OK, "H200"),
        ("H200, 140 GiB", None, Level.OK, "H200"),
    ],
)
def test_a_gpu_that_torch_cannot_use_is_noticed(name: str | None, torch_version: str | None, level: Level, text: str) -> None:
    finding = machine.gpu(torch_version, lambda: name)
    assert finding.level is level
    assert text in finding.found


def test_only_the_pythons_that_are_tested_are_well() -> None:
    assert libraries.python((3, 11)).level is Level.OK
    assert libraries.python((3, 12)).level is Level.OK
    assert libraries.python((3, 10)).level is Level.FAIL


def test_a_library_that_is_missing_or_of_another_version_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"numpy": "2.4.6", "rich": "1.0", "torch": "2.13.0+cpu"}
    monkeypatch.setattr(libraries, "installed_version", versions.get)
    monkeypatch.setattr(libraries, "pinned_versions", lambda: {"numpy": "2.4.6", "rich": "15.0.0", "torch": "2.13.0", "scipy": "1.17.1"})
    found = {finding.subject: finding for finding in libraries.libraries()}
    assert found["library scipy"].level is Level.FAIL
    assert "pip install scipy==1.17.1" in found["library scipy"].remedy
    assert found["library SimpleITK"].level is Level.WARN
    assert "1.0, pinned is 15.0.0" in found["library rich"].found
    assert "library numpy" not in found and "library torch" not in found


def test_pins_are_read_from_requirement_files(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("# numbers\nnumpy==2.4.6\nros-rclpy==7.1.6 ; python_version > '3'\n-r other.txt\n")
    assert libraries.parse_pins([tmp_path / "requirements.txt"]) == {"numpy": "2.4.6", "ros-rclpy": "7.1.6"}


def test_another_ros_than_jazzy_fails() -> None:
    finding = ros.distribution({"ROS_DISTRO": "humble"})
    assert finding.level is Level.FAIL
    assert "/opt/ros/jazzy" in finding.remedy


def test_packages_that_are_not_installed_are_named(prefix: Any) -> None:
    prefix.add("lodestone_core", "none", "")
    finding = ros.packages(prefix.environment)
    assert finding.level is Level.FAIL
    assert "lodestone_msgs" in finding.found and "lodestone_core," not in finding.found
    assert "make setup" in finding.remedy


def test_a_dds_profile_that_does_not_exist_fails_and_another_middleware_is_warned(prefix: Any, tmp_path: Path) -> None:
    assert ros.dds_profile(prefix.environment).level is Level.WARN
    assert ros.dds_profile({**prefix.environment, "FASTRTPS_DEFAULT_PROFILES_FILE": str(tmp_path / "none.xml")}).level is Level.FAIL
    assert "cyclone" in ros.dds_profile({**prefix.environment, "RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}).found


def test_without_a_place_for_logs_nothing_starts() -> None:
    assert ros.log_directory({}).level is Level.FAIL
    assert ros.log_directory({"ROS_LOG_DIR": os.curdir}).level is Level.OK


def test_missing_recordings_come_with_the_command_that_fetches_them(tmp_path: Path) -> None:
    finding = recorded_data({"LODESTONE_DATA": str(tmp_path)})
    assert finding.level is Level.WARN
    assert finding.remedy.startswith("lodestone data --fetch em_optical")
    assert all(name in finding.remedy for name in recordings())


def test_the_exit_code_is_1_only_when_something_necessary_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda environment: [Finding("a", Level.OK, "x"), Finding("b", Level.WARN, "y", "do z")])
    assert doctor.run() == 0
    monkeypatch.setattr(doctor, "examine", lambda environment: [Finding("a", Level.FAIL, "x", "do y")])
    assert doctor.run() == 1


def test_every_problem_on_this_machine_has_a_remedy() -> None:
    findings = doctor.examine(os.environ)
    assert len(findings) >= 10
    assert all(finding.remedy for finding in findings if finding.level is not Level.OK)
