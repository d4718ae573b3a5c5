"""`lodestone calibrate arm`: a recording in, a calibration file with its figures out; bad recordings are refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lodestone_bench.world.arm import ArmWorld
from lodestone_bench.world.arm_config import ArmConfig, SweepConfig
from lodestone_cli.checkout import find_checkout
from lodestone_cli.commands import calibrate_arm
from lodestone_core import se3
from lodestone_core.bags.typestore import message_types
from lodestone_core.bags.writer import BagWriter
from lodestone_core.errors import InputError
from lodestone_core.units import m_from_mm
from us_motion.arm_calibration import load_arm_calibration

LAUNCH = (find_checkout(Path(__file__)) or Path()) / "launch"
OFFSETS = np.array([0.0, 0.06, -0.05, 0.04, 0.03, 0.0])
NAMES = tuple(f"us_arm_joint{i}" for i in range(1, 7))
T_REF_BASE, T_PROBE_SENSOR = se3.exp(np.array([100.0, 50.0, -30.0, 0.2, 0.1, 0.9])), se3.exp(np.array([5.0, -9.0, -40.0, 1.0, 0.2, 0.1]))


def write(path: Path, names: tuple[str, ...] = NAMES) -> Path:
    """30 s of joint states at 100 Hz and of a tracker at 40 Hz, each at its own times."""
    world = ArmWorld(ArmConfig(sweep=SweepConfig(amplitude_mm=(120.0, 90.0, 80.0), tilt_deg=(25.0, 20.0, 40.0))))
    types = message_types().store.types
    Time, Header = types["builtin_interfaces/msg/Time"], types["std_msgs/msg/Header"]
    State, Stamped = types["sensor_msgs/msg/JointState"], types["geometry_msgs/msg/PoseStamped"]
    Pose, Point, Quaternion = (types[f"geometry_msgs/msg/{name}"] for name in ("Pose", "Point", "Quaternion"))

    def header(t: float) -> object:
        return Header(stamp=Time(sec=1000 + int(t), nanosec=int(t % 1 * 1e9)), frame_id="x")

    def at(t: float) -> int:
        return 1000 * 10**9 + round(t * 1e9)

    joints = [(t, world.joint_positions(t) - OFFSETS) for t in np.arange(6.0, 36.0, 0.01)]
    poses = [(t, T_REF_BASE @ world.T_bench_probe(t) @ T_PROBE_SENSOR) for t in np.arange(6.2, 35.8, 0.025)]
    none = np.array([], dtype=np.float64)
    with BagWriter(path) as bag:
        states = bag.add_topic("/us_arm/measured_js", "sensor_msgs/msg/JointState")
        tracked = bag.add_topic("/probe/measured_cp", "geometry_msgs/msg/PoseStamped")
        for t, q in joints:
            message = State(header=header(t), name=list(names), position=q, velocity=none, effort=none)
            bag.write_message(states, message, at(t))
        for t, T in poses:
            (x, y, z, w), p = se3.to_quaternion(T)[0], m_from_mm(T[:3, 3])
            pose = Pose(position=Point(*map(float, p)), orientation=Quaternion(*map(float, (x, y, z, w))))
            bag.write_message(tracked, Stamped(header=header(t), pose=pose), at(t))
    return path


def options(bag: Path, out: Path, **changed: object) -> calibrate_arm.Options:
    given = {
        "bag": bag, "calibration": LAUNCH / "rigs" / "simulated" / "us_arm.yaml", "urdf": LAUNCH / "urdf" / "us_arm.urdf",
        "topic": "/probe/measured_cp", "joints": "/us_arm/measured_js",
        "base": "us_arm_base", "probe": "us_probe", "out": out, "config": None,
    }  # fmt: skip
    return calibrate_arm.Options(**(given | changed))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("arm") / "walk")


def test_the_offsets_come_out_of_a_recording_with_where_they_come_from(bag: Path, tmp_path: Path) -> None:
    out = tmp_path / "us_arm.yaml"
    assert calibrate_arm.run(options(bag, out)) == 0
    before, after = (load_arm_calibration(path, "simulated") for path in (LAUNCH / "rigs" / "simulated" / "us_arm.yaml", out))
    moved = [new.index_rad - old.index_rad for old, new in zip(before.joints, after.joints, strict=True)]
    # Straight lines between joint states of 10 ms apart are good to some 0.05 mm.
    assert moved == pytest.approx(OFFSETS, abs=3e-4) and [j.sign for j in after.joints] == [j.sign for j in before.joints]
    text = out.read_text()
    assert "held_out_rms" in text and "walk" in text and "us_arm.urdf" in text and after.devices == before.devices


def test_a_calibration_in_use_is_never_overwritten(bag: Path, tmp_path: Path) -> None:
    (tmp_path / "us_arm.yaml").write_text("in use")
    with pytest.raises(InputError, match="a new file"):
        calibrate_arm.run(options(bag, tmp_path / "us_arm.yaml"))


def test_another_arm_and_topics_that_are_not_there_are_named(bag: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="/nowhere"):
        calibrate_arm.run(options(bag, tmp_path / "a.yaml", topic="/nowhere"))
    other = write(tmp_path / "other", names=(*NAMES[:5], "elbow"))
    with pytest.raises(InputError, match="got us_arm_joint1, us_arm_joint2, us_arm_joint3, us_arm_joint4, us_arm_joint5, elbow"):
        calibrate_arm.run(options(other, tmp_path / "b.yaml"))
