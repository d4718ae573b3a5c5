"""The stereo node over real DDS, on emulated cameras: ROS naming, calibration, pairs, faults by name, recovery, lifecycle."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import Trigger

from guidewire_recon.ros.stereo_node import StereoNode
from lodestone_bench.ros.node_desk import NodeDesk, desks
from lodestone_core.calibration_file import CalibrationFile
from lodestone_core.camera import CameraModel
from lodestone_core.camera_info import camera_from_msg, save_camera
from lodestone_core.errors import InputError
from lodestone_core.messages import stamp_from_msg
from lodestone_core.ros import qos
from lodestone_core.time_calibration import StreamLatency, TimeCalibration, values_of
from lodestone_msgs.msg import CameraPair

pytestmark = pytest.mark.ros
pixel_code = pytest.importorskip("lodestone_bench.emulators.pixel_code")
WIDTH, HEIGHT, RATE = 320, 240, 20.0
SIDES = ("left", "right")


def camera(name: str, width: int = WIDTH) -> CameraModel:
    K = np.array([[900.0, 0.0, 160.0], [0.0, 901.0, 120.0], [0.0, 0.0, 1.0]])
    return CameraModel(name, width, HEIGHT, K, np.array([0.1, -0.2, 0.001, -0.002, 0.0]))


class Desk(NodeDesk):
    """The stereo node on emulated cameras."""

    def __init__(self, folder: Path, *options: str, **parameters: Any) -> None:
        super().__init__(folder)
        world = folder / "world.yaml"
        world.write_text(f"cameras: {{width: {WIDTH}, height: {HEIGHT}}}")
        sides = [f"--{side}=unix:{folder}/{side}" for side in SIDES]
        self.emulate("stereo", "--pattern", "--world", world, "--rate", RATE, *options, *sides)
        self.images: dict[str, list[Image]] = {side: self.hear(Image, f"stereo/{side}/image_raw", qos.IMAGE) for side in SIDES}
        self.infos: dict[str, list[CameraInfo]] = {side: self.hear(CameraInfo, f"stereo/{side}/camera_info", qos.IMAGE) for side in SIDES}
        self.pairs: list[CameraPair] = self.hear(CameraPair, "stereo/pair", qos.DEVICE)
        given: dict[str, Any] = {}
        for side in SIDES:
            video = {"source": f"unix:{folder}/{side}", "width": WIDTH, "height": HEIGHT, "rate_hz": RATE}
            given.update({f"{side}.{name}": value for name, value in video.items()})
        self.serve(StereoNode, {**given, **parameters})

    def up(self) -> None:
        self.wait(lambda: len(self.pairs) > 3 and all(self.images[side] and self.infos[side] for side in SIDES))

    def pairs_again_within(self, limit_s: float) -> None:
        seen = len(self.pairs)
        assert self.wait(lambda: len(self.pairs) > seen + 1) < limit_s


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    with desks(partial(Desk, tmp_path)) as make:
        yield make


def test_images_come_in_the_ros_naming_with_their_camera_and_in_pairs(desk: Callable[..., Desk], tmp_path: Path) -> None:
    for side in SIDES:
        save_camera(tmp_path / f"{side}.yaml", camera(side))
    d = desk(**{f"{side}_calibration": str(tmp_path / f"{side}.yaml") for side in SIDES})
    d.up()
    for side in SIDES:
        image = d.images[side][-1]
        assert (image.width, image.height, image.step, image.encoding) == (WIDTH, HEIGHT, WIDTH, "mono8")
        assert image.header.frame_id == f"stereo_{side}_optical"
        pixels = np.frombuffer(image.data, np.uint8).reshape(HEIGHT, WIDTH)
        code = pixel_code.read_code(pixels)
        assert code is not None and (pixels == 230).any()
        info = next(info for info in d.infos[side] if info.header.stamp == image.header.stamp)
        assert info.header.frame_id == image.header.frame_id
        assert np.allclose(camera_from_msg(info, side).K, camera(side).K)
    stamps = {side: {stamp_from_msg(image.header.stamp) for image in d.images[side]} for side in SIDES}
    d.wait(lambda: all(stamp_from_msg(getattr(d.pairs[2], f"{side}_stamp")) in stamps[side] for side in SIDES))
    pair = d.pairs[2]
    assert abs(pair.skew) < 0.01 and pair.header.frame_id == "stereo_left_optical" and np.isnan(pair.exposure)
    assert stamp_from_msg(pair.right_stamp) - stamp_from_msg(pair.left_stamp) == round(pair.skew * 1e9)
    assert [each.sequence for each in d.pairs] == list(range(d.pairs[0].sequence, d.pairs[0].sequence + len(d.pairs)))
    d.wait(lambda: d.says("left", "streaming 320x240 at ") and d.says("pair", "in pairs"))


def test_an_uncalibrated_camera_has_a_k_of_zeros_and_says_so(desk: Callable[..., Desk]) -> None:
    d = desk(left_calibration="/nowhere/left.yaml")
    d.up()
    assert not np.any(d.infos["left"][-1].k) and (d.infos["left"][-1].width, d.infos["left"][-1].height) == (WIDTH, HEIGHT)
    d.wait(lambda: d.says("left", "uncalibrated") and d.says("right", "calibrate stereo"))
    answer = d.test.create_client(Trigger, "/stereo/save_views").call_async(Trigger.Request())
    d.wait(answer.done)
    assert not answer.result().success and "views.file" in answer.result().message


def test_images_of_another_size_than_the_calibration_are_named_and_not_published_as_calibrated(
    desk: Callable[..., Desk], tmp_path: Path
) -> None:
    save_camera(tmp_path / "left.yaml", camera("left", width=640))
    d = desk(left_calibration=str(tmp_path / "left.yaml"))
    d.up()
    assert not np.any(d.infos["left"][-1].k)
    d.wait(lambda: d.says("left", "320x240 px, calibrated at 640x240"))


def test_a_camera_that_changes_its_size_is_named_and_has_no_pairs(desk: Callable[..., Desk]) -> None:
    d = desk()
    d.up()
    d.do("size", camera="right", width=200, height=100)
    d.wait(lambda: d.says("right", "200x100 in place of 320x240"))
    d.pause(0.3)
    seen = len(d.pairs)
    d.pause(0.7)
    assert len(d.pairs) == seen and d.images["right"][-1].width == 200
    d.do("size", camera="right", width=WIDTH, height=HEIGHT)
    d.pairs_again_within(2.0)


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ({"name": "unplug", "replug_after_s": 0.9}, "does not exist"),
        ({"name": "rate", "for_s": 1.2}, "fewer images"),
        ({"name": "freeze", "for_s": 0.9}, "frozen"),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else "",
)
def test_a_fault_of_one_camera_is_named_and_pairs_come_again_within_two_seconds(
    desk: Callable[..., Desk], fault: dict[str, Any], text: str
) -> None:
    d = desk()
    d.up()
    ends = time.monotonic() + fault.get("for_s", fault.get("replug_after_s", 0.0))
    d.do(**fault, camera="left")
    d.wait(lambda: d.says("left", text))
    d.pause(max(0.0, ends - time.monotonic()))
    d.pairs_again_within(2.0)
    d.wait(lambda: not d.says("left", text) and d.says("pair", "in pairs"))
    codes = [pixel_code.read_code(np.frombuffer(i.data, np.uint8).reshape(i.height, i.width)) for i in d.images["left"]]
    numbers = [code.number for code in codes if code is not None]
    assert len(numbers) == len(codes) and numbers == sorted(set(numbers))  # nothing twice, nothing torn


def test_swapped_cables_are_named_and_nothing_of_them_is_called_calibrated(desk: Callable[..., Desk], tmp_path: Path) -> None:
    for side in SIDES:
        save_camera(tmp_path / f"{side}.yaml", camera(side))
    given = {f"{side}_calibration": str(tmp_path / f"{side}.yaml") for side in SIDES}
    views = {"views.file": str(tmp_path / "views.yaml"), "views.period_s": 0.2}
    d = desk(**given, **views)
    d.up()
    d.wait(lambda: d.says("pair", "until ~/save_views"))
    answer = d.test.create_client(Trigger, "/stereo/save_views").call_async(Trigger.Request())
    d.wait(answer.done)
    assert answer.result().success
    d.node.trigger_deactivate()
    d.node.trigger_cleanup()
    d.node.trigger_configure()
    d.node.trigger_activate()
    d.wait(lambda: d.says("pair", "in pairs"))
    d.do("swap")
    d.wait(lambda: d.says("pair", "left and right are swapped"))
    d.pause(0.5)
    seen, last = len(d.pairs), d.infos["left"][-1]
    assert not np.any(last.k)
    d.pause(0.5)
    assert len(d.pairs) == seen
    d.do("swap")
    d.pairs_again_within(3.0)
    assert np.any(d.infos["left"][-1].k)


def test_the_latencies_of_the_rig_are_taken_off_each_side(desk: Callable[..., Desk], tmp_path: Path) -> None:
    streams = {f"stereo/{side}/image_raw": StreamLatency(latency_s, 0.0) for side, latency_s in (("left", 0.1), ("right", 0.108))}
    values = values_of(TimeCalibration("stereo/left/image_raw", streams))
    CalibrationFile("time", "", (), "2026-01-01T00:00:00+00:00", "test", "0", values).save(tmp_path / "time.yaml")
    d = desk(time_calibration=str(tmp_path / "time.yaml"))
    d.wait(lambda: len(d.pairs) > 15)
    assert np.median([pair.skew for pair in d.pairs[8:]]) == pytest.approx(-0.008, abs=0.003)
    age_s = time.time() - stamp_from_msg(d.images["left"][-1].header.stamp) * 1e-9
    assert 0.1 < age_s < 0.3


def test_calibrations_of_the_wrong_side_are_refused(desk: Callable[..., Desk], tmp_path: Path) -> None:
    save_camera(tmp_path / "right.yaml", camera("right"))
    d = desk(left_calibration=str(tmp_path / "right.yaml"))
    with pytest.raises(InputError, match="exchange left_calibration and right_calibration"):
        d.pause(1.0)


def test_deactivating_while_a_camera_hangs_ends_in_time_and_activating_goes_on(desk: Callable[..., Desk]) -> None:
    d = desk()
    d.up()
    d.do("stall", for_s=3.0)
    d.pause(0.2)
    began = time.monotonic()
    d.node.trigger_deactivate()
    assert time.monotonic() - began < 3.5
    d.do("clear")
    d.node.trigger_activate()
    d.pairs_again_within(4.0)
