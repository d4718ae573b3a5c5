"""The bytes of emulated video: what FFmpeg reads of them, and the times that it finds."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from lodestone_bench.emulators.video_format import Ivf, VideoFormat, Y4m

WIDTH, HEIGHT = 160, 48


def film(path: Path, form: VideoFormat, times_us: list[int]) -> list[np.ndarray]:
    """A file of noise in that format, and its images."""
    rng = np.random.default_rng(3)
    images = [rng.integers(0, 256, (HEIGHT, WIDTH), np.uint8) for _ in times_us]
    parts = [form.marker(image.size, at) + image.tobytes() for image, at in zip(images, times_us, strict=True)]
    path.write_bytes(form.header(WIDTH, HEIGHT, 25.0) + b"".join(parts))
    return images


@pytest.mark.parametrize(("form", "name"), [(Ivf(), "a.ivf"), (Y4m(), "a.y4m")])
def test_ffmpeg_reads_every_image_to_the_last_bit(tmp_path: Path, form: VideoFormat, name: str) -> None:
    images = film(tmp_path / name, form, [40_000 * n for n in range(6)])
    capture = cv2.VideoCapture(str(tmp_path / name), cv2.CAP_FFMPEG)
    capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
    for image in images:
        good, read = capture.read()
        assert good and np.array_equal(read, image)
    assert not capture.read()[0]


def test_ffmpeg_finds_the_times_of_ivf(tmp_path: Path) -> None:
    times_us = [9_000_000_000, 9_000_033_333, 9_000_133_332, 9_000_133_900]
    film(tmp_path / "a.ivf", Ivf(), times_us)
    capture, found_us = cv2.VideoCapture(str(tmp_path / "a.ivf"), cv2.CAP_FFMPEG), []
    while capture.read()[0]:
        found_us.append(round(1e3 * capture.get(cv2.CAP_PROP_POS_MSEC)))
    assert found_us == [at - times_us[0] for at in times_us]


def test_ivf_byte_for_byte() -> None:
    header = Ivf().header(2048, 1536, 10.0)
    assert header == b"DKIF\0\0\x20\0Y800" + struct.pack("<HHII", 2048, 1536, 1_000_000, 1) + bytes(8)
    assert Ivf().marker(0x30000, 0x0102030405060708) == bytes.fromhex("00000300 0807060504030201")


@pytest.mark.parametrize(("rate", "text"), [(10.0, b"F10:1"), (29.97, b"F2997:100"), (0.5, b"F1:2"), (59.94, b"F2997:50")])
def test_the_first_line_is_that_of_yuv4mpeg(rate: float, text: bytes) -> None:
    assert Y4m().header(64, 48, rate) == b"YUV4MPEG2 W64 H48 " + text + b" Ip A1:1 Cmono\n"
    assert Y4m().marker(64 * 48, 5) == b"FRAME\n"
