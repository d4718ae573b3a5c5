"""The protocols on recordings made from a known truth, and on the real ones where they are here."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from em_registration.protocols import PROTOCOLS
from em_registration.protocols.touches import StylusTrack, TouchConfig, find_touches
from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.results import Result, run_protocol

FILES = Path(__file__).parents[3] / "evaluation" / "protocols"

T_REF_EM = se3.exp(np.array([50.0, -900.0, 30.0, 0.4, -1.1, 0.7]))
T_SENSOR_MARKER = {
    0: se3.exp(np.array([12.0, 40.0, -7.0, 0.3, 0.2, -0.6])),
    1: se3.exp(np.array([-20.0, 35.0, 9.0, -0.5, 0.8, 0.1])),
}
OFFSET_NS = {0: 12_000_000, 1: -8_000_000}
INVALID = "-1.23244e+028 -1.23244e+028 -1.23244e+028"


def run(name: str, out: Path, data: Path | None = None, **inputs: Path) -> Result:
    return run_protocol(FILES / f"{name}.yaml", data, inputs, out, registry=PROTOCOLS)


def value(result: Result, metric: str, case: str, method: str = "rigid") -> float:
    return next(row.value for row in result.rows if (row.metric, row.case, row.method) == (metric, case, method))


# --- em_optical -------------------------------------------------------------------------------------------------------


def marker_at(time_s: np.ndarray, phase: float) -> np.ndarray:
    """T_ref_marker of a smooth motion that turns about all axes."""
    angle = 2.0 * np.pi * (0.15 * time_s + phase)
    twist = np.stack(
        [
            80 * np.sin(angle),
            60 * np.cos(1.3 * angle),
            50 * np.sin(0.7 * angle),
            0.5 * np.sin(1.1 * angle),
            0.4 * np.cos(angle),
            0.6 * np.sin(0.5 * angle),
        ],
        axis=-1,
    )
    return se3.exp(twist)


def body(T: np.ndarray) -> str:
    q, t = se3.to_quaternion(T)
    return f"Position: {t[0]:.9g} {t[1]:.9g} {t[2]:.9g} Orientation: {q[0]:.9g} {q[1]:.9g} {q[2]:.9g} {q[3]:.9g}"


def record(folder: Path, phase: float, lost: int = 0) -> tuple[Path, Path]:
    """An EM and an optical recording of 30 s; the first `lost` samples of sensor 0 carry the tracker's mark."""
    stamps = np.arange(0, 30_000_000_000, 20_000_000) + 1_000_000_000
    optical = folder / "optical.txt"
    optical.write_text("".join(f"{body(T)} Time: {t}\n" for t, T in zip(stamps, marker_at(stamps / 1e9, phase), strict=True)))
    lines = []
    for sensor, T_sensor_marker in T_SENSOR_MARKER.items():
        at = stamps[10:-10:7] + 3_000_000 * sensor
        T_em_sensor = se3.inverse(T_REF_EM) @ marker_at((at + OFFSET_NS[sensor]) / 1e9, phase) @ se3.inverse(T_sensor_marker)
        for index, (t, T) in enumerate(zip(at, T_em_sensor, strict=True)):
            missing = sensor == 0 and index < lost
            pose = f"Position: {INVALID} Orientation: -0.5 -0.5 -0.5 -0.5" if missing else body(T)
            lines.append((t, f"SensorID: {sensor} {pose} Time: {t}\n"))
    em = folder / "em.txt"
    em.write_text("".join(line for _, line in sorted(lines)))
    return em, optical


@pytest.fixture
def recordings(tmp_path: Path) -> dict[str, Path]:
    found = {}
    for name, phase, lost in (("calibration", 0.0, 0), ("test", 0.37, 5)):
        (tmp_path / name).mkdir()
        found[f"em_{name}"], found[f"optical_{name}"] = record(tmp_path / name, phase, lost)
    return found


def test_em_optical_finds_registration_and_offsets_and_leaves_nothing_of_an_exact_recording(
    tmp_path: Path, recordings: dict[str, Path]
) -> None:
    result = run("em_optical", tmp_path / "out", **recordings)
    assert result.passed
    for sensor in T_SENSOR_MARKER:
        # The straight line between optical samples 20 ms apart leaves some hundredths of a millimetre.
        assert value(result, "tre_rms", f"sensor_{sensor}") < 0.05
        assert value(result, "time_offset", f"sensor_{sensor}") == pytest.approx(OFFSET_NS[sensor] / 1e6, abs=0.3)
        ignored = value(result, "tre_rms", f"sensor_{sensor}", "no_time_offset")
        assert ignored > 5.0 * value(result, "tre_rms", f"sensor_{sensor}")
    with (tmp_path / "out" / "registration.csv").open() as stream:
        rows = {row["transform"]: row for row in csv.DictReader(stream)}
    found = [float(rows["T_optical_em"][key]) for key in ("x_mm", "y_mm", "z_mm")]
    np.testing.assert_allclose(found, T_REF_EM[:3, 3], atol=0.1)


def test_samples_that_the_tracker_lost_are_infinite_errors_in_percentiles_and_never_zero_poses(
    tmp_path: Path, recordings: dict[str, Path]
) -> None:
    result = run("em_optical", tmp_path / "out", **recordings)
    share = value(result, "usable_share", "sensor_0")
    rows = {row.metric: row for row in result.rows if (row.case, row.method) == ("sensor_0", "rigid")}
    assert share == 1.0 - 5.0 / rows["usable_share"].n
    assert rows["tre_rms"].n == rows["tre_p95"].n - 5
    with (tmp_path / "out" / "samples.csv").open() as stream:
        lost = [row for row in csv.DictReader(stream) if row["error_mm"] == "inf"]
    assert [row["sensor"] for row in lost] == ["sensor_0"] * 5


def test_a_sensor_that_a_limit_names_but_no_recording_holds_misses_it(tmp_path: Path, recordings: dict[str, Path]) -> None:
    for name in ("em_calibration", "em_test"):
        lines = recordings[name].read_text().splitlines(keepends=True)
        recordings[name].write_text("".join(line for line in lines if line.startswith("SensorID: 0")))
    result = run("em_optical", tmp_path / "out", **recordings)
    assert [(row.case, row.passed) for row in result.judged] == [("sensor_0", True), ("sensor_1", False)]


def test_recordings_of_different_clocks_are_refused(tmp_path: Path, recordings: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="one clock"):
        shifted = recordings["em_test"].read_text().replace(" Time: ", " Time: 77")
        recordings["em_test"].write_text(shifted)
        run("em_optical", tmp_path / "out", **recordings)


# --- em_landmarks -----------------------------------------------------------------------------------------------------

TIP = np.array([108.0, 7.0, 2.0])
LANDMARKS = np.array([[104.3, 5.0, 20.0], [104.3, 45.0, 0.0], [-34.3, 45.0, 15.0], [-34.3, -5.0, 0.0], [20.0, 45.0, 20.0]])
T_REFERENCE_PHANTOM = se3.exp(np.array([22.0, -39.0, 25.0, 1.1, -0.7, 0.4]))
T_TRACKER_REFERENCE = se3.exp(np.array([300.0, -150.0, 10.0, -0.3, 0.9, 0.2]))


def stylus(tip_reference: np.ndarray, turn: float) -> np.ndarray:
    R = se3.exp(np.array([0.0, 0.0, 0.0, 0.5 + 0.3 * np.sin(turn), 0.3 * np.cos(turn), 0.2 * np.sin(2.0 * turn)]))[:3, :3]
    return se3.make(R, tip_reference - R @ TIP)


def stylus_motion(rate_hz: float = 15.0) -> np.ndarray:
    """T_reference_stylus: at rest on a table, then 3 s on each landmark with 1 s of travel between them."""
    places = se3.transform(T_REFERENCE_PHANTOM, LANDMARKS)
    table = np.array([150.0, 150.0, 150.0])
    poses = [stylus(table, 0.0)] * int(3 * rate_hz)
    last = table
    for place in places:
        for share in np.linspace(0.0, 1.0, int(rate_hz), endpoint=False):
            poses.append(stylus((1.0 - share) * last + share * place, 0.0))
        poses += [stylus(place, 2.0 * np.pi * share) for share in np.linspace(0.0, 1.0, int(3 * rate_hz))]
        last = place
    poses += [stylus(last + np.array([0.0, 0.0, 5.0 * k]), 0.0) for k in range(int(rate_hz))]
    return np.stack(poses)


def write_landmarks(folder: Path) -> dict[str, Path]:
    lines = ["ObjectType = Image", "NDims = 3", f"DimSize = 0 0 {len(stylus_motion())}", "ElementType = MET_OTHER"]
    for index, T in enumerate(stylus_motion()):
        for name, pose in (("Reference", T_TRACKER_REFERENCE), ("Stylus", T_TRACKER_REFERENCE @ T)):
            matrix = " ".join(f"{x:.12g}" for x in pose.ravel())
            lines += [
                f"Seq_Frame{index:04d}_{name}ToTrackerTransform = {matrix}",
                f"Seq_Frame{index:04d}_{name}ToTrackerTransformStatus = OK",
            ]
        lines.append(f"Seq_Frame{index:04d}_Timestamp = {280.0 + index / 15.0:.6f}")
    sequence = folder / "touch.igs.mha"
    sequence.write_text("\n".join([*lines, "ElementDataFile = LOCAL"]) + "\n")
    device_set = folder / "set.xml"
    matrix = " ".join(f"{x:g}" for x in se3.make(np.eye(3), TIP).ravel())
    marks = "".join(f'<Landmark Name="#{i}" Position="{p[0]} {p[1]} {p[2]}"/>' for i, p in enumerate(LANDMARKS, start=1))
    device_set.write_text(
        f'<PlusConfiguration><CoordinateDefinitions><Transform From="StylusTip" To="Stylus" Matrix="{matrix}"/></CoordinateDefinitions>'
        f"<PhantomDefinition><Geometry><Landmarks>{marks}</Landmarks></Geometry></PhantomDefinition></PlusConfiguration>"
    )
    return {"sequence": sequence, "device_set": device_set}


def test_a_touch_is_a_tip_at_rest_under_a_turning_shaft_and_not_a_stylus_on_the_table() -> None:
    T = stylus_motion()
    stamps = np.arange(len(T)) * 66_666_667
    touches = find_touches(StylusTrack(stamps, T, se3.transform(T, TIP)), TouchConfig())
    found = np.stack([touch.tip_reference for touch in touches])
    np.testing.assert_allclose(found, se3.transform(T_REFERENCE_PHANTOM, LANDMARKS), atol=0.05)
    assert all(touch.spread_mm < 0.5 and touch.end_s - touch.start_s >= 2.5 for touch in touches)


def test_em_landmarks_finds_the_phantom_and_runs_without_a_published_result(tmp_path: Path) -> None:
    result = run("em_landmarks", tmp_path / "out", **write_landmarks(tmp_path))
    assert result.passed
    assert value(result, "leave_one_out_tre_rms", "phantom") < 0.1
    assert "published" not in result.provenance.inputs
    assert any("No published registration" in note for note in result.notes)


def test_a_landmark_that_was_not_touched_is_said_with_the_times_of_the_others(tmp_path: Path) -> None:
    inputs = write_landmarks(tmp_path)
    text = inputs["device_set"].read_text()
    inputs["device_set"].write_text(text.replace("</Landmarks>", '<Landmark Name="#6" Position="0 0 0"/></Landmarks>'))
    with pytest.raises(InputError, match=r"expected 6 landmarks .*, got 5 touches \(at 4 s, 8 s, .*settings\.touch"):
        run("em_landmarks", tmp_path / "out", **inputs)


# --- pointer_pivot and cis_em -----------------------------------------------------------------------------------------


def test_pointer_pivot_leaves_out_what_does_not_pivot(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    tip, pivot = np.array([5.0, 180.0, -12.0]), np.array([-100.0, 40.0, -1500.0])
    (tmp_path / "poses").mkdir()
    for index in range(40):
        R = se3.exp(np.concatenate([np.zeros(3), rng.uniform(-0.6, 0.6, 3)]))[:3, :3]
        T = se3.make(R, pivot - R @ tip + rng.normal(0.0, 0.1, 3) + (20.0 if index % 10 == 3 else 0.0))
        np.savetxt(tmp_path / "poses" / f"{index:03d}.txt", T)
    result = run("pointer_pivot", tmp_path / "out", poses=tmp_path / "poses")
    assert value(result, "inliers", "pointer", "robust") == 36
    assert value(result, "rms_inliers", "pointer", "robust") == pytest.approx(0.1 * np.sqrt(3.0), rel=0.25)
    assert value(result, "rms_all", "pointer", "all_poses") > 5.0
    with (tmp_path / "out" / "tips.csv").open() as stream:
        robust = next(csv.DictReader(stream))
    np.testing.assert_allclose([float(robust[f"tip_{axis}_mm"]) for axis in "xyz"], tip, atol=0.3)


def write_set(folder: Path, name: str, em_noise_mm: float) -> None:
    """A set of the course: 4 calibration frames, 12 frames of each pivot, printed to 0.01 mm."""
    rng = np.random.default_rng(8)
    corners = np.array([[x, y, z] for x in (0.0, 150.0) for y in (0.0, 150.0) for z in (0.0, 150.0)])
    c = np.array([[x, y, z] for x in (0.0, 125.0, 250.0) for y in (0.0, 125.0, 250.0) for z in (0.0, 125.0, 250.0)])
    probe = rng.uniform(-60.0, 60.0, (6, 3))
    base = se3.exp(np.array([0.0, 0.0, -1500.0, 0.01, -0.02, 0.03]))
    posts = {"em": np.array([190.0, 205.0, 210.0]), "optical": np.array([400.0, 410.0, 200.0])}

    def write(kind: str, counts: list[int], parts: list[np.ndarray]) -> None:
        points = np.concatenate([part.reshape(-1, 3) for part in parts])
        lines = [", ".join([*map(str, counts), f"{name}-{kind}.txt"]), *(f"{x:9.2f},{y:9.2f},{z:9.2f}" for x, y, z in points)]
        (folder / f"{name}-{kind}.txt").write_text("\n".join(lines) + "\n")

    def pivoting(post: np.ndarray) -> list[np.ndarray]:
        rotations = [se3.exp(np.concatenate([np.zeros(3), rng.uniform(-0.6, 0.6, 3)]))[:3, :3] for _ in range(12)]
        return [se3.transform(se3.make(R, post - R @ np.array([0.0, 0.0, -100.0])), probe) for R in rotations]

    objects = [se3.exp(np.concatenate([rng.uniform(150.0, 250.0, 3), rng.uniform(-0.2, 0.2, 3)])) for _ in range(4)]
    expected = [se3.transform(T, c) for T in objects]
    readings = [C + rng.normal(0.0, em_noise_mm, C.shape) for C in expected]
    D = se3.transform(base, corners)
    write("calbody", [8, 8, 27], [corners, corners, c])
    write(
        "calreadings", [8, 8, 27, 4], [x for T, C in zip(objects, readings, strict=True) for x in (D, se3.transform(base @ T, corners), C)]
    )
    write("empivot", [6, 12], pivoting(posts["em"]))
    write("optpivot", [8, 6, 12], [x for H in pivoting(posts["optical"]) for x in (D, se3.transform(base, H))])
    write("output1", [27, 4], [posts["em"], posts["optical"], *expected])


def test_cis_em_judges_a_set_only_where_its_own_residuals_say_that_it_is_free_of_noise(tmp_path: Path) -> None:
    (tmp_path / "sets").mkdir()
    write_set(tmp_path / "sets", "pa1-debug-a", em_noise_mm=0.0)
    write_set(tmp_path / "sets", "pa1-debug-b", em_noise_mm=0.5)
    write_set(tmp_path / "sets", "pa1-unknown-c", em_noise_mm=0.0)
    result = run("cis_em", tmp_path / "out", sets=tmp_path / "sets")
    judged = {row.metric: row for row in result.judged}
    assert judged["em_pivot_error_max"].n == 1
    assert judged["optical_pivot_error_max"].n == 2
    assert value(result, "c_expected_error_rms", "pa1-debug-a") < 0.03
    assert not any(row.case == "pa1-unknown-c" for row in result.rows)


def test_cis_em_without_a_set_says_which_files_it_looks_for(tmp_path: Path) -> None:
    (tmp_path / "sets").mkdir()
    with pytest.raises(InputError, match=r"\*-debug-\*-output1\.txt, got none"):
        run("cis_em", tmp_path / "out", sets=tmp_path / "sets")


# --- the real recordings ----------------------------------------------------------------------------------------------


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "folder", "figures"),
    [
        ("em_optical", "em_optical", {("tre_rms", "sensor_0", "rigid"): (0.713, 0.01), ("tre_rms", "sensor_1", "rigid"): (0.756, 0.01)}),
        (
            "em_landmarks",
            "plus",
            {("fre_rms", "phantom", "rigid"): (0.302, 0.01), ("leave_one_out_tre_rms", "phantom", "rigid"): (0.361, 0.01)},
        ),
        ("pointer_pivot", "pointer_pivot", {("rms_all", "pointer", "all_poses"): (3.05, 0.01)}),
        ("cis_em", "cis_em", {("em_pivot_error_max", "noise_free_sets", "rigid"): (0.007, 0.003)}),
    ],
)
def test_the_real_recordings_keep_their_limits_and_two_runs_agree(
    tmp_path: Path, name: str, folder: str, figures: dict[tuple[str, str, str], tuple[float, float]]
) -> None:
    data = Path(os.environ.get("LODESTONE_DATA", "data"))
    if not (data / folder).is_dir():
        pytest.skip(f"{folder} is not here: set LODESTONE_DATA to the recordings")
    result = run(name, tmp_path / "first", data)
    assert result.passed
    for (metric, case, method), (expected, tolerance) in figures.items():
        assert value(result, metric, case, method) == pytest.approx(expected, abs=tolerance)
    run(name, tmp_path / "second", data)
    trees: list[dict[str, Any]] = [json.loads((tmp_path / run_ / "result.json").read_text()) for run_ in ("first", "second")]
    for tree in trees:
        del tree["date"]
    assert trees[0] == trees[1]
