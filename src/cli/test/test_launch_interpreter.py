"""A launch file means what it means to ros2 launch: these commands were compared with launch 3.4.3 and launch_ros 0.26.6."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lodestone_core.errors import InputError

Planner = Callable[..., Any]
NODE = "{pkg: tools, exec: tool"


def commands(plan: Any) -> list[list[str]]:
    """Arguments of each process behind the program."""
    return [list(spec.command[1:]) for spec in plan.processes]


def test_a_node_gets_its_arguments_and_then_those_of_ros_in_jazzys_order(plan: Planner) -> None:
    found = plan(f"- node: {NODE}, name: n, namespace: ns, args: --a b, param: [{{name: p, value: 1}}], remap: [{{from: x, to: y}}]}}\n")
    arguments = commands(found)[0]
    parameter_file = arguments[-3]
    assert arguments == ["--a", "b", "--ros-args", "-r", "__node:=n", "-r", "__ns:=/ns", "--params-file", parameter_file, "-r", "x:=y"]
    assert found.processes[0].name == "tool-1"
    assert Path(parameter_file).read_text() == "/ns/n:\n  ros__parameters:\n    p: 1\n"


def test_a_node_without_name_or_namespace_gets_neither(plan: Planner) -> None:
    assert commands(plan(f"- node: {NODE}}}\n")) == [["--ros-args"]]


def test_an_executable_gets_no_ros_arguments_and_words_are_split_as_in_a_shell(plan: Planner) -> None:
    found = plan("- let: {name: a, value: b c}\n- executable: {cmd: \"$(exec-in-pkg tool tools) 'x y' -$(var a) $(var a)\", name: other}\n")
    assert commands(found) == [["x y", "-b c", "b c"]]
    assert found.processes[0].name == "other-1"
    assert Path(found.processes[0].command[0]).name == "tool"


def test_namespaces_add_up_within_a_group_and_end_with_it(plan: Planner) -> None:
    group = "- group:\n  - push_ros_namespace: {namespace: a}\n  - push_ros_namespace: {namespace: b/c}\n"
    nodes = f"  - node: {NODE}}}\n  - node: {NODE}, namespace: d}}\n  - node: {NODE}, namespace: /e}}\n- node: {NODE}}}\n"
    namespaces = [arguments[-1] for arguments in commands(plan(group + nodes))]
    assert namespaces == ["__ns:=/a/b/c", "__ns:=/a/b/c/d", "__ns:=/e", "--ros-args"]


def test_conditions_choose(plan: Planner) -> None:
    actions = '- arg: {name: a, default: "true"}\n'
    for number, condition in enumerate(("if: $(var a)", "unless: $(var a)", "if: \"$(eval \\\"'$(var a)' == '0'\\\")\"", "if: ' TRUE '")):
        actions += f"- node: {NODE}, name: n{number}, {condition}}}\n"
    assert [arguments[-1] for arguments in commands(plan(actions))] == ["__node:=n0", "__node:=n3"]
    assert [arguments[-1] for arguments in commands(plan(actions, {"a": "0"}))] == ["__node:=n1", "__node:=n2", "__node:=n3"]


def test_what_a_scoped_group_sets_ends_with_it(plan: Planner) -> None:
    inner = "- let: {name: x, value: inner}\n    - set_env: {name: X, value: inner}\n"
    for scoped, after in (("true", "outer"), ("false", "inner")):
        actions = "- let: {name: x, value: outer}\n- set_env: {name: X, value: outer}\n"
        actions += f"- group:\n    scoped: {scoped}\n    children:\n    {inner}- executable: {{cmd: run $(var x) $(env X)}}\n"
        found = plan(actions)
        assert commands(found) == [[after, after]]
        assert found.processes[0].environment["X"] == after


def test_an_include_is_no_scope_and_passes_its_arguments(plan: Planner, launch_file: Callable[..., Path]) -> None:
    child = "- arg: {name: given}\n- arg: {name: own, default: o}\n- executable: {cmd: run $(var given) $(dirname)}\n"
    path = launch_file(child, "sub/child.launch.yaml")
    include = "- include: {file: $(dirname)/sub/child.launch.yaml, arg: [{name: given, value: g}]}\n"
    found = plan(include + "- executable: {cmd: run $(var own)}\n")
    assert commands(found) == [["g", str(path.parent)], ["o"]]


def test_an_argument_without_default_must_be_handed_to_the_include_itself(plan: Planner, launch_file: Callable[..., Path]) -> None:
    launch_file("- arg: {name: need, description: what it is}\n", "child.launch.yaml")
    with pytest.raises(InputError, match=r"child\.launch\.yaml:2: argument 'need': expected a value.*what it is"):
        plan('- arg: {name: need, default: "1"}\n- include: {file: $(dirname)/child.launch.yaml}\n')


def test_dirname_below_an_include_from_elsewhere_is_refused_since_jazzy_gives_the_other_folder(
    plan: Planner, launch_file: Callable[..., Path]
) -> None:
    launch_file("- let: {name: a, value: b}\n", "sub/child.launch.yaml")
    launch_file("- let: {name: a, value: b}\n", "beside.launch.yaml")
    assert commands(plan("- include: {file: $(dirname)/beside.launch.yaml}\n- executable: {cmd: run $(dirname)}\n"))
    with pytest.raises(InputError, match=r"\$\(dirname\): expected it above the first include"):
        plan("- group:\n  - include: {file: $(dirname)/sub/child.launch.yaml}\n- executable: {cmd: run $(dirname)}\n")


def test_set_parameter_holds_for_the_nodes_below_it(plan: Planner) -> None:
    actions = f'- node: {NODE}}}\n- set_parameter: {{name: a, value: "1"}}\n- set_parameter: {{name: b, value: "yes"}}\n- node: {NODE}}}\n'
    assert commands(plan(actions)) == [["--ros-args"], ["--ros-args", "-p", "a:=1", "-p", "b:=True"]]


def test_set_parameter_that_jazzy_would_leak_out_of_its_group_is_refused(plan: Planner) -> None:
    with pytest.raises(InputError, match="one that Jazzy would set outside of the group too"):
        plan('- set_parameter: {name: a, value: "1"}\n- group:\n  - set_parameter: {name: b, value: "2"}\n')


def test_a_required_process_and_a_respawned_one_are_never_the_same(plan: Planner) -> None:
    found = plan(f"- node: {NODE}, on_exit: shutdown}}\n- node: {NODE}, respawn: 'true', respawn_delay: 2.0, respawn_max_retries: 3}}\n")
    required, respawned = found.processes
    assert (required.required, required.respawn) == (True, False)
    assert (respawned.respawn, respawned.respawn_delay_s, respawned.max_respawns) == (True, 2.0, 3)
    with pytest.raises(InputError, match="'node': expected 'on_exit' or 'respawn', got both"):
        plan(f"- node: {NODE}, on_exit: shutdown, respawn: 'true'}}\n")


@pytest.mark.parametrize(
    ("actions", "what"),
    [
        (f"- node: {NODE}, if: maybe}}", "'if': expected true, 1, false or 0, got 'maybe'"),
        (f"- node: {NODE}, if: 'true', unless: 'true'}}", "expected 'if' or 'unless', got both"),
        (f"- node: {NODE}, args: $(var nix)}}", r"\$\(var nix\): expected an argument or variable"),
        (f"- node: {NODE}, args: $(env NIX_AT_ALL)}}", r"\$\(env NIX_AT_ALL\): expected an environment variable"),
        (f"- node: {NODE}, args: $(find-exec ls)}}", r"\$\(find-exec\).*only 'ros2 launch' runs"),
        (f"- node: {NODE}, args: $(vr x)}}", r"\$\(vr\).*did you mean 'var'"),
        (f"- node: {NODE}, args: $(dirname x)}}", r"\$\(dirname\): expected 0 arguments, got 1"),
        (f'- node: {NODE}, args: "a \'b"}}', "No closing quotation"),
        (f"- node: {NODE}, name: 1x}}", "node name: expected letters"),
        (f"- node: {NODE}, namespace: a-b}}", "namespace: expected letters"),
        (f"- node: {NODE}, on_exit: restart}}", "'on_exit': expected shutdown"),
        (f"- node: {NODE}, output: both_}}", "'output': expected screen or log or both"),
        (f"- node: {NODE}, respawn_delay: -1.0}}", "'respawn_delay': expected 0 or more seconds"),
        ("- node: {pkg: tool, exec: tool}", "package 'tool': expected an installed package.*did you mean 'tools'"),
        ("- node: {pkg: tools, exec: tol}", "package 'tools': expected the executable 'tol'.*use one of: tool"),
        ("- include: {file: a.launch.py}", "include: expected a .*launch.yaml file, got a.launch.py"),
        ("- include: {file: $(dirname)/test.launch.yaml}", "20 includes deep"),
        ("- arg: {name: a}", "argument 'a': expected a value, got none"),
        ("- arg: {name: a, default: z, choice: [{value: x}, {value: y}]}", "argument 'a': expected one of x, y, got 'z'"),
        ("- executable: {cmd: ' '}", "'cmd': expected a program"),
    ],
)
def test_what_cannot_run_is_one_sentence_with_file_and_line(plan: Planner, actions: str, what: str) -> None:
    with pytest.raises(InputError, match=rf"test\.launch\.yaml:2: .*{what}|test\.launch\.yaml:2: {what}"):
        plan(actions + "\n")


def test_an_argument_that_no_file_declares_is_refused_with_the_nearest_name(plan: Planner) -> None:
    with pytest.raises(InputError, match=r"launch argument 'prot'.*did you mean 'port'"):
        plan("- arg: {name: port, default: a}\n", {"prot": "b"})


def test_each_process_has_one_blas_thread_unless_set_env_says_otherwise(plan: Planner) -> None:
    actions = f'- node: {NODE}}}\n- set_env: {{name: OMP_NUM_THREADS, value: "4"}}\n- node: {NODE}}}\n'
    first, second = (spec.environment for spec in plan(actions, OMP_NUM_THREADS="8").processes)
    assert (first["OMP_NUM_THREADS"], first["OPENBLAS_NUM_THREADS"], first["MKL_NUM_THREADS"]) == ("1", "1", "1")
    assert second["OMP_NUM_THREADS"] == "4"


def test_discovery_stays_on_this_machine_and_the_installed_profile_is_used_unless_set(plan: Planner, prefix: Any) -> None:
    prefix.add("lodestone_bringup", "none", "")
    profile = prefix.folder / "share" / "lodestone_bringup" / "config" / "fastdds.xml"
    profile.parent.mkdir()
    profile.write_text("<dds/>")
    environment = plan(f"- node: {NODE}}}\n").processes[0].environment
    assert environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert environment["FASTRTPS_DEFAULT_PROFILES_FILE"] == str(profile)
    given = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET", "FASTRTPS_DEFAULT_PROFILES_FILE": "mine.xml"}
    environment = plan(f"- node: {NODE}}}\n", **given).processes[0].environment
    assert {name: environment[name] for name in given} == given
