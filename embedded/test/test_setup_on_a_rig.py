"""The set-up where a ROS 2 is sourced, and where ROS is not wanted at all.

The ROS of the rig is a second prefix that holds the ROS packages and nothing else; it is entered through the environment variables that
its setup.bash would set, as /opt/ros/jazzy is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from environment.layout import ROS_PYTHON_VARIABLES
from environment.python_packages import patch_exports

pytestmark = pytest.mark.setup
ROOT = Path(__file__).resolve().parents[2]
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
PYTHON = getattr(sys, "_base_executable", sys.executable)
OUR_MODULES = "lodestone_core.se3, em_registration.pipeline, lodestone_guidance.authority, lodestone_bench.faults, lodestone_cli.main"


@dataclass(frozen=True)
class Checkout:
    """A copy of this checkout with the environment of the shell in which it is used."""

    root: Path
    shell: dict[str, str]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run one command in the copy."""
        return subprocess.run(command, cwd=self.root, env=self.shell, capture_output=True, text=True, timeout=600)

    def set_up(self, *flags: str) -> str:
        """Run the set-up; what it printed."""
        done = self.run(PYTHON, "embedded/setup_environment.py", "--tracking-only", *flags)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def python(self, code: str) -> subprocess.CompletedProcess[str]:
        """Run code with the Python that the set-up made."""
        return self.run(str(self.root / ".venv" / "bin" / "python"), "-c", code)


def plain_shell() -> dict[str, str]:
    """The environment of a shell in which no ROS is sourced."""
    hidden = (*ROS_PYTHON_VARIABLES, "AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH", "ROS_DISTRO")
    return {name: value for name, value in os.environ.items() if name not in hidden}


def copied(root: Path) -> Path:
    """The files of this checkout that git knows or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    return root


def make_ros(prefix: Path) -> None:
    """A prefix that holds ROS 2 Jazzy alone: no pip, no numpy, no tf2_msgs."""
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", str(prefix)], env=plain_shell(), check=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(prefix / "bin" / "python"), "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "-r", "embedded/requirements-ros.txt"], cwd=ROOT, env=plain_shell(), check=True)
    assert patch_exports(prefix / "share", np.get_include()) > 0


def sourced(prefix: Path) -> dict[str, str]:
    """What sourcing the setup.bash of a prefix leaves in the environment."""
    packages = prefix / "lib" / VERSION / "site-packages"
    return {
        "ROS_DISTRO": "jazzy",
        "ROS_VERSION": "2",
        "ROS_PYTHON_VERSION": "3",
        "AMENT_PREFIX_PATH": str(prefix),
        "CMAKE_PREFIX_PATH": str(prefix),
        "PYTHONPATH": str(packages),
        "LD_LIBRARY_PATH": ":".join(map(str, [prefix / "lib", *sorted(packages.glob("ros_*.libs"))])),
        # The wheels' own way to the same library path; a ROS from apt has none.
        "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1",
    }


def make_rig(root: Path, prefix: Path) -> Checkout:
    """A copy that was set up in a shell with that ROS sourced."""
    make_ros(prefix)
    checkout = Checkout(copied(root), {**plain_shell(), **sourced(prefix)})
    checkout.set_up()
    return checkout


def make_pure(root: Path) -> Checkout:
    """A copy that was set up without ROS."""
    checkout = Checkout(copied(root), plain_shell())
    checkout.set_up("--without-ros")
    return checkout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where both copies lie; gigabytes do not stay behind."""
    path = tmp_path_factory.mktemp("set_up")
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def set_ups(folder: Path) -> dict[str, Future[Checkout]]:
    """Both set-ups side by side: each waits for the network half of its time."""
    pool = ThreadPoolExecutor()
    rig, pure = folder / "rig", folder / "pure"
    futures = {"pure": pool.submit(make_pure, pure)}
    if sys.version_info[:2] == (3, 11):
        futures["rig"] = pool.submit(make_rig, rig, folder / "jazzy")
    return futures


@pytest.fixture
def rig(set_ups: dict[str, Future[Checkout]]) -> Checkout:
    """The copy on a rig."""
    if "rig" not in set_ups:
        pytest.skip("the ROS wheels that stand in for a rig's ROS are built for Python 3.11")
    return set_ups["rig"].result()


@pytest.fixture
def pure(set_ups: dict[str, Future[Checkout]]) -> Checkout:
    """The copy without ROS."""
    return set_ups["pure"].result()


@pytest.fixture
def ros_prefix(rig: Checkout) -> Path:
    """The prefix of the rig's ROS."""
    return Path(rig.shell["AMENT_PREFIX_PATH"])


def test_no_ros_wheel_is_installed_on_a_rig(rig: Checkout) -> None:
    listed = rig.run(".venv/bin/python", "-m", "pip", "list", "--local", "--format=freeze").stdout.splitlines()
    assert any(line.startswith("colcon-core==") for line in listed)
    assert [line for line in listed if line.startswith("ros-")] == []


def test_the_environment_of_a_rig_sees_the_systems_packages(rig: Checkout) -> None:
    assert "include-system-site-packages = true" in (rig.root / ".venv" / "pyvenv.cfg").read_text()


def test_our_packages_lie_in_install_and_nothing_of_them_in_the_ros(rig: Checkout, ros_prefix: Path) -> None:
    index = Path("share", "ament_index", "resource_index", "packages")
    ours = {path.name for path in (rig.root / "install" / index).iterdir()}
    algorithms = {"em_registration", "us_motion", "guidewire_recon", "xray_registration"}
    built = {"lodestone_core", "lodestone_msgs", *algorithms, "lodestone_guidance", "lodestone_bench", "lodestone_cli"}
    assert ours == {*built, "lodestone_bringup", "tf2_msgs"}
    assert not ours & {path.name for path in (ros_prefix / index).iterdir()}
    assert (rig.root / "install" / "setup.bash").is_file()


def test_the_command_works_with_nothing_but_ros_sourced(rig: Checkout) -> None:
    done = rig.run(".venv/bin/lodestone", "--help")
    assert done.returncode == 0, done.stderr
    assert "not a medical device" in " ".join(done.stdout.split())


def test_the_command_finds_the_installed_launch_files(rig: Checkout) -> None:
    done = rig.run(".venv/bin/lodestone", "up", "em.launch.yaml", "sim:=true", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert str(rig.root / "install" / "lib" / "em_registration" / "aurora_node") in done.stdout.replace("\n", "")


def test_python_takes_ros_from_the_rig_and_our_messages_from_install(rig: Checkout, ros_prefix: Path) -> None:
    done = rig.python(
        f"import rclpy, lodestone_msgs, tf2_msgs, {OUR_MODULES}; print(rclpy.__file__, lodestone_msgs.__file__, tf2_msgs.__file__)"
    )
    assert done.returncode == 0, done.stderr
    rclpy, *ours = map(Path, done.stdout.split())
    assert rclpy.is_relative_to(ros_prefix)
    assert all(path.is_relative_to(rig.root / "install") for path in ours)


def test_our_messages_cross_the_rigs_middleware(rig: Checkout) -> None:
    """The type support of install/ is loaded by the rclpy of the rig; nothing but setup.bash of both is needed."""
    libraries = f"{rig.root / 'install' / 'lib'}:{rig.shell['LD_LIBRARY_PATH']}"
    code = (
        "from rclpy.serialization import deserialize_message, serialize_message\n"
        "from lodestone_msgs.msg import TrackedTool, TrackedTools\n"
        "sent = TrackedTools(frame_number=7, tools=[TrackedTool(name='needle', rms_error=0.25)])\n"
        "assert deserialize_message(serialize_message(sent), TrackedTools) == sent\n"
    )
    done = Checkout(rig.root, {**rig.shell, "LD_LIBRARY_PATH": libraries}).python(code)
    assert done.returncode == 0, done.stderr


def test_a_second_run_on_a_rig_is_up_to_date_in_seconds(rig: Checkout) -> None:
    started = time.monotonic()
    assert rig.set_up().count("up to date") == 2
    assert time.monotonic() - started < 5.0


def test_without_ros_the_pure_packages_work_and_rclpy_is_absent(pure: Checkout) -> None:
    done = pure.python(f"import {OUR_MODULES}")
    assert done.returncode == 0, done.stderr
    assert "No module named 'rclpy'" in pure.python("import rclpy").stderr


def test_without_ros_the_command_evaluates_but_builds_nothing(pure: Checkout) -> None:
    done = pure.run(".venv/bin/lodestone", "evaluate", "--help")
    assert done.returncode == 0, done.stderr
    assert not (pure.root / "install").exists()
    assert pure.set_up("--without-ros").count("up to date") == 2
