"""Python and its libraries: there, and of the pinned version where the checkout says which."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

from lodestone_cli.checkout import find_checkout

from .finding import Finding, Level

PYTHONS = ((3, 11), (3, 12))
NEEDED = ("numpy", "scipy", "PyYAML", "rosbags", "mcap", "matplotlib", "typer", "rich", "pooch", "pyserial", "cobs")
USED = ("torch", "roma", "safetensors", "opencv-python-headless", "SimpleITK", "smbus2", "pydicom", "urdf-parser-py")
_PIN = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s;#]+)")


def installed_version(name: str) -> str | None:
    """Version of an installed distribution, None without it."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def python(version: tuple[int, int] = (sys.version_info.major, sys.version_info.minor)) -> Finding:
    """Whether this Python is one that the code is tested with."""
    text = ".".join(map(str, version))
    if version in PYTHONS:
        return Finding("Python", Level.OK, text)
    return Finding("Python", Level.FAIL, text, "use Python 3.11 or 3.12")


def libraries() -> list[Finding]:
    """One finding for all that is well, one for each library that is not."""
    pins = pinned_versions()
    versions = {name: installed_version(name) for name in (*NEEDED, *USED)}
    problems = [finding for name, version in versions.items() if (finding := _problem(name, version, pins))]
    good = [f"{name} {version}" for name, version in versions.items() if version]
    return [Finding("libraries", Level.OK, ", ".join(good)), *problems]


def pinned_versions() -> dict[str, str]:
    """Versions of the checkout's requirement files; empty without a checkout."""
    checkout = find_checkout()
    return parse_pins(sorted((checkout / "embedded").glob("requirements*.txt"))) if checkout else {}


def parse_pins(paths: Iterable[Path]) -> dict[str, str]:
    """`name==version` lines of requirement files."""
    lines = (line for path in paths for line in path.read_text(encoding="utf-8").splitlines())
    return {match[1]: match[2] for line in lines if (match := _PIN.match(line))}


def _problem(name: str, version: str | None, pins: Mapping[str, str]) -> Finding | None:
    pinned = pins.get(name)
    wanted = f"{name}=={pinned}" if pinned else name
    if version is None:
        level = Level.FAIL if name in NEEDED else Level.WARN
        return Finding(f"library {name}", level, "not installed", f"run 'make setup', or pip install {wanted}")
    # A local label such as +cpu names the build, not the version.
    if pinned and version.partition("+")[0] != pinned:
        return Finding(f"library {name}", Level.WARN, f"{version}, pinned is {pinned}", "run 'make setup'")
    return None
