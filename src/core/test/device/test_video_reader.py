"""The reader's thread: it recovers, it ends in time whatever a source does, and it says what is wrong."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from lodestone_core.device.video import VideoReader
from lodestone_core.device.video_config import VideoConfig
from lodestone_core.device.video_source import SourceFacts
from lodestone_core.device.video_status import VideoCause, VideoFault, VideoFrame, VideoStage

Start = Callable[..., tuple[VideoReader, list[VideoFrame]]]


class Camera:
    """A source of 100 images a second, or whatever a test makes of it."""

    def __init__(self, images: int | None = None, block: threading.Event | None = None, live: bool = True) -> None:
        self.facts = SourceFacts(100.0, live, 0.005, 2.0)
        self.device_ns: int | None = None
        self.closed = threading.Event()
        self._left, self._block = images, block
        self._rng = np.random.default_rng(0)

    def read(self, into: np.ndarray | None) -> np.ndarray | None:
        if self._left == 0:
            if self._block is None:
                return None
            self._block.wait()
        self._left = None if self._left is None else self._left - 1
        time.sleep(0.01)
        return self._rng.integers(30, 200, (70, 80), np.uint8)

    def close(self) -> None:
        self.closed.set()


def until(condition: Callable[[], bool], limit_s: float = 3.0) -> bool:
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


@pytest.fixture
def reading() -> Iterator[Start]:
    """Starts a reader on what `open_` gives; it is stopped after the test."""
    readers = []

    def start(
        open_: Callable[[VideoConfig], object], config: VideoConfig | None = None, **given: object
    ) -> tuple[VideoReader, list[VideoFrame]]:
        frames: list[VideoFrame] = []
        reader = VideoReader(config or VideoConfig(reopen_s=0.02), frames.append, open_=open_, **given)  # type: ignore[arg-type]
        readers.append(reader)
        reader.start()
        return reader, frames

    yield start
    for reader in readers:
        reader.stop(0.5)


def test_images_come_with_rising_numbers_and_stamps_and_what_the_camera_says(
    reading: Start,
) -> None:
    camera = Camera()
    reader, frames = reading(lambda config: camera)
    assert until(lambda: len(frames) > 20)
    assert reader.stop() and camera.closed.is_set()
    assert [frame.number for frame in frames] == list(range(len(frames)))
    assert all(a.stamp_ns < b.stamp_ns <= b.received_ns for a, b in pairwise(frames))
    assert (frames[0].exposure_s, frames[0].gain) == (0.005, 2.0)
    assert abs(frames[-1].received_ns - time.time_ns()) < 5e9


def test_stop_returns_in_time_while_a_read_blocks_for_ever(reading: Start) -> None:
    block = threading.Event()
    reader, frames = reading(lambda config: Camera(3, block))
    assert until(lambda: len(frames) == 3)
    began = time.monotonic()
    assert not reader.stop(0.2)
    assert time.monotonic() - began < 0.5
    block.set()


def test_silence_is_named_before_the_time_out_and_with_its_length(reading: Start) -> None:
    block = threading.Event()
    reader, frames = reading(lambda config: Camera(3, block))
    assert until(lambda: reader.status.cause is VideoCause.STALLED)
    assert reader.status.stage is VideoStage.STREAM and "for 0.4 s" in reader.status.problem and reader.status.remedy
    block.set()
    assert until(lambda: reader.status.streaming and len(frames) > 3)


def test_a_lost_camera_is_opened_again_and_the_numbers_go_on(reading: Start) -> None:
    cameras: list[Camera] = []

    def open_(config: VideoConfig) -> Camera:
        cameras.append(Camera(5))
        return cameras[-1]

    reader, frames = reading(open_)
    assert until(lambda: len(frames) >= 12)
    assert cameras[0].closed.is_set() and reader.counters.losses >= 2 and reader.counters.openings >= 3
    assert [frame.number for frame in frames] == list(range(len(frames)))
    assert all(a.stamp_ns < b.stamp_ns for a, b in pairwise(frames))


def test_waits_between_attempts_double_up_to_their_limit_and_each_failure_is_said(
    reading: Start,
) -> None:
    times: list[float] = []

    def open_(config: VideoConfig) -> Camera:
        times.append(time.monotonic())
        raise VideoFault(VideoCause.MISSING, config.source)

    reader, _ = reading(open_, VideoConfig(source="unix:/x", reopen_s=0.02, reopen_max_s=0.08))
    assert until(lambda: len(times) >= 6)
    waits = np.diff(times)
    assert np.allclose(waits[:5], [0.02, 0.04, 0.08, 0.08, 0.08], atol=0.02)
    assert reader.status.stage is VideoStage.WAIT and "unix:/x" in reader.status.problem


def test_an_error_of_the_program_ends_the_thread_and_is_raised_to_who_asks(
    reading: Start,
) -> None:
    def open_(config: VideoConfig) -> Camera:
        raise ZeroDivisionError

    news = threading.Event()
    reader, _ = reading(open_, on_news=news.set)
    assert news.wait(2.0)
    with pytest.raises(ZeroDivisionError):
        reader.check()


def test_identical_images_are_not_handed_on(reading: Start) -> None:
    class Frozen(Camera):
        def read(self, into: np.ndarray | None) -> np.ndarray:
            time.sleep(0.01)
            return np.full((70, 80), 99, np.uint8)

    reader, frames = reading(lambda config: Frozen())
    assert until(lambda: reader.status.cause is VideoCause.FROZEN)
    assert len(frames) == 1 and reader.counters.repeats >= 4


def test_a_source_whose_times_jump_is_opened_again_and_the_image_is_not_handed_on(reading: Start) -> None:
    class Leaping(Camera):
        images = 0

        def read(self, into: np.ndarray | None) -> np.ndarray | None:
            image = super().read(into)
            self.images += 1
            self.device_ns = 10_000_000 * self.images + (2**60 if self.images > 10 else 0)
            return image

    reader, frames = reading(lambda config: Leaping())
    assert until(lambda: reader.status.cause is VideoCause.TIMES and reader.counters.openings == 1)
    assert len(frames) in (9, 10) and reader.status.remedy
    assert until(lambda: reader.counters.openings > 1 and len(frames) > 12)


def film(path: Path, count: int, rate: int) -> str:
    rng = np.random.default_rng(1)
    body = b"".join(b"FRAME\n" + rng.integers(30, 200, (90, 160), np.uint8).tobytes() for _ in range(count))
    path.write_bytes(f"YUV4MPEG2 W160 H90 F{rate}:1 Ip A1:1 Cmono\n".encode() + body)
    return str(path)


def test_a_file_runs_at_its_own_rate_and_then_is_finished(tmp_path: Path) -> None:
    frames: list[VideoFrame] = []
    reader = VideoReader(VideoConfig(source=film(tmp_path / "a.y4m", 11, 20)), frames.append)
    began = time.monotonic()
    reader.start()
    assert until(lambda: reader.status.stage is VideoStage.FINISHED)
    assert 0.45 < time.monotonic() - began < 1.5 and len(frames) == 11
    assert np.allclose(np.diff([frame.stamp_ns for frame in frames]), 5e7, atol=1e5)
    assert reader.stop()


def test_a_file_as_fast_as_possible_keeps_the_spacing_of_its_stamps(tmp_path: Path) -> None:
    frames: list[VideoFrame] = []
    reader = VideoReader(VideoConfig(source=film(tmp_path / "a.y4m", 40, 5), paced=False), frames.append)
    reader.start()
    assert until(lambda: reader.status.stage is VideoStage.FINISHED)
    assert len(frames) == 40
    assert np.allclose(np.diff([frame.stamp_ns for frame in frames]), 2e8, atol=1e5)


def test_a_looped_file_begins_again(tmp_path: Path) -> None:
    frames: list[VideoFrame] = []
    reader = VideoReader(VideoConfig(source=film(tmp_path / "a.y4m", 5, 100), loop=True), frames.append)
    reader.start()
    assert until(lambda: len(frames) > 12)
    assert reader.stop() and reader.counters.losses == 0


def test_a_film_whose_times_go_back_is_played_to_its_end(tmp_path: Path) -> None:
    path, rng = tmp_path / "a.ivf", np.random.default_rng(1)
    header = struct.pack("<4sHH4sHHIIII", b"DKIF", 0, 32, b"Y800", 160, 90, 1000, 1, 0, 0)
    times_ms = [*range(0, 500, 50), *range(0, 500, 50)]  # two films, one behind the other
    images = [struct.pack("<IQ", 90 * 160, at) + rng.integers(30, 200, (90, 160), np.uint8).tobytes() for at in times_ms]
    path.write_bytes(header + b"".join(images))
    frames: list[VideoFrame] = []
    reader = VideoReader(VideoConfig(source=str(path), paced=False), frames.append)
    reader.start()
    assert until(lambda: reader.status.stage is VideoStage.FINISHED)
    assert reader.counters.openings == 1 and len(frames) == 20
