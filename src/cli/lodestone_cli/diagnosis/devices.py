"""Devices that are no serial ports: cameras and frame grabbers, and the I2C buses of small magnetometer rigs."""

from __future__ import annotations

import os
from pathlib import Path

from .finding import Finding, Level
from .machine import group_of

_METADATA_ONLY = 1


def video_devices(devices: Path = Path("/dev"), system: Path = Path("/sys/class/video4linux")) -> list[Finding]:
    """Cameras and frame grabbers, whether this user may open them, and by which name they stay the same."""
    nodes = sorted(devices.glob("video*"), key=lambda path: (len(path.name), path.name))
    if not nodes:
        remedy = "plug the camera in and look at 'dmesg'; files, streams and the emulators (sim:=true) need none"
        return [Finding("video devices", Level.WARN, "none", remedy)]
    stable = {link.resolve(): link for link in sorted((devices / "v4l" / "by-id").glob("*"), reverse=True)}
    return [_video(node, stable.get(node.resolve(), node), system) for node in nodes]


def _video(node: Path, name: Path, system: Path) -> Finding:
    subject = f"video device {node.name}"
    if not os.access(node, os.R_OK | os.W_OK):
        group = group_of(node, "video")
        remedy = f"sudo usermod -aG {group} $USER, then log in again"
        return Finding(subject, Level.FAIL, f"{name}: no permission (group {group})", remedy)
    said = [_first_line(system / node.name / "name"), _which(system / node.name / "index")]
    return Finding(subject, Level.OK, ", ".join([str(name), *filter(None, said)]))


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _which(path: Path) -> str:
    """UVC cameras have a second node that gives no pictures."""
    number = _first_line(path)
    return "metadata only, not the one to open" if number.isdecimal() and int(number) >= _METADATA_ONLY else ""


def i2c_buses(devices: Path = Path("/dev"), modules: Path = Path("/sys/module")) -> list[Finding]:
    """I2C buses, for magnetometers without a microcontroller: there, and open to this user."""
    buses = sorted(devices.glob("i2c-*"), key=lambda path: (len(path.name), path.name))
    if not buses:
        loaded = (modules / "i2c_dev").is_dir()
        found = "no bus" if loaded else "no bus, the module i2c-dev is not loaded"
        remedy = "only a rig with sensors on I2C needs one: " + ("switch the bus on" if loaded else "sudo modprobe i2c-dev")
        return [Finding("I2C", Level.OK, found, remedy)]
    closed = [bus for bus in buses if not os.access(bus, os.R_OK | os.W_OK)]
    if closed:
        group = group_of(closed[0], "i2c")
        remedy = f"sudo usermod -aG {group} $USER, then log in again; needed only by a rig with sensors on I2C"
        return [Finding("I2C", Level.WARN, f"no permission: {', '.join(map(str, closed))} (group {group})", remedy)]
    return [Finding("I2C", Level.OK, ", ".join(map(str, buses)))]
