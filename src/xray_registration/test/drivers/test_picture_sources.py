"""Pictures from a folder and from a socket, on threads: they come, faults are named without names of files, and they come again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lodestone_core.device.video_config import VideoConfig
from lodestone_core.errors import InputError
from xray_registration.calibration import XrayCalibration
from xray_registration.drivers.checked import FrameChecker
from xray_registration.drivers.config import FolderConfig, XrayDriverConfig
from xray_registration.drivers.picture_source import FolderPictures, VideoPictures
from xray_registration.drivers.pictures import XrayFrame

PIXELS = np.full((32, 48), 7, np.uint16)


def wait(condition: Callable[[], bool], limit_s: float = 15.0) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[tuple[FolderPictures, list[XrayFrame], Path]]:
    frames: list[XrayFrame] = []
    folder = tmp_path / "export"
    source = FolderPictures(FolderConfig(path=str(folder), poll_s=0.02, settle_s=0.05), frames.append, lambda: None)
    source.start()
    yield source, frames, folder
    source.stop()


def test_a_folder_that_comes_later_is_found_and_its_pictures_come(watched: Any, dicom: Callable[..., bytes]) -> None:
    source, frames, folder = watched
    wait(lambda: "cannot be read" in source.status.problem)
    folder.mkdir()
    wait(lambda: not source.status.problem)
    (folder / "a.dcm").write_bytes(dicom(np.stack([PIXELS] * 2), FrameTime=100.0))
    wait(lambda: len(frames) == 2)
    assert frames[1].stamp_ns - frames[0].stamp_ns == 100_000_000
    assert source.status.figures == {"files": 1, "files_refused": 0, "images": 2}


def test_a_file_that_is_refused_is_named_by_its_number_until_a_whole_one_comes(watched: Any, dicom: Callable[..., bytes]) -> None:
    source, frames, folder = watched
    folder.mkdir()
    wait(lambda: source.status.stage == "watch the folder")
    (folder / "Doe_Jane.dcm").write_bytes(dicom(PIXELS)[:900])
    wait(lambda: "file 1 was refused" in source.status.problem)
    assert "Doe" not in source.status.problem and source.status.remedy and not frames
    (folder / "b.dcm").write_bytes(dicom(PIXELS))
    wait(lambda: len(frames) == 1 and not source.status.problem)
    assert source.status.figures["files_refused"] == 1


def test_a_folder_without_a_path_is_refused() -> None:
    with pytest.raises(InputError, match=r"folder\.path"):
        FolderPictures(FolderConfig(), lambda _: None, lambda: None)


def test_a_mirrored_picture_is_turned_round_and_placed(calibration: XrayCalibration) -> None:
    from dataclasses import replace

    from xray_registration.drivers.header import XrayHeader

    image = np.arange(32 * 48, dtype=np.uint16).reshape(32, 48)
    at = replace(calibration, mirrored=True, primary_deg=0.0, secondary_deg=0.0)
    found = FrameChecker(at, XrayDriverConfig()).take(XrayFrame(5, image, XrayHeader((48, 32)), False))
    assert np.array_equal(found.image, image[:, ::-1]) and found.image.flags.c_contiguous
    assert found.T_bench_source is not None and found.T_bench_source[:3, 3] == pytest.approx((0.0, 750.0, 0.0))
    assert found.T_source_detector is not None and found.T_source_detector[2, 3] == 1200.0


def test_video_over_a_socket_stalls_and_comes_again(tmp_path: Path) -> None:
    server = pytest.importorskip("lodestone_bench.emulators.video_server")
    pattern = pytest.importorskip("lodestone_bench.emulators.moving_pattern")
    device = pytest.importorskip("lodestone_bench.emulators.video_emulator")
    config = pytest.importorskip("lodestone_bench.emulators.video_config")
    control = pytest.importorskip("lodestone_bench.emulators.control")
    url = f"unix:{tmp_path}/video"
    video = server.VideoServer(pattern.MovingPattern(256, 256), url, config.VideoConfig(rate_hz=8.0))
    begun = time.monotonic()
    emulator = device.VideoEmulator({"xray": video}, lambda: time.monotonic() - begun, tmp_path / "control")
    emulator.open()
    thread = threading.Thread(target=emulator.run)
    thread.start()
    frames: list[XrayFrame] = []
    source = VideoPictures(VideoConfig(source=url, reopen_s=0.05, reopen_max_s=0.2), frames.append, lambda: None)
    source.start()
    try:
        wait(lambda: len(frames) > 3)
        assert frames[-1].header.size_px == (256, 256) and not frames[-1].is_dicom
        assert control.send_request(tmp_path / "control", do="stall", for_s=1.0)["ok"]
        wait(lambda: "no image" in source.status.problem or "silent" in source.status.problem)
        seen = len(frames)
        wait(lambda: len(frames) > seen + 3 and not source.status.problem)
        assert control.send_request(tmp_path / "control", do="freeze", for_s=1.5)["ok"]
        wait(lambda: "last picture is held" in source.status.note)
        assert not source.status.problem
        wait(lambda: not source.status.note)
        assert control.send_request(tmp_path / "control", do="black")["ok"]
        wait(lambda: bool(frames[-1].header.problems))
        assert "black" in frames[-1].header.problems[0]
    finally:
        source.stop()
        emulator.stop()
        thread.join()
