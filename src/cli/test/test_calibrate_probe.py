"""`lodestone calibrate probe` on sweeps of the simulated tank, from every kind of recording; and what it refuses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lodestone_bench.ultrasound.tank import Tank, n_wires
from lodestone_bench.ultrasound.tank_files import write_sweeps
from lodestone_bench.ultrasound.tank_sweeps import Scene, TankSweep, phantom_pose, sweep
from lodestone_bench.world.arm_config import ArmConfig, SweepConfig
from lodestone_cli.calibration.probe_inputs import Reading, read_tracked
from lodestone_cli.commands import calibrate_probe
from lodestone_cli.protocols import probe_calibration
from lodestone_cli.protocols.probe_trials import METHOD
from lodestone_core import se3
from lodestone_core.bags.typestore import message_types
from lodestone_core.bags.writer import BagWriter
from lodestone_core.calibration_file import load_calibration
from lodestone_core.errors import InputError
from lodestone_core.types import Array
from us_motion.calibration.config import ProbeCalibrationConfig
from us_motion.calibration.phantom import load_phantom
from us_motion.calibration.recording import TrackedImages, spots_of
from us_motion.probe_calibration import load_probe_calibration

DETECTION = ProbeCalibrationConfig().detection
URDF = Path(__file__).parents[3] / "launch" / "urdf" / "us_arm.urdf"
START_NS = 1_700_000_000_000_000_000


@dataclass(frozen=True)
class Recorded:
    """Two sweeps over wires in one place, and what is true."""

    tank: Tank
    sweeps: tuple[TankSweep, ...]
    phantom: Path
    T_bench_phantom: Array


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("tank")
    tank, wires, T = Tank(seed=4), n_wires(), phantom_pose((0.0, 30.0, 18.0), (700.0, 0.0, 250.0), 65.0)
    turns = {"amplitude_mm": (6.0, 18.0, 8.0), "tilt_deg": (14.0, 12.0, 14.0)}
    motions = [
        SweepConfig(home_s=0.0, period_s=(7.0 + k, 9.0, 11.0), tilt_period_s=(9.0, 6.0 + k, 8.0), **turns)  # type: ignore[arg-type]
        for k in range(2)
    ]
    scene = Scene(tank, T, wires_mm=wires)
    sweeps = tuple(sweep(scene, ArmConfig(), motion, 30, first=1000 * k) for k, motion in enumerate(motions))
    layers = wires.reshape(-1, 3, 2, 3).tolist()
    phantom = folder / "phantom.yaml"
    phantom.write_text("layers:\n" + "".join(f"- {{left: {layer[0]}, middle: {layer[1]}, right: {layer[2]}}}\n" for layer in layers))
    return Recorded(tank, sweeps, phantom, T)


def _tables(recorded: Recorded, folder: Path) -> list[Path]:
    paths = []
    for number, swept in enumerate(recorded.sweeps):
        found = spots_of(TrackedImages("sweep", zip(swept.frames, swept.T_base_probe, strict=True), _spacing(recorded)), False, DETECTION)
        paths.append(folder / f"sweep_{number}.npz")
        np.savez(paths[-1], T_ref_probe=found.T_ref_probe, px=found.px, image=found.image, wire=found.wire, spacing_mm=found.spacing_mm)
    return paths


def _spacing(recorded: Recorded) -> Array:
    return np.full(2, recorded.tank.fan.spacing_mm)


def _options(recordings: list[Path], out: Path, phantom: Path | None, **changed: object) -> calibrate_probe.Options:
    plain = {"rig": "my_bench", "device": "probe 7", "spacing": "", "poses": "Tracker,Probe", "phantom_frame": "", "tracked": False}
    return calibrate_probe.Options(tuple(recordings), phantom, out, **{**plain, "urdf": None, "config": None, **changed})  # type: ignore[arg-type]


def _error_mm(T: Array, tank: Tank) -> float:
    points = np.array([[x, y, 0.0] for x in (60.0, 140.0) for y in (50.0, 120.0)])
    return float(np.linalg.norm(se3.transform(T, points) - se3.transform(tank.fan.T_probe_image, points), axis=1).max())


def test_tables_of_spots_become_a_file_that_drivers_read_and_that_is_never_overwritten(recorded: Recorded, tmp_path: Path) -> None:
    out = tmp_path / "us_probe.yaml"
    options = _options(_tables(recorded, tmp_path), out, recorded.phantom)
    assert calibrate_probe.run(options) == 0
    assert _error_mm(load_probe_calibration(out, "my_bench"), recorded.tank) < 0.3
    written = load_calibration(out, "us_probe")
    assert written.figures["held_out_rms"]["value"] < 0.3 and written.devices == ("probe 7",)
    assert set(written.inputs) == {"sweep_0.npz", "sweep_1.npz", "phantom.yaml"}
    with pytest.raises(InputError, match="a new file"):
        calibrate_probe.run(options)


def _write_bag(path: Path, recorded: Recorded, swept: TankSweep, depths_m: tuple[float, ...] = (0.15,)) -> None:
    """As `lodestone record` leaves it: images with their geometry, joints and poses, all at one rate here."""
    T, fan = message_types().store.types, recorded.tank.fan
    kinds = {
        "ultrasound/image_raw": "sensor_msgs/msg/Image",
        "ultrasound/geometry": "lodestone_msgs/msg/UltrasoundGeometry",
        "us_arm/measured_cp": "geometry_msgs/msg/PoseStamped",
        "us_arm/measured_js": "sensor_msgs/msg/JointState",
    }
    with BagWriter(path) as writer:
        channels = {topic: writer.add_topic(topic, kind) for topic, kind in kinds.items()}
        for k, (frame, pose, joints) in enumerate(zip(swept.frames, swept.T_base_probe, swept.joints_rad, strict=True)):
            at = START_NS + round(1e9 * float(swept.world_s[k]))
            header = T["std_msgs/msg/Header"](T["builtin_interfaces/msg/Time"](at // 10**9, at % 10**9), "us_arm_base")
            q, t = se3.to_quaternion(pose)
            placed = T["geometry_msgs/msg/Pose"](
                T["geometry_msgs/msg/Point"](*(t / 1000.0).tolist()), T["geometry_msgs/msg/Quaternion"](*q.tolist())
            )
            names, none = [f"us_arm_joint{n}" for n in range(1, 7)], np.zeros(0)
            size, columns = np.full(2, fan.spacing_mm / 1000.0), frame.shape[1]
            edges = (fan.radius_min_mm / 1000.0, fan.radius_max_mm / 1000.0, -fan.half_angle_rad, fan.half_angle_rad)
            said = {
                "ultrasound/image_raw": (header, frame.shape[0], columns, "mono8", 0, columns, frame.ravel()),
                "ultrasound/geometry": (header, 1, True, "", depths_m[k % len(depths_m)], size, fan.apex_px, *edges),
                "us_arm/measured_cp": (header, placed),
                "us_arm/measured_js": (header, names, joints, none, none),
            }
            for topic, fields in said.items():
                writer.write_message(channels[topic], T[kinds[topic]](*fields), at)


def test_a_bag_gives_the_same_images_poses_pixels_and_fan(recorded: Recorded, tmp_path: Path) -> None:
    swept = recorded.sweeps[0]
    _write_bag(tmp_path / "bag", recorded, swept)
    read = read_tracked(tmp_path / "bag", Reading())
    assert isinstance(read, TrackedImages) and np.allclose(read.spacing_mm, recorded.tank.fan.spacing_mm)
    assert read.mask is not None and np.mean(read.mask != recorded.tank.fan.mask) < 1e-3
    pairs = list(read.images)
    assert len(pairs) == len(swept.frames)
    for (image, T), frame, pose in zip(pairs, swept.frames, swept.T_base_probe, strict=True):
        assert np.array_equal(image, frame) and np.allclose(T, pose, atol=1e-6)


def test_joints_through_a_urdf_give_the_poses_too(recorded: Recorded, tmp_path: Path) -> None:
    _write_bag(tmp_path / "bag", recorded, recorded.sweeps[0])
    read = read_tracked(tmp_path / "bag", Reading(urdf=URDF))
    assert isinstance(read, TrackedImages)
    for (_, T), pose in zip(read.images, recorded.sweeps[0].T_base_probe, strict=True):
        assert np.allclose(T, pose, atol=1e-6)


def _write_sequence(path: Path, recorded: Recorded, swept: TankSweep, orientation: str) -> None:
    count, rows, columns = swept.frames.shape
    lines = ["ObjectType = Image", "NDims = 3", f"DimSize = {columns} {rows} {count}", "ElementType = MET_UCHAR"]
    lines.append(f"UltrasoundImageOrientation = {orientation}")
    for k, T in enumerate(swept.T_base_probe):
        lines.append(f"Seq_Frame{k:04d}_ProbeToTrackerTransform = " + " ".join(f"{value:.12g}" for value in T.ravel()))
        lines.append(f"Seq_Frame{k:04d}_ProbeToTrackerTransformStatus = {'INVALID' if k == 3 else 'OK'}")
        lines.append(f"Seq_Frame{k:04d}_Timestamp = {swept.world_s[k]}")
    stored = swept.frames[:, :, ::-1] if orientation[0] == "U" else swept.frames
    path.write_bytes("\n".join([*lines, "ElementDataFile = LOCAL\n"]).encode() + np.ascontiguousarray(stored).tobytes())


@pytest.mark.parametrize("orientation", ["MF", "UF"])
def test_a_sequence_of_plus_is_read_the_right_way_round(recorded: Recorded, tmp_path: Path, orientation: str) -> None:
    path, swept = tmp_path / "sweep.igs.mha", recorded.sweeps[0]
    _write_sequence(path, recorded, swept, orientation)
    read = read_tracked(path, Reading(spacing_mm=(0.5, 0.5)))
    assert isinstance(read, TrackedImages)
    pairs = list(read.images)
    assert len(pairs) == len(swept.frames) - 1, "a pose that is not valid takes no part"
    assert np.array_equal(pairs[0][0], swept.frames[0]) and np.allclose(pairs[-1][1], swept.T_base_probe[-1], atol=1e-6)
    with pytest.raises(InputError, match="--spacing"):
        read_tracked(path, Reading())


def test_sweeps_of_the_tank_that_anyone_can_make_are_read(tmp_path: Path) -> None:
    paths = write_sweeps(tmp_path, {}, sweeps=2, images=3)
    assert len(load_phantom(tmp_path / "phantom.yaml").ends_mm) == 3
    for path in paths:
        read = read_tracked(path, Reading(spacing_mm=(0.5, 0.5)))
        assert isinstance(read, TrackedImages)
        spots = spots_of(read, False, DETECTION)
        assert spots.images == 3 and len(spots.px) >= 3 * 6
    assert not np.array_equal(paths[0].read_bytes(), paths[1].read_bytes())


@pytest.mark.parametrize(
    ("content", "cause"), [(b"", "table of spots"), (b"PK\x03\x04 no archive", "table of spots"), (None, "no px, image, spacing_mm")]
)
def test_a_table_that_is_none_is_named(tmp_path: Path, content: bytes | None, cause: str) -> None:
    path = tmp_path / "spots.npz"
    if content is None:
        np.savez(path, T_ref_probe=np.eye(4)[None])
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match=cause):
        read_tracked(path, Reading())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0.0, 1.0), value=st.integers(0, 255), cut=st.floats(0.2, 1.0))
def test_a_damaged_table_is_refused_or_read_but_never_breaks_anything(tmp_path: Path, at: float, value: int, cut: float) -> None:
    path = tmp_path / "spots.npz"
    np.savez(path, T_ref_probe=np.eye(4)[None], px=np.zeros((2, 2)), image=np.zeros(2, dtype=int), spacing_mm=np.ones(2))
    content = bytearray(path.read_bytes())
    content[int(at * (len(content) - 1))] = value
    path.write_bytes(bytes(content[: int(cut * len(content))]))
    try:
        found = read_tracked(path, Reading())
    except InputError as error:
        assert str(path) in str(error) or "spots" in str(error)
    else:
        assert found is not None


def test_a_bag_of_two_depths_and_words_that_mean_nothing_are_refused(recorded: Recorded, tmp_path: Path) -> None:
    _write_bag(tmp_path / "bag", recorded, recorded.sweeps[0], depths_m=(0.15, 0.1))
    with pytest.raises(InputError, match="one depth all through"):
        read_tracked(tmp_path / "bag", Reading())
    with pytest.raises(InputError, match="X,Y in mm"):
        calibrate_probe.run(_options(_tables(recorded, tmp_path), tmp_path / "a.yaml", recorded.phantom, spacing="half"))
    with pytest.raises(InputError, match="REFERENCE,PROBE"):
        calibrate_probe.run(_options(_tables(recorded, tmp_path), tmp_path / "a.yaml", recorded.phantom, poses="Probe"))
    with pytest.raises(InputError, match="nothing there"):
        calibrate_probe.run(_options([tmp_path / "none"], tmp_path / "a.yaml", recorded.phantom))


def test_the_protocol_is_whole_on_little_data_and_the_refinement_beats_its_start(tmp_path: Path) -> None:
    small = {"trials": 1, "sweeps": 2, "images": 25, "point_images": 30, "calibration": {"resamples": 50}}
    result = probe_calibration.run(
        {"protocol": "probe_calibration", "title": "", "seed": 5, "settings": small, "thresholds": []}, {}, tmp_path
    )
    found = {(row.method, row.case, row.metric): row.value for row in result.rows}
    drawn = "wires, arm and phantom as drawn"
    assert found[METHOD, drawn, "held_out_rms"] < 0.2 and found[METHOD, drawn, "true_error_rms"] < 0.5
    assert found[METHOD, drawn, "true_error_rms"] < found["closed_form", drawn, "true_error_rms"]
    assert [picture for picture in result.pictures if not (tmp_path / picture.file).is_file()] == []
