"""Opening what a name means, and grey values from whatever cv2 gives."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import ClassVar

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


class Webcam:
    """As much of a cv2.VideoCapture on V4L2 as is asked for: holds its own gain, exposes in steps of 100 us, takes no rate above 15 Hz."""

    made: ClassVar[list[tuple[object, ...]]] = []

    def __init__(self, *arguments: object) -> None:
        self.made.append(arguments)
        self.values = {cv2.CAP_PROP_FPS: 30.0, cv2.CAP_PROP_GAIN: 16.0, cv2.CAP_PROP_FRAME_WIDTH: 640.0, cv2.CAP_PROP_FRAME_HEIGHT: 480.0}

    def isOpened(self) -> bool:
        return True

    def set(self, key: int, value: float) -> bool:
        if key == cv2.CAP_PROP_GAIN:
            return False
        self.values[key] = min(value, 15.0) if key == cv2.CAP_PROP_FPS else round(value)
        return True

    def get(self, key: int) -> float:
        return self.values.get(key, -1.0)

    def read(self) -> tuple[bool, np.ndarray]:
        return True, np.zeros((4, 4), np.uint8)

    def release(self) -> None:
        pass


def test_the_time_of_a_devices_buffer_comes_with_the_image_and_none_where_it_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", Webcam)
    source = open_source(VideoConfig(source="/dev/null"))
    assert source.read(None) is not None and source.device_ns is None  # this one tells no time
    for time_ms, device_ns in ((0.0, None), (81_234_567.125, 81_234_567_125_000)):
        source._capture.values[cv2.CAP_PROP_POS_MSEC] = time_ms  # type: ignore[attr-defined]
        assert source.read(None) is not None and source.device_ns == device_ns


def test_a_count_of_images_is_no_time(tmp_path: Path) -> None:
    y4m(tmp_path / "film.y4m", 3)
    source = open_source(VideoConfig(source=str(tmp_path / "film.y4m")))
    for _ in range(3):
        assert source.read(None) is not None and source.device_ns is None


def test_a_device_is_told_its_settings_and_what_it_refuses_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", Webcam)
    config = VideoConfig(source="/dev/null", width=800, height=600, rate_hz=20.0, exposure_us=2500.0, gain=4.0, pixel_format="GREY")
    source = open_source(config)
    assert Webcam.made[-1] == ("/dev/null", cv2.CAP_V4L2)
    assert source.facts.exposure_s == pytest.approx(0.0025) and source.facts.gain == 16.0
    assert source.facts.notes == ("the camera did not take rate_hz 20: it has 15", "the camera did not take gain 4: it has 16")
    assert source.facts.rate_hz == 15.0 and source.facts.live
    capture = source._capture  # type: ignore[attr-defined]
    assert capture.values[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"GREY")
    assert (capture.values[cv2.CAP_PROP_FRAME_WIDTH], capture.values[cv2.CAP_PROP_EXPOSURE]) == (800, 25)


def test_a_device_that_is_left_as_it_is_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", Webcam)
    source = open_source(VideoConfig(source="/dev/null"))
    assert source._capture.values == Webcam().values and source.facts.notes == ()  # type: ignore[attr-defined]
    assert np.isnan(source.facts.exposure_s)


def test_a_colour_film_comes_as_grey_values(tmp_path: Path) -> None:
    path = str(tmp_path / "film.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (160, 96))
    writer.write(np.full((96, 160, 3), (200, 100, 50), np.uint8))
    writer.release()
    image = open_source(VideoConfig(source=path)).read(None)
    assert image is not None and image.shape == (96, 160)
    assert abs(float(image.mean()) - (0.114 * 200 + 0.587 * 100 + 0.299 * 50)) < 3.0


def test_cv2_is_of_the_line_that_was_measured() -> None:
    assert tuple(map(int, cv2.__version__.split(".")[:2])) >= (4, 7)
