"""The array's node over real DDS, on the emulated device: raw and calibrated data, frames, faults, and what its diagnostics say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sensor_msgs.msg import MagneticField
from tf2_msgs.msg import TFMessage

from guidewire_recon.ros.magnetometers_node import MagnetometersNode
from guidewire_recon.types import SensorStatus
from lodestone_bench.emulators import array_emulator
from lodestone_bench.ros.node_desk import NodeDesk, desks
from lodestone_core.ros import qos
from lodestone_core.ros.conversions import stamp_from_msg
from lodestone_msgs.msg import MagnetometerArray, MagnetometerSample

pytestmark = pytest.mark.ros
WORLD = {"seed": 5, "wire": {"present": False}}


class Desk(NodeDesk):
    """The array's node on the emulated array."""

    def __init__(self, folder: Path, **parameters: Any) -> None:
        super().__init__(folder)
        self.link, self.truth, world = folder / "line", folder / "truth.yaml", folder / "world.yaml"
        world.write_text(yaml.safe_dump(WORLD))
        assert array_emulator.main(["--write-truth", str(self.truth), "--world", str(world)]) == 0
        self.emulate("array_emulator", "--link", self.link, "--world", world)
        self.raw: list[MagnetometerArray] = self.hear(MagnetometerArray, "magnetometers/array_raw", qos.DEVICE)
        self.arrays: list[MagnetometerArray] = self.hear(MagnetometerArray, "magnetometers/array", qos.DEVICE)
        self.edges: list[TFMessage] = self.hear(TFMessage, "/tf_static", qos.TF_STATIC_READER)
        given = {"stream.port": str(self.link), "calibration_file": str(self.truth), "stream.silence_s": 0.3, **parameters}
        self.serve(MagnetometersNode, given)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    with desks(partial(Desk, tmp_path)) as make:
        yield make


def test_the_status_bits_of_samples_and_messages_are_the_same() -> None:
    assert {bit.name: int(bit) for bit in SensorStatus} == {
        name.removeprefix("STATUS_"): getattr(MagnetometerSample, name)
        for name in dir(MagnetometerSample)
        if name.startswith("STATUS_") and name != "STATUS_OK"
    }


def test_one_trigger_is_one_raw_and_one_calibrated_message_of_the_same_stamp(desk: Callable[..., Desk]) -> None:
    d = desk(subtract_background=True)
    d.wait(lambda: len(d.raw) > 60 and len(d.arrays) > 60)
    by_sequence = {message.sequence: message for message in d.raw}
    both = [(by_sequence[message.sequence], message) for message in d.arrays if message.sequence in by_sequence]
    raw, field = both[-1]
    assert raw.header == field.header and field.header.frame_id == "mag_array"
    assert not raw.calibrated and field.calibrated and len(field.calibration_sha256) == 64 and raw.calibration_sha256 == ""
    assert [sensor.index for sensor in field.sensors] == list(range(16)) and all(sensor.valid for sensor in field.sensors)
    assert raw.sensors[3].field.tolist() == pytest.approx((raw.sensors[3].raw * 1e-8).tolist())
    assert 25.0 < raw.sensors[0].temperature < 31.0
    # Magnets and Earth are the background, so that noise is left; the raw field there is up to a millitesla.
    left = np.array([[sensor.field for sensor in message.sensors] for _, message in both])
    assert np.abs(left.mean(axis=0)).max() < 6 * 120e-9 / len(both) ** 0.5 + 30e-9 * 2
    assert left.std() == pytest.approx(120e-9, rel=0.15)
    assert max(np.abs(sensor.field).max() for sensor in raw.sensors) > 3e-4
    numbers = [message.sequence for message in d.raw]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    stamps = [stamp_from_msg(message.header.stamp) for message in d.raw]
    assert all(0 <= stamp_from_msg(message.received) - stamp < 100_000_000 for message, stamp in zip(d.raw, stamps, strict=True))


def test_a_sensor_has_its_own_topic_in_its_own_frame_below_the_array(desk: Callable[..., Desk]) -> None:
    d = desk()
    single: list[MagneticField] = []
    d.test.create_subscription(MagneticField, "magnetometers/s06/magnetic_field", single.append, qos.DEVICE)
    d.wait(lambda: len(single) > 5 and bool(d.edges) and len(d.arrays) > 20)
    assert single[-1].header.frame_id == "mag_s06" and single[-1].magnetic_field_covariance[0] == pytest.approx(120e-9**2)
    frames = {edge.child_frame_id: edge for edge in d.edges[-1].transforms}
    assert set(frames) == {f"mag_s{index:02d}" for index in range(16)} and frames["mag_s06"].header.frame_id == "mag_array"
    assert frames["mag_s06"].transform.translation.x == pytest.approx(0.020, abs=2e-3)
    stamp = stamp_from_msg(single[-1].header.stamp)
    d.wait(lambda: any(stamp_from_msg(message.header.stamp) == stamp for message in d.arrays))
    (array,) = [message for message in d.arrays if stamp_from_msg(message.header.stamp) == stamp]
    own = single[-1].magnetic_field
    assert np.linalg.norm(array.sensors[6].field) == pytest.approx(np.linalg.norm([own.x, own.y, own.z]), rel=1e-9)


FAULTS = {
    "overflow": (MagnetometerSample.STATUS_OVERFLOW, "beyond its range"),
    "stuck": (MagnetometerSample.STATUS_STUCK, "bit for bit the same"),
    "bus_error": (MagnetometerSample.STATUS_BUS_ERROR, "does not answer"),
    "invalid": (MagnetometerSample.STATUS_INVALID, "invalid"),
    "dead": (MagnetometerSample.STATUS_NOT_READY, "no new measurement"),
}


def test_sensors_that_fail_are_missing_and_shown_while_the_others_go_on(desk: Callable[..., Desk]) -> None:
    d = desk(dead_s=0.3)
    d.wait(lambda: len(d.arrays) > 5)
    for index, name in enumerate(FAULTS):
        d.do(name, sensor=index)
    for index, (status, words) in enumerate(FAULTS.values()):
        expected = status | MagnetometerSample.STATUS_DEAD
        d.wait(lambda index=index, expected=expected: d.arrays[-1].sensors[index].status & expected == expected)
        d.wait(lambda index=index, words=words: d.says(f"s{index:02d}", words))
    for message in (d.arrays[-1], d.raw[-1]):
        for sensor in message.sensors[: len(FAULTS)]:
            assert not sensor.valid and np.isnan(sensor.field).all() and sensor.raw.tolist() == [0, 0, 0]
        assert [each.index for each in message.sensors if each.valid] == list(range(len(FAULTS), 16))
    d.do("clear")
    d.wait(lambda: all(sensor.valid for sensor in d.arrays[-1].sensors))
    d.wait(lambda: d.says("s04", "usable"))


def test_exchanged_axes_are_named(desk: Callable[..., Desk]) -> None:
    d = desk()
    d.wait(lambda: len(d.arrays) > 20)
    right_T = np.mean([message.sensors[7].field for message in d.arrays], axis=0)
    d.do("axes", sensor=7, axes="yXz")
    d.wait(lambda: d.says("s07", "axes of s07 are permuted or inverted: its x, y, z come as y, -x, z"))
    d.wait(lambda: d.says("s06", "usable"))
    assert not any(d.says(f"s{index:02d}", "permuted") for index in range(16) if index != 7)
    d.wait(lambda: not d.arrays[-1].sensors[7].valid)
    assert [each.index for each in d.arrays[-1].sensors if not each.valid] == [7] and np.isnan(d.arrays[-1].sensors[7].field).all()
    assert d.arrays[-1].sensors[7].status == MagnetometerSample.STATUS_UNCALIBRATED and d.raw[-1].sensors[7].valid
    d.do("clear")
    d.wait(lambda: d.arrays[-1].sensors[7].valid)
    # From the first message on: none of them gives a field that is not there.
    given = [message.sensors[7].field for message in d.arrays if message.sensors[7].valid]
    assert len(given) < len(d.arrays) and np.abs(np.array(given) - right_T).max() < 2e-6


def test_without_a_calibration_only_raw_data_go_out(desk: Callable[..., Desk], tmp_path: Path) -> None:
    d = desk(calibration_file=str(tmp_path / "none.yaml"))
    d.wait(lambda: len(d.raw) > 5 and d.says("calibration", "only raw data are published"))
    assert d.arrays == [] and d.edges == []


def test_the_calibration_of_another_array_is_not_applied_and_named(desk: Callable[..., Desk], tmp_path: Path) -> None:
    d = desk(calibration_file=str(tmp_path / "other.yaml"))
    other = yaml.safe_load(d.truth.read_text())
    other["values"]["array_id"] = 9
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(other))
    d.wait(lambda: len(d.raw) > 5 and d.says("calibration", "expected the calibration of array 1, got that of array 9"))
    assert d.arrays == [] and d.edges == []


def test_an_unplugged_array_is_told_and_comes_back_within_two_seconds(desk: Callable[..., Desk]) -> None:
    d = desk()
    d.wait(lambda: d.says("device", "streaming at"))
    d.do("unplug")
    d.wait(lambda: d.says("device", "the port does not exist"))
    d.arrays.clear()
    d.do("replug")
    began = time.monotonic()
    d.wait(lambda: len(d.arrays) > 0)
    assert time.monotonic() - began < 2.0
    d.do("rate", factor=0.5)
    d.wait(lambda: d.says("device", "Hz come where the device announces 100 Hz"))
