"""The machine: serial ports, udev rule, shared memory, GPU."""

from __future__ import annotations

import grp
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from lodestone_cli.checkout import find_checkout
from lodestone_cli.launch_file.packages import find_prefix

from .finding import Finding, Level

RULE = "60-lodestone.rules"
_RULE_FOLDERS = (Path("/etc/udev/rules.d"), Path("/usr/lib/udev/rules.d"), Path("/lib/udev/rules.d"))
_SHM_MIB = 512
_OLD_SEGMENTS = 100


def serial_ports(devices: Path = Path("/dev"), system: Path = Path("/sys/class/tty")) -> list[Finding]:
    """USB serial adapters, whether this user may open them, and how long their driver holds bytes back."""
    ports = sorted([*devices.glob("ttyUSB*"), *devices.glob("ttyACM*")])
    if not ports:
        remedy = "plug the device in and look at 'dmesg'; the emulators (sim:=true) need none"
        return [Finding("serial ports", Level.WARN, "no USB serial adapter", remedy)]
    stable = {link.resolve(): link for link in (devices / "serial" / "by-id").glob("*")}
    return [_port(port, stable.get(port.resolve(), port), system) for port in ports]


def _port(port: Path, name: Path, system: Path) -> Finding:
    subject = f"serial port {port.name}"
    if not os.access(port, os.R_OK | os.W_OK):
        group = group_of(port, "dialout")
        remedy = f"sudo usermod -aG {group} $USER, then log in again"
        return Finding(subject, Level.FAIL, f"{name}: no permission (group {group})", remedy)
    timer = system / port.name / "device" / "latency_timer"
    if timer.is_file() and int(timer.read_text()) > 1:
        return Finding(subject, Level.WARN, f"{name}: adapter holds bytes back for {timer.read_text().strip()} ms", "install the udev rule")
    return Finding(subject, Level.OK, str(name))


def group_of(device: Path, usual: str) -> str:
    """Name of the group that owns a device; the usual one where it has no name."""
    try:
        return grp.getgrgid(device.stat().st_gid).gr_name
    except KeyError:
        return usual


def udev_rule(environment: Mapping[str, str], folders: tuple[Path, ...] = _RULE_FOLDERS) -> Finding:
    """Whether the rule for serial adapters is installed."""
    for folder in folders:
        if (folder / RULE).is_file():
            return Finding("udev rule", Level.OK, str(folder / RULE))
    source = bringup_file(Path("config", RULE), environment) or Path("launch", "config", RULE)
    remedy = f"sudo cp {source} /etc/udev/rules.d/ && sudo udevadm control --reload && sudo udevadm trigger"
    return Finding("udev rule", Level.WARN, f"{RULE} is not installed", remedy)


def shared_memory(folder: Path = Path("/dev/shm")) -> Finding:
    """Whether there is room for the segments of the DDS profile (64 MiB a process)."""
    subject = "shared memory"
    if not os.access(folder, os.W_OK):
        return Finding(subject, Level.FAIL, f"{folder} cannot be written", "mount a tmpfs there; in a container add --shm-size=1g")
    free_mib = shutil.disk_usage(folder).free // 2**20
    if free_mib < _SHM_MIB:
        return Finding(subject, Level.WARN, f"{free_mib} MiB free in {folder}", "make it larger; in a container add --shm-size=1g")
    segments = len(list(folder.glob("fastrtps_*")))
    if segments > _OLD_SEGMENTS:
        return Finding(subject, Level.WARN, f"{segments} DDS segments, most of processes that were killed", "run 'fastdds shm clean'")
    return Finding(subject, Level.OK, f"{free_mib} MiB free in {folder}")


def gpu(torch_version: str | None, ask: Callable[[], str | None] | None = None) -> Finding:
    """NVIDIA GPU, and whether the installed torch can use it."""
    names = (ask or _nvidia_smi)()
    if not names:
        return Finding("GPU", Level.WARN, "no NVIDIA GPU with a working driver", "none needed: networks run on the CPU, slower")
    if torch_version and torch_version.endswith("+cpu"):
        return Finding("GPU", Level.WARN, f"{names}, but torch {torch_version} is built for the CPU", "install the CUDA build of torch")
    return Finding("GPU", Level.OK, names)


def _nvidia_smi() -> str | None:
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    command = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return "; ".join(done.stdout.split("\n")).strip("; ") if done.returncode == 0 else None


def bringup_file(path: Path, environment: Mapping[str, str]) -> Path | None:
    """A file of the package lodestone_bringup: installed, else in the checkout; None when it is in neither."""
    prefix, checkout = find_prefix("lodestone_bringup", environment), find_checkout()
    folders = [prefix / "share" / "lodestone_bringup"] if prefix else []
    folders += [checkout / "launch"] if checkout else []
    return next((folder / path for folder in folders if (folder / path).is_file()), None)
