"""The ultrasound node over real DDS on the emulated machine: image and geometry of every frame, depth, faults and recovery."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sensor_msgs.msg import Image

from lodestone_bench.ros.node_desk import NodeDesk, desks
from lodestone_core.ros import qos
from lodestone_core.ros.image_message import image_from_msg
from lodestone_msgs.msg import UltrasoundGeometry
from us_motion.ros.ultrasound_node import UltrasoundNode

pytestmark = pytest.mark.ros
CALIBRATION = Path(__file__).parents[4] / "launch" / "rigs" / "simulated" / "ultrasound.yaml"
WORLD = {"patient": {"liver_grid_mm": 3.0, "vessels": {"generations": 3}}}


class Desk(NodeDesk):
    """The ultrasound node on the emulated machine."""

    def __init__(self, folder: Path, **parameters: Any) -> None:
        super().__init__(folder)
        self.url = f"unix:{folder}/video"
        (folder / "world.yaml").write_text(yaml.safe_dump(WORLD))
        self.emulate("ultrasound", "--url", self.url, "--rate", 10, f"--world={folder}/world.yaml")
        self.images: list[Image] = self.hear(Image, "ultrasound/image_raw", qos.DEVICE)
        self.geometry: list[UltrasoundGeometry] = self.hear(UltrasoundGeometry, "ultrasound/geometry", qos.DEVICE)
        self.masks: list[Image] = self.hear(Image, "ultrasound/mask", qos.latched())
        given = {"video.source": self.url, "video.reopen_max_s": 0.3, "calibration_file": str(CALIBRATION), **parameters}
        self.serve(UltrasoundNode, given)

    def valid(self) -> bool:
        return bool(self.geometry and self.geometry[-1].valid)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    with desks(partial(Desk, tmp_path)) as make:
        yield make


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
