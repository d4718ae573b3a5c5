"""The launch files, parameter files and rigs that are shipped: standard keys only, and in step with the code."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from em_registration.config import RegistrationConfig
from em_registration.drivers.config import AuroraConfig
from guidewire_recon.drivers.config import MagnetometersConfig
from guidewire_recon.drivers.stereo_config import StereoConfig
from lodestone_cli.checkout import find_checkout
from lodestone_cli.launch_file.document import Entity, read_launch_file
from lodestone_cli.launch_file.environment import THREAD_VARIABLES
from lodestone_cli.launch_file.interpreter import Plan, read_plan
from lodestone_cli.launch_file.keys import jazzy_keys
from lodestone_core.config import REQUIRED, Option, load_config, options
from lodestone_core.config_option import plain
from lodestone_core.errors import InputError
from lodestone_core.kept_memory import SETTINGS
from lodestone_guidance.config import AuthorityConfig
from lodestone_guidance.rig import parse_frames, poses_from_root
from us_motion.drivers.config import ArmConfig
from us_motion.drivers.ultrasound_config import UltrasoundDriverConfig
from xray_registration.drivers.config import XrayDriverConfig

CHECKOUT = find_checkout(Path(__file__)) or Path()
LAUNCH = CHECKOUT / "launch"
FILES = sorted(LAUNCH.glob("*.launch.yaml"))
PACKAGES = {
    "lodestone_core": "core",
    "em_registration": "em_registration",
    "guidewire_recon": "guidewire_recon",
    "us_motion": "us_motion",
    "xray_registration": "xray_registration",
    "lodestone_guidance": "guidance",
    "lodestone_bench": "bench",
    "lodestone_cli": "cli",
}
US_ARM_FILES = {"urdf", "calibration_file", "probe_calibration_file", "state_file", "time_calibration"}
US_ARM_GIVEN = {"stream.port", "clock.latency_s", "rig", "tf_owner", *US_ARM_FILES}
STEREO_GIVEN = {"left.source", "right.source", "left_calibration", "right_calibration", "rig", "time_calibration", "views.file"}
PARAMETER_FILES: list[tuple[str, type[Any], set[str]]] = [
    ("aurora", AuroraConfig, {"port"}),
    ("em_registration", RegistrationConfig, {"registration_file"}),
    ("frame_authority", AuthorityConfig, {"rig_frames"}),
    ("ultrasound", UltrasoundDriverConfig, {"video.source", "calibration_file", "time_calibration", "rig", "preset"}),
    ("xray", XrayDriverConfig, {"kind", "video.source", "folder.path", "calibration_file", "time_calibration", "rig"}),
    ("magnetometers", MagnetometersConfig, {"stream.port", "clock.latency_s", "calibration_file", "rig", "time_calibration"}),
    ("us_arm", ArmConfig, US_ARM_GIVEN),
    ("stereo", StereoConfig, STEREO_GIVEN),
]


def everything(entities: tuple[Entity, ...]) -> list[Entity]:
    """The entities and all below them."""
    return [inner for entity in entities for inner in (entity, *everything(entity.children or ()))]


@pytest.fixture
def installed(prefix: Any) -> Callable[..., Plan]:
    """Plans a shipped launch file with the executables that the packages' setup.py promise."""
    for package, folder in PACKAGES.items():
        for executable in re.findall(r'"(\w+) = [\w.]+:\w+"', (CHECKOUT / "src" / folder / "setup.py").read_text()):
            prefix.add(package, executable, "")
    prefix.add("lodestone_bringup", "none", "")

    def plan(name: str, **given: str) -> Plan:
        return read_plan(LAUNCH / name, given, prefix.environment, prefix.folder / "parameters")

    return plan


def test_there_are_launch_files() -> None:
    assert {path.name for path in FILES} >= {"em.launch.yaml", "demo.launch.yaml"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_launch_file_uses_only_keys_of_jazzy(path: Path) -> None:
    for entity in everything(read_launch_file(path)):
        jazzy_keys().check(entity)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_argument_says_what_it_is_and_has_a_default(path: Path) -> None:
    for entity in everything(read_launch_file(path)):
        if entity.kind == "arg":
            assert {"description", "default"} <= set(entity.attributes), entity.place


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_process_is_required_or_restarted_never_both(path: Path) -> None:
    for entity in everything(read_launch_file(path)):
        if entity.kind in ("node", "executable"):
            assert ("on_exit" in entity.attributes) != ("respawn" in entity.attributes), entity.place


def test_em_drives_the_given_port(installed: Callable[..., Plan]) -> None:
    plan = installed("em.launch.yaml", port="/dev/mine", rig="template", registration_file="r.yaml")
    assert [spec.name for spec in plan.processes] == ["aurora_node-1", "registration_node-2", "authority_node-3"]
    assert parameters(plan, 0)["port"] == "/dev/mine"
    assert parameters(plan, 1)["registration_file"] == "r.yaml"
    assert "tools:=aurora/tools" in plan.processes[1].command
    assert parameters(plan, 2)["rig_frames"] == str(LAUNCH / "rigs" / "template" / "frames.yaml")
    assert [(spec.required, spec.respawn) for spec in plan.processes] == [(False, True), (True, False), (True, False)]


def test_em_in_simulation_gives_the_emulators_port_to_the_same_driver(installed: Callable[..., Plan]) -> None:
    plan = installed("em.launch.yaml", sim="true")
    emulator, driver = plan.processes[0].command, plan.processes[1]
    assert Path(emulator[0]).name == "aurora_emulator"
    assert "--ros-args" not in emulator
    assert emulator[1] == "--link"
    assert parameters(plan, 1)["port"] == emulator[2]
    assert driver.command[0].endswith("em_registration/aurora_node")


def test_the_arm_gets_the_files_of_its_rig_and_the_emulators_port(installed: Callable[..., Plan]) -> None:
    plan = installed("us_arm.launch.yaml", sim="true")
    emulator = plan.processes[0].command
    given = parameters(plan, 1)
    assert Path(emulator[0]).name == "arm_emulator" and emulator[1] == "--link" and given["stream.port"] == emulator[2]
    assert "--world=" in emulator, "a world that is not given must not swallow the next option"
    assert Path(given["urdf"]).is_file() and Path(given["calibration_file"]).is_file() and given["rig"] == "simulated"
    assert plan.processes[1].respawn and plan.processes[1].command[0].endswith("us_motion/arm_node")


def test_stereo_in_simulation_gives_the_emulators_addresses_to_the_same_driver(installed: Callable[..., Plan]) -> None:
    plan = installed("stereo.launch.yaml", sim="true")
    assert [Path(spec.command[0]).name for spec in plan.processes] == ["stereo_emulator", "stereo_node"]
    emulator, given = plan.processes[0].command, parameters(plan, 1)
    for side in ("left", "right"):
        assert given[f"{side}.source"] == emulator[emulator.index(f"--{side}") + 1]
        assert given[f"{side}_calibration"] == str(LAUNCH / "rigs" / "simulated" / f"{side}.yaml")
    assert given["left.source"] != given["right.source"] and given["rig"] == "simulated"


def test_stereo_on_a_rig_starts_no_emulator(installed: Callable[..., Plan]) -> None:
    plan = installed("stereo.launch.yaml", stereo_left="/dev/v4l/by-id/a", stereo_right="/dev/v4l/by-id/b", rig="template")
    assert [(Path(spec.command[0]).name, spec.respawn) for spec in plan.processes] == [("stereo_node", True)]
    assert (parameters(plan, 0)["left.source"], parameters(plan, 0)["right.source"]) == ("/dev/v4l/by-id/a", "/dev/v4l/by-id/b")


def test_the_demo_plays_the_recording_into_the_same_chain(installed: Callable[..., Plan]) -> None:
    plan = installed("demo.launch.yaml", em_recording="em.txt", optical_recording="optical.txt")
    assert [Path(spec.command[0]).name for spec in plan.processes] == [
        "recording_node", "aurora_node", "registration_node", "authority_node",
    ]  # fmt: skip
    played = parameters(plan, 0)
    assert (played["em_recording"], played["optical_recording"]) == ("em.txt", "optical.txt")
    assert parameters(plan, 1)["port"] == played["port_link"]


def test_the_recorder_takes_what_it_is_given(installed: Callable[..., Plan]) -> None:
    plan = installed("record.launch.yaml", images="false", topics="/a /b")
    assert [spec.name for spec in plan.processes] == ["record_node-1"]
    given = parameters(plan, 0)
    assert (given["bag"], given["topics"], given["images"]) == ("", "/a /b", False)


def test_ultrasound_and_xray_in_simulation_give_the_emulators_address_to_the_same_drivers(installed: Callable[..., Plan]) -> None:
    for name, package, node in (("ultrasound", "us_motion", "ultrasound_node"), ("xray", "xray_registration", "xray_node")):
        plan = installed(f"{name}.launch.yaml", sim="true")
        emulator, driver = plan.processes[0].command, plan.processes[1]
        assert Path(emulator[0]).name == f"{name}_emulator" and driver.command[0].endswith(f"{package}/{node}")
        assert parameters(plan, 1)["video.source"] == emulator[1 + emulator.index("--url")]
        assert parameters(plan, 1)["calibration_file"] == str(LAUNCH / "rigs" / "simulated" / f"{name}.yaml")
        real = installed(f"{name}.launch.yaml", **{f"{name}_source": "/dev/mine", "rig": "template"})
        assert len(real.processes) == 1 and parameters(real, 0)["video.source"] == "/dev/mine"


def test_the_emulated_c_arm_exports_files_only_where_the_driver_reads_them(installed: Callable[..., Plan]) -> None:
    plan = installed("xray.launch.yaml", sim="true", xray_kind="folder")
    assert f"--dicom={parameters(plan, 1)['folder.path']}" in plan.processes[0].command
    assert "--dicom=" in installed("xray.launch.yaml", sim="true").processes[0].command


def test_threads_are_one_unless_asked_for_under_ros2_launch_too(installed: Callable[..., Plan]) -> None:
    for given, threads in (({}, "1"), ({"threads": "2"}, "2")):
        for spec in installed("em.launch.yaml", **given).processes:
            assert {spec.environment[name] for name in THREAD_VARIABLES} == {threads}


def test_what_a_launch_file_says_of_memory_is_what_a_node_does_by_itself(installed: Callable[..., Plan]) -> None:
    for spec in installed("em.launch.yaml").processes:
        assert {name: spec.environment[name] for name in SETTINGS} == {name: str(value) for name, (_, value) in SETTINGS.items()}


def test_the_array_in_simulation_is_the_same_driver_on_the_emulators_port(installed: Callable[..., Plan]) -> None:
    plan = installed("magnetometers.launch.yaml", sim="true", sim_world="w.yaml")
    emulator, driver = plan.processes[0].command, parameters(plan, 1)
    assert Path(emulator[0]).name == "array_emulator" and "--world=w.yaml" in emulator
    assert emulator[emulator.index("--link") + 1] == driver["stream.port"]
    assert driver["calibration_file"] == str(LAUNCH / "rigs" / "simulated" / "magnetometers.yaml") and driver["rig"] == "simulated"
    (alone,) = installed("magnetometers.launch.yaml", magnetometers_port="/dev/mine", rig="r", rigs="/x").processes
    given = parameters(installed("magnetometers.launch.yaml", magnetometers_port="/dev/mine", rig="r", rigs="/x"), 0)
    assert alone.respawn and given["stream.port"] == "/dev/mine" and given["calibration_file"] == "/x/r/magnetometers.yaml"


def parameters(plan: Plan, number: int) -> dict[str, Any]:
    """All parameters of one process as rclpy would merge them."""
    words = plan.processes[number].command
    merged: dict[str, Any] = {}
    for flag, word in pairwise(words):
        if flag == "--params-file":
            (section,) = yaml.safe_load(Path(word).read_text()).values()
            merged.update(section["ros__parameters"])
    return merged


@pytest.mark.parametrize(("name", "cls", "given"), PARAMETER_FILES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_parameter_file_holds_every_parameter_with_its_default_and_meaning(name: str, cls: type[Any], given: set[str]) -> None:
    path = LAUNCH / "config" / f"{name}.yaml"
    expected = parameter_lines(cls, given)
    assert path.read_text().split("  ros__parameters:\n")[1] == expected, f"the parameters in {path} should read:\n{expected}"
    required = {option.name: "x" for option in options(cls) if option.default is REQUIRED}
    tree = yaml.safe_load(path.read_text())["/**"]["ros__parameters"]
    assert load_config(cls, {**tree, **required}) == load_config(cls, required)


def parameter_lines(cls: type[Any], left_out: set[str]) -> str:
    """The body of a parameter file."""
    lines: list[str] = []
    open_section: list[str] = []
    for option in options(cls):
        *section, leaf = option.name.split(".")
        if option.name in left_out or option.default is REQUIRED:
            continue
        for depth in range(len(section)):
            if open_section[: depth + 1] != section[: depth + 1]:
                lines.append("  " * depth + f"{section[depth]}:")
        open_section = section
        indent = "  " * len(section)
        lines += [f"{indent}# {option.doc}{f' ({option.unit})' if option.unit else ''}", indent + value_line(leaf, option)]
    return "".join(f"    {line}\n" for line in lines)


def value_line(leaf: str, option: Option) -> str:
    """`name: value`; an empty list cannot stand in a ROS parameter file."""
    value = plain(option.default)
    text = yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("\n").removesuffix("\n...")
    return f"# {leaf}: []" if value == [] else f"{leaf}: {text}"


@pytest.mark.parametrize("path", sorted(LAUNCH.glob("rigs/*/frames.yaml")), ids=lambda path: path.parent.name)
def test_a_rig_is_one_tree_below_the_bench(path: Path) -> None:
    frames = parse_frames(path.read_text(), str(path))
    assert "em_field_generator" in poses_from_root(frames, "bench", str(path))


def test_package_and_build_file_install_what_the_launch_files_name() -> None:
    text = (LAUNCH / "CMakeLists.txt").read_text()
    assert "DIRECTORY config rigs urdf" in text and "../embedded/fastdds.xml" in text
    assert (CHECKOUT / "embedded" / "fastdds.xml").is_file()
    manifest = (LAUNCH / "package.xml").read_text()
    assert "<build_type>ament_cmake</build_type>" in manifest
    assert "not a medical device" in manifest
    used = {entity.attributes["pkg"].value for path in FILES for entity in everything(read_launch_file(path)) if entity.kind == "node"}
    for package in used:
        assert f"<exec_depend>{package}</exec_depend>" in manifest


def test_a_choice_that_is_none_is_refused(installed: Callable[..., Plan]) -> None:
    with pytest.raises(InputError, match="argument 'sim': expected one of true, false"):
        installed("em.launch.yaml", sim="yes")
