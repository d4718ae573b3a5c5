"""The house's own rules, held by tests: one way of dependencies, ROS only in its rooms, small rooms, one version."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
ALGORITHMS = {"em_registration", "us_motion", "guidewire_recon", "xray_registration"}
OURS = {"lodestone_core", "lodestone_guidance", "lodestone_bench", "lodestone_cli", *ALGORITHMS}
MAY_IMPORT = {
    "lodestone_core": set[str](),
    "lodestone_guidance": {"lodestone_core"},
    "lodestone_bench": {"lodestone_core"},
    "lodestone_cli": {"lodestone_core", "lodestone_guidance", "lodestone_bench", *ALGORITHMS},
    **{name: {"lodestone_core"} for name in ALGORITHMS},
}
ROS = re.compile(r"^(rclpy|tf2_ros|launch|launch_ros|rosbag2_py|\w+_msgs|\w+_interfaces)$")
MODULES = [path for path in sorted((ROOT / "src").glob("*/*/**/*.py")) if "test" not in path.relative_to(ROOT).parts]


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def package_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[2]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_there_is_code_to_look_at() -> None:
    assert len(MODULES) > 30


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_ros_is_imported_only_in_ros_rooms(path: Path) -> None:
    if "ros" in path.relative_to(ROOT).parts:
        return
    assert not [name for name in imported(path) if ROS.match(name)]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_dependencies_point_one_way(path: Path) -> None:
    package = package_of(path)
    assert not (set(imported(path)) & OURS) - MAY_IMPORT[package] - {package}


NODES_OWN = {
    f"_{name}"
    for name in ["clock", "context", "executor", "handle", "logger", "parameters", "publishers", "subscriptions", "timers", "services"]
}


@pytest.mark.parametrize("path", [path for path in MODULES if path.name.endswith("_node.py")], ids=name_of)
def test_a_node_takes_no_name_that_is_rclpys(path: Path) -> None:
    stored = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)]
    assert not {node.attr for node in stored} & NODES_OWN


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_rooms_are_small(path: Path) -> None:
    text = path.read_text()
    lines = text.count("\n")
    assert lines <= (150 if path.name.endswith("_node.py") else 400)
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    assert not [node.name for node in functions if (node.end_lineno or node.lineno) - node.lineno + 1 > 60]


@pytest.mark.parametrize("path", sorted((ROOT / "src" / "msgs").glob("*/*.*")), ids=lambda path: path.name)
def test_every_message_field_has_a_comment(path: Path) -> None:
    fields = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#") and line != "---"]
    assert not [line for line in fields if "#" not in line]


def test_all_packages_have_one_version() -> None:
    versions = {ElementTree.parse(path).findtext("version") for path in ROOT.glob("src/*/package.xml")}
    versions.add(ElementTree.parse(ROOT / "launch" / "package.xml").findtext("version"))
    texts = [path.read_text() for path in ROOT.glob("src/*/setup.py")]
    versions |= {match for text in texts for match in re.findall(r'version="([^"]+)"', text)}
    assert len(versions) == 1


def test_every_description_says_research_use_only() -> None:
    manifests = [*ROOT.glob("src/*/package.xml"), ROOT / "launch" / "package.xml"]
    assert all("not a medical device" in (ElementTree.parse(path).findtext("description") or "") for path in manifests)


def test_nothing_unpickles_evaluates_or_names_a_module_em() -> None:
    assert not [path for path in MODULES if path.name == "em.py"]
    for path in MODULES:
        assert "pickle" not in imported(path), path
        calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        assert not [call for call in calls if isinstance(call, ast.Name) and call.id in ("eval", "exec")], path
