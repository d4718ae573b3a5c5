"""The X-ray node over real DDS: video and DICOM of the emulated C-arm, the place only while the geometry holds, faults named."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage

from lodestone_bench.ros.node_desk import NodeDesk, desks
from lodestone_core.ros import qos
from lodestone_core.ros.conversions import transforms_from_msg
from lodestone_core.ros.image_message import image_from_msg
from lodestone_msgs.msg import XrayGeometry
from xray_registration.ros.xray_node import XrayNode

pytestmark = pytest.mark.ros
CALIBRATION = Path(__file__).parents[4] / "launch" / "rigs" / "simulated" / "xray.yaml"
WORLD = {"patient": {"liver_grid_mm": 3.0, "vessels": {"generations": 3}}, "c_arm": {"volume_mm": 6.0}}


class Desk(NodeDesk):
    """The X-ray node on the emulated C-arm."""

    def __init__(self, folder: Path, kind: str, calibration: str = str(CALIBRATION)) -> None:
        super().__init__(folder)
        self.exports = folder / "files"
        (folder / "world.yaml").write_text(yaml.safe_dump(WORLD))
        files = (f"--world={folder}/world.yaml", f"--dicom={self.exports}", "--dicom-rate", 4)
        self.emulate("xray", "--url", f"unix:{folder}/video", *files)
        self.images: list[Image] = self.hear(Image, "xray/image_raw", qos.IMAGE)
        self.infos: list[CameraInfo] = self.hear(CameraInfo, "xray/camera_info", qos.IMAGE)
        self.geometry: list[XrayGeometry] = self.hear(XrayGeometry, "xray/geometry", qos.DEVICE)
        self.edges: list[TFMessage] = self.hear(TFMessage, "/tf", qos.TF)
        given = {"kind": kind, "video.source": f"unix:{folder}/video", "folder.path": str(self.exports), "calibration_file": calibration}
        self.serve(XrayNode, {**given, "folder.poll_s": 0.05, "folder.settle_s": 0.1, "video.reopen_max_s": 0.3})

    def next_not_valid(self) -> XrayGeometry:
        seen = len(self.geometry)
        self.wait(lambda: any(not g.valid for g in self.geometry[seen:]))
        return next(g for g in self.geometry[seen:] if not g.valid)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    with desks(partial(Desk, tmp_path)) as make:
        yield make


def test_video_has_camera_geometry_and_place_of_the_calibration(desk: Callable[..., Desk]) -> None:
    d = desk("video")
    d.wait(lambda: len(d.images) > 3 and len(d.infos) > 3 and len(d.edges) > 3)
    image, info, geometry = d.images[-1], d.infos[-1], d.geometry[-1]
    assert image.encoding == "mono8" and image_from_msg(image).shape == (512, 512) and image.header.frame_id == "xray_source"
    assert info.k.tolist() == [2000.0, 0.0, 255.5, 0.0, 2000.0, 255.5, 0.0, 0.0, 1.0]
    assert geometry.valid and geometry.geometry_source == XrayGeometry.SOURCE_CALIBRATION
    assert (geometry.source_to_detector, geometry.source_to_isocentre, geometry.pixel_spacing[1]) == pytest.approx((1.2, 0.75, 0.0006))
    source, detector = transforms_from_msg(d.edges[-1])
    assert (source.parent, source.child, detector.parent, detector.child) == ("bench", "xray_source", "xray_source", "xray_detector")
    # The patient lies on the back: the source is below the table, the detector above, the head is up in the picture.
    assert source.T_parent_child[:3, 3] == pytest.approx((700.0, 0.0, -600.0), abs=1e-6)
    assert source.T_parent_child[:3, 2] == pytest.approx((0.0, 0.0, 1.0), abs=1e-9)
    assert source.T_parent_child[:3, 1] == pytest.approx((-1.0, 0.0, 0.0), abs=1e-9)
    assert detector.T_parent_child[:3, 3] == pytest.approx((0.0, 0.0, 1200.0))
    assert image.header.stamp in [message.transforms[0].header.stamp for message in d.edges]
    d.do("stall", for_s=1.5)
    d.wait(lambda: d.says("source", "no image", "silent"))
    d.wait(lambda: d.says("source", "take images"))
    d.do("size", width=300, height=300)
    assert "300 x 300" in d.next_not_valid().detail
    d.wait(lambda: d.infos[-1].width == 300)
    assert not np.any(d.infos[-1].k), "K is zero where the geometry does not hold"


def test_dicom_is_checked_and_a_wrong_header_takes_the_place_away(desk: Callable[..., Desk]) -> None:
    d = desk("folder")
    d.wait(lambda: len(d.images) > 1 and len(d.edges) > 1, 20.0)
    assert d.images[-1].encoding == "mono16" and 500 < image_from_msg(d.images[-1]).max() <= 4095
    assert d.geometry[-1].geometry_source == XrayGeometry.SOURCE_DICOM and d.geometry[-1].primary_angle == pytest.approx(0.0)
    for request, fields, text in (
        ("wrong_sid", {"mm": 150.0}, "1350.0 mm"),
        ("wrong_angle", {"deg": 12.0}, "primary angle"),
        ("missing_tags", {}, "0018,1110"),
        ("file_size", {"pixels": 256}, "256 x 256"),
    ):
        d.do(request, **fields)
        wrong = d.next_not_valid()
        assert text in wrong.detail and wrong.geometry_source == XrayGeometry.SOURCE_UNKNOWN
        stamps = [edge.header.stamp for message in d.edges for edge in message.transforms]
        assert wrong.header.stamp not in stamps
        d.wait(lambda: d.geometry[-1].valid)
    refused = int(next(v.value for v in d.reports["source"].values if v.key == "files_refused"))
    d.do("half_written", count=1)
    d.wait(lambda: d.says("source", "was refused"))
    d.wait(lambda: d.says("source", "watch the folder") and not d.says("source", "refused"))
    assert refused == 0
    d.do("half_written", count=1, finish_after_s=0.05)
    seen = len(d.geometry)
    d.wait(lambda: len(d.geometry) > seen + 3)
    assert all(g.valid for g in d.geometry[seen:]), "a file that is completed in time is read whole"


def test_without_calibration_pictures_go_out_and_nothing_has_a_place(desk: Callable[..., Desk]) -> None:
    d = desk("video", "")
    d.wait(lambda: len(d.images) > 3 and len(d.geometry) > 3)
    assert not d.geometry[-1].valid and "calibration" in d.geometry[-1].detail and math.isnan(d.geometry[-1].source_to_detector)
    assert not d.edges
