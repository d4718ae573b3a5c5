"""Parameters get the type that launch_ros gives them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from lodestone_core.errors import InputError

HEADER = "".join(
    f'- let: {{name: {name}, value: "{value}"}}\n' for name, value in (("five", "5"), ("word", "abc"), ("empty", ""), ("one", "1"))
)


def parameters(plan: Any) -> list[dict[str, Any]]:
    """What each parameter file of the last process holds, in order."""
    words = plan.processes[-1].command
    files = [Path(word) for flag, word in pairwise(words) if flag == "--params-file"]
    return [yaml.safe_load(path.read_text())["/**"]["ros__parameters"] for path in files]


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("value: 1", 1),
        ("value: 1.5", 1.5),
        ("value: true", True),
        ("value: [1, 2]", [1, 2]),
        ("value: [a, b]", ["a", "b"]),
        # Text without a substitution stays text, text with one is read as YAML.
        ("value: '5'", "5"),
        ("value: $(var five)", 5),
        ("value: $(var empty)", ""),
        ("value: $(var five), type: str", "5"),
        ("value: $(var five), type: float", 5.0),
        ("value: $(var one), type: bool", True),
        ("value: '[$(var five), 6]'", [5, 6]),
        ("value: ['$(var word)', '$(var word)x']", ["abc", "abcx"]),
        ("value: $(var five), type: yaml", 5),
        # YAML 1.1 wants a sign in the exponent's place, and so does launch.
        ("value: 1e-3", "1e-3"),
    ],
)
def test_a_value_has_the_type_that_launch_ros_gives_it(plan: Callable[..., Any], entry: str, value: Any) -> None:
    found = plan(HEADER + f"- node: {{pkg: tools, exec: tool, param: [{{name: p, {entry}}}]}}\n")
    assert parameters(found) == [{"p": value}]
    assert type(parameters(found)[0]["p"]) is type(value)


@pytest.mark.parametrize(
    "entry",
    [
        "value: 1, type: float",
        "value: '1', type: float",
        "value: 1, type: str",
        "value: 1, type: double",
        "value: [1, a]",
        "value: [1, 2.5]",
        "value: []",
        "value: null",
        "value: 2020-01-01",
        "value: '[$(var five), 6]', type: list_of_int",
        "value: $(var word), type: int",
        "value: ['1'], type: list_of_int",
        "value: 1, param: [{name: b, value: 2}]",
        "type: int",
        "value: 1, allow_substs: true",
        "value: 1, from: file",
    ],
)
def test_a_value_that_launch_ros_refuses_is_one_sentence_with_its_line(plan: Callable[..., Any], entry: str) -> None:
    with pytest.raises(InputError, match=r"test\.launch\.yaml:6: "):
        plan(HEADER + f"- node: {{pkg: tools, exec: tool, param: [{{name: p, {entry}}}]}}\n")


def test_nested_parameters_are_joined_with_dots_and_each_entry_is_a_file_in_order(plan: Callable[..., Any]) -> None:
    nested = "{name: a, param: [{name: b, value: 1}, {name: c, param: [{name: d, value: x}]}]}"
    found = plan(f"- node: {{pkg: tools, exec: tool, param: [{nested}, {{name: a.b, value: 2}}]}}\n")
    assert parameters(found) == [{"a.b": 1, "a.c.d": "x"}, {"a.b": 2}]


def test_a_file_is_handed_on_as_it_is_and_substituted_only_when_asked(plan: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("/**:\n  ros__parameters: {a: $(var five)}\n")
    node = "- node: {pkg: tools, exec: tool, param: [{from: $(dirname)/p.yaml}, {from: $(dirname)/p.yaml, allow_substs: true}]}\n"
    found = plan(HEADER + node)
    assert str(path) in found.processes[0].command
    assert parameters(found) == [{"a": "$(var five)"}, {"a": 5}]


def test_a_parameter_file_that_is_not_there_is_refused(plan: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="parameter file: expected an existing file"):
        plan("- node: {pkg: tools, exec: tool, param: [{from: $(dirname)/none.yaml}]}\n")


def test_a_list_in_set_parameter_is_refused_since_jazzy_hands_it_on_as_text(plan: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="a list, which Jazzy hands on as text"):
        plan('- set_parameter: {name: a, value: "[1, 2]"}\n')
