"""Emulated video devices byte for byte, read by a plain socket: what comes, what is lost, and that nothing ever waits for a reader."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodestone_bench.emulators.control import send_request
from lodestone_bench.emulators.moving_pattern import MovingPattern
from lodestone_bench.emulators.pixel_code import PixelCode, read_code, write_code
from lodestone_bench.emulators.video_config import VideoConfig
from lodestone_bench.emulators.video_emulator import VideoEmulator
from lodestone_bench.emulators.video_server import VideoServer
from lodestone_bench.emulators.video_socket import VideoSocket
from lodestone_core.errors import InputError

WIDTH, HEIGHT, RATE = 160, 40, 50.0
IMAGE_BYTES = WIDTH * HEIGHT


class Viewer:
    """A reader that takes the stream apart by hand."""

    def __init__(self, url: str, limit_s: float = 2.0) -> None:
        path = url.removeprefix("unix:")
        family = socket.AF_UNIX if path != url else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(limit_s)
        self.socket.connect(path if path != url else ("127.0.0.1", int(url.rsplit(":", 1)[1])))
        self.file = self.socket.makefile("rb")

    def header(self) -> bytes:
        return self.file.readline()

    def image(self, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
        assert self.file.readline() == b"FRAME\n"
        return np.frombuffer(self.file.read(height * width), np.uint8).reshape(height, width)

    def code(self) -> PixelCode:
        code = read_code(self.image())
        assert code is not None
        return code

    def close(self) -> None:
        self.file.close()
        self.socket.close()


class Bench:
    """One small emulated device, in a thread."""

    def __init__(self, folder: Path, width: int = WIDTH, height: int = HEIGHT, **config: Any) -> None:
        self.url, self.control = f"unix:{folder}/camera", folder / "control"
        self.device = VideoServer(MovingPattern(width, height), self.url, VideoConfig(**{"rate_hz": RATE, "times": False, **config}))
        began = time.monotonic()
        self.clock: Callable[[], float] = lambda: time.monotonic() - began
        self.emulator = VideoEmulator({"camera": self.device}, self.clock, self.control)
        self.emulator.open()
        self.thread = threading.Thread(target=self.emulator.run)
        self.thread.start()

    def ask(self, **request: Any) -> dict[str, Any]:
        answer = send_request(self.control, **request)
        assert answer.get("ok"), answer
        return answer

    def counts(self) -> dict[str, int]:
        return dict(self.ask(do="statistics")["devices"]["camera"])

    def stop(self) -> None:
        self.emulator.stop()
        self.thread.join(3.0)
        assert not self.thread.is_alive()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Makes an emulated device; it is gone after the test."""
    made: list[Bench] = []

    def make(**config: Any) -> Bench:
        made.append(Bench(tmp_path, **config))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@given(st.integers(0, 2**40), st.integers(-(2**63), 2**63 - 1))
def test_the_pixel_code_comes_back_and_one_wrong_bit_is_seen(number: int, world_ns: int) -> None:
    image = np.full((3, 150), 77, np.uint8)
    write_code(image, PixelCode(number, world_ns))
    assert read_code(image) == PixelCode(number % 2**32, world_ns)
    assert (image[0, 128:] == 77).all() and (image[1:] == 77).all()
    image[0, number % 128] ^= 255
    assert read_code(image) is None


def test_the_pixel_code_bit_by_bit() -> None:
    image = np.zeros((1, 128), np.uint8)
    write_code(image, PixelCode(5, 1))
    bits = "".join("1" if value else "0" for value in image[0])
    assert bits[:16] == f"{0xC0DE:016b}" and bits[16:48] == f"{5:032b}" and bits[48:112] == f"{1:064b}"


@pytest.mark.parametrize(
    "image", [np.zeros((4, 127), np.uint8), np.zeros((4, 128), np.uint8), np.zeros(128, np.uint8), np.zeros((0, 200), np.uint8)]
)
def test_an_image_without_code_has_none(image: np.ndarray) -> None:
    assert read_code(image) is None


def test_images_come_one_after_the_other_at_the_times_that_they_carry(bench: Callable[..., Bench]) -> None:
    rig = bench()
    viewer = Viewer(rig.url)
    assert viewer.header() == b"YUV4MPEG2 W160 H40 F50:1 Ip A1:1 Cmono\n"
    codes, late_s = [], []
    for _ in range(20):
        codes.append(viewer.code())
        late_s.append(rig.clock() - codes[-1].world_ns * 1e-9)
    assert np.diff([code.number for code in codes]).tolist() == [1] * 19
    assert all(code.world_ns == round(code.number / RATE * 1e9) for code in codes)
    assert 0.0 <= min(late_s) < 0.005  # never ahead of its time
    viewer.close()


def test_what_is_seen_is_the_source_at_the_time_of_the_image(bench: Callable[..., Bench]) -> None:
    rig = bench()
    viewer = Viewer(rig.url)
    viewer.header()
    image = viewer.image()
    code = read_code(image)
    assert code is not None
    expected = MovingPattern(WIDTH, HEIGHT).frame(code.number, code.world_ns * 1e-9)
    assert np.array_equal(image[1:], expected[1:])
    viewer.close()


def test_without_the_code_the_image_is_untouched(bench: Callable[..., Bench]) -> None:
    viewer = Viewer(bench(code=False).url)
    viewer.header()
    row = viewer.image()[0]
    assert np.array_equal(row, MovingPattern(WIDTH, HEIGHT).frame(0, 0.0)[0])
    viewer.close()


def test_latency_and_drift_are_those_configured(bench: Callable[..., Bench]) -> None:
    rig = bench(latency_s=0.1, drift_ppm=1000.0)
    viewer = Viewer(rig.url)
    viewer.header()
    code = viewer.code()
    assert 0.1 <= rig.clock() - code.world_ns * 1e-9 < 0.13
    assert code.world_ns * 1e-9 == pytest.approx(code.number / (RATE * 1.001), abs=1e-9)
    rig.ask(do="latency", ms=200.0)
    time.sleep(0.4)
    for _ in range(10):
        code = viewer.code()
    assert rig.clock() - code.world_ns * 1e-9 >= 0.1  # what was on its way came first
    viewer.close()


def test_a_slow_reader_costs_images_and_holds_nothing_up(bench: Callable[..., Bench]) -> None:
    rig = bench(width=1024, height=768, buffers=2, rate_hz=100.0)
    viewer = Viewer(rig.url)
    viewer.header()
    time.sleep(0.6)  # 60 images of 0.8 MB are more than a socket holds
    began = time.monotonic()
    counts = rig.counts()
    assert time.monotonic() - began < 0.2
    assert counts["frames_dropped"] > 20
    assert counts["frames_produced"] + counts["frames_missed"] > 45
    codes = [read_code(viewer.image(768, 1024)) for _ in range(counts["frames_sent"] + 5)]
    numbers = [code.number for code in codes if code is not None]
    assert len(numbers) == len(codes)  # whole images ...
    assert all(b > a for a, b in pairwise(numbers)) and max(np.diff(numbers)) > 20  # ... with a gap
    viewer.close()


def test_a_host_that_stands_still_for_a_moment_costs_no_image(tmp_path: Path) -> None:
    device = VideoServer(MovingPattern(WIDTH, HEIGHT), f"unix:{tmp_path}/camera", VideoConfig(rate_hz=RATE, ahead_s=0.0))
    device.open(0.0)

    def run(now_s: float) -> None:
        while device.due_s() <= now_s:
            device.turn(now_s, [])

    for now_s in (0.0, 0.065, 0.125, 0.185):
        run(now_s)
    assert (device.counts["produced"], device.counts["missed"]) == (10, 0)
    run(1.305)  # 56 more, of which three may come late behind the one that is due
    assert (device.counts["produced"], device.counts["missed"]) == (14, 52)
    device.close()


def test_every_image_is_counted_once(bench: Callable[..., Bench]) -> None:
    rig = bench()
    viewer = Viewer(rig.url)
    viewer.header()
    rig.ask(do="drop", for_s=0.2)
    for _ in range(10):
        viewer.code()
    viewer.close()
    time.sleep(0.2)
    counts = rig.counts()
    told = sum(counts[f"frames_{name}"] for name in ("sent", "lost", "dropped", "unseen"))
    assert 0 <= counts["frames_produced"] - told <= 3  # on their way
    assert 8 <= counts["frames_lost"] <= 11


def test_one_reader_at_a_time_and_the_next_when_it_has_gone(bench: Callable[..., Bench]) -> None:
    rig = bench()
    first = Viewer(rig.url)
    assert first.header()
    assert Viewer(rig.url).header() == b""  # hung up on
    first.close()
    time.sleep(0.1)
    second = Viewer(rig.url)
    assert second.header() and second.code()
    second.close()


def test_a_stall_sends_nothing_and_ends(bench: Callable[..., Bench]) -> None:
    rig = bench()
    viewer = Viewer(rig.url)
    viewer.header()
    viewer.code()
    rig.ask(do="stall", for_s=0.4)
    numbers, times = [], [rig.clock()]
    for _ in range(8):
        numbers.append(viewer.code().number)
        times.append(rig.clock())
    assert 0.3 < max(np.diff(times)) < 0.5
    assert max(np.diff(numbers)) > 10  # two images waited, the others were dropped
    viewer.close()


def test_a_frozen_and_a_black_image(bench: Callable[..., Bench]) -> None:
    rig = bench()
    viewer = Viewer(rig.url)
    viewer.header()
    rig.ask(do="freeze", for_s=0.2)
    time.sleep(0.05)
    images = [viewer.image() for _ in range(12)]
    same = [np.array_equal(a, b) for a, b in pairwise(images)]
    assert sum(same) >= 6 and not same[-1]
    rig.ask(do="black", for_s=0.1)
    seen = [viewer.image()[1:].max() for _ in range(10)]
    assert 0 in seen and seen[-1] > 0
    viewer.close()


def test_half_the_rate_takes_every_other_image(bench: Callable[..., Bench]) -> None:
    rig = bench()
    viewer = Viewer(rig.url)
    viewer.header()
    rig.ask(do="rate", divisor=2)
    numbers = [viewer.code().number for _ in range(12)]
    assert np.diff(numbers)[-6:].tolist() == [2] * 6
    viewer.close()


def test_a_corrupt_image_and_one_that_breaks_off(bench: Callable[..., Bench]) -> None:
    rig = bench()
    viewer = Viewer(rig.url)
    viewer.header()
    rig.ask(do="corrupt", bytes=IMAGE_BYTES)
    seen = [read_code(viewer.image()) for _ in range(5)]
    assert seen.count(None) == 1
    rig.ask(do="truncate", keep=0.25)
    data = viewer.file.read(6 * (IMAGE_BYTES + 6))
    starts = [match.start() for match in re.finditer(b"FRAME\n", data)]
    assert 6 + IMAGE_BYTES // 4 in np.diff(starts)
    viewer.close()


def test_another_size_begins_a_new_stream(bench: Callable[..., Bench]) -> None:
    rig = bench()
    viewer = Viewer(rig.url)
    viewer.header()
    viewer.code()
    rig.ask(do="size", width=200, height=30)
    while viewer.file.read(4096):
        pass
    again = Viewer(rig.url)
    assert again.header().startswith(b"YUV4MPEG2 W200 H30 ")
    assert again.image(30, 200)[1:, 160:].max() == 0
    again.close()


def test_refused_connections_leave_the_path_and_an_unplugged_device_does_not(bench: Callable[..., Bench]) -> None:
    rig = bench()
    path = Path(rig.url.removeprefix("unix:"))
    viewer = Viewer(rig.url)
    viewer.header()
    rig.ask(do="refuse", for_s=0.3)
    time.sleep(0.05)
    assert path.exists()
    with pytest.raises(ConnectionRefusedError):
        Viewer(rig.url)
    time.sleep(0.4)
    viewer = Viewer(rig.url)
    assert viewer.header() and viewer.code()
    rig.ask(do="unplug", replug_after_s=0.3)
    assert not path.exists()
    time.sleep(0.4)
    assert Viewer(rig.url).header()


def test_swapped_devices_show_what_the_other_one_saw(tmp_path: Path) -> None:
    devices = {
        side: VideoServer(MovingPattern(WIDTH, HEIGHT, seed), f"unix:{tmp_path}/{side}") for seed, side in enumerate(("left", "right"))
    }
    emulator = VideoEmulator(devices, time.monotonic)
    left, right = devices["left"].source, devices["right"].source
    emulator.request({"do": "swap"})
    assert (devices["left"].source, devices["right"].source) == (right, left)
    emulator.close()


def test_one_device_has_nothing_to_swap_with(bench: Callable[..., Bench]) -> None:
    answer = send_request(bench().control, do="swap")
    assert not answer["ok"] and "two devices" in answer["error"]


def test_a_tcp_address_serves_as_well() -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    device = VideoServer(MovingPattern(WIDTH, HEIGHT), f"tcp://127.0.0.1:{port}", VideoConfig(rate_hz=RATE, times=False))
    emulator = VideoEmulator({"": device}, time.monotonic)
    emulator.open()
    thread = threading.Thread(target=emulator.run)
    thread.start()
    try:
        viewer = Viewer(device.socket.url)
        assert viewer.header() and viewer.code()
        viewer.close()
    finally:
        emulator.stop()
        thread.join(3.0)


@pytest.mark.parametrize("url", ["", "/dev/shm/x", "unix:x", "tcp://0.0.0.0:5000", "tcp://127.0.0.1", "unix:/" + "x" * 200, "rtsp://x/y"])
def test_an_address_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="video url"):
        VideoSocket(url)


def test_a_file_that_is_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")
    with pytest.raises(InputError, match="a free path"):
        VideoSocket(f"unix:{tmp_path}/precious").listen()
    assert (tmp_path / "precious").read_text() == "x"


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        ({"do": "explode"}, "one of stall"),
        ({}, "one of stall"),
        ({"do": "stall", "camera": "third"}, "one of camera"),
        ({"do": "stall", "for": 1}, "for_s"),
        ({"do": "size", "width": "big"}, "width"),
        ({"do": "corrupt", "count": 0}, "count"),
    ],
)
def test_a_request_that_makes_no_sense_is_answered_by_what_would(bench: Callable[..., Bench], request_: dict[str, Any], text: str) -> None:
    answer = send_request(bench().control, **request_)
    assert not answer["ok"] and text in answer["error"]


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    rig = Bench(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"camera", "control"}
    rig.ask(do="quit")
    rig.thread.join(3.0)
    assert list(tmp_path.iterdir()) == []
