"""The virtual environment and every pinned requirement."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from .layout import Layout, fingerprint, run

# Paths of the machine on which the wheels were built: Python's and numpy's include directories.
BUILD_INCLUDES = {
    "python": re.compile(r'[^";]*cp311-cp311/include/python3\.11(?=[";])'),
    "numpy": re.compile(r'[^";]*numpy/_core/include(?=[";])'),
}

# Thousands of modules of which a process imports a few: these compile when they are first imported.
COMPILED_ON_USE = r"/(torch|torchgen|functorch|sympy|networkx|SimpleITK|mypy|mypyc)/"


def install(layout: Layout) -> str:
    """Install what is pinned; nothing is done when the pins are unchanged."""
    wanted = fingerprint(layout.requirements, *layout.kind)
    stamp = layout.stamp("packages")
    if stamp.is_file() and stamp.read_text() == wanted:
        return "up to date"
    # What was built against another environment goes with it: cmake's caches hold its paths.
    for folder in (layout.venv, layout.root / "build"):
        shutil.rmtree(folder, ignore_errors=True)
    environment = layout.pip_environment()
    flags = ["--system-site-packages"] if layout.ros_sourced else []
    # The Python below an activated .venv: that one has just been removed.
    interpreter = getattr(sys, "_base_executable", sys.executable)
    subprocess.run([interpreter, "-m", "venv", *flags, str(layout.venv)], env=environment, check=True)
    arguments = [item for path in layout.requirements for item in ("-r", str(path))]
    pip = [str(layout.python), "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "install", "--no-compile", *arguments], environment, layout.root / "build" / "pip.log", layout.root)
    compile_modules(layout, environment)
    if not layout.ros_sourced:  # a rig's own system packages are not ours to judge
        run([*pip, "check"], environment, layout.root / "build" / "pip-check.log", layout.root)
    patched = patch_exports(layout.venv / "share", numpy_include(layout)) if layout.embedded_ros else 0
    stamp.write_text(wanted)
    return f"installed, {patched} cmake exports patched" if patched else "installed"


def compile_modules(layout: Layout, environment: dict[str, str]) -> None:
    """Bytecode on all cores, where pip uses one; some packages bring files that are not meant to compile."""
    options = ["-q", "-q", "-j", "0", "-x", COMPILED_ON_USE]
    subprocess.run([str(layout.python), "-m", "compileall", *options, str(layout.site_packages)], env=environment, check=False)


def numpy_include(layout: Layout) -> str:
    """Folder of numpy's headers in the virtual environment."""
    command = [str(layout.python), "-c", "import numpy; print(numpy.get_include())"]
    return subprocess.run(command, env=layout.pip_environment(), capture_output=True, text=True, check=True).stdout.strip()


def patch_exports(share: Path, numpy_headers: str) -> int:
    """Point the wheels' cmake exports at this machine's headers, the only patch there is; the number of files looked at."""
    here = {"python": sysconfig.get_path("include"), "numpy": numpy_headers}
    exports = list(share.glob("*/cmake/export_*__rosidl_generator_pyExport.cmake"))
    for path in exports:
        text = path.read_text()
        for key, pattern in BUILD_INCLUDES.items():
            text = pattern.sub(lambda _, key=key: here[key], text)  # type: ignore[misc]
        path.write_text(text)
    return len(exports)
