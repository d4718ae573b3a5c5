"""The virtual environment and every pinned requirement."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig

from .layout import Layout, fingerprint, run

# Paths of the machine on which the wheels were built: Python's and numpy's include directories.
BUILD_INCLUDES = {
    "python": re.compile(r'[^";]*cp311-cp311/include/python3\.11(?=[";])'),
    "numpy": re.compile(r'[^";]*numpy/_core/include(?=[";])'),
}


def install(layout: Layout) -> str:
    """Install what is pinned; nothing is done when the pins are unchanged."""
    wanted = fingerprint(
        layout.requirements, sys.version, str(layout.venv), str(layout.ros_sourced), str(layout.with_ros)
    )
    stamp = layout.stamp("packages")
    if stamp.is_file() and stamp.read_text() == wanted:
        return "up to date"
    shutil.rmtree(layout.venv, ignore_errors=True)
    environment = layout.pip_environment()
    flags = ["--system-site-packages"] if layout.ros_sourced else []
    subprocess.run([sys.executable, "-m", "venv", *flags, str(layout.venv)], env=environment, check=True)
    arguments = [item for path in layout.requirements for item in ("-r", str(path))]
    pip = [str(layout.python), "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "install", *arguments], environment, layout.root / "build" / "pip.log", layout.root)
    if not layout.ros_sourced:  # a rig's own system packages are not ours to judge
        run([*pip, "check"], environment, layout.root / "build" / "pip-check.log", layout.root)
    patched = patch_exports(layout) if layout.embedded_ros else 0
    stamp.write_text(wanted)
    return f"installed, {patched} cmake exports patched" if patched else "installed"


def patch_exports(layout: Layout) -> int:
    """Point the wheels' cmake exports at this machine's headers; the only patch there is."""
    numpy_include = subprocess.run(
        [str(layout.python), "-c", "import numpy; print(numpy.get_include())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    here = {"python": sysconfig.get_path("include"), "numpy": numpy_include}
    exports = list((layout.venv / "share").glob("*/cmake/export_*__rosidl_generator_pyExport.cmake"))
    for path in exports:
        text = path.read_text()
        for key, pattern in BUILD_INCLUDES.items():
            text = pattern.sub(lambda _, key=key: here[key], text)
        path.write_text(text)
    return len(exports)
