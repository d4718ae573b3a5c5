"""Opening what a name means, and grey values from whatever cv2 gives."""

from __future__ import annotations

import socket
from pathlib import Path

import cv2
import numpy as np
import pytest

from lodestone_core.device.video_config import VideoConfig
from lodestone_core.device.video_source import grey, open_source
from lodestone_core.device.video_status import REMEDIES, VideoCause, VideoFault


def y4m(path: Path, count: int, width: int = 160, height: int = 90, rate: str = "25:1") -> list[np.ndarray]:
    """A file of grey images with noise, and these images."""
    rng = np.random.default_rng(5)
    images = [rng.integers(0, 256, (height, width), np.uint8) for _ in range(count)]
    body = b"".join(b"FRAME\n" + image.tobytes() for image in images)
    path.write_bytes(f"YUV4MPEG2 W{width} H{height} F{rate} Ip A1:1 Cmono\n".encode() + body)
    return images


def test_every_cause_has_a_remedy() -> None:
    assert set(REMEDIES) == set(VideoCause)


@pytest.mark.parametrize("name", ["unix:/nowhere/camera", "/dev/video77", "77", "/nowhere/film.avi"])
def test_a_name_without_anything_behind_it_is_called_missing(name: str) -> None:
    with pytest.raises(VideoFault) as caught:
        open_source(VideoConfig(source=name))
    assert caught.value.cause is VideoCause.MISSING


def test_a_path_that_nobody_answers_at_does_not_open(tmp_path: Path) -> None:
    path = tmp_path / "dead"
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))
    with pytest.raises(VideoFault) as caught:
        open_source(VideoConfig(source=f"unix:{path}"))
    assert caught.value.cause is VideoCause.NOT_OPENED


def test_a_file_that_is_no_video_does_not_open(tmp_path: Path) -> None:
    path = tmp_path / "film.avi"
    path.write_bytes(b"this is no video" * 100)
    with pytest.raises(VideoFault) as caught:
        open_source(VideoConfig(source=str(path)))
    assert caught.value.cause is VideoCause.NOT_OPENED


def test_a_grey_file_comes_back_to_the_last_bit_and_then_ends(tmp_path: Path) -> None:
    images = y4m(tmp_path / "film.y4m", 4)
    source = open_source(VideoConfig(source=str(tmp_path / "film.y4m")))
    assert source.facts.rate_hz == pytest.approx(25.0) and not source.facts.live
    for image in images:
        read = source.read(None)
        assert read is not None and np.array_equal(read, image)
    assert source.read(None) is None
    source.close()


def test_exposure_and_gain_of_a_source_that_has_none_are_noted(tmp_path: Path) -> None:
    y4m(tmp_path / "film.y4m", 1)
    source = open_source(VideoConfig(source=str(tmp_path / "film.y4m"), exposure_us=100.0, gain=2.0))
    assert source.facts.notes == ("exposure_us and gain have no effect: only a device can be told its exposure and gain",)
    assert np.isnan(source.facts.exposure_s) and np.isnan(source.facts.gain)


def test_grey_values_of_every_kind_of_image() -> None:
    rng = np.random.default_rng(0)
    plane = rng.integers(0, 256, (6, 8), np.uint8)
    assert grey(plane) is plane
    yuyv = np.stack([plane, rng.integers(0, 256, (6, 8), np.uint8)], axis=2)
    assert np.array_equal(grey(yuyv), plane)
    assert np.array_equal(grey(plane[:, :, None]), plane)
    bgr = np.repeat(plane[:, :, None], 3, axis=2)
    assert np.array_equal(grey(bgr), plane)
    # ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B.
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert grey(colours).tolist() == [[29, 150, 76]]


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint16), np.zeros((4, 4), np.float32), np.zeros((4, 4, 4), np.uint8)])
def test_images_of_another_kind_are_refused_by_name(image: np.ndarray) -> None:
    with pytest.raises(VideoFault) as caught:
        grey(image)
    assert caught.value.cause is VideoCause.FORMAT and caught.value.detail


def test_cv2_is_of_the_line_that_was_measured() -> None:
    assert tuple(map(int, cv2.__version__.split(".")[:2])) >= (4, 7)
