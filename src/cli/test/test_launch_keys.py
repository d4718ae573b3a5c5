"""The checked-in list of Jazzy's keys refuses what Jazzy does not know and what the runner does not run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lodestone_cli.launch_file.document import read_launch_file
from lodestone_cli.launch_file.keys import jazzy_keys
from lodestone_core.errors import InputError

NODE = "{pkg: tools, exec: tool"


@pytest.mark.parametrize(
    ("actions", "what"),
    [
        ("- noode: {pkg: a, exec: b}", "key 'noode'.*did you mean 'node'"),
        (f"- node: {NODE}, paramm: []}}", "key 'paramm' of 'node'.*did you mean 'param'"),
        ("- timer: {period: 1.0, children: []}", "key 'timer'.*only 'ros2 launch' runs"),
        (f"- node: {NODE}, launch-prefix: gdb}}", "key 'launch-prefix' of 'node'.*only 'ros2 launch' runs"),
        ("- node: {pkg: tools}", "'node': expected the key 'exec'"),
        (f"- node: {NODE}, respawn: true}}", "key 'respawn' of 'node': expected a str, got True"),
        (f"- node: {NODE}, respawn_delay: 2}}", "key 'respawn_delay' of 'node': expected a float, got 2"),
        ("- arg: {name: a, default: 5}", "key 'default' of 'arg': expected a str, got 5"),
        ("- let: {name: on, value: x}", "key 'name' of 'let': expected a str, got True"),
        (f"- node: {NODE}, remap: []}}", "key 'remap' of 'node': expected a list of mappings"),
        (f"- node: {NODE}, remap: [{{from: a}}]}}", "'remap': expected the key 'to'"),
        (f"- node: {NODE}, param: [{{nme: a}}]}}", "key 'nme' of 'param'.*did you mean 'name'"),
        (f"- node: {NODE}, param: [{{from: a, allow_substs: 'true'}}]}}", "key 'allow_substs' of 'param': expected a bool"),
        ("- group: {if: 'true'}", "'group': expected a list of actions"),
        ("- node: [{let: {name: a, value: b}}]", "'node': expected attributes"),
    ],
)
def test_a_key_that_jazzy_or_the_runner_does_not_take_is_refused_with_its_line(
    launch_file: Callable[..., Path], actions: str, what: str
) -> None:
    entity = read_launch_file(launch_file(actions + "\n"))[0]
    with pytest.raises(InputError, match=rf"test\.launch\.yaml:2: {what}"):
        jazzy_keys().check(entity)


def test_the_line_is_that_of_the_key(plan: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match=r"test\.launch\.yaml:5: key 'nme'"):
        plan("- let: {name: a, value: b}\n- node:\n    pkg: tools\n    nme: x\n    exec: tool\n")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("lunch: []\n", ":1: root: expected the one key 'launch'"),
        ("", ":1: root"),
        ("launch:\n- node: {\n", "expected well-formed YAML"),
        ("launch:\n- node: {pkg: a}\n  if: 'true'\n", ":2: action: expected one key"),
        ("launch:\n- node: {pkg: a, pkg: b, exec: c}\n", ":2: key 'pkg': expected each key once"),
        ("launch:\n- node\n", ":2: action"),
        ("launch:\n- arg:\n", ":2: 'arg': expected attributes, got nothing"),
        ("launch: {node: {}}\n", "actions: expected a list"),
    ],
)
def test_a_file_of_another_shape_is_refused_with_its_line(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "bad.launch.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=what):
        read_launch_file(path)


def test_an_unreadable_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.launch\.yaml: expected a readable launch file"):
        read_launch_file(tmp_path / "none.launch.yaml")
    (tmp_path / "latin.launch.yaml").write_bytes(b"launch: \xff")
    with pytest.raises(InputError, match="not UTF-8"):
        read_launch_file(tmp_path / "latin.launch.yaml")


def test_every_action_that_runs_is_known_to_the_interpreter(plan: Callable[..., Any]) -> None:
    from lodestone_cli.launch_file.interpreter import _Interpreter

    assert set(_Interpreter(Path())._actions) == set(jazzy_keys().actions)
