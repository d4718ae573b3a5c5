"""A real rclpy node started by `lodestone up` has the name, namespace, parameters and remaps of the launch file."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")
pytestmark = pytest.mark.ros

NODE = f"""#!{sys.executable}
import json, os, sys
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
rclpy.init()
node = Node("unnamed", automatically_declare_parameters_from_overrides=True)
said = {{name: value.value for name, value in node._parameters.items()}}
said["name"] = node.get_fully_qualified_name()
said["topic"] = node.resolve_topic_name("input")
said["threads"] = os.environ["OMP_NUM_THREADS"]
with open(sys.argv[1] + ".new", "w") as out:
    out.write(json.dumps(said))
os.rename(sys.argv[1] + ".new", sys.argv[1])
try:
    rclpy.spin(node)
except (KeyboardInterrupt, ExternalShutdownException):
    pass
"""


def test_a_node_is_what_the_launch_file_says_and_ends_on_ctrl_c(
    prefix: Any, launch_file: Callable[..., Path], start: Callable[..., Any], tmp_path: Path
) -> None:
    prefix.add("tools", "node", NODE)
    (tmp_path / "p.yaml").write_text("/**:\n  ros__parameters: {from_file: 1.5, beaten: 1}\n")
    actions = (
        '- set_parameter: {name: global, value: "true"}\n'
        "- push_ros_namespace: {namespace: bench}\n"
        "- node:\n    pkg: tools\n    exec: node\n    name: named\n"
        f"    args: {tmp_path / 'said'}\n"
        "    param: [{from: $(dirname)/p.yaml}, {name: beaten, value: 2}, {name: nested, param: [{name: text, value: '5'}]}]\n"
        "    remap: [{from: input, to: aurora/tools}]\n"
    )
    runner = start(launch_file(actions))
    said = json.loads(runner.wait_for(tmp_path / "said", 20.0))
    runner.process.send_signal(signal.SIGINT)
    code, out, _ = runner.end()
    assert said["name"] == "/bench/named"
    assert said["topic"] == "/bench/aurora/tools"
    assert said["threads"] == "1"
    assert (said["global"], said["from_file"], said["beaten"], said["nested.text"]) == (True, 1.5, 2, "5")
    assert code == 0, out
    assert runner.alive() == []
