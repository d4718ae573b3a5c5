"""`lodestone calibrate time`: from a bag of one motion to the file that the drivers read; and every reason not to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from lodestone_bench.world.shared_motion import HandMotion, draw_motion, record
from lodestone_cli.main import app
from lodestone_core import se3
from lodestone_core.bags import BagWriter, message_types, open_bag
from lodestone_core.calibration_file import CalibrationFile, load_calibration, now_text
from lodestone_core.errors import InputError
from lodestone_core.latency.recorded import READERS, read_motion
from lodestone_core.time_calibration import KIND, StreamLatency, TimeCalibration, time_calibration_of, values_of

TYPES = message_types().store.types
Stream = tuple[np.ndarray, list[Any]]


def header(stamp_ns: int, frame: str = "bench") -> Any:
    time = TYPES["builtin_interfaces/msg/Time"](*map(int, divmod(stamp_ns, 10**9)))
    return TYPES["std_msgs/msg/Header"](time, frame)


def pose_of(T: np.ndarray) -> Any:
    q, t = se3.to_quaternion(T)
    point = TYPES["geometry_msgs/msg/Point"](*map(float, t * 1e-3))
    return TYPES["geometry_msgs/msg/Pose"](point, TYPES["geometry_msgs/msg/Quaternion"](*map(float, q)))


def tools_message(stamp_ns: int, T: np.ndarray) -> Any:
    tool = TYPES["lodestone_msgs/msg/TrackedTool"](
        "0", "3A000001", 0, 10, 6, 1, 0, 1, pose_of(T), 1e-4, ""
    )  # fmt: skip
    stamp = header(stamp_ns, "em_field_generator")
    return TYPES["lodestone_msgs/msg/TrackedTools"](stamp, stamp.stamp, 1, 0, 0, 0, 2, [tool])


def joints_message(stamp_ns: int, angles: np.ndarray) -> Any:
    names = [f"joint{i}" for i in range(len(angles))]
    return TYPES["sensor_msgs/msg/JointState"](header(stamp_ns), names, angles, np.zeros(0), np.zeros(0))


def image_message(stamp_ns: int, image: np.ndarray, encoding: str = "mono8", step: int | None = None) -> Any:
    rows, columns = image.shape[:2]
    data = np.frombuffer(np.ascontiguousarray(image, dtype=np.uint8).tobytes(), dtype=np.uint8)
    return TYPES["sensor_msgs/msg/Image"](header(stamp_ns), rows, columns, encoding, 0, step or columns, data)


def array_message(stamp_ns: int, fields: np.ndarray, dead: int = -1) -> Any:
    kind = TYPES["lodestone_msgs/msg/MagnetometerSample"]
    nothing = np.full(3, np.nan)
    sensors = [kind(i, 0, i != dead, np.zeros(3, np.int32), nothing if i == dead else field, 20.0) for i, field in enumerate(fields)]
    stamp = header(stamp_ns, "mag_array")
    return TYPES["lodestone_msgs/msg/MagnetometerArray"](stamp, stamp.stamp, 0, 1, 0, 0, True, "", sensors)


SENSORS: dict[str, tuple[str, str, Any]] = {
    "aurora": ("/aurora/tools", "lodestone_msgs/msg/TrackedTools", tools_message),
    "encoders": ("/us_arm/measured_js", "sensor_msgs/msg/JointState", joints_message),
    "camera": ("/stereo/left/image_raw", "sensor_msgs/msg/Image", image_message),
    "magnetometers": ("/magnetometers/array", "lodestone_msgs/msg/MagnetometerArray", None),
}


def make_bag(path: Path, latencies: dict[str, float], motion: HandMotion | None = None, seed: int = 3) -> Path:
    rng = np.random.default_rng(seed)
    motion = motion or draw_motion(rng)
    with BagWriter(path) as writer:
        for sensor, latency_s in latencies.items():
            topic, msgtype, message = SENSORS[sensor]
            channel = writer.add_topic(topic, msgtype)
            recorded = record(sensor, motion, 20.0, latency_s, rng)
            for i, (stamp, value) in enumerate(zip(recorded.stamps_ns, recorded.values, strict=True)):
                made = array_message(stamp, value.reshape(16, 3), dead=i % 300 - 290) if message is None else message(stamp, value)
                writer.write_message(channel, made, int(stamp))
    return path


def run(*words: str) -> Any:
    return CliRunner().invoke(app, ["calibrate", "time", *words])


def test_latencies_of_all_kinds_of_streams_are_found_and_written_for_the_drivers(tmp_path: Path) -> None:
    true = {"aurora": 0.02, "encoders": 0.004, "camera": 0.055, "magnetometers": 0.012}
    bag = make_bag(tmp_path / "bag", true)
    streams = [word for sensor in ("encoders", "camera", "magnetometers") for word in ("--stream", SENSORS[sensor][0])]
    done = run(str(bag), "--rig", "my_bench", "--out", str(tmp_path / "time.yaml"), "--reference-latency", "0.02", *streams)
    assert done.exit_code == 0, done.output
    file = load_calibration(tmp_path / "time.yaml", KIND, "my_bench")
    found = time_calibration_of(file, "file")
    assert found.reference == "aurora/tools"
    for sensor, latency_s in true.items():
        stream = SENSORS[sensor][0].strip("/")
        assert found.latency_s(stream) == pytest.approx(latency_s, abs=2e-3), sensor
    assert file.inputs and set(file.devices) == set(found.streams)
    again = run(str(bag), "--rig", "my_bench", "--out", str(tmp_path / "time.yaml"))
    assert again.exit_code == 2 and "a new file" in again.output


def test_without_a_known_latency_the_fastest_stream_has_none_and_a_wrong_one_is_refused(tmp_path: Path) -> None:
    bag = make_bag(tmp_path / "bag", {"aurora": 0.02, "encoders": 0.004})
    words = (str(bag), "--rig", "b", "--stream", "us_arm/measured_js")
    assert run(*words, "--out", str(tmp_path / "a.yaml")).exit_code == 0
    found = time_calibration_of(load_calibration(tmp_path / "a.yaml", KIND), "file")
    assert found.latency_s("us_arm/measured_js") == 0.0
    assert found.latency_s("aurora/tools") == pytest.approx(0.016, abs=1e-3)
    refused = run(*words, "--reference-latency", "0.001", "--out", str(tmp_path / "b.yaml"))
    assert refused.exit_code == 2 and "--reference-latency of at least" in refused.output


def test_what_the_drivers_subtracted_while_recording_is_added(tmp_path: Path) -> None:
    bag = make_bag(tmp_path / "bag", {"aurora": 0.02, "encoders": 0.004})
    before = TimeCalibration("aurora/tools", {"aurora/tools": StreamLatency(0.1, 0.0), "us_arm/measured_js": StreamLatency(0.05, 1e-3)})
    CalibrationFile(KIND, "b", (), now_text(), "m", "0.1.0", values_of(before)).save(tmp_path / "before.yaml")
    words = (str(bag), "--rig", "b", "--stream", "us_arm/measured_js", "--previous", str(tmp_path / "before.yaml"))
    done = run(*words, "--reference-latency", "0.12", "--out", str(tmp_path / "time.yaml"))
    assert done.exit_code == 0, done.output
    found = time_calibration_of(load_calibration(tmp_path / "time.yaml", KIND), "file")
    assert found.latency_s("us_arm/measured_js") == pytest.approx(0.12 - 0.05 - 0.016, abs=1e-3)


def test_a_bag_of_corrected_stamps_is_refused_unless_the_correction_is_given(tmp_path: Path) -> None:
    bag = make_bag(tmp_path / "bag", {"aurora": 0.02, "encoders": 0.004})
    with open_bag(bag) as opened, BagWriter(tmp_path / "with_config") as writer:
        config = writer.add_topic("/aurora/config", "lodestone_msgs/msg/Config")
        message = TYPES["lodestone_msgs/msg/Config"](header(1), "/aurora", "port: x\ntime_calibration: time.yaml\n", [], [], "0.1.0")
        writer.write_message(config, message, 1_700_000_000_000_000_000)
        for raw in opened.raw_messages():
            writer.write(writer.add_topic(raw.channel.topic, raw.channel.msgtype), raw.data, raw.log_ns)
    refused = run(str(tmp_path / "with_config"), "--rig", "b", "--stream", "us_arm/measured_js", "--out", str(tmp_path / "time.yaml"))
    assert refused.exit_code == 2 and "--previous" in refused.output
    assert not (tmp_path / "time.yaml").exists()


def test_streams_of_different_motions_are_refused(tmp_path: Path) -> None:
    one = make_bag(tmp_path / "one", {"aurora": 0.0}, draw_motion(np.random.default_rng(1)))
    two = make_bag(tmp_path / "two", {"encoders": 0.0}, draw_motion(np.random.default_rng(2)))
    with BagWriter(tmp_path / "bag") as writer:
        for bag in (one, two):
            with open_bag(bag) as opened:
                for raw in opened.raw_messages():
                    writer.write(writer.add_topic(raw.channel.topic, raw.channel.msgtype), raw.data, raw.log_ns)
    refused = run(str(tmp_path / "bag"), "--rig", "b", "--stream", "us_arm/measured_js", "--out", str(tmp_path / "time.yaml"))
    assert refused.exit_code == 2
    assert "latency of /us_arm/measured_js against /aurora/tools" in refused.output


def test_topics_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    bag = make_bag(tmp_path / "bag", {"aurora": 0.02})
    words = (str(bag), "--rig", "b", "--out", str(tmp_path / "time.yaml"))
    assert "another stream" in run(*words).output
    assert "/us_arm/encoders" in run(*words, "--stream", "us_arm/encoders").output
    assert "a tool with poses: 0" in run(*words, "--stream", "us_arm/encoders", "--tool", "7").output


@pytest.mark.parametrize(
    ("encoding", "step", "said"), [("bayer_rggb8", None, "an encoding"), ("mono8", 7, "size fits"), ("rgb8", None, "size fits")]
)
def test_an_image_that_is_none_is_named(tmp_path: Path, encoding: str, step: int | None, said: str) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        channel = writer.add_topic("/image", "sensor_msgs/msg/Image")
        writer.write_message(channel, image_message(1, np.zeros((8, 10)), encoding, step), 1)
    with open_bag(tmp_path / "bag") as opened, pytest.raises(InputError, match=said):
        read_motion(opened, "/image")


def test_a_topic_of_a_type_that_does_not_move_is_named(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        channel = writer.add_topic("/text", "std_msgs/msg/String")
        writer.write_message(channel, TYPES["std_msgs/msg/String"]("x"), 1)
    with open_bag(tmp_path / "bag") as opened, pytest.raises(InputError, match="std_msgs/msg/String"):
        read_motion(opened, "/text")


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 40), st.integers(0, 40), st.integers(0, 200), st.integers(0, 1), st.binary(max_size=300),
    st.sampled_from(["mono8", "mono16", "rgb8", "bgra8", "8UC1", "nonsense"]),
)  # fmt: skip
def test_whatever_an_image_says_it_is_read_or_refused_in_one_sentence(
    rows: int, columns: int, step: int, big: int, data: bytes, encoding: str
) -> None:
    pixels = np.frombuffer(data, dtype=np.uint8)
    image = TYPES["sensor_msgs/msg/Image"](header(1), rows, columns, encoding, big, step, pixels)
    with pytest.raises(InputError):  # one image is no stream, whatever it holds
        READERS["sensor_msgs/msg/Image"]("/image", [image], "")
