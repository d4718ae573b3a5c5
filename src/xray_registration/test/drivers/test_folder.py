"""Files that appear in a folder are read once, whole, and in order."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from lodestone_core.errors import InputError
from xray_registration.drivers.config import FolderConfig
from xray_registration.drivers.folder import FolderWatch
from xray_registration.drivers.pictures import read_picture


class Time:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 0.1
        return self.now_s


def names(watch: FolderWatch, polls: int) -> list[str]:
    return [path.name for _ in range(polls) for path in watch.poll()]


def written(path: Path, content: bytes, at_s: float) -> None:
    path.write_bytes(content)
    os.utime(path, (at_s, at_s))


def test_files_come_once_each_in_the_order_of_their_times(tmp_path: Path) -> None:
    watch = FolderWatch(tmp_path, 0.2, Time())
    assert names(watch, 2) == []
    for name, at_s in (("b.dcm", 10.0), ("a.dcm", 20.0), ("c.dcm", 15.0)):
        written(tmp_path / name, b"x", at_s)
    assert names(watch, 5) == ["b.dcm", "c.dcm", "a.dcm"]
    assert names(watch, 5) == []


def test_a_file_that_grows_waits_until_it_stands_still(tmp_path: Path) -> None:
    watch = FolderWatch(tmp_path, 0.15, Time())
    watch.poll()
    for length in range(1, 6):
        written(tmp_path / "a.dcm", b"x" * length, float(length))
        assert names(watch, 1) == []
    assert names(watch, 4) == ["a.dcm"]


def test_a_file_that_is_written_again_comes_again(tmp_path: Path) -> None:
    watch = FolderWatch(tmp_path, 0.1, Time())
    watch.poll()
    written(tmp_path / "a.dcm", b"x", 1.0)
    assert names(watch, 4) == ["a.dcm"]
    written(tmp_path / "a.dcm", b"xy", 2.0)
    assert names(watch, 4) == ["a.dcm"]


def test_what_was_there_before_is_left_alone_unless_asked_for(tmp_path: Path) -> None:
    written(tmp_path / "old.dcm", b"x", 1.0)
    assert names(FolderWatch(tmp_path, 0.1, Time()), 5) == []
    assert names(FolderWatch(tmp_path, 0.1, Time(), existing=True), 5) == ["old.dcm"]


def test_hidden_empty_and_unfinished_files_are_not_named(tmp_path: Path) -> None:
    watch = FolderWatch(tmp_path, 0.1, Time())
    watch.poll()
    for name, content in ((".a.dcm", b"x"), ("a.dcm.part", b"x"), ("empty.dcm", b"")):
        written(tmp_path / name, content, 1.0)
    (tmp_path / "folder.dcm").mkdir()
    assert names(watch, 5) == []


def test_a_folder_that_is_gone_is_an_error_and_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        FolderWatch(tmp_path / "none", 0.1, Time()).poll()


def test_a_grey_picture_keeps_its_bits_and_has_the_time_of_its_file(tmp_path: Path) -> None:
    image = np.arange(600, dtype=np.uint16).reshape(20, 30) * 100
    cv2.imwrite(str(tmp_path / "a.png"), image)
    os.utime(tmp_path / "a.png", ns=(5_000_000_000, 5_000_000_000))
    (frame,) = read_picture(tmp_path / "a.png", FolderConfig(latency_s=0.5))
    assert np.array_equal(frame.image, image) and frame.stamp_ns == 4_500_000_000
    assert frame.header.size_px == (30, 20) and not frame.is_dicom
    assert np.array_equal(frame.turned_round().image, image[:, ::-1])


def test_frames_of_a_dicom_run_end_with_the_time_of_the_file(tmp_path: Path, dicom: Callable[..., bytes]) -> None:
    (tmp_path / "a").write_bytes(dicom(np.zeros((3, 8, 8), np.uint16), FrameTime=100.0))
    os.utime(tmp_path / "a", ns=(5_000_000_000, 5_000_000_000))
    frames = read_picture(tmp_path / "a", FolderConfig())
    assert [frame.stamp_ns for frame in frames] == [4_800_000_000, 4_900_000_000, 5_000_000_000]
    assert all(frame.is_dicom for frame in frames)


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n broken", b"P5 99999 99999 255\n"])
def test_what_is_no_picture_is_refused_without_its_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "Doe_Jane.png"
    path.write_bytes(content)
    with pytest.raises(InputError) as refused:
        read_picture(path, FolderConfig())
    assert "Doe" not in str(refused.value)


def test_a_colour_picture_and_one_that_is_too_large_are_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(InputError, match="grey"):
        read_picture(tmp_path / "a.png", FolderConfig())
    (tmp_path / "big").write_bytes(bytes(200_001))
    with pytest.raises(InputError, match="0 MB"):
        read_picture(tmp_path / "big", FolderConfig(max_mb=0.2))
