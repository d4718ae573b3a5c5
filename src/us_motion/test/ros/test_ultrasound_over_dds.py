"""The ultrasound node over real DDS on the emulated machine: image and geometry of every frame, depth, faults and recovery."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

from lodestone_core.ros import qos
from lodestone_core.ros.image_message import image_from_msg
from lodestone_msgs.msg import UltrasoundGeometry
from us_motion.ros.ultrasound_node import UltrasoundNode

pytestmark = pytest.mark.ros
control = pytest.importorskip("lodestone_bench.emulators.control")
CALIBRATION = Path(__file__).parents[4] / "launch" / "rigs" / "simulated" / "ultrasound.yaml"
WORLD = {"patient": {"liver_grid_mm": 3.0, "vessels": {"generations": 3}}}


class Desk:
    """The node under test, the emulated machine, and everything that the node says."""

    def __init__(self, folder: Path, **parameters: Any) -> None:
        self.url, self.socket = f"unix:{folder}/video", folder / "control"
        (folder / "world.yaml").write_text(yaml.safe_dump(WORLD))
        command = [sys.executable, "-m", "lodestone_bench.emulators.ultrasound", "--url", self.url, "--control", self.socket, "--rate", 10]
        self.process = subprocess.Popen(list(map(str, [*command, f"--world={folder}/world.yaml"])), stderr=subprocess.DEVNULL)
        self.images: list[Image] = []
        self.geometry: list[UltrasoundGeometry] = []
        self.masks: list[Image] = []
        self.reports: dict[str, Any] = {}
        self.executor = SingleThreadedExecutor()
        self.test = rclpy.create_node("desk")
        self.test.create_subscription(Image, "ultrasound/image_raw", self.images.append, qos.DEVICE)
        self.test.create_subscription(UltrasoundGeometry, "ultrasound/geometry", self.geometry.append, qos.DEVICE)
        self.test.create_subscription(Image, "ultrasound/mask", self.masks.append, qos.latched())
        self.test.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.DIAGNOSTICS)
        given = {"video.source": self.url, "video.reopen_max_s": 0.3, "calibration_file": str(CALIBRATION), **parameters}
        self.node = UltrasoundNode(parameter_overrides=[Parameter(name, value=value) for name, value in given.items()])
        self.executor.add_node(self.node)
        self.executor.add_node(self.test)
        self.wait(self.socket.exists, 60.0)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.reports.update({status.name.removeprefix("/ultrasound: "): status for status in message.status})

    def wait(self, condition: Callable[[], bool], limit_s: float = 15.0) -> float:
        start = time.monotonic()
        while not condition():
            assert time.monotonic() - start < limit_s, {name: status.message for name, status in self.reports.items()}
            self.executor.spin_once(timeout_sec=0.05)
        return time.monotonic() - start

    def valid(self) -> bool:
        return bool(self.geometry and self.geometry[-1].valid)

    def says(self, component: str, *texts: str) -> bool:
        return any(text in str(getattr(self.reports.get(component), "message", "")) for text in texts)

    def do(self, name: str, **fields: Any) -> None:
        assert control.send_request(self.socket, do=name, **fields)["ok"]

    def close(self) -> None:
        self.node.close()
        self.test.destroy_node()
        self.executor.shutdown()
        self.process.terminate()
        assert self.process.wait(30.0) == 0


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    rclpy.init()
    desks: list[Desk] = []

    def make(**parameters: Any) -> Desk:
        desks.append(Desk(tmp_path, **parameters))
        return desks[-1]

    yield make
    for each in desks:
        each.close()
    rclpy.shutdown()


def test_every_image_has_its_geometry_and_a_change_of_depth_a_new_epoch(desk: Callable[..., Desk]) -> None:
    d = desk()
    d.wait(lambda: d.valid() and len(d.images) > 10)
    first = d.geometry[-1]
    assert (first.depth, first.radius_min, first.radius_max) == pytest.approx((0.15, 0.045, 0.195))
    assert list(first.pixel_spacing) == pytest.approx([0.0005, 0.0005]) and first.epoch == 1 and first.detail == ""
    assert first.header.frame_id == d.images[-1].header.frame_id == "us_image"
    d.wait(lambda: bool(d.masks))
    mask = image_from_msg(d.masks[-1]) > 0
    image = image_from_msg(d.images[-1])
    assert image.shape == mask.shape == (320, 400) and image[mask].mean() > 5.0 * image[~mask].mean()
    seen = [(i.header.stamp.sec, i.header.stamp.nanosec) for i in d.images]
    d.wait(lambda: (d.geometry[-1].header.stamp.sec, d.geometry[-1].header.stamp.nanosec) > seen[-1])
    stamps = [(g.header.stamp.sec, g.header.stamp.nanosec) for g in d.geometry]
    assert set(seen) <= set(stamps) and stamps == sorted(stamps)
    del d.geometry[:]
    d.do("depth", mm=100.0)
    d.wait(lambda: bool(d.geometry) and d.geometry[-1].epoch == 2)
    changed = [number for number, g in enumerate(d.geometry) if not g.valid]
    assert len(changed) >= 1 and math.isnan(d.geometry[changed[0]].depth) and d.geometry[changed[0]].epoch == 1
    assert d.geometry[-1].depth == pytest.approx(0.1) and d.geometry[-1].pixel_spacing[0] == pytest.approx(0.00037)
    d.wait(lambda: len(d.masks) == 2 and d.says("geometry", "depth_100"))
    assert (image_from_msg(d.masks[-1]) != image_from_msg(d.masks[0])).sum() > 1000


def test_each_fault_is_named_and_passes(desk: Callable[..., Desk]) -> None:
    d = desk()
    d.wait(d.valid)
    for request, fields, component, texts in (
        ("freeze", {"for_s": 1.5}, "video", ("frozen",)),
        ("stall", {"for_s": 1.5}, "video", ("no image", "silent")),
        ("black", {"for_s": 1.0}, "geometry", ("black",)),
        ("unplug", {"replug_after_s": 1.0}, "video", ("source",)),
    ):
        d.do(request, **fields)
        d.wait(lambda component=component, texts=texts: d.says(component, *texts))  # type: ignore[misc]
        d.wait(lambda component=component, texts=texts: d.valid() and not d.says(component, *texts))  # type: ignore[misc]
    d.do("size", width=300, height=200)
    d.wait(lambda: d.says("geometry", "300 x 200"))
    assert not d.geometry[-1].valid and "300 x 200" in d.geometry[-1].detail
    d.wait(lambda: d.images[-1].width == 300)
    d.do("size", width=400, height=320)
    d.wait(d.valid)


def test_without_calibration_images_go_out_and_the_geometry_says_why_it_is_not_valid(desk: Callable[..., Desk]) -> None:
    d = desk(calibration_file="")
    d.wait(lambda: len(d.geometry) > 3 and len(d.images) > 3)
    assert not d.geometry[-1].valid and "calibration" in d.geometry[-1].detail and np.isnan(d.geometry[-1].apex).all()
    assert not d.masks
