"""`lodestone calibrate stereo` on folders and bags of pictures of the simulated cameras, and what it says to bad input."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from guidewire_recon.calibration.boards import parse_board
from guidewire_recon.calibration.stereo_picker import Picker
from lodestone_bench.optics.session import places, write_session
from lodestone_cli.calibration.stereo_inputs import Pairs, grey_of_msg, read_stereo_bag
from lodestone_cli.main import app
from lodestone_core import se3
from lodestone_core.bags import BagWriter, message_types
from lodestone_core.calibration_file import load_calibration
from lodestone_core.camera_info import load_camera
from lodestone_core.errors import InputError

BOARD = "charuco:11x8:6:4.5"
# Half of the pixels and of the focal length: the same field of view at a quarter of the time.
SMALL = {
    "width": 1024,
    "height": 768,
    "left": {"focal_px": [2901.0, 2901.0], "principal_px": [515.0, 379.0]},
    "right": {
        "focal_px": [2895.0, 2895.0],
        "principal_px": [509.0, 386.0],
        "position_mm": [0.0, 450.0, 70.0],
        "quaternion_xyzw": [0.0, 0.7071067811865476, -0.7071067811865476, 0.0],
    },
}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures") / "session"
    write_session({"cameras": SMALL}, folder, 9, 3)
    return folder


def seat(wrong_mm: float = 0.0) -> str:
    q, t = se3.to_quaternion(places(9, 3)[0])
    return ",".join(map(str, [*(t + wrong_mm), *q]))


def run(*words: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["calibrate", "stereo", *map(str, words)])
    return result.exit_code, result.output + (result.stderr if result.stderr_bytes else "")


def test_a_folder_of_pictures_becomes_the_files_of_a_rig(session: Path, tmp_path: Path) -> None:
    rig = tmp_path / "my_rig"
    code, said = run(rig, "--board", BOARD, "--images", session, "--seat", "000", "--seat-pose", seat())
    assert code == 0, said
    assert "Measure them" in said and "child: stereo_right_optical" in said
    left = load_camera(rig / "left.yaml")
    assert (left.width, left.height) == (1024, 768)
    assert left.K[0, 0] == pytest.approx(2901.0, rel=3e-3)
    file = load_calibration(rig / "stereo.yaml", "stereo", "my_rig")
    assert np.allclose(file.values["T_bench_left"]["translation_mm"], [0.0, 0.0, 520.0], atol=2.0)
    assert file.inputs.keys() == {"session"} and BOARD in file.method
    code, said = run(rig, "--board", BOARD, "--images", session)
    assert code == 2 and "--replace" in said


def test_exchanged_folders_are_named_against_the_frames_of_the_rig(session: Path, tmp_path: Path) -> None:
    rig, swapped = tmp_path / "simulated", tmp_path / "swapped"
    rig.mkdir()
    swapped.mkdir()
    frames = Path(__file__).parents[3] / "launch" / "rigs" / "simulated" / "frames.yaml"
    (rig / "frames.yaml").write_text(frames.read_text())
    (swapped / "left").symlink_to(session / "right")
    (swapped / "right").symlink_to(session / "left")
    code, said = run(rig, "--board", BOARD, "--images", swapped, "--seat", "000", "--seat-pose", seat())
    assert code == 2 and "fit when they are exchanged" in said
    assert not (rig / "left.yaml").exists()


def test_bad_input_is_one_sentence(session: Path, tmp_path: Path) -> None:
    for words, text in (
        (["--images", session], "--board or --target"),
        (["--board", "checkerboard:8x6:5", "--images", session], "odd sum"),
        (["--board", BOARD, "--images", tmp_path], "folders left and right"),
        (["--board", BOARD, "--images", session, "--bag", session], "leave one out"),
        (["--board", BOARD, "--images", session, "--seat", "000"], "--seat-pose"),
        (["--board", BOARD, "--images", session, "--seat", "000", "--seat-pose", "1,2"], "a view and its target's pose"),
    ):
        code, said = run(tmp_path / "rig", *words)
        assert code == 2 and text in said, said


def test_a_picture_of_another_size_is_named(session: Path, tmp_path: Path) -> None:
    for side in ("left", "right"):
        (tmp_path / side).mkdir()
        for name in ("000", "001"):
            image = cv2.imread(str(session / side / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
            cv2.imwrite(str(tmp_path / side / f"{name}.png"), image if name == "000" else image[:400])
    code, said = run(tmp_path / "rig", "--board", BOARD, "--images", tmp_path)
    assert code == 2 and "1024x768 px as before, got 1024x400" in said


def message(stamp_ms: float, value: int = 0, encoding: str = "mono8", width: int = 4, step: int | None = None) -> SimpleNamespace:
    channels = {"mono8": 1, "bgr8": 3}.get(encoding, 1)
    stamp = SimpleNamespace(sec=int(stamp_ms // 1000), nanosec=int(stamp_ms % 1000 * 1e6))
    step = width * channels if step is None else step
    data = np.full(3 * step, value, dtype=np.uint8)
    return SimpleNamespace(header=SimpleNamespace(stamp=stamp), height=3, width=width, step=step, encoding=encoding, data=data.tobytes())


def test_images_are_paired_by_their_stamps_and_those_that_stay_alone_are_left_out() -> None:
    found: list[tuple[int, int]] = []
    pairs = Pairs(5.0, lambda left, right: found.append((int(left[0, 0]), int(right[0, 0]))))
    lefts = [("left", 1000, 1), ("left", 1098, 2), ("left", 1200, 3), ("left", 1300, 4)]
    rights = [("right", 1003, 1), ("right", 1100, 2), ("right", 1304, 4), ("right", 1420, 5)]
    for side, stamp_ms, value in sorted(lefts + rights, key=lambda one: one[1]):
        pairs.add(side, message(stamp_ms, value))
    assert found == [(1, 1), (2, 2), (4, 4)]


def test_grey_is_read_from_the_usual_encodings_and_others_are_refused() -> None:
    assert grey_of_msg(message(0, 7)).tolist() == [[7] * 4] * 3
    assert grey_of_msg(message(0, 7, step=6)).shape == (3, 4)
    assert grey_of_msg(message(0, 9, "bgr8")).tolist() == [[9] * 4] * 3
    for broken in (message(0, 1, "bayer_rggb8"), message(0, 1, step=2)):
        with pytest.raises(InputError, match="image"):
            grey_of_msg(broken)


def test_a_recorded_session_gives_the_views_in_which_the_target_was_still(session: Path, tmp_path: Path) -> None:
    kinds = message_types().store.types
    topics = ("/stereo/left/image_raw", "/stereo/right/image_raw")
    with BagWriter(tmp_path / "bag") as writer:
        channels = {side: writer.add_topic(topic, "sensor_msgs/msg/Image") for side, topic in zip(("left", "right"), topics, strict=True)}
        # Each place of the target is seen twice: it is still in the second image.
        for number, name in enumerate(name for name in ("000", "001", "002") for _ in range(2)):
            for side, channel in channels.items():
                image = cv2.imread(str(session / side / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
                assert image is not None
                stamp_ns = 10**9 + number * 10**8 + (10**6 if side == "right" else 0)
                header = kinds["std_msgs/msg/Header"](kinds["builtin_interfaces/msg/Time"](*divmod(stamp_ns, 10**9)), side)
                rows, columns = image.shape
                made = kinds["sensor_msgs/msg/Image"](header, rows, columns, "mono8", 0, columns, image.ravel())
                writer.write_message(channel, made, stamp_ns)
    picker = Picker((parse_board(BOARD),))
    read_stereo_bag(tmp_path / "bag", topics, 20.0, picker, lambda _: None)
    assert [view.paired for view in picker.views] == [True, True, True]
    with pytest.raises(InputError, match="unknown topic"):
        read_stereo_bag(tmp_path / "bag", (topics[0], "/nowhere"), 20.0, picker, lambda _: None)
