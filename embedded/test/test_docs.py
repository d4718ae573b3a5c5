"""The pages say what the code says: generated parts, links, commands, environment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import write_docs
import yaml
from write_docs import ROOT, pages

from lodestone_cli.main import app, calibrate

TEXTS = {page: page.read_text() for page in pages()}
LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def everything_said() -> str:
    return "\n".join(TEXTS.values())


@pytest.mark.parametrize("page", TEXTS, ids=name_of)
def test_generated_parts_are_up_to_date(page: Path) -> None:
    assert TEXTS[page] == write_docs.rendered(TEXTS[page], ros=False), "run: .venv/bin/python embedded/write_docs.py"


@pytest.mark.parametrize("page", TEXTS, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [target for target in LINK.findall(TEXTS[page]) if "://" not in target]
    assert not [target for target in targets if not (page.parent / target).exists()]


@pytest.mark.parametrize("node", ["em_registration.drivers.config.AuroraConfig", "em_registration.config.RegistrationConfig"])
def test_every_parameter_of_a_node_is_in_the_docs(node: str) -> None:
    assert f"<!-- parameters: {node} -->" in everything_said()


def test_every_configuration_of_guidance_is_in_the_docs() -> None:
    text = (ROOT / "docs" / "guidance.md").read_text()
    assert "lodestone_guidance.config.AuthorityConfig" in text
    assert "lodestone_guidance.config.ManagerConfig" in text


def test_every_launch_file_is_in_the_docs() -> None:
    text = (ROOT / "docs" / "launch.md").read_text()
    files = [path.name for path in (ROOT / "launch").glob("*.launch.yaml")]
    assert not [name for name in files if f"<!-- arguments: {name} -->" not in text]


def test_every_command_is_in_the_docs() -> None:
    text = (ROOT / "docs" / "cli.md").read_text()
    names = [command.callback.__name__ for command in app.registered_commands if command.callback]
    names += [f"calibrate {command.callback.__name__}" for command in calibrate.registered_commands if command.callback]
    assert not [name for name in names if f"`lodestone {name}" not in text]


def test_every_package_has_a_page_and_a_line_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    packages = [path.parent.name for path in ROOT.glob("src/*/setup.py")]
    assert not [name for name in packages if not (ROOT / "docs" / f"{name}.md").is_file() or f"docs/{name}.md" not in readme]


def test_readme_names_the_version_of_torch_that_is_pinned() -> None:
    pin = re.search(r"^torch==(\S+)$", (ROOT / "embedded" / "requirements-imaging.txt").read_text(), re.MULTILINE)
    assert pin is not None
    assert f"torch {pin[1]}" in (ROOT / "README.md").read_text()


def test_services_of_compose_build_the_targets_of_the_dockerfile() -> None:
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text()
    services = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
    targets = {service["build"]["target"] for service in services.values() if "build" in service}
    assert targets == set(re.findall(r"^FROM \S+ AS (\w+)$", dockerfile, re.MULTILINE)) == {"core", "ros"}


def test_what_docker_runs_is_in_the_checkout() -> None:
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text()
    scripts = re.findall(r"embedded/\w+\.py", dockerfile)
    assert {"embedded/setup_environment.py", "embedded/run_tests.py"} <= set(scripts)
    assert not [script for script in scripts if not (ROOT / script).is_file()]
