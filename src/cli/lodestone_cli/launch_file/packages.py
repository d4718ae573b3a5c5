"""Look-ups in the ament index: which prefix holds a package, and where its executables lie."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from .place import nearest


def prefixes(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """The folders of AMENT_PREFIX_PATH, in order; without it the prefix of this Python when that holds an ament index."""
    given = environment.get("AMENT_PREFIX_PATH", "")
    folders = [Path(part) for part in given.split(os.pathsep) if part] or [Path(sys.prefix)]
    return tuple(folder for folder in folders if (folder / "share" / "ament_index").is_dir())


def package_names(environment: Mapping[str, str]) -> frozenset[str]:
    """Names of every package in the index."""
    folders = (prefix / "share" / "ament_index" / "resource_index" / "packages" for prefix in prefixes(environment))
    return frozenset(entry.name for folder in folders if folder.is_dir() for entry in folder.iterdir())


def find_prefix(package: str, environment: Mapping[str, str]) -> Path | None:
    """The first prefix that holds `package`; None when none does."""
    for prefix in prefixes(environment):
        if (prefix / "share" / "ament_index" / "resource_index" / "packages" / package).is_file():
            return prefix
    return None


def find_executable(package: str, executable: str, environment: Mapping[str, str]) -> Path | None:
    """`<prefix>/lib/<package>/<executable>` when it may be run; None otherwise."""
    prefix = find_prefix(package, environment)
    path = prefix / "lib" / package / executable if prefix else None
    return path if path and path.is_file() and os.access(path, os.X_OK) else None


def missing_package(package: str, environment: Mapping[str, str]) -> str:
    """What to do about a package that is not in the index."""
    searched = ", ".join(map(str, prefixes(environment))) or "nothing (AMENT_PREFIX_PATH is empty)"
    return f"build it with 'make setup' or source its workspace (searched {searched}; {nearest(package, package_names(environment))})"


def missing_executable(package: str, environment: Mapping[str, str]) -> str:
    """What to do about an executable that a package lacks."""
    prefix = find_prefix(package, environment)
    folder = prefix / "lib" / package if prefix else None
    found = sorted(entry.name for entry in folder.iterdir()) if folder and folder.is_dir() else []
    return f"build with 'make setup', or use one of: {', '.join(found) or 'none is installed'}"
